"""nginx with nchan, a peer of the bus: one worker, a channel with history."""
import signal
from pathlib import Path

from .process import Process, free_port, listening

MODULE = Path('/usr/lib/nginx/modules/ngx_nchan_module.so')
CONFIGURATION = """
load_module %(module)s;
daemon off;
user root;
pid %(folder)s/nginx.pid;
error_log stderr warn;
worker_processes 1;
worker_rlimit_nofile %(files)d;
events { worker_connections %(connections)d; }
http {
  access_log off;
  client_body_temp_path %(folder)s/body;
  proxy_temp_path %(folder)s/proxy;
  fastcgi_temp_path %(folder)s/fastcgi;
  uwsgi_temp_path %(folder)s/uwsgi;
  scgi_temp_path %(folder)s/scgi;
  keepalive_requests 1000000;
  nchan_shared_memory_size 256m;
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
    location = /sub {
      nchan_subscriber websocket;
      nchan_channel_id $arg_id;
      nchan_subscriber_first_message newest;
    }
    location = /pub {
      nchan_publisher http;
      nchan_channel_id $arg_id;
      nchan_message_buffer_length 100;
      nchan_message_timeout 5m;
    }
  }
}
"""
FILES = 20_000  # as many as a process may open on a machine that does not raise its limit
CONNECTIONS = 19_900  # it begins to close idle ones when a sixteenth is left


def installed():
    return MODULE.exists()


class Nchan:
    """WebSockets subscribe at /sub?id=CHANNEL, POST /pub?id=CHANNEL publishes."""

    def __init__(self, servers):
        self.port = free_port()
        folder = servers.folder / ('nchan-%d' % self.port)
        folder.mkdir()
        configuration = folder / 'nginx.conf'
        configuration.write_text(CONFIGURATION % dict(module=MODULE, folder=folder, port=self.port, files=FILES,
                connections=CONNECTIONS))
        self.process = servers.start(Process('nchan-%d' % self.port,
                ['/usr/sbin/nginx', '-e', 'stderr', '-c', configuration], folder,
                ready=lambda: listening(self.port), stop_signal=signal.SIGTERM))
