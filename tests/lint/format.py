#!/usr/bin/env python3
"""Checks that clang-format-16 would change nothing. `format.py --fix` lets it."""
import subprocess
import sys

from sources import sources


def main():
    mode = ['-i'] if sys.argv[1:] == ['--fix'] else ['--dry-run', '-Werror']
    return subprocess.run(['clang-format-16', *mode, *sources('.cpp', '.hpp')]).returncode


if __name__ == '__main__':
    sys.exit(main())
