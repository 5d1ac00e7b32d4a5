"""Headroom inside a Python application server.

Importing this package imports nothing of the application server and nothing native; what a server loads is named in
its own configuration (for Tryton: `headroom.trytond.MemoryCache`).
"""

__version__ = "0.1.0"
