"""What domains are brought into, without trytond: compared with SQL's three-valued logic over every row."""
import datetime
import importlib.util
import itertools
import pathlib
import random
import sys

import pytest

PATH = pathlib.Path(__file__).resolve().parents[2] / "python" / "headroom_worklist" / "criteria.py"
_spec = importlib.util.spec_from_file_location("headroom_worklist_criteria", PATH)
criteria = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = criteria
_spec.loader.exec_module(criteria)
ColumnTest, NOTHING = criteria.ColumnTest, criteria.NOTHING

VALUES = [None, 1, 2, 3, 4]
COLUMNS = ("a", "b", "c")
ROWS = [dict(zip(COLUMNS, row)) for row in itertools.product(VALUES, repeat=3)]
TODAY = datetime.date(2026, 3, 31)


def one_of(*values, null=False):
    return ColumnTest(one_of=frozenset(values), null=null)


def passes(test, value):
    return test.null if value is None else test.passes(value)


def random_test(source):
    values = frozenset(source.sample([1, 2, 3, 4], source.randint(1, 3)))
    bound = (source.randint(1, 4), source.random() < 0.5)
    null = source.random() < 0.3
    return source.choice([
            ColumnTest(one_of=values, null=null), ColumnTest(none_of=values, null=null), ColumnTest(least=bound, null=null),
            ColumnTest(most=bound, null=null), ColumnTest(one_of=NOTHING, null=True), ColumnTest(), ColumnTest(one_of=NOTHING)])


def random_tree(source, depth):
    if not depth or source.random() < 0.3:
        return source.choice(COLUMNS), random_test(source)
    return source.choice(["AND", "OR"]), [random_tree(source, depth - 1) for _ in range(source.randint(1, 3))]


def meets(tree, row):
    kind, what = tree
    if kind in COLUMNS:
        return passes(what, row[kind])
    return (all if kind == "AND" else any)(meets(one, row) for one in what)


def alternatives_of(tree):
    kind, what = tree
    if kind in COLUMNS:
        return criteria.simplified([{kind: what}])
    if kind == "OR":
        return criteria.any_of(map(alternatives_of, what))
    found = [{}]
    for one in what:
        found = criteria.all_of(found, alternatives_of(one))
    return found


def test_random_domains_count_what_they_meet_row_by_row():
    compared = several = 0
    for seed in range(3000):
        tree = random_tree(random.Random(seed), 3)
        expected = sum(meets(tree, row) for row in ROWS)
        try:
            parts = criteria.signed_parts(alternatives_of(tree))
        except criteria.NotExpressible:
            continue
        counted = sum(sign * sum(all(passes(test, row[column]) for column, test in part.items()) for row in ROWS)
            for sign, part in parts)
        assert counted == expected, (seed, tree, parts)
        assert all(not test.is_impossible and not test.is_everything for _, part in parts for test in part.values())
        compared += 1
        several += len(parts) > 1
    assert compared > 2000 and several > 300


def test_a_null_passes_only_where_everything_lets_it_pass():
    assert (one_of(1, null=True) & ColumnTest(none_of=frozenset([2]))) == one_of(1)
    assert (one_of(1, null=True) & ColumnTest(none_of=frozenset([1]), null=True)).is_only_null
    assert (one_of(1) & one_of(2)).is_impossible


@pytest.mark.parametrize("pattern, test", [
    ("INV/%", ColumnTest(prefix="INV/")),
    ("100\\%", one_of("100%")),
    ("a\\_b%", ColumnTest(prefix="a_b")),
    ("plain", one_of("plain")),
    ("%", ColumnTest()),
    ])
def test_a_pattern_is_a_prefix_or_a_value(pattern, test):
    assert criteria.like(pattern) == test


@pytest.mark.parametrize("pattern", ["%x", "a%b", "a_", "_%"])
def test_other_patterns_are_refused(pattern):
    with pytest.raises(criteria.NotExpressible):
        criteria.like(pattern)


