#!/usr/bin/python3
"""How fast the pages are in a browser, beside the promised figures.

    bin/bench web [--quick] [--json FILE]

Debian's Chromium, headless and drawing in software, before a real `headroom serve` over a store of a million calls. A figure is
the median of 20 and, in brackets, the 95th percentile. What was shown is checked before a clock counts. `--quick` does the same
on a small store and judges nothing but the results.
"""
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'tests'), str(ROOT / 'bench')]

import live  # noqa: E402
from recorder import figures  # noqa: E402
from servers import Servers, free_port, paths  # noqa: E402

FIRST_CALL = datetime(2026, 11, 1)  # of perf_store_bench
GOALS = {'first_page': ('first page, to rows that answer a key', 'ms', 200), 'flame_draw': ('flame graph of 100,000 nodes, to its picture', 'ms', 100),
    'flame_frame': ('flame graph of 100,000 nodes, one frame of zooming', 'ms', 20)}


def serve(servers, calls):
    """The address of a daemon over a store of so many calls."""
    store = servers.folder / 'bench.sqlite'
    subprocess.run([paths.build() / 'src/perf/perf_store_bench', '--calls', str(calls), '--keep', store], check=True,
        stdout=subprocess.DEVNULL)
    port = free_port()
    configuration = servers.folder / 'headroom.toml'
    configuration.write_text('[perf]\nstore = "sqlite://%s"\nstate = "%s"\nretention_age = "3000d"\n\n[serve]\nlisten = "127.0.0.1:%d"\n' % (
            store, servers.folder, port))
    servers.headroom(configuration, port)
    return 'http://127.0.0.1:%d' % port


def measure(address, calls, rounds):
    """Times by figure, in milliseconds."""
    done = subprocess.run(['node', ROOT / 'bench' / 'web' / 'measure.mjs'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=600,
        env={**os.environ, 'HEADROOM_URL': address, 'HEADROOM_CALLS': str(calls), 'HEADROOM_ROUNDS': str(rounds)})
    if done.returncode:
        raise RuntimeError('measure.mjs ended with status %d' % done.returncode)
    return json.loads(done.stdout)


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def spread(what, unit, values, goal, judge):
    return figures.row(what, unit, middle_and_p95(values), '<= %g' % goal, quantile(values, 0.5) <= goal if judge else None)


def middle_and_p95(values):
    return '%.1f (p95 %.1f)' % (quantile(values, 0.5), quantile(values, 0.95))


def side(first, calls):
    """A range of time with so many calls; perf_store_bench makes one in 0.3 s."""
    ends = (FIRST_CALL + timedelta(seconds=0.3 * number) for number in (first, first + calls))
    return '..'.join(end.isoformat(timespec='milliseconds') for end in ends)


def compared(address, calls, rounds):
    """Milliseconds for the answer about two sides of so many calls, as the page asks for it."""
    url = '%s/api/perf/diff?%s' % (address, urllib.parse.urlencode({'a': side(0, calls), 'b': side(5 * calls, calls)}))
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        with urllib.request.urlopen(url, timeout=60) as response:
            answer = json.load(response)
        times.append(1000 * (time.perf_counter() - begin))
        found = [answer['summary'][name]['calls'] for name in 'ab']
        assert all(abs(number - calls) <= 1 for number in found), found
    return times


def rows(servers, quick):
    calls, rounds = (20_000, 2) if quick else (1_000_000, 20)
    address = serve(servers, calls)
    times = measure(address, calls, rounds)
    yield figures.row('floor: a few bytes of the same daemon, to a picture', 'ms', middle_and_p95(times['floor']))
    for name, (what, unit, goal) in GOALS.items():
        yield spread(what, unit, times[name], goal, not quick)
    yield spread('diff of two sides of %d calls, to its answer' % (calls // 10), 'ms', compared(address, calls // 10, rounds), 1000, not quick)


def all_rows(quick):
    for part in (rows, live.rows):
        with Servers() as servers:
            yield from part(servers, quick)


def main():
    options = figures.arguments('web', __doc__).parse_args()
    return figures.run(all_rows(options.quick), options.json)


if __name__ == '__main__':
    sys.exit(main())
