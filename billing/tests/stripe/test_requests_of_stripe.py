"""Each request that we send is one that Stripe's schema knows, under a key of ours, in the version that we pinned."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import stripe
from django.conf import settings

from billing.gateways.base import Flow, PayoutRef, RefundRef
from billing.gateways.stripe import Configuration, Stripe
from billing.gateways.subscribing import (
    ChangeRequest,
    CouponRequest,
    EvidenceRequest,
    Interval,
    PortalRequest,
    PriceRequest,
    ProductRequest,
    Proration,
    SetupRequest,
    SubscriptionRef,
    SubscriptionRequest,
)
from billing.gateways.tax_figures import TaxBehavior
from billing.tests.stripe import requests as asked
from billing.tests.stripe.conftest import Double
from ledger.money import Money

Act = Callable[[Stripe], object]
PAGES: Any = {"success_url": "https://shop.example/done", "cancel_url": "https://shop.example/back"}
PLAN = SubscriptionRequest(reference="s" * 32, buyer=asked.CUSTOMER, price="price_1", **PAGES)
CHANGE = ChangeRequest(
    reference="c" * 32, subscription="sub_1", item="si_1", price="price_2", customer="cus_1", prorated_at=asked.CREATED
)
PRICE = PriceRequest(lookup_key="pro_month_eur", product="prod_pro", amount=Money(900, "EUR"), interval=Interval.MONTH)
SETUP = SetupRequest(reference="u" * 32, buyer=asked.CUSTOMER, currency="EUR", **PAGES)

MOVES: dict[str, tuple[Act, str]] = {
    "page": (lambda gateway: gateway.open_checkout(asked.checkout(lines=asked.lines())), f"{asked.REFERENCE}:create"),
    "page that saves the card": (
        lambda gateway: gateway.open_checkout(asked.checkout(save_method=True)),
        f"{asked.REFERENCE}:create",
    ),
    "page that reckons the tax": (
        lambda gateway: gateway.open_checkout(asked.checkout(buyer=asked.CUSTOMER, tax=TaxBehavior.EXCLUSIVE)),
        f"{asked.REFERENCE}:create",
    ),
    "page of a known customer": (
        lambda gateway: gateway.open_checkout(asked.checkout(buyer=asked.CUSTOMER)),
        f"{asked.REFERENCE}:create",
    ),
    "intent": (
        lambda gateway: gateway.open_checkout(asked.checkout(flow=Flow.CLIENT_SECRET, save_method=True)),
        f"{asked.REFERENCE}:create",
    ),
    "charge": (lambda gateway: gateway.charge(asked.charge()), f"{asked.REFERENCE}:charge"),
    "charge while its owner is there": (
        lambda gateway: gateway.charge(replace(asked.charge(), return_url="https://shop.example/done")),
        f"{asked.REFERENCE}:charge",
    ),
    "expire": (lambda gateway: gateway.cancel_checkout(asked.PAGE), f"{asked.REFERENCE}:expire"),
    "cancel": (lambda gateway: gateway.cancel_checkout(asked.PAID), f"{asked.REFERENCE}:cancel"),
    "refund": (lambda gateway: gateway.send_refund(asked.refund()), f"{'r' * 32}:refund"),
    "transfer": (lambda gateway: gateway.send_payout(asked.payout()), f"{asked.REFERENCE}:payout"),
    "payout": (lambda gateway: gateway.send_payout(asked.payout("ba_1")), f"{asked.REFERENCE}:payout"),
    "customer": (
        lambda gateway: gateway.create_customer(buyer=asked.BUYER, reference="u-1"),
        "u-1:customer",
    ),
    "setup": (lambda gateway: gateway.open_setup(SETUP), f"{'u' * 32}:setup"),
    "subscription page that reckons the tax": (
        lambda gateway: gateway.open_subscription(replace(PLAN, automatic_tax=True)),
        f"{'s' * 32}:subscribe",
    ),
    "subscription page": (lambda gateway: gateway.open_subscription(PLAN), f"{'s' * 32}:subscribe"),
    "change": (lambda gateway: gateway.change_subscription(CHANGE), f"{'c' * 32}:change"),
    "cancel later": (
        lambda gateway: gateway.end_subscription_later(subscription="sub_1", reference="x"),
        "x:cancel_later",
    ),
    "cancel now": (
        lambda gateway: gateway.end_subscription(subscription="sub_1", reference="x"),
        "x:cancel_now",
    ),
    "keep": (lambda gateway: gateway.keep_subscription(subscription="sub_1", reference="x"), "x:keep"),
    "pause": (lambda gateway: gateway.pause_subscription(subscription="sub_1", reference="x"), "x:pause"),
    "resume": (lambda gateway: gateway.resume_subscription(subscription="sub_1", reference="x"), "x:resume"),
    "evidence": (
        lambda gateway: gateway.send_evidence(
            EvidenceRequest(reference="x", dispute="dp_1", texts={"product_description": "Credits"}, submit=True)
        ),
        "x:evidence",
    ),
}
OTHERS: dict[str, Act] = {
    "fetch page": lambda gateway: gateway.fetch_payment(asked.PAGE),
    "fetch intent": lambda gateway: gateway.fetch_payment(asked.PAID),
    "look up": lambda gateway: gateway.fetch_payment(asked.LOST),
    "fetch refund": lambda gateway: gateway.fetch_refund(
        RefundRef(reference="r" * 32, payment=asked.PAID, amount=asked.AMOUNT, ids={"refund": "re_1"})
    ),
    "look up refund": lambda gateway: gateway.fetch_refund(
        RefundRef(reference="r" * 32, payment=asked.PAID, amount=asked.AMOUNT)
    ),
    "fetch transfer": lambda gateway: gateway.fetch_payout(
        PayoutRef(reference="r" * 32, amount=asked.AMOUNT, ids={"transfer": "tr_1"})
    ),
    "fetch payout": lambda gateway: gateway.fetch_payout(
        PayoutRef(reference="r" * 32, amount=asked.AMOUNT, ids={"payout": "po_1"})
    ),
    "look up payout": lambda gateway: gateway.fetch_payout(
        PayoutRef(reference="r" * 32, amount=asked.AMOUNT, created_at=asked.CREATED)
    ),
    "fetch setup": lambda gateway: gateway.fetch_setup(ids={"session": "cs_1"}),
    "fetch setup intent": lambda gateway: gateway.fetch_setup(ids={"setup_intent": "seti_1"}),
    "fetch subscription": lambda gateway: gateway.fetch_subscription(SubscriptionRef(reference="x", id="sub_1")),
    "look up subscription": lambda gateway: gateway.fetch_subscription(
        SubscriptionRef(reference="x", created_at=asked.CREATED)
    ),
    "preview": lambda gateway: gateway.preview_change(CHANGE),
    "portal": lambda gateway: gateway.open_portal(PortalRequest(customer="cus_1", return_url="https://shop.example")),
    "fetch invoice": lambda gateway: gateway.fetch_invoice(invoice="in_1"),
    "change without charge": lambda gateway: gateway.change_subscription(
        ChangeRequest(
            reference="x",
            subscription="sub_1",
            item="si_1",
            price="price_2",
            customer="cus_1",
            proration=Proration.NONE,
        )
    ),
    "product": lambda gateway: gateway.put_product(ProductRequest(id="prod_new", name="Pro", description="All of it")),
    "price": lambda gateway: gateway.put_price(PRICE),
    "coupon": lambda gateway: gateway.put_coupon(CouponRequest(id="WELCOME", name="Welcome", percent_off=20, months=3)),
    "coupon of an amount": lambda gateway: gateway.put_coupon(CouponRequest(id="FIVE", amount_off=Money(500, "EUR"))),
    "coupon of a half percent": lambda gateway: gateway.put_coupon(
        CouponRequest(id="HALF", percent_off=Decimal("12.5"), is_forever=True)
    ),
    "fetch dispute": lambda gateway: gateway.fetch_dispute(dispute="dp_1"),
    "undelivered": lambda gateway: gateway.undelivered(since=asked.CREATED),
    "health": lambda gateway: gateway.check_health(),
}


@pytest.fixture(autouse=True)
def answers(double: Double) -> None:
    missing = double.error(404, type="invalid_request_error", code="resource_missing", message="No such thing")
    made = double.make
    refund = made("refund", id="re_1", status="succeeded", amount=500, currency="eur", metadata={})
    transfer = made("transfer", id="tr_1", amount=1_999, currency="eur", reversed=False)
    payout = made("payout", id="po_1", status="pending", amount=1_999, currency="eur")
    setup = made("setup_intent", id="seti_1", status="succeeded", payment_method="pm_1")
    price = made("price", id="price_1", product="prod_pro", currency="eur", unit_amount=900, active=True)
    dispute = made("dispute", id="dp_1", status="needs_response", amount=1_999, currency="eur")
    double.answers = {
        ("POST", "checkout/sessions"): asked.session(double),
        ("GET", "checkout/sessions/cs_1"): asked.session(double),
        ("POST", "checkout/sessions/cs_1/expire"): asked.session(double, status="expired", url=None),
        ("GET", "checkout/sessions"): double.page(),
        ("POST", "payment_intents"): asked.intent(double),
        ("GET", "payment_intents"): double.page(),
        ("GET", "payment_intents/pi_1"): asked.intent(double),
        ("POST", "payment_intents/pi_1/cancel"): asked.intent(double, status="canceled"),
        ("POST", "refunds"): refund,
        ("GET", "refunds/re_1"): refund,
        ("GET", "refunds"): double.page(),
        ("POST", "transfers"): transfer,
        ("GET", "transfers/tr_1"): transfer,
        ("GET", "transfers"): double.page(),
        ("POST", "payouts"): payout,
        ("GET", "payouts/po_1"): payout,
        ("GET", "payouts"): double.page(),
        ("POST", "customers"): made("customer", id="cus_1"),
        ("GET", "setup_intents/seti_1"): setup,
        ("GET", "subscriptions"): double.page(),
        ("GET", "subscriptions/sub_1"): asked.subscription(double),
        ("POST", "subscriptions/sub_1"): asked.subscription(double),
        ("DELETE", "subscriptions/sub_1"): asked.subscription(double, status="canceled"),
        ("POST", "invoices/create_preview"): asked.invoice(double, id="upcoming_in_1", status="draft"),
        ("GET", "invoices/in_1"): asked.invoice(double),
        ("POST", "billing_portal/sessions"): made("billing_portal.session", url="https://billing.example/p"),
        ("GET", "products/prod_new"): missing,
        ("POST", "products"): made("product", id="prod_new"),
        ("GET", "prices"): double.page(price),
        ("POST", "prices"): {**price, "id": "price_2"},
        ("POST", "prices/price_1"): {**price, "active": False},
        ("GET", "coupons/WELCOME"): missing,
        ("GET", "coupons/FIVE"): missing,
        ("GET", "coupons/HALF"): missing,
        ("POST", "coupons"): made("coupon"),
        ("GET", "disputes/dp_1"): dispute,
        ("POST", "disputes/dp_1"): dispute,
        ("GET", "events"): double.page(),
        ("GET", "balance"): made("balance"),
    }


@pytest.mark.parametrize("name", MOVES)
def test_what_moves_something_is_known_to_the_schema_and_has_our_key(gateway: Stripe, recorded: Any, name: str) -> None:
    act, key = MOVES[name]
    act(gateway)
    moving = [call for call in recorded.calls if call.method != "GET"]
    assert [call.idempotency_key for call in moving] == [key]
    recorded.assert_valid()


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_request_is_known_to_the_schema(gateway: Stripe, recorded: Any, name: str) -> None:
    OTHERS[name](gateway)
    assert recorded.calls
    assert {call.stripe_version for call in recorded.calls} == {settings.STRIPE_API_VERSION}
    recorded.assert_valid()


def test_the_library_and_the_settings_mean_the_same_version(schema: Any) -> None:
    assert settings.STRIPE_API_VERSION == stripe.api_version == schema.version


REQUIRED = {
    "intent": "currency",
    "transfer": "destination",
    "payout": "amount",
    "page": "line_items[0][price_data][currency]",
}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_field_that_is_left_out_is_noticed(
    schema_tools: Any, schema: Any, double: Double, configuration: Configuration, name: str
) -> None:
    """If this fails, the tests above prove nothing."""
    dropped = REQUIRED[name]

    class Forgetful(schema_tools.RecordingClient):  # type: ignore[misc]
        def request(self, method: str, url: str, headers: Any = None, post_data: Any = None, **more: Any) -> Any:
            kept = [(key, value) for key, value in parse_qsl(post_data or "") if key != dropped]
            assert len(kept) == len(parse_qsl(post_data or "")) - 1
            return super().request(method, url, headers, urlencode(kept), **more)

    gateway = Stripe(configuration, client=Forgetful(schema, responder=double, strict=True))
    with pytest.raises(schema_tools.InvalidStripeCall, match="missing required parameter"):
        MOVES[name][0](gateway)
