"""The bus: the real `headroom serve` with foreign clients: python3-websockets, `ws` of Node, http.client."""
import asyncio
import hashlib
import hmac
import http.client
import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import websockets

from servers.bus import SECRET, Bus, Tab, admin, encoded, lines, token
from servers.paths import executable, project_root, run_headroom
from servers.process import wait_until


@pytest.fixture
def bus(servers):
    return Bus(servers)


async def opened(bus, *users):
    tabs = [Tab(bus, user) for user in users]
    for tab in tabs:
        await tab.open()
    return tabs


def test_messages_reach_all_subscribers_in_order_and_are_acknowledged(bus):
    async def story():
        ann, bob = await opened(bus, 'ann', 'bob')
        await ann.subscribe('room:1')
        await bob.subscribe('room:1')
        for number in range(50):
            answer = await ann.ask(publish={'channel': 'room:1', 'data': number, 'id': 'id%d' % number})
            assert answer['publish']['offset'] == number + 1
        again = await ann.ask(publish={'channel': 'room:1', 'data': 'again', 'id': 'id7'})
        assert again['publish'] == {**answer['publish'], 'offset': 8, 'repeated': True}
        assert await ann.wait_for(50) == list(range(50))
        assert await bob.wait_for(50) == list(range(50))
    bus.play(story)


def test_who_comes_back_gets_what_was_missed(bus):
    async def story():
        ann, = await opened(bus, 'ann')
        await ann.subscribe('room:1')
        bus.publish('room:1', 1)
        assert await ann.wait_for(1) == [1]
        ann.socket.transport.abort()
        for number in (2, 3):
            bus.publish('room:1', number)
        await ann.open()
        assert (await ann.subscribe('room:1'))['recovered']
        bus.publish('room:1', 4)
        assert await ann.wait_for(4) == [1, 2, 3, 4]
    bus.play(story)


def test_a_killed_server_is_told_as_lost_and_never_passed_over(bus):
    async def story():
        ann, = await opened(bus, 'ann')
        await ann.subscribe('room:1')
        bus.publish('room:1', 1)
        await ann.wait_for(1)
        bus.daemon.kill()
        bus.start()
        for number in (2, 3):
            bus.publish('room:1', number)
        await ann.open()
        answer = await ann.subscribe('room:1')
        assert answer['lost'] and 'recovered' not in answer
        assert answer['offset'] == 2
        bus.publish('room:1', 4)
        assert await ann.wait_for(2) == [1, 4]
    bus.play(story)


def test_a_slow_reader_is_told_to_resume_and_the_others_lose_nothing(servers):
    bus = Bus(servers, queue_size='256KiB')

    async def story():
        fast = await opened(bus, *('fast%d' % number for number in range(5)))
        slow = Tab(bus, 'slow')
        await slow.open(max_queue=1, read_limit=1024)
        for tab in fast + [slow]:
            await tab.subscribe('room:1')
        sent = 0
        while bus.status()['slow'] == 0:
            for _ in range(50):
                bus.publish('room:1', [sent, 'x' * 20000])
                sent += 1
            assert sent < 5000, 'nobody was slow'
            for tab in fast:
                await tab.wait_for(sent)
        for tab in fast:
            assert [data[0] for data in await tab.wait_for(sent)] == list(range(sent))
        code, reason = await slow.closed()
        assert code == 4001 and reason['code'] == 'slow' and 'reconnect' in reason
        assert len(slow.messages) < sent
        await slow.open()
        answer = await slow.subscribe('room:1')
        if answer.get('recovered'):
            await slow.wait_for(sent)
        got = [data[0] for data in (message['data'] for message in slow.messages)]
        assert got == list(range(len(got))), 'no gap, nothing twice'
        assert answer.get('recovered') or answer.get('lost')
    bus.play(story)


