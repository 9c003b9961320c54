"""Sweeps over money: a row that fails in a way that nobody thought of stops no other, and no last question is lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from billing import (
    asking,
    instruction_sending,
    instructions,
    invoice_files,
    invoices,
    mirror,
    payout_sending,
    refund_sending,
    refunds,
    renewals,
    subscription_states,
    subscriptions,
)
from billing.gateways.errors import Unavailable
from billing.models import Attempt, Case, GatewayInstruction, GatewayLetter, Payment, Refund, Subscription
from billing.models.instructions import InstructionKind
from billing.models.payments import AttemptState, PaymentStatus
from billing.tests import shop
from billing.tests.papers import known
from billing.tests.paying import PayingGateway, approved, due, fresh
from billing.tests.subscribers import end_of, subscribed

pytestmark = pytest.mark.django_db
Trip = Callable[..., None]


@pytest.fixture
def trip(monkeypatch) -> Trip:
    """Lets a function of a module fail for one row, and do for all others what it does."""

    def put(module: Any, name: str, is_hit: Callable[..., bool], fault: BaseException | None = None) -> None:
        usual = getattr(module, name)

        def one(*args: Any, **kwargs: Any) -> Any:
            if is_hit(*args, **kwargs):
                raise fault or ZeroDivisionError("ours")
            return usual(*args, **kwargs)

        monkeypatch.setattr(module, name, one)

    return put


@pytest.fixture(params=[ZeroDivisionError("ours"), SoftTimeLimitExceeded()], ids=["mistake", "time is over"])
def fault(request) -> BaseException:
    found: BaseException = request.param
    return found


def swept(sweep: Callable[[], Any], fault: BaseException) -> bool:
    """Whether the sweep went on behind the row that failed; only the task's time limit ends it."""
    if isinstance(fault, SoftTimeLimitExceeded):
        with pytest.raises(SoftTimeLimitExceeded):
            sweep()
        return False
    sweep()
    return True


def noting(seen: list[Any]) -> Callable[..., bool]:
    """Hits every row, and remembers which there were."""

    def is_hit(row: Any) -> bool:
        seen.append(row.pk)
        return True

    return is_hit


def both(gateway: Any) -> tuple[Payment, Payment]:
    one, other = (shop.buy(gateways=[gateway.name]) for _ in range(2))
    for payment in (one, other):
        gateway.pays(payment.attempts.get().reference)
    return one, other


def status(payment: Payment) -> str:
    return Payment.objects.get(pk=payment.pk).status


# ---------------------------------------------------------------- each row alone


def test_payment_that_cannot_be_asked_about_stops_no_other(stripe, trip, fault) -> None:
    one, other = both(stripe)
    now = timezone.now()
    for pause, payment in enumerate((one, other)):
        payment.attempts.update(next_ask_at=now + timedelta(seconds=pause - 5))
    trip(asking, "ask", lambda attempt: attempt.payment_id == one.pk, fault)
    went_on = swept(asking.ask_due, fault)
    assert (status(one), status(other)) == ("pending", "succeeded" if went_on else "pending")
    assert Attempt.objects.filter(payment=one, next_ask_at__gt=now).exists()


