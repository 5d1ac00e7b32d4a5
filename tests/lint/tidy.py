#!/usr/bin/env python3
"""Runs clang-tidy-16 with the list in .clang-tidy: tidy.py BUILD_FOLDER [FILE...]

Only sources that the build compiles, and no tests: those are read with the code that they test. A source that was clean stays
clean as long as it, the project's headers below it, its compiler options and .clang-tidy are the same, so a hash over
these is kept in BUILD_FOLDER/../cache/tidy and the second run takes a moment.

Nearly all of the time goes into the headers of libraries, which each source reads again. So sources with the same options are
read several at a time, as one that includes them: each header once. Sources that define the same name in their
unnamed namespaces can't be read together and go into different ones; where that was not foreseen and the joined source does
not compile, its sources are read one by one.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sources import closure, root

TOOL = 'clang-tidy-16'
SKIPPED = re.compile(r'(_test|_bench|_fuzz|_conformance|fuzz_replay)\.cpp$')
# Options of g++ that clang does not know, or that only slow it down here.
EXTRA = ['-Wno-unknown-warning-option', '-Wno-error', '-fno-sanitize=all']
#: Sources read at a time: enough to share the headers, few enough to keep both cores busy to the end.
TOGETHER = 10
#: What a line at the left margin defines: a function, a type, a constant.
DEFINED = re.compile(r'^(?!namespace|using [\w:]+;)[A-Za-z][^=({;\n]*?(?<![\w:])(\w+)(?: final)?\s*(?:[=({;]|:(?!:)|$)', re.MULTILINE)


def commands(build):
    """The compiled sources of this repository with their commands."""
    entries = json.loads((build / 'compile_commands.json').read_text())
    found = {}
    for entry in entries:
        path = Path(entry['directory'], entry['file']).resolve()
        if path.is_relative_to(root) and not path.is_relative_to(root / 'build') and not SKIPPED.search(path.name):
            found[path] = entry['command']
    return found


def options(command):
    """The command without what it reads and writes."""
    return re.sub(r'\s-(?:o|c)\s+\S+', '', command)


def key(path, command):
    digest = hashlib.sha256((root / '.clang-tidy').read_bytes())
    digest.update(re.sub(r'build/\w+', '', options(command)).encode())
    for source in closure(path):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def groups(stale, found):
    """Sources with the same options that define no name twice, at most TOGETHER in each."""
    made = []
    for path in sorted(stale):
        names = set(DEFINED.findall(path.read_text()))
        flags = options(found[path])
        for group in made:
            if group['flags'] == flags and len(group['paths']) < TOGETHER and not group['names'] & names:
                break
        else:
            group = {'flags': flags, 'paths': [], 'names': set()}
            made.append(group)
        group['paths'].append(path)
        group['names'] |= names
    made.sort(key=lambda group: len(group['paths']), reverse=True)
    return [group['paths'] for group in made]


def findings(build, paths, command):
    """What clang-tidy says of these sources read as one, and whether they compile so."""
    with tempfile.TemporaryDirectory(prefix='headroom-tidy-') as folder:
        joined = Path(folder, 'joined.cpp')
        joined.write_text(''.join('#include "%s"  // NOLINT(bugprone-suspicious-include)\n' % path for path in paths))
        Path(folder, 'compile_commands.json').write_text(json.dumps([
            {'directory': str(build), 'file': str(joined), 'command': '%s -c %s' % (options(command), joined)}]))
        done = subprocess.run([TOOL, '--quiet', '--config-file', root / '.clang-tidy', '-p', folder,
                *['--extra-arg=' + option for option in EXTRA], joined], capture_output=True, text=True)
    text = '' if done.returncode == 0 else done.stdout or done.stderr
    return text, 'clang-diagnostic-error' not in text


def check(build, paths, found):
    """The findings by source; under the first of several that were read as one."""
    text, compiles = findings(build, paths, found[paths[0]])
    if compiles or len(paths) == 1:
        return {path: text for path in paths}
    return {path: findings(build, [path], found[path])[0] for path in paths}


def main():
    build = Path(sys.argv[1]).resolve()
    chosen = [Path(name).resolve() for name in sys.argv[2:]]
    cache = build.parent / 'cache' / 'tidy'
    cache.mkdir(parents=True, exist_ok=True)
    found = commands(build)
    stale = {}
    for path, command in found.items():
        mark = cache / key(path, command)
        if not mark.exists() and (not chosen or path in chosen):
            stale[path] = mark
    failed = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for checked in pool.map(lambda paths: check(build, paths, found), groups(stale, found)):
            for path, text in checked.items():
                if not text:
                    stale[path].touch()
                elif text not in failed:
                    failed.add(text)
                    print(text, flush=True)
    print('%d sources, %d read now, %d with findings' % (len(found), len(stale), len(failed)))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
