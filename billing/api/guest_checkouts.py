"""What `POST checkouts` does for a guest: somebody without credentials, who sends an e-mail address."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework import serializers as drf
from rest_framework.exceptions import ErrorDetail, Throttled
from rest_framework.request import Request

from billing import guests, pricing
from billing.api.shapes import wishes_of
from billing.models import Payment
from billing.models.customers import default_locale
from rest import addresses, limits, throttles
from rest.idempotency import Claim
from rest.permissions import OwnerOrService

if TYPE_CHECKING:
    from rest_framework.views import APIView

OF_A_GUEST = ("email", "locale")
# A plan is ended by whom it belongs to, and a guest has no account to do it with; coupons and saved cards are for one.
NOT_FOR_GUESTS = (
    "plan",
    "interval",
    "sale",
    "sales",
    "amount",
    "description",
    "coupon",
    "save_method",
    "payment_method",
)


class MayBuy(OwnerOrService("billing.start_checkout")):  # type: ignore[misc]  # a class that is made
    """Those, and guests where the shop takes them. Wrong credentials are refused before: they are nobody's guest."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if request.auth is None and settings.GUEST_CHECKOUT:
            return True
        return bool(super().has_permission(request, view))


def stranger(request: Request) -> str:
    """By what one guest's Idempotency-Key is told from another's."""
    sent = request.data
    return str(sent.get("email", "")).lower() if isinstance(sent, dict) else ""


def start(request: Request, wish: dict[str, Any], claim: Claim) -> Payment:
    for name in NOT_FOR_GUESTS:
        if name in wish:
            raise _mistake(name, "A guest buys a pack; anything else needs an account.", "unexpected")
    if "email" not in wish:
        raise _mistake("email", "A guest says where the receipt goes.", "required")
    _count(request)
    locale = wish.get("locale", default_locale())
    purchase = pricing.pack(wish["pack"], wish["currency"], locale)
    return guests.start(email=wish["email"], locale=locale, purchase=purchase, wishes=wishes_of(wish), claim=claim)


def refuse_facts_of_guests(wish: dict[str, Any]) -> None:
    for name in OF_A_GUEST:
        if name in wish:
            raise _mistake(name, "This is of a guest; a customer has theirs already.", "unexpected")


def told(payment: Payment) -> dict[str, str]:
    return {"customer": payment.user.get_username(), "page_url": guests.page_of(payment)}


def _mistake(name: str, sentence: str, code: str) -> drf.ValidationError:
    return drf.ValidationError({name: [ErrorDetail(sentence, code=code)]})


def _count(request: Request) -> None:
    """By address, beside the limit of all strangers: each checkout calls a gateway."""
    network = addresses.network_of(request._request)
    outcome = throttles.meter.take(f"guest:{network}", limits.parse(settings.THROTTLE_GUEST_CHECKOUT))
    if not outcome.allowed:
        throttles.throttled.labels("guest").inc()
        raise Throttled(wait=outcome.reset_seconds, detail="Too many checkouts were begun.")
