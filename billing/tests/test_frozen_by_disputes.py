"""What a dispute freezes: also what is empty at that moment and fills again, and nothing that somebody else froze."""

from importlib import import_module

import pytest
from django.db import connection

from billing import refund_sending, refunds
from billing.gateways.base import RefundResult, RefundState
from billing.gateways.subscribing import DisputeState
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.refunding import disputed
from credits import balances, grants, holds, usage
from credits.models import Grant
from events.models import Event
from ledger import checks
from ledger.money import Money

pytestmark = pytest.mark.django_db


def test_grant_that_was_emptied_while_frozen_is_free_when_the_dispute_is_won(stripe) -> None:
    payment = shop.paid(stripe)
    held = holds.reserve(user=payment.user, amount=275, key="h")
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    spent = holds.settle(hold=held.id)
    disputed(payment, DisputeState.WON)
    usage.reverse(spend=spent.id, key="r", amount=50)
    assert shop.credits_of(payment.user) == 50
    assert not Grant.objects.filter(frozen_at__isnull=False).exists()
    assert checks.faults() == {}


@pytest.mark.parametrize(("end", "left"), [(DisputeState.WON, 50), (DisputeState.LOST, 0)])
def test_spend_that_comes_back_during_a_dispute_is_frozen_with_the_rest(stripe, end, left: int) -> None:
    payment = shop.paid(stripe)
    spent = usage.spend(user=payment.user, amount=275, key="s")
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    usage.reverse(spend=spent.id, key="r", amount=50)
    assert shop.credits_of(payment.user) == 0
    disputed(payment, end)
    assert shop.credits_of(payment.user) == left
    assert not Grant.objects.filter(frozen_at__isnull=False).exists()
    assert checks.faults() == {}


def test_freezing_what_is_empty_is_told_to_nobody(stripe) -> None:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=275, key="s")
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    disputed(payment, DisputeState.WON)
    assert not Event.objects.filter(type="credits.adjusted").exists()


def test_dispute_that_is_won_thaws_nothing_that_an_operator_froze(stripe) -> None:
    payment = shop.paid(stripe)
    paid = Grant.objects.get(account__name=f"grant:payment:{payment.pk}")
    grants.freeze(grant=paid, reason="looked at")
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    disputed(payment, DisputeState.WON)
    assert shop.credits_of(payment.user) == 25  # the bonus, which only the dispute had frozen
    grants.unfreeze(grant=paid, reason="all is well")
    assert shop.credits_of(payment.user) == 275


@pytest.mark.parametrize(("taken", "left", "amount"), [("pack", "bonus", 25), ("bonus", "pack", 250)])
@pytest.mark.parametrize("is_before", [True, False], ids=["before the dispute", "during it"])
def test_grant_that_an_operator_took_back_keeps_no_other_from_being_frozen_and_thawed(
    stripe, is_before: bool, taken: str, left: str, amount: int
) -> None:
    payment = shop.paid(stripe)
    if is_before:
        grants.revoke(grant=Grant.objects.get(source=taken), reason="a mistake")
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    if not is_before:
        grants.revoke(grant=Grant.objects.get(source=taken), reason="a mistake")
    frozen = Grant.objects.filter(frozen_at__isnull=False, revoked_at__isnull=True)
    assert (list(frozen.values_list("source", flat=True)), shop.credits_of(payment.user)) == ([left], 0)
    assert disputed(payment, DisputeState.WON).state == "won"
    assert shop.credits_of(payment.user) == amount
    assert not frozen.exists()
    assert checks.faults() == {}


