"""Reads a domain of Tryton as trytond does, and gives alternatives of tests of stored columns (see criteria.py).

What trytond would ask of the database in another way (texts of translations, rows of other tables, patterns without case)
raises NotExpressible with the reason, and the caller asks trytond. Nothing is guessed: a field, a model or a searcher that
is not exactly what is known here is one of those.
"""
import dataclasses

from sql import Expression, FromItem
from trytond.model import ModelSQL, ModelStorage, fields
from trytond.model.modelstorage import is_leaf
from trytond.pool import Pool
from trytond.transaction import Transaction

from .criteria import NOTHING, ColumnTest, NotExpressible, all_of, any_of, like

MOST_STEPS = 2  # through the searchers of function fields

# By the name of a field's type: the type in worklists.yaml.
_TYPES = {
    "integer": "integer", "biginteger": "integer", "many2one": "integer", "float": "number", "numeric": "number",
    "char": "text", "text": "text", "selection": "text", "reference": "text", "boolean": "boolean", "date": "date",
    "datetime": "time", "timestamp": "time",
    }
_ORDERED = {"integer", "number", "date", "time"}
_OWN_CONVERSION = {
    one.convert_domain for one in (fields.Field, fields.Char, fields.Text, fields.Many2One, fields.Reference)}
EVERYTHING = [{}]
NO_ROW = []


@dataclasses.dataclass(frozen=True)
class Column:
    """A stored field, of the model or of the record that a field of it points to."""
    name: str  # "state", "from_location.type"
    field: str  # its name in the database
    type: str
    many: bool = False  # of a text: it has many values
    through: str = None  # the field that points to the record
    table: str = None  # of that record


@dataclasses.dataclass
class Wanted:
    """What a search asks for: alternatives over columns of a model's table, and the columns by name."""
    database: str
    model: str
    table: str
    alternatives: list
    columns: dict


def read(Model, domain, rules=()):  # noqa: N803 (a class)
    """What `Model.search(domain)` finds in the current transaction, with the record rules of its user where it checks
    access. `rules` are domains that have to hold besides, without a test of `active`."""
    check_model(Model)
    if Transaction().context.get("_datetime"):
        raise NotExpressible("the records as they were at a time")
    reader = _Reader(Model)
    alternatives = reader.read(Model._search_domain_active(domain))
    rule = Pool().get("ir.rule").domain_get(Model.__name__, mode="read")
    for one in (rule, *rules):
        alternatives = all_of(alternatives, reader.read(one))
    columns = {**reader.columns, "id": Column("id", "id", "integer")}
    return Wanted(Transaction().database.name, Model.__name__, Model._table, alternatives, columns)


def check_model(Model, search=True):  # noqa: N803
    """Raises where the model is not a table whose domains, and searches, are as trytond's own code has them."""
    if not issubclass(Model, ModelSQL) or callable(getattr(Model, "table_query", None)):
        raise NotExpressible("%s is no table" % Model.__name__)
    for name in ("search_domain", "_search_domain_active", *["search"] * search):
        if getattr(Model, name).__func__ is not getattr(ModelSQL, name).__func__:
            raise NotExpressible("%s has a search of its own" % Model.__name__)


def check_access(Model, domain):  # noqa: N803
    """Raises the error that a search would: the user may not read the model, or a field that the domain names."""
    ModelStorage.search.__func__(Model, domain, order=[], count=True)


class _Reader:

    def __init__(self, model):
        self.model = model
        self.columns = {}
        self.steps = 0

    def read(self, domain):
        """Alternatives: all that trytond's search_domain makes of a domain."""
        with Transaction().set_context(_check_access=False):
            return self._read(domain)

    def _read(self, domain):
        if is_leaf(domain):
            return self._read_leaf(domain)
        if not domain or list(domain) in (["OR"], ["AND"]):
            return EVERYTHING
        if not isinstance(domain, (list, tuple)):
            raise NotExpressible("%.60r is no domain" % (domain,))
        if domain[0] == "OR":
            return any_of(map(self._read, domain[1:]))
        alternatives = EVERYTHING
        for one in domain[1:] if domain[0] == "AND" else domain:
            alternatives = all_of(alternatives, self._read(one))
        return alternatives

    def _read_leaf(self, leaf):
        name, _, rest = leaf[0].partition(".")
        field = _field(self.model, name)
        if isinstance(field, fields.Function):
            return self._read_searcher(name, field, leaf)
        _check_field(self.model, name, field)
        if isinstance(field, fields.Many2One) and (rest or leaf[1] == "where"):
            return self._read_target(name, field, rest, leaf)
        if rest:
            raise NotExpressible("%s.%s: records of several models" % (self.model.__name__, leaf[0]))
        if self.steps and name == "id":
            raise NotExpressible("a searcher names records by their ids")
        column = _column(self.model, name, field)
        return self._tested(column, _test(field, column.type, leaf))

    def _tested(self, column, test):
        self.columns[column.name] = column
        return [{column.name: test}] if not test.is_impossible else NO_ROW

    def _read_searcher(self, name, field, leaf):
        if not field.searcher or getattr(self.model, "domain_%s" % name, None):
            raise NotExpressible("%s.%s is computed, and not searched by a domain" % (self.model.__name__, name))
        if self.steps == MOST_STEPS:
            raise NotExpressible("%s.%s is searched through too many others" % (self.model.__name__, name))
        found = getattr(self.model, field.searcher)(name, leaf)
        if isinstance(found, (Expression, FromItem)) or _has_query(found):
            raise NotExpressible("%s.%s is computed, and its searcher asks in SQL" % (self.model.__name__, name))
        self.steps += 1
        try:
            return self._read(found)
        finally:
            self.steps -= 1

    def _read_target(self, name, field, rest, leaf):
        """`party.name = x`: of the one record that the field points to."""
        target = field.get_target()
        check_model(target, search=not rest or field.target_search == "subquery")
        domain = [(rest, *leaf[1:])] if rest else leaf[2]
        if rest and "active" in target._fields:
            domain = [domain, ("active", "in", [True, False])]
        reader = _Target(target, _column(self.model, name, field), self.columns)
        with Transaction().set_context(active_test=False):
            alternatives = reader._read(domain)
        if not rest or field.target_search == "subquery":
            # There has to be a record; a joined table has NULL where there is none.
            own = _column(self.model, name, field)
            alternatives = all_of(alternatives, self._tested(own, ColumnTest()))
        return alternatives


