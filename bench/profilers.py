#!/usr/bin/python3
"""What the profilers cost, and how true the samples are, beside cProfile and the floor, in one run.

    /usr/bin/python3 bench/profilers.py [--quick] [--json FILE]

Rounds are interleaved: every round runs all variants one after the other, in a new order each time; a ratio is formed
within a round, and the median of the rounds is printed with its quartiles. CPU time of the thread is what is compared,
because the machine may be shared. Every profile is checked against the known number of calls before its clock counts.
"""
import argparse
import cProfile
import importlib.util
import json
import os
import pathlib
import pstats
import random
import statistics
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def load_module():
    given = os.environ.get('HEADROOM_PROFILERS')
    folder = pathlib.Path(os.environ.get('HEADROOM_BUILD', ROOT / 'build/release'))
    built = [pathlib.Path(given)] if given else list(folder.glob('python/headroom_profilers*.so'))
    if not built:
        sys.exit('bench/profilers.py: no headroom_profilers module; build the preset release, '
                 'name another build folder in HEADROOM_BUILD, or the file in HEADROOM_PROFILERS')
    spec = importlib.util.spec_from_file_location('headroom_profilers', built[-1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The workload: objects as an application server handles them, many short methods, C functions, generators.

class PoolMeta(type):
    def __new__(mcs, name, bases, members):
        new = type.__new__(mcs, name, bases, members)
        new.__name__ = members.get('__name__', name)
        return new


class Model(metaclass=PoolMeta):
    __slots__ = ('values',)

    def __init__(self, number):
        self.values = {'id': number, 'name': str(number)}

    @classmethod
    def browse(cls, ids):
        return [cls(number) for number in ids]

    def get(self, name):
        return self.values.get(name)

    @property
    def rec_name(self):
        return self.get('name').upper()


class Sale(Model):
    __name__ = 'sale.sale'
    __slots__ = ()

    @classmethod
    def read(cls, ids, names):
        return [{name: record.get(name) for name in names} for record in cls.browse(ids)]

    @classmethod
    def total(cls, ids):
        return sum(len(record.rec_name) for record in cls.chosen(cls.browse(ids)))

    @classmethod
    def chosen(cls, records):
        for record in records:
            if record.get('id') % 3:
                yield record


def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


def application(size):
    for _ in range(size):
        Sale.read(range(50), ['id', 'name'])
        Sale.total(range(50))
        fibonacci(9)


class Variants:
    """Each runs the workload once and returns the thread's CPU seconds; `check` gets the profile."""

    def __init__(self, module, size):
        self.module = module
        self.size = size
        self.expected = 109 * size  # calls of fibonacci(9)

    def timed(self):
        start = time.thread_time()
        application(self.size)
        return time.thread_time() - start

    def bare(self):
        return self.timed()

    def floor(self):
        self.module.set_empty()
        try:
            return self.timed()
        finally:
            self.module.set_none()

    def cprofile(self):
        profile = cProfile.Profile()
        profile.enable()
        seconds = self.timed()
        profile.disable()
        calls = sum(entry[1] for key, entry in pstats.Stats(profile).stats.items() if key[2] == 'fibonacci')
        assert calls == self.expected, calls
        return seconds

    def exact(self):
        profiler = self.module.Exact()
        seconds = self.timed()
        profile = profiler.stop()
        calls = sum(node[2] for node in profile['nodes'][1:] if profile['frames'][node[1]][0] == 'fibonacci')
        assert calls == self.expected, calls
        assert profile['dropped'] == 0
        assert any(frame[0] == 'sale.sale:read' for frame in profile['frames'])
        return seconds

    def sampling(self):
        profiler = self.module.Sampling()
        seconds = self.timed()
        profile = profiler.stop()
        assert profile['samples'] > 0
        return seconds


def interleaved(variants, rounds):
    times = {variant.__name__: [] for variant in variants}
    for variant in variants:
        variant()  # warm
    for _ in range(rounds):
        for variant in random.sample(variants, len(variants)):
            times[variant.__name__].append(variant())
    return times


def quartiles(values):
    if len(values) < 4:
        return min(values), statistics.median(values), max(values)
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


def spread(values, digits):
    low, middle, high = quartiles(values)
    return f'{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'


# Samples: how many beside a thread that holds the GIL, and what shares they show.

def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(200):
            pass


def half():
    burn(0.025)


def third():
    burn(0.015)


def fifth():
    burn(0.010)


SHARES = {'half': 50, 'third': 30, 'fifth': 20}


def share_errors(module, seconds):
    """Samples a second, missed ones, and the largest distance of a share from the truth in points."""
    profiler = module.Sampling()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        half()
        third()
        fifth()
    passed = time.perf_counter() - start
    profile = profiler.stop()
    nodes, frames = profile['nodes'], profile['frames']
    found = dict.fromkeys(SHARES, 0)
    for index in range(1, len(nodes)):
        node = index
        while node:
            name = frames[nodes[node][1]][0]
            if name in found:
                found[name] += nodes[index][4]
                break
            node = nodes[node][0]
    total = sum(found.values())
    worst = max(abs(100 * found[name] / total - share) for name, share in SHARES.items())
    return (profile['samples'] - profile['missed']) / passed, 100 * profile['missed'] / profile['samples'], worst


def beside_a_busy_thread(module, seconds):
    """Samples a second of a thread that waits for the GIL most of the time, while another one computes."""
    done = threading.Event()

    def compute():
        while not done.is_set():
            burn(0.01)

    thread = threading.Thread(target=compute)
    thread.start()
    profiler = module.Sampling()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        half()
    passed = time.perf_counter() - start
    profile = profiler.stop()
    done.set()
    thread.join()
    return (profile['samples'] - profile['missed']) / passed


def rows(quick):
    module = load_module()
    variants = Variants(module, 3 if quick else 40)
    rounds = 3 if quick else 31
    times = interleaved([variants.bare, variants.floor, variants.cprofile, variants.exact], rounds)
    factors = {name: [value / bare for value, bare in zip(values, times['bare'])] for name, values in times.items()}
    added = [(ours - bare) / (theirs - bare)
             for ours, theirs, bare in zip(times['exact'], times['cprofile'], times['bare'])]
    floor = [(empty - bare) / (theirs - bare)
             for empty, theirs, bare in zip(times['floor'], times['cprofile'], times['bare'])]

    def row(what, unit, value, peer, goal, met):
        return {'what': what, 'unit': unit, 'value': value, 'peer': peer, 'goal': goal,
                'met': None if quick else met}

    def middle(values):
        return statistics.median(values)

    yield row('workload without a profile', 'ms CPU', spread([1000 * t for t in times['bare']], 2), '-', '-', None)
    yield row('with an empty C profile function (the floor)', 'times', spread(factors['floor'], 2), '-', '-', None)
    yield row('with the exact profile, whole call tree', 'times', spread(factors['exact'], 2),
              'cProfile: ' + spread(factors['cprofile'], 2), '-', None)
    yield row('added by the floor over added by cProfile', 'ratio', spread(floor, 2), '1', '-', None)
    yield row('added by the exact profile over added by cProfile', 'ratio', spread(added, 2), '1', '<= 1',
              middle(added) <= 1)

    variants = Variants(module, 150)
    times = interleaved([variants.bare, variants.sampling], 3 if quick else 41)
    overhead = [100 * (ours / bare - 1) for ours, bare in zip(times['sampling'], times['bare'])]
    yield row('sampling at 1 kHz adds', '% CPU', spread(overhead, 2), '-', '<= 5', middle(overhead) <= 5)

    seconds = 0.3 if quick else 5
    results = [share_errors(module, seconds) for _ in range(1 if quick else 5)]
    rates, missed, errors = zip(*results)
    yield row('samples of a thread that holds the GIL', '1/s', spread(rates, 0), '-', '>= 900', middle(rates) >= 900)
    yield row('samples missed', '%', spread(missed, 2), '-', '-', None)
    yield row('largest error of a 50/30/20 % share', 'points', spread(errors, 2), '-', '<= 3', max(errors) <= 3)
    rates = [beside_a_busy_thread(module, seconds) for _ in range(1 if quick else 5)]
    yield row('samples beside a thread that computes', '1/s', spread(rates, 0), '-', '>= 900', middle(rates) >= 900)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='small sizes: checks the results, does not judge the clock')
    parser.add_argument('--json', metavar='FILE', help='also write the rows to FILE')
    arguments = parser.parse_args()
    found = []
    print(f'{"what":52} {"unit":7} {"value":28} {"peer":30} {"goal":7} met')
    for row in rows(arguments.quick):
        found.append(row)
        met = {None: '-', True: 'yes', False: 'NO'}[row['met']]
        print(f'{row["what"]:52} {row["unit"]:7} {row["value"]:28} {row["peer"]:30} {row["goal"]:7} {met}', flush=True)
    if arguments.json:
        with open(arguments.json, 'w') as file:
            json.dump(found, file, indent=1)
            file.write('\n')


if __name__ == '__main__':
    main()
