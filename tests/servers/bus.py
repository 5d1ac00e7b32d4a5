"""The bus of `headroom serve` for a scenario: its configuration, its tokens, and a client over python3-websockets."""
import asyncio
import base64
import hashlib
import hmac
import http.client
import json
import time

import websockets

from .process import free_port

SECRET = 'fedcba9876543210fedcba9876543210'


def encoded(value):
    return base64.urlsafe_b64encode(value).rstrip(b'=').decode()


def token(user, seconds=600, secret=SECRET, **claims):
    """A JWT (HS256), made without the code that checks it; it shows all users unless `presence` is another."""
    now = int(time.time())
    parts = [{'alg': 'HS256', 'typ': 'JWT'}, {'sub': user, 'iat': now, 'exp': now + seconds, 'presence': ['*'], **claims}]
    text = '.'.join(encoded(json.dumps(part).encode()) for part in parts)
    return text + '.' + encoded(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def admin():
    return token('app', admin=True)


class Bus:
    """`headroom serve` with [bus]; more keys of the section as `keys`, rules of channels as `channels`, proxies whose word holds.
    Several have names."""

    def __init__(self, servers, channels=None, name='bus', proxies=(), **keys):
        self.servers = servers
        self.tabs = []
        self.port = free_port()
        secret = servers.folder / 'bus-secret'
        secret.write_text(SECRET + '\n')
        secret.chmod(0o600)
        self.configuration = servers.folder / (name + '.toml')
        lines = ['[perf]', 'store = "%s"' % servers.store_url(name), 'state = "%s"' % (servers.folder / 'state'),
            '[serve]', 'listen = "127.0.0.1:%d"' % self.port, 'proxies = %s' % json.dumps(proxies),
            '[bus]', 'enabled = true', 'secret_files = ["%s"]' % secret]
        lines += ['%s = %s' % (key, json.dumps(value)) for key, value in keys.items()]
        lines.append('[bus.channels]')
        rules = {'room:': 'subscribe=users publish=users joins=yes history=10000 history_size=64MiB'}
        lines += ['"%s" = "%s"' % rule for rule in (channels or rules).items()]
        self.configuration.write_text('\n'.join(lines) + '\n')
        self.start()

    def play(self, story):
        """What the story returns. Connections that it leaves open are closed: the end of the loop would wait 10 s for each."""
        async def played():
            try:
                return await story()
            finally:
                await asyncio.gather(*(tab.close() for tab in self.tabs))
                self.tabs.clear()
        return asyncio.run(played())

    def start(self):
        self.daemon = self.servers.headroom(self.configuration, self.port)

    @property
    def url(self):
        return 'ws://127.0.0.1:%d/bus/ws' % self.port

    def request(self, method, path, body=None, bearer=None, timeout=30, **headers):
        """The status and the body of an answer; JSON is read."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=timeout)
        if bearer:
            headers['Authorization'] = 'Bearer ' + bearer
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            is_json = (answer.getheader('Content-Type') or '').startswith('application/json')
            return answer.status, json.loads(content) if is_json else content.decode()
        finally:
            connection.close()

    def publish(self, channel, data, **more):
        status, answer = self.request('POST', '/bus/publish', {'channel': channel, 'data': data, **more}, admin())
        assert status == 200, answer
        return answer

    def status(self):
        return self.request('GET', '/bus/status', bearer=admin())[1]


def lines(user, *commands):
    """The body of a stream or poll: connect, and then the commands."""
    all_commands = [{'connect': {'token': token(user)}}, *commands]
    return '\n'.join(json.dumps({'id': number, **command}) for number, command in enumerate(all_commands, 1))


class Tab:
    """A client, as a browser tab is one; `proof` is its token, by default one of its user. `positions` is what it would come
    back with."""

    def __init__(self, bus, user, proof=None):
        self.bus = bus
        self.user = user
        self.proof = proof
        self.positions = {}
        self.socket = None
        self.messages = []
        self.number = 0
        bus.tabs.append(self)

    async def open(self, **options):
        self.socket = await websockets.connect(self.bus.url, max_size=None, close_timeout=1, **options)
        return await self.ask(connect={'token': self.proof or token(self.user), 'client': 'scenario'})

    async def close(self):
        if self.socket:
            await self.socket.close()

    async def receive(self, seconds=20):
        return json.loads(await asyncio.wait_for(self.socket.recv(), seconds))

    async def ask(self, **command):
        """The answer to a command; messages that come before it are kept."""
        self.number += 1
        await self.socket.send(json.dumps({'id': self.number, **command}))
        while True:
            got = await self.receive()
            if got.get('id') == self.number:
                return got
            self.keep(got)

    def keep(self, pushed):
        if 'message' in pushed:
            message = pushed['message']
            self.positions[message['channel']]['offset'] = message['offset']
            self.messages.append(message)

    async def subscribe(self, channel):
        """Goes on where it was, if it was there; the answered entry."""
        entry = {'channel': channel}
        if channel in self.positions:
            entry['since'] = self.positions[channel]
        answer, = (await self.ask(subscribe={'channels': [entry]}))['subscribe']['channels']
        if 'error' not in answer and not answer.get('recovered'):
            self.positions[channel] = {'offset': answer['offset'], 'epoch': answer['epoch']}
        return answer

    async def wait_for(self, count):
        while len(self.messages) < count:
            self.keep(await self.receive())
        return [message['data'] for message in self.messages]

    async def closed(self):
        """The code and reason with which the server ends it; messages before it are kept."""
        try:
            while True:
                self.keep(await self.receive())
        except websockets.exceptions.ConnectionClosed as closed:
            return closed.rcvd.code, json.loads(closed.rcvd.reason)
