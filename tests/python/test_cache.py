"""MemoryCache behaves as trytond's own; its counters reach the call."""
import datetime as dt
import itertools
import random

import fake_native
import pytest

_names = itertools.count()


@pytest.fixture
def pair(server):
    """The original class and ours, each with a cache of its own that takes the same operations."""
    from trytond import cache
    from headroom.trytond import MemoryCache
    made = []

    def make(**options):
        number = next(_names)
        caches = cache.MemoryCache("original-%d" % number, **options), MemoryCache("ours-%d" % number, **options)
        made.extend(caches)
        return caches

    yield make
    for one in made:
        del cache.BaseCache._instances[one._name]


@pytest.fixture
def transaction(server):
    from trytond.transaction import Transaction

    def start(**options):
        return Transaction().start(server.name, 0, **options)

    return start


def test_the_class_is_the_one_that_trytond_uses(server):
    from trytond import cache
    from headroom import trytond
    assert cache.Cache is trytond.MemoryCache
    assert issubclass(cache.Cache, cache.MemoryCache)
    assert cache.Cache.__module__ == "headroom.trytond"


def test_random_operations_give_the_same_results_and_the_same_statistics(pair, transaction):
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    original, ours = pair(size_limit=8, context=False)
    for _ in range(60):
        end = dice.choice(("commit", "rollback"))
        with transaction() as running:
            for _ in range(dice.randrange(12)):
                operation, key, value = dice.choice("ggggsssc"), dice.randrange(12), dice.random()
                results = [_apply(one, operation, key, value) for one in (original, ours)]
                assert results[0] == results[1], "seed %d" % seed
            getattr(running, end)()
    assert (original.hit, original.miss) == (ours.hit, ours.miss), "seed %d" % seed
    assert original.hit > 0 and original.miss > 0


def _apply(cache, operation, key, value):
    if operation == "g":
        return cache.get(key, "default")
    if operation == "s":
        return cache.set(key, value)
    return cache.clear()


def test_a_clear_is_seen_by_others_only_after_the_commit(pair, transaction):
    for cache in pair(context=False):
        with transaction():
            cache.set("key", "old")
        with transaction() as first:
            cache.clear()
            assert cache.get("key") is None
            cache.set("key", "private")
            with first.new_transaction(readonly=True):
                assert cache.get("key") == "old"
            first.rollback()
        with transaction():
            assert cache.get("key") == "old"
        with transaction() as second:
            cache.clear()
            second.commit()
        with transaction():
            assert cache.get("key") is None


def test_values_expire(pair, transaction):
    for cache in pair(context=False, duration=dt.timedelta(seconds=-1)):
        with transaction():
            cache.set("key", 1)
            assert cache.get("key", "gone") == "gone"


def test_a_stored_none_is_a_hit_and_an_unhashable_key_a_miss(pair, transaction):
    for cache in pair(context=False):
        with transaction():
            cache.set("key", None)
            assert cache.get("key", -1) is None
            assert cache.set(["list"], 1) == 1 and cache.get(["list"], -1) == -1
        assert (cache.hit, cache.miss) == (1, 1)


def test_context_and_user_are_part_of_the_key(pair, transaction):
    for cache in pair():
        with transaction() as running:
            cache.set("key", "plain")
            with running.set_context(language="fr"):
                assert cache.get("key") is None
            with running.set_user(1):
                assert cache.get("key") is None
            assert cache.get("key") == "plain"


def test_statistics_and_clear_all_cover_both(pair, transaction, server):
    from trytond.cache import Cache, MemoryCache
    original, ours = pair(context=False)
    names = {entry["name"] for entry in Cache.stats()}
    assert names == {entry["name"] for entry in MemoryCache.stats()}
    assert {original._name, ours._name} <= names
    with transaction() as running:
        for cache in (original, ours):
            cache.set("key", 1)
        Cache.clear_all()
        assert original.get("key") is None and ours.get("key") is None
        running.rollback()


def test_a_dropped_database_is_forgotten(pair, transaction):
    from trytond.cache import Cache
    for cache in pair(context=False):
        with transaction():
            cache.set("key", 1)
        Cache.drop("test")
        with transaction():
            assert cache.get("key") is None


def test_a_pool_can_be_refreshed(server, transaction):
    from trytond.cache import Cache
    with transaction() as running:
        Cache.refresh_pool(running)


def test_hits_misses_and_clears_are_counted_in_the_call(pair, transaction, journal):
    _, ours = pair(context=False)
    with transaction() as running:
        call = fake_native.begin("rpc")
        ours.set("key", 1)
        ours.get("key"), ours.get("key"), ours.get("other")
        ours.clear()
        call.close()
        running.rollback()
    assert (journal[0]["hits"], journal[0]["misses"], journal[0]["clears"]) == (2, 1, 1)
