"""speedscope, pprof, collapsed stacks and pstats: the profile of call 3 of the sample, 45 ms in three nodes:
dispatch 10 ms, read 30 ms, and read within read 5 ms."""
import gzip
import io
import json
import pstats
import re
import subprocess
from xml.etree import ElementTree

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


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


# https://www.speedscope.app/file-format-schema.json, by hand: what is required, of which type, and nothing else.
FILE = {'$schema': str, 'exporter': str, 'name': str, 'activeProfileIndex': int, 'shared': dict, 'profiles': list}
FRAME = {'name': str, 'file': str, 'line': int, 'col': int}
EVENTED = {'type': str, 'name': str, 'unit': str, 'startValue': (int, float), 'endValue': (int, float), 'events': list}
UNITS = {'none', 'nanoseconds', 'microseconds', 'milliseconds', 'seconds', 'bytes'}


def has_shape(value, shape, required):
    assert set(value) <= set(shape), set(value) - set(shape)
    assert set(required) <= set(value)
    for key, item in value.items():
        assert isinstance(item, shape[key]), key


def test_speedscope_keeps_its_schema_and_its_rules(export):
    file = json.loads(export('shop/71', '3', '--format', 'speedscope'))
    has_shape(file, FILE, ['$schema', 'shared', 'profiles'])
    assert file['$schema'] == 'https://www.speedscope.app/file-format-schema.json'
    frames = file['shared']['frames']
    for frame in frames:
        has_shape(frame, FRAME, ['name'])
    for profile in file['profiles']:
        has_shape(profile, EVENTED, EVENTED)
        assert profile['type'] == 'evented' and profile['unit'] in UNITS
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


# github.com/google/pprof/proto/profile.proto: message, field, number, type (or message), repeated
FIELDS = [
    ('Profile', 'sample_type', 1, 'ValueType', True), ('Profile', 'sample', 2, 'Sample', True),
    ('Profile', 'mapping', 3, 'Mapping', True), ('Profile', 'location', 4, 'Location', True),
    ('Profile', 'function', 5, 'Function', True), ('Profile', 'string_table', 6, 'string', True),
    ('Profile', 'drop_frames', 7, 'int64', False), ('Profile', 'keep_frames', 8, 'int64', False),
    ('Profile', 'time_nanos', 9, 'int64', False), ('Profile', 'duration_nanos', 10, 'int64', False),
    ('Profile', 'period_type', 11, 'ValueType', False), ('Profile', 'period', 12, 'int64', False),
    ('Profile', 'comment', 13, 'int64', True), ('Profile', 'default_sample_type', 14, 'int64', False),
    ('ValueType', 'type', 1, 'int64', False), ('ValueType', 'unit', 2, 'int64', False),
    ('Sample', 'location_id', 1, 'uint64', True), ('Sample', 'value', 2, 'int64', True),
    ('Mapping', 'id', 1, 'uint64', False),
    ('Location', 'id', 1, 'uint64', False), ('Location', 'mapping_id', 2, 'uint64', False),
    ('Location', 'address', 3, 'uint64', False), ('Location', 'line', 4, 'Line', True),
    ('Line', 'function_id', 1, 'uint64', False), ('Line', 'line', 2, 'int64', False),
    ('Function', 'id', 1, 'uint64', False), ('Function', 'name', 2, 'int64', False),
    ('Function', 'system_name', 3, 'int64', False), ('Function', 'filename', 4, 'int64', False),
    ('Function', 'start_line', 5, 'int64', False)]


def profile_class():
    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name='profile.proto', package='perftools.profiles', syntax='proto3')
    messages = {}
    for message, name, number, kind, repeated in FIELDS:
        if message not in messages:
            messages[message] = file.message_type.add(name=message)
        label = field_types.LABEL_REPEATED if repeated else field_types.LABEL_OPTIONAL
        field = messages[message].field.add(name=name, number=number, label=label)
        if kind[0].isupper():
            field.type, field.type_name = field_types.TYPE_MESSAGE, '.perftools.profiles.' + kind
        else:
            field.type = getattr(field_types, 'TYPE_' + kind.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName('perftools.profiles.Profile'))


def test_pprof_is_what_protocol_buffers_read(export):
    profile = profile_class()()
    profile.ParseFromString(gzip.decompress(export('shop/71', '3', '--format', 'pprof')))
    strings = profile.string_table
    assert strings[0] == ''
    assert not profile.UnknownFields()
    types = [(strings[each.type], strings[each.unit]) for each in profile.sample_type]
    assert types == [('calls', 'count'), ('wall', 'nanoseconds'), ('cpu', 'nanoseconds')]
    assert strings[profile.default_sample_type] == 'wall'
    functions = {each.id: strings[each.name] for each in profile.function}
    locations = {each.id: functions[each.line[0].function_id] for each in profile.location}
    assert 0 not in functions and 0 not in locations, 'pprof takes no id 0'
    stacks = {tuple(locations[each] for each in sample.location_id): list(sample.value) for sample in profile.sample}
    read, dispatch = 'sale.sale:read', 'dispatch'
    assert stacks == {(dispatch,): [1, 10_000_000, 0], (read, dispatch): [2, 30_000_000, 0],
        (read, read, dispatch): [4, 5_000_000, 0]}
    assert profile.duration_nanos == 45_000_000
    assert profile.time_nanos > 0
