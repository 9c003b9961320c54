"""Figures of billing for Prometheus. They are counted when what they tell of is committed."""

from functools import partial

from django.db import transaction
from prometheus_client import Counter, Histogram

from billing.models import Payment
from billing.models.payments import PaymentStatus
from ledger.money import Money, exponent

REDEMPTIONS = Counter(
    "tirelire_coupon_redemptions",
    "Uses of coupons, by what became of them and the kind of coupon.",
    ["outcome", "kind"],
)
DISCOUNTS = Counter("tirelire_coupon_discount_minor", "Taken off paid prices, in minor units.", ["currency"])
# One figure under two names: dashboards of both families of names find theirs.
TRANSACTIONS = Counter(
    "payment_transactions", "Payments that came to an end, by how they ended.", ["gateway", "status", "currency"]
)
PAYMENTS = Counter(
    "payment_service_payments", "The same as payment_transactions_total.", ["provider", "status", "currency"]
)
AMOUNTS = Histogram(
    "payment_service_payment_amount",
    "Amounts that were paid, in the currency's major unit.",
    ["provider", "currency"],
    # From small amounts in euros to what is large in francs.
    buckets=(
        1,
        2,
        5,
        10,
        20,
        50,
        100,
        200,
        500,
        1_000,
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
        100_000,
        500_000,
        1_000_000,
    ),
)
NO_GATEWAY = "none"  # given for nothing, or no gateway was ever asked


def redemption(outcome: str, kind: str) -> None:
    transaction.on_commit(partial(REDEMPTIONS.labels(outcome, kind).inc))


def discount(amount: Money) -> None:
    transaction.on_commit(partial(DISCOUNTS.labels(amount.unit).inc, amount.minor))


def payment(payment: Payment, gateway: str) -> None:
    """It has come to an end. One that is paid after it had failed has come to two, and counts under both."""
    transaction.on_commit(partial(_payment, gateway or NO_GATEWAY, payment.status, payment.money))


def _payment(gateway: str, status: str, amount: Money) -> None:
    TRANSACTIONS.labels(gateway, status, amount.unit).inc()
    PAYMENTS.labels(gateway, status, amount.unit).inc()
    if status == PaymentStatus.SUCCEEDED:
        AMOUNTS.labels(gateway, amount.unit).observe(amount.minor / 10 ** exponent(amount.unit))
