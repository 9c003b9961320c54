"""What Stripe says of subscriptions, invoices, saved cards and disputes, in our words."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from billing.gateways.base import Buyer, Flow, NextAction, SavedMethod
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.gateways.stripe import Stripe
from billing.gateways.subjects import Subject
from billing.gateways.subscribing import (
    ChangePreview,
    ChangeRequest,
    DisputeState,
    InvoiceState,
    PortalRequest,
    Proration,
    SetupState,
    SubscriptionRef,
    SubscriptionRequest,
    SubscriptionState,
)
from billing.gateways.tax_figures import TaxFigures, TaxReason
from billing.tests.stripe import requests as asked
from billing.tests.stripe.conftest import Double
from ledger.money import Money

MISSING = {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing"}
RUNNING = SubscriptionRef(reference=asked.REFERENCE, id="sub_1")
PLAN = SubscriptionRequest(reference=asked.REFERENCE, buyer=asked.CUSTOMER, price="price_1")
CHANGE = ChangeRequest(reference="c" * 32, subscription="sub_1", item="si_1", price="price_2", customer="cus_1")


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# ---------------------------------------------------------------- subscriptions


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("incomplete", SubscriptionState.INCOMPLETE),
        ("incomplete_expired", SubscriptionState.EXPIRED),
        ("trialing", SubscriptionState.TRIALING),
        ("active", SubscriptionState.ACTIVE),
        ("past_due", SubscriptionState.PAST_DUE),
        ("unpaid", SubscriptionState.UNPAID),
        ("paused", SubscriptionState.PAUSED),
        ("canceled", SubscriptionState.CANCELLED),
    ],
)
def test_how_a_subscription_stands(gateway: Stripe, double: Double, status: str, state: SubscriptionState) -> None:
    double.answers[("GET", "subscriptions/sub_1")] = asked.subscription(double, status=status)
    assert gateway.fetch_subscription(RUNNING).state is state


def test_what_is_read_of_a_subscription(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "subscriptions/sub_1")] = asked.subscription(double)
    found = gateway.fetch_subscription(RUNNING)
    assert (found.id, found.item, found.price, found.customer) == ("sub_1", "si_1", "price_1", "cus_1")
    assert found.latest_invoice == "in_1"
    assert (found.period_start, found.period_end) == (at(1_764_000_000), at(1_766_592_000))
    assert (found.cancel_at_period_end, found.next_action) == (False, None)


@pytest.mark.parametrize(
    "values", [{"cancel_at_period_end": True}, {"cancel_at": 1_766_592_000, "cancel_at_period_end": False}]
)
def test_an_end_that_is_announced_is_read_from_the_flag_and_from_the_date(
    gateway: Stripe, double: Double, values: dict[str, Any]
) -> None:
    double.answers[("GET", "subscriptions/sub_1")] = asked.subscription(double, **values)
    assert gateway.fetch_subscription(RUNNING).cancel_at_period_end


def test_an_end_after_the_period_is_not_that_of_the_period(gateway: Stripe, double: Double) -> None:
    """A custom day in Stripe's dashboard; until its last period the plan is charged as ever."""
    double.answers[("GET", "subscriptions/sub_1")] = asked.subscription(double, cancel_at=1_766_592_001)
    assert not gateway.fetch_subscription(RUNNING).cancel_at_period_end


def test_an_end_that_is_a_date_is_taken_back_by_the_date(gateway: Stripe, double: Double, recorded: Any) -> None:
    """Stripe takes the flag or the date in one call, and the flag leaves a date of its own as it is."""

    def update(_: str, __: str, params: dict[str, Any]) -> dict[str, Any]:
        stays = {} if "cancel_at" in params else {"cancel_at": 1_766_592_000}
        return asked.subscription(double, cancel_at_period_end=False, **stays)

    double.answers[("POST", "subscriptions/sub_1")] = update
    assert not gateway.keep_subscription(subscription="sub_1", reference="x").cancel_at_period_end
    assert [call.params for call in recorded.calls] == [{"cancel_at_period_end": "false"}, {"cancel_at": ""}]


