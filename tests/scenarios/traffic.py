"""Seeded traffic of many threads, and the comparison of what was sent with what was stored.

Every client thread draws its calls from a generator, so what must be in the store is known to the last statement. A call is
recognised by its method and shapes: the multiset of what was sent is compared with that of what was stored, session by
session.
"""
import random
import threading
from collections import Counter

from servers import RPCError
from servers.recorder import THING

SEED = 20261121
FAILURES = {'user_error': 'user_error', 'user_warning': 'warning', 'concurrency': 'concurrency', 'exception': 'exception',
    'forbidden': 'http_error'}
ANSWERS = {'user_error': 'UserError', 'user_warning': 'UserWarning', 'concurrency': 'ConcurrencyException',
    'exception': 'a defect in the module', 'forbidden': 'http'}
KINDS_THAT_FAIL = ('user_error', 'exception', 'forbidden', 'retry', 'concurrency')


def draw(generator, token):
    """One call: its method, its arguments, and how it must be stored (status, attempts, shapes)."""
    shapes = [generator.randint(1, 8) for _ in range(generator.randint(0, 5))]
    if generator.random() >= 0.2:
        return 'run', [shapes], ('ok', 1, tuple(sorted(shapes)))
    method = generator.choice(KINDS_THAT_FAIL)
    if method == 'forbidden':
        return method, [shapes], ('http_error', 1, ())
    if method == 'retry':
        return method, [token, 2, shapes], ('ok', 3, tuple(sorted(shapes * 3)))
    return method, [shapes], (FAILURES[method], 1, tuple(sorted(shapes)))


def work(client, name, number, expected, problems):
    generator = random.Random('%d %s' % (SEED, name))
    for turn in range(number):
        method, arguments, outcome = draw(generator, '%s %d' % (name, turn))
        expected[THING + method, *outcome] += 1
        try:
            client.call(THING + method, *arguments)
            if method in FAILURES:
                problems.append('%s did not fail' % method)
        except RPCError as error:
            if error.kind != ANSWERS.get(method):
                problems.append(str(error))
    client.close()


def drive(tryton, ports, threads, number):
    """Lets every thread work with a client of its own; returns what each session must show."""
    expected, workers, problems = {}, [], []
    for index, server in enumerate(ports):
        client = tryton.client(server)
        expected[index] = []
        for thread in range(threads):
            counter = Counter()
            expected[index].append(counter)
            workers.append(threading.Thread(target=work,
                args=(client.clone(), '%d/%d' % (index, thread), number, counter, problems)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not problems, problems[:5]
    return [sum(counters, Counter()) for counters in expected.values()]


def by_session(calls):
    stored = {}
    for call in calls:
        outcome = (call.method, call.status, call.attempts, tuple(shapes_of(call)))
        stored.setdefault(call.session, Counter())[outcome] += 1
    return list(stored.values())


def same(stored, expected):
    """Multisets of multisets: which hash belongs to which client is not known."""
    return sorted(map(sorted, (counter.items() for counter in stored))) == \
        sorted(map(sorted, (counter.items() for counter in expected)))


def difference(stored, expected):
    total, wanted = sum(stored, Counter()), sum(expected, Counter())
    return 'seed %d; too many: %s; missing: %s' % (SEED, (total - wanted).most_common(5), (wanted - total).most_common(5))


def check(recorder, expected):
    number = sum(map(Counter.total, expected))
    calls = recorder.wait_for_calls(number, seconds=60)
    stored = by_session(calls)
    assert same(stored, expected), difference(stored, expected)
    assert len({call.id for call in calls}) == number


def shapes_of(call):
    """The columns that its statements on the test's table name, as often as they ran. Statements of trytond itself on that table
    name all columns and are left out."""
    shapes = []
    for text, count in call.of_table('headroom_test_thing').items():
        named = [shape for shape in range(1, 9) if 'shape_%d' % shape in text]
        if len(named) == 1:
            shapes += named * count
    return sorted(shapes)
