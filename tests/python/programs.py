"""Runs small programs in a Python of their own, with the stand-in or without any native module."""
import os
import pathlib
import subprocess
import sys
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "python"

STAND_IN = """
import sys, fake_native
sys.modules["headroom._native"] = fake_native
"""
WITHOUT_NATIVE = """
import sys
sys.modules["headroom._native"] = None
"""
LOGGED = """
import logging
logged = []
class Handler(logging.Handler):
    def emit(self, record):
        logged.append((record.levelname, record.getMessage()))
logging.getLogger("headroom").addHandler(Handler())
logging.getLogger("headroom").setLevel(logging.INFO)
"""


def run(program, configuration=None, preamble=STAND_IN, path=()):
    """Gives what the program printed; fails with its errors when it did not end well."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TRYTOND")}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (*path, PACKAGE, HERE)))
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    if configuration is not None:
        environment["TRYTOND_CONFIG"] = str(configuration)
    result = subprocess.run([sys.executable, "-W", "ignore", "-c", preamble + LOGGED + textwrap.dedent(program)],
        env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()