def test_operator_may_thaw_what_a_dispute_froze(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    paid = Grant.objects.get(account__name=f"grant:payment:{payment.pk}")
    grants.unfreeze(grant=paid, reason="the buyer is known")
    assert shop.credits_of(payment.user) == 250
    grants.freeze(grant=paid, reason="and yet")
    disputed(payment, DisputeState.WON)
    assert shop.credits_of(payment.user) == 25


def test_credits_of_a_lost_dispute_that_an_operator_froze_go_as_well(stripe) -> None:
    payment = shop.paid(stripe)
    paid = Grant.objects.get(account__name=f"grant:payment:{payment.pk}")
    grants.freeze(grant=paid, reason="looked at")
    disputed(payment, DisputeState.LOST)
    grants.unfreeze(grant=paid, reason="all is well")
    assert (shop.credits_of(payment.user), Grant.objects.filter(is_open=True).exists()) == (0, False)
    assert checks.faults() == {}


def test_what_open_disputes_had_frozen_before_freezes_had_owners_is_theirs(stripe) -> None:
    payment, other = shop.paid(stripe), shop.paid(stripe)
    by_hand = Grant.objects.get(account__name=f"grant:payment:{other.pk}")
    grants.freeze(grant=by_hand, reason="looked at")
    for each, name in ((payment, "dp_1"), (other, "dp_2")):
        disputed(each, name=name)
    Grant.objects.update(frozen_for="")
    with connection.cursor() as cursor:
        cursor.execute(import_module("billing.migrations.0047_disputes_own_their_freezes").OWN)
    for each, name in ((payment, "dp_1"), (other, "dp_2")):
        disputed(each, DisputeState.WON, name=name)
    assert (shop.credits_of(payment.user), shop.credits_of(other.user)) == (275, 25)


# ---------------------------------------------------------------- what a hold has reserved


@pytest.mark.parametrize("first", [DisputeState.NEEDS_RESPONSE, DisputeState.LOST])
def test_credits_under_a_hold_go_when_it_is_released_after_the_dispute_was_lost(stripe, first: DisputeState) -> None:
    payment = shop.paid(stripe)
    held = holds.reserve(user=payment.user, amount=275, key="h")
    for state in (first, DisputeState.LOST):
        disputed(payment, state)
    holds.release(hold=held.id)
    assert shop.credits_of(payment.user) == 0
    grants.expire_due()
    assert not Grant.objects.filter(is_open=True).exists()
    assert checks.faults() == {}


def test_credits_under_a_hold_are_used_though_the_dispute_was_lost_and_the_rest_goes(stripe) -> None:
    payment = shop.paid(stripe)
    held = holds.reserve(user=payment.user, amount=100, key="h")
    disputed(payment, DisputeState.LOST)
    holds.settle(hold=held.id, amount=40)
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 0)
    grants.expire_due()
    assert not Grant.objects.filter(is_open=True).exists()
    assert checks.faults() == {}


def test_credits_under_a_hold_repay_no_debt_after_the_dispute_was_lost(stripe) -> None:
    payment = shop.paid(stripe)
    other = shop.paid(stripe, payment.user)
    held = holds.reserve(user=payment.user, amount=550, key="h")
    refund = refunds.request(payment=other, reason="cancelled", policy=RefundPolicy.FULL_WITH_DEBT)
    refund_sending.send(refund)
    assert balances.of(payment.user).owed == 275
    disputed(payment, DisputeState.LOST)
    holds.release(hold=held.id)
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 0)  # the other pack has paid it
    assert checks.faults() == {}


def test_two_lost_disputes_about_all_of_the_price_take_what_is_held_as_well(stripe) -> None:
    payment = shop.paid(stripe)
    held = holds.reserve(user=payment.user, amount=275, key="h")
    disputed(payment, DisputeState.LOST, 500)
    disputed(payment, DisputeState.LOST, 499, "dp_2")
    holds.release(hold=held.id)
    assert shop.credits_of(payment.user) == 0
    assert checks.faults() == {}


def test_dispute_about_a_part_leaves_what_is_held(stripe) -> None:
    payment = shop.paid(stripe)
    held = holds.reserve(user=payment.user, amount=275, key="h")
    disputed(payment, DisputeState.LOST, 500)
    holds.release(hold=held.id)
    assert shop.credits_of(payment.user) == 275


def test_refund_under_way_that_fails_after_the_dispute_was_lost_leaves_nothing_beside_a_hold(stripe) -> None:
    payment = shop.paid(stripe)
    held = holds.reserve(user=payment.user, amount=100, key="h")
    refund = refunds.request(payment=payment, amount=Money(500, "EUR"), reason="cancelled")
    disputed(payment, DisputeState.LOST)
    refunds.note(refund=refund, result=RefundResult(state=RefundState.FAILED))
    holds.release(hold=held.id)
    grants.expire_due()
    assert (shop.credits_of(payment.user), Grant.objects.filter(is_open=True).exists()) == (0, False)
    assert checks.faults() == {}
