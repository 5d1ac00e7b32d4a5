"""A Tryton module whose remote methods do exactly what a test asks of them."""
from trytond.pool import Pool

from . import ir, thing

__all__ = ['register']


def register():
    Pool.register(
        ir.Cron,
        thing.Thing,
        module='headroom_test', type_='model')