def test_a_first_payment_that_needs_its_owner_leads_to_the_invoices_page(gateway: Stripe, double: Double) -> None:
    invoice = asked.invoice(double, status="open", hosted_invoice_url="https://invoice.example/1")
    double.answers[("GET", "subscriptions/sub_1")] = asked.subscription(
        double, status="incomplete", latest_invoice=invoice
    )
    found = gateway.fetch_subscription(RUNNING)
    assert found.next_action == NextAction(type=Flow.REDIRECT, url="https://invoice.example/1")
    assert found.latest_invoice == "in_1"


def test_a_page_begins_a_subscription(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("POST", "checkout/sessions")] = asked.session(double, mode="subscription")
    found = gateway.open_subscription(replace(PLAN, coupon="WELCOME"))
    assert (found.state, found.session) == (SubscriptionState.INCOMPLETE, "cs_1")
    sent = recorded.calls[0].params
    assert (sent["client_reference_id"], sent["subscription_data"]) == (asked.REFERENCE, {"metadata": asked.METADATA})
    assert sent["discounts"] == {"0": {"coupon": "WELCOME"}}


def test_a_page_that_was_finished_leads_to_its_subscription(gateway: Stripe, double: Double) -> None:
    double.answers |= {
        ("GET", "checkout/sessions/cs_1"): asked.session(
            double, mode="subscription", status="complete", subscription="sub_1"
        ),
        ("GET", "subscriptions/sub_1"): asked.subscription(double),
    }
    found = gateway.fetch_subscription(SubscriptionRef(reference=asked.REFERENCE, session="cs_1"))
    assert (found.id, found.state) == ("sub_1", SubscriptionState.ACTIVE)


def test_page_that_was_finished_while_we_closed_it_has_begun_its_subscription(gateway: Stripe, double: Double) -> None:
    opened = asked.session(double, mode="subscription", subscription=None)
    pages = iter([opened, {**opened, "status": "complete", "subscription": "sub_1"}])
    double.answers |= {
        ("GET", "checkout/sessions/cs_1"): lambda *_: next(pages),
        ("POST", "checkout/sessions/cs_1/expire"): double.error(400, type="invalid_request_error", message="No."),
        ("GET", "subscriptions/sub_1"): asked.subscription(double),
    }
    found = gateway.close_page(SubscriptionRef(reference=asked.REFERENCE, session="cs_1"))
    assert (found.id, found.state) == ("sub_1", SubscriptionState.ACTIVE)


@pytest.mark.parametrize(
    ("buyer", "said"),
    [
        (asked.CUSTOMER, {"customer": "cus_1"}),
        (asked.BUYER, {"customer_email": "awa@example.org"}),
        (Buyer(id="u-1"), {}),
    ],
)
def test_page_of_a_plan_knows_its_subscriber_as_well_as_we_do(
    gateway: Stripe, double: Double, recorded: Any, buyer: Buyer, said: dict[str, str]
) -> None:
    double.answers[("POST", "checkout/sessions")] = asked.session(double, mode="subscription")
    gateway.open_subscription(replace(PLAN, buyer=buyer))
    sent = recorded.calls[0].params
    assert {name: sent[name] for name in ("customer", "customer_email") if name in sent} == said


def test_customer_of_whom_we_know_nothing_is_told_by_our_id_alone(
    gateway: Stripe, double: Double, recorded: Any
) -> None:
    double.answers[("POST", "customers")] = double.make("customer", id="cus_1")
    assert gateway.create_customer(buyer=Buyer(id="u-1", locale="sw"), reference="u") == "cus_1"
    assert recorded.calls[0].params == {"metadata": {"user": "u-1", "reference": "u"}}


