"""Figures of billing for Prometheus. They are counted when what they tell of is committed."""

from functools import partial

from django.db import transaction
from prometheus_client import Counter

from ledger.money import Money

REDEMPTIONS = Counter(
    "tirelire_coupon_redemptions",
    "Uses of coupons, by what became of them and the kind of coupon.",
    ["outcome", "kind"],
)
DISCOUNTS = Counter("tirelire_coupon_discount_minor", "Taken off paid prices, in minor units.", ["currency"])


def redemption(outcome: str, kind: str) -> None:
    transaction.on_commit(partial(REDEMPTIONS.labels(outcome, kind).inc))


def discount(amount: Money) -> None:
    transaction.on_commit(partial(DISCOUNTS.labels(amount.unit).inc, amount.minor))
