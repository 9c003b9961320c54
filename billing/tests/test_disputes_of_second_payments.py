"""A second payment that is refunded and disputed: whatever fails and arrives, its money is lost once at most, and what
nobody has a right to waits in suspense."""

import pytest
from django.utils import timezone

from billing import disputes, fulfilment, refund_sending
from billing.gateways.base import RefundState
from billing.gateways.subscribing import DisputeResult, DisputeState
from billing.models import Attempt, Case, Refund
from billing.models.payments import AttemptState
from billing.models.refunds import RefundStatus
from billing.tests import shop
from billing.tests.fakes import Sold
from billing.tests.refunding import say
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db
OPEN, LOST = DisputeState.NEEDS_RESPONSE, DisputeState.LOST
GONE, FAILED = RefundState.SUCCEEDED, RefundState.FAILED


@pytest.fixture
def twice(stripe) -> Attempt:
    """The second payment of a pack, which stands aside."""
    payment = shop.paid(stripe)
    second = Attempt.objects.create(
        payment=payment, gateway="stripe", state=AttemptState.SURPLUS, paid_at=timezone.now()
    )
    fulfilment.book_surplus(payment=payment, attempt=second)
    stripe.sold[second.reference] = Sold(amount=payment.money)
    return second


def told(attempt: Attempt, state: DisputeState, minor: int = 999, name: str = "dp_1") -> None:
    said = DisputeResult(id=name, state=state, amount=Money(minor, "EUR"), reason="duplicate")
    disputes.note(attempt=Attempt.objects.get(pk=attempt.pk), result=said)


def begun(attempt: Attempt) -> Refund:
    made = refund_sending.return_surplus(attempt)
    assert made is not None
    return made


def books() -> tuple[int, int, int]:
    """In suspense, lost, and what the gateway owes us less the good payment."""
    return on("suspense:EUR"), on("loss:EUR"), on("gateway:stripe:EUR") + 999


def troubles() -> list[str]:
    return [case.facts["amount"] for case in Case.objects.filter(kind="refund_failed")]


def test_refund_that_fails_after_the_dispute_was_lost_leaves_nothing_to_give_back(twice) -> None:
    made = begun(twice)
    told(twice, LOST)
    assert books() == (999, -999, 0)
    for _ in range(2):
        say(made, FAILED)
    assert (books(), troubles()) == ((0, 0, 0), [])
    assert shop.credits_of(twice.payment.user) == 275
    assert checks.faults() == {}


def test_refund_that_comes_back_after_the_dispute_was_lost_is_no_loss_any_more(twice) -> None:
    made = begun(twice)
    say(made, GONE)
    told(twice, LOST)
    assert books() == (0, -999, 999)
    say(made, FAILED)
    assert (books(), troubles()) == ((0, 0, 0), [])
    assert checks.faults() == {}


def test_refund_that_arrives_after_all_is_lost_and_found_as_often_as_it_moves(twice) -> None:
    made = begun(twice)
    told(twice, LOST)
    for _ in range(2):
        say(made, FAILED)
        assert books() == (0, 0, 0)
        say(made, GONE)
        assert books() == (0, -999, 999)
        say(made, FAILED)
        assert books() == (0, 0, 0)
        say(made, GONE)
    assert checks.faults() == {}


def test_what_a_dispute_about_a_part_leaves_is_for_people_to_give_back(twice) -> None:
    made = begun(twice)
    told(twice, LOST, 400)
    say(made, FAILED)
    assert (books(), troubles()) == ((599, 0, -599), ["5.99 EUR"])
    assert checks.faults() == {}


def test_each_lost_dispute_bears_its_part_of_what_came_free(twice) -> None:
    made = begun(twice)
    told(twice, LOST, 400)
    told(twice, LOST, 500, "dp_2")
    say(made, GONE)
    assert books() == (0, -900, 900)
    say(made, FAILED)
    assert (books(), troubles()) == ((99, 0, -99), ["0.99 EUR"])
    assert checks.faults() == {}


def test_dispute_that_has_taken_it_from_suspense_takes_no_other_money_later(twice) -> None:
    """Lost before anybody refunded: what is refunded in the dashboard afterwards has left twice."""
    told(twice, LOST)
    assert books() == (0, 0, 0)
    made = begun(twice)
    say(made, GONE)
    assert books() == (0, -999, 999)
    say(made, FAILED)
    assert (books(), troubles()) == ((0, 0, 0), [])
    assert checks.faults() == {}


def test_refund_that_fails_while_the_dispute_is_open_waits_in_suspense(twice) -> None:
    made = begun(twice)
    told(twice, OPEN)
    say(made, FAILED)
    assert (books()[0], troubles()) == (999, ["9.99 EUR"])
    told(twice, LOST)
    assert books() == (0, 0, 0)
    assert checks.faults() == {}


def test_refund_that_waits_is_not_sent_after_the_dispute_was_lost(stripe, twice) -> None:
    made = begun(twice)
    told(twice, LOST)
    refund_sending.work_through()
    made.refresh_from_db()
    assert (made.status, [each for each in stripe.asked if each.startswith("refund ")]) == (RefundStatus.CANCELLED, [])
    assert books() == (0, 0, 0)
    refund_sending.work_through()
    assert Refund.objects.count() == 1
    assert checks.faults() == {}


def test_dispute_about_the_good_payment_holds_no_refund_of_the_second_one_back(stripe, twice) -> None:
    made = begun(twice)
    told(twice.payment.attempts.get(state=AttemptState.SUCCEEDED), OPEN)
    refund_sending.send(made)
    made.refresh_from_db()
    assert made.status == RefundStatus.SUCCEEDED
