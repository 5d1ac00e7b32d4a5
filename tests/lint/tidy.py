#!/usr/bin/env python3
"""Runs clang-tidy-16 with the list in .clang-tidy: tidy.py BUILD_FOLDER [FILE...]

Only sources that the build compiles, and no tests: those are read with the code that they test. A source that was clean stays
clean as long as it, the project's headers below it, its compiler options and .clang-tidy are the same, so a hash over
these is kept in BUILD_FOLDER/../cache/tidy and the second run takes a moment.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from sources import closure, root

TOOL = 'clang-tidy-16'
SKIPPED = re.compile(r'(_test|_bench|_fuzz|_conformance|fuzz_replay)\.cpp$')
# Options of g++ that clang does not know, or that only slow it down here.
EXTRA = ['--extra-arg=-Wno-unknown-warning-option', '--extra-arg=-Wno-error', '--extra-arg=-fno-sanitize=all']


def commands(build):
    """The compiled sources of this repository with their commands."""
    entries = json.loads((build / 'compile_commands.json').read_text())
    found = {}
    for entry in entries:
        path = Path(entry['directory'], entry['file']).resolve()
        if path.is_relative_to(root) and not path.is_relative_to(root / 'build') and not SKIPPED.search(path.name):
            found[path] = entry['command']
    return found


def key(path, command):
    digest = hashlib.sha256((root / '.clang-tidy').read_bytes())
    digest.update(re.sub(r'\S+\.o\b|build/\w+', '', command).encode())
    for source in closure(path):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def check(build, path):
    """The findings in one source; empty when it is clean."""
    done = subprocess.run([TOOL, '--quiet', '-p', build, *EXTRA, path], capture_output=True, text=True)
    return '' if done.returncode == 0 else done.stdout or done.stderr


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
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, findings in zip(stale, pool.map(lambda path: check(build, path), stale)):
            if findings:
                failed += 1
                print(findings, flush=True)
            else:
                stale[path].touch()
    print('%d sources, %d read now, %d with findings' % (len(found), len(stale), failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
