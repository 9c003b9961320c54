"""PaymentIntents, SetupIntents, refunds and disputes, by the real SDK."""

from typing import Any

import pytest
import stripe

from sandbox.testing import Refused, Sandbox
from sandbox.tests.stripe.conftest import Checked, Mailbox


def pay(client: Any, amount: int = 5_000, **more: Any) -> Any:
    wanted = {"amount": amount, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True, **more}
    return client.v1.payment_intents.create(wanted)


def secret(intent: Any) -> dict[str, str]:
    return {"type": "client_secret", "client_secret": intent.client_secret}


def test_a_confirmed_payment_is_charged_and_leaves_a_balance_line_with_its_fee(client):
    intent = pay(client, metadata={"payment_id": "p1"}, expand=["latest_charge.balance_transaction"])

    assert (intent.status, intent.amount_received) == ("succeeded", 5_000)
    assert intent.latest_charge.status == "succeeded"
    line = intent.latest_charge.balance_transaction
    assert (line.amount, line.fee, line.net) == (5_000, 175, 4_825)  # 2.9 % and 30 cents


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_radarBlock", "card_declined", "fraudulent"),
    ],
)
def test_a_declining_card_is_a_402_with_its_codes_and_takes_nothing(client, sandbox, card, code, decline_code):
    with pytest.raises(stripe.CardError) as refused:
        pay(client, payment_method=card)

    error: Any = refused.value.error
    assert (refused.value.http_status, error.code, error.decline_code) == (402, code, decline_code)
    intent = client.v1.payment_intents.retrieve(error.payment_intent.id)
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", code)
    assert client.v1.balance_transactions.list().data == []
    assert [line["state"] for line in sandbox.books("stripe")["payments"]] == ["declined"]


def test_another_card_can_be_tried_on_the_same_intent(client):
    with pytest.raises(stripe.CardError) as refused:
        pay(client, payment_method="pm_card_visa_chargeDeclined")

    error: Any = refused.value.error
    intent = client.v1.payment_intents.confirm(error.payment_intent.id, {"payment_method": "pm_card_visa"})

    assert (intent.status, intent.last_payment_error) == ("succeeded", None)


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        (49, "eur", "amount_too_small"),
        (327, "xof", "amount_too_small"),
        (123_456_789, "eur", "amount_too_large"),
        (50_050, "ugx", None),  # the last two digits of UGX are zeros
        (12_345, "kwd", None),
    ],
)
def test_an_amount_that_stripe_cannot_take_is_refused_and_makes_nothing(client, amount, currency, code):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.create({"amount": amount, "currency": currency})

    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, "amount")
    assert client.v1.payment_intents.list().data == []


def test_a_challenge_waits_for_the_buyer_and_is_passed(client, sandbox):
    intent = pay(client, payment_method="pm_card_threeDSecure2Required", return_url="http://127.0.0.1/back")
    assert intent.status == "requires_action"
    assert intent.next_action.type == "redirect_to_url"

    played = sandbox.play({"type": "redirect", "url": intent.next_action.redirect_to_url.url})

    assert played["state"] == "paid"
    assert played["redirect_to"].startswith(f"http://127.0.0.1/back?payment_intent={intent.id}&")
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_a_failed_challenge_lets_another_card_be_tried(client, sandbox):
    intent = pay(client, payment_method="pm_card_threeDSecure2Required")

    assert sandbox.play(secret(intent), "decline")["state"] == "declined"

    failed = client.v1.payment_intents.retrieve(intent.id)
    assert failed.status == "requires_payment_method"
    assert failed.last_payment_error.code == "payment_intent_authentication_failure"


def test_off_session_a_card_that_wants_its_owner_is_declined_until_it_was_set_up(client, sandbox, customer):
    method = "pm_card_authenticationRequiredOnSetup"
    setup = client.v1.setup_intents.create({"customer": customer.id, "payment_method": method, "confirm": True})
    assert setup.status == "requires_action"
    away = {"amount": 700, "currency": "eur", "customer": customer.id, "confirm": True, "off_session": True}
    with pytest.raises(stripe.CardError) as refused:
        client.v1.payment_intents.create({**away, "payment_method": method})
    assert refused.value.code == "authentication_required"

    sandbox.play(secret(setup))
    kept = client.v1.setup_intents.retrieve(setup.id)
    intent = client.v1.payment_intents.create({**away, "payment_method": kept.payment_method})

    assert (kept.status, intent.status) == ("succeeded", "succeeded")