def test_prefixes_that_begin_alike_are_the_longer_one():
    assert (ColumnTest(prefix="a") & ColumnTest(prefix="ab")) == ColumnTest(prefix="ab")
    assert (ColumnTest(prefix="ab") & ColumnTest(prefix="ac")).is_impossible
    assert (ColumnTest(prefix="ab") & one_of("abc", "b")) == one_of("abc")


def test_values_of_one_column_are_one_list():
    assert criteria.any_of([[{"a": one_of(1), "b": one_of(2)}], [{"a": one_of(3), "b": one_of(2)}]]) == [
        {"a": one_of(1, 3), "b": one_of(2)}]
    assert criteria.any_of([[{"a": one_of(1)}], [{"a": one_of(1), "b": one_of(2)}]]) == [{"a": one_of(1)}]
    assert criteria.any_of([[{"a": ColumnTest()}], [{"a": ColumnTest(one_of=NOTHING, null=True)}]]) == [{}]


def test_what_two_alternatives_share_is_taken_off_again():
    parts = criteria.signed_parts([{"a": one_of(1)}, {"b": one_of(2)}])
    assert parts == [(1, {"a": one_of(1)}), (1, {"b": one_of(2)}), (-1, {"a": one_of(1), "b": one_of(2)})]


def test_too_many_alternatives_are_refused():
    with pytest.raises(criteria.NotExpressible):
        criteria.signed_parts([{column: one_of(1)} for column in "abcde"])


def test_criteria_are_written_as_the_definitions_have_them():
    written = criteria.criteria({
            "state": one_of("draft", "quotation"), "number": ColumnTest(one_of=NOTHING, null=True), "party": ColumnTest(),
            "active": one_of(True), "date": ColumnTest(least=(TODAY, False), most=(datetime.date(2026, 4, 2), True), null=True),
            "reference": ColumnTest(prefix="A", none_of=frozenset(["AB"])), "amount": ColumnTest(most=(10.50, False))})
    assert written == {
        "state": {"in": ["draft", "quotation"]}, "number": {"null": True}, "party": {"null": False},
        "active": {"in": ["true"]}, "date": {"from": "2026-03-31", "below": "2026-04-02", "or_null": True},
        "reference": {"not_in": ["AB"], "prefix": "A"}, "amount": {"to": "10.5"}}
    assert criteria.criteria({}) == {"id": {"null": False}}


def test_lists_that_ask_for_the_same_have_the_same_name():
    def name(*alternatives, database="shop"):
        (_, part), = criteria.signed_parts(criteria.any_of([alternatives]))
        return criteria.list_id(database, "sale.sale", criteria.criteria(part))
    assert name({"a": one_of(2)}, {"a": one_of(1)}) == name({"a": one_of(1, 2)})
    assert name({"a": one_of(1)}) != name({"a": one_of(2)})
    assert name({"a": one_of(1)}) != name({"a": one_of(1)}, database="other")


def test_a_date_is_found_however_a_list_meant_it():
    def written(date):
        return {write(date) for write in criteria.ways_to_write([date], TODAY)}
    assert written(TODAY) == {"today", "2026-03-31"}
    assert written(datetime.date(2026, 2, 28)) == {"today - 31 days", "today - 1 months", "2026-02-28"}
    assert written(datetime.date(2027, 3, 31)) == {"today + 365 days", "today + 12 months", "today + 1 years", "2027-03-31"}


def test_each_of_several_dates_may_be_meant_in_its_own_way():
    days = datetime.date(2026, 3, 28), datetime.date(2026, 4, 30)
    parts = [{"date": ColumnTest(least=(days[0], False), most=(days[1], True)), "other": one_of("2026-01-01")}]
    assert criteria.dates_of(parts) == [*days]
    written = {tuple(map(write, days)) for write in criteria.ways_to_write(criteria.dates_of(parts), TODAY)}
    assert ("today - 3 days", "today + 1 months") in written and ("2026-03-28", "today + 30 days") in written
    assert len(list(criteria.ways_to_write([], TODAY))) == 1
