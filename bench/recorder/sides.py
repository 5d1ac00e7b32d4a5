"""Two copies of one warm trytond process, one with the recorder's hooks and one without, that call in turn.

What is compared differs by less than a percent, so the two sides must not differ by anything else. Two processes that
are started apart do: hash seeds, addresses and the order of allocations alone move the CPU time of a call by several
percent. Swapping the hooks to and fro within one process does too, because CPython's specialised instructions are
thrown away with each change of a class and come back late, or not at all. So the process is loaded once and forked:
both children have the same objects at the same addresses and the same hash seed; one of them takes the hooks out before
its first call and stays so. They run in short blocks, in the order ABBA and BAAB, so that drifts of the machine meet
both alike. Even so two children that do the same differ by a percent or two, for as long as they live: where their
pages lie is chance. So many generations are forked, in changing order, each is warmed before it counts, and each gives
one value: the interval is over generations.

Garbage collection stays on, as trytond has it; what is there before the fork is frozen for both (gc.freeze), so that
no child copies the pages of the other for it.
"""
import gc
import json
import os
import socket
import time

from detach import detach


class Side:
    """A child that runs blocks of calls and tells the CPU time of each call."""

    def __init__(self, requests, hooked):
        self.hooked = hooked
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            _serve(theirs, requests, hooked)
        theirs.close()
        self.stream = ours.makefile('rw')
        ours.close()

    def ask(self, **question):
        self.stream.write(json.dumps(question) + '\n')
        self.stream.flush()
        answer = self.stream.readline()
        if not answer:
            raise RuntimeError('the side with hooks %s ended; see above' % ('on' if self.hooked else 'off'))
        return json.loads(answer)

    def block(self, request, calls):
        return self.ask(request=request, calls=calls)

    def end(self):
        """Writes what waits, ends the child, and gives its recorder's counters."""
        counters = self.ask(end=True)
        self.stream.close()
        os.waitpid(self.pid, 0)
        return counters


def _serve(channel, requests, hooked):
    """The child's whole life."""
    status = 1
    try:
        if not hooked:
            detach()
        stream = channel.makefile('rw')
        for line in stream:
            question = json.loads(line)
            answer = _end() if 'end' in question else _run(requests[question['request']], question['calls'])
            stream.write(json.dumps(answer) + '\n')
            stream.flush()
            if 'end' in question:  # the pipe may stay open in the other side, which was forked later
                status = 0
                break
    finally:
        os._exit(status)


def _run(request, calls):
    begin = time.process_time_ns()
    thread = [request.timed() for _ in range(calls)]
    return {'thread': thread, 'process': time.process_time_ns() - begin}


def _end():
    from headroom import _native
    flushed = _native.flush(30.0)
    return {**_native.status(), 'flushed': flushed}


def measure(requests, calls, block, generations, warm):
    """Runs `calls` calls of every request on both sides. Returns for each request its cycles: lists of nanoseconds by
    side; and the counters of each generation by side."""
    gc.collect()
    gc.freeze()
    cycles = [[] for _ in requests]
    counters = []
    for generation in range(generations):
        first = generation % 2 == 0
        sides = {name: Side(requests, name == 'on') for name in (('off', 'on') if first else ('on', 'off'))}
        for number in range(len(requests)):
            for side in sides.values():
                side.block(number, warm)
        _alternate(sides, cycles, max(1, calls // (generations * 2 * block)), block, generation)
        counters.append({name: side.end() for name, side in sides.items()})
    return cycles, counters


def _alternate(sides, cycles, number, block, generation):
    for turn in range(number):
        order = ('off', 'on', 'on', 'off') if turn % 2 == 0 else ('on', 'off', 'off', 'on')
        for request, kept in enumerate(cycles):
            cycle = {'generation': generation, 'off': [], 'on': [], 'off_process': 0, 'on_process': 0}
            for name in order:
                measured = sides[name].block(request, block)
                cycle[name] += measured['thread']
                cycle[name + '_process'] += measured['process']
            kept.append(cycle)
