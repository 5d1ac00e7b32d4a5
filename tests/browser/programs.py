"""Runs the Node programs of this folder: Playwright is one. They may ask for work that this side does meanwhile."""
import json
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SECONDS = 120


def run(name, worker, environment, seconds=SECONDS, say=print):
    """Whether it ended well. It asks for methods of `worker`; `say` gets each other line that it prints."""
    process = subprocess.Popen(['node', str(HERE / name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env={**os.environ, **environment}, text=True, start_new_session=True)
    try:
        for line in process.stdout:
            if line.startswith('@work '):
                process.stdin.write(answer(worker, json.loads(line[6:])) + '\n')
                process.stdin.flush()
            else:
                say(line.rstrip('\n'))
        return process.wait(seconds) == 0
    finally:
        stop(process)


def answer(worker, request):
    name, *arguments = request
    try:
        getattr(worker, name)(*arguments)
        return 'done'
    except Exception as error:
        return '%s: %s' % (type(error).__name__, str(error).replace('\n', ' '))


def stop(process):
    """Chromium is a child of Node: the group ends as a whole."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        pass
    process.wait()
