"""Rows: what a recorded statement costs, and what the original's way of recording it costs beside."""
from servers.recorder import Recorder

from .figures import interval, row, shown, trimmed_mean
from .rpc import run_worker

METHOD = 'model.bench.statement'


def rounds(servers, dialect, redis, size):
    """Nanoseconds of wall and CPU time a statement, by way and round; checked."""
    recorder = Recorder(servers, servers.store_url('statement-' + dialect))
    connect = None
    if dialect == 'postgresql':
        connect = servers.postgresql().uri + 'scenario'
    result = run_worker('statement_worker.py', '',
        {'dialect': dialect, 'connect': connect, 'store': recorder.url, 'state': recorder.state.as_posix(),
            'redis': redis.port, **size})
    calls = recorder.calls(METHOD)
    assert result['flushed']
    assert len(calls) == result['calls'], (len(calls), result['calls'])
    assert sum(call.statement_count for call in calls) == result['statements']
    assert result['trips'] == result['expected_trips'], (result['trips'], result['expected_trips'])
    return result['rounds']


def rows(servers, dialect, redis, size, judge):
    found = rounds(servers, dialect, redis, size)
    cpu = interval([(each['ours'][1] - each['bare'][1]) / 1000 for each in found], trimmed_mean)
    bare = sum(each['bare'][1] for each in found) / len(found) / 1000
    yield row('a statement of a traced call, %s' % dialect, 'us CPU', shown(cpu, 2), '<= 1.5',
        cpu[0] <= 1.5 if judge else None, 'SELECT 1 and its fetch alone: %.1f' % bare)
    ours, originals = ([(each[way][0] - each['bare'][0]) / 1000 for each in found] for way in ('ours', 'originals'))
    ratio = ratio_of_means(ours, originals)
    yield row('the original\'s way over ours, a statement, %s' % dialect, 'times', shown(ratio, 0), '>= 50',
        ratio[0] >= 50 if judge else None, 'original: %s us' % shown(interval(originals), 0))


def ratio_of_means(ours, originals):
    pairs = list(zip(ours, originals))

    def ratio(some):
        least = 0.001 * len(some)  # what a busy machine hides of a difference must not divide by nothing
        return sum(theirs for _, theirs in some) / max(sum(own for own, _ in some), least)

    return interval(pairs, ratio)
