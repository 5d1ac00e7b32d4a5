"""Rows of a benchmark, their spread, and the table that they are printed in."""
import json
import random
import statistics

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