def test_a_channel_of_another_user_is_never_readable(bus):
    async def story():
        ann, bob = await opened(bus, 'ann', 'bob')
        assert (await ann.subscribe('user:bob'))['error']['code'] == 'denied'
        assert (await ann.subscribe('user:bob:inbox'))['error']['code'] == 'denied'
        assert 'error' not in await bob.subscribe('user:bob')
        bus.publish('user:bob', 'for bob alone')
        assert await bob.wait_for(1) == ['for bob alone']
        answer = await ann.ask(history={'channel': 'user:bob', 'limit': 10})
        assert answer['error']['code'] == 'denied'
        answer = await ann.ask(publish={'channel': 'user:bob', 'data': 1})
        assert answer['error']['code'] == 'denied'
        assert ann.messages == []
    bus.play(story)
    greedy = token('ann', channels=['*', 'user:bob'])
    body = '\n'.join(json.dumps(command) for command in (
        {'id': 1, 'connect': {'token': greedy}}, {'id': 2, 'subscribe': {'channels': ['user:bob']}}, {'id': 3, 'x': {}}))
    connection = http.client.HTTPConnection('127.0.0.1', bus.port, timeout=20)
    connection.request('POST', '/bus/events', body)
    stream = connection.getresponse()
    assert b'"denied"' in b''.join(stream.readline() for _ in range(4))
    connection.close()
    for bearer in (None, greedy):
        assert bus.request('GET', '/bus/history?channel=user:bob', bearer=bearer)[0] in (401, 403)


def test_a_token_of_somebody_else_is_refused(bus):
    async def code(of):
        async with websockets.connect(bus.url) as socket:
            await socket.send(json.dumps({'id': 1, 'connect': {'token': of}}))
            try:
                while True:
                    await asyncio.wait_for(socket.recv(), 20)
            except websockets.exceptions.ConnectionClosed as closed:
                return closed.rcvd.code
    assert asyncio.run(code(token('ann', secret='0' * 32))) == 4201
    assert asyncio.run(code(token('ann', seconds=-60))) == 4100
    unsigned = token('ann').rsplit('.', 1)[0] + '.'
    assert asyncio.run(code(unsigned)) == 4201


def signed(channel, user, seconds=60):
    """A signature of the channel, made without the code that checks it."""
    expires = str(int(time.time()) + seconds)
    text = '\n'.join((channel, user, expires)).encode()
    return expires + '.' + encoded(hmac.new(SECRET.encode(), text, hashlib.sha256).digest())


def test_a_signed_channel_is_read_by_whom_it_was_signed_for(servers):
    bus = Bus(servers, {'case:': 'subscribe=signed publish=nobody'})

    async def story():
        ann, bob = await opened(bus, 'ann', 'bob')

        async def code(tab, channel, signature):
            answer, = (await tab.ask(subscribe={'channels': [{'channel': channel, 'signature': signature}]}))['subscribe']['channels']
            return answer.get('error', {}).get('code')
        for_ann = signed('case:1', 'ann')
        assert await code(ann, 'case:1', for_ann) is None
        assert await code(bob, 'case:1', for_ann) == 'denied'
        assert await code(ann, 'case:2', for_ann) == 'denied'
        assert await code(bob, 'case:1', signed('case:1', 'bob', -1)) == 'denied'
        assert await code(bob, 'case:1', for_ann[:-2]) == 'denied'
        assert await code(bob, 'case:1', signed('case:1', '')) is None, 'whoever holds it'
        assert (await bob.ask(publish={'channel': 'case:1', 'data': 1}))['error']['code'] == 'denied'
        for tab in (ann, bob):
            tab.positions['case:1'] = {}
        bus.publish('case:1', 'x')
        assert await ann.wait_for(1) == ['x']
        answer = await bob.ask(history={'channel': 'case:1', 'signature': for_ann})
        assert answer['error']['code'] == 'denied'
    bus.play(story)


def test_nobody_publishes_unless_a_rule_or_a_token_says_so(servers):
    bus = Bus(servers, {'room:': 'subscribe=users'})

    async def story():
        ann, = await opened(bus, 'ann')
        for channel in ('room:1', 'other', 'user:ann'):
            assert (await ann.ask(publish={'channel': channel, 'data': 1}))['error']['code'] == 'denied', channel
        granted = Tab(bus, 'bob', token('bob', publish=['room:1']))
        await granted.open()
        assert 'offset' in (await granted.ask(publish={'channel': 'room:1', 'data': 1}))['publish']
        assert (await granted.ask(publish={'channel': 'room:2', 'data': 1}))['error']['code'] == 'denied'
    bus.play(story)
    for bearer, status in ((None, 401), (token('ann'), 403), (token('bob', publish=['room:2']), 403)):
        got, answer = bus.request('POST', '/bus/publish', {'channel': 'room:1', 'data': 1}, bearer)
        assert got == status, answer


