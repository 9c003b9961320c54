"""A dispute is lost while a refund of the same money is under way, or has arrived; then that refund ends badly."""

from typing import Any

import pytest

from billing import invoices, refund_sending, refunds, usage_invoices
from billing.gateways.base import RefundResult, RefundState
from billing.gateways.subscribing import DisputeState
from billing.models import Invoice, Payment, Refund
from billing.models.refunds import RefundPolicy, RefundStatus
from billing.tests import shop
from billing.tests.papers import known, later
from billing.tests.refunding import ask_for, disputed, say
from billing.tests.test_sale_payments import TICKET, rules, seller, sold
from credits import balances, usage
from credits.models import Grant
from events.models import Event
from ledger import checks
from ledger.tests.books import on
from wallets import sales
from wallets.models import CommissionRule, WhenWithdrawn
from wallets.tests import people
from wallets.tests.people import available, parts

__all__ = ["rules"]
pytestmark = pytest.mark.django_db


def lost(payment: Payment, minor: int | None = None, name: str = "dp_1") -> None:
    for state in (DisputeState.NEEDS_RESPONSE, DisputeState.LOST):
        disputed(payment, state, minor, name)


def arrived(payment: Payment, minor: int | None = None, policy: RefundPolicy | None = None) -> Refund:
    made = ask_for(payment, minor, policy=policy)
    refund_sending.send(made)
    made.refresh_from_db()
    assert made.status == RefundStatus.SUCCEEDED
    return made


def fails(made: Refund) -> None:
    refunds.note(refund=made, result=RefundResult(state=RefundState.FAILED))


def taken_back(made: Refund) -> None:
    refunds.cancel(refund=made)


ENDS = pytest.mark.parametrize("ends", [fails, taken_back])


# ---------------------------------------------------------------- packs


@ENDS
def test_credits_that_a_refund_gives_free_go_to_the_dispute_that_was_lost_meanwhile(stripe, ends: Any) -> None:
    payment = shop.paid(stripe)
    made = ask_for(payment)
    lost(payment)
    ends(made)
    assert (shop.credits_of(payment.user), Grant.objects.filter(is_open=True).exists()) == (0, False)
    assert (on("loss:EUR"), on("revenue:packs:EUR"), on("gateway:stripe:EUR")) == (
        -999,
        999,
        0,
    )
    ends_again = RefundResult(state=RefundState.FAILED)
    refunds.note(refund=made, result=ends_again)
    assert checks.faults() == {}


def test_dispute_about_a_part_takes_no_more_than_that_of_what_comes_free(stripe) -> None:
    payment = shop.paid(stripe)
    made = ask_for(payment)
    lost(payment, 500)  # 137 of the 275 credits
    fails(made)
    assert shop.credits_of(payment.user) == 138
    bonus = Grant.objects.get(account__name=f"grant:payment:{payment.pk}:bonus")
    assert bonus.account.balance == 0
    assert checks.faults() == {}


def test_each_lost_dispute_takes_its_part_of_what_comes_free(stripe) -> None:
    payment = shop.paid(stripe)
    made = ask_for(payment)
    lost(payment, 500)
    lost(payment, 300, "dp_2")
    fails(made)
    assert shop.credits_of(payment.user) == 275 - 137 - 82
    assert checks.faults() == {}


def test_credits_that_come_free_are_the_disputes_before_they_repay_a_debt(stripe) -> None:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=275, key="all of it")
    other = shop.paid(stripe, payment.user)
    made = ask_for(other)
    lost(other)
    arrived(payment, policy=RefundPolicy.FULL_WITH_DEBT)
    assert balances.of(payment.user).owed == 275
    fails(made)
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 275)
    assert checks.faults() == {}


def test_credits_of_a_refund_that_came_back_go_to_the_dispute_that_was_lost_meanwhile(stripe) -> None:
    payment = shop.paid(stripe)
    made = arrived(payment)
    lost(payment)
    fails(made)
    assert shop.credits_of(payment.user) == 0
    assert (on("loss:EUR"), on("gateway:stripe:EUR")) == (-999, 0)
    assert checks.faults() == {}


def test_debt_of_a_refund_that_came_back_is_forgiven_though_the_dispute_was_lost(stripe) -> None:
    """A bank that takes the money makes no debt of what was spent."""
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=75, key="s-1")
    made = arrived(payment, policy=RefundPolicy.FULL_WITH_DEBT)
    lost(payment)
    fails(made)
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 0)
    assert checks.faults() == {}


def test_refund_that_fails_after_the_dispute_was_won_gives_its_credits_free(stripe) -> None:
    payment = shop.paid(stripe)
    made = ask_for(payment)
    disputed(payment, DisputeState.WON)
    fails(made)
    assert shop.credits_of(payment.user) == 275


