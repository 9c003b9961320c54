"""What somebody who lacks credits could buy: the cheapest pack that would do, in their own currency, and where."""

import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from babel.numbers import get_territory_currencies
from django.conf import settings
from django.contrib.auth.models import User

from billing.models import Customer
from credits import packs
from credits.errors import InsufficientCredits
from credits.packs import Offer, Suggestion
from rest.memory import Memory

# A shop that is out of credits asks again and again: a refusal must not cost more than what it refuses.
_currencies: Memory[int, tuple[str, ...]] = Memory(10_000)
_offers: Memory[str, list[Offer]] = Memory(100)


def for_lack(error: InsufficientCredits, user: User | None) -> dict[str, Any]:
    """The facts that a 402 adds; null where no pack of the unit is on sale."""
    found = _cheapest(error, user)
    if found is None:
        return {"cheapest_pack": None, "checkout_url": None}
    return {
        "cheapest_pack": {
            "code": found.pack.code,
            "count": found.count,
            "credits": found.credits,
            "amount": found.price.minor,
            "currency": found.price.unit,
        },
        "checkout_url": f"{settings.BASE_URL}/pricing?{urlencode({'pack': found.pack.code})}",
    }


def _cheapest(error: InsufficientCredits, user: User | None) -> Suggestion | None:
    offers = _offers.get(error.unit)
    if offers is None:
        offers = packs.on_sale(unit=error.unit)
        _offers.put(error.unit, offers, until=time.time() + settings.COSTS_CACHE_SECONDS)
    for currency in currencies_of(user):
        if found := packs.choose(error.missing, currency, offers):
            return found
    return None


def currencies_of(user: User | None) -> tuple[str, ...]:
    """The currencies that a customer pays in, those of their country first and the house's last."""
    if user is None or user.pk is None:
        return (settings.CREDITS_OFFER_CURRENCY,)
    known = _currencies.get(user.pk)
    if known is None:
        country = Customer.objects.filter(user=user).values_list("country", flat=True).first()
        today = datetime.now(UTC).date()
        own = get_territory_currencies(country, start_date=today, tender=True) if country else []
        known = tuple(dict.fromkeys([*own, settings.CREDITS_OFFER_CURRENCY]))
        _currencies.put(user.pk, known, until=time.time() + settings.CUSTOMER_CACHE_SECONDS)
    return known
