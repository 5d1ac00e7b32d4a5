"""The page of the bus as an administrator and a viewer work with it; the story is a Node program beside this file."""
import json
import subprocess

import programs
import world as worlds
from conftest import pictures
from servers import executable, free_port
from servers.recorder import Recorder

KEY = 'a-key-of-the-tests-0123456789abcdef0123456789'

SETTINGS = '''
[serve]
listen = "127.0.0.1:%(port)d"
token_file = "%(folder)s/token"
password_file = "%(folder)s/people"

[bus]
enabled = %(enabled)s
secret_files = ["%(folder)s/secret"]
reconnect_window = "1s"

[bus.channels]
"room:" = "subscribe=users publish=users joins=yes message=1MiB history=100 history_size=8MiB"
'''


class Service:
    """`headroom serve` with the bus and people who sign in; it may be stopped and started again on its port."""

    def __init__(self, servers, enabled=True):
        self.servers = servers
        self.port = free_port()
        self.url = 'http://127.0.0.1:%d' % self.port
        folder = servers.folder
        for name, text in (('token', worlds.TOKEN), ('secret', KEY)):
            (folder / name).write_text(text + '\n')
            (folder / name).chmod(0o600)
        for name, (role, password) in worlds.PEOPLE.items():
            subprocess.run([executable(), 'serve', 'password', 'add', name, '--role', role, '--file', folder / 'people'],
                input=password + '\n', text=True, check=True, capture_output=True)
        self.configuration = Recorder(servers).configuration
        with open(self.configuration, 'a') as configuration:
            configuration.write(SETTINGS % {'port': self.port, 'folder': folder, 'enabled': str(enabled).lower()})
        self.start()

    def start(self):
        self.process = self.servers.headroom(self.configuration, self.port)

    def stop(self):
        self.process.stop()


def browse(service, name):
    environment = {'HEADROOM_URL': service.url, 'HEADROOM_TOKEN': worlds.TOKEN, 'HEADROOM_PICTURES': str(pictures()),
        'HEADROOM_PEOPLE': json.dumps(worlds.PEOPLE), 'HEADROOM_BUS_KEY': KEY}
    assert programs.run(name, service, environment), '%s failed; its pictures are in %s' % (name, pictures())


def test_a_client_is_seen_its_messages_are_followed_and_one_is_published(servers):
    browse(Service(servers), 'bus_page.mjs')


def test_names_and_messages_of_the_bus_are_shown_as_text(servers):
    browse(Service(servers), 'bus_page_hostile.mjs')


def test_the_views_of_the_bus_are_accessible_and_fit_in_both_themes_and_widths(servers):
    browse(Service(servers), 'bus_page_look.mjs')


def test_a_service_without_the_bus_says_how_to_turn_it_on(servers):
    browse(Service(servers, enabled=False), 'bus_page_off.mjs')
