"""`headroom trytond check` and the package inside trytond read the same file: what one refuses, the other ignores.

The checker is C++ and knows only the text; the package is Python and gets what trytond's own parser made of it. So both
run here over the same files, and must agree on every key.
"""
import configparser
import json
import logging
import re
import sys

import pytest

from servers import paths, run_headroom

sys.path.insert(0, str(paths.build() / 'python'))

from headroom import settings  # noqa: E402
from trytond.config import TrytonConfigParser  # noqa: E402

LOADED = '[cache]\nclass = headroom.trytond.MemoryCache\n'
DATABASE = '[database]\npath = /var/lib/trytond\n'
UNREADABLE = {'the file'}

ACCEPTED = {
    'broker': ['sqlite:///srv/perf.sqlite', 'redis://localhost', 'redis://user:secret@[::1]:6379/1', 'rediss://host:1/0',
        'unix:///run/redis.sock', ''],
    'state': ['/var/lib/headroom', '/srv/with blanks'],
    'users': ['admin', 'admin, 7', 'admin,\n  login:42,\n\n  7,', '*', ''],
    'database': ['shop', 'shop_*', '[!a]]', ''],
    'methods': ['model.sale.*', 'model.sale.*,\n model.res.user.read'],
    'profile': ['*', 'model.[rs]*.read'],
    'secrets': ['iban, card_number', ''],
    'query': ['24h', '0.5', '2', '.5', '5.', '500ms', '2 s', '1.5m', '1h', '0', ''],
    'slower_than': ['250 ms'],
    'flush_interval': ['1', '100ms'],
    'body_limit': ['0', '100', '64k', '64 KiB', '2MB', '16m', '10 b', ''],
    'buffer_limit': ['4M', '64k', '1gb'],
    'one_in': ['1', '100', '1/100', ''],
    }
REFUSED = {
    'broker': ['mysql://host', 'perf.sqlite', 'sqlite://relative', 'unix://relative', 'redis:host', 'redis://', 'sqlite:///',
        '/srv/perf.sqlite', 'sqlite:///var/lib/trytond/perf.sqlite', 'sqlite:///srv/../var/lib/trytond/x/perf.sqlite'],
    'state': ['var', './var', '~/var'],
    'users': [',', 'admin, login:', ', ,', 'admin, [a'],
    'database': ['shop, test', 'shop\n  test', 'shop[', '[]'],
    'methods': [',\n ,', '[a', 'model.*,\n [!]'],
    'db': [','],
    'query': ['-1', 'fast', '1d', '1us', '2min', '1e3', '1 2', '1.2.3', '.', 's', 'inf', '1,5', '5 S', '24.1h', '99999999999999999999h', '9' * 400],
    'slower_than': ['nan'],
    'body_limit': ['-1', '1.5k', '1 0 k', 'k', '10t', '1kk', '0x10', '17m', '16777217', '99999999999999g', '9' * 40],
    'buffer_limit': ['0', '1', '63k', '65535', '1025m', '2g'],
    'profile': ['[a'],
    'one_in': ['0', '1/0', '2/3', '1/', '01', '0.5', '-1', '1 / 100', '1234567890'],
    'user': ['admin'],
    'brokers': ['redis://localhost'],
    }


def ignored_by_the_package(path, caplog):
    """The keys of [perf] that trytond's process would ignore."""
    config = TrytonConfigParser()
    try:
        config.update_etc(str(path))
    except configparser.Error:
        return UNREADABLE
    caplog.clear()
    with caplog.at_level(logging.ERROR, 'headroom'):
        settings.read(config)
    messages = [record.getMessage() for record in caplog.records]
    return {re.match(r'\[perf\] (\w+)', message)[1] for message in messages}


def refused_by_the_checker(path):
    done = run_headroom('trytond', 'check', path, '--json', check=False)
    errors = [row for row in json.loads(done.stdout) if row['severity'] == 'error']
    assert done.returncode == (1 if errors else 0), done.stderr
    # "a second time" is what trytond's parser refuses, and with it the file.
    keys = ['a second time' not in row['text'] and re.match(r'\[perf\] (?:has no key )?(\w+)', row['text'])
        for row in errors]
    return {key[1] for key in keys} if all(keys) else UNREADABLE


def verdicts(tmp_path, caplog, text):
    path = tmp_path / 'trytond.conf'
    path.write_text(text)
    return refused_by_the_checker(path), ignored_by_the_package(path, caplog)


@pytest.mark.parametrize('key, value', [(key, value) for key, values in ACCEPTED.items() for value in values])
def test_both_accept(tmp_path, caplog, key, value):
    assert verdicts(tmp_path, caplog, '%s%s[perf]\n%s = %s\n' % (DATABASE, LOADED, key, value)) == (set(), set())


@pytest.mark.parametrize('key, value', [(key, value) for key, values in REFUSED.items() for value in values])
def test_both_refuse(tmp_path, caplog, key, value):
    assert verdicts(tmp_path, caplog, '%s%s[perf]\n%s = %s\n' % (DATABASE, LOADED, key, value)) == ({key}, {key})


@pytest.mark.parametrize('perf, refused', [
        ('', set()),
        ('users = admin\ndb = *\nprofil = *\nquery = soon\n', {'profil', 'query'}),
        ('USERS : admin\n; a comment\n# another\nQuery=1s\n', set()),
        ('users =\n  admin\n  # a comment between\n  7\n', set()),
        ('state = /var/lib/trytond/headroom\n', {'broker'}),
        ('state = /var/lib/trytond/headroom\nbroker = redis://localhost\n', set()),
        ('users = admin\nusers = other\n', UNREADABLE),
        ('users = admin\n[cache]\nclean_timeout = 1\n', UNREADABLE),
        ('users\n', UNREADABLE),
        ])
def test_both_judge_whole_sections_alike(tmp_path, caplog, perf, refused):
    assert verdicts(tmp_path, caplog, '%s%s[perf]\n%s' % (DATABASE, LOADED, perf)) == (refused, refused)


def test_every_key_of_the_package_is_tried():
    assert set(settings._SETTINGS) | set(settings._RULE) <= set(ACCEPTED) | {'sample', 'db', 'io'}
