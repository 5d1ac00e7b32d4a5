"""DuckDB, from npm, over the same documents in its memory."""
import json
import os
import subprocess
import tempfile
from pathlib import Path

from recorder import figures

PEERS = Path(__file__).resolve().parent / 'peers'


def install():
    subprocess.run(['npm', 'ci', '--no-audit', '--no-fund', '--silent'], cwd=PEERS, check=True)


def rows(sizes):
    install()
    world = sizes.ask('lists')
    with tempfile.TemporaryDirectory(prefix='headroom-') as folder:
        documents, question = Path(folder) / 'documents.tsv', Path(folder) / 'question.json'
        with open(documents, 'wb') as file:
            subprocess.run(sizes.load('documents'), stdout=file, check=True)
        question.write_text(json.dumps({'lists': world['lists'], 'users': world['users'][:sizes.sample]}))
        done = subprocess.run(['node', PEERS / 'duckdb.mjs', documents, question], stdout=subprocess.PIPE, check=True, timeout=1_200,
            env={**os.environ, 'THREADS': str(os.cpu_count())})
    for one in json.loads(done.stdout):
        expected = [counts[:one['lists']] for counts in world['counts']]
        assert one['counts'] == expected, 'DuckDB, %s: other counts' % one['name']
        yield figures.row('%d counts of a user: DuckDB, %s' % (one['lists'], one['name']), 's', ', '.join('%.3f' % t for t in one['seconds']))
