"""The C++ sources of this repository, and what they include of each other."""
import re
from pathlib import Path

root = Path(__file__).resolve().parents[2]
FOLDERS = ('src', 'python', 'nginx', 'bench', 'tests')
_include = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def sources(*suffixes):
    """All files with these suffixes, sorted."""
    return sorted(path for folder in FOLDERS for path in (root / folder).rglob('*')
        if path.suffix in suffixes and path.is_file())


def includes(path):
    """What a file includes: (project's own, as written), (system's, as written)."""
    found = _include.findall(path.read_text(encoding='utf-8', errors='replace'))
    return [own for own, _ in found if own], [system for _, system in found if system]


def resolve(path, include):
    """The project's file that an include in `path` means, or None."""
    for candidate in (root / 'src' / include, path.parent / include):
        if candidate.is_file():
            return candidate.resolve()
    return None


def closure(path):
    """The file and every project file that it includes, directly or not."""
    seen, waiting = {path}, [path]
    while waiting:
        current = waiting.pop()
        for include in includes(current)[0]:
            target = resolve(current, include)
            if target and target not in seen:
                seen.add(target)
                waiting.append(target)
    return sorted(seen)
