"""The counted tabs of a user: those of the actions that his menus open, with their domains as a client decodes them."""
import dataclasses
import datetime

from trytond.pool import Pool
from trytond.pyson import PYSONDecoder
from trytond.transaction import Transaction

from .criteria import NotExpressible, relative

_MOVES = {"dd": "days", "dM": "months", "dy": "years"}


class MovingDate(datetime.date):
    """A date that a tab's domain says relative to today; `written` is how."""

    @classmethod
    def of(cls, date, written):
        made = cls(date.year, date.month, date.day)
        made.written = written
        return made


class _Decoder(PYSONDecoder):
    """Keeps what moves with the day or the hour apart from what stays."""

    def _object_hook(self, dct):
        value = super()._object_hook(dct)
        kind = dct.get("__class__")
        if kind == "DateTime":
            raise NotExpressible("a time that moves")
        return _moving(dct, value) if kind == "Date" else value


def _moving(dct, value):
    moves = [(dct[key], unit) for key, unit in _MOVES.items() if dct.get(key)]
    fixed = [dct.get(key) for key in ("y", "M", "d")]
    if dct.get("start") or all(part is not None for part in fixed):
        return value
    if len(moves) > 1 or any(part is not None for part in fixed):
        raise NotExpressible("a date that moves in a way of its own")
    return MovingDate.of(value, relative(*moves[0]) if moves else "today")


def written(date):
    """A date as worklists.yaml has it."""
    return getattr(date, "written", str(date))


@dataclasses.dataclass
class Tab:
    """A counted tab. `problem` is why its domain could not be decoded."""
    id: int  # of ir.action.act_window.domain
    name: str
    window: int  # of ir.action.act_window
    action: str
    menu: int
    model: str
    domain: list = None
    context: dict = None
    problem: str = None

    @property
    def title(self):
        return "%s / %s" % (self.action, self.name)


def user_context():
    """The context of the calls of the current user's client."""
    User = Pool().get("res.user")
    return User.get_preferences(context_only=True)


def of_user():
    """The tabs of the current user, in the order of his menus, each once. The transaction checks access."""
    tabs, seen = [], set()
    for menu, window in _windows():
        if window.id not in seen:
            seen.add(window.id)
            tabs += _of_window(menu, window)
    return tabs


def _windows():
    """Pairs of a menu and what it opens."""
    pool = Pool()
    Menu, ActWindow = pool.get("ir.ui.menu"), pool.get("ir.action.act_window")
    ModelAccess = pool.get("ir.model.access")
    opened = {}
    for menu in Menu.search([]):
        if menu.action and menu.action.__name__ == ActWindow.__name__ and menu.action.id >= 0:
            opened.setdefault(menu.action.id, menu)
    # A search leaves out what the user may not open.
    windows = {window.id: window for window in ActWindow.search([("id", "in", list(opened))])}
    models = {window.res_model for window in windows.values() if window.res_model}
    access = ModelAccess.get_access(list(models))
    for window, menu in opened.items():
        model = windows[window].res_model if window in windows else None
        if model and access[model]["read"]:
            yield menu, windows[window]


def _of_window(menu, window):
    tabs = []
    for domain in window.act_window_domains:
        if not domain.count:
            continue
        tab = Tab(domain.id, domain.name, window.id, window.action.name, menu.id, window.res_model)
        try:
            tab.domain, tab.context = _decoded(window, domain)
        except NotExpressible as problem:
            tab.problem = str(problem)
            tab.domain, tab.context = _decoded(window, domain, PYSONDecoder)
        tabs.append(tab)
    return tabs


def _decoded(window, domain, Decoder=_Decoder):  # noqa: N803
    """The domain and the context of a search, as SAO makes them."""
    context = user_context()
    known = {"active_model": None, "active_id": None, "active_ids": [], **context, "_user": Transaction().user}
    own = Decoder(known).decode(window.pyson_context or "{}")
    known.update(own)
    known["context"] = known
    decoder = Decoder(known)
    searched = ["AND", decoder.decode(domain.domain or "[]"), decoder.decode(window.pyson_domain or "[]")]
    context = {**context, **own}
    if window.context_model and Decoder is _Decoder:
        raise NotExpressible("it depends on what is chosen above the list")
    if window.context_domain:
        searched = ["AND", searched, Decoder(context).decode(window.context_domain)]
    return searched, context
