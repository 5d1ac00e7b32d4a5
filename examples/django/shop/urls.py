from django.contrib import admin
from django.urls import path

from shop import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("orders/", views.orders, name="orders"),
    path("orders/at-once/", views.orders_at_once),
    path("orders/export/", views.export),
    path("orders/<int:number>/", views.order),
    path("", views.public),
    ]
