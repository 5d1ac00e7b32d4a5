"""Rows of a benchmark, their spread, the table that they are printed in, and the command line that asks for them."""
import argparse
import json
import random
import signal
import statistics
import sys

RESAMPLES = 2000
COLUMNS = (('what', 66), ('unit', 9), ('value', 26), ('peer', 42), ('goal', 8))


def row(what, unit, value, goal='-', met=None, peer='-'):
    """`value` and `peer` are numbers or texts with their spread; `met` None is a figure without a goal, or not judged."""
    return {'what': what, 'unit': unit, 'value': value, 'peer': peer, 'goal': goal, 'met': met}


def trimmed_mean(values, share=0.2):
    """The mean without that share of the lowest and of the highest: what a busy machine adds falls on few of them."""
    ordered = sorted(values)
    cut = int(len(ordered) * share)
    return statistics.fmean(ordered[cut:len(ordered) - cut])


def interval(values, statistic=statistics.fmean):
    """The statistic and its 95 % bootstrap interval over values that stand for independent repetitions."""
    generator = random.Random(20261121)
    found = sorted(statistic(generator.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return statistic(values), found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES)]


def shown(triple, digits=1):
    middle, low, high = triple
    return f'{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'


def heading():
    print(' '.join(f'{name:{width}}' for name, width in COLUMNS), 'met', flush=True)


def show(one):
    cells = ' '.join(f'{str(one[name]):{width}}' for name, width in COLUMNS)
    print(cells, {None: '-', True: 'yes', False: 'NO'}[one['met']], flush=True)


def write(rows, path):
    with open(path, 'w') as file:
        json.dump(rows, file, indent=1)
        file.write('\n')


def arguments(name, purpose, parts=()):
    """What every benchmark takes; `parts` are the names that `--only` chooses from."""
    parser = argparse.ArgumentParser(prog='bin/bench ' + name, description=purpose.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='small sizes: checks the results, does not judge the clock')
    parser.add_argument('--json', metavar='FILE', help='also write the rows to FILE')
    if parts:
        parser.add_argument('--only', nargs='+', choices=parts, default=list(parts), metavar='PART',
            help='measure only these: ' + ', '.join(parts))
    return parser


def run(rows, json_file=None):
    """Shows each row when it is there, and writes all of them; the exit status, 1 when a goal is missed. SIGTERM ends it so that the
    servers of the rows are stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    heading()
    found = []
    for one in rows:
        show(one)
        found.append(one)
    if json_file:
        write(found, json_file)
    return 1 if any(one['met'] is False for one in found) else 0