def test_a_subscription_whose_reply_was_lost_is_found_by_our_reference(gateway: Stripe, double: Double) -> None:
    double.answers |= {
        ("GET", "checkout/sessions"): double.page(),
        ("GET", "subscriptions"): double.page(asked.subscription(double)),
    }
    found = gateway.fetch_subscription(SubscriptionRef(reference=asked.REFERENCE, created_at=asked.CREATED))
    assert found.id == "sub_1"


def test_a_subscription_without_items_cannot_be_read(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "subscriptions/sub_1")] = asked.subscription(double, items=double.page())
    with pytest.raises(Uncertain):
        gateway.fetch_subscription(RUNNING)


def test_a_change_costs_what_its_preview_said(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers |= {
        ("POST", "invoices/create_preview"): asked.invoice(
            double,
            status="draft",
            amount_due=1_350,
            total_discount_amounts=[{"amount": 100, "discount": "di_1"}, {"amount": 50, "discount": "di_2"}],
        ),
        ("POST", "subscriptions/sub_1"): asked.subscription(double),
    }
    wanted = replace(CHANGE, prorated_at=at(1_765_000_000))
    assert gateway.preview_change(wanted) == ChangePreview(due=Money(1_350, "EUR"), discount=Money(150, "EUR"))
    assert recorded.calls[-1].params["subscription_details"]["proration_date"] == "1765000000"
    gateway.change_subscription(wanted)
    sent = recorded.calls[-1].params
    assert sent["items"] == {"0": {"id": "si_1", "price": "price_2"}}
    assert (sent["proration_behavior"], sent["proration_date"]) == ("always_invoice", "1765000000")
    assert sent["payment_behavior"] == "pending_if_incomplete"


def test_change_without_a_date_costs_what_it_does_when_it_is_made(
    gateway: Stripe, double: Double, recorded: Any
) -> None:
    double.answers |= {
        ("POST", "invoices/create_preview"): asked.invoice(double, status="draft", amount_due=1_350),
        ("POST", "subscriptions/sub_1"): asked.subscription(double),
    }
    assert gateway.preview_change(CHANGE) == ChangePreview(due=Money(1_350, "EUR"), discount=Money(0, "EUR"))
    gateway.change_subscription(CHANGE)
    previewed, changed = (call.params for call in recorded.calls)
    assert "proration_date" not in previewed["subscription_details"] | changed
    assert (previewed["subscription_details"]["proration_behavior"], changed["proration_behavior"]) == (
        "always_invoice",
        "always_invoice",
    )


def test_a_change_from_the_next_period_waits_for_no_payment(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("POST", "subscriptions/sub_1")] = asked.subscription(double)
    gateway.change_subscription(replace(CHANGE, proration=Proration.NONE))
    assert recorded.calls[0].params["proration_behavior"] == "none"
    assert "payment_behavior" not in recorded.calls[0].params


def test_a_subscription_that_is_over_is_cancelled(gateway: Stripe, double: Double) -> None:
    double.answers |= {
        ("DELETE", "subscriptions/sub_1"): double.error(404, **MISSING),
        ("GET", "subscriptions/sub_1"): asked.subscription(double, status="canceled"),
    }
    found = gateway.end_subscription(subscription="sub_1", reference="x")
    assert found.state is SubscriptionState.CANCELLED


def test_a_subscription_that_stripe_does_not_know_has_nothing_to_cancel(gateway: Stripe, double: Double) -> None:
    double.answers |= {(method, "subscriptions/sub_1"): double.error(404, **MISSING) for method in ("DELETE", "GET")}
    found = gateway.end_subscription(subscription="sub_1", reference="x")
    assert found.state is SubscriptionState.NOT_FOUND


def test_subscription_that_runs_on_although_its_end_was_refused_has_not_ended(gateway: Stripe, double: Double) -> None:
    double.answers |= {
        ("DELETE", "subscriptions/sub_1"): double.error(400, type="invalid_request_error", code="no", message="No."),
        ("GET", "subscriptions/sub_1"): asked.subscription(double),
    }
    with pytest.raises(Declined) as refused:
        gateway.end_subscription(subscription="sub_1", reference="x")
    assert refused.value.code == "no"


def test_a_subscription_of_the_other_mode_is_not_missing(gateway: Stripe, double: Double) -> None:
    said = "No such subscription: 'sub_1'; a similar object exists in live mode, but a test mode key was used"
    double.answers[("GET", "subscriptions/sub_1")] = double.error(404, **{**MISSING, "message": said})
    with pytest.raises(Unavailable) as refused:
        gateway.fetch_subscription(RUNNING)
    assert refused.value.category is FailureCategory.CONFIGURATION


@pytest.mark.parametrize(
    ("status", "path"), [("active", "subscriptions/sub_1"), ("paused", "subscriptions/sub_1/resume")]
)
def test_a_pause_of_ours_and_one_of_stripes_end_differently(
    gateway: Stripe, double: Double, recorded: Any, status: str, path: str
) -> None:
    double.answers |= {
        ("GET", "subscriptions/sub_1"): asked.subscription(double, status=status),
        ("POST", path): asked.subscription(double),
    }
    assert gateway.resume_subscription(subscription="sub_1", reference="x").is_paused is False
    assert recorded.calls[-1].path == f"/v1/{path}"


def test_the_portal_has_an_address(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("POST", "billing_portal/sessions")] = double.make(
        "billing_portal.session", url="https://billing.example/p"
    )
    wanted = PortalRequest(customer="cus_1", return_url="https://shop.example", locale="fr")
    assert gateway.open_portal(wanted) == "https://billing.example/p"
    assert recorded.calls[0].params == {"customer": "cus_1", "return_url": "https://shop.example", "locale": "fr"}


def test_portal_in_a_language_of_none_of_ours_is_in_that_of_its_visitor(
    gateway: Stripe, double: Double, recorded: Any
) -> None:
    double.answers[("POST", "billing_portal/sessions")] = double.make("billing_portal.session", url="https://b.example")
    gateway.open_portal(PortalRequest(customer="cus_1", return_url="https://shop.example", locale="sw"))
    assert recorded.calls[0].params == {"customer": "cus_1", "return_url": "https://shop.example"}


@pytest.mark.parametrize("url", ["", None, 7])
def test_portal_without_an_address_leads_nowhere(gateway: Stripe, double: Double, url: object) -> None:
    double.answers[("POST", "billing_portal/sessions")] = double.make("billing_portal.session", url=url)
    with pytest.raises(Uncertain, match="no address"):
        gateway.open_portal(PortalRequest(customer="cus_1", return_url="https://shop.example"))


# ---------------------------------------------------------------- invoices


def test_what_is_read_of_an_invoice(gateway: Stripe, double: Double) -> None:
    line = double.make("line_item", amount=900, currency="eur", period={"start": 1_764_000_000, "end": 1_766_592_000})
    payment = double.make("invoice_payment", id="inpay_1", payment={"type": "payment_intent", "payment_intent": "pi_1"})
    double.answers[("GET", "invoices/in_1")] = asked.invoice(
        double,
        lines=double.page(line),
        payments=double.page(payment),
        total_taxes=[{"amount": 150, "tax_behavior": "inclusive", "taxable_amount": 750, "type": "tax_rate_details"}],
    )
    found = gateway.fetch_invoice(invoice="in_1")
    assert (found.state, found.subscription) == (InvoiceState.PAID, "sub_1")
    assert (found.reference, found.payment_intent) == (asked.REFERENCE, "pi_1")
    assert (found.total, found.paid) == (Money(900, "EUR"), Money(900, "EUR"))
    assert found.tax == TaxFigures(tax=Money(150, "EUR"), reason=TaxReason.TAXED)
    assert (found.period_start, found.period_end) == (at(1_764_000_000), at(1_766_592_000))


# ---------------------------------------------------------------- saved cards


def test_a_saved_card_is_what_its_owner_recognises(gateway: Stripe, double: Double) -> None:
    card = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2031}
    method = double.make("payment_method", id="pm_1", type="card", card=card)
    setup = double.make("setup_intent", id="seti_1", status="succeeded", payment_method=method, customer="cus_1")
    double.answers[("GET", "checkout/sessions/cs_1")] = asked.session(
        double, mode="setup", status="complete", setup_intent=setup, amount_total=None, currency=None
    )
    found = gateway.fetch_setup(ids={"session": "cs_1"})
    assert (found.state, found.gateway_customer) == (SetupState.SUCCEEDED, "cus_1")
    assert found.method == SavedMethod(id="pm_1", kind="card", brand="visa", last4="4242", expires="12/2031")


