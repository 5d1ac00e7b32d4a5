import subprocess
import sys
import threading
import time

import pytest
from conftest import PoolMeta, Tree, module_path


class Model(metaclass=PoolMeta):
    @classmethod
    def read(cls, count):
        return [cls(number).rec_name() for number in range(count)]

    def __init__(self, number):
        self.number = number

    def rec_name(self):
        return len(str(self.number))


class Sale(Model):
    __name__ = 'sale.sale'


class Party(Model):
    __name__ = 'party.party'


def leaf():
    pass


def branch():
    leaf()
    leaf()


def tree():
    branch()
    leaf()


def recursive(depth):
    if depth:
        recursive(depth - 1)


def numbers(count):
    for number in range(count):
        leaf()
        yield number


def fails():
    leaf()
    raise ValueError


def catches():
    for _ in range(3):
        try:
            fails()
        except ValueError:
            pass


def exact(profilers, function, *arguments, limit=100_000):
    profiler = profilers.Exact(limit)
    function(*arguments)
    return Tree(profiler.stop())


def test_the_whole_tree_of_calls_is_kept(profilers):
    paths = exact(profilers, tree).paths()
    assert paths[('tree',)] == 1
    assert paths[('tree', 'branch')] == 1
    assert paths[('tree', 'branch', 'leaf')] == 2
    assert paths[('tree', 'leaf')] == 1


def test_c_functions_are_in_it_with_the_names_of_pstats(profilers):
    def work():
        [].append(len('abc'))
        dict.fromkeys('ab')

    result = exact(profilers, work)
    assert result.calls('<built-in builtins.len>') == 1
    assert result.calls("<method 'append' of 'list' objects>") == 1
    assert result.calls("<method 'fromkeys' of type 'dict'>") == 1
    assert '{built-in builtins.len}' in result.profile['text']


def test_methods_of_models_carry_the_name_of_their_own_model(profilers):
    def work():
        Sale.read(2)
        Party.read(3)

    result = exact(profilers, work)
    assert result.calls('sale.sale:read') == 1
    assert result.calls('sale.sale:rec_name') == 2
    assert result.calls('party.party:rec_name') == 3
    assert result.calls('Model.read') == 0


def test_recursion_is_a_path_and_shown_as_pstats_shows_it(profilers):
    result = exact(profilers, recursive, 3)
    assert result.paths()[('recursive',) * 4] == 1
    assert '      4/1 ' in result.profile['text']


def test_generators_come_and_go(profilers):
    def work():
        first, second = numbers(3), numbers(3)
        for _ in zip(first, second):
            leaf()
        abandoned = numbers(5)
        next(abandoned)
        del abandoned

    paths = exact(profilers, work).paths()
    name = 'test_generators_come_and_go.<locals>.work'
    assert paths[(name, 'numbers', 'leaf')] == 6
    assert paths[(name, '<built-in builtins.next>', 'numbers', 'leaf')] == 1
    assert paths[(name, 'leaf')] == 3


def test_exceptions_unwind_it(profilers):
    paths = exact(profilers, catches).paths()
    assert paths == {('catches',): 1, ('catches', 'fails'): 3, ('catches', 'fails', 'leaf'): 3,
                     ("<method 'stop' of 'Exact' objects>",): 1}


def test_exceptions_thrown_by_c_functions_unwind_it(profilers):
    def work():
        for _ in range(4):
            try:
                [].pop()
            except IndexError:
                leaf()

    paths = exact(profilers, work).paths()
    assert paths[('test_exceptions_thrown_by_c_functions_unwind_it.<locals>.work', 'leaf')] == 4


def test_returns_of_frames_that_were_there_before_do_not_matter(profilers):
    def start_deep(depth):
        return start_deep(depth - 1) if depth else profilers.Exact()

    profiler = start_deep(10)
    tree()
    paths = Tree(profiler.stop()).paths()
    assert paths[('tree', 'branch', 'leaf')] == 2


def test_times_add_up_to_the_time_that_passed(profilers):
    start = time.perf_counter()
    profiler = profilers.Exact()
    tree()
    time.sleep(0.05)
    result = Tree(profiler.stop())
    assert result.wall() <= time.perf_counter() - start
    assert 0.05 <= result.wall('time.sleep>') <= result.wall()


def test_nodes_beyond_the_bound_are_counted_and_the_tree_stays_right(profilers):
    def work():
        recursive(100)
        tree()

    result = exact(profilers, work, limit=20)
    assert len(result.nodes) == 20
    assert result.profile['dropped'] > 80
    assert result.wall() > 0
    assert all(node[2] <= 1 for node in result.nodes[1:])


def test_every_thread_has_a_profile_of_its_own(profilers):
    results = {}

    def work(number):
        profiler = profilers.Exact()
        for _ in range(number):
            branch()
            time.sleep(0.0005)
        results[number] = Tree(profiler.stop())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20, 28)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, result in results.items():
        assert result.paths()[('branch', 'leaf')] == 2 * number


def test_a_profile_function_of_somebody_else_is_left_alone(profilers):
    def theirs(*_):
        pass

    sys.setprofile(theirs)
    try:
        with pytest.raises(RuntimeError, match='conflict: .*profile function of its own'):
            profilers.Exact()
        assert sys.getprofile() is theirs
    finally:
        sys.setprofile(None)