def test_a_card_is_kept_for_later_and_let_go_again(client, customer):
    kept = client.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer.id})
    assert [one.id for one in client.v1.customers.payment_methods.list(customer.id).data] == [kept.id]

    client.v1.payment_methods.detach(kept.id)

    assert client.v1.customers.payment_methods.list(customer.id).data == []


def test_a_declining_card_cannot_be_kept(client, customer):
    with pytest.raises(stripe.CardError):
        client.v1.payment_methods.attach("pm_card_visa_chargeDeclined", {"customer": customer.id})

    assert client.v1.customers.payment_methods.list(customer.id).data == []


def test_an_authorised_payment_is_captured_in_part(client):
    intent = pay(client, capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 5_000)

    captured = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 3_000})

    assert (captured.status, captured.amount_received, captured.amount_capturable) == ("succeeded", 3_000, 0)


def test_an_authorised_payment_is_let_go(client):
    intent = pay(client, capture_method="manual")

    cancelled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})

    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    assert client.v1.balance_transactions.list().data == []


def test_what_is_paid_cannot_be_cancelled(client):
    intent = pay(client)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.cancel(intent.id)

    assert refused.value.code == "payment_intent_unexpected_state"
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_payments_are_found_by_their_metadata(client):
    wanted = pay(client, metadata={"payment_id": "p1"})
    pay(client, metadata={"payment_id": "p2"})

    found = client.v1.payment_intents.search({"query": "metadata['payment_id']:'p1'"})

    assert [one.id for one in found.data] == [wanted.id]


def test_lists_go_by_cursor(client):
    made = [client.v1.payment_intents.create({"amount": 100 + place, "currency": "eur"}).id for place in range(5)]

    first = client.v1.payment_intents.list({"limit": 2})
    everything = [one.id for one in client.v1.payment_intents.list({"limit": 2}).auto_paging_iter()]

    assert ([one.id for one in first.data], first.has_more) == (made[:2:-1], True)
    assert everything == made[::-1]


# ---------------------------------------------------------------- idempotency, keys, unknown things


def test_a_repeated_key_gets_the_first_answer_and_acts_once(client, http: Checked):
    wanted = {"amount": 900, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    first = client.v1.payment_intents.create(wanted, {"idempotency_key": "k1"})
    assert "Idempotent-Replayed" not in http.headers

    again = client.v1.payment_intents.create(wanted, {"idempotency_key": "k1"})

    assert (again.id, http.headers["Idempotent-Replayed"]) == (first.id, "true")
    assert len(client.v1.payment_intents.list().data) == 1


def test_a_key_with_other_parameters_is_an_idempotency_error(client):
    client.v1.payment_intents.create({"amount": 900, "currency": "eur"}, {"idempotency_key": "k1"})

    with pytest.raises(stripe.IdempotencyError) as refused:
        client.v1.payment_intents.create({"amount": 901, "currency": "eur"}, {"idempotency_key": "k1"})

    assert refused.value.http_status == 400
    assert len(client.v1.payment_intents.list().data) == 1


def test_a_decline_is_replayed_too(client):
    wanted = {"amount": 900, "currency": "eur", "payment_method": "pm_card_visa_chargeDeclined", "confirm": True}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.create(wanted, {"idempotency_key": "k1"})

    assert len(client.v1.charges.list().data) == 1


def test_what_was_refused_before_it_began_does_not_use_up_its_key(client):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.create({"amount": 1, "currency": "eur"}, {"idempotency_key": "k1"})

    assert client.v1.payment_intents.create({"amount": 900, "currency": "eur"}, {"idempotency_key": "k1"}).amount == 900


@pytest.mark.parametrize("key", ["sk_live_" + "a" * 24, "nonsense"])
def test_a_wrong_key_is_a_401(sandbox, http, key):
    stranger = stripe.StripeClient(key, http_client=http, base_addresses={"api": sandbox.base("stripe")})

    with pytest.raises(stripe.AuthenticationError) as refused:
        stranger.v1.customers.list()

    assert refused.value.http_status == 401


def test_an_unknown_id_is_a_404_in_the_address_and_a_400_in_a_parameter(client):
    with pytest.raises(stripe.InvalidRequestError) as in_address:
        client.v1.customers.retrieve("cus_none")
    with pytest.raises(stripe.InvalidRequestError) as in_parameter:
        client.v1.setup_intents.create({"customer": "cus_none"})

    assert (in_address.value.http_status, in_address.value.code) == (404, "resource_missing")
    assert (in_parameter.value.http_status, in_parameter.value.param) == (400, "customer")


def test_a_missing_parameter_is_named(client):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.promotion_codes.create({"code": "X", "promotion": {"type": "coupon"}})

    assert (refused.value.code, refused.value.param) == ("parameter_missing", "promotion[coupon]")


# ---------------------------------------------------------------- refunds


def test_refunds_in_parts_end_with_the_charge_refunded(client):
    intent = pay(client)
    client.v1.refunds.create({"payment_intent": intent.id, "amount": 2_000, "reason": "requested_by_customer"})
    half = client.v1.charges.retrieve(intent.latest_charge)

    client.v1.refunds.create({"payment_intent": intent.id})

    whole = client.v1.charges.retrieve(intent.latest_charge)
    assert (half.amount_refunded, half.refunded) == (2_000, False)
    assert (whole.amount_refunded, whole.refunded) == (5_000, True)
    assert [one.amount for one in client.v1.refunds.list({"payment_intent": intent.id}).data] == [3_000, 2_000]


def test_more_than_what_is_left_is_not_refunded(client):
    intent = pay(client)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 5_001})

    assert refused.value.param == "amount"
    assert client.v1.charges.retrieve(intent.latest_charge).amount_refunded == 0


