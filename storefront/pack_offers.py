"""Packs as visitors see them: name, price, what it gives, and the choice that a button makes."""

from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from credits import packs, unit_names
from credits.packs import Offer
from ledger.money import for_reader

ONCE = _("once")


def shown(currency: str) -> list[dict[str, Any]]:
    return [_shown(offer, currency) for offer in packs.on_sale()]


def currencies() -> set[str]:
    return {unit for offer in packs.on_sale() for unit in offer.prices}


def _shown(offer: Offer, currency: str) -> dict[str, Any]:
    """The price in the currency asked for, else in the first of the pack; the other ones stand below it."""
    first = currency if currency in offer.prices else next(iter(offer.prices))
    others = [for_reader(price) for unit, price in offer.prices.items() if unit != first]
    price = for_reader(offer.prices[first])
    return {
        "catalogue": offer.pack.catalogue,
        "name": offer.pack.name,
        "price": price,
        "period": ONCE,
        "description": offer.pack.description or _content(offer),
        "features": [gettext("or %(price)s") % {"price": each} for each in others] + _expiry(offer),
        "pack": {"code": offer.pack.code, "currency": first, "text": price},
    }


def _content(offer: Offer) -> str:
    return unit_names.counted(offer.pack.total, offer.pack.unit, offer.pack.catalogue)


def _expiry(offer: Offer) -> list[str]:
    days = offer.pack.expires_after_days
    if days is None:
        return []
    return [ngettext("valid for %(days)s day", "valid for %(days)s days", days) % {"days": days}]
