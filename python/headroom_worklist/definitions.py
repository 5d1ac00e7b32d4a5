"""worklists.yaml for the counted tabs of all users, in JSON, which is YAML.

A list is named by what it asks for (`criteria.list_id`), the record rules of the user included. So whoever knows a domain and
his rules knows the list's name, lists that ask for the same are one, and a list can't be mistaken for another: where rights
or domains change the name is a new one, and trytond counts until the definitions have it.

Whose number it is can't be told from such a list. A guard lets nobody have them but the user 0, for whom trytond asks.
"""
import json
import os
import tempfile

from .criteria import NotExpressible, criteria, list_id, signed_parts
from .tabs import written

WORKFLOW = "tryton"
ROLE = "tryton"
# What Headroom takes: lists, criteria of one, columns and look-ups of a catalog.
MOST_LISTS = 10_000
MOST_CRITERIA = 32
MOST_COLUMNS = 200
MOST_LOOK_UPS = 16
USER = "0"


class Definitions:
    """Grows by what tabs want."""

    def __init__(self):
        self.catalogs = {}
        self.lists = {}
        self.refused = 0  # lists over the bound

    def add(self, wanted, title):
        """Adds the lists that make up a number. Raises NotExpressible. Returns pairs of a sign and a list's name."""
        parts = [(sign, part, criteria(part, written)) for sign, part in signed_parts(wanted.alternatives)]
        named = [(sign, list_id(wanted.database, wanted.model, asked)) for sign, _, asked in parts]
        missing = {name for _, name in named} - self.lists.keys()
        if len(self.lists) + len(missing) > MOST_LISTS:
            self.refused += len(missing)
            raise NotExpressible("there are more than %d lists" % MOST_LISTS)
        if any(len(asked) > MOST_CRITERIA for _, _, asked in parts):
            raise NotExpressible("more than %d columns" % MOST_CRITERIA)
        catalogs = [self._add_catalog(wanted, part) for _, part, _ in parts]
        for (_, _, asked), (_, name), catalog in zip(parts, named, catalogs):
            self.lists.setdefault(name, {
                    "id": name, "workflow": WORKFLOW, "title": title.replace("%", "%%") + " (%(count)s)", "category": "tryton",
                    "catalog": catalog, "criteria": asked, "guard": {"roles": [ROLE]}})
        return named

    def _add_catalog(self, wanted, part):
        """Adds the columns of a list. Gives the catalog's name: that of the model, and the look-ups of the list.

        Look-ups cost Headroom memory for each document, and only lists with the same ones are to bear it: so those have
        a catalog of their own.
        """
        through = sorted({wanted.columns[name].through for name in part} - {None})
        catalog = "+".join([wanted.model, *through])
        known = self.catalogs.get(catalog, {"columns": {}, "look_ups": {}})
        columns, look_ups = dict(known["columns"]), dict(known["look_ups"])
        for name in ["id", *through, *part]:
            column = wanted.columns[name]
            columns[name] = _column(column)
            if column.through:
                look_ups[column.through] = {"table": column.table, "key": "id", "by": column.through}
        if len(columns) > MOST_COLUMNS or len(look_ups) > MOST_LOOK_UPS:
            raise NotExpressible("the lists of %s speak of too many columns or other tables" % wanted.model)
        self.catalogs[catalog] = {"table": wanted.table, "key": "id", "columns": columns, "look_ups": look_ups, "security": []}
        return catalog

    def text(self):
        """The file's content; None without lists, which Headroom refuses."""
        if not self.lists:
            return None
        catalogs = {name: {key: value for key, value in catalog.items() if value or key == "security"}
            for name, catalog in sorted(self.catalogs.items())}
        content = {
            "users": {"roles": "SELECT '%s' WHERE :user::text = '%s'" % (ROLE, USER)},
            "catalogs": catalogs,
            "lists": [self.lists[name] for name in sorted(self.lists)],
            }
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _column(column):
    keys = {"type": column.type, "column": column.field}
    if column.many:
        keys["values"] = "many"
    if column.through:
        keys["look_up"] = column.through
    return keys


def replace(path, text):
    """Writes the file as a whole, where it changed. Returns whether it did."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return False
    except FileNotFoundError:
        pass
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), prefix=".worklists-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.rename(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
    return True


class Known:
    """The names of the lists in a file, read again when it changed."""

    def __init__(self, path):
        self.path = path
        self._version = None
        self._lists = {}

    def lists(self):
        """The names of lists by catalog, that is, by model. Empty where there is no such file."""
        try:
            found = os.stat(self.path)
            version = (found.st_mtime_ns, found.st_ino, found.st_size)
            if version != self._version:
                self._lists = _names(self.path)
                self._version = version
        except (OSError, ValueError, KeyError, TypeError):
            self._version, self._lists = None, {}
        return self._lists


def _names(path):
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    names = {}
    for one in content["lists"]:
        if one["workflow"] == WORKFLOW:
            names.setdefault(one["catalog"].partition("+")[0], set()).add(one["id"])
    return names
