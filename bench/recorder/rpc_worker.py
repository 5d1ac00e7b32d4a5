"""Measures both sides of one trytond process; a JSON object of settings in, one of results out.

    TRYTOND_CONFIG=... rpc_worker.py '{"database": ..., "password": ..., "calls": ..., ...}'
"""
import json
import sys

from application import Application, everyday_requests
from sides import measure


def main():
    settings = json.loads(sys.argv[1])
    application = Application(settings['database'], settings['password'])
    requests = everyday_requests(application)
    for request in requests:
        request.answer()
    cycles, counters = measure(requests, settings['calls'], settings['block'], settings['generations'],
        settings['warm'])
    from headroom import _native
    _native.flush(30.0)
    json.dump({'methods': [request.method for request in requests], 'cycles': cycles, 'counters': counters}, sys.stdout)


if __name__ == '__main__':
    main()
