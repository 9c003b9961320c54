"""Every policy, for credits unspent, half spent and all spent, the whole or a part, with a bonus or none, and a dispute
that was won or lost before: the exact lines of each."""

import itertools
from typing import Any

import pytest

from billing import errors, refund_sending, refunds
from billing.gateways.subscribing import DisputeState
from billing.models import Payment, Refund
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.refunding import disputed
from credits import balances, usage
from credits.models import Grant
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db

PRICE, PART = 999, 500
BONUS = {"bonus": 25, "none": 0}
SPENT = {"unspent": 0, "half": 1, "all": 2}  # halves

# What goes back: (money, taken of the bonus, taken of what was paid for, owed, kept), or how much money could be.
# Half of 275 is 137 and half of 250 is 125; 500 of 999 stand for 137 or 125 of them. Spending uses the bonus up first.
LINES: dict[tuple[str, str, str, str], tuple[int, int, int, int, int] | int] = {
    ("unspent_only", "unspent", "full", "bonus"): (999, 25, 250, 0, 0),
    ("unspent_only", "unspent", "full", "none"): (999, 0, 250, 0, 0),
    ("unspent_only", "unspent", "part", "bonus"): (500, 25, 112, 0, 0),
    ("unspent_only", "unspent", "part", "none"): (500, 0, 125, 0, 0),
    ("unspent_only", "half", "full", "bonus"): 501,
    ("unspent_only", "half", "full", "none"): 499,
    ("unspent_only", "half", "part", "bonus"): (500, 0, 137, 0, 0),
    ("unspent_only", "half", "part", "none"): (500, 0, 125, 0, 0),
    ("unspent_only", "all", "full", "bonus"): 0,
    ("unspent_only", "all", "full", "none"): 0,
    ("unspent_only", "all", "part", "bonus"): 0,
    ("unspent_only", "all", "part", "none"): 0,
    ("proportional", "unspent", "full", "bonus"): (999, 25, 250, 0, 0),
    ("proportional", "unspent", "full", "none"): (999, 0, 250, 0, 0),
    ("proportional", "unspent", "part", "bonus"): (500, 25, 112, 0, 0),
    ("proportional", "unspent", "part", "none"): (500, 0, 125, 0, 0),
    ("proportional", "half", "full", "bonus"): (501, 0, 137, 0, 0),
    ("proportional", "half", "full", "none"): (499, 0, 124, 0, 0),
    ("proportional", "half", "part", "bonus"): (500, 0, 137, 0, 0),
    ("proportional", "half", "part", "none"): (500, 0, 125, 0, 0),
    ("proportional", "all", "full", "bonus"): 0,
    ("proportional", "all", "full", "none"): 0,
    ("proportional", "all", "part", "bonus"): 0,
    ("proportional", "all", "part", "none"): 0,
    ("full_with_debt", "unspent", "full", "bonus"): (999, 25, 250, 0, 0),
    ("full_with_debt", "unspent", "full", "none"): (999, 0, 250, 0, 0),
    ("full_with_debt", "unspent", "part", "bonus"): (500, 25, 112, 0, 0),
    ("full_with_debt", "unspent", "part", "none"): (500, 0, 125, 0, 0),
    ("full_with_debt", "half", "full", "bonus"): (999, 0, 138, 137, 0),
    ("full_with_debt", "half", "full", "none"): (999, 0, 125, 125, 0),
    ("full_with_debt", "half", "part", "bonus"): (500, 0, 137, 0, 0),
    ("full_with_debt", "half", "part", "none"): (500, 0, 125, 0, 0),
    ("full_with_debt", "all", "full", "bonus"): (999, 0, 0, 275, 0),
    ("full_with_debt", "all", "full", "none"): (999, 0, 0, 250, 0),
    ("full_with_debt", "all", "part", "bonus"): (500, 0, 0, 137, 0),
    ("full_with_debt", "all", "part", "none"): (500, 0, 0, 125, 0),
    ("goodwill", "unspent", "full", "bonus"): (999, 0, 0, 0, 275),
    ("goodwill", "unspent", "full", "none"): (999, 0, 0, 0, 250),
    ("goodwill", "unspent", "part", "bonus"): (500, 0, 0, 0, 137),
    ("goodwill", "unspent", "part", "none"): (500, 0, 0, 0, 125),
    ("goodwill", "half", "full", "bonus"): (999, 0, 0, 0, 275),
    ("goodwill", "half", "full", "none"): (999, 0, 0, 0, 250),
    ("goodwill", "half", "part", "bonus"): (500, 0, 0, 0, 137),
    ("goodwill", "half", "part", "none"): (500, 0, 0, 0, 125),
    ("goodwill", "all", "full", "bonus"): (999, 0, 0, 0, 275),
    ("goodwill", "all", "full", "none"): (999, 0, 0, 0, 250),
    ("goodwill", "all", "part", "bonus"): (500, 0, 0, 0, 137),
    ("goodwill", "all", "part", "none"): (500, 0, 0, 0, 125),
}


