"""Finds the module that the build made of profilers_module.cpp (target headroom_profilers)."""
import importlib.util
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def module_path():
    given = os.environ.get('HEADROOM_PROFILERS')
    if given:
        return pathlib.Path(given)
    folder = os.environ.get('HEADROOM_BUILD')
    found = pathlib.Path(folder).glob('python/headroom_profilers*.so') if folder else \
        ROOT.glob('build/*/python/headroom_profilers*.so')
    built = sorted(found, key=lambda path: path.stat().st_mtime)
    if not built:
        raise FileNotFoundError('no headroom_profilers module: build the target headroom_profilers, '
                                'or name the file in HEADROOM_PROFILERS')
    return built[-1]


def load():
    spec = importlib.util.spec_from_file_location('headroom_profilers', module_path())
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Tree:
    """A profile as the tests ask for it."""

    def __init__(self, profile):
        self.profile = profile
        self.frames = profile['frames']
        self.nodes = profile['nodes']

    def name(self, node):
        return self.frames[self.nodes[node][1]][0]

    def path(self, node):
        names = []
        while node:
            names.append(self.name(node))
            node = self.nodes[node][0]
        return tuple(reversed(names))

    def paths(self):
        """Calls by path of function names."""
        found = {}
        for node in range(1, len(self.nodes)):
            path = self.path(node)
            found[path] = found.get(path, 0) + self.nodes[node][2]
        return found

    def calls(self, name):
        return sum(node[2] for node in self.nodes[1:] if self.frames[node[1]][0] == name)

    def names(self):
        return {frame[0] for frame in self.frames}

    def wall(self, name=None):
        return self._sum(3, name)

    def cpu(self, name=None):
        return self._sum(4, name)

    def _sum(self, field, name):
        """Self time in seconds of functions whose name ends so; of the whole tree without a name."""
        return sum(values[field] for node, values in enumerate(self.nodes)
                   if name is None or (node and self.name(node).endswith(name))) / 1e9

    def below(self, name):
        """Time of every path that holds a function whose name ends so."""
        return sum(values[3] for node, values in enumerate(self.nodes)
                   if any(each.endswith(name) for each in self.path(node))) / 1e9


@pytest.fixture(scope='session')
def profilers():
    return load()


class PoolMeta(type):
    """As trytond's: the model's name becomes the name of the class."""

    def __new__(mcs, name, bases, members):
        new = type.__new__(mcs, name, bases, members)
        if '__name__' in members:
            new.__name__ = members['__name__']
        return new
