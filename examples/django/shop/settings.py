"""Settings of the example: SQLite, or PostgreSQL when PGDATABASE names a database."""
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# Good enough for an example on the loopback interface, and for nothing else.
SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "this key is public")
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", "django.contrib.staticfiles", "shop",
    ]

MIDDLEWARE = [
    "headroom.django.Middleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    ]

if "PGDATABASE" in os.environ:
    # Host, port and user come from PGHOST, PGPORT and PGUSER.
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"]}}
else:
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("SHOP_SQLITE", BASE_DIR / "shop.sqlite")}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages"]},
    }]

ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "orders"
STATIC_URL = "/static/"
USE_TZ = True
