"""trytond's WSGI application in this process, called as a server would call it, with a session.

The process is started with TRYTOND_CONFIG; whether the recorder is in it is a line of that file.
"""
import base64
import io
import json
import time


class Application:

    def __init__(self, database, password):
        from trytond.application import app
        self.app = app
        self.database = database
        self.authorization = None
        login = self.request('common.db.login', ['admin', {'password': password}, 'en'])
        user, session = json.loads(login.answer())['result']
        token = base64.b64encode(('admin:%s:%s' % (user, session)).encode()).decode()
        self.authorization = 'Session ' + token

    def request(self, method, params):
        return Request(self, method, params)


class Request:
    """One remote call that can be repeated. Its first answer is what every later one must be."""

    def __init__(self, application, method, params):
        from werkzeug.test import EnvironBuilder
        self.app = application.app
        self.method = method
        self.body = json.dumps({'id': 1, 'method': method, 'params': params}).encode()
        headers = {'Authorization': application.authorization} if application.authorization else {}
        self.environ = EnvironBuilder(path='/%s/' % application.database, method='POST', data=self.body,
            content_type='application/json', headers=headers).get_environ()
        self.status = None
        self.expected = None

    def start_response(self, status, headers, exc_info=None):
        self.status = status

    def timed(self):
        """The nanoseconds of CPU that this thread took for one call, whose answer is checked afterwards."""
        environ = {**self.environ, 'wsgi.input': io.BytesIO(self.body)}
        begin = time.thread_time_ns()
        answer = b''.join(self.app(environ, self.start_response))
        spent = time.thread_time_ns() - begin
        self.check(answer)
        return spent

    def check(self, answer):
        if self.expected is None:
            if self.status != '200 OK' or b'"error"' in answer[:40]:
                raise RuntimeError('%s answered %s %r' % (self.method, self.status, answer[:500]))
            self.expected = answer
        if answer != self.expected:
            raise RuntimeError('%s answered %r instead of %r' % (self.method, answer[:500], self.expected[:500]))

    def answer(self):
        self.timed()
        return self.expected


def everyday_requests(application):
    """The two calls that the figures are promised for, as the web client makes them."""
    context = {'client': 'bench', 'language': 'en', 'company': 1}
    user_fields = ['name', 'login', 'active', 'email', 'signature', 'groups', 'language', 'rec_name', '_timestamp']
    menu_fields = ['name', 'childs', 'favorite', 'icon', 'parent', 'rec_name', '_timestamp']
    return [
        application.request('model.res.user.read', [[1], user_fields, context]),
        application.request('model.ir.ui.menu.search_read',
            [[['parent', '=', None]], 0, 1000, [['sequence', 'ASC']], menu_fields, context]),
        ]
