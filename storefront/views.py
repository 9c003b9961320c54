"""The pages that a visitor sees first."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import get_language, gettext, ngettext
from django.views.generic import TemplateView

from billing.models import Payment
from credits import packs
from credits.packs import Offer
from ledger.money import Money, format_money
from storefront import plan_offers


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
        price = format_money(payment.money, get_language() or "en")
        answer = self.response_class(request, templates, {"payment": payment, "price": price, "view": self})
        add_never_cache_headers(answer)
        return answer


def _returned_from(payment: str) -> Payment | None:
    try:
        return Payment.objects.filter(pk=UUID(payment)).first()
    except ValueError:
        return None


class PricingView(TemplateView):
    """What is for sale: each offer has a name, a price, and maybe a period, a description, features and a url."""

    template_name = "storefront/pricing.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        currency = self.request.GET.get("currency", "").upper()
        offers = plan_offers.shown(currency) + [_shown(offer, currency) for offer in packs.on_sale()]
        units = sorted({*plan_offers.currencies(), *(unit for offer in packs.on_sale() for unit in offer.prices)})
        return {**super().get_context_data(**kwargs), "offers": offers, "currencies": units, "currency": currency}


def _shown(offer: Offer, currency: str) -> dict[str, Any]:
    """The price in the currency asked for, else in the first of the pack; the other ones stand below it."""
    language = get_language() or "en"
    first = currency if currency in offer.prices else next(iter(offer.prices))
    others = [format_money(price, language) for unit, price in offer.prices.items() if unit != first]
    return {
        "name": offer.pack.name,
        "price": format_money(offer.prices[first], language),
        "description": offer.pack.description or _content(offer, language),
        "features": [gettext("or %(price)s") % {"price": price} for price in others] + _expiry(offer),
    }


def _content(offer: Offer, language: str) -> str:
    pack = offer.pack
    number = format_money(Money(pack.total, pack.unit), language).removesuffix(f" {pack.unit}")
    return ngettext("%(count)s credit", "%(count)s credits", pack.total) % {"count": number}


def _expiry(offer: Offer) -> list[str]:
    days = offer.pack.expires_after_days
    if days is None:
        return []
    return [ngettext("valid for %(days)s day", "valid for %(days)s days", days) % {"days": days}]
