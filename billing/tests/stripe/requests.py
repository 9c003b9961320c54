"""What the tests ask of Stripe, and the objects that it answers with."""

from datetime import UTC, datetime
from typing import Any

from billing.gateways.base import (
    Buyer,
    ChargeRequest,
    CheckoutRequest,
    Destination,
    DestinationKind,
    Line,
    PaymentRef,
    PayoutRequest,
    RefundRequest,
)
from billing.tests.stripe.conftest import Double
from ledger.money import Money

REFERENCE = "0193f0b5e4a07c1e8c5b2f6a1d3e4f50"
AMOUNT = Money(1_999, "EUR")
CREATED = datetime(2026, 11, 25, 12, tzinfo=UTC)
BUYER = Buyer(id="u-1", name="Awa", email="awa@example.org", country="FR", locale="fr")
CUSTOMER = Buyer(id="u-1", gateway_customer="cus_1")
PAID = PaymentRef(reference=REFERENCE, amount=AMOUNT, ids={"payment_intent": "pi_1"}, created_at=CREATED)
PAGE = PaymentRef(reference=REFERENCE, amount=AMOUNT, ids={"session": "cs_1"}, created_at=CREATED)
LOST = PaymentRef(reference=REFERENCE, amount=AMOUNT, created_at=CREATED)
METADATA = {"reference": REFERENCE}


def checkout(**changes: Any) -> CheckoutRequest:
    values: dict[str, Any] = {
        "reference": REFERENCE,
        "amount": AMOUNT,
        "description": "100 credits",
        "buyer": BUYER,
        "success_url": "https://shop.example/done",
        "cancel_url": "https://shop.example/back",
        "notify_url": "https://shop.example/webhooks/stripe",
    }
    return CheckoutRequest(**values | changes)


def lines() -> tuple[Line, ...]:
    return (
        Line(name="Credits", quantity=2, unit_price=Money(500, "EUR")),
        Line(name="Bonus", quantity=1, unit_price=Money(999, "EUR"), description="Once"),
    )


def charge() -> ChargeRequest:
    return ChargeRequest(reference=REFERENCE, amount=AMOUNT, description="Renewal", buyer=CUSTOMER, method="pm_1")


def refund(minor: int = 500) -> RefundRequest:
    return RefundRequest(reference="r" * 32, payment=PAID, amount=Money(minor, "EUR"), reason="requested_by_customer")


def payout(destination: str = "acct_1") -> PayoutRequest:
    to = Destination(kind=DestinationKind.ACCOUNT, value=destination)
    return PayoutRequest(reference=REFERENCE, amount=AMOUNT, destination=to, description="Sales of May")


def session(double: Double, **values: Any) -> dict[str, Any]:
    usual = {
        "id": "cs_1",
        "status": "open",
        "payment_status": "unpaid",
        "mode": "payment",
        "url": "https://checkout.example/cs_1",
        "amount_total": 1_999,
        "currency": "eur",
        "client_reference_id": REFERENCE,
        "metadata": METADATA,
        "expires_at": 1_800_000_000,
    }
    return double.make("checkout.session", **usual | values)


def intent(double: Double, **values: Any) -> dict[str, Any]:
    usual = {
        "id": "pi_1",
        "amount": 1_999,
        "amount_received": 0,
        "currency": "eur",
        "status": "requires_payment_method",
        "metadata": METADATA,
        "client_secret": "pi_1_secret_x",
    }
    return double.make("payment_intent", **usual | values)


def paid_intent(double: Double, **values: Any) -> dict[str, Any]:
    balance = double.make("balance_transaction", id="txn_1", fee=83, currency="eur", amount=1_999, net=1_916)
    card = {"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2030}
    found = double.make(
        "charge",
        id="ch_1",
        created=1_764_072_000,
        currency="eur",
        amount_refunded=0,
        balance_transaction=balance,
        payment_method_details={"type": "card", "card": card},
    )
    usual = {
        "status": "succeeded",
        "amount_received": 1_999,
        "latest_charge": found,
        "payment_method": "pm_1",
        "customer": "cus_1",
    }
    return intent(double, **usual | values)


def subscription(double: Double, **values: Any) -> dict[str, Any]:
    price = double.make(
        "price",
        id="price_1",
        currency="eur",
        unit_amount=900,
        recurring={"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    )
    item = double.make(
        "subscription_item",
        id="si_1",
        price=price,
        current_period_start=1_764_000_000,
        current_period_end=1_766_592_000,
    )
    usual = {
        "id": "sub_1",
        "status": "active",
        "customer": "cus_1",
        "metadata": METADATA,
        "items": double.page(item),
        "cancel_at_period_end": False,
        "latest_invoice": "in_1",
    }
    return double.make("subscription", **usual | values)


def invoice(double: Double, **values: Any) -> dict[str, Any]:
    usual = {
        "id": "in_1",
        "status": "paid",
        "currency": "eur",
        "total": 900,
        "amount_due": 900,
        "amount_paid": 900,
        "customer": "cus_1",
        "billing_reason": "subscription_cycle",
        "created": 1_764_000_000,
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": "sub_1", "metadata": METADATA},
        },
    }
    return double.make("invoice", **usual | values)
