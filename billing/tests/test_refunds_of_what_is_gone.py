"""Refunds of credits that nobody has spent and that are not there any more: revoked by hand, or expired."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from billing import errors, refunds
from billing.models import Payment
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.refunding import refunded
from credits import balances, grants, usage
from credits.models import Grant
from ledger import checks

pytestmark = pytest.mark.django_db


def its_grants(payment: Payment) -> list[Grant]:
    return list(Grant.objects.filter(account__name__startswith=f"grant:payment:{payment.pk}").order_by("pk"))


def revoked(payment: Payment) -> None:
    for grant in its_grants(payment):
        grants.revoke(grant=grant, reason="support")


def expired(payment: Payment) -> None:
    over(payment)
    grants.expire_due()


def over(payment: Payment) -> None:
    """No sweep has come by yet."""
    for grant in its_grants(payment):
        Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(hours=1))


@pytest.mark.parametrize("goes", [revoked, expired, over])
def test_credits_that_nobody_spent_become_no_debt(stripe, goes: Callable[[Payment], None]) -> None:
    payment = shop.paid(stripe)
    goes(payment)
    other = shop.paid(stripe, payment.user)
    plan = refunds.preview(payment=payment, policy=RefundPolicy.FULL_WITH_DEBT)
    assert (plan.credits_due, plan.taken, plan.gone, plan.owed) == (275, 0, 275, 0)
    assert refunded(payment, policy=RefundPolicy.FULL_WITH_DEBT).amount_minor == 999
    assert (shop.credits_of(other.user), balances.of(other.user).owed) == (275, 0)
    assert checks.faults() == {}


def test_only_what_was_spent_is_owed(stripe) -> None:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=100, key="s-1")
    revoked(payment)
    refund = refunded(payment, policy=RefundPolicy.FULL_WITH_DEBT)
    assert (refund.credits_due, refund.lines, refund.credits_owed) == (275, {}, 100)
    assert balances.of(payment.user).owed == 100


def test_two_refunds_owe_together_what_one_would(stripe) -> None:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=100, key="s-1")
    grants.adjust(user=payment.user, amount=-50, key="a-1", reason="a mistake of ours")
    halves = [refunded(payment, minor, policy=RefundPolicy.FULL_WITH_DEBT) for minor in (500, 499)]
    assert [sum(half.lines.values()) for half in halves] == [125, 0]
    assert sum(half.credits_owed for half in halves) == 100
    assert balances.of(payment.user).owed == 100
    assert checks.faults() == {}


@pytest.mark.parametrize("policy", [RefundPolicy.UNSPENT_ONLY, RefundPolicy.PROPORTIONAL])
def test_what_was_revoked_has_come_back_to_us_already(stripe, policy) -> None:
    payment = shop.paid(stripe)
    revoked(payment)
    refund = refunded(payment, policy=policy)
    assert (refund.amount_minor, refund.lines, refund.credits_owed) == (999, {}, 0)


def test_proportional_refund_counts_what_was_revoked_as_left_once(stripe) -> None:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=100, key="s-1")
    revoked(payment)
    assert refunded(payment, 400).amount_minor == 400  # 110 of the 175 credits
    assert refunded(payment).amount_minor == 635 - 400  # what all 175 stand for
    with pytest.raises(errors.CreditsSpent):
        refunds.preview(payment=payment)


@pytest.mark.parametrize("policy", [RefundPolicy.UNSPENT_ONLY, RefundPolicy.PROPORTIONAL])
def test_price_of_what_expired_stays_ours_unless_somebody_decides_otherwise(stripe, policy) -> None:
    payment = shop.paid(stripe)
    expired(payment)
    with pytest.raises(errors.CreditsSpent) as refusal:
        refunds.preview(payment=payment, policy=policy)
    assert (refusal.value.missing, refusal.value.refundable) == (275, 0)
    assert "spent or expired" in str(refusal.value)
