"""Rows of the catalogue for tests, with one sensible value for all that a test does not care about."""

from datetime import datetime, timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from credits.models import Cost, CostKind, GrantRule, Pack, PackPrice


def _yesterday() -> datetime:
    return timezone.now() - timedelta(days=1)


class PackFactory(DjangoModelFactory[Pack]):
    class Meta:
        model = Pack

    code = "image-100"
    catalogue = "image-credits"
    name_en = "Credits x100"
    credits = 100


class PackPriceFactory(DjangoModelFactory[PackPrice]):
    class Meta:
        model = PackPrice

    pack = factory.SubFactory(PackFactory)
    currency = "EUR"
    amount_minor = 999
    valid_from = factory.LazyFunction(_yesterday)


class CostFactory(DjangoModelFactory[Cost]):
    class Meta:
        model = Cost

    action = "ai.generate"
    catalogue = "ai-credits"
    version = 1
    valid_from = factory.LazyFunction(_yesterday)
    kind = CostKind.FIXED
    amount = 5
    label_en = "Generate"

    class Params:
        between = factory.Trait(kind=CostKind.BETWEEN, amount=None)


class GrantRuleFactory(DjangoModelFactory[GrantRule]):
    class Meta:
        model = GrantRule

    code = "premium-weekly"
    catalogue = "companion-tokens"
    amount = 500
    every = "week"


def make_pack(prices: dict[str, int] | None = None, **changes: Any) -> Pack:
    pack = PackFactory.create(**changes)
    for currency, amount_minor in (prices or {}).items():
        make_price(pack, currency=currency, amount_minor=amount_minor)
    return pack


def make_price(pack: Pack, **changes: Any) -> PackPrice:
    return PackPriceFactory.create(pack=pack, **changes)


def make_cost(**changes: Any) -> Cost:
    return CostFactory.create(**changes)


def make_between(minimum: int, maximum: int, **changes: Any) -> Cost:
    return CostFactory.create(between=True, minimum=minimum, maximum=maximum, **changes)


def make_rule(**changes: Any) -> GrantRule:
    return GrantRuleFactory.create(**changes)
