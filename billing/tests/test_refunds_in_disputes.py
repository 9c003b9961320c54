"""Somebody gives money back in the gateway's own dashboard while the buyer's bank wants it as well."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing import disputes, refund_sending, refunds
from billing.gateways.base import RefundState
from billing.gateways.subscribing import DisputeResult, DisputeState
from billing.models import Case, Payment, Refund
from billing.tests import shop
from credits import usage
from events.models import Event
from ledger import checks
from ledger.money import Money

pytestmark = pytest.mark.django_db


def disputed(payment: Payment, state: DisputeState) -> None:
    result = DisputeResult(id="dp_1", state=state, amount=Money(999, "EUR"), reason="fraudulent")
    disputes.note(attempt=payment.attempts.get(), result=result)


def made_in_the_dashboard(stripe, payment: Payment, minor: int = 400, name: str = "re_dash") -> Refund:
    refund = refunds.book_made_at_gateway(
        attempt=payment.attempts.get(), amount=Money(minor, "EUR"), ids={"refund": name}
    )
    stripe.refund_states[refund.reference] = RefundState.SUCCEEDED
    refund_sending.ask(refund)
    return Refund.objects.get(pk=refund.pk)


def standing(payment: Payment) -> tuple[int, int, int]:
    names = ("revenue:packs:EUR", "gateway:stripe:EUR")
    return shop.credits_of(payment.user), shop.balance(names[0]), shop.balance(names[1])


def test_refund_made_during_a_dispute_waits_and_moves_nothing(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    refund = made_in_the_dashboard(stripe, payment)
    assert (refund.status, refund.lines, refund.credits_due) == ("pending", {}, 0)
    assert standing(payment) == (0, 999, -999)
    assert refund.next_try_at is not None
    assert refund.next_try_at > timezone.now() + timedelta(hours=5)
    assert not Event.objects.filter(type="payment.refunded").exists()
    assert checks.faults() == {}


@pytest.mark.parametrize(
    ("end", "expected", "policy"),
    [
        (DisputeState.WON, (165, 599, -599), "full_with_debt"),
        # The bank has taken 999 and we have sent 400 besides: the second is our loss like the first.
        (DisputeState.LOST, (0, 999, 400), "goodwill"),
    ],
)
def test_refund_made_during_a_dispute_is_booked_when_that_is_over(stripe, end, expected, policy) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment)
    disputed(payment, end)
    for _ in range(2):
        refund_sending.work_through()
    refund = Refund.objects.get()
    assert (refund.status, refund.policy) == ("succeeded", policy)
    assert standing(payment) == expected
    assert shop.balance("loss:EUR") == (-1_399 if end is DisputeState.LOST else 0)
    assert Event.objects.filter(type="payment.refunded").count() == 1
    assert checks.faults() == {}


def test_credits_that_are_spent_by_then_become_a_debt(stripe) -> None:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=200, key="before")
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment, 999)
    disputed(payment, DisputeState.WON)
    refund_sending.work_through()
    refund = Refund.objects.get()
    assert (refund.status, sum(refund.lines.values()), refund.credits_owed) == ("succeeded", 75, 200)
    assert checks.faults() == {}


def test_refund_that_waits_counts_against_what_can_be_refunded(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment)
    disputed(payment, DisputeState.WON)
    assert refunds.preview(payment=payment).refundable == 599


def test_more_than_is_left_is_booked_at_our_cost_and_shown_to_people(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment, 700, "re_one")
    made_in_the_dashboard(stripe, payment, 700, "re_two")
    disputed(payment, DisputeState.WON)
    refund_sending.work_through()
    assert [each.status for each in Refund.objects.all()] == ["succeeded", "succeeded"]
    assert shop.balance("gateway:stripe:EUR") == 401
    assert Case.objects.filter(kind="refund_failed").exists()
    assert checks.faults() == {}


def test_refund_made_after_a_lost_dispute_is_our_loss(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.LOST)
    refund = made_in_the_dashboard(stripe, payment)
    assert (refund.status, refund.policy, refund.lines) == ("succeeded", "goodwill", {})
    assert (shop.balance("loss:EUR"), shop.balance("revenue:packs:EUR")) == (-1_399, 999)
    assert checks.faults() == {}
