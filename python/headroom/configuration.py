"""The section `[perf]` for applications that have no configuration of their own for it: a file, and the environment.

The file is an ini file, or TOML when its name ends in .toml; in TOML lists may be lists. The environment is stronger:
HEADROOM_PERF_USERS=admin is the key `users`. HEADROOM_PERF_CONFIG names the file where the application does not.
"""
import configparser
import os

from headroom.runtime import logger
from headroom.settings import SECTION

_PREFIX = "HEADROOM_PERF_"
_FILE = _PREFIX + "CONFIG"


class Configuration:
    """What `headroom.settings.read` asks: the sections and options of one file and of the environment."""

    def __init__(self, file=None, environment=os.environ):
        file = file or environment.get(_FILE)
        self._options = {}
        if file and not self._read(file):
            # Without its file it may record more than was asked for, so the environment does not count either.
            return
        for name, value in environment.items():
            if name.startswith(_PREFIX) and name != _FILE:
                self._options[name[len(_PREFIX):].lower()] = value

    def has_section(self, section):
        return section == SECTION and bool(self._options)

    def options(self, section):
        return list(self._options) if section == SECTION else []

    def get(self, section, option, default=None):
        return self._options.get(option, default) if section == SECTION else default

    def _read(self, file):
        try:
            self._options = _toml(file) if str(file).endswith(".toml") else _ini(file)
        except (OSError, ValueError, configparser.Error) as error:
            # Only the first line: an error of a parser may quote the file.
            logger.error("nobody is recorded: %s can't be read: %s", file, str(error).partition("\n")[0])
            return False
        return True


def _ini(file):
    parser = configparser.ConfigParser(interpolation=None)
    with open(file, encoding="utf-8") as opened:
        parser.read_file(opened)
    return dict(parser[SECTION]) if parser.has_section(SECTION) else {}


def _toml(file):
    import tomllib
    with open(file, "rb") as opened:
        section = tomllib.load(opened).get(SECTION, {})
    if not isinstance(section, dict):
        raise ValueError("[%s] is no table" % SECTION)
    return {key: "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in section.items()}
