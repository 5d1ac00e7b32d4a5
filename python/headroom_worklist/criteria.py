"""What a domain asks of the columns of a table, as Headroom's work lists write it. Pure: nothing here knows trytond.

A domain is brought into alternatives, each of which asks something of some columns; all of it has to hold. In SQL a
comparison with NULL is neither true nor false, so of every column it is kept apart whether NULL passes. Alternatives may
have documents in common, so their numbers are added and those of what several have in common taken off again:
`signed_parts`. That is exact, and every part of it is a list that Headroom counts.
"""
import dataclasses
import datetime
import decimal
import hashlib
import itertools
import json

MOST_ALTERNATIVES = 4  # which make fifteen parts
MOST_UNDER_WAY = 64
MOST_DIGITS = 15  # of a number in Headroom's definitions
MOST_DATES = 3  # of a domain, which may be meant in several ways each
LONGEST_MOVE = 24  # months or years that a date is looked for before and after today

NOTHING = frozenset()


class NotExpressible(Exception):
    """A list can't say what the domain asks for; the text says why."""


@dataclasses.dataclass(frozen=True)
class ColumnTest:
    """The values of one column that pass, and whether NULL does. `ColumnTest()` is any value but NULL.

    `one_of` None is any value; with values the other conditions hold of them already. A bound is a value, and whether the
    value itself is left out.
    """
    one_of: frozenset = None
    none_of: frozenset = NOTHING
    least: tuple = None
    most: tuple = None
    prefix: str = ""
    null: bool = False

    @property
    def is_impossible(self):
        return self.one_of == NOTHING and not self.null

    @property
    def is_everything(self):
        return self == ColumnTest(null=True)

    @property
    def is_only_null(self):
        return self.one_of == NOTHING and self.null

    def passes(self, value):
        """Whether a value that is not NULL does."""
        if self.one_of is not None and value not in self.one_of or value in self.none_of:
            return False
        if self.least and (value < self.least[0] or self.least[1] and value == self.least[0]):
            return False
        if self.most and (value > self.most[0] or self.most[1] and value == self.most[0]):
            return False
        return not self.prefix or value.startswith(self.prefix)

    def __and__(self, other):
        null = self.null and other.null
        if not self.prefix.startswith(other.prefix) and not other.prefix.startswith(self.prefix):
            return ColumnTest(one_of=NOTHING, null=null)
        both = ColumnTest(
            one_of=_common(self.one_of, other.one_of),
            none_of=self.none_of | other.none_of,
            least=max(filter(None, (self.least, other.least)), default=None),
            most=min(filter(None, (self.most, other.most)), key=lambda bound: (bound[0], not bound[1]), default=None),
            prefix=max(self.prefix, other.prefix, key=len),
            null=null)
        return both._settled()

    def _settled(self):
        """The same in its one form."""
        if self.least and self.most and self.least[0] >= self.most[0]:
            if self.least[0] > self.most[0] or self.least[1] or self.most[1]:
                return ColumnTest(one_of=NOTHING, null=self.null)
            return dataclasses.replace(self, one_of=frozenset([self.least[0]]), least=None, most=None)._settled()
        if self.one_of is not None:
            return ColumnTest(one_of=frozenset(filter(self.passes, self.one_of)), null=self.null)
        rest = dataclasses.replace(self, none_of=NOTHING)
        return dataclasses.replace(self, none_of=frozenset(filter(rest.passes, self.none_of)))

    def united(self, other):
        """What one of both lets through, or None where that is no test."""
        if self.is_only_null or other.is_only_null:
            return dataclasses.replace(other if self.is_only_null else self, null=True)
        if self.one_of is None or other.one_of is None:
            return None
        return ColumnTest(one_of=self.one_of | other.one_of, null=self.null or other.null)


def _common(one, other):
    if one is None or other is None:
        return other if one is None else one
    return one & other


def like(pattern):
    """What `LIKE` lets through: a value or a prefix."""
    plain, escaped = "", False
    for place, sign in enumerate(pattern):
        if escaped or sign not in "\\%_":
            plain, escaped = plain + sign, False
        elif sign == "\\":
            escaped = True
        elif sign == "%" and place == len(pattern) - 1:
            return ColumnTest(prefix=plain)
        else:
            raise NotExpressible("a pattern other than a prefix: %r" % pattern)
    return ColumnTest(one_of=frozenset([plain]))


# Alternatives
# ------------------------------------------------------------------------------------------------------------------------


def all_of(alternatives, others):
    """What one of both kinds each let through together."""
    if len(alternatives) * len(others) > MOST_UNDER_WAY:
        raise NotExpressible("more than %d alternatives" % MOST_UNDER_WAY)
    return simplified([_both(one, other) for one in alternatives for other in others])


def any_of(groups):
    together = list(itertools.chain.from_iterable(groups))
    if len(together) > MOST_UNDER_WAY:
        raise NotExpressible("more than %d alternatives" % MOST_UNDER_WAY)
    return simplified(together)


def _both(one, other):
    both = dict(one)
    for column, test in other.items():
        both[column] = both[column] & test if column in both else test
    return both


