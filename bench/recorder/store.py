"""Rows: the reports of a store of a million calls, as perf_store_bench measures and checks them."""
import json
import subprocess

from servers import paths

from .figures import row


def rows(servers, calls, judge):
    answer = servers.folder / 'store.json'
    done = subprocess.run([paths.build() / 'src/perf/perf_store_bench', '--calls', str(calls), '--json', answer],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError('perf_store_bench ended with status %d\n%s' % (done.returncode, done.stdout))
    for one in json.loads(answer.read_text()):
        goal = one['goal']
        yield row('store of %d calls: %s' % (calls, one['what']), one['unit'], '%.2f' % one['value'],
            '-' if goal is None else '<= %g' % goal, one['met'] if judge and goal is not None else None)
