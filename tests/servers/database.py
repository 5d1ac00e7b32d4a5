"""Tryton databases, made once and kept.

Making one with sale and stock takes a good part of a minute, and every scenario wants a fresh one. So each kind is made once
and kept in build/cache under a key over all that it depends on: the versions of Debian's packages and the sources of
the modules and data that go in. A test gets a copy: of the file for SQLite, of the template database for PostgreSQL.

Two databases are kept of each kind: `business` for the demo, `scenario` with the tests' own module activated besides.
"""
import contextlib
import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

from . import business, paths
from .configuration import write_configuration
from .postgresql import PostgreSQL

PASSWORD = 'admin'
EMAIL = 'admin@example.com'
TEST_MODULE = 'headroom_test'


def _key(kind):
    versions = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${Version}\n', 'tryton-*', 'postgresql-15'],
        capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256(versions.encode())
    sources = [Path(__file__), Path(business.__file__)]
    if kind == 'scenario':
        sources += sorted((paths.modules / TEST_MODULE).glob('*'))
    for source in sources:
        if source.is_file():
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _locked(name):
    """One process makes it, the others wait."""
    paths.cache.mkdir(parents=True, exist_ok=True)
    with open(paths.cache / (name + '.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command, environment):
    done = subprocess.run(list(map(str, command)), env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError('%s failed\n%s' % (command, done.stdout[-4000:]))


def _activate(configuration, name, modules):
    """Creates or extends a database; the password of admin is the one above."""
    with tempfile.NamedTemporaryFile('w', prefix='headroom-') as password:
        password.write(PASSWORD + '\n')
        password.flush()
        _run(['trytond-admin', '-c', configuration, '-d', name, '--email', EMAIL, '--activate-dependencies',
                '-u', *modules], {'TRYTONPASSFILE': password.name, 'PYTHONPATH': str(paths.modules)})


def _fill(configuration, name):
    _run([paths.python, business.__file__, configuration, name], {})


def _make_business(configuration, name):
    _activate(configuration, name, ['sale', 'stock'])
    _fill(configuration, name)


def sqlite_template(kind):
    """The file of a SQLite database of that kind ('business' or 'scenario'), made where it is missing."""
    kept = paths.cache / ('tryton-%s-%s.sqlite' % (kind, _key(kind)))
    with _locked('sqlite-' + kind):
        if not kept.exists():
            _make_sqlite(kind, kept)
    return kept


def _make_sqlite(kind, kept):
    with tempfile.TemporaryDirectory(prefix='headroom-') as folder:
        configuration = write_configuration(Path(folder) / 'trytond.conf', database_path=folder)
        made = Path(folder) / 'made.sqlite'
        if kind == 'business':
            sqlite3.connect(made).close()
            made.touch()
            _make_business(configuration, 'made')
        else:
            shutil.copy(sqlite_template('business'), made)
            _activate(configuration, 'made', [TEST_MODULE])
        _keep(kind, made, kept)


def _keep(kind, made, kept):
    _forget_old(kind, kept)
    partial = kept.with_suffix('.partial')
    shutil.copy(made, partial)
    partial.rename(kept)


def _forget_old(kind, kept):
    for old in paths.cache.glob('tryton-%s-*%s' % (kind, kept.suffix)):
        old.unlink()


def copy_sqlite(kind, folder, name):
    """A fresh SQLite database `name` in trytond's `[database] path`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (name + '.sqlite')
    shutil.copy(sqlite_template(kind), target)
    return target


def postgresql_archive(kind):
    """The data of a PostgreSQL server with a database named as the kind, made where it is missing."""
    kept = paths.cache / ('tryton-%s-%s.tar' % (kind, _key(kind)))
    with _locked('postgresql-' + kind):
        if not kept.exists():
            _make_postgresql(kind, kept)
    return kept


def _make_postgresql(kind, kept):
    folder = Path(tempfile.mkdtemp(prefix='headroom-'))
    folder.chmod(0o755)
    server = PostgreSQL(folder)
    try:
        if kind == 'business':
            server.initialize().start()
        else:
            server.restore(postgresql_archive('business')).start()
        configuration = write_configuration(folder / 'trytond.conf', database_uri=server.uri)
        if kind == 'business':
            server.create(kind)
            _make_business(configuration, kind)
        else:
            server.create(kind, template='business')
            _activate(configuration, kind, [TEST_MODULE])
        _forget_old(kind, kept)
        server.save(kept)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