def test_checkout_that_cannot_be_ended_stops_no_other(stripe, trip, fault) -> None:
    one, other = (shop.buy(gateways=["stripe"]) for _ in range(2))
    Payment.objects.filter(pk=one.pk).update(expires_at=timezone.now() - timedelta(minutes=2))
    Payment.objects.filter(pk=other.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    trip(asking, "ask", lambda attempt: attempt.payment_id == one.pk, fault)
    went_on = swept(asking.expire_abandoned, fault)
    assert (status(one), status(other)) == ("pending", "expired" if went_on else "pending")


def test_refund_that_cannot_be_sent_stops_no_other(stripe, trip, fault) -> None:
    one, other = (refunds.request(payment=shop.paid(stripe), reason="late") for _ in range(2))
    Refund.objects.filter(pk=one.pk).update(next_try_at=timezone.now() - timedelta(minutes=1))
    trip(refund_sending, "send", lambda refund: refund.pk == one.pk, fault)
    went_on = swept(refund_sending.work_through, fault)
    found = dict(Refund.objects.values_list("pk", "status"))
    assert found == {one.pk: "requested", other.pk: "succeeded" if went_on else "requested"}


def test_surplus_that_cannot_go_back_stops_neither_another_nor_the_refunds(stripe, trip, fault) -> None:
    attempts = []
    for payment in both(stripe):
        attempts.append(payment.attempts.get())
        shop.told(payment)
    Attempt.objects.update(state=AttemptState.SURPLUS)
    trip(refund_sending, "return_surplus", lambda attempt: attempt == attempts[0], fault)
    went_on = swept(refund_sending.work_through, fault)
    assert list(Refund.objects.values_list("attempt", flat=True)) == [attempts[1].pk] * went_on


def test_renewal_that_cannot_be_looked_at_stops_no_other(on_sale, paypal, clock, trip, fault) -> None:
    one, other = subscribed(paypal), subscribed(paypal)
    clock.move_to(end_of(other))
    Subscription.objects.filter(pk=one.pk).update(next_look_at=one.created_at)
    trip(subscriptions, "renew", lambda *, subscription, wishes: subscription.pk == one.pk, fault)
    went_on = swept(renewals.renew_due, fault)
    waiting = Payment.objects.filter(status=PaymentStatus.PENDING)
    assert [payment.user_id for payment in waiting] == [other.user_id] * went_on


def test_plan_that_cannot_be_ended_stops_no_other(on_sale, paypal, clock, trip, fault) -> None:
    found = [subscribed(paypal), subscribed(paypal)]
    clock.move_to(end_of(found[0]) + timedelta(days=60))
    first = Subscription.objects.to_end(timezone.now()).values_list("pk", flat=True)[0]
    trip(subscription_states, "end", lambda **facts: facts["subscription_id"] == first, fault)
    went_on = swept(renewals.expire_due, fault)
    assert Subscription.objects.filter(status="expired").count() == went_on


def test_instruction_that_cannot_be_carried_on_stops_no_other(on_sale, paypal, trip, fault) -> None:
    rows = []
    for pause in (2, 1):
        last = timezone.now() - timedelta(minutes=pause)
        wanted = GatewayInstruction(subscription=subscribed(paypal), kind=InstructionKind.END_LATER, next_ask_at=last)
        wanted.save()
        rows.append(wanted.pk)
    carried: list[Any] = []
    trip(instruction_sending, "carry_on", noting(carried), fault)
    went_on = swept(renewals.carry_instructions_on, fault)
    assert carried == rows[: 1 + went_on]


@pytest.mark.parametrize("act", ["send", "ask"])
def test_payout_that_fails_in_the_program_stops_no_other(paying: PayingGateway, trip, fault, act: str) -> None:
    rows = [approved(), approved()]
    if act == "ask":
        for withdrawal in rows:
            payout_sending.send(withdrawal)
            due(withdrawal, hours=25)
        paying.silent = True
    tripped: list[Any] = []
    trip(payout_sending, act, noting(tripped), fault)
    went_on = swept(payout_sending.work_through, fault)
    assert len(set(tripped)) == 1 + went_on
    if act == "ask" and went_on:
        assert Case.objects.count() == 2, "a mistake of ours does not keep people from hearing of it"
        assert {fresh(withdrawal).status for withdrawal in rows} == {"uncertain"}


# ---------------------------------------------------------------- the time limit is nobody's trouble


def test_letter_is_not_given_up_by_the_mirror_since_its_time_was_over(db, trip) -> None:
    letter = GatewayLetter.objects.create(gateway="stripe", event_id="evt_1", kind="x", subject="other", trust="signed")
    trip(mirror, "_follow", lambda letter: True, SoftTimeLimitExceeded())
    with pytest.raises(SoftTimeLimitExceeded):
        mirror._follow_one(letter)
    trip(mirror, "_keep", lambda model, found: True, SoftTimeLimitExceeded())
    with pytest.raises(SoftTimeLimitExceeded):
        mirror._kept(None, {"id": "cus_1"})
    letter.refresh_from_db()
    assert letter.mirror_error == ""


def test_paper_is_not_put_off_since_the_time_of_its_task_was_over(stripe, french, trip) -> None:
    invoice = invoices.issue(payment=shop.paid(stripe, known()))
    trip(invoice_files, "documents", lambda invoice, lines: True, SoftTimeLimitExceeded())
    with pytest.raises(SoftTimeLimitExceeded):
        invoice_files.render_due()
    invoice.refresh_from_db()
    assert (invoice.render_tries, invoice.render_error) == (0, "")


# ---------------------------------------------------------------- the last question


@pytest.fixture
def silent(stripe, settings) -> Attempt:
    """Nothing has been heard of it for a day, and now it is asked about for the last time."""
    stripe.loses = True
    shop.buy(gateways=["stripe"])
    stripe.silent = True
    begun = timezone.now() - timedelta(seconds=settings.GATEWAY_ASK_UNTIL_SECONDS + 1)
    Attempt.objects.update(created_at=begun, next_ask_at=timezone.now())
    return Attempt.objects.select_related("payment").get()


def test_last_question_of_a_worker_that_died_is_asked_again_and_comes_before_people(silent, settings) -> None:
    [claimed] = asking._claim(timezone.now())  # and then it died
    assert claimed == silent
    assert not Case.objects.exists()
    assert asking.ask_due() == 0
    later = timezone.now() + timedelta(seconds=settings.GATEWAY_ASK_OFTEN_SECONDS)
    assert asking.ask_due(later) == 1
    assert Case.objects.get().kind == "still_unknown"
    silent.refresh_from_db()
    assert (silent.state, silent.next_ask_at) == ("unknown", None)
    assert asking.ask_due(later + timedelta(days=1)) == 0


def test_last_question_that_fails_in_the_program_comes_before_people(silent, trip) -> None:
    trip(asking, "ask", lambda attempt: True)
    assert asking.ask_due() == 1
    assert Case.objects.get().kind == "still_unknown"


def test_late_question_of_what_is_over_is_the_last_one_all_the_same(stripe, settings) -> None:
    shop.buy(gateways=["stripe"])
    stripe.silent = True
    long_ago = timezone.now() - timedelta(seconds=max(settings.GATEWAY_ASK_LATE_SECONDS) + 1)
    Attempt.objects.update(state="expired", ended_at=long_ago, next_ask_at=timezone.now())
    assert asking.ask_due() == 1
    assert Attempt.objects.get().next_ask_at is None
    assert not Case.objects.exists()


def test_rival_who_wants_it_asked_at_once_is_not_overheard(silent, trip) -> None:
    def paid_elsewhere(attempt: Attempt) -> bool:
        Attempt.objects.update(next_ask_at=timezone.now())
        return True

    trip(asking, "ask", paid_elsewhere)
    silent_again = timezone.now()
    [claimed] = asking._claim(silent_again)
    with pytest.raises(ZeroDivisionError):
        asking._ask_one(claimed)
    asking._hand_over_to_people(claimed, silent_again)
    assert Attempt.objects.get().next_ask_at is not None
    assert not Case.objects.exists()


def test_last_question_about_an_instruction_of_a_worker_that_died_is_asked_again(
    on_sale, paypal, settings, trip
) -> None:
    found, until = subscribed(paypal), timedelta(seconds=settings.GATEWAY_ASK_UNTIL_SECONDS + 1)
    wanted = GatewayInstruction.objects.create(
        subscription=found, kind=InstructionKind.END_LATER, next_ask_at=timezone.now()
    )
    trip(instruction_sending, "carry_on", lambda _: True, Unavailable("down", gateway="paypal"))
    at = wanted.created_at + until
    assert len(instructions.claim(at)) == 1  # and then it died
    at += timedelta(seconds=settings.GATEWAY_ASK_OFTEN_SECONDS)
    renewals.carry_instructions_on(now=at)
    assert Case.objects.get().subscription == found
    wanted.refresh_from_db()
    assert (wanted.state, wanted.next_ask_at) == ("open", None)
