#!/usr/bin/python3
"""Takes the pictures of the README and the guide again, of the released executable and a small company on Tryton:

    HEADROOM_BUILD=build/release python3 tests/browser/pictures.py [FOLDER]

Look at each before it is committed: nothing may overlap, nothing may be cut.
"""
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / 'tests')]

import programs  # noqa: E402
import world as worlds  # noqa: E402
from servers import Servers  # noqa: E402


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / 'docs' / 'pictures').resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with Servers() as servers:
        world = worlds.World(servers, kind='business')
        world.url = world.serve()
        world.record('--profile', 'model.sale.sale.confirm', '--db', 'model.*')
        world.log_in()
        world.sell()
        world.wait_for(9)
        environment = {'HEADROOM_URL': world.url, 'HEADROOM_TOKEN': worlds.TOKEN, 'HEADROOM_PICTURES': str(folder)}
        return 0 if programs.run('pictures.mjs', world, environment) else 1


if __name__ == '__main__':
    os.umask(0o022)
    sys.exit(main())
