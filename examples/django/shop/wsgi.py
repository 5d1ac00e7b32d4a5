"""The WSGI application, recorded. The drivers come first: what connects before is not recorded."""
import os
import sqlite3

import headroom.dbapi

headroom.dbapi.instrument(sqlite3)
try:
    import psycopg2
except ImportError:
    pass
else:
    headroom.dbapi.instrument(psycopg2)

import headroom.wsgi  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
os.environ.setdefault("HEADROOM_PERF_CONFIG", os.path.join(os.path.dirname(__file__), "..", "headroom.ini"))
application = headroom.wsgi.Middleware(get_wsgi_application())
