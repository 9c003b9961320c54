"""Which letters we believe, and what we read in them."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from billing.gateways.base import Hint, Letter, Trust
from billing.gateways.errors import InvalidLetter
from billing.gateways.stripe import Configuration, Stripe
from billing.gateways.stripe.letters import verify
from billing.gateways.subjects import Subject
from billing.tests.stripe.conftest import OTHER_SECRET, SECRET
from ledger.money import Money

# Stripe's own test vector, of its documentation.
BODY = b'{"id":"evt_1","object":"event","type":"payment_intent.succeeded"}'
SIGNATURE = "67da5088c63e080c71bd2bb0cb5c03d85a8fc6a21ce3aaf484df809654745b92"
AT = 1_700_000_000


@pytest.fixture
def gateway(configuration: Configuration) -> Stripe:
    return Stripe(configuration)


def event(**values: Any) -> dict[str, Any]:
    usual = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "created": AT,
        "data": {
            "object": {
                "id": "pi_1",
                "object": "payment_intent",
                "amount": 1_999,
                "currency": "eur",
                "metadata": {"reference": "r1"},
                "latest_charge": "ch_1",
                "customer": "cus_1",
            }
        },
    }
    return usual | values


def letter(said: object, *, secret: str = SECRET, age_seconds: int = 0) -> Letter:
    body = said if isinstance(said, str) else json.dumps(said)
    header = stripe.WebhookSignature.generate_signature_header(body, secret, int(time.time()) - age_seconds)
    return Letter(method="POST", headers={"stripe-signature": header}, body=body.encode())


# ---------------------------------------------------------------- signatures


def test_the_published_vector_is_believed() -> None:
    verify(BODY, f"t={AT},v1={SIGNATURE}", secrets=["whsec_test_secret"], tolerance_seconds=300, now=AT)


@pytest.mark.parametrize("drift", [-300, 300])
def test_a_letter_at_the_edge_of_the_tolerance_is_believed(drift: int) -> None:
    header = f"t={AT},v1={SIGNATURE}"
    verify(BODY, header, secrets=["whsec_test_secret"], tolerance_seconds=300, now=AT + drift)


@pytest.mark.parametrize(
    ("header", "now", "reason"),
    [
        ("", AT, "not signed"),
        (f"v1={SIGNATURE}", AT, "not signed"),
        (f"t={AT}", AT, "not signed"),
        (f"t=soon,v1={SIGNATURE}", AT, "not signed"),
        (f"t={AT},t={AT},v1={SIGNATURE}", AT, "not signed"),
        (f"t={'9' * 30},v1={SIGNATURE}", AT, "not signed"),
        (f"t={AT},v0={SIGNATURE}", AT, "not signed"),
        (f"t={AT},v1={SIGNATURE[:-1]}3", AT, "wrong signature"),
        (f"t={AT},v1=é", AT, "wrong signature"),
        (f"t={AT + 1},v1={SIGNATURE}", AT, "wrong signature"),
        (f"t={AT},v1={SIGNATURE}", AT + 301, "too far"),
        (f"t={AT},v1={SIGNATURE}", AT - 301, "too far"),
    ],
)
def test_other_letters_are_refused(header: str, now: int, reason: str) -> None:
    with pytest.raises(InvalidLetter, match=reason):
        verify(BODY, header, secrets=["whsec_test_secret"], tolerance_seconds=300, now=now)


def test_without_a_secret_nothing_is_believed() -> None:
    with pytest.raises(InvalidLetter, match="wrong signature"):
        verify(BODY, f"t={AT},v1={SIGNATURE}", secrets=[], tolerance_seconds=300, now=AT)


def test_one_of_two_signatures_is_enough_while_a_secret_is_rotated() -> None:
    header = f"t={AT},v1={'0' * 64},v1={SIGNATURE}"
    verify(BODY, header, secrets=["whsec_new", "whsec_test_secret"], tolerance_seconds=300, now=AT)


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_each_of_our_secrets_is_tried(gateway: Stripe, secret: str) -> None:
    assert [hint.event_id for hint in gateway.read_letter(letter(event(), secret=secret))] == ["evt_1"]


def test_a_changed_byte_is_noticed(gateway: Stripe) -> None:
    sent = letter(event())
    forged = Letter(method="POST", headers=sent.headers, body=sent.body.replace(b"1999", b"9991"))
    with pytest.raises(InvalidLetter, match="wrong signature"):
        gateway.read_letter(forged)


def test_an_old_letter_is_refused(gateway: Stripe) -> None:
    with pytest.raises(InvalidLetter, match="too far"):
        gateway.read_letter(letter(event(), age_seconds=310))


def test_a_letter_of_the_live_mode_is_refused_in_test_mode(gateway: Stripe) -> None:
    with pytest.raises(InvalidLetter, match="other mode"):
        gateway.read_letter(letter(event(livemode=True)))


@pytest.mark.parametrize("said", ["", "[]", "{", '"text"', "[" * 100_000])
def test_a_signed_letter_that_is_no_event_is_refused(gateway: Stripe, said: str) -> None:
    with pytest.raises(InvalidLetter):
        gateway.read_letter(letter(said))


@pytest.mark.parametrize("changes", [{"id": None}, {"id": ""}, {"type": 7}])
def test_an_event_without_name_or_kind_is_refused(gateway: Stripe, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidLetter, match="no event"):
        gateway.read_letter(letter(event(**changes)))


def test_a_thin_event_says_nothing(gateway: Stripe) -> None:
    assert gateway.read_letter(letter({"object": "v2.core.event", "id": "evt_2"})) == ()


# ---------------------------------------------------------------- what they say


def test_a_hint_says_where_to_look(gateway: Stripe) -> None:
    said = event()
    assert gateway.read_letter(letter(said)) == (
        Hint(
            event_id="evt_1",
            kind="payment_intent.succeeded",
            subject=Subject.PAYMENT,
            trust=Trust.SIGNED,
            reference="r1",
            ids={"payment_intent": "pi_1", "customer": "cus_1"},
            amount=Money(1_999, "EUR"),
            occurred_at=datetime.fromtimestamp(AT, UTC),
            object=said["data"]["object"],
        ),
    )


@pytest.mark.parametrize(
    ("kind", "found", "subject"),
    [
        ("checkout.session.completed", {"object": "checkout.session", "mode": "payment"}, Subject.PAYMENT),
        ("checkout.session.completed", {"object": "checkout.session", "mode": "subscription"}, Subject.SUBSCRIPTION),
        ("checkout.session.completed", {"object": "checkout.session", "mode": "setup"}, Subject.SETUP),
        ("charge.refunded", {"object": "charge"}, Subject.MONEY_BACK),
        ("customer.subscription.trial_will_end", {"object": "subscription"}, Subject.TRIAL_END),
        ("charge.dispute.created", {"object": "dispute"}, Subject.DISPUTE),
        ("refund.failed", {"object": "refund"}, Subject.REFUND),
        ("payout.paid", {"object": "payout"}, Subject.PAYOUT),
        ("transfer.reversed", {"object": "transfer"}, Subject.PAYOUT),
        ("customer.subscription.deleted", {"object": "subscription"}, Subject.SUBSCRIPTION),
        ("invoice.paid", {"object": "invoice"}, Subject.INVOICE),
        ("payment_method.attached", {"object": "payment_method"}, Subject.METHOD),
        ("payment_method.updated", {"object": "payment_method"}, Subject.OTHER),
        ("customer.created", {"object": "customer"}, Subject.OTHER),
    ],
)
def test_what_a_letter_is_about(gateway: Stripe, kind: str, found: dict[str, Any], subject: Subject) -> None:
    said = event(type=kind, data={"object": {"id": "x_1", **found}})
    (hint,) = gateway.read_letter(letter(said))
    assert hint.subject is subject


def test_an_invoice_carries_the_reference_of_its_subscription(gateway: Stripe) -> None:
    details = {"subscription": "sub_1", "metadata": {"reference": "s1"}}
    found = {
        "id": "in_1",
        "object": "invoice",
        "amount_paid": 900,
        "currency": "eur",
        "metadata": {},
        "parent": {"type": "subscription_details", "subscription_details": details},
    }
    (hint,) = gateway.read_letter(letter(event(type="invoice.paid", data={"object": found})))
    assert (hint.reference, hint.amount) == ("s1", Money(900, "EUR"))
    assert hint.ids == {"invoice": "in_1", "subscription": "sub_1"}


def test_an_amount_that_cannot_be_read_leaves_the_hint_without_one(gateway: Stripe) -> None:
    found = {"id": "pi_1", "object": "payment_intent", "amount": "many", "currency": "eur"}
    (hint,) = gateway.read_letter(letter(event(data={"object": found})))
    assert hint.amount is None
