"""Plans as visitors see them: name, price for an interval, what it gives, and the choices that a button makes."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from billing import plans
from billing.models import PlanPrice
from billing.plans import PlanOffer
from credits import unit_names
from ledger.money import for_reader

PERIODS = {"week": _("per week"), "month": _("per month"), "year": _("per year")}
EVERY = {"week": _("%(credits)s every week"), "month": _("%(credits)s every month")}


def shown(currency: str) -> list[dict[str, Any]]:
    return [_shown(offer, currency) for offer in plans.on_sale()]


def currencies() -> list[str]:
    return sorted({price.currency for offer in plans.on_sale() for price in offer.prices})


def price_text(price: PlanPrice) -> str:
    return f"{for_reader(price.money)} {PERIODS[price.interval]}"


def _shown(offer: PlanOffer, currency: str) -> dict[str, Any]:
    """The month's price in the currency asked for stands large; the others stand on the buttons and below."""
    known = {price.currency for price in offer.prices}
    chosen = currency if currency in known else offer.prices[0].currency
    here = [price for price in offer.prices if price.currency == chosen]
    first = next((price for price in here if price.interval == "month"), here[0])
    elsewhere = [price for price in offer.prices if price.currency != chosen and price.interval == first.interval]
    language = get_language() or "en"
    return {
        "catalogue": offer.plan.catalogue,
        "name": offer.plan.name,
        "price": for_reader(first.money),
        "period": PERIODS[first.interval],
        "description": offer.plan.description,
        "features": [*(_features(offer, language) or _given(offer)), *_trial(offer), *_also(elsewhere)],
        "choices": [{"plan": offer.plan.code, "price": price, "text": price_text(price)} for price in here],
    }


def _given(offer: PlanOffer) -> list[str]:
    if offer.plan.is_unlimited:
        return [gettext("credits without limit")]
    return [
        str(EVERY[each.every]) % {"credits": unit_names.counted(each.amount, each.unit, offer.plan.catalogue)}
        for each in plans.terms(offer.plan)
    ]


def _features(offer: PlanOffer, language: str) -> list[str]:
    return [str(each.get("fr") or each["en"]) if language == "fr" else str(each["en"]) for each in offer.plan.features]


def _trial(offer: PlanOffer) -> list[str]:
    days = offer.plan.trial_days
    told = [ngettext("%(days)s day for nothing first", "%(days)s days for nothing first", days) % {"days": days}]
    return told if days else []


def _also(elsewhere: Sequence[PlanPrice]) -> list[str]:
    return [gettext("or %(price)s") % {"price": for_reader(price.money)} for price in elsewhere]
