"""The view "My Work", what gathers the definitions, and what answers `search_count`."""
import logging

from sql import Literal
from trytond.exceptions import UserError
from trytond.model import ModelSQL, ModelStorage, ModelView, fields
from trytond.pool import Pool
from trytond.rpc import RPC
from trytond.transaction import Transaction
from trytond.wizard import StateAction, Wizard

from . import definitions, live, tabs
from .criteria import NotExpressible
from .domain import read

logger = logging.getLogger(__name__)


class Counted:
    """Answers what clients count with numbers from Headroom, where it has them."""
    __slots__ = ()

    @classmethod
    def search_count(cls, domain, *arguments, **options):
        own = super().search_count
        if not arguments and not options and own.__func__ is ModelStorage.search_count.__func__:
            number = live.number(cls, domain)
            if number is not None:
                return number
        return own(domain, *arguments, **options)


class Worklist(ModelSQL, ModelView):
    "My Work"
    __name__ = "headroom.worklist"

    name = fields.Function(fields.Char("Name"), "get_tab")
    action = fields.Function(fields.Char("Action"), "get_tab")
    menu = fields.Function(fields.Many2One("ir.ui.menu", "Menu"), "get_tab")
    number = fields.Function(fields.Integer("Number"), "get_number", searcher="search_number")
    way = fields.Function(fields.Char("Counted", help="How the number was found."), "get_number")

    @classmethod
    def __setup__(cls):
        super().__setup__()
        cls.__rpc__["answers"] = RPC()
        cls.__rpc__["explain"] = RPC()

    @staticmethod
    def table_query():
        """The counted tabs of everybody; a search leaves those of the user."""
        Domain = Pool().get("ir.action.act_window.domain")
        table = Domain.__table__()
        return table.select(table.id, table.create_uid, table.create_date, table.write_uid, table.write_date,
            where=(table.count == Literal(True)) & (table.active == Literal(True)))

    @classmethod
    def search(cls, domain, offset=0, limit=None, order=None, count=False, query=False):
        own = [tab.id for tab in _tabs()]
        found = super().search([domain, ("id", "in", own)], order=[], query=query)
        if query:
            return found
        place = {one: number for number, one in enumerate(own)}
        found = sorted(found, key=lambda record: place[record.id])
        found = found[offset:None if limit is None else offset + limit]
        return len(found) if count else cls.browse(found)

    @classmethod
    def search_count(cls, domain):
        return cls.search(domain, count=True)

    @classmethod
    def get_tab(cls, records, names):
        found = {tab.id: tab for tab in _tabs()}
        return {name: {record.id: getattr(found.get(record.id), name, None) for record in records} for name in names}

    @classmethod
    def get_number(cls, records, names):
        wanted = {record.id for record in records}
        found = _numbers([tab for tab in _tabs() if tab.id in wanted])
        place = {"number": 0, "way": 1}
        return {name: {record.id: found.get(record.id, (None, None))[place[name]] for record in records}
            for name in names}

    @classmethod
    def search_number(cls, name, clause):
        compare = _COMPARISONS[clause[1]]
        numbers = _numbers(_tabs())
        return [("id", "in", [tab for tab, (number, _) in numbers.items() if number is not None and compare(number, clause[2])])]

    @classmethod
    def answers(cls):
        """How often each way, or reason not to have one, gave numbers in this process."""
        return dict(live.answers)

    @classmethod
    def explain(cls):
        """For each counted tab of the user: the lists that make up its number, or why there are none."""
        explained = []
        for tab in _tabs():
            lists, reason = _lists_of(tab, definitions.Definitions())
            explained.append({"id": tab.id, "tab": tab.title, "model": tab.model, "lists": lists, "reason": reason})
        return explained

    @classmethod
    def gather(cls):
        """Writes the definitions for the tabs of all users; of a scheduled task. Returns what `explain` gives, with users."""
        gathered, explained = of_all_users()
        text = gathered.text()
        path = live.file()
        if text and path and definitions.replace(path, text):
            logger.info("wrote %d lists to %s", len(gathered.lists), path)
        if gathered.refused:
            logger.warning("%d lists are over the bound of %d, and trytond counts them", gathered.refused,
                definitions.MOST_LISTS)
        return explained


