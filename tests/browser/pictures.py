#!/usr/bin/python3
"""Takes the pictures of the README and the guides again, of the released executable and a small company on Tryton:

    HEADROOM_BUILD=build/release python3 tests/browser/pictures.py [FOLDER]

That of a notification in SAO is of a real window, on the screen of Debian's xvfb. Look at each before it is committed: nothing may
overlap, nothing may be cut.
"""
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / 'tests')]

import company as companies  # noqa: E402
import programs  # noqa: E402
import world as worlds  # noqa: E402
from servers import Servers  # noqa: E402
from servers.database import PASSWORD  # noqa: E402
from servers.display import Display  # noqa: E402
from sites import SaoSite, WorkSite  # noqa: E402


def take_pages(folder):
    with Servers() as servers:
        world = worlds.World(servers, kind='business')
        world.url = world.serve()
        world.record('--profile', 'model.sale.sale.confirm', '--db', 'model.*')
        world.log_in()
        world.sell()
        world.wait_for(9)
        environment = {'HEADROOM_URL': world.url, 'HEADROOM_TOKEN': worlds.TOKEN, 'HEADROOM_PICTURES': str(folder)}
        return programs.run('pictures.mjs', world, environment)


class Photographer:
    """Does what the program of SAO's picture asks for."""

    def __init__(self, site, display, path):
        self.notify = site.notify
        self.take = lambda: display.save(path)


def take_worklists(folder):
    with Servers() as servers:
        company = companies.Company(servers)
        environment = {'HEADROOM_URL': company.url, 'HEADROOM_TOKEN': worlds.TOKEN, 'HEADROOM_PICTURES': str(folder)}
        return programs.run('worklist_pictures.mjs', company, environment)


def take_my_work(folder):
    with Servers() as servers:
        site = WorkSite(servers)
        return programs.run('worklist_sao.mjs', site, {'HEADROOM_SAO': json.dumps(site.sao), 'HEADROOM_PICTURES': str(folder)})


def take_sao(folder):
    with Servers() as servers:
        site = SaoSite(servers, kind='business')
        display = Display(servers.folder)
        servers.start(display.process)
        sao = {'address': site.address, 'database': site.tryton.database, 'person': ['admin', PASSWORD], 'screen': display.name,
            'profile': str(servers.folder / 'profile')}
        with site.notifier:
            environment = {'HEADROOM_URL': site.url, 'HEADROOM_SAO': json.dumps(sao)}
            return programs.run('sao_picture.mjs', Photographer(site, display, folder / 'sao-light.png'), environment)


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / 'docs' / 'pictures').resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return 0 if take_pages(folder) and take_worklists(folder) and take_my_work(folder) and take_sao(folder) else 1


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())
