"""The Debian package: made by cpack from the release build, unpacked into a scratch root, and run from there."""
import os
import re
import shutil
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from servers.paths import build

EXECUTABLE = 'usr/bin/headroom'
PACKAGE = 'usr/lib/python3/dist-packages/headroom'


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, '%s\n%s%s' % (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope='module')
def deb(tmp_path_factory):
    folder = tmp_path_factory.mktemp('deb')
    run('cpack', '-G', 'DEB', '-B', folder, cwd=build())
    shutil.rmtree(folder / '_CPack_Packages', ignore_errors=True)
    [package] = folder.glob('*.deb')
    return package


@pytest.fixture(scope='module')
def root(deb, tmp_path_factory):
    folder = tmp_path_factory.mktemp('root')
    run('dpkg-deb', '-x', deb, folder)
    return folder


@pytest.fixture(scope='module')
def control(deb, tmp_path_factory):
    folder = tmp_path_factory.mktemp('control')
    run('dpkg-deb', '-e', deb, folder)
    return folder


def contents(deb):
    """(mode, owner, path) of every entry."""
    for line in run('dpkg-deb', '-c', deb).splitlines():
        mode, owner, _size, _day, _time, path = line.split(None, 5)
        yield mode, owner, path.split(' -> ')[0].lstrip('.')


def test_everything_belongs_to_root_and_nobody_else_may_write(deb):
    entries = list(contents(deb))
    assert entries
    assert {owner for _, owner, _ in entries} == {'root/root'}
    for mode, _, path in entries:
        assert mode[5] == '-' and mode[8] == '-', '%s %s' % (mode, path)
        assert 's' not in mode and 't' not in mode, '%s %s' % (mode, path)
        if not mode.startswith('d'):
            assert ('x' in mode) == (path == '/' + EXECUTABLE), '%s %s' % (mode, path)


def test_it_holds_what_an_operator_expects(deb):
    paths = {path for _, _, path in contents(deb)}
    for path in ('/usr/bin/headroom', '/lib/systemd/system/headroom.service', '/lib/systemd/system/headroom@.service', '/etc/headroom/headroom.toml',
            '/usr/share/man/man1/headroom.1.gz', '/usr/share/bash-completion/completions/headroom',
            '/usr/share/doc/headroom/copyright', '/usr/share/doc/headroom/api.md', '/' + PACKAGE + '/trytond.py',
            '/' + PACKAGE + '/adapters/'):
        assert path in paths, path
    assert not [path for path in paths if '__pycache__' in path or path.endswith(('.cpp', '.hpp', '.o', '.a'))]
    assert not [path for path in paths if path.startswith(('/usr/local', '/home', '/var', '/work'))]


def test_control_files_name_dependencies_and_configuration(control):
    fields = (control / 'control').read_text()
    depends = re.search(r'^Depends: (.*)$', fields, re.M).group(1)
    for name in ('libc6', 'libsqlite3-0', 'python3', 'adduser', 'libssl3'):
        assert re.search(r'\b%s\b' % re.escape(name), depends), depends
    assert (control / 'conffiles').read_text().split() == ['/etc/headroom/headroom.toml']
    for name in ('postinst', 'prerm', 'postrm'):
        script = control / name
        assert stat.S_IMODE(script.stat().st_mode) == 0o755
        run('sh', '-n', script)
    postinst = (control / 'postinst').read_text()
    assert '-m 2770' in postinst and 'adduser --quiet tryton headroom' in postinst and 'restart trytond' in postinst


def test_the_executable_runs_from_the_root(root):
    assert re.fullmatch(r'headroom \d+\.\d+\.\d+\n', run(root / EXECUTABLE, '--version'))
    assert 'serve' in run(root / EXECUTABLE, '--help')


def test_the_python_package_is_imported_from_the_root(root):
    code = 'import headroom._native, headroom; print(headroom._native.__file__)'
    place = run('/usr/bin/python3', '-c', code, cwd='/', env={
        'PATH': os.environ['PATH'], 'PYTHONPATH': str(root / PACKAGE / '..'), 'PYTHONDONTWRITEBYTECODE': '1'})
    assert Path(place.strip()).resolve().is_relative_to((root / PACKAGE).resolve())


