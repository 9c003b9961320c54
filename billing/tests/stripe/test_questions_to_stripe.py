"""What we hear where Stripe knows nothing of what we ask about, refuses to say, or says what nobody can read."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from billing.gateways.base import (
    PaymentResult,
    PaymentState,
    PayoutRef,
    PayoutResult,
    PayoutState,
    RefundRef,
    RefundResult,
    RefundState,
)
from billing.gateways.errors import Declined, Uncertain
from billing.gateways.stripe import Stripe
from billing.gateways.subscribing import (
    InvoiceResult,
    InvoiceState,
    PriceRequest,
    ProductRequest,
    SetupResult,
    SetupState,
    SubscriptionRef,
    SubscriptionResult,
    SubscriptionState,
)
from billing.tests.stripe import requests as asked
from billing.tests.stripe.conftest import Double
from ledger.money import Money

MISSING = {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing"}
REFUND = RefundRef(reference="r" * 32, payment=asked.PAID, amount=asked.AMOUNT, ids={"refund": "re_1"})
PAYOUT = PayoutRef(reference=asked.REFERENCE, amount=asked.AMOUNT, created_at=asked.CREATED)
Act = Callable[[Stripe], object]

# Where each question goes, and what it is told of what Stripe does not know.
QUESTIONS: dict[str, tuple[Act, str, object]] = {
    "page": (
        lambda gateway: gateway.fetch_payment(asked.PAGE),
        "checkout/sessions/cs_1",
        PaymentResult(state=PaymentState.NOT_FOUND),
    ),
    "intent": (
        lambda gateway: gateway.fetch_payment(asked.PAID),
        "payment_intents/pi_1",
        PaymentResult(state=PaymentState.NOT_FOUND),
    ),
    "refund": (
        lambda gateway: gateway.fetch_refund(REFUND),
        "refunds/re_1",
        RefundResult(state=RefundState.NOT_FOUND),
    ),
    "transfer": (
        lambda gateway: gateway.fetch_payout(replace(PAYOUT, ids={"transfer": "tr_1"})),
        "transfers/tr_1",
        PayoutResult(state=PayoutState.NOT_FOUND),
    ),
    "payout": (
        lambda gateway: gateway.fetch_payout(replace(PAYOUT, ids={"payout": "po_1"})),
        "payouts/po_1",
        PayoutResult(state=PayoutState.NOT_FOUND),
    ),
    "page of a card": (
        lambda gateway: gateway.fetch_setup(ids={"session": "cs_1"}),
        "checkout/sessions/cs_1",
        SetupResult(state=SetupState.NOT_FOUND),
    ),
    "setup intent": (
        lambda gateway: gateway.fetch_setup(ids={"setup_intent": "seti_1"}),
        "setup_intents/seti_1",
        SetupResult(state=SetupState.NOT_FOUND),
    ),
    "saved card": (lambda gateway: gateway.fetch_method(method="pm_1"), "payment_methods/pm_1", None),
    "subscription": (
        lambda gateway: gateway.fetch_subscription(SubscriptionRef(reference="x", id="sub_1")),
        "subscriptions/sub_1",
        SubscriptionResult(state=SubscriptionState.NOT_FOUND),
    ),
    "invoice": (
        lambda gateway: gateway.fetch_invoice(invoice="in_1"),
        "invoices/in_1",
        InvoiceResult(state=InvoiceState.NOT_FOUND),
    ),
    "product": (
        lambda gateway: gateway.differences_of_product(ProductRequest(id="prod_pro", name="Pro")),
        "products/prod_pro",
        None,
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_stripe_does_not_know_is_not_found(gateway: Stripe, double: Double, name: str) -> None:
    act, path, told = QUESTIONS[name]
    double.answers[("GET", path)] = double.error(404, **MISSING)
    assert act(gateway) == told


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_that_is_refused_for_another_reason_proves_no_absence(
    gateway: Stripe, double: Double, name: str
) -> None:
    act, path, _ = QUESTIONS[name]
    double.answers[("GET", path)] = double.error(400, type="invalid_request_error", code="url_invalid", message="No.")
    with pytest.raises(Declined) as refused:
        act(gateway)
    assert refused.value.code == "url_invalid"


def of_kind(kind: str) -> Callable[[Double], dict[str, Any]]:
    return lambda double: double.make(kind, status="dreaming", amount=500, currency="eur")


@pytest.mark.parametrize(
    ("act", "path", "found"),
    [
        (QUESTIONS["page"][0], "checkout/sessions/cs_1", lambda double: asked.session(double, status="dreaming")),
        (QUESTIONS["page"][0], "checkout/sessions/cs_1", lambda double: asked.session(double, status=None)),
        (QUESTIONS["refund"][0], "refunds/re_1", of_kind("refund")),
        (QUESTIONS["payout"][0], "payouts/po_1", of_kind("payout")),
        (QUESTIONS["setup intent"][0], "setup_intents/seti_1", of_kind("setup_intent")),
        (QUESTIONS["subscription"][0], "subscriptions/sub_1", lambda double: asked.subscription(double, status="new")),
        (QUESTIONS["invoice"][0], "invoices/in_1", lambda double: asked.invoice(double, status="dreaming")),
        (lambda gateway: gateway.fetch_dispute(dispute="dp_1"), "disputes/dp_1", of_kind("dispute")),
    ],
)
def test_word_that_we_do_not_know_is_no_outcome(
    gateway: Stripe, double: Double, act: Act, path: str, found: Callable[[Double], dict[str, Any]]
) -> None:
    double.answers[("GET", path)] = found(double)
    with pytest.raises(Uncertain) as unread:
        act(gateway)
    assert unread.value.code == "unreadable"


# ---------------------------------------------------------------- where the first reply was lost


def test_attempt_without_a_beginning_is_looked_for_in_the_whole_list(
    gateway: Stripe, double: Double, recorded: Any
) -> None:
    double.answers |= {
        ("GET", "checkout/sessions"): double.page(asked.session(double)),
        ("GET", "checkout/sessions/cs_1"): asked.session(double),
    }
    assert gateway.fetch_payment(replace(asked.LOST, created_at=None)).ids == {"session": "cs_1"}
    assert recorded.calls[0].params == {"limit": "100"}


def test_page_of_a_card_that_is_in_no_list_is_not_found(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("GET", "checkout/sessions")] = double.page(asked.session(double))
    assert gateway.fetch_setup(ids={}, reference="u" * 32, created_at=asked.CREATED) == SetupResult(
        state=SetupState.NOT_FOUND
    )
    assert [call.path for call in recorded.calls] == ["/v1/checkout/sessions"]


def test_payout_to_a_bank_whose_reply_was_lost_is_found_by_our_reference(gateway: Stripe, double: Double) -> None:
    values = {"status": "in_transit", "amount": 1_999, "currency": "eur"}
    other = double.make("payout", id="po_0", metadata={}, **values)
    ours = double.make("payout", id="po_1", metadata=asked.METADATA, **values)
    double.answers |= {("GET", "transfers"): double.page(), ("GET", "payouts"): double.page(other, ours)}
    found = gateway.fetch_payout(PAYOUT)
    assert (found.state, found.ids, found.amount) == (PayoutState.IN_TRANSIT, {"payout": "po_1"}, asked.AMOUNT)


@pytest.mark.parametrize(
    "act",
    [
        lambda gateway: gateway.send_refund(replace(asked.refund(), payment=asked.LOST)),
        lambda gateway: gateway.fetch_refund(replace(REFUND, payment=asked.LOST, ids={})),
        lambda gateway: gateway.list_refunds(asked.LOST),
    ],
)
def test_nothing_is_refunded_of_a_payment_that_stripe_does_not_know(
    gateway: Stripe, double: Double, recorded: Any, act: Act
) -> None:
    double.answers |= {("GET", "checkout/sessions"): double.page(), ("GET", "payment_intents"): double.page()}
    with pytest.raises(Declined, match="no payment of this attempt"):
        act(gateway)
    assert {call.path for call in recorded.calls} == {"/v1/checkout/sessions", "/v1/payment_intents"}


def test_intent_that_paid_no_invoice_has_none(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "invoice_payments")] = double.page()
    assert gateway.find_invoice(payment_intent="pi_1") == InvoiceResult(state=InvoiceState.NOT_FOUND)


# ---------------------------------------------------------------- long lists


def prices(double: Double, *, last: str) -> Any:
    """One on each page, until the last."""

    def page(_: str, __: str, params: dict[str, Any]) -> dict[str, Any]:
        number = int(str(params.get("starting_after", "price_0")).removeprefix("price_")) + 1
        found = double.make("price", id=f"price_{number}", lookup_key=None)
        return double.page(found, has_more=f"price_{number}" != last)

    return page


def test_whole_list_is_read_page_by_page(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "prices")] = prices(double, last="price_3")
    assert gateway.active_prices(product="prod_pro") == [("price_1", ""), ("price_2", ""), ("price_3", "")]


def test_half_of_a_list_is_no_list(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("GET", "prices")] = prices(double, last="")
    with pytest.raises(Uncertain, match="too long"):
        gateway.active_prices(product="prod_pro")
    assert len(recorded.calls) == 20


def test_of_letters_that_never_came_the_newest_two_thousand_are_read(
    gateway: Stripe, double: Double, recorded: Any
) -> None:
    """Another endpoint of the account may be dead for weeks; what is new comes first all the same."""
    found = double.make("event", id="evt_1", type="payment_intent.succeeded", data={"object": asked.intent(double)})
    double.answers[("GET", "events")] = double.page(found, has_more=True)
    assert len(gateway.undelivered(since=asked.CREATED)) == len(recorded.calls) == 20


# ---------------------------------------------------------------- amounts that Stripe cannot write


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (Money(5, "CREDIT"), "currency_not_supported"),
        (Money(900, "BOV"), "currency_not_supported"),
        (Money(1_234, "KWD"), "amount_not_representable"),
        (Money(901, "MGA"), "amount_not_representable"),
    ],
)
def test_price_that_stripe_cannot_write_is_never_rounded(
    gateway: Stripe, double: Double, recorded: Any, amount: Money, code: str
) -> None:
    double.answers[("GET", "prices")] = double.page()
    with pytest.raises(Declined) as refused:
        gateway.put_price(PriceRequest(lookup_key="pro", product="prod_pro", amount=amount))
    assert refused.value.code == code
    assert [call.method for call in recorded.calls] == ["GET"]
