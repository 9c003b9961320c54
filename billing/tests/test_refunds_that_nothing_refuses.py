"""Money that went back at the gateway itself is booked as it went, whatever our own rules would have said to it."""

from functools import partial

import pytest
from django.utils import timezone

from billing import errors, gateway_refunds, refund_sending, refunds, refunds_by_hand, reversals
from billing.gateways.base import RefundResult, RefundState
from billing.gateways.subscribing import DisputeState
from billing.models import Case, Payment, Refund
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.refunding import disputed, made_in_the_dashboard
from billing.tests.test_refunds_in_disputes import standing
from billing.tests.test_sale_payments import seller, sold
from credits import balances, usage
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from wallets.tests.people import make_rule, make_type, parts

pytestmark = pytest.mark.django_db
ALL = Money(999, "EUR")


def half_spent(stripe) -> Payment:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=138, key="before")
    return payment


def whys() -> list[str]:
    return [case.facts["why"] for case in Case.objects.open().filter(kind="refund_failed")]


@pytest.mark.parametrize(("policy", "expected"), [("full_with_debt", (0, 138, 0)), ("goodwill", (137, 0, -999))])
def test_all_of_it_is_booked_by_the_policy_of_the_shop(stripe, settings, policy, expected) -> None:
    settings.REFUND_POLICY_MADE_AT_GATEWAY = policy
    payment = half_spent(stripe)
    made = made_in_the_dashboard(stripe, payment, 999)
    assert (made.status, made.amount_minor, made.policy, whys()) == ("succeeded", 999, policy, [])
    left, owed = shop.credits_of(payment.user), balances.of(payment.user).owed
    assert (left, owed, on("loss:EUR")) == expected
    assert on("gateway:stripe:EUR") == 0
    assert checks.faults() == {}


@pytest.mark.parametrize("policy", ["proportional", "unspent_only"])
@pytest.mark.parametrize("is_disputed", [False, True])
def test_policy_that_would_give_less_back_is_at_our_cost(stripe, settings, policy, is_disputed) -> None:
    """No start takes such a word; what has gone would still be booked as it went."""
    settings.REFUND_POLICY_MADE_AT_GATEWAY = policy
    payment = half_spent(stripe)
    if is_disputed:
        disputed(payment, DisputeState.NEEDS_RESPONSE)
    made = made_in_the_dashboard(stripe, payment, 999)
    if is_disputed:
        disputed(payment, DisputeState.WON)
        made = refund_sending.ask(made)
    assert (made.status, made.amount_minor, made.policy, made.lines) == ("succeeded", 999, "goodwill", {})
    assert (standing(payment), on("loss:EUR"), len(whys())) == ((137, 999, 0), -999, 1)
    assert checks.faults() == {}


def test_more_than_is_left_is_at_our_cost_and_shown_to_people(stripe) -> None:
    payment = shop.paid(stripe)
    made = [made_in_the_dashboard(stripe, payment, 700, name) for name in ("re_one", "re_two")]
    book = partial(gateway_refunds.book, attempt=payment.attempts.get(), amount=Money(700, "EUR"))
    assert [book(ids=each.gateway_ids) for each in made] == made  # told again
    assert [(each.status, each.policy) for each in Refund.objects.order_by("id")] == [
        ("succeeded", "full_with_debt"),
        ("succeeded", "goodwill"),
    ]
    assert (standing(payment), on("loss:EUR")) == ((275 - 275 * 700 // 999, 299, 401), -700)
    assert len(whys()) == 1
    assert checks.faults() == {}


def test_what_comes_back_after_all_gives_no_credits_again(stripe) -> None:
    payment = shop.paid(stripe)
    made = [made_in_the_dashboard(stripe, payment, 999, name) for name in ("re_one", "re_two")]
    refunds.note(refund=made[1], result=RefundResult(state=RefundState.FAILED))
    assert (standing(payment), on("loss:EUR")) == ((0, 0, 0), 0)
    assert checks.faults() == {}


@pytest.mark.parametrize("status", ["requested", "sending", "pending", "manual", "unknown"])
def test_it_waits_for_one_of_ours_that_may_leave_room_for_it(stripe, status) -> None:
    payment = half_spent(stripe)
    refunds.request(payment=payment, policy=RefundPolicy.FULL_WITH_DEBT, reason="not delivered")
    Refund.objects.update(status=status)
    with pytest.raises(errors.NotRefundable):
        gateway_refunds.book(attempt=payment.attempts.get(), amount=ALL, ids={"refund": "re_dash"})
    assert (Refund.objects.count(), Case.objects.exists()) == (1, False)
    refunds.note(refund=Refund.objects.get(), result=RefundResult(state=RefundState.FAILED))
    made = made_in_the_dashboard(stripe, payment, 999)
    assert (made.status, made.policy, made.credits_owed) == ("succeeded", "full_with_debt", 138)
    assert (standing(payment), balances.of(payment.user).owed) == ((0, 0, 0), 138)
    assert checks.faults() == {}


def test_what_people_may_have_proven_in_other_words_is_theirs_to_look_at(stripe) -> None:
    payment = shop.paid(stripe)
    ours = refunds.request(payment=payment, reason="not delivered")
    Refund.objects.update(status="unknown")
    refunds_by_hand.resolve(refund=ours, has_arrived=True, proof="their support, by mail", by=shop.make_user())
    with pytest.raises(errors.NotRefundable):
        gateway_refunds.book(attempt=payment.attempts.get(), amount=ALL, ids={"refund": "re_dash"})
    assert (Refund.objects.count(), standing(payment), on("loss:EUR")) == (1, (0, 0, 0), 0)
    assert checks.faults() == {}


def test_other_money_is_not_booked(stripe) -> None:
    payment = shop.paid(stripe)
    with pytest.raises(errors.RefundTooLarge):
        gateway_refunds.book(attempt=payment.attempts.get(), amount=Money(400, "USD"), ids={"refund": "re_dash"})
    assert (Refund.objects.count(), Case.objects.count(), standing(payment)) == (0, 0, (275, 999, -999))


def test_reversal_of_what_was_refunded_is_the_disputes_when_that_is_heard_of(stripe) -> None:
    payment = shop.paid(stripe)
    made_in_the_dashboard(stripe, payment, 999, "re_one")
    attempt, ids = payment.attempts.get(), {"refund": "re_taken"}
    taken = reversals.book(attempt=attempt, amount=ALL, ids=ids, at=timezone.now())
    assert taken is not None
    refunds.note(refund=taken, result=RefundResult(state=RefundState.SUCCEEDED))
    assert (on("loss:EUR"), len(whys())) == (-999, 1)
    disputed(payment, DisputeState.LOST)
    assert (standing(payment), on("loss:EUR"), whys()) == ((0, 0, 999), -999, [])
    assert checks.faults() == {}


def test_more_than_is_left_of_a_sale_takes_no_more_of_its_seller(stripe) -> None:
    make_type()
    make_rule(basis_points=1_000)
    payment = sold(stripe)
    for name in ("re_one", "re_two"):
        made_in_the_dashboard(stripe, payment, 3_000, name)
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (900, 100, -3_000)
    assert (on("gateway:stripe:EUR"), len(whys())) == (2_000, 1)
    assert checks.faults() == {}
