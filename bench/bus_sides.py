"""The servers that bench/bus.py compares, each with its own load generator, and what the kernel says of them."""
import json
import shutil
import signal
import subprocess
from pathlib import Path

from servers import Servers, free_port, nchan, paths
from servers.bus import Bus
from servers.nginx import BusProxy
from servers.process import Process, listening

PEERS = paths.project_root / 'bench' / 'bus' / 'peers'
RULE = 'subscribe=users publish=users history=100'


def install_peers():
    """npm ci, once for each state of package-lock.json."""
    lock, done = PEERS / 'package-lock.json', PEERS / 'node_modules' / '.installed-lock'
    if not (done.exists() and done.read_bytes() == lock.read_bytes()):
        subprocess.run(['npm', 'ci', '--silent'], cwd=PEERS, check=True, stdin=subprocess.DEVNULL)
        shutil.copy(lock, done)


def private_bytes(pid):
    lines = Path('/proc/%d/smaps_rollup' % pid).read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith('Private_'))


def cpu_ns(pid):
    """Of all its threads since the start."""
    return sum(int(task.read_text().split()[0]) for task in Path('/proc/%d/task' % pid).glob('*/schedstat'))


class Load:
    """A running bus_load. Whatever is wrong in what a subscriber gets ends it, and so the benchmark."""

    def __init__(self, dialect, port, *secret_file):
        command = [paths.build() / 'bench' / 'bus' / 'bus_load', dialect, str(port), *secret_file]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self._child.stdin.write(' '.join(map(str, words)) + '\n')
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError('bus_load ended with status %s' % self._child.wait(10))
        return json.loads(line)

    def close(self):
        self._child.kill()
        self._child.communicate()


class Side:
    """A server with a folder of its own; `pid` is the process that holds the connections."""
    dialect = 'plain'
    secret = ()

    def __init__(self, **options):
        self.servers = Servers()
        try:
            self.serve(**options)
            self.load = Load(self.dialect, self.port, *self.secret)
        except BaseException:
            self.servers.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.load.close()
        self.servers.close()

    @property
    def pid(self):
        return self.process.pid

    def cpu_ns(self):
        return cpu_ns(self.pid)

    def private_bytes(self):
        return private_bytes(self.pid)


class Headroom(Side):
    name = dialect = 'headroom'

    def serve(self, **keys):
        self.bus = Bus(self.servers, {'room:': RULE}, connections=19_000, connections_per_second=1_000_000, **keys)
        self.port, self.process, self.status = self.bus.port, self.bus.daemon, self.bus.status
        self.secret = [self.servers.folder / 'bus-secret']


class ThroughNginx(Headroom):
    """The same service behind nginx, as docs/bus.md tells it. CPU is that of both."""
    name = 'headroom through nginx'

    def serve(self):
        super().serve(proxies=['127.0.0.1'])
        self.nginx = BusProxy(self.servers, self.port)
        self.port = self.nginx.port

    def nginx_cpu_ns(self):
        return cpu_ns(self.nginx.worker)

    def cpu_ns(self):
        return super().cpu_ns() + self.nginx_cpu_ns()


class Nchan(Side):
    name = dialect = 'nchan'

    def serve(self):
        server = nchan.Nchan(self.servers)
        self.port, self.process = server.port, server.process

    @property
    def pid(self):
        worker, = self.process.children()
        return worker


class NchanMeta(Nchan):
    """Each message carries its position; without it a WebSocket client can't know where it was."""
    name = dialect = 'nchan+meta'


class Node(Side):
    script = 'ws.mjs'

    def serve(self):
        self.port = free_port()
        self.process = self.servers.start(Process(self.name, ['node', PEERS / self.script, self.port],
                self.servers.folder, ready=lambda: listening(self.port), stop_signal=signal.SIGTERM))


class Ws(Node):
    name = 'ws'


class SocketIo(Node):
    name, dialect, script = 'socket.io', 'socketio', 'socketio.mjs'
