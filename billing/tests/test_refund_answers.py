"""What a gateway says of a refund, in whatever order it says it, and what of that is written down."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from billing import errors, refund_plans, refund_sending, refunds
from billing.gateways import registry
from billing.gateways.base import Failure, RefundState
from billing.gateways.errors import FailureCategory
from billing.models import Case, Refund
from billing.models.refunds import RefundStatus
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.refunding import ask_for, say
from credits import balances
from credits.models import Purse
from events.models import Event
from ledger import checks
from ledger.models import Entry
from ledger.money import Money
from ledger.tests.books import on
from ledger.tests.races import run_all

pytestmark = pytest.mark.django_db


def books() -> tuple[int, int]:
    return on("revenue:packs:EUR"), on("gateway:stripe:EUR")


def test_ids_and_the_last_words_are_kept(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    say(refund, RefundState.PENDING, ids={"refund": "re_1"}, raw={"n": 1})
    refund = say(refund, RefundState.PENDING, ids={"balance": "txn_1"})
    assert (refund.gateway_ids, refund.last_reply) == ({"refund": "re_1", "balance": "txn_1"}, {"n": 1})
    assert say(refund, RefundState.PENDING, raw={"n": 2}).last_reply == {"n": 2}


def test_a_long_word_for_a_failure_is_cut(stripe) -> None:
    failure = Failure(category=FailureCategory.EXPIRED, code="x" * 150)
    refund = say(ask_for(shop.paid(stripe)), RefundState.FAILED, failure=failure)
    assert (refund.failure_category, refund.failure_code) == ("expired", "x" * 100)


def test_failure_without_a_word_is_told_as_unknown(stripe) -> None:
    refund = say(ask_for(shop.paid(stripe)), RefundState.CANCELLED)
    assert (refund.status, refund.next_try_at, refund.ended_at is None) == (RefundStatus.FAILED, None, False)
    assert Event.objects.get(type="refund.failed").data == {
        "payment": str(refund.payment_id),
        "refund": str(refund.pk),
        "amount": 999,
        "currency": "EUR",
        "reason": "unknown",
    }
    assert Case.objects.get().facts == {"refund": str(refund.pk), "amount": "9.99 EUR", "why": ""}


@pytest.mark.parametrize("end", [RefundState.SUCCEEDED, RefundState.FAILED])
def test_an_end_said_twice_or_doubted_later_is_the_same_end(stripe, end) -> None:
    payment = shop.paid(stripe)
    refund = say(ask_for(payment), end)
    before = books(), shop.credits_of(payment.user), Entry.objects.count(), Event.objects.count(), Case.objects.count()
    for state in (end, RefundState.PENDING, RefundState.NOT_FOUND):
        again = say(refund, state)
        assert (again.status, again.next_try_at) == (refund.status, None)
        assert again.ended_at == refund.ended_at
    after = books(), shop.credits_of(payment.user), Entry.objects.count(), Event.objects.count(), Case.objects.count()
    assert after == before
    assert checks.faults() == {}


def test_success_after_a_failure_is_booked_and_leaves_the_credits(stripe) -> None:
    """They were given free when it had failed, and may be spent by now: people look at it."""
    payment = shop.paid(stripe)
    refund = ask_for(payment)
    say(refund, RefundState.FAILED, failure=Failure(category=FailureCategory.EXPIRED, code="too_late"))
    refund = say(refund, RefundState.SUCCEEDED)
    assert (refund.status, refund.lines, refund.failure_category, refund.failure_code) == ("succeeded", {}, "", "")
    assert (books(), shop.credits_of(payment.user), balances.of(payment.user).owed) == ((0, 0), 275, 0)
    assert [case.kind for case in Case.objects.open()] == ["refund_failed", "refund_failed"]  # two troubles
    assert checks.faults() == {}


def test_success_after_it_was_taken_back_here_is_shown_to_people(stripe) -> None:
    refund = refunds.cancel(refund=ask_for(shop.paid(stripe)))
    assert say(refund, RefundState.SUCCEEDED).status == RefundStatus.SUCCEEDED
    facts = Case.objects.get().facts
    assert (facts["refund"], facts["why"]) == (str(refund.pk), "It arrived after it had been given up here.")


def test_all_of_a_payment_that_has_gone_back_is_told_as_full(stripe) -> None:
    payment = shop.paid(stripe)
    for minor in (600, 399):
        say(ask_for(payment, minor), RefundState.SUCCEEDED)
    told = Event.objects.filter(type="payment.refunded").order_by("id")
    assert [(each.data["refunded_total"], each.data["is_full"]) for each in told] == [(600, False), (999, True)]
    assert refunds.refunded(payment) == 999


def test_answer_that_it_is_under_way_forgets_that_it_was_not_found(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=timezone.now())
    assert [say(refund, RefundState.NOT_FOUND).not_found for _ in range(2)] == [1, 2]
    refund = say(refund, RefundState.PENDING)
    assert (refund.status, refund.not_found) == (RefundStatus.PENDING, 0)
    assert say(refund, RefundState.NOT_FOUND).not_found == 0  # it was found once


def test_refund_that_was_never_found_begins_anew(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    long_ago = timezone.now() - timedelta(hours=1)
    Refund.objects.update(status=RefundStatus.UNKNOWN, sent_at=long_ago, next_try_at=None)
    states = [say(refund, RefundState.NOT_FOUND).status for _ in range(3)]
    assert states == [RefundStatus.UNKNOWN, RefundStatus.UNKNOWN, RefundStatus.REQUESTED]
    refund.refresh_from_db()
    assert (refund.not_found, refund.next_try_at is None) == (0, False)


def test_pending_refund_is_asked_about_for_as_long_as_it_takes(stripe, settings) -> None:
    settings.REFUND_ASK_HOURS = 6
    refund = ask_for(shop.paid(stripe))
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=timezone.now() - timedelta(days=30))
    before = timezone.now()
    asked_at = say(refund, RefundState.PENDING).next_try_at
    assert asked_at is not None
    assert before + timedelta(hours=6) <= asked_at <= timezone.now() + timedelta(hours=6)


def test_refund_that_was_sent_is_not_sent_again(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    assert refund_sending.send(refund).status == RefundStatus.SUCCEEDED
    assert refund_sending.send(refund).pk == refund.pk
    assert sum(what.startswith("refund ") for what in stripe.asked) == 1


def test_gateway_that_is_silent_is_asked_another_time(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    Refund.objects.update(status=RefundStatus.UNKNOWN, sent_at=timezone.now(), next_try_at=timezone.now())
    stripe.silent = True
    assert refund_sending.work_through() == 1
    refund.refresh_from_db()
    assert (refund.status, refund.tries, refund.next_try_at is None) == (RefundStatus.UNKNOWN, 1, False)


# ---------------------------------------------------------------- asked for


def test_nothing_more_can_go_back_than_was_paid(stripe) -> None:
    payment = shop.paid(stripe)
    with pytest.raises(errors.RefundTooLarge):
        refunds.request(payment=payment, amount=Money(999, "XOF"), reason="late")
    say(ask_for(payment), RefundState.SUCCEEDED)
    for minor in (None, 1):
        with pytest.raises(errors.NotRefundable):
            ask_for(payment, minor)
    assert Refund.objects.count() == 1


def test_who_asked_is_kept_as_far_as_it_fits(stripe) -> None:
    operator = shop.make_user()
    refund = ask_for(shop.paid(stripe), by=operator, caller="c" * 150)
    assert (refund.requested_by, refund.requested_as) == (operator, "c" * 100)


def test_gateway_that_refunds_all_or_nothing_is_asked_for_all(stripe, monkeypatch) -> None:
    whole = RefundingGateway("stripe", partial_refund=False)
    whole.sold, whole.refund_states = stripe.sold, stripe.refund_states
    payment = shop.paid(stripe)
    monkeypatch.setitem(registry.BUILDERS, "stripe", lambda: whole)
    registry.forget()
    with pytest.raises(errors.PartialNotPossible):
        ask_for(payment, 998)
    assert (Refund.objects.exists(), shop.credits_of(payment.user)) == (False, 275)
    assert ask_for(payment, 999).status == RefundStatus.REQUESTED


@pytest.mark.django_db(transaction=True)
def test_credits_that_a_plan_counts_are_there_until_they_are_held(stripe, monkeypatch) -> None:
    payment = shop.paid(stripe)
    make = refund_plans.make

    def use_them() -> None:
        with pytest.raises(OperationalError), transaction.atomic():
            Purse.objects.select_for_update(nowait=True, no_key=True).get(user=payment.user)

    def make_and_meet_a_rival(**asked: Any) -> refund_plans.Plan:
        plan = make(**asked)
        run_all([use_them])
        return plan

    monkeypatch.setattr(refund_plans, "make", make_and_meet_a_rival)
    assert ask_for(payment).lines == {f"payment:{payment.pk}:bonus": 25, f"payment:{payment.pk}": 250}