# ---------------------------------------------------------------- packs that are taxed when they are used


@pytest.mark.parametrize("begins", [ask_for, arrived])
def test_what_was_never_taxed_is_owed_to_nobody_when_the_refund_of_it_ends_badly(stripe, at_use, begins: Any) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    made = begins(payment)
    lost(payment)
    fails(made)
    names = ("vouchers", "loss", "gateway:stripe")
    assert [on(f"{name}:EUR") for name in names] == [0, 0, 0]
    assert usage_invoices.issue_due(now=later()) == 0
    assert checks.faults() == {}


def test_refund_that_arrives_after_the_dispute_has_taken_what_was_never_taxed_is_our_loss(stripe, at_use) -> None:
    other, payment = shop.paid(stripe, known()), shop.paid(stripe, known())
    made = ask_for(payment)
    lost(payment)
    say(made, RefundState.SUCCEEDED)
    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    assert (on("vouchers:EUR"), on("loss:EUR")) == (other.amount_minor, -999)
    assert checks.faults() == {}


def test_refund_that_arrives_after_a_part_was_lost_takes_what_that_left_untaxed(stripe, at_use) -> None:
    payment = shop.paid(stripe, known())
    made = ask_for(payment)
    lost(payment, 400)
    say(made, RefundState.SUCCEEDED)
    assert (on("vouchers:EUR"), on("loss:EUR")) == (0, -400)
    assert checks.faults() == {}


def test_what_came_back_and_arrived_again_takes_nothing_that_waits_for_others(stripe, at_use) -> None:
    other, payment = shop.paid(stripe, known()), shop.paid(stripe, known())
    invoices.issue_missing()
    made = arrived(payment, 499)
    usage.spend(user=payment.user, amount=shop.credits_of(payment.user), key="s-1")
    lost(payment)
    fails(made)
    assert on("vouchers:EUR") == other.amount_minor
    assert usage_invoices.issue_due(now=later()) == 0  # the bank has that money
    say(made, RefundState.SUCCEEDED)
    assert on("vouchers:EUR") == other.amount_minor
    assert checks.faults() == {}


def test_what_arrives_again_after_a_loss_corrects_no_month(stripe, at_use) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue_missing()
    usage.spend(user=payment.user, amount=275, key="s-1")
    assert usage_invoices.issue_due(now=later()) == 1
    made = arrived(payment, policy=RefundPolicy.FULL_WITH_DEBT)
    invoices.issue_missing()
    fails(made)
    lost(payment)
    invoices.issue_missing()
    papers = Invoice.objects.count()
    say(made, RefundState.SUCCEEDED)
    invoices.issue_missing()
    assert (on("tax:EUR"), Refund.objects.get().tax_minor) == (167, 0)
    assert Invoice.objects.count() == papers
    assert checks.faults() == {}


# ---------------------------------------------------------------- what sellers sold


@ENDS
def test_sale_that_a_refund_gives_free_bears_the_loss_of_the_dispute(stripe, ends: Any) -> None:
    payment = sold(stripe)
    made = ask_for(payment)
    lost(payment)
    assert on("loss:EUR") == -4_000
    ends(made)
    assert people.everything() == {}
    assert Event.objects.filter(type="sale.refunded").count() == 1
    assert checks.faults() == {}


def test_sale_whose_refund_came_back_bears_the_loss_of_the_dispute(stripe) -> None:
    payment = sold(stripe, TICKET, TICKET | {"seller": "organizer-2", "amount": 1_000})
    made = arrived(payment)
    lost(payment)
    fails(made)
    assert people.everything() == {}
    assert checks.faults() == {}


def test_dispute_about_a_part_of_a_sale_leaves_the_seller_the_rest(stripe) -> None:
    payment = sold(stripe)
    made = ask_for(payment)
    lost(payment, 1_000)
    fails(made)
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (2_700, 300, 0)
    assert checks.faults() == {}


@pytest.mark.parametrize("begins", [ask_for, arrived])
def test_sale_bears_the_loss_before_it_repays_its_sellers_other_debt(stripe, begins: Any) -> None:
    CommissionRule.objects.update(when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor=5_000, currency="EUR")
    payment, other = sold(stripe), sold(stripe)
    sales.release_due(people.FAR_AWAY)
    made = begins(payment)
    people.withdraw(seller(payment), 3_600)
    arrived(other, policy=RefundPolicy.FULL_WITH_DEBT)
    assert (available(seller(payment)), parts(seller(payment))["debt"]) == (0, -3_600)
    lost(payment)
    fails(made)
    assert (available(seller(payment)), parts(seller(payment))["debt"], on("loss:EUR")) == (0, -3_600, 0)
    assert checks.faults() == {}
