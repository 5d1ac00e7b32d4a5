"""Clients of Tryton's bus by the thousand, and what they cost a process."""
import json
import selectors
import socket
import time

LIMIT = 60  # seconds; what hangs fails


def authorization(client):
    return client._headers()['Authorization']


def threads_of(pid):
    return int(next(line for line in open('/proc/%d/status' % pid) if line.startswith('Threads:')).split()[1])


class Crowd:
    """Many polls of one client for a channel, on sockets of one thread; `address` and `path` are those of the bus."""

    def __init__(self, address, path, client, number, channel='everybody'):
        self.channel = channel
        body = json.dumps({'channels': [channel], 'last_message': None}).encode()
        self.request = ('POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: %s\r\n'
            'Content-Length: %d\r\n\r\n' % (path, authorization(client), len(body))).encode() + body
        self.sockets = []
        for number in range(number):
            made = socket.socket()
            made.bind(('127.0.1.%d' % (1 + number % 4), 0))
            made.connect(address)
            made.sendall(self.request)
            self.sockets.append(made)

    def answers(self):
        """What each got; all get something within the limit."""
        selector = selectors.DefaultSelector()
        for made in self.sockets:
            selector.register(made, selectors.EVENT_READ, bytearray())
        got = []
        end = time.monotonic() + LIMIT
        while len(got) < len(self.sockets):
            assert time.monotonic() < end, '%d of %d answers' % (len(got), len(self.sockets))
            for key, _ in selector.select(1):
                data = key.fileobj.recv(65536)
                assert data, 'closed without an answer'
                key.data.extend(data)
                head, found, body = bytes(key.data).partition(b'\r\n\r\n')
                if found and len(body) >= int(head.lower().split(b'content-length: ')[1].split(b'\r\n')[0]):
                    selector.unregister(key.fileobj)
                    got.append((head.split(b' ')[1], body))
        selector.close()
        return got

    def close(self):
        for made in self.sockets:
            made.close()
