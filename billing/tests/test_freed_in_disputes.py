"""A refund ends badly while a dispute about the same money is open: what comes free of it is frozen with the rest."""

from typing import Any

import pytest

from billing.gateways.base import RefundState
from billing.gateways.subscribing import DisputeState
from billing.models import Payment
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.refunding import ask_for, disputed, say
from billing.tests.test_dispute_losses import arrived, fails, lost, taken_back
from billing.tests.test_sale_payments import TICKET, rules, seller, sold
from credits import balances, usage
from credits.models import Grant
from ledger import checks
from ledger.tests.books import on
from wallets import sales
from wallets.models import CommissionRule, WhenWithdrawn
from wallets.tests import people
from wallets.tests.people import available, parts

__all__ = ["rules"]
pytestmark = pytest.mark.django_db


def opened(payment: Payment, minor: int | None = None, name: str = "dp_1") -> None:
    disputed(payment, DisputeState.NEEDS_RESPONSE, minor, name)


ENDS = pytest.mark.parametrize(("begins", "ends"), [(ask_for, fails), (ask_for, taken_back), (arrived, fails)])


# ---------------------------------------------------------------- what sellers sold


@ENDS
def test_sale_that_comes_free_during_a_dispute_is_frozen_and_bears_its_loss(stripe, begins: Any, ends: Any) -> None:
    payment = sold(stripe, TICKET, TICKET | {"seller": "organizer-2", "amount": 1_000})
    made = begins(payment)
    opened(payment)
    ends(made)
    sales.release_due(people.FAR_AWAY)
    assert [available(seller(payment, number)) for number in (0, 1)] == [0, 0]
    disputed(payment, DisputeState.LOST)
    assert people.everything() == {}
    assert checks.faults() == {}


@ENDS
def test_sale_that_came_free_during_a_dispute_is_free_when_it_is_won(stripe, begins: Any, ends: Any) -> None:
    payment = sold(stripe)
    made = begins(payment)
    opened(payment)
    ends(made)
    disputed(payment, DisputeState.WON)
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (3_600, 400, 0)
    sales.release_due(people.FAR_AWAY)
    assert available(seller(payment)) == 3_600
    assert checks.faults() == {}


@ENDS
def test_dispute_about_a_part_freezes_no_more_than_that_of_what_comes_free(stripe, begins: Any, ends: Any) -> None:
    payment = sold(stripe)
    made = begins(payment, 3_500)
    opened(payment, 1_000)  # 500 are left, and 500 come free
    ends(made)
    assert people.wallet_of(seller(payment)).pending.held == 900
    disputed(payment, DisputeState.LOST, 1_000)
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (2_700, 300, 0)
    assert checks.faults() == {}


def test_refund_that_comes_free_twice_is_frozen_twice(stripe) -> None:
    payment = sold(stripe)
    made = ask_for(payment)
    opened(payment, 1_000)
    fails(made)
    say(made, RefundState.SUCCEEDED)  # after all: the sellers pay of what the dispute has left
    say(made, RefundState.FAILED)
    disputed(payment, DisputeState.LOST, 1_000)
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (2_700, 300, 0)
    assert checks.faults() == {}


def test_each_open_dispute_freezes_its_part_of_what_comes_free(stripe) -> None:
    payment = sold(stripe)
    made = ask_for(payment)
    opened(payment, 1_000)
    opened(payment, 2_000, "dp_2")
    fails(made)
    disputed(payment, DisputeState.WON, 1_000)
    sales.release_due(people.FAR_AWAY)
    assert available(seller(payment)) == 0  # the rest of a sale waits for what is held of it
    disputed(payment, DisputeState.LOST, 2_000, "dp_2")
    sales.release_due(people.FAR_AWAY)
    assert (available(seller(payment)), on("commission:EUR"), on("loss:EUR")) == (1_800, 200, 0)
    assert checks.faults() == {}


@pytest.mark.parametrize("begins", [ask_for, arrived])
def test_what_comes_free_is_frozen_before_it_repays_its_sellers_other_debt(stripe, begins: Any) -> None:
    CommissionRule.objects.update(when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor=5_000, currency="EUR")
    payment, other = sold(stripe), sold(stripe)
    sales.release_due(people.FAR_AWAY)
    made = begins(payment)
    people.withdraw(seller(payment), 3_600)
    arrived(other, policy=RefundPolicy.FULL_WITH_DEBT)
    assert (available(seller(payment)), parts(seller(payment))["debt"]) == (0, -3_600)
    opened(payment)
    fails(made)
    disputed(payment, DisputeState.LOST)
    assert (available(seller(payment)), parts(seller(payment))["debt"], on("loss:EUR")) == (0, -3_600, 0)
    assert checks.faults() == {}


@pytest.mark.parametrize("lost_first", [False, True])
def test_what_a_won_dispute_gives_free_is_that_of_another(stripe, lost_first: bool) -> None:
    """The first one had frozen all there was when the second was heard of."""
    payment = sold(stripe)
    opened(payment)
    opened(payment, name="dp_2")
    ends = [(DisputeState.WON, "dp_1"), (DisputeState.LOST, "dp_2")]
    for end, name in reversed(ends) if lost_first else ends:
        disputed(payment, end, name=name)
        sales.release_due(people.FAR_AWAY)
        assert available(seller(payment)) == 0
    assert people.everything() == {}
    assert checks.faults() == {}


# ---------------------------------------------------------------- packs


@pytest.mark.parametrize(("end", "left"), [(DisputeState.WON, 275), (DisputeState.LOST, 0)])
def test_credits_that_a_refund_gives_back_during_a_dispute_are_frozen(stripe, end: DisputeState, left: int) -> None:
    payment = shop.paid(stripe)
    made = arrived(payment)
    opened(payment)
    fails(made)
    assert shop.credits_of(payment.user) == 0
    disputed(payment, end)
    assert shop.credits_of(payment.user) == left
    assert not Grant.objects.filter(frozen_at__isnull=False).exists()
    assert checks.faults() == {}


def owes_for_another(stripe: Any, payment: Payment) -> None:
    other = shop.paid(stripe, payment.user)
    usage.spend(user=payment.user, amount=275, key="all of it")
    arrived(other, policy=RefundPolicy.FULL_WITH_DEBT)
    assert balances.of(payment.user).owed == 275


def test_credits_given_back_during_a_dispute_repay_a_debt_when_it_is_won(stripe) -> None:
    payment = shop.paid(stripe)
    made = arrived(payment)
    owes_for_another(stripe, payment)
    opened(payment)
    fails(made)
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 275)
    disputed(payment, DisputeState.WON)
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 0)
    assert checks.faults() == {}


def test_credits_given_back_are_the_lost_disputes_before_they_repay_a_debt(stripe) -> None:
    payment = shop.paid(stripe)
    made = arrived(payment)
    lost(payment)
    owes_for_another(stripe, payment)
    fails(made)
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 275)
    assert checks.faults() == {}


def test_what_a_dispute_about_a_part_leaves_of_what_is_given_back_repays_a_debt(stripe) -> None:
    payment = shop.paid(stripe)
    made = arrived(payment)
    lost(payment, 500)  # 137 of the 275 credits
    owes_for_another(stripe, payment)
    fails(made)
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 137)
    assert checks.faults() == {}