def test_a_card_that_was_refused_is_not_kept(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "setup_intents/seti_1")] = double.make(
        "setup_intent",
        id="seti_1",
        status="requires_payment_method",
        payment_method="pm_1",
        last_setup_error={"code": "card_declined", "decline_code": "stolen_card", "type": "card_error"},
    )
    found = gateway.fetch_setup(ids={"setup_intent": "seti_1"})
    assert (found.state, found.method) == (SetupState.REQUIRES_ACTION, None)
    assert found.failure is not None
    assert found.failure.category is FailureCategory.RISK


def test_card_that_hangs_on_nobody_any_more_is_forgotten(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("POST", "payment_methods/pm_1/detach")] = double.error(
        400, type="invalid_request_error", message="The payment method you provided is not attached to a customer."
    )
    gateway.forget_method(method="pm_1")
    [call] = recorded.calls
    assert (call.path, call.idempotency_key) == ("/v1/payment_methods/pm_1/detach", "pm_1:forget")


def test_card_of_which_nobody_heard_that_it_is_forgotten_is_not(gateway: Stripe, double: Double) -> None:
    double.answers[("POST", "payment_methods/pm_1/detach")] = double.error(500, type="api_error", message="Oops")
    with pytest.raises(Uncertain):
        gateway.forget_method(method="pm_1")


