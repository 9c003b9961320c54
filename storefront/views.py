"""The page that a visitor sees first."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django.views.generic import TemplateView

from billing import guests
from billing.models import Payment
from ledger.money import for_reader


class HomeView(TemplateView):
    """The first page; a buyer whom a gateway sends back here with `?payment=` sees there what became of the payment.

    Its id is the credential: only the buyer and their gateway have it, and it shows nothing but what was bought.
    """

    template_name = "storefront/home.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        payment = _returned_from(request.GET.get("payment", ""))
        if payment is None:
            return super().get(request, *args, **kwargs)
        templates = ["storefront/payment_part.html"] if "part" in request.GET else self.get_template_names()
        price = for_reader(payment.money)
        known = {"payment": payment, "price": price, "is_guest": guests.is_guest(payment.user), "view": self}
        answer = self.response_class(request, templates, known)
        add_never_cache_headers(answer)
        return answer


def _returned_from(payment: str) -> Payment | None:
    try:
        return Payment.objects.select_related("user").filter(pk=UUID(payment)).first()
    except ValueError:
        return None