def simplified(alternatives):
    """The same without those that are impossible or within another one, and as few as can be told easily."""
    kept = []
    for one in alternatives:
        one = {column: test for column, test in one.items() if not test.is_everything}
        if not any(test.is_impossible for test in one.values()) and one not in kept:
            kept.append(one)
    for one, other in itertools.combinations(kept, 2):
        merged = _merged(one, other)
        if merged is not None:
            return simplified([merged, *(rest for rest in kept if rest is not one and rest is not other)])
    return kept


def _merged(one, other):
    """Two alternatives that are one, or None."""
    if one.items() <= other.items():
        return one
    if other.items() <= one.items():
        return other
    if one.keys() != other.keys():
        return None
    different = [column for column in one if one[column] != other[column]]
    if len(different) != 1:
        return None
    column, = different
    united = one[column].united(other[column])
    return None if united is None else {**one, column: united}


def signed_parts(alternatives):
    """Pairs of a sign and what a list asks for; the sum is the number of documents that one of the alternatives meets."""
    if len(alternatives) > MOST_ALTERNATIVES:
        raise NotExpressible("%d alternatives, more than %d" % (len(alternatives), MOST_ALTERNATIVES))
    sums = {}
    for size in range(1, len(alternatives) + 1):
        for chosen in itertools.combinations(alternatives, size):
            part = {}
            for one in chosen:
                part = _both(part, one)
            if any(test.is_impossible for test in part.values()):
                continue
            key = tuple(sorted(part.items(), key=lambda item: item[0]))
            sums[key] = sums.get(key, 0) + (1 if size % 2 else -1)
    return [(sign, dict(key)) for key, sign in sums.items() if sign]


# As worklists.yaml writes it
# ------------------------------------------------------------------------------------------------------------------------


def criteria(part, dates=str):
    """The criteria of a list. `dates` writes a date. A list has to ask for something, so nothing is asked of the key."""
    written = {column: _criterion(test, dates) for column, test in sorted(part.items())}
    return written or {"id": {"null": False}}


def _criterion(test, dates):
    if test.is_only_null:
        return {"null": True}
    keys = {}
    if test.one_of is not None:
        keys["in"] = sorted(_text(value, dates) for value in test.one_of)
    if test.none_of:
        keys["not_in"] = sorted(_text(value, dates) for value in test.none_of)
    if test.least:
        keys["above" if test.least[1] else "from"] = _text(test.least[0], dates)
    if test.most:
        keys["below" if test.most[1] else "to"] = _text(test.most[0], dates)
    if test.prefix:
        keys["prefix"] = test.prefix
    if not keys:
        return {"null": False}
    return {**keys, "or_null": True} if test.null else keys


def _text(value, dates):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, datetime.date):
        return dates(value)
    if isinstance(value, (float, decimal.Decimal)):
        return _number(value)
    text = str(value)
    if "\0" in text:
        raise NotExpressible("a text with NUL")
    return text


def _number(value):
    exact = decimal.Decimal(repr(value)) if isinstance(value, float) else value
    if not exact.is_finite():
        raise NotExpressible("the number %s" % value)
    exact = exact.normalize()
    if len(exact.as_tuple().digits) > MOST_DIGITS:
        raise NotExpressible("the number %s has more than %d digits" % (value, MOST_DIGITS))
    return format(exact, "f")


def list_id(database, model, written):
    """The name of a list, which says all that it asks for: two lists that ask for the same have the same."""
    text = json.dumps([database, model, written], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]


# Dates that move
# ------------------------------------------------------------------------------------------------------------------------


def relative(amount, unit):
    """`today - 3 days`, as Headroom writes it."""
    if not amount:
        return "today"
    return "today %s %d %s" % ("+" if amount > 0 else "-", abs(amount), unit)


def ways_to_write(dates, today):
    """Functions that write dates, of these: as they are, and in the ways in which a list may have meant them today.

    A client sends a date as it is, also where the tab's domain says "three days ago".
    """
    forms = [_forms(date, today) if len(dates) <= MOST_DATES else [str(date)] for date in dates]
    for chosen in itertools.product(*forms):
        yield dict(zip(dates, chosen)).__getitem__


def dates_of(parts):
    """The dates that tests name."""
    named = set()
    for test in itertools.chain.from_iterable(part.values() for part in parts):
        bounds = [bound[0] for bound in (test.least, test.most) if bound]
        named.update(value for value in (*(test.one_of or ()), *test.none_of, *bounds)
            if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime))
    return sorted(named)


def _forms(date, today):
    forms = [relative((date - today).days, "days")]
    for unit, months in (("months", 1), ("years", 12)):
        for amount in sorted(range(-LONGEST_MOVE, LONGEST_MOVE + 1), key=abs):
            if amount and _months_after(today, amount * months) == date:
                forms.append(relative(amount, unit))
                break
    return [*forms, str(date)]


def _months_after(day, months):
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not datetime.MINYEAR <= year <= datetime.MAXYEAR:
        return None
    for last in range(day.day, 27, -1):
        try:
            return datetime.date(year, month + 1, last)
        except ValueError:
            pass  # a month that is shorter
    return datetime.date(year, month + 1, day.day)
