"""Writes trytond.conf as an administrator would."""
import configparser
from pathlib import Path

SAO = '/usr/share/tryton-sao/www'
CACHE_CLASS = 'headroom.trytond.MemoryCache'


def write_configuration(path, database_uri='sqlite://', database_path=None, port=None, recorder=None, sections=None):
    """`recorder` is the section `[perf]`; with it the one line that loads the recorder is written too. `sections` are
    added as they are."""
    parser = configparser.ConfigParser(interpolation=None)
    parser['database'] = {'uri': database_uri}
    if database_path:
        parser['database']['path'] = str(database_path)
    parser['session'] = {'max_attempt': '1000', 'max_attempt_ip_network': '10000'}
    if port:
        parser['web'] = {'listen': '127.0.0.1:%d' % port, 'root': SAO}
    if recorder is not None:
        parser['cache'] = {'class': CACHE_CLASS}
        parser['perf'] = recorder
    for name, section in (sections or {}).items():
        if not parser.has_section(name):
            parser.add_section(name)
        parser[name].update(section)
    with open(path, 'w') as file:
        parser.write(file)
    return Path(path)
