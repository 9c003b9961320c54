"""The page of prices: every product with its plans and packs, and a button for each."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.generic import View

from billing import checkout, pages, pricing, refusal_words
from billing.checkout import Wishes
from credits import catalogue_titles
from storefront import pack_offers, plan_offers
from storefront.signed_in import SignedIn


class PricingView(View):
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        return page(request, request.GET.get("currency", "").upper())


class BuyView(SignedIn):
    """A pack is paid on the page of a gateway; the first page of ours tells afterwards what became of it."""

    http_method_names = ["post"]
    came_from = "pricing"

    def post(self, request: HttpRequest) -> HttpResponse:
        currency = request.POST.get("currency", "")
        try:
            purchase = pricing.pack(request.POST.get("pack", ""), currency, pages.language())
            wishes = Wishes(cancel_url=settings.BASE_URL + reverse("pricing"))
            payment = checkout.start(user=self.customer, purchase=purchase, wishes=wishes)
        except refusal_words.REFUSALS as refusal:
            return page(request, currency, refusal=refusal_words.words(refusal))
        url = pages.page_of(payment)
        return pages.lead_to(request, url) if url else redirect(f"{reverse('home')}?payment={payment.pk}")


def page(request: HttpRequest, currency: str, *, refusal: str = "") -> HttpResponse:
    units = sorted({*plan_offers.currencies(), *pack_offers.currencies()})
    context = {
        "products": products([*plan_offers.shown(currency), *pack_offers.shown(currency)]),
        "currencies": units,
        "currency": currency if currency in units else "",
        "refusal": refusal,
        "own_path": request.get_full_path() if request.method == "GET" else reverse("pricing"),
    }
    return render(request, "storefront/pricing.html", context, status=409 if refusal else 200)


def products(offers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two products may each have a plan of the same name; a catalogue is a product."""
    found: dict[str, list[dict[str, Any]]] = {}
    for offer in offers:
        found.setdefault(offer["catalogue"], []).append(offer)
    named = [{"title": catalogue_titles.title(code), "offers": each} for code, each in found.items()]
    return sorted(named, key=lambda product: str(product["title"]))