# ---------------------------------------------------------------- disputes, events


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("needs_response", DisputeState.NEEDS_RESPONSE),
        ("under_review", DisputeState.UNDER_REVIEW),
        ("warning_needs_response", DisputeState.WARNING),
        ("warning_closed", DisputeState.WARNING_CLOSED),
        ("won", DisputeState.WON),
        ("lost", DisputeState.LOST),
        ("prevented", DisputeState.PREVENTED),
    ],
)
def test_how_a_dispute_stands(gateway: Stripe, double: Double, status: str, state: DisputeState) -> None:
    double.answers[("GET", "disputes/dp_1")] = double.make(
        "dispute",
        id="dp_1",
        status=status,
        amount=1_999,
        currency="eur",
        charge="ch_1",
        payment_intent="pi_1",
        reason="fraudulent",
        evidence_details={"due_by": 1_766_592_000, "submission_count": 1, "has_evidence": True, "past_due": False},
    )
    found = gateway.fetch_dispute(dispute="dp_1")
    assert (found.state, found.amount, found.due_by) == (state, Money(1_999, "EUR"), at(1_766_592_000))
    assert (found.charge, found.payment_intent) == ("ch_1", "pi_1")


def test_letters_that_never_came_are_listed_page_by_page(gateway: Stripe, double: Double, recorded: Any) -> None:
    def event(number: int) -> dict[str, Any]:
        found = asked.intent(double)
        return double.make("event", id=f"evt_{number}", type="payment_intent.succeeded", data={"object": found})

    def pages(_: str, __: str, params: dict[str, Any]) -> dict[str, Any]:
        return double.page(event(2)) if params.get("starting_after") else double.page(event(1), has_more=True)

    double.answers[("GET", "events")] = pages
    hints = gateway.undelivered(since=asked.CREATED)
    assert [(hint.event_id, hint.subject) for hint in hints] == [("evt_1", Subject.PAYMENT), ("evt_2", Subject.PAYMENT)]
    assert recorded.calls[0].params["delivery_success"] == "false"
