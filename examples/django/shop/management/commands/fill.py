"""Makes the users `demo` and `root` and some orders: manage.py fill"""
import os

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from shop.models import Line, Order


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args, **options):
        password = os.environ.get("SHOP_PASSWORD", "demo")
        for name in ("demo", "root"):
            User.objects.create_user(name, password=password, is_staff=True, is_superuser=True)
        for number in range(1, 31):
            order = Order.objects.create(customer="Customer %d" % number)
            Line.objects.bulk_create([Line(order=order, product="Product %d" % at, quantity=at) for at in range(1, 4)])