def test_matrix_is_whole() -> None:
    assert set(LINES) == set(itertools.product(RefundPolicy.values, SPENT, ("full", "part"), BONUS))


def bought(stripe, bonus: str, spent: str) -> Payment:
    shop.make_pack(bonus=BONUS[bonus])
    payment = shop.paid(stripe)
    if used := (250 + BONUS[bonus]) * SPENT[spent] // 2:
        usage.spend(user=payment.user, amount=used, key="use")
    return payment


def left(payment: Payment) -> tuple[int, int]:
    rows = Grant.objects.of(payment.user).select_related("account")
    found = {grant.source: grant.account.balance for grant in rows}
    return found.get("bonus", 0), found["pack"]


@pytest.mark.parametrize("dispute", ["none", "won"])
@pytest.mark.parametrize("case", LINES, ids="-".join)
def test_refund_has_exactly_these_lines(stripe, case, dispute) -> None:
    policy, spent, size, bonus = case
    payment = bought(stripe, bonus, spent)
    if dispute == "won":
        disputed(payment, DisputeState.NEEDS_RESPONSE)
        disputed(payment, DisputeState.WON)
    wish: dict[str, Any] = {
        "payment": payment,
        "amount": Money(PART, "EUR") if size == "part" else None,
        "policy": RefundPolicy(policy),
    }
    before, expected = left(payment), LINES[case]
    if isinstance(expected, int):
        with pytest.raises(errors.CreditsSpent) as refusal:
            refunds.request(**wish, reason="late")
        assert refusal.value.refundable == expected
        assert (left(payment), Refund.objects.exists()) == (before, False)
        return
    money, of_bonus, of_paid, owed, kept = expected
    plan = refunds.preview(**wish)
    assert (plan.amount.minor, plan.taken, plan.owed, plan.kept) == (money, of_bonus + of_paid, owed, kept)
    refunds.request(**wish, reason="late")
    refund_sending.work_through()
    refund = Refund.objects.get()
    assert (refund.status, refund.amount_minor) == ("succeeded", money)
    after = left(payment)
    assert (before[0] - after[0], before[1] - after[1], balances.of(payment.user).owed) == (of_bonus, of_paid, owed)
    source = "loss:EUR" if policy == "goodwill" else "revenue:packs:EUR"
    assert on(source) == (0 if policy == "goodwill" else PRICE) - money
    assert on("gateway:stripe:EUR") == money - PRICE
    assert checks.faults() == {}


@pytest.mark.parametrize("bonus", BONUS)
@pytest.mark.parametrize("spent", SPENT)
def test_lost_dispute_leaves_nothing_to_refund(stripe, spent, bonus) -> None:
    payment = bought(stripe, bonus, spent)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    disputed(payment, DisputeState.LOST)
    for policy, amount in itertools.product(RefundPolicy, (None, Money(PART, "EUR"))):
        with pytest.raises(errors.NotRefundable):
            refunds.request(payment=payment, amount=amount, policy=policy, reason="late")
    assert left(payment) == (0, 0)
    assert (Refund.objects.exists(), on("loss:EUR")) == (False, -PRICE)
    assert checks.faults() == {}