def of_all_users():
    """The definitions for all active users, and what was told of each tab."""
    User = Pool().get("res.user")
    gathered, explained = definitions.Definitions(), []
    with Transaction().set_context(active_test=True):
        users = User.search([])
    for user in users:
        with Transaction().set_user(user.id), Transaction().set_context(_check_access=True):
            with Transaction().set_context(tabs.user_context()):
                for tab in tabs.of_user():
                    lists, reason = _lists_of(tab, gathered)
                    explained.append({"user": user.login, "id": tab.id, "tab": tab.title, "model": tab.model,
                            "lists": lists, "reason": reason})
    return gathered, explained


def _lists_of(tab, gathered):
    """Pairs of a sign and a list's name, and None; or None and why there are none."""
    if tab.problem:
        return None, tab.problem
    try:
        with Transaction().set_context(tab.context):
            wanted = read(Pool().get(tab.model), tab.domain)
        return gathered.add(wanted, tab.title), None
    except NotExpressible as reason:
        return None, str(reason)


# The tabs of the user, and their numbers
# ------------------------------------------------------------------------------------------------------------------------

_COMPARISONS = {
    "=": lambda number, value: number == value,
    "!=": lambda number, value: number != value,
    "<": lambda number, value: number < value,
    "<=": lambda number, value: number <= value,
    ">": lambda number, value: number > value,
    ">=": lambda number, value: number >= value,
    "in": lambda number, value: number in value,
    "not in": lambda number, value: number not in value,
    }


def _tabs():
    """Those of the user, as his client knows them."""
    with Transaction().set_context(_check_access=True):
        return tabs.of_user()


def _numbers(of_tabs):
    """Pairs of a number and how it was found, by the tabs' ids."""
    try:
        if not live.is_configured():
            raise live.NotLive("Headroom is not configured")
        counted, problem = live.counts(), None
    except live.NotLive as reason:
        counted, problem = {}, reason
    return {tab.id: _number(tab, counted, problem) for tab in of_tabs}


def _number(tab, counted, problem):
    """`problem` is why nothing was counted live. A tab that the user may not count, or nobody can, has no number."""
    Model = Pool().get(tab.model)
    with Transaction().set_context(tab.context, _check_access=True):
        try:
            return _live_or_own(Model, tab, counted, problem)
        except (UserError, NotImplementedError) as error:
            return None, str(error)


def _live_or_own(Model, tab, counted, problem):  # noqa: N803
    try:
        if problem or tab.problem:
            raise problem or NotExpressible(tab.problem)
        return live.number_among(Model, tab.domain, counted), live.LIVE
    except (NotExpressible, live.NotLive) as reason:
        return super(Counted, Model).search_count(tab.domain), "by trytond: %s" % reason


class Open(Wizard):
    "Open Work List"
    __name__ = "headroom.worklist.open"
    start_state = "open_"
    open_ = StateAction("headroom_worklist.act_worklist")

    def do_open_(self, action):
        """The action of the tab's menu, with this tab in front."""
        pool = Pool()
        Domain = pool.get("ir.action.act_window.domain")
        Action = pool.get("ir.action")
        ActWindow = pool.get("ir.action.act_window")
        chosen = Domain(Transaction().context["active_id"])
        with Transaction().set_context(_check_access=True):
            window, = ActWindow.search([("id", "=", chosen.act_window.id)])
        value, = Action.get_action_values(ActWindow.__name__, [window.id])
        ids = [one.id for one in window.act_window_domains]
        value["domains"] = [domain for _, domain in sorted(zip(ids, value["domains"]), key=lambda one: one[0] != chosen.id)]
        return value, {}
