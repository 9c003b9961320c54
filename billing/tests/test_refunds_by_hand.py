"""What people say of refunds: those they made themselves, and those whose gateway does not say how they ended."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import cases, errors, gateway_refunds, refund_sending, refunds, refunds_by_hand
from billing.gateways import registry
from billing.gateways.base import RefundResult, RefundState
from billing.models import Case, Refund
from billing.models.refunds import RefundStatus
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.refunding import ask_for, say
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from ledger.tests.races import run_all

pytestmark = pytest.mark.django_db


def by_hand(gateways, **changes: Any) -> Refund:
    return ask_for(shop.paid(gateways["cinetpay"], currency="XOF"), **changes)


def test_refund_by_hand_up_to_the_limit_needs_one_operator(gateways, settings) -> None:
    settings.REFUND_ALONE_MINOR = {"XOF": 6_500}
    operator = shop.make_user()
    proven = refunds_by_hand.prove(refund=by_hand(gateways, by=operator), proof="OM-123", by=operator, note="by phone")
    assert (proven.status, proven.proven_by, proven.proof_note) == (RefundStatus.SUCCEEDED, operator, "by phone")


def test_without_a_limit_every_refund_by_hand_needs_two(gateways, settings) -> None:
    settings.REFUND_ALONE_MINOR = {}
    operator = shop.make_user()
    refund = by_hand(gateways, minor=1, by=operator)
    with pytest.raises(errors.SecondOperatorNeeded):
        refunds_by_hand.prove(refund=refund, proof="OM-123", by=operator)


def test_refund_by_hand_is_proven_once_and_with_a_proof(gateways) -> None:
    refund, operator = by_hand(gateways), shop.make_user()
    with pytest.raises(errors.ReasonMissing):
        refunds_by_hand.prove(refund=refund, proof=" ", by=operator)
    assert Refund.objects.get().status == RefundStatus.MANUAL
    refunds_by_hand.prove(refund=refund, proof="OM-123", by=operator)
    with pytest.raises(errors.RefundOver):
        refunds_by_hand.prove(refund=refund, proof="OM-124", by=operator)
    with pytest.raises(errors.RefundOver):
        refunds.cancel(refund=refund)
    assert Refund.objects.get().proof == "OM-123"
    assert checks.faults() == {}


def test_refund_at_a_gateway_that_is_ours_no_more_does_not_stop_the_others(stripe, stand_in, monkeypatch) -> None:
    other = stand_in(RefundingGateway("paypal"))
    gone, kept = (refunds.request(payment=shop.paid(each), by=None, reason="x") for each in (other, stripe))
    Refund.objects.filter(pk=gone.pk).update(next_try_at=timezone.now() - timedelta(minutes=1))
    monkeypatch.delitem(registry.BUILDERS, "paypal")
    monkeypatch.setattr(registry, "NAMES", ("stripe", "cinetpay"))
    registry.forget()
    refund_sending.work_through()
    assert [Refund.objects.get(pk=each.pk).status for each in (gone, kept)] == ["manual", "succeeded"]


def test_refund_whose_gateway_is_gone_before_it_was_asked_is_sent_by_hand(stripe, monkeypatch) -> None:
    refund = ask_for(shop.paid(stripe))
    monkeypatch.delitem(registry.BUILDERS, "stripe")
    assert refund_sending.work_through() == 1
    refund.refresh_from_db()
    case = Case.objects.get()
    assert (refund.status, refund.sent_at, refund.next_try_at) == (RefundStatus.MANUAL, None, None)
    assert (case.kind, case.payment_id) == ("manual_refund", refund.payment_id)
    proven = refunds_by_hand.prove(refund=refund, proof="transfer 7", by=shop.make_user())
    assert proven.status == RefundStatus.SUCCEEDED
    assert checks.faults() == {}


def test_operators_are_told_once_that_the_gateway_of_a_sent_refund_is_gone(stripe, monkeypatch) -> None:
    refund = ask_for(shop.paid(stripe))
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=timezone.now())
    monkeypatch.delitem(registry.BUILDERS, "stripe")
    for days in (1, 2):
        assert refund_sending.work_through(timezone.now() + timedelta(days=days)) == 1
    refund.refresh_from_db()
    case = Case.objects.get()
    assert (refund.status, case.kind, case.payment_id) == (RefundStatus.SENDING, "still_unknown", refund.payment_id)
    assert case.facts["why"] == "stripe is not one of our gateways any more"


def test_refund_that_ended_just_before_its_gateway_was_gone_bothers_nobody(stripe, monkeypatch) -> None:
    """A worker of a version that still has the gateway has heard of it; this one had taken it up."""
    refund = ask_for(shop.paid(stripe))
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=timezone.now())

    def gone(name: str) -> Any:
        say(refund, RefundState.SUCCEEDED)
        raise registry.UnknownGateway(name)

    monkeypatch.setattr(registry, "get", gone)
    assert refund_sending.work_through(timezone.now() + timedelta(days=1)) == 1
    assert (Refund.objects.get().status, Case.objects.count()) == (RefundStatus.SUCCEEDED, 0)


def test_refund_is_asked_for_though_its_gateway_is_gone(stripe, monkeypatch) -> None:
    payment = shop.paid(stripe)
    monkeypatch.delitem(registry.BUILDERS, "stripe")
    assert ask_for(payment).status == RefundStatus.MANUAL
    assert Case.objects.get().kind == "manual_refund"


def test_large_refund_in_small_pieces_needs_two_as_well(gateways, settings) -> None:
    settings.REFUND_ALONE_MINOR = {"XOF": 5_000}
    operator, payment = shop.make_user(), shop.paid(gateways["cinetpay"], currency="XOF")
    first = ask_for(payment, 4_000, by=operator)
    refunds_by_hand.prove(refund=first, proof="OM-1", by=operator)
    second = ask_for(payment, 2_000, by=operator)
    with pytest.raises(errors.SecondOperatorNeeded):
        refunds_by_hand.prove(refund=second, proof="OM-2", by=operator)
    assert refunds_by_hand.prove(refund=second, proof="OM-2", by=shop.make_user()).status == RefundStatus.SUCCEEDED


def test_case_of_a_refund_by_hand_closes_when_it_is_confirmed(gateways) -> None:
    operator = shop.make_user()
    refunds_by_hand.prove(refund=by_hand(gateways), proof="OM-123", by=operator)
    case = Case.objects.get()
    assert (case.kind, case.closed_at is None, case.closed_by) == ("manual_refund", False, operator)
    assert case.resolution == "The refund is over: arrived."


def test_case_of_a_refund_by_hand_closes_when_it_is_taken_back(gateways) -> None:
    refunds.cancel(refund=by_hand(gateways))
    case = Case.objects.get()
    assert (case.closed_at is None, case.closed_by, case.resolution) == (False, None, "The refund is over: cancelled.")


# ---------------------------------------------------------------- what people found out


@pytest.fixture
def lost(stripe, monkeypatch) -> Refund:
    """Sent by a worker that died, to a gateway that is gone; people have been told."""
    refund = ask_for(shop.paid(stripe))
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=timezone.now() - refunds_by_hand.LONGEST_CALL)
    monkeypatch.delitem(registry.BUILDERS, "stripe")
    refund_sending.work_through(timezone.now() + timedelta(days=1))
    assert Case.objects.open().get().kind == "still_unknown"
    return refund


def test_refund_that_people_found_arrived_is_booked_and_its_case_closed(lost) -> None:
    operator = shop.make_user()
    done = refunds_by_hand.resolve(refund=lost, has_arrived=True, proof="re_7", by=operator, note="by phone")
    case = Case.objects.get()
    assert (done.status, done.proof, done.proof_note, done.next_try_at) == ("succeeded", "re_7", "by phone", None)
    assert (case.closed_by, case.resolution) == (operator, "The refund is over: arrived.")
    assert (shop.credits_of(lost.payment.user), on("revenue:packs:EUR")) == (0, 0)
    assert checks.faults() == {}


def test_refund_that_people_found_lost_frees_what_was_held(lost) -> None:
    operator = shop.make_user()
    done = refunds_by_hand.resolve(refund=lost, has_arrived=False, proof="their support, by mail", by=operator)
    assert (done.status, done.proven_by) == (RefundStatus.FAILED, operator)
    assert shop.credits_of(lost.payment.user) == 275
    assert Event.objects.get(type="refund.failed").data["refund"] == str(lost.pk)
    failed = Case.objects.open().get()
    assert (failed.kind, failed.facts["why"]) == ("refund_failed", "their support, by mail")
    assert Case.objects.get(kind="still_unknown").closed_by == operator
    assert checks.faults() == {}


def test_gateway_that_speaks_after_all_is_believed(lost) -> None:
    operator = shop.make_user()
    refunds_by_hand.resolve(refund=lost, has_arrived=False, proof="their support", by=operator)
    cases.close(case=Case.objects.open().get(), resolution="told the customer", by=operator)
    arrived = say(lost, RefundState.SUCCEEDED)
    assert (arrived.status, arrived.proof, arrived.proven_by) == (RefundStatus.SUCCEEDED, "", None)
    case = Case.objects.open().get()
    assert (case.kind, case.facts["proof"]) == ("refund_failed", "their support")
    assert case.facts["why"] == "It arrived after it had been given up here."
    say(lost, RefundState.FAILED)  # and days later the bank sends it back
    assert Case.objects.open().count() == 2
    assert checks.faults() == {}


def test_refund_that_a_worker_may_be_sending_is_left_to_it(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    a_moment_ago = timezone.now() - refunds_by_hand.LONGEST_CALL + timedelta(minutes=1)
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=a_moment_ago)
    with pytest.raises(errors.RefundBeingSent):
        refunds_by_hand.resolve(refund=refund, has_arrived=False, proof="I think so", by=shop.make_user())
    assert Refund.objects.get().status == RefundStatus.SENDING


def test_refund_that_people_made_there_instead_is_not_booked_again(stripe) -> None:
    """Its letter names no reference of ours, but the id that was given as the proof."""
    payment = shop.paid(stripe)
    refund = ask_for(payment, 400)
    Refund.objects.update(status=RefundStatus.UNKNOWN, sent_at=timezone.now())
    refunds_by_hand.resolve(refund=refund, has_arrived=True, proof="re_9", by=shop.make_user())
    attempt = payment.attempts.get()
    heard = gateway_refunds.book(attempt=attempt, amount=Money(400, "EUR"), ids={"refund": "re_9"})
    assert (heard, Refund.objects.count()) == (refund, 1)
    assert on("revenue:packs:EUR") == 599


@pytest.mark.parametrize(
    "status", [RefundStatus.REQUESTED, RefundStatus.MANUAL, RefundStatus.FAILED, RefundStatus.CANCELLED]
)
def test_nothing_is_to_be_found_out_of_what_was_not_sent_or_is_over(stripe, status) -> None:
    refund = ask_for(shop.paid(stripe))
    Refund.objects.update(status=status)
    with pytest.raises(errors.RefundOver) as refusal:
        refunds_by_hand.resolve(refund=refund, has_arrived=True, proof="re_7", by=shop.make_user())
    assert refusal.value.state == status


def test_how_it_ended_is_not_said_without_a_proof(lost) -> None:
    with pytest.raises(errors.ReasonMissing):
        refunds_by_hand.resolve(refund=lost, has_arrived=True, proof=" ", by=shop.make_user())
    assert Refund.objects.get().status == RefundStatus.SENDING


@pytest.mark.parametrize("has_arrived", [True, False])
def test_how_a_large_refund_ended_is_said_by_a_second_operator(lost, settings, has_arrived) -> None:
    settings.REFUND_ALONE_MINOR = {"EUR": 998}
    asker = shop.make_user()
    Refund.objects.update(requested_by=asker)
    with pytest.raises(errors.SecondOperatorNeeded):
        refunds_by_hand.resolve(refund=lost, has_arrived=has_arrived, proof="re_7", by=asker)
    assert Refund.objects.get().status == RefundStatus.SENDING


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("has_arrived", [True, False])
def test_people_and_the_gateway_speak_at_once_and_the_books_hold(stripe, has_arrived) -> None:
    refund, operator = ask_for(shop.paid(stripe)), shop.make_user()
    Refund.objects.update(status=RefundStatus.PENDING, sent_at=timezone.now())
    stripe.refund_states[refund.reference] = RefundState.SUCCEEDED

    def people() -> Any:
        try:
            return refunds_by_hand.resolve(refund=refund, has_arrived=has_arrived, proof="re_7", by=operator).status
        except errors.RefundOver:
            return "over"

    def gateway() -> Any:
        return refund_sending.note(refund, RefundResult(state=RefundState.SUCCEEDED)).status

    said = run_all([people, gateway])
    assert (said[1], Refund.objects.get().status) == ("succeeded", "succeeded")
    assert on("revenue:packs:EUR") == 0
    assert checks.faults() == {}


@pytest.mark.parametrize(
    ("status", "days", "cases"),
    [
        (RefundStatus.REQUESTED, 2, 1),
        (RefundStatus.UNKNOWN, 2, 1),
        (RefundStatus.UNKNOWN, 0, 0),
        (RefundStatus.PENDING, 2, 0),
        (RefundStatus.PENDING, 15, 1),
    ],
)
def test_refund_that_hangs_is_shown_to_people_once_and_its_case_closes(stripe, status, days, cases) -> None:
    refund = ask_for(shop.paid(stripe))
    Refund.objects.update(status=status, created_at=timezone.now() - timedelta(days=days))
    stripe.silent = True
    for _ in range(2):
        Refund.objects.update(next_try_at=timezone.now())
        refund_sending.work_through()
    assert Case.objects.open().count() == cases
    stripe.silent = False
    say(refund, RefundState.SUCCEEDED)
    assert Case.objects.open().count() == 0