def test_the_manual_page_and_the_completion_are_well_formed(root):
    page = run('gzip', '-dc', root / 'usr/share/man/man1/headroom.1.gz')
    assert page.startswith('.TH HEADROOM 1')
    commands = set(re.findall(r'^\.BR? "?([a-z]+)', page, re.M))
    help_text = run(root / EXECUTABLE, '--help')
    for command in ('session', 'method', 'repeat', 'conflict', 'overview', 'status', 'prune', 'serve'):
        assert command in commands and command in help_text
    run('bash', '-n', root / 'usr/share/bash-completion/completions/headroom')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def get(port, path):
    try:
        with urllib.request.urlopen('http://127.0.0.1:%d%s' % (port, path), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for_ready(notifications, process):
    notifications.settimeout(30)
    message = notifications.recv(4096).decode()
    assert process.poll() is None and 'READY=1' in message, message


SERVICE, TEMPLATE = 'headroom.service', 'headroom@.service'


def unit(root, name):
    """(key, value) of each line, in order."""
    text = (root / 'lib/systemd/system' / name).read_text()
    return [tuple(line.split('=', 1)) for line in text.splitlines() if '=' in line and not line.startswith('#')]


@pytest.mark.skipif(not shutil.which('systemd-analyze'), reason='no systemd here')
@pytest.mark.parametrize('name', [SERVICE, TEMPLATE])
def test_the_units_are_what_systemd_reads(root, tmp_path, name):
    copy = tmp_path / name
    copy.write_text((root / 'lib/systemd/system' / name).read_text().replace('/' + EXECUTABLE, str(root / EXECUTABLE)))
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', copy], capture_output=True, text=True, timeout=60)
    assert (done.returncode, [line for line in done.stderr.splitlines() if 'headroom' in line]) == (0, [])


def test_the_template_is_the_service_but_for_its_port(root):
    own = {'Description', 'After', 'ExecStart', 'RuntimeDirectory', 'RuntimeDirectoryMode'}
    service, template = ([line for line in unit(root, name) if line[0] not in own] for name in (SERVICE, TEMPLATE))
    assert service == template
    assert int(dict(service)['LimitNOFILE']) > 20000 + 4096, 'the clients of the bus and what is beside them'
    assert not {'RuntimeDirectory', 'RuntimeDirectoryMode'} & set(dict(unit(root, TEMPLATE))), 'the first that stops would take it from the others'


def command_of(root, name, instance, configuration):
    words = dict(unit(root, name))['ExecStart'].replace('%i', instance).split()
    paths = {'/' + EXECUTABLE: str(root / EXECUTABLE), '/etc/headroom/headroom.toml': str(configuration)}
    assert set(paths) < set(words), words
    return [paths.get(word, word) for word in words]


@pytest.mark.parametrize('name', [SERVICE, TEMPLATE])
def test_the_service_starts_tells_systemd_answers_and_stops(root, tmp_path, name):
    port = free_port()
    of_file = port if name == SERVICE else free_port()
    configuration = tmp_path / 'headroom.toml'
    configuration.write_text('[perf]\nstore = "sqlite://%s/perf.sqlite"\nstate = "%s"\n\n[serve]\nlisten = "127.0.0.1:%d"\n'
        % (tmp_path, tmp_path, of_file))
    notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notifications.bind(str(tmp_path / 'notify'))
    process = subprocess.Popen(command_of(root, name, str(port), configuration),
        env={**os.environ, 'NOTIFY_SOCKET': str(tmp_path / 'notify')})
    try:
        wait_for_ready(notifications, process)
        for _ in range(100):
            status, body = get(port, '/health')
            if status == 200:
                break
            time.sleep(0.1)
        assert (status, '"status":"ok"' in body) == (200, True), body
        status, body = get(port, '/metrics')
        assert status == 200 and 'headroom_store_up' in body
        status, body = get(port, '/api/perf/session')
        assert status == 200 and '"rows":[]' in body, body
        assert get(port, '/api/perf/none')[0] == 404
        process.terminate()
        assert process.wait(timeout=15) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        notifications.close()
