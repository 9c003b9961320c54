"""Letters of gateways: at the door, in the inbox, and what the worker makes of them."""

import itertools
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone

from billing import asking, inbox, refund_sending, refunds, tasks
from billing.gateways.base import PaymentState
from billing.models import Attempt, Case, Dispute, GatewayLetter, Payment, Refund
from billing.models.inbox import LetterState
from billing.models.payments import AttemptState, PaymentStatus
from billing.tests import shop
from billing.tests.fakes import SECRET, AskingGateway, send
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.races import PATIENCE_SECONDS, run_all, run_together

pytestmark = pytest.mark.django_db


def letters() -> list[tuple[str, str]]:
    return list(GatewayLetter.objects.order_by("id").values_list("event_id", "state"))


# ---------------------------------------------------------------- at the door


def test_letter_is_stored_and_answered_without_asking_the_gateway(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    asked = len(stripe.asked)
    assert send(stripe.letter()).status_code == 200
    assert letters() == [(f"evt_{stripe.only}", "pending")]
    assert len(stripe.asked) == asked
    assert Payment.objects.get(pk=payment.pk).status == PaymentStatus.PENDING


def test_letter_costs_one_statement(stripe, django_assert_num_queries) -> None:
    shop.buy()
    with django_assert_num_queries(0):  # of Django's own cursors: the insert goes through a prepared one
        send(stripe.letter())
    assert GatewayLetter.objects.count() == 1


def test_same_event_is_stored_once(stripe) -> None:
    shop.buy()
    for _ in range(3):
        assert send(stripe.letter()).status_code == 200
    assert GatewayLetter.objects.count() == 1


def test_same_event_id_of_two_gateways_are_two_letters(stripe, paypal) -> None:
    body = stripe.letter("ab" * 16)
    assert (send(body).status_code, send(body, gateway="paypal").status_code) == (200, 200)
    assert GatewayLetter.objects.count() == 2


def test_put_is_taken_too(stripe) -> None:
    shop.buy()
    assert send(stripe.letter(), method="put").status_code == 200
    assert GatewayLetter.objects.count() == 1


def test_ping_is_answered(gateways) -> None:
    assert Client().get("/webhooks/cinetpay").status_code == 200
    assert Client().get("/webhooks/cinetpay/some-token").status_code == 200
    assert Client().get("/webhooks/bank").status_code == 404


@pytest.mark.parametrize(
    ("gateway", "signature", "status"),
    [("stripe", "wrong", 400), ("stripe", "", 400), ("bank", SECRET, 404), ("Stripe", SECRET, 404)],
)
def test_letter_that_is_not_proven_is_not_stored(stripe, gateway, signature, status) -> None:
    shop.buy()
    assert send(stripe.letter(), gateway=gateway, **{"x-signature": signature}).status_code == status
    assert not GatewayLetter.objects.exists()


@override_settings(INBOX_MAX_BODY_BYTES=100)
def test_letter_that_is_too_long_is_not_read(stripe) -> None:
    shop.buy()
    assert send(stripe.letter(object={"x": "y" * 100})).status_code == 413
    assert not GatewayLetter.objects.exists()


@pytest.mark.parametrize(
    ("network", "proxies", "forwarded", "status"),
    [
        ("127.0.0.0/8", 0, "", 200),
        ("198.51.100.0/24", 0, "", 403),
        ("198.51.100.0/24", 0, "198.51.100.7", 403),  # nobody vouches for this header
        ("198.51.100.0/24", 1, "198.51.100.7", 200),
        ("198.51.100.0/24", 1, "198.51.100.7, 203.0.113.9", 403),
        ("2001:db8::1/128", 1, "2001:db8::1", 200),
    ],
)
def test_only_named_networks_may_write(stripe, network, proxies, forwarded, status) -> None:
    shop.buy()
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    with override_settings(INBOX_ALLOWED_NETWORKS={"stripe": [network]}, TRUSTED_PROXY_COUNT=proxies):
        assert send(stripe.letter(), **headers).status_code == status
    assert GatewayLetter.objects.count() == (status == 200)


@pytest.mark.parametrize("address", ["", "unix:"])
def test_who_has_no_address_is_of_no_named_network(stripe, address) -> None:
    shop.buy()
    letter = {"content_type": "application/json", "headers": {"x-signature": SECRET}, "REMOTE_ADDR": address}
    with override_settings(INBOX_ALLOWED_NETWORKS={"stripe": ["0.0.0.0/0", "::/0"]}):
        assert Client().post("/webhooks/stripe", stripe.letter(), **letter).status_code == 403
    assert not GatewayLetter.objects.exists()


def test_personal_data_of_a_payment_is_not_kept(stripe) -> None:
    shop.buy()
    send(stripe.letter(object={"email": "ada@example.com"}))
    assert GatewayLetter.objects.get().facts == {}


# ---------------------------------------------------------------- the worker


def test_worker_asks_the_gateway_and_delivers(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    send(stripe.letter())
    tasks.drain_inbox()
    assert letters() == [(f"evt_{stripe.only}", "done")]
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED
    assert shop.credits_of(payment.user) == 275


def test_letter_is_a_hint_and_the_gateways_answer_counts(stripe) -> None:
    """It says paid, and is signed; the gateway itself says that nobody has paid."""
    payment = shop.buy()
    send(stripe.letter(kind="payment.succeeded"))
    tasks.drain_inbox()
    assert Payment.objects.get().status == PaymentStatus.PENDING
    assert shop.credits_of(payment.user) == 0


def test_many_letters_of_one_payment_are_one_question(stripe) -> None:
    shop.buy()
    stripe.pays()
    for number in range(10):
        send(stripe.letter(id=f"evt_{number}"))
    asked = len(stripe.asked)
    tasks.drain_inbox()
    assert len(stripe.asked) == asked + 1
    assert Counter(state for _, state in letters()) == {"done": 10}


@pytest.mark.parametrize("how", ["token", "reference", "ids"])
def test_attempt_is_found_by_whatever_the_letter_names(stripe, how) -> None:
    payment = shop.buy()
    attempt = payment.attempts.get()
    stripe.pays()
    match how:
        case "token":
            send(stripe.letter(reference=""), token=attempt.notify_token)
        case "reference":
            send(stripe.letter())
        case "ids":
            send(stripe.letter(reference="", ids={"customer": "cus_1", **attempt.gateway_ids}))
    tasks.drain_inbox()
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED


def test_letter_about_nothing_we_know_is_kept_and_flagged(stripe) -> None:
    send(stripe.letter("ab" * 16))
    now = timezone.now()
    for hours in range(5):
        inbox.drain(now + timedelta(hours=hours))
    letter = GatewayLetter.objects.get()
    assert (letter.state, letter.tries, letter.error) == (LetterState.UNKNOWN, 4, "No attempt of ours is meant.")
    assert not Payment.objects.exists()


def test_address_of_one_attempt_says_nothing_about_another(stripe) -> None:
    first, second = shop.buy(), shop.buy()
    token = first.attempts.get().notify_token
    stripe.pays(second.attempts.get().reference)
    asked = len(stripe.asked)
    send(stripe.letter(second.attempts.get().reference), token=token)
    tasks.drain_inbox()
    assert len(stripe.asked) == asked
    assert not Payment.objects.filter(status=PaymentStatus.SUCCEEDED).exists()


@pytest.mark.parametrize("reference", ["no number of ours", "ab" * 16])
def test_reference_that_is_not_ours_does_not_hide_the_ids(stripe, reference) -> None:
    payment = shop.buy()
    stripe.pays()
    send(stripe.letter(reference=reference, ids=payment.attempts.get().gateway_ids, subject="dispute"))
    tasks.drain_inbox()
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED


def test_secret_of_another_attempt_opens_none(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    asked = len(stripe.asked)
    Attempt.objects.update(gateway_ids={"notif_token": "right"})
    letter = GatewayLetter.objects.create(
        gateway="stripe", event_id="e1", kind="x", subject="payment", trust="shared_secret",
        reference=payment.attempts.get().reference, ids={"notif_token": "wrong"},
    )  # fmt: skip
    tasks.drain_inbox()
    letter.refresh_from_db()
    assert letter.error == "It does not know the secret of the attempt."
    assert (len(stripe.asked), Payment.objects.get().status) == (asked, PaymentStatus.PENDING)


def test_dispute_of_what_nobody_has_paid_waits(stripe) -> None:
    shop.buy()
    send(stripe.letter(subject="dispute", ids={"dispute": "dp_1"}))
    tasks.drain_inbox()
    assert GatewayLetter.objects.get().error == "The payment that it is about is not paid here."
    assert not Dispute.objects.exists()


def test_refund_that_may_be_the_one_under_way_is_not_booked_as_another(stripe) -> None:
    payment = shop.paid(stripe)
    stripe.loses_refund = True
    refund_sending.send(refunds.request(payment=payment, by=None, reason="x"))
    send(stripe.letter(subject="refund", ids={"refund": "re_x", **payment.attempts.get().gateway_ids}))
    GatewayLetter.objects.update(amount_minor=999, currency="EUR")
    tasks.drain_inbox()
    assert GatewayLetter.objects.get().error == "It may be the refund that is being sent."
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(
    ("trust", "minor", "ids"),
    [("unsigned", 400, {"refund": "re_x"}), ("signed", None, {"refund": "re_x"}), ("signed", 400, {})],
)
def test_refund_that_nobody_vouches_for_is_not_booked(stripe, trust, minor, ids) -> None:
    payment = shop.paid(stripe)
    letter = GatewayLetter.objects.create(
        gateway="stripe", event_id="e1", kind="x", subject="refund", trust=trust,
        amount_minor=minor, currency="EUR" if minor else "", ids={**payment.attempts.get().gateway_ids, **ids},
    )  # fmt: skip
    tasks.drain_inbox()
    letter.refresh_from_db()
    assert letter.error == "It names no refund of ours, and nobody has signed for it."
    assert not Refund.objects.exists()


@pytest.mark.parametrize("subject", ["subscription", "invoice", "setup"])
def test_letter_about_what_its_gateway_does_not_do_for_us_is_ignored(stripe, subject) -> None:
    send(stripe.letter("ab" * 16, subject=subject, ids={"subscription": "sub_1"}))
    tasks.drain_inbox()
    assert [state for _, state in letters()] == ["ignored"]


def test_unknown_kind_is_kept_and_ignored(stripe) -> None:
    send(stripe.letter("ab" * 16, subject="other", kind="radar.early_fraud_warning.created"))
    tasks.drain_inbox()
    assert [state for _, state in letters()] == ["ignored"]


def test_silent_gateway_is_asked_again_later(stripe) -> None:
    shop.buy()
    stripe.pays()
    send(stripe.letter())
    stripe.silent = True
    tasks.drain_inbox()
    letter = GatewayLetter.objects.get()
    assert (letter.state, letter.tries, letter.error) == (LetterState.PENDING, 1, "Unavailable: down")
    assert letter.next_try_at > timezone.now()
    stripe.silent = False
    inbox.drain(timezone.now() + timedelta(minutes=1))
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED


def test_letter_that_fails_again_and_again_is_dead_and_can_be_replayed(stripe) -> None:
    shop.buy()
    stripe.pays()
    send(stripe.letter())
    stripe.silent = True
    now = timezone.now()
    for days in range(9):
        inbox.drain(now + timedelta(days=days))
    letter = GatewayLetter.objects.get()
    assert (letter.state, letter.tries) == (LetterState.DEAD, len(settings.INBOX_RETRY_SECONDS) + 1)
    stripe.silent = False
    assert inbox.replay(letter)
    tasks.drain_inbox()
    assert letters() == [(letter.event_id, "done")]
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED


def test_mistake_of_ours_stops_no_other_letter(stripe, monkeypatch, caplog) -> None:
    one, other = shop.buy(), shop.buy()
    for payment in (one, other):
        stripe.pays(payment.attempts.get().reference)
        send(stripe.letter(payment.attempts.get().reference))
    usual = asking.ask

    def ask(attempt):
        if attempt.payment_id == one.pk:
            raise ZeroDivisionError("ours")
        return usual(attempt)

    monkeypatch.setattr(asking, "ask", ask)
    tasks.drain_inbox()
    assert [state for _, state in letters()] == ["pending", "done"]
    assert GatewayLetter.objects.order_by("id")[0].error == "ZeroDivisionError: ours"


def test_letters_of_a_worker_that_died_are_read_by_another(stripe, monkeypatch) -> None:
    shop.buy()
    stripe.pays()
    send(stripe.letter())

    def die(attempt):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(asking, "ask", die)
        with pytest.raises(KeyboardInterrupt):
            tasks.drain_inbox()
    assert inbox.drain() == 0  # its lease still runs
    assert inbox.drain(timezone.now() + timedelta(seconds=settings.INBOX_LEASE_SECONDS)) == 1
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED


def test_replay_of_what_was_delivered_delivers_nothing_more(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    send(stripe.letter())
    tasks.drain_inbox()
    for _ in range(3):
        assert inbox.replay(GatewayLetter.objects.get())
        tasks.drain_inbox()
    assert shop.credits_of(payment.user) == 275
    assert Event.objects.filter(type="payment.succeeded").count() == 1


def test_wrong_amount_goes_into_quarantine_and_the_letter_is_done(stripe) -> None:
    shop.buy()
    stripe.pays(amount=Money(1, "EUR"))
    send(stripe.letter())
    tasks.drain_inbox()
    assert (letters()[0][1], Payment.objects.get().status) == ("done", "quarantined")
    assert Case.objects.open().count() == 1


def test_old_letters_go_and_those_for_people_stay(stripe) -> None:
    for number, state in enumerate(LetterState.values):
        send(stripe.letter("ab" * 16, id=f"evt_{number}"))
        GatewayLetter.objects.filter(event_id=f"evt_{number}").update(state=state)
    tasks.purge_inbox()
    assert GatewayLetter.objects.count() == len(LetterState.values)
    GatewayLetter.objects.update(received_at=timezone.now() - timedelta(days=settings.INBOX_KEEP_DAYS, seconds=1))
    tasks.purge_inbox()
    assert sorted(state for _, state in letters()) == ["dead", "pending", "unknown"]


@pytest.mark.parametrize(("trust", "left"), [("unsigned", 0), ("shared_secret", 0), ("signed", 1)])
def test_what_a_stranger_may_have_written_is_forgotten_soon(stripe, trust, left) -> None:
    send(stripe.letter("ab" * 16, trust=trust))
    GatewayLetter.objects.update(state="unknown")
    tasks.purge_inbox()
    assert GatewayLetter.objects.count() == 1
    days = settings.INBOX_KEEP_STRANGE_DAYS
    GatewayLetter.objects.update(received_at=timezone.now() - timedelta(days=days, seconds=1))
    tasks.purge_inbox()
    assert GatewayLetter.objects.count() == left


@pytest.mark.parametrize(("trust", "taken"), [("unsigned", 2), ("shared_secret", 2), ("signed", 3)])
def test_letters_that_nothing_proves_are_counted_by_address(stripe, settings, trust, taken) -> None:
    settings.THROTTLE_LETTERS = "2/1d"
    answers = [send(stripe.letter("ab" * 16, id=f"evt_{number}", trust=trust)) for number in range(3)]
    assert [answer.status_code for answer in answers] == [200] * taken + [429] * (3 - taken)
    assert GatewayLetter.objects.count() == taken
    settings.TRUSTED_PROXY_COUNT = 1
    elsewhere = send(stripe.letter("ab" * 16, trust=trust), **{"x-forwarded-for": "198.51.100.7"})
    assert elsewhere.status_code == 200


def test_what_is_refused_is_counted_with_the_rest_of_its_address(stripe, settings) -> None:
    settings.THROTTLE_LETTERS = "2/1d"
    wrong = {"x-signature": "wrong"}
    assert [send(stripe.letter("ab" * 16), **wrong).status_code for _ in range(3)] == [400, 400, 429]
    assert send(stripe.letter("ab" * 16)).status_code == 200  # what is signed needs no limit
    assert GatewayLetter.objects.count() == 1


def test_letters_that_only_a_call_proves_are_counted_before_it(stand_in, settings) -> None:
    settings.THROTTLE_LETTERS = "2/1d"
    gateway = stand_in(AskingGateway("stripe"))
    answers = [send(gateway.letter("ab" * 16, id=f"evt_{number}")).status_code for number in range(3)]
    assert (answers, gateway.proofs) == ([200, 200, 429], 2)
    gateway.asks = False  # it knows by now how to tell
    assert send(gateway.letter("ab" * 16, id="evt_4")).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_few_threads_wait_for_proofs_and_the_others_answer(stand_in, settings) -> None:
    settings.INBOX_PROOFS_AT_ONCE = 1
    gateway = stand_in(AskingGateway("stripe"))
    inside, may_go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert may_go_on.wait(PATIENCE_SECONDS)

    gateway.while_asking = wait

    def first() -> int:
        return int(send(gateway.letter("ab" * 16)).status_code)

    def second() -> int:
        assert inside.wait(PATIENCE_SECONDS)
        try:
            return int(send(gateway.letter("cd" * 16)).status_code)
        finally:
            may_go_on.set()

    assert run_all([first, second]) == [200, 503]
    assert (gateway.proofs, [event for event, _ in letters()]) == (1, ["evt_" + "ab" * 16])
    gateway.while_asking = lambda: None
    assert send(gateway.letter("cd" * 16)).status_code == 200  # sent again, as gateways do


# ---------------------------------------------------------------- order and crowds

KINDS = ["created", "paid", "settled"]


@pytest.mark.parametrize("order", list(itertools.permutations(KINDS)))
def test_letters_in_any_order_lead_to_the_same_end(stripe, order) -> None:
    payment = shop.buy()
    stripe.pays()
    for kind in order:
        send(stripe.letter(id=f"evt_{kind}", kind=kind))
        tasks.drain_inbox()
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED
    assert shop.credits_of(payment.user) == 275


@pytest.mark.django_db(transaction=True)
def test_fifty_copies_from_eight_threads_are_one_letter_and_one_delivery(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    body = stripe.letter()

    def send_some() -> set[int]:
        return {send(body).status_code for _ in range(7)}

    assert run_together(8, send_some) == [{200}] * 8
    assert GatewayLetter.objects.count() == 1
    run_together(4, inbox.drain)
    assert shop.credits_of(payment.user) == 275
    assert Event.objects.filter(type="payment.succeeded").count() == 1
    assert checks.faults() == {}


@pytest.mark.django_db(transaction=True)
def test_four_workers_share_the_letters(stripe) -> None:
    for payment in [shop.buy() for _ in range(12)]:
        reference = payment.attempts.get().reference
        stripe.pays(reference)
        send(stripe.letter(reference))
    with override_settings(INBOX_BATCH=2):
        assert sum(run_together(4, inbox.drain)) == 12
    assert Payment.objects.filter(status=PaymentStatus.SUCCEEDED).count() == 12
    assert checks.faults() == {}


# ---------------------------------------------------------------- sweeps


def test_sweep_finds_what_a_lost_letter_would_have_said(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    Attempt.objects.update(next_ask_at=timezone.now())
    tasks.ask_gateways()
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED
    assert shop.credits_of(payment.user) == 275


def test_sweep_asks_less_and_less_often_and_then_people(stripe) -> None:
    stripe.loses = True
    payment = shop.buy()
    stripe.silent = True
    attempt, moments = Attempt.objects.get(), []
    for _ in range(4):
        moments.append(Attempt.objects.get().next_ask_at)
        assert asking.ask_due(moments[-1]) == 1
    known = [moment for moment in moments if moment is not None]
    pauses = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(known)]
    assert len(known) == 4
    assert pauses == sorted(pauses)
    assert not Case.objects.exists()
    Attempt.objects.update(created_at=timezone.now() - timedelta(seconds=settings.GATEWAY_ASK_UNTIL_SECONDS))
    for _ in range(2):
        Attempt.objects.update(next_ask_at=timezone.now())
        tasks.ask_gateways()
    case = Case.objects.get()
    assert (case.kind, case.payment_id, case.attempt_id) == ("still_unknown", payment.pk, attempt.pk)


def test_attempt_that_is_over_is_looked_at_again_and_then_left_alone(stripe) -> None:
    shop.buy()
    stripe.becomes(PaymentState.EXPIRED)
    Attempt.objects.update(next_ask_at=timezone.now())
    tasks.ask_gateways()
    looks = 0
    while (moment := Attempt.objects.get().next_ask_at) is not None:
        assert asking.ask_due(moment) == 1
        looks += 1
    assert looks == len(settings.GATEWAY_ASK_LATE_SECONDS)


def test_abandoned_checkout_is_taken_back_at_the_gateway(stripe) -> None:
    shop.buy()
    Payment.objects.update(expires_at=timezone.now())
    tasks.expire_checkouts()
    assert Payment.objects.get().status == PaymentStatus.EXPIRED
    assert stripe.sold[stripe.only].state is PaymentState.CANCELLED


def test_checkout_that_was_paid_in_the_last_moment_does_not_expire(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    Payment.objects.update(expires_at=timezone.now())
    tasks.expire_checkouts()
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED
    assert shop.credits_of(payment.user) == 275


def test_page_that_cannot_be_taken_back_is_waited_for(gateways) -> None:
    shop.buy(gateways=["cinetpay"])
    now = timezone.now() + timedelta(hours=2)
    assert asking.expire_abandoned(now) == 0
    assert Attempt.objects.get().state == AttemptState.REQUIRES_ACTION
    assert asking.expire_abandoned(now + gateways["cinetpay"].capabilities.pending_lifetime) == 1
    assert Payment.objects.get().status == PaymentStatus.EXPIRED


def test_checkout_that_is_paid_while_it_is_taken_back_is_delivered(stripe, monkeypatch) -> None:
    payment = shop.buy()

    def paid_a_moment_ago(known):
        stripe.pays()
        return stripe.fetch_payment(known)

    monkeypatch.setattr(stripe, "cancel_checkout", paid_a_moment_ago)
    assert asking.expire_abandoned(timezone.now() + timedelta(days=1)) == 0
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED
    assert shop.credits_of(payment.user) == 275


def test_checkout_whose_process_died_between_two_gateways_expires_and_asks_nobody(stripe) -> None:
    shop.buy()
    Attempt.objects.update(state=AttemptState.FAILED)
    stripe.asked.clear()
    assert asking.expire_abandoned(timezone.now() + timedelta(days=1)) == 1
    assert (Payment.objects.get().status, stripe.asked) == (PaymentStatus.EXPIRED, [])


def test_silent_gateway_keeps_a_checkout_from_expiring(stripe) -> None:
    shop.buy()
    stripe.silent = True
    assert asking.expire_abandoned(timezone.now() + timedelta(days=1)) == 0
    assert Payment.objects.get().status == PaymentStatus.PENDING


def test_inbox_is_read_by_its_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM billing_gatewayletter WHERE state = 'pending' AND next_try_at <= now() "
            "ORDER BY next_try_at LIMIT 50 FOR UPDATE SKIP LOCKED"
        )
        assert "gateway_letter_to_read" in "\n".join(row[0] for row in cursor.fetchall())


def test_checkouts_of_a_silent_gateway_do_not_keep_others_open(gateways, settings) -> None:
    settings.PAYMENT_SWEEP_BATCH = 1
    silent = shop.buy(gateways=["cinetpay"], currency="XOF")
    other = shop.buy(gateways=["stripe"])
    gateways["cinetpay"].silent = True
    now = timezone.now() + timedelta(days=1)
    assert asking.expire_abandoned(now) == 1
    assert [Payment.objects.get(pk=each.pk).status for each in (silent, other)] == ["pending", "expired"]
    assert asking.expire_abandoned(now) == 0  # it has some minutes more
    gateways["cinetpay"].silent = False
    assert asking.expire_abandoned(now + timedelta(minutes=6)) == 1