def test_a_profile_function_set_in_between_is_not_removed(profilers):
    def theirs(*_):
        pass

    profiler = profilers.Exact()
    tree()
    sys.setprofile(theirs)
    try:
        result = Tree(profiler.stop())
        assert sys.getprofile() is theirs
    finally:
        sys.setprofile(None)
    assert result.paths()[('tree', 'branch', 'leaf')] == 2


def test_a_second_profile_on_the_thread_stands_within_the_first(profilers):
    def inner():
        profiler = profilers.Exact()
        tree()
        return profiler.stop()

    outer = profilers.Exact()
    leaf()
    nested = Tree(inner())
    leaf()
    whole = Tree(outer.stop())
    assert sys.getprofile() is None
    assert nested.paths()[('tree', 'branch', 'leaf')] == 2 and nested.calls('leaf') == 3
    inside = '%s.<locals>.inner' % test_a_second_profile_on_the_thread_stands_within_the_first.__name__
    assert whole.paths()[(inside, 'tree', 'branch', 'leaf')] == 2 and whole.paths()[('leaf',)] == 2


def test_a_profile_that_ends_before_the_one_within_it_leaves_it_alone(profilers):
    outer, nested = profilers.Exact(), profilers.Exact()
    tree()
    assert Tree(outer.stop()).calls('leaf') == 3
    leaf()
    assert Tree(nested.stop()).calls('leaf') == 4
    assert sys.getprofile() is None


def test_the_outer_profile_goes_on_when_another_thread_ended_the_inner_one(profilers):
    shared, ready, dropped, whole = [], threading.Event(), threading.Event(), []

    def work():
        outer = profilers.Exact()
        shared.append(profilers.Exact())
        ready.set()
        dropped.wait()
        tree()
        whole.append(Tree(outer.stop()))

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    shared.pop().stop()
    dropped.set()
    thread.join()
    assert whole[0].calls('branch') == 1 and whole[0].calls('leaf') == 3


def test_after_the_end_the_thread_is_as_before(profilers):
    profilers.Exact().stop()
    assert sys.getprofile() is None
    profiler = profilers.Exact()
    del profiler
    assert sys.getprofile() is None


def test_a_profile_dropped_by_another_thread_takes_itself_away(profilers):
    shared, ready, dropped, seen = [], threading.Event(), threading.Event(), []

    def work():
        shared.append(profilers.Exact())
        tree()
        ready.set()
        dropped.wait()
        leaf()
        seen.append(sys.getprofile())

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    result = Tree(shared.pop().stop())
    dropped.set()
    thread.join()
    assert result.paths()[('tree', 'branch', 'leaf')] == 2
    assert seen == [None]


def test_objects_behind_names_live_until_the_end(profilers):
    def work():
        for number in range(200):
            space = {}
            exec(f'def made_{number}(): return {number}', space)
            space[f'made_{number}']()

    result = exact(profilers, work)
    assert result.calls('made_17') == 1
    assert sum(name.startswith('made_') for name in result.names()) == 200


GREENLETS = '''
import sys
sys.path.insert(0, {folder!r})
import conftest
profilers = conftest.load()
import gevent, greenlet

def leaf(): pass
def own(): leaf()
def foreign():
    for _ in range(50): leaf(); gevent.sleep(0)

def call(number):
    profiler = profilers.Exact()
    for _ in range(number):
        own()
        gevent.sleep(0.001)
    return conftest.Tree(profiler.stop())

previous = []
greenlet.settrace(lambda *a: previous.append(a[0]))
before = greenlet.gettrace()
calls = [gevent.spawn(call, number) for number in range(5, 15)]
others = [gevent.spawn(foreign) for _ in range(10)]
gevent.joinall(calls + others, raise_error=True)
for number, done in zip(range(5, 15), calls):
    paths = done.value.paths()
    assert paths[('own', 'leaf')] == number, (number, paths)
    assert not any('foreign' in path for path in paths)
    assert done.value.wall() >= number * 0.001
assert greenlet.gettrace() is before and 'switch' in previous
assert sys.getprofile() is None
def nests():
    outer, inner = profilers.Exact(), profilers.Exact()
    gevent.sleep(0.01)
    leaf()
    return conftest.Tree(inner.stop()).calls('leaf'), conftest.Tree(outer.stop()).calls('leaf')
nested = [gevent.spawn(nests) for _ in range(5)] + [gevent.spawn(foreign)]
gevent.joinall(nested, raise_error=True)
assert [each.value for each in nested[:5]] == [(1, 1)] * 5, nested
open_profiles = []
def waits():
    open_profiles.append(profilers.Exact())
    gevent.sleep(0.05)
    leaf()
    return sys.getprofile()
waiting = gevent.spawn(waits)
gevent.sleep(0.01)
open_profiles.clear()
assert sys.getprofile() is None and greenlet.gettrace() is before
waiting.join()
assert waiting.value is None
assert sys.getprofile() is None
assert greenlet.gettrace() is before
print('fine')
'''


def test_greenlets_keep_their_profiles_apart():
    program = GREENLETS.format(folder=str(__file__).rsplit('/', 1)[0])
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60,
                          env={'HEADROOM_PROFILERS': str(module_path())})
    assert done.stdout == 'fine\n', done.stderr
