"""Orders with lines."""
from django.db import models


class Order(models.Model):
    customer = models.CharField(max_length=100)


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    product = models.CharField(max_length=100)
    quantity = models.IntegerField()
