"""Rows of the catalogue for tests, with one sensible value for all that a test does not care about."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from credits.models import Cost, CostKind, GrantRule, Pack, PackPrice


def make_pack(prices: dict[str, int] | None = None, **changes: Any) -> Pack:
    known = {"code": "image-100", "catalogue": "image-credits", "name_en": "Credits x100", "credits": 100}
    pack = Pack.objects.create(**known | changes)
    for currency, amount_minor in (prices or {}).items():
        make_price(pack, currency=currency, amount_minor=amount_minor)
    return pack


def make_price(pack: Pack, **changes: Any) -> PackPrice:
    known = {"currency": "EUR", "amount_minor": 999, "valid_from": timezone.now() - timedelta(days=1)}
    return PackPrice.objects.create(pack=pack, **known | changes)


def make_cost(**changes: Any) -> Cost:
    known: dict[str, Any] = {
        "action": "ai.generate",
        "catalogue": "ai-credits",
        "version": 1,
        "valid_from": timezone.now() - timedelta(days=1),
        "kind": CostKind.FIXED,
        "amount": 5,
        "label_en": "Generate",
    }
    return Cost.objects.create(**known | changes)


def make_between(minimum: int, maximum: int, **changes: Any) -> Cost:
    return make_cost(kind=CostKind.BETWEEN, amount=None, minimum=minimum, maximum=maximum, **changes)


def make_rule(**changes: Any) -> GrantRule:
    known = {"code": "premium-weekly", "catalogue": "companion-tokens", "amount": 500, "every": "week"}
    return GrantRule.objects.create(**known | changes)
