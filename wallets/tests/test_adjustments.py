"""Corrections by hand: what they book, what they refuse, and who decides."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from ledger.checks import faults
from ledger.money import Money
from ledger.tests.books import on
from wallets import adjustments
from wallets.errors import AdjustmentState, InsufficientFunds, InvalidValue, KeyReused, SameOperator
from wallets.models import Adjustment, Wallet
from wallets.tests.people import ask, available, make_user, sell_cleared, wallet_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    """Somebody with 90 euros that have cleared."""
    user = make_user()
    sell_cleared(user, 9_000)
    return user


def correct(wallet: Wallet, minor: int, **changes: Any) -> Adjustment:
    known: dict[str, Any] = {"reason": "paid twice", "key": "adjustment:1", "by": make_user("operator")}
    return adjustments.request(wallet=wallet, amount=Money(minor, wallet.currency), **known | changes)


def test_the_same_key_corrects_once_and_another_wish_with_it_is_refused(user: User) -> None:
    wallet, had = wallet_of(user), available(user)
    first = correct(wallet, -100)
    assert correct(wallet, -100) == first
    for other, minor in ((wallet, -101), (wallet_of(make_user()), -100)):
        with pytest.raises(KeyReused):
            correct(other, minor)
    assert (available(user), on("adjustments:EUR")) == (had - 100, 100)
    assert faults() == {}


@pytest.mark.parametrize(
    ("amount", "reason", "field"),
    [
        (Money(0, "EUR"), "x", "amount"),
        (Money(10**15 + 1, "EUR"), "x", "amount"),
        (Money(5, "XOF"), "x", "amount"),
        (Money(5, "EUR"), " ", "reason"),
        (Money(5, "EUR"), "x" * 301, "reason"),
    ],
)
def test_a_correction_that_makes_no_sense_is_refused(user: User, amount: Money, reason: str, field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        adjustments.request(wallet=wallet_of(user), amount=amount, reason=reason, key="k", by=user)
    assert (refused.value.field, Adjustment.objects.exists()) == (field, False)


def test_what_is_held_for_a_withdrawal_cannot_be_taken(user: User) -> None:
    had = available(user)
    ask(user, had - 10)
    with pytest.raises(InsufficientFunds) as refused:
        correct(wallet_of(user), -11)
    assert (refused.value.needed, refused.value.available, refused.value.missing) == (11, 10, 1)
    assert not Adjustment.objects.exists()
    correct(wallet_of(user), -10)
    assert (available(user), on("adjustments:EUR")) == (0, 10)


def test_large_correction_in_small_pieces_needs_two_as_well(user: User, settings: Any) -> None:
    settings.WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 500}
    operator, other, wallet = make_user("operator"), make_user("operator"), wallet_of(user)
    assert correct(wallet, 300, key="a", by=operator).status == "booked"
    assert correct(wallet, -201, key="b", by=operator).status == "requested"
    assert correct(wallet, 200, key="c", by=operator).status == "booked"
    assert correct(wallet, 500, key="d", by=other).status == "booked"


def test_up_to_the_limit_one_person_is_enough(user: User, settings: Any) -> None:
    settings.WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 500}
    operator, wallet = make_user("operator"), wallet_of(user)
    assert correct(wallet, -500, key="a", by=operator).status == "booked"
    asked = correct(wallet, -501, key="b", by=operator)
    assert (asked.status, on("adjustments:EUR")) == ("requested", 500)
    with pytest.raises(SameOperator):
        adjustments.approve(adjustment=asked, by=operator)
    second = make_user("operator")
    done = adjustments.approve(adjustment=asked, by=second)
    assert (done.status, done.decided_by, on("adjustments:EUR")) == ("booked", second, 1_001)
    for act in (adjustments.approve, adjustments.reject):
        with pytest.raises(AdjustmentState):
            act(adjustment=asked, by=second)
    assert on("adjustments:EUR") == 1_001
    assert faults() == {}
