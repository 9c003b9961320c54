"""How figures and times of an event are written for people."""

from datetime import datetime

from babel.numbers import format_decimal
from django import template
from django.utils import timezone
from django.utils.translation import get_language

from ledger.money import Money, for_reader

register = template.Library()
GATEWAYS: dict[str, str] = {}  # their titles by their names: billing, which stands above, writes them here


@register.filter
def money(minor: int, currency: str) -> str:
    """`{{ data.amount|money:data.currency }}`: 9,99 € in French, 6 500 F CFA where francs have no cents."""
    return for_reader(Money(minor, currency))


@register.filter
def less(minor: int, part: int) -> int:
    """`{{ data.amount|less:data.fee|money:data.currency }}`"""
    return minor - part


@register.filter
def whole(number: int) -> str:
    return str(format_decimal(number, locale=get_language() or "en"))


@register.filter
def moment(text: str | None) -> datetime | None:
    """A time of an event, in the customer's zone: `{{ data.due_at|moment|date:"DATE_FORMAT" }}`."""
    return timezone.localtime(datetime.fromisoformat(text)) if text else None


@register.filter
def gateway(name: str) -> str:
    """As its own people write it."""
    return GATEWAYS.get(name) or name.replace("_", " ").title()