def test_a_token_that_ends_is_asked_to_be_refreshed(bus):
    async def story():
        ann = Tab(bus, 'ann', token('ann', seconds=61))
        await ann.open()
        assert (await ann.receive())['expires']['in_s'] <= 60
        answer = await ann.ask(refresh={'token': token('bob')})
        assert answer['error']['code'] == 'denied'
        answer = await ann.ask(refresh={'token': token('ann', seconds=600)})
        assert 590 < answer['refresh']['expires_in_s'] <= 600
    bus.play(story)


def read_events(bus, user, count, ready):
    """The objects of a stream, as many as asked for."""
    connection = http.client.HTTPConnection('127.0.0.1', bus.port, timeout=30)
    connection.request('POST', '/bus/events', lines(user, {'subscribe': {'channels': ['room:1']}}))
    stream = connection.getresponse()
    assert stream.getheader('Content-Type').startswith('text/event-stream')
    objects = []
    while len(objects) < count:
        line = stream.readline().decode()
        assert line, 'the stream ended'
        if line.startswith('data: '):
            objects.append(json.loads(line[6:]))
        if len(objects) == 2:
            ready.set()
    connection.close()
    return objects


def test_streams_and_polls_bring_the_same_messages(bus):
    ready, seen = threading.Event(), []
    thread = threading.Thread(target=lambda: seen.extend(read_events(bus, 'ann', 12, ready)))
    thread.start()
    assert ready.wait(20)
    position, polled = None, []

    def poll(since):
        entry = {'channel': 'room:1', **({'since': since} if since else {})}
        status, answer = bus.request('POST', '/bus/poll', lines('bob', {'subscribe': {'channels': [entry]}}))
        assert status == 200, answer
        subscribed = answer[1]['subscribe']['channels'][0]
        assert 'lost' not in subscribed
        return subscribed, [each['message'] for each in answer if 'message' in each]
    first = bus.publish('room:1', 0)
    position = {'offset': 0, 'epoch': first['epoch']}
    for number in range(1, 10):
        bus.publish('room:1', number)
        _, messages = poll(position)
        polled += messages
        position = {'offset': messages[-1]['offset'], 'epoch': position['epoch']}
    thread.join(30)
    assert [each['message']['data'] for each in seen[2:]] == list(range(10))
    assert [message['data'] for message in polled] == list(range(10))


def test_every_limit_answers_with_a_clear_error(servers):
    bus = Bus(servers, connections=3, subscriptions=2)

    async def story():
        ann, bob, eve = await opened(bus, 'ann', 'bob', 'eve')
        late = Tab(bus, 'late')
        late.socket = await websockets.connect(bus.url, close_timeout=1)
        assert (await late.closed())[1]['code'] == 'overloaded'
        for channel in ('room:1', 'room:2'):
            assert 'error' not in await ann.subscribe(channel)
        assert '2' in (await ann.subscribe('room:3'))['error']['message']
        answer = await bob.ask(publish={'channel': 'room:1', 'data': 'x' * 40000})
        assert answer['error']['code'] == 'too_large'
        await eve.socket.send('x' * 70000)
        try:
            await asyncio.wait_for(eve.socket.recv(), 20)
        except websockets.exceptions.ConnectionClosed as closed:
            assert closed.rcvd.code == 1009
        assert 'ping' in await bob.ask(ping={})
    bus.play(story)
    status, answer = bus.request('POST', '/bus/publish', {'channel': 'room:1', 'data': 'x' * 40000}, admin())
    assert (status, answer['error']['code']) == (413, 'too_large'), answer


