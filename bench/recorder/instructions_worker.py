"""Runs calls with and without the recorder's hooks under callgrind; a JSON object of settings in, one child a line out.

    TRYTOND_CONFIG=... valgrind --tool=callgrind ... instructions_worker.py '{"database": ..., "password": ..., ...}'

Each side of each method is two children of one warm process, of which the second makes `calls` more: the difference
is those calls alone.
"""
import gc
import json
import os
import sys

from application import Application, everyday_requests
from detach import detach


def main():
    settings = json.loads(sys.argv[1])
    requests = everyday_requests(Application(settings['database'], settings['password']))
    for request in requests:
        for _ in range(settings['warm']):
            request.answer()
    gc.collect()
    gc.freeze()
    for request in requests:
        for hooked in False, True:
            for calls in 0, settings['calls']:
                child = forked(request, hooked, settings['warm'] + calls)
                print(json.dumps({'method': request.method, 'hooked': hooked, 'calls': calls, 'pid': child}), flush=True)
    os._exit(0)


def forked(request, hooked, calls):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if not hooked:
                detach()
            for _ in range(calls):
                request.answer()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError('a child ended with status %d; see above' % status)
    return child


if __name__ == '__main__':
    main()
