"""Whoever imports what first, trytond starts; what can't be recorded is said in one line."""
import pytest
from programs import WITHOUT_NATIVE, run

BOTH = "[cache]\nclass = headroom.trytond.MemoryCache\n[wsgi middleware]\nheadroom = headroom.trytond.Middleware\n"


@pytest.fixture
def configuration(tmp_path):
    def write(text="[cache]\nclass = headroom.trytond.MemoryCache\n"):
        file = tmp_path / "trytond.conf"
        file.write_text("[database]\nuri = sqlite://\npath = %s\n[web]\nroot =\n%s\n[perf]\nstate = %s\n"
            % (tmp_path / "databases", text, tmp_path / "state"))
        return file
    return write


CHECK = """
import trytond.cache, headroom.trytond, fake_native
from trytond.pool import Pool
assert trytond.cache.Cache is headroom.trytond.MemoryCache, trytond.cache.Cache
assert issubclass(trytond.cache.Cache, fake_native.CacheCounters)
import trytond.wsgi
Pool.start()
Pool.start()
from headroom.adapters.base import Middleware
assert isinstance(trytond.wsgi.app.wsgi_app, Middleware)
assert len(fake_native.started) == 1, fake_native.started
assert "not hooked" not in fake_native.started[0]["version"]
print(fake_native.started[0]["version"])
"""


@pytest.mark.parametrize("first", [
    "import headroom.trytond, trytond.cache", "import trytond.cache, headroom.trytond",
    "from headroom.trytond import MemoryCache", "import trytond.wsgi", "import trytond.pool", "import trytond.worker",
    "import trytond.cron", "import trytond.admin", "import trytond.model", "import trytond.transaction",
    "import headroom.attach; headroom.attach.prepare()", "from trytond.pool import Pool; Pool.start()",
    "import trytond.application"])
def test_the_packages_load_in_either_order(first, configuration):
    said = run(first + "\n" + CHECK, configuration())
    for hook in ("sqlite", "transaction", "worker", "pool", "wsgi", "identity", "dispatcher", "rpc", "queue", "cron"):
        assert hook in said


@pytest.mark.parametrize("first", ["import trytond.wsgi", "import headroom.trytond, trytond.cache"])
def test_the_middleware_beside_the_cache_class_changes_nothing(first, configuration):
    run(first + "\n" + CHECK, configuration(BOTH))


def test_a_start_that_fails_is_tried_again(configuration):
    said = run("""
        import trytond.cache, fake_native
        from trytond.pool import Pool
        start = fake_native.start
        def fail(settings):
            fake_native.start = start
            raise RuntimeError("out of memory")
        fake_native.start = fail
        Pool.start()
        assert not fake_native.started
        Pool.start()
        Pool.start()
        print(len(fake_native.started), logged[0])
        """, configuration())
    assert said.startswith("1 ('ERROR', 'attaching to trytond failed"), said


@pytest.mark.parametrize("module", ["trytond.cron", "trytond.worker", "trytond.pool"])
def test_a_process_that_imports_the_cache_from_inside_the_start_of_the_pool_is_hooked_before_its_first_database(
        module, configuration):
    said = run("""
        import %s, fake_native
        from trytond.pool import Pool
        Pool.start()
        try:
            Pool("nowhere").init()
        except OSError:
            pass
        assert not fake_native.opened
        print(fake_native.started[0]["version"])
        """ % module, configuration())
    assert "cron" in said and "not hooked" not in said


def test_the_package_itself_imports_nothing_of_trytond():
    assert run("""
        import headroom, headroom.trytond, headroom.attach, headroom.settings
        print([name for name in sys.modules if name == "trytond" or name.startswith("trytond.")])
        """) == "[]"


def test_another_attribute_of_the_module_is_an_ordinary_error():
    assert run("""
        import headroom.trytond
        try:
            headroom.trytond.RedisCache
        except AttributeError as error:
            print(error)
        """) == "module 'headroom.trytond' has no attribute 'RedisCache'"


