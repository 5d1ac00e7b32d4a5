"""A stand-in for the bus of `headroom serve`, not the real thing: it speaks docs/protocols/bus.md from memory alone, checks no
signature and no limit, and serves the built package.   bus_standin.py PORT FOLDER"""
import asyncio
import base64
import http
import json
import secrets
import sys
from collections import defaultdict, deque
from pathlib import Path

import websockets

HISTORY = 1000
EPOCH = secrets.token_hex(8)


class Channel:
    def __init__(self):
        self.offset = 0
        self.messages = deque(maxlen=HISTORY)
        self.ids = {}
        self.readers = set()

    def publish(self, name, data, key):
        if key in self.ids:
            return {'offset': self.ids[key], 'epoch': EPOCH, 'repeated': True}
        self.offset += 1
        self.ids[key] = self.offset
        self.messages.append((self.offset, data))
        for reader in self.readers:
            reader.send({'message': {'channel': name, 'offset': self.offset, 'data': data}})
        return {'offset': self.offset, 'epoch': EPOCH}

    def after(self, since):
        """The messages after a position, and whether some are gone."""
        if since['epoch'] != EPOCH or since['offset'] > self.offset:
            return [], True
        messages = [one for one in self.messages if one[0] > since['offset']]
        return messages, len(messages) < self.offset - since['offset']


channels = defaultdict(Channel)
connections = set()


class Connection:
    def __init__(self, socket):
        self.socket = socket
        self.queue = asyncio.Queue()
        self.user = None
        self.tabs = {'active': 1, 'idle': 0}
        self.watched = set()

    def send(self, frame):
        self.queue.put_nowait(json.dumps(frame, separators=(',', ':')))

    async def run(self):
        writer = asyncio.create_task(self.write())
        connections.add(self)
        try:
            async for text in self.socket:
                command = json.loads(text)
                if 'connect' in command and user_of(command['connect']['token']).startswith('13@'):
                    return await self.socket.close(4201, '{"code":"token_invalid","message":"no such session"}')
                name = next(key for key in command if key != 'id')
                self.send({'id': command['id'], **getattr(self, 'do_' + name)(command[name])})
                for follow in self.queue_after:
                    self.send(follow)
                self.queue_after = []
        except websockets.ConnectionClosed:
            pass
        finally:
            writer.cancel()
            connections.discard(self)
            for channel in channels.values():
                channel.readers.discard(self)
            tell()

    queue_after = []

    async def write(self):
        while True:
            await self.socket.send(await self.queue.get())

    def do_connect(self, body):
        self.user = user_of(body['token'])
        tell()
        return {'connect': {'connection': 'c1', 'user': self.user, 'protocol': 1, 'ping_s': 25}}

    def do_ping(self, _):
        return {'ping': {}}

    def do_subscribe(self, body):
        return {'subscribe': {'channels': [self.subscribe(one) for one in body['channels']]}}

    def subscribe(self, entry):
        name, since = (entry, None) if isinstance(entry, str) else (entry['channel'], entry.get('since'))
        if name.startswith('user:') and name != 'user:' + self.user:
            return {'channel': name, 'error': {'code': 'denied', 'message': 'channel %r belongs to another user' % name}}
        channel = channels[name]
        channel.readers.add(self)
        if since is None:
            return {'channel': name, 'offset': channel.offset, 'epoch': EPOCH}
        messages, lost = channel.after(since)
        if lost:
            return {'channel': name, 'offset': channel.offset, 'epoch': EPOCH, 'lost': True}
        self.queue_after = self.queue_after + [
            {'message': {'channel': name, 'offset': offset, 'data': data}} for offset, data in messages]
        return {'channel': name, 'offset': since['offset'], 'epoch': EPOCH, 'recovered': True}

    def do_unsubscribe(self, body):
        for name in body['channels']:
            channels[name].readers.discard(self)
        return {'unsubscribe': {'channels': body['channels']}}

    def do_publish(self, body):
        return {'publish': channels[body['channel']].publish(body['channel'], body['data'], body['id'])}

    def do_history(self, body):
        channel = channels[body['channel']]
        messages, lost = channel.after(body['since'])
        answer = {'offset': channel.offset, 'epoch': EPOCH,
            'messages': [{'offset': offset, 'data': data} for offset, data in messages[:100]]}
        return {'history': {**answer, **({'lost': True} if lost else {}), **({'more': True} if len(messages) > 100 else {})}}

    def do_who(self, body):
        users = sorted({reader.user for reader in channels[body['channel']].readers})
        return {'who': {'users': users, 'connections': len(channels[body['channel']].readers)}}

    def do_watch(self, body):
        self.watched.update(body['users'])
        answered = {user: status(user) for user in body['users']}
        told.update(answered)
        return {'watch': {'users': answered}}

    def do_unwatch(self, body):
        self.watched.difference_update(body['users'])
        return {'unwatch': {}}

    def do_activity(self, body):
        self.tabs = body
        tell()
        return {'activity': {}}

    def do_refresh(self, _):
        return {'refresh': {}}


def user_of(token):
    if token.startswith('Session '):
        _, database, auth = token.split()
        return '%s@%s' % (base64.b64decode(auth).decode().split(':')[1], database)
    claims = token.split('.')[1]
    return json.loads(base64.urlsafe_b64decode(claims + '=' * (-len(claims) % 4)))['sub']


def status(user):
    return 'online' if any(one.user == user and sum(one.tabs.values()) for one in connections) else 'offline'


told = {}


def tell():
    """Presence to those who watch; at once, where the real one gathers for half a second."""
    users = {user for one in connections for user in one.watched}
    changed = {user: status(user) for user in users if told.get(user) != status(user)}
    told.update(changed)
    for one in connections:
        mine = {user: changed[user] for user in one.watched & set(changed)}
        if mine:
            one.send({'presence': {'users': mine}})


async def files(path, headers):
    if path == '/bus/ws':
        return None
    file = Path(sys.argv[2]) / path.removeprefix('/bus/')
    if not path.startswith('/bus/') or not file.is_file():
        return http.HTTPStatus.NOT_FOUND, {}, b''
    return http.HTTPStatus.OK, {'Content-Type': 'text/javascript', 'Cache-Control': 'no-cache'}, file.read_bytes()


async def main():
    async with websockets.serve(lambda socket: Connection(socket).run(), '127.0.0.1', int(sys.argv[1]), process_request=files):
        await asyncio.Future()


asyncio.run(main())
