"""Starts and stops real servers for tests, benchmarks and the demo, and talks to them as clients do.

This is the one place that does so. Every server listens on a free loopback port, keeps its files in the folder it is
given, is stopped by its own process group, and leaves nothing behind. `Servers` owns a set of them.
"""
from .client import Client, RPCError
from .paths import executable, project_root, run_headroom
from .process import Process, free_port, wait_until
from .servers import Servers

__all__ = ['Client', 'Process', 'RPCError', 'Servers', 'executable', 'free_port', 'project_root', 'run_headroom',
    'wait_until']
