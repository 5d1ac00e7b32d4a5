"""The servers of the tests themselves: they serve, they end, nothing is left behind."""
import socket

import pytest

from servers import Client, Process, RPCError, Servers, wait_until
from servers.process import listening


def test_trytond_serves_and_is_gone_afterwards(backend):
    with Servers() as servers:
        tryton = servers.tryton(backend)
        server = tryton.serve()
        assert tryton.client(server).call('model.headroom_test.thing.run', [1, 2, 3]) == 3
        folder, processes = servers.folder, servers.processes
    assert not listening(server.port)
    assert not folder.exists()
    assert not [process.name for process in processes if process.group_exists()]


def test_uwsgi_serves_from_preloaded_forks_and_is_gone_afterwards(servers):
    server = servers.tryton().serve_uwsgi(processes=2, threads=4)
    workers = server.children()
    assert len(workers) == 2
    with Client(server.port, 'tryton1').login('admin', 'admin') as client:
        assert client.call('model.headroom_test.thing.run', [1]) == 1
    server.stop()
    assert not server.group_exists()


def test_a_server_that_does_not_start_shows_its_log(servers):
    broken = Process('broken', ['/usr/bin/python3', '-c', 'raise SystemExit("no such thing")'], servers.folder,
        ready=lambda: False)
    with pytest.raises(RuntimeError, match='no such thing'):
        broken.start()
    assert not broken.group_exists()


def test_a_child_that_ignores_the_end_is_killed_with_its_group(servers):
    code = 'import signal, subprocess, time; signal.signal(signal.SIGINT, signal.SIG_IGN); ' \
        'subprocess.Popen(["sleep", "1000"]); print("up", flush=True); time.sleep(1000)'
    stubborn = servers.start(Process('stubborn', ['/usr/bin/python3', '-c', code], servers.folder))
    wait_until(lambda: 'up' in stubborn.tail(), 10, 'the child')
    stubborn.stop(seconds=0.2)
    assert not stubborn.group_exists()


def test_redis_serves(servers):
    assert servers.redis().command('SET', 'key', 'value') == 'OK'


def test_each_installation_has_a_database_of_its_own(servers):
    first, second = servers.tryton('postgresql'), servers.tryton('postgresql')
    client = first.client(first.serve())
    client.call('model.headroom_test.thing.change', [1], 42)
    assert servers.postgresql().execute('SELECT shape_1 FROM headroom_test_thing WHERE id = 1', first.database) == ['42']
    assert servers.postgresql().execute('SELECT shape_1 FROM headroom_test_thing WHERE id = 1', second.database) == ['']


def test_the_client_tells_failures_apart(servers):
    tryton = servers.tryton()
    client = tryton.client(tryton.serve())
    kinds = []
    for method, arguments in (('user_error', [[1]]), ('user_warning', [[1]]), ('concurrency', [[1]]), ('exception', [[1]])):
        with pytest.raises(RPCError) as failure:
            client.call('model.headroom_test.thing.' + method, *arguments)
        kinds.append(failure.value.kind)
    assert kinds == ['UserError', 'UserWarning', 'ConcurrencyException', 'a defect in the module']
    with pytest.raises(RPCError) as failure:
        client.call('model.headroom_test.thing.no_such_method')
    assert failure.value.status == 403


def test_a_long_request_is_compressed_and_understood(servers):
    tryton = servers.tryton()
    client = tryton.client(tryton.serve())
    value = 'x' * 5000
    assert client.call('model.headroom_test.thing.echo', {'long': value}) == {'long': value}


def test_a_port_is_free_when_it_is_given(servers):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', servers.free_port()))
