"""A Tryton module: the counted tabs of a user in one view, and their numbers from Headroom.

Importing it imports nothing of trytond, which reads its configuration while it is imported.
"""

__all__ = ["register"]


def register():
    from trytond.model import ModelSQL
    from trytond.pool import Pool

    from . import ir, worklist
    Pool.register(
        ir.Cron,
        worklist.Worklist,
        module="headroom_worklist", type_="model")
    Pool.register(
        worklist.Open,
        module="headroom_worklist", type_="wizard")
    Pool.register_mixin(worklist.Counted, ModelSQL, module="headroom_worklist")