def test_half_open_connections_and_bad_frames_disturb_nobody(bus):
    async def story():
        ann, = await opened(bus, 'ann')
        await ann.subscribe('room:1')
        half_open = [socket.create_connection(('127.0.0.1', bus.port)) for _ in range(200)]
        for connection in half_open:
            connection.send(b'GET /bus/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: webs')
        for frame in (b'\x81\x02hi', b'\xff' * 50, b'\x81\xff' + b'\xff' * 12, b'\x88\x80'):
            raw = socket.create_connection(('127.0.0.1', bus.port))
            raw.sendall(b'GET /bus/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                b'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' + frame)
            half_open.append(raw)
        bus.publish('room:1', 'still here')
        assert await ann.wait_for(1) == ['still here']
        for connection in half_open:
            connection.close()
    bus.play(story)


UPGRADE = (b'GET /bus/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    b'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n')


async def everything(reader):
    """What comes until the other side closes, in whatever way."""
    got = b''
    try:
        while more := await reader.read(4096):
            got += more
    except ConnectionError:
        pass
    return got


async def trickled(port, at_once, slowly):
    """Sends some bytes at once and the others one after the other, until the server has closed; what it sent."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    answer = asyncio.ensure_future(everything(reader))
    writer.write(at_once)
    for byte in slowly:
        await asyncio.wait([answer], timeout=0.2)
        if answer.done():
            break
        writer.write(bytes([byte]))
    got = await asyncio.wait_for(answer, 30)
    writer.close()
    return got


def test_slow_clients_are_closed_in_their_time_and_nobody_notices(bus):
    head = UPGRADE, b'X-Slow: ' + b'x' * 200
    body = b'POST /bus/poll HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n', b'x' * 200
    frame = UPGRADE + b'\r\n' + b'\x81\xfe\x01\x00\0\0\0\0', b' ' * 200
    silent = UPGRADE + b'\r\n', b''

    async def story():
        ann, = await opened(bus, 'ann')
        await ann.subscribe('room:1')
        slow = [asyncio.ensure_future(trickled(bus.port, *what)) for what in (head, body, frame, silent) * 20]
        sent = 0
        while not all(one.done() for one in slow):
            bus.publish('room:1', sent)
            sent += 1
            assert (await ann.wait_for(sent))[-1] == sent - 1
            await asyncio.sleep(0.1)
        answers = [one.result() for one in slow]
        assert sent > 10, 'they were closed at once'
        for of_head, of_body, *of_frames in zip(*(answers[kind::4] for kind in range(4))):
            assert of_head == b'' and of_body == b'', (of_head, of_body)
            for answer in of_frames:
                closed = answer.partition(b'\r\n\r\n')[2]
                assert closed[:1] == b'\x88' and int.from_bytes(closed[2:4], 'big') == 4008, answer
        assert 'ping' in await ann.ask(ping={})
    bus.play(story)


def test_a_page_of_another_site_can_not_use_it(servers):
    bus = Bus(servers, origins=['https://erp.example.org'])

    async def status(origin):
        try:
            async with websockets.connect(bus.url, origin=origin):
                return 101
        except websockets.exceptions.InvalidStatusCode as refused:
            return refused.status_code
    assert asyncio.run(status('https://evil.example')) == 403
    assert asyncio.run(status('https://erp.example.org')) == 101
    assert asyncio.run(status('http://127.0.0.1:%d' % bus.port)) == 101


def test_presence_follows_the_tabs_of_a_user(bus):
    async def story():
        ann, bob = await opened(bus, 'ann', 'bob')
        assert (await ann.ask(watch={'users': ['bob', 'eve']}))['watch']['users'] == {'bob': 'online', 'eve': 'offline'}
        eve, = await opened(bus, 'eve')
        assert (await ann.receive())['presence']['users'] == {'eve': 'online'}
    bus.play(story)
    shown = run_headroom('bus', 'presence', 'nobody', '--json', '--config', bus.configuration)
    assert shown == [{'user': 'nobody', 'state': 'offline'}]


def test_a_stop_tells_everyone_when_to_come_back(bus):
    async def story():
        tabs = await opened(bus, *('user%d' % number for number in range(30)))
        await tabs[0].subscribe('room:1')
        bus.publish('room:1', 'the last word')
        stopping = asyncio.get_running_loop().run_in_executor(None, bus.daemon.stop)
        codes = await asyncio.gather(*(tab.closed() for tab in tabs))
        assert {code for code, _ in codes} == {4000}
        assert all(reason['reconnect']['window_ms'] > 0 for _, reason in codes)
        assert tabs[0].messages[0]['data'] == 'the last word'
        assert await stopping == 0
    bus.play(story)


def test_the_client_of_node_resumes(bus):
    script = Path(__file__).parent / 'bus_client.mjs'
    modules = project_root / 'web' / 'node_modules'
    done = subprocess.run(['node', script, bus.url, modules, token('ann')], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def run(bus, *arguments, **options):
    return run_headroom('bus', *arguments, '--config', bus.configuration, **options)


def test_the_command_line_publishes_and_follows(bus):
    first, = run(bus, 'publish', 'room:1', '{"n": 1}', '--json')
    assert first['offset'] == 1 and first['repeated'] == 'no'
    tail = subprocess.Popen([executable(), 'bus', 'tail', 'room:1', '--history', '10', '--count', '3', '--json',
        '--config', bus.configuration], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: bus.status()['subscriptions'] == 1, 20, 'the tail')
        connected, = run(bus, 'connections', '--channel', 'room:1', '--json')
        assert connected['channels'] == 'room:1' and connected['subscriptions'] == 1 and connected['connection'] == 'c1'
        shown, = run(bus, 'channels', '--json')
        assert shown == {'channel': 'room:1', 'subscribers': 1, 'offset': 1, 'messages': shown['messages']}
        bus.daemon.kill()
        bus.start()
        wait_until(lambda: bus.status()['subscriptions'] == 1, 20, 'the tail to be back')
        for word in ('two', 'three', 'four'):
            run(bus, 'publish', 'room:1', word, '--text')
        out, error = tail.communicate(timeout=30)
    finally:
        tail.kill()
    assert [json.loads(line)['data'] for line in out.splitlines()] == [{'n': 1}, 'two', 'three']
    assert tail.returncode == 0
    assert 'messages of room:1 were lost' in error


def test_the_command_line_shows_messages_byte_for_byte(bus):
    texts = ['{"a":1.0,"data":[1e400,-0,12345678901234567890123]}', '"\\u00e9 \\" \u00e9"', '0.10', '[[[]]]']
    run(bus, 'publish', 'room:1', texts[0])
    tail = subprocess.Popen([executable(), 'bus', 'tail', 'room:1', '--history', '10', '--count', str(len(texts)),
        '--config', bus.configuration], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: bus.status()['subscriptions'] == 1, 20, 'the tail')
        for text in texts[1:]:
            run(bus, 'publish', 'room:1', text)
        out, _ = tail.communicate(timeout=30)
    finally:
        tail.kill()
    assert [line.split('\t')[2] for line in out.splitlines()] == texts


def test_the_command_line_says_what_is_wrong(bus):
    def failure(*arguments):
        done = run(bus, *arguments, check=False)
        return done.returncode, done.stderr.splitlines()[0] if done.stderr else done.stdout
    assert failure('publish', 'room:1', 'no JSON') == (2, 'headroom: the data is not JSON; --text sends it as it stands')
    assert failure('disconnect')[0] == 2
    assert failure('tail', 'room:1', '--count', '0')[0] == 2
    assert run(bus, 'check', check=False).returncode == 0
    assert 'bus' in run_headroom('status', '--json', '--config', bus.configuration)
    bus.daemon.stop()
    status, message = failure('publish', 'room:1', '1')
    assert status == 1 and "does 'headroom serve' run?" in message
    assert run(bus, 'check', check=False).returncode == 1


def test_a_user_who_is_disconnected_needs_a_new_token(bus):
    async def story():
        ann, = await opened(bus, 'ann')
        assert run(bus, 'disconnect', '--user', 'ann', '--json') == [{'disconnected': 1}]
        assert (await ann.closed())[0] == 4101
    bus.play(story)


def test_a_session_that_is_disconnected_ends_alone(bus):
    async def story():
        desk, phone = Tab(bus, 'ann', token('ann', sid='desk')), Tab(bus, 'ann', token('ann', sid='phone'))
        for tab in (desk, phone):
            await tab.open()
        assert run(bus, 'disconnect', '--session', 'desk', '--json') == [{'disconnected': 1}]
        assert (await desk.closed())[0] == 4101
        assert 'ping' in await phone.ask(ping={})
    bus.play(story)


def test_metrics_count_it(bus):
    bus.publish('room:1', 1)
    status, text = bus.request('GET', '/metrics')
    assert status == 200
    assert '\nheadroom_bus_published_total 1\n' in text
    assert '\nheadroom_bus_available 1\n' in text


def test_secrets_are_never_logged(bus):
    async def story():
        tab, = await opened(bus, 'ann')
        await tab.subscribe('room:1')
    bus.play(story)
    bus.request('POST', '/bus/publish', {'channel': 'room:1', 'data': 'payload-of-a-message'}, token('app', admin=True))
    bus.daemon.stop()
    log = bus.daemon.tail(1000)
    assert 'eyJ' not in log and 'fedcba98' not in log and 'payload-of-a-message' not in log
