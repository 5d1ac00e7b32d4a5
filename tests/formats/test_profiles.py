"""speedscope, pprof, collapsed stacks and pstats: the profile of call 3 of the sample, 45 ms in three nodes:
dispatch 10 ms, read 30 ms, and read within read 5 ms."""
import io
import json
import pstats
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from jsonschema import Draft7Validator

HERE = Path(__file__).parent
SPEEDSCOPE = HERE.parents[1] / 'web' / 'node_modules' / 'speedscope'


def test_pstats_loads_what_cprofile_would_have_dumped(export, tmp_path):
    file = tmp_path / 'call.pstats'
    file.write_bytes(export('shop/71', '3', '--format', 'pstats'))
    output = io.StringIO()
    stats = pstats.Stats(str(file), stream=output)
    stats.sort_stats('cumulative').print_stats()
    stats.print_callers()
    dispatch = ('trytond/dispatcher.py', 10, 'dispatch')
    read = ('trytond/model/modelsql.py', 600, 'sale.sale:read')
    assert stats.total_calls == 7
    assert stats.prim_calls == 3
    assert abs(stats.total_tt - 0.045) < 1e-9
    calls, number, own, cumulative, callers = stats.stats[read]
    assert (calls, number) == (2, 6)
    assert abs(own - 0.035) < 1e-9 and abs(cumulative - 0.035) < 1e-9
    assert set(callers) == {dispatch, read}
    assert callers[dispatch][0] == 2
    assert '6/2' in output.getvalue()
    assert stats.get_stats_profile().func_profiles['sale.sale:read'].ncalls == '6/2'


def test_collapsed_stacks_are_what_flamegraph_reads(export):
    lines = export('shop/71', '3', '--format', 'collapsed').decode().splitlines()
    parsed = dict(re.fullmatch(r'(\S.*\S) (\d+)', line).groups() for line in lines)
    stacks = {tuple(stack.split(';')): int(value) for stack, value in parsed.items()}
    assert sum(stacks.values()) == 45_000
    assert sorted(len(stack) for stack in stacks) == [1, 2, 3]


def test_collapsed_stacks_are_drawn_by_flamegraph(export):
    """Brendan Gregg's program, in the copy that Debian's NYTProf brings."""
    drawn = subprocess.run(['perl', '/usr/share/perl5/Devel/NYTProf/flamegraph.pl', '--countname', 'us'],
        input=export('shop/71', '3', '--format', 'collapsed'), capture_output=True)
    assert drawn.returncode == 0 and drawn.stderr == b''
    titles = [title.text for title in ElementTree.fromstring(drawn.stdout).iter('{http://www.w3.org/2000/svg}title')]
    read = [title for title in titles if title.startswith('sale.sale:read')]
    assert len(read) == 2 and '(35,000 us' in read[0] + read[1] and '(5,000 us' in read[0] + read[1]
    assert any(title.startswith('all (45,000 us') for title in titles)


def test_speedscope_keeps_its_schema_and_its_rules(export):
    file = json.loads(export('shop/71', '3', '--format', 'speedscope'))
    Draft7Validator(json.loads((SPEEDSCOPE / 'dist' / 'release' / 'file-format-schema.json').read_text())).validate(file)
    frames = file['shared']['frames']
    for profile in file['profiles']:
        assert profile['endValue'] - profile['startValue'] == 45_000_000
        check_events(profile, len(frames))


def check_events(profile, frames):
    """What speedscope's importer checks: frames close in order, and time never goes back."""
    stack, last = [], profile['startValue']
    for event in profile['events']:
        assert set(event) == {'type', 'frame', 'at'}
        assert last <= event['at'] <= profile['endValue']
        assert 0 <= event['frame'] < frames
        last = event['at']
        if event['type'] == 'O':
            stack.append(event['frame'])
        else:
            assert event['type'] == 'C' and stack.pop() == event['frame']
    assert not stack


@pytest.mark.parametrize('format', ['speedscope', 'pprof', 'collapsed'])
def test_speedscope_opens_it_and_adds_up_the_same(export, tmp_path, pictures, format):
    """The tool itself, as its npm package has it, in Debian's Chromium."""
    file = tmp_path / ('call.' + format)
    file.write_bytes(export('shop/71', '3', '--format', format))
    opened = subprocess.run(['node', HERE / 'speedscope.mjs', file, pictures / ('speedscope-%s.png' % format)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert opened.returncode == 0, opened.stderr
    total_and_self = {row[-1].partition(' (')[0]: row[:2] for row in json.loads(opened.stdout)['rows']}
    shown = '%d,000' if format == 'collapsed' else '%d.00ms'  # collapsed stacks have no unit
    assert total_and_self == {'dispatch': [shown % 45 + ' (100%)', shown % 10 + ' (22%)'],
        'sale.sale:read': [shown % 35 + ' (78%)'] * 2}


def test_pprof_keeps_the_schema_that_pprof_is_built_from(export):
    read = subprocess.run(['node', HERE / 'pprof.mjs'], input=export('shop/71', '3', '--format', 'pprof'), capture_output=True,
        check=True, timeout=60)
    profile = json.loads(read.stdout)
    strings = profile['stringTable']
    assert strings[0] == ''
    types = [(strings[each['type']], strings[each['unit']]) for each in profile['sampleType']]
    assert types == [('calls', 'count'), ('wall', 'nanoseconds'), ('cpu', 'nanoseconds')]
    assert strings[profile['defaultSampleType']] == 'wall'
    functions = {each['id']: strings[each['name']] for each in profile['function']}
    locations = {each['id']: functions[each['line'][0]['functionId']] for each in profile['location']}
    assert 0 not in functions and 0 not in locations, 'pprof takes no id 0'
    stacks = {tuple(locations[each] for each in sample['locationId']): sample['value'] for sample in profile['sample']}
    read, dispatch = 'sale.sale:read', 'dispatch'
    assert stacks == {(dispatch,): [1, 10_000_000, 0], (read, dispatch): [2, 30_000_000, 0],
        (read, read, dispatch): [4, 5_000_000, 0]}
    assert profile['durationNanos'] == 45_000_000
    assert profile['timeNanos'] > 0