def test_a_refunded_charge_is_not_refunded_again(client):
    intent = pay(client)
    client.v1.refunds.create({"payment_intent": intent.id})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent.id})

    assert refused.value.code == "charge_already_refunded"


def test_a_refund_that_seemed_done_bounces_a_day_later(client, sandbox, mailbox: Mailbox):
    intent = pay(client, payment_method="pm_card_refundFail")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "succeeded"

    sandbox.advance(86_401)

    failed = client.v1.refunds.retrieve(refund.id)
    sandbox.letters("stripe")
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert client.v1.charges.retrieve(intent.latest_charge).amount_refunded == 0
    assert mailbox.types()[-2:] == ["refund.updated", "refund.failed"]


def test_a_refund_that_takes_time_succeeds_later(client, sandbox):
    intent = pay(client, payment_method="pm_card_pendingRefund")
    refund = client.v1.refunds.create({"payment_intent": intent.id})
    assert refund.status == "pending"

    sandbox.advance(3_601)

    assert client.v1.refunds.retrieve(refund.id).status == "succeeded"


# ---------------------------------------------------------------- disputes


def test_a_dispute_takes_the_money_and_a_lost_one_keeps_it(client, sandbox, mailbox):
    intent = pay(client)

    opened = sandbox.control("POST", "/stripe/_stripe/disputes", {"payment_intent": intent.id})
    closed = sandbox.control("POST", f"/stripe/_stripe/disputes/{opened['id']}/close", {"status": "lost"})

    sandbox.letters("stripe")
    assert (opened["status"], closed["status"]) == ("needs_response", "lost")
    assert sum(line.net for line in client.v1.balance_transactions.list().data) == 4_825 - 5_000 - 1_500
    assert mailbox.types()[-3:] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.closed",
    ]


def test_winning_evidence_brings_the_money_back(client, sandbox, mailbox):
    intent = pay(client)
    opened = sandbox.control("POST", "/stripe/_stripe/disputes", {"payment_intent": intent.id})

    evidence = {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    won = client.v1.disputes.update(opened["id"], evidence)

    sandbox.letters("stripe")
    assert (won.status, won.evidence_details.submission_count) == ("won", 1)
    assert "charge.dispute.funds_reinstated" in mailbox.types()
    assert sum(line.net for line in client.v1.balance_transactions.list().data) == 4_825 - 1_500


def test_what_is_disputed_is_not_refunded_as_well(client, sandbox):
    intent = pay(client)
    sandbox.control("POST", "/stripe/_stripe/disputes", {"payment_intent": intent.id})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": intent.id})

    assert refused.value.code == "charge_disputed"


def test_what_was_not_charged_is_not_disputed(client, sandbox: Sandbox):
    intent = client.v1.payment_intents.create({"amount": 500, "currency": "eur"})

    with pytest.raises(Refused, match="Nothing was charged"):
        sandbox.control("POST", "/stripe/_stripe/disputes", {"payment_intent": intent.id})


def test_dispute_about_no_payment_says_what_it_lacks(sandbox: Sandbox):
    with pytest.raises(Refused, match="Missing required param: payment_intent"):
        sandbox.control("POST", "/stripe/_stripe/disputes", {})
