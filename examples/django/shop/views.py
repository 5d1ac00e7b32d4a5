"""Views: one that is slow, the same one mended, one that streams, one that may fail, and one for anybody."""
from django.contrib.auth.decorators import login_required
from django.http import JsonResponse, StreamingHttpResponse

from shop.models import Line, Order


@login_required
def orders(request):
    """Asks the database once more for each order: the N+1 that `headroom repeat` shows."""
    return JsonResponse({"orders": [
        {"customer": order.customer, "pieces": sum(line.quantity for line in order.lines.all())}
        for order in Order.objects.order_by("id")]})


@login_required
def orders_at_once(request):
    """The same answer from two statements."""
    return JsonResponse({"orders": [
        {"customer": order.customer, "pieces": sum(line.quantity for line in order.lines.all())}
        for order in Order.objects.order_by("id").prefetch_related("lines")]})


@login_required
def export(request):
    """Reads while it sends."""
    lines = Line.objects.order_by("id").iterator(chunk_size=10)
    return StreamingHttpResponse(("%s;%d\n" % (line.product, line.quantity) for line in lines), content_type="text/csv")


@login_required
def order(request, number):
    """One order; the one that does not exist is an error that nobody has thought of."""
    return JsonResponse({"customer": Order.objects.get(id=number).customer})


def public(request):
    """What anybody may see."""
    return JsonResponse({"orders": Order.objects.count()})
