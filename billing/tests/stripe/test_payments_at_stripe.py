"""What Stripe says of a payment, in our words; and what its refusals mean."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from billing.gateways.base import (
    Flow,
    NextAction,
    PaymentState,
    SavedMethod,
)
from billing.gateways.errors import Declined, FailureCategory, GatewayError, Unavailable, Uncertain
from billing.gateways.stripe import Configuration, Stripe
from billing.gateways.tax_figures import TaxBehavior
from billing.tests.stripe import requests as asked
from billing.tests.stripe.conftest import Double
from ledger.money import Money

# ---------------------------------------------------------------- opening


def test_a_page_is_opened(gateway: Stripe, double: Double) -> None:
    double.answers[("POST", "checkout/sessions")] = asked.session(double)
    result = gateway.open_checkout(asked.checkout())
    assert result.state is PaymentState.REQUIRES_ACTION
    assert result.ids == {"session": "cs_1"}
    assert result.amount == asked.AMOUNT
    assert result.next_action == NextAction(
        type=Flow.REDIRECT,
        url="https://checkout.example/cs_1",
        expires_at=datetime.fromtimestamp(1_800_000_000, UTC),
    )


def test_a_page_carries_our_lines_where_they_sum_up(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("POST", "checkout/sessions")] = asked.session(double)
    gateway.open_checkout(asked.checkout(lines=asked.lines()))
    gateway.open_checkout(asked.checkout(lines=asked.lines()[:1]))
    sent = [call.params["line_items"] for call in recorded.calls]
    assert [each["price_data"]["unit_amount"] for each in sent[0].values()] == ["500", "999"]
    assert [each["price_data"]["unit_amount"] for each in sent[1].values()] == ["1999"]


def test_an_intent_gives_its_secret_to_the_page_and_keeps_it_out_of_what_is_stored(
    gateway: Stripe, double: Double
) -> None:
    double.answers[("POST", "payment_intents")] = asked.intent(double)
    result = gateway.open_checkout(asked.checkout(flow=Flow.CLIENT_SECRET))
    assert result.next_action == NextAction(
        type=Flow.CLIENT_SECRET, client_secret="pi_1_secret_x", publishable_key="pk_test_1"
    )
    assert "pi_1_secret_x" not in str(result.raw)


def test_a_saved_card_is_charged(gateway: Stripe, double: Double) -> None:
    double.answers[("POST", "payment_intents")] = asked.paid_intent(double)
    result = gateway.charge(asked.charge())
    assert (result.state, result.amount, result.fee) == (PaymentState.SUCCEEDED, asked.AMOUNT, Money(83, "EUR"))
    assert result.ids == {"payment_intent": "pi_1", "charge": "ch_1"}
    assert result.method == SavedMethod(id="pm_1", kind="card", brand="visa", last4="4242", expires="04/2030")
    assert result.gateway_customer == "cus_1"
    assert result.paid_at == datetime.fromtimestamp(1_764_072_000, UTC)


@pytest.mark.parametrize(
    ("minutes", "is_said"), [(29, False), (30, True), (90, True), (24 * 60, True), (24 * 60 + 1, False)]
)
def test_page_ends_when_we_say_within_what_stripe_allows(
    gateway: Stripe, double: Double, recorded: Any, minutes: int, is_said: bool
) -> None:
    double.answers[("POST", "checkout/sessions")] = asked.session(double)
    end = asked.CREATED + timedelta(minutes=minutes)
    with time_machine.travel(asked.CREATED, tick=False):
        gateway.open_checkout(asked.checkout(expires_at=end))
    said = recorded.calls[0].params.get("expires_at")
    assert said == (str(int(end.timestamp())) if is_said else None)


@pytest.mark.parametrize(
    ("tax", "told"),
    [
        (TaxBehavior.EXCLUSIVE, ("txcd_1", "exclusive")),
        (TaxBehavior.INCLUSIVE, ("txcd_1", "inclusive")),
        (None, (None, None)),
    ],
)
def test_line_says_what_is_sold_where_its_tax_is_reckoned(
    configuration: Configuration, double: Double, recorded: Any, tax: TaxBehavior | None, told: tuple[str | None, ...]
) -> None:
    double.answers[("POST", "checkout/sessions")] = asked.session(double)
    Stripe(replace(configuration, tax_code="txcd_1"), client=recorded).open_checkout(asked.checkout(tax=tax))
    line = recorded.calls[0].params["line_items"]["0"]["price_data"]
    assert (line["product_data"].get("tax_code"), line.get("tax_behavior")) == told


@pytest.mark.parametrize(
    ("amount", "wire"),
    [(Money(500, "XOF"), "500"), (Money(5, "UGX"), "500"), (Money(500, "MGA"), "5"), (Money(1_230, "KWD"), "1230")],
)
def test_amounts_are_written_as_stripe_counts_them(
    gateway: Stripe, double: Double, recorded: Any, amount: Money, wire: str
) -> None:
    double.answers[("POST", "payment_intents")] = asked.intent(double, amount=int(wire), currency=amount.unit.lower())
    result = gateway.open_checkout(asked.checkout(flow=Flow.CLIENT_SECRET, amount=amount))
    assert recorded.calls[0].params["amount"] == wire
    assert result.amount == amount


@pytest.mark.parametrize("amount", [Money(501, "MGA"), Money(1_234, "KWD"), Money(5, "CREDIT"), Money(1, "BOV")])
def test_what_stripe_cannot_write_is_refused_before_any_call(gateway: Stripe, recorded: Any, amount: Money) -> None:
    with pytest.raises(Declined):
        gateway.open_checkout(asked.checkout(amount=amount))
    assert recorded.calls == []


# ---------------------------------------------------------------- asking


@pytest.mark.parametrize(
    ("status", "payment_status", "state"),
    [
        ("open", "unpaid", PaymentState.REQUIRES_ACTION),
        ("expired", "unpaid", PaymentState.EXPIRED),
        ("complete", "paid", PaymentState.SUCCEEDED),
        ("complete", "no_payment_required", PaymentState.SUCCEEDED),
        ("complete", "unpaid", PaymentState.PENDING),
    ],
)
def test_how_a_page_stands(
    gateway: Stripe, double: Double, status: str, payment_status: str, state: PaymentState
) -> None:
    double.answers[("GET", "checkout/sessions/cs_1")] = asked.session(
        double, status=status, payment_status=payment_status
    )
    assert gateway.fetch_payment(asked.PAGE).state is state


@pytest.mark.parametrize(
    ("intent", "state"),
    [
        ({"status": "requires_capture"}, PaymentState.AUTHORIZED),
        ({"status": "processing"}, PaymentState.PENDING),
        ({"status": "canceled", "cancellation_reason": "expired"}, PaymentState.EXPIRED),
        ({"status": "requires_payment_method", "last_payment_error": {"code": "card_declined"}}, PaymentState.FAILED),
    ],
)
def test_a_page_that_is_done_and_unpaid_is_what_its_intent_is(
    gateway: Stripe, double: Double, intent: dict[str, Any], state: PaymentState
) -> None:
    double.answers[("GET", "checkout/sessions/cs_1")] = asked.session(
        double, status="complete", payment_intent=asked.intent(double, **intent)
    )
    assert gateway.fetch_payment(asked.PAGE).state is state


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"status": "requires_payment_method"}, PaymentState.REQUIRES_ACTION),
        (
            {"status": "requires_payment_method", "last_payment_error": {"code": "card_declined"}},
            PaymentState.REQUIRES_ACTION,
        ),
        (
            {
                "status": "requires_payment_method",
                "last_payment_error": {"code": "card_declined"},
                "metadata": {**asked.METADATA, "flow": "off_session"},
            },
            PaymentState.FAILED,
        ),
        (
            {
                "status": "requires_payment_method",
                "last_payment_error": {"code": "card_declined"},
                "metadata": {**asked.METADATA, "flow": "on_session"},
            },
            PaymentState.FAILED,
        ),
        ({"status": "requires_action"}, PaymentState.REQUIRES_ACTION),
        ({"status": "requires_confirmation"}, PaymentState.CREATED),
        ({"status": "processing"}, PaymentState.PENDING),
        ({"status": "requires_capture"}, PaymentState.AUTHORIZED),
        ({"status": "canceled", "cancellation_reason": "requested_by_customer"}, PaymentState.CANCELLED),
        (
            {
                "status": "canceled",
                "cancellation_reason": "failed_invoice",
                "last_payment_error": {"decline_code": "do_not_honor"},
            },
            PaymentState.FAILED,
        ),
    ],
)
def test_how_an_intent_stands(gateway: Stripe, double: Double, values: dict[str, Any], state: PaymentState) -> None:
    double.answers[("GET", "payment_intents/pi_1")] = asked.intent(double, **values)
    assert gateway.fetch_payment(asked.PAID).state is state


def test_a_word_that_we_do_not_know_is_no_outcome(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "payment_intents/pi_1")] = asked.intent(double, status="dreaming")
    with pytest.raises(Uncertain):
        gateway.fetch_payment(asked.PAID)


def test_an_attempt_whose_first_reply_was_lost_is_found_by_our_reference(
    gateway: Stripe, double: Double, recorded: Any
) -> None:
    other = asked.session(double, id="cs_0", client_reference_id="other", metadata={})
    double.answers |= {
        ("GET", "checkout/sessions"): double.page(other, asked.session(double)),
        ("GET", "checkout/sessions/cs_1"): asked.session(double),
    }
    assert gateway.fetch_payment(asked.LOST).ids == {"session": "cs_1"}
    since = int(asked.CREATED.timestamp()) - 300
    assert recorded.calls[0].params["created"] == {"gte": str(since), "lte": str(since + 86_400)}


def test_a_lost_intent_is_found_on_the_second_page(gateway: Stripe, double: Double) -> None:
    other = asked.intent(double, id="pi_0", metadata={})

    def pages(_: str, __: str, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("starting_after") == "pi_0":
            return double.page(asked.intent(double))
        return double.page(other, has_more=True)

    double.answers |= {
        ("GET", "checkout/sessions"): double.page(),
        ("GET", "payment_intents"): pages,
        ("GET", "payment_intents/pi_1"): asked.intent(double),
    }
    assert gateway.fetch_payment(asked.LOST).ids == {"payment_intent": "pi_1"}


def test_what_is_in_no_list_is_not_found(gateway: Stripe, double: Double) -> None:
    double.answers |= {("GET", "checkout/sessions"): double.page(), ("GET", "payment_intents"): double.page()}
    assert gateway.fetch_payment(asked.LOST).state is PaymentState.NOT_FOUND


def test_a_list_without_end_proves_nothing(gateway: Stripe, double: Double) -> None:
    other = asked.session(double, id="cs_0", client_reference_id="other", metadata={})
    double.answers[("GET", "checkout/sessions")] = double.page(other, has_more=True)
    with pytest.raises(Uncertain, match="too long"):
        gateway.fetch_payment(asked.LOST)


# ---------------------------------------------------------------- ending


def test_a_page_is_closed(gateway: Stripe, double: Double) -> None:
    double.answers |= {
        ("GET", "checkout/sessions/cs_1"): asked.session(double),
        ("POST", "checkout/sessions/cs_1/expire"): asked.session(double, status="expired", url=None),
    }
    result = gateway.cancel_checkout(asked.PAGE)
    assert (result.state, result.next_action) == (PaymentState.CANCELLED, None)


def test_a_buyer_who_paid_meanwhile_has_paid(gateway: Stripe, double: Double) -> None:
    pages = iter([asked.session(double), asked.session(double, status="complete", payment_status="paid")])
    double.answers |= {
        ("GET", "checkout/sessions/cs_1"): lambda *_: next(pages),
        ("POST", "checkout/sessions/cs_1/expire"): double.error(
            400, type="invalid_request_error", message="Only Checkout Sessions with a status of open can be expired."
        ),
    }
    assert gateway.cancel_checkout(asked.PAGE).state is PaymentState.SUCCEEDED


def test_page_without_an_amount_that_refuses_its_end_is_no_answer(gateway: Stripe, double: Double) -> None:
    double.answers |= {
        ("GET", "checkout/sessions/cs_1"): asked.session(double, amount_total=None),
        ("POST", "checkout/sessions/cs_1/expire"): double.error(400, type="invalid_request_error", message="No."),
    }
    with pytest.raises(Uncertain, match="no amount"):
        gateway.cancel_checkout(asked.PAGE)


def test_what_is_over_is_not_cancelled(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("GET", "payment_intents/pi_1")] = asked.paid_intent(double)
    assert gateway.cancel_checkout(asked.PAID).state is PaymentState.SUCCEEDED
    assert [call.method for call in recorded.calls] == ["GET"]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (
            402,
            {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"},
            (Declined, FailureCategory.INSUFFICIENT_FUNDS, "insufficient_funds"),
        ),
        (
            402,
            {"type": "card_error", "code": "authentication_required", "decline_code": "authentication_required"},
            (Declined, FailureCategory.AUTHENTICATION_REQUIRED, "authentication_required"),
        ),
        (
            402,
            {"type": "card_error", "code": "card_declined", "decline_code": "stolen_card"},
            (Declined, FailureCategory.RISK, "stolen_card"),
        ),
        (
            402,
            {"type": "card_error", "code": "card_declined"},
            (Declined, FailureCategory.PAYER_DECLINED, "card_declined"),
        ),
        (
            400,
            {"type": "invalid_request_error", "code": "amount_too_small"},
            (Declined, FailureCategory.LIMIT, "amount_too_small"),
        ),
        (
            400,
            {"type": "invalid_request_error", "code": "parameter_invalid"},
            (Declined, FailureCategory.INVALID_REQUEST, "parameter_invalid"),
        ),
        (400, {"type": "idempotency_error"}, (Uncertain, FailureCategory.DUPLICATE, "400")),
        (401, {"type": "invalid_request_error"}, (Unavailable, FailureCategory.CONFIGURATION, "401")),
        (403, {"type": "invalid_request_error"}, (Unavailable, FailureCategory.CONFIGURATION, "403")),
        (409, {"type": "idempotency_error"}, (Uncertain, FailureCategory.DUPLICATE, "409")),
        (
            429,
            {"type": "invalid_request_error", "code": "rate_limit"},
            (Unavailable, FailureCategory.PROVIDER_DOWN, "429"),
        ),
        (500, {"type": "api_error"}, (Uncertain, FailureCategory.PROVIDER_DOWN, "500")),
    ],
)
def test_every_refusal_is_one_of_three(
    double: Double, gateway: Stripe, status: int, error: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    double.answers[("POST", "payment_intents")] = double.error(status, message="No.", **error)
    with pytest.raises(GatewayError) as caught:
        gateway.charge(asked.charge())
    assert (type(caught.value), caught.value.category, caught.value.code) == expected
    assert (caught.value.gateway, caught.value.trace) == ("stripe", "req_stub")


def test_a_fault_in_answer_to_a_question_moved_nothing(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "payment_intents/pi_1")] = double.error(500, type="api_error", message="Oops")
    with pytest.raises(Unavailable):
        gateway.fetch_payment(asked.PAID)


@pytest.mark.parametrize(
    "reply",
    [
        [],
        {},
        "text",
        7,
        {"object": "charge", "id": "ch_1"},
        {"object": "payment_intent", "id": None},
        {"object": "payment_intent", "id": "", "amount": 1_999, "currency": "eur", "status": "processing"},
    ],
)
def test_a_reply_that_is_something_else_is_no_success(gateway: Stripe, double: Double, reply: Any) -> None:
    double.answers[("POST", "payment_intents")] = lambda *_: reply
    with pytest.raises(Uncertain):
        gateway.charge(asked.charge())


def test_an_amount_that_cannot_be_read_is_no_success(gateway: Stripe, double: Double) -> None:
    double.answers[("POST", "payment_intents")] = asked.paid_intent(double, amount_received="1999")
    with pytest.raises(Uncertain):
        gateway.charge(asked.charge())
