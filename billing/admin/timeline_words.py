"""A subscription's timeline in the words of operators."""

from collections.abc import Iterator
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from billing.admin import facts
from billing.models import PlanPrice, SubscriptionEvent
from ledger import columns

ACTS = {
    "asked": _("asked for"),
    "paid": _("period paid"),
    "trial": _("trial begun"),
    "changed": _("plan changed"),
    "change_later": _("another plan from the next period"),
    "cancel_later": _("to end with its period"),
    "resumed": _("not to end after all"),
    "past_due": _("payment failed"),
    "paused": _("paused"),
    "unpaused": _("resumed"),
    "extended": _("extended"),
    "moved": _("moved to another time zone"),
    "closing_page": _("payment page to be closed"),
    "ended": _("ended"),
    "adopted": _("found at its gateway"),
    "overtaken": _("instruction came too late"),
}
# Whatever has no name here is written with its own, so that nothing is hidden.
NAMES = {
    "amount": _("amount"),
    "until": _("until"),
    "plan": _("plan"),
    "price": _("price of the catalogue"),
    "from": _("from"),
    "to": _("to"),
    "time_zone": _("time zone"),
    "why": _("why"),
}


def facts_of(line: SubscriptionEvent) -> Iterator[str]:
    for name, value in line.facts.items():
        if value is not None:
            yield facts.named(NAMES.get(name, name), _written(line, name, value))


def _written(line: SubscriptionEvent, name: str, value: Any) -> str:
    if name == "amount" and isinstance(value, int):
        return columns.shown(value, line.subscription.price.currency)
    if name == "price" and isinstance(value, int):
        return facts.price(PlanPrice, value)
    moment = parse_datetime(value) if name == "until" and isinstance(value, str) else None
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT") if moment else str(value)
