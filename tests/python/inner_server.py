"""trytond in this process, driven through its WSGI application. Import it only when TRYTOND_CONFIG is set."""
import base64
import json

from trytond import backend
from trytond.pool import Pool
from trytond.transaction import Transaction
from trytond.wsgi import app
from werkzeug.test import Client as WerkzeugClient


class Server:
    name = "test"

    def __init__(self):
        database = backend.Database(self.name).connect()
        with Transaction().start(None, 0, close=True, autocommit=True):
            database.init()
        Pool.start()
        pool = Pool(self.name)
        pool.init(update=["ir", "res"], lang=["en"])
        with Transaction().start(self.name, 0):
            User = pool.get("res.user")
            admin, = User.search([("login", "=", "admin")])
            admin.password = "a long secret word"
            admin.save()
        self.password = "a long secret word"
        self.app = app
        self.session = self.login()

    def login(self):
        return Client(self, None).rpc("common.db.login", "admin", {"password": self.password}).json["result"]

    def client(self):
        return Client(self, self.session)


class Client:
    def __init__(self, server, session):
        self.server = server
        self.session = session
        self.http = WerkzeugClient(server.app)

    def headers(self, login="admin"):
        if self.session is None:
            return {}
        user, token = self.session
        text = "%s:%d:%s" % (login, user, token)
        return {"Authorization": "Session " + base64.b64encode(text.encode()).decode()}

    def rpc(self, method, *params, database="test", headers=None, **kwargs):
        path = "/%s/" % database if database else "/"
        body = json.dumps({"id": 1, "method": method, "params": list(params)})
        return self.http.post(path, data=body, content_type="application/json",
            headers=self.headers() if headers is None else headers, **kwargs)