class _Target(_Reader):
    """Of the record that a field points to: its columns are those of a look-up."""

    def __init__(self, model, by, columns):
        super().__init__(model)
        self.by = by
        self.columns = columns

    def _read_target(self, name, field, rest, leaf):
        raise NotExpressible("%s.%s.%s: over more than one other record" % (self.by.name, name, rest or leaf[1]))

    def _tested(self, column, test):
        self.columns[self.by.name] = self.by
        return super()._tested(dataclasses.replace(column, name="%s.%s" % (self.by.name, column.name),
                through=self.by.name, table=self.model._table), test)


def _field(model, name):
    field = model._fields.get(name)
    if field is None:
        raise NotExpressible("%s has no field %r" % (model.__name__, name))
    return field


def _check_field(model, name, field):
    where = "%s.%s" % (model.__name__, name)
    if getattr(model, "domain_%s" % name, None):
        raise NotExpressible("%s is searched by a method of its own" % where)
    if isinstance(field, (fields.One2Many, fields.Many2Many)):
        raise NotExpressible("%s: rows of another table" % where)
    if getattr(field, "translate", False) and isinstance(field, fields.Char):
        raise NotExpressible("%s is translated" % where)
    if field._type not in _TYPES or type(field).convert_domain not in _OWN_CONVERSION:
        raise NotExpressible("%s is of type %s" % (where, field._type))


def _column(model, name, field):
    many = _TYPES[field._type] == "text" and field._type != "selection"
    return Column(name, name, _TYPES[field._type], many)


def _has_query(found):
    """Whether a statement stands in a domain."""
    if isinstance(found, (list, tuple)):
        return any(map(_has_query, found))
    return isinstance(found, (Expression, FromItem))


# One clause
# ------------------------------------------------------------------------------------------------------------------------


def _test(field, type_, leaf):
    """What fields.Field.convert_domain asks, and those of Boolean."""
    _, operator, value = leaf[:3]
    if len(leaf) != 3 or _has_query(value):
        raise NotExpressible("%s compares with a query or a record" % leaf[0])
    if isinstance(field, fields.Many2One) and isinstance(value, str):
        raise NotExpressible("%s by the record's name" % leaf[0])
    if operator in ("in", "not in"):
        return _membership(field, operator, value)
    if operator in ("=", "!="):
        return _equality(field, operator, value)
    if operator in ("<", "<=", ">", ">="):
        return _range(field, type_, operator, value, leaf)
    if operator == "like" and type_ == "text":
        return ColumnTest(one_of=NOTHING) if value is None else like(field.sql_format(value))
    raise NotExpressible("%s %s: an operator that lists do not have" % (leaf[0], operator))


def _membership(field, operator, values):
    if not isinstance(values, (list, tuple, set, frozenset)):
        raise NotExpressible("%s %s takes a list" % (field.name, operator))
    named = frozenset(field.sql_format(one) for one in values if one is not None)
    has_null = any(one is None for one in values)
    if operator == "in":
        return ColumnTest(one_of=named, null=has_null)
    # NOT IN () is true, of NULL too; with values it is unknown for NULL.
    return _but(field, named, null=not named and not has_null)


def _but(field, values, null=False):
    if field._type == "boolean":
        return ColumnTest(one_of=frozenset([True, False]) - values, null=null)
    return ColumnTest(none_of=values, null=null)


def _equality(field, operator, value):
    if field._type == "boolean" and not field.sql_format(value):
        # NULL and false are one for trytond.
        return ColumnTest(one_of=frozenset([False]), null=True) if operator == "=" else ColumnTest(one_of=frozenset([True]))
    if value is None:
        return ColumnTest(one_of=NOTHING, null=True) if operator == "=" else ColumnTest()
    values = frozenset([field.sql_format(value)])
    return ColumnTest(one_of=values) if operator == "=" else _but(field, values)


def _range(field, type_, operator, value, leaf):
    if type_ not in _ORDERED:
        raise NotExpressible("%s %s: lists have no ranges of texts" % (leaf[0], operator))
    if value is None:
        return ColumnTest(one_of=NOTHING)
    bound = (field.sql_format(value), operator in ("<", ">"))
    return ColumnTest(least=bound) if operator in (">", ">=") else ColumnTest(most=bound)