def test_without_the_native_module_trytond_has_its_own_cache_and_one_line_says_so(configuration):
    said = run("""
        import trytond.cache, trytond.wsgi
        from trytond.pool import Pool
        Pool.start()
        assert trytond.cache.Cache is trytond.cache.MemoryCache
        assert type(trytond.wsgi.app.wsgi_app).__name__ != "Middleware", trytond.wsgi.app.wsgi_app
        print(logged)
        """, configuration(BOTH), preamble=WITHOUT_NATIVE)
    assert said.count("nothing is recorded") == 1 and "'ERROR'" in said


def test_an_unknown_version_of_trytond_is_left_alone(configuration):
    said = run("""
        import trytond
        trytond.__version__ = "9.4.0"
        import trytond.transaction
        commit = trytond.transaction.Transaction.commit
        import trytond.cache, trytond.wsgi, trytond.worker, fake_native
        from trytond.pool import Pool
        start = Pool.__dict__["start"]
        Pool.start()
        assert trytond.cache.Cache is trytond.cache.MemoryCache
        assert trytond.transaction.Transaction.commit is commit and Pool.__dict__["start"] is start
        assert trytond.worker.run_task.__code__.co_filename.endswith("worker.py")
        assert not fake_native.started
        print(logged)
        """, configuration(BOTH))
    assert said.count("9.4.0") == 1 and "known series are 6.0" in said


def test_the_middleware_alone_hooks_the_rest(configuration):
    said = run("""
        import trytond.wsgi, trytond.cache, fake_native
        from trytond.pool import Pool
        Pool.start()
        assert trytond.cache.Cache is trytond.cache.MemoryCache
        print(fake_native.started[0]["version"])
        """, configuration("[wsgi middleware]\nheadroom = headroom.trytond.Middleware\n"))
    assert "dispatcher" in said and "sqlite" in said


def test_it_says_at_start_what_it_found_and_hooked(configuration):
    said = run("""
        import trytond.wsgi
        from trytond.pool import Pool
        Pool.start()
        print(logged)
        """, configuration())
    assert "headroom 0.1.0 in trytond 6.0.29" in said and "'INFO'" in said and "perf.sqlite" in said


def test_a_hook_that_does_not_fit_leaves_the_others_alone_and_is_named(configuration):
    said = run("""
        import trytond.rpc, trytond.wsgi, fake_native
        del trytond.rpc.RPC.convert
        from trytond.pool import Pool
        Pool.start()
        print(fake_native.started[0]["version"])
        print(logged)
        """, configuration())
    assert "not hooked rpc" in said and "dispatcher" in said and "can't hook rpc of trytond 6.0.29" in said


def test_a_store_that_does_not_answer_is_said_and_trytond_starts(configuration):
    said = run("""
        import fake_native
        import trytond.wsgi
        fake_native.start = lambda settings: {"store": "redis://host", "error": "connection refused"}
        from trytond.pool import Pool
        Pool.start()
        print(logged)
        """, configuration())
    assert "connection refused" in said


def test_a_recorder_that_can_not_start_leaves_trytond_alone(configuration):
    run("""
        import trytond.wsgi, fake_native
        def start(settings):
            raise RuntimeError("no")
        fake_native.start = start
        from trytond.pool import Pool
        Pool.start()
        """, configuration())


def test_a_normal_exit_stops_the_recorder(configuration):
    assert run("""
        import trytond.wsgi, fake_native
        fake_native.stop = lambda timeout: print("stopped", timeout)
        from trytond.pool import Pool
        Pool.start()
        """, configuration()) == "stopped 5.0"


def test_the_cursor_of_postgresql_is_replaced_before_the_first_pool(configuration, tmp_path):
    file = configuration()
    file.write_text(file.read_text().replace("sqlite://", "postgresql://"))
    assert run("""
        import trytond.cache
        import trytond.backend.postgresql.database as database, fake_native, psycopg2.extensions
        assert database.LoggingCursor.headroom_dialect == "postgresql"
        assert issubclass(database.LoggingCursor, psycopg2.extensions.cursor)
        from trytond.pool import Pool
        Pool.start()
        print([error.__name__ for error in fake_native.error_classes["concurrency"]])
        """, file) == "['ConcurrencyException', 'TransactionRollbackError']"
