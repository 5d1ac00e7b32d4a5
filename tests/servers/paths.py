"""Where the parts of this checkout are, and how its executable is run."""
import json
import os
import subprocess
from pathlib import Path

project_root = Path(__file__).resolve().parents[2]
cache = project_root / 'build' / 'cache'
modules = project_root / 'tests' / 'modules'
python = '/usr/bin/python3'  # the one that Debian's trytond is installed for


def build():
    """The build tree that holds the executable and the Python package as they are shipped."""
    return Path(os.environ.get('HEADROOM_BUILD', project_root / 'build' / 'release'))


def executable():
    return build() / 'src' / 'headroom' / 'headroom'


def python_path():
    """What PYTHONPATH needs for `import headroom` and for the Tryton module that the tests use."""
    return os.pathsep.join([str(build() / 'python'), str(modules)])


def run_headroom(*arguments, check=True, timeout=60, **environment):
    """Runs a command of the executable. Returns its rows for `--json`, else its output as text."""
    command = [str(executable()), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        env={**os.environ, **environment})
    if check and done.returncode:
        raise AssertionError('%s: exit status %d\n%s%s' % (
            ' '.join(command), done.returncode, done.stdout, done.stderr))
    if not check:
        return done
    return json.loads(done.stdout) if '--json' in arguments else done.stdout
