from typing import Any

import pytest

from ledger import accounts, transfers
from ledger.errors import AccountDiffers, InsufficientFunds, InvalidAmount, NotGuarded, UnknownAccount, UnknownUnit
from ledger.models import Account
from ledger.tests.books import available, balance, credits_, guarded, house, move
from ledger.transfers import Reserve

pytestmark = pytest.mark.django_db


def test_open_makes_an_account_once() -> None:
    first = accounts.open(name="wallet:amina:XOF:available", unit="XOF", guarded=True, floor=-50)
    assert accounts.open(name="wallet:amina:XOF:available", unit="XOF", guarded=True) == first
    assert Account.objects.get().floor == -50


def test_open_refuses_the_same_name_with_another_nature() -> None:
    guarded("grant:1")
    with pytest.raises(AccountDiffers, match="as a guarded account in CREDIT"):
        accounts.open(name="grant:1", unit="CREDIT", guarded=False)
    with pytest.raises(AccountDiffers):
        accounts.open(name="grant:1", unit="EUR", guarded=True)


def test_open_refuses_an_unknown_unit_and_a_floor_above_zero() -> None:
    with pytest.raises(UnknownUnit):
        accounts.open(name="x", unit="ABC", guarded=False)
    floors: list[Any] = [1, -(10**15) - 1, True, -1.0]
    for floor in floors:
        with pytest.raises(InvalidAmount):
            accounts.open(name="x", unit="CREDIT", guarded=True, floor=floor)
    assert not Account.objects.exists()
    assert accounts.open(name="x", unit="CREDIT", guarded=True, floor=-(10**15)).floor == -(10**15)


def test_available_is_what_could_be_paid() -> None:
    account = guarded("grant:1", having=30, floor=-20)
    assert available(account) == credits_(50)
    assert accounts.balance_of(account) == credits_(30)


def test_a_limit_allows_debt_down_to_its_floor() -> None:
    account, spent = guarded("grant:1", having=10), house("credits:spent")
    accounts.limit(account, floor=-5)
    move(account, spent, 15)
    with pytest.raises(InsufficientFunds) as refused:
        move(account, spent, 1)
    assert refused.value.missing == credits_(1)
    assert balance(account) == -5


def test_a_limit_above_the_debt_is_refused() -> None:
    account = guarded("grant:1", floor=-10)
    move(account, house("credits:spent"), 8)
    with pytest.raises(InsufficientFunds) as refused:
        accounts.limit(account, floor=0)
    assert refused.value.missing == credits_(8)
    accounts.limit(account, floor=-8)
    assert available(account) == credits_(0)


def test_what_is_held_counts_against_a_limit() -> None:
    account = guarded("grant:1", having=2, floor=-10)
    move(account, house("credits:spent"), 5)
    transfers.hold(key="job:1", reserves=[Reserve(account, credits_(4))])
    with pytest.raises(InsufficientFunds) as refused:
        accounts.limit(account, floor=-6)
    assert refused.value.missing == credits_(1)
    accounts.limit(account, floor=-7)
    assert (balance(account), available(account)) == (-3, credits_(0))


def test_a_limit_is_zero_or_a_debt() -> None:
    account = guarded("grant:1", having=10)
    with pytest.raises(InvalidAmount):
        accounts.limit(account, floor=5)
    assert available(account) == credits_(10)


def test_house_accounts_have_no_limit() -> None:
    with pytest.raises(NotGuarded):
        accounts.limit(house("credits:spent"), floor=-5)


def test_an_account_that_was_never_opened_is_unknown() -> None:
    nobody = Account(pk=404, name="nobody", unit="CREDIT", guarded=True)
    with pytest.raises(UnknownAccount):
        accounts.balance_of(nobody)
    with pytest.raises(UnknownAccount):
        accounts.limit(nobody, floor=-5)
    with pytest.raises(UnknownAccount):
        accounts.lock([guarded("grant:1"), nobody])


def test_lock_leaves_house_accounts_alone() -> None:
    account = guarded("grant:1")
    assert accounts.lock([house("credits:spent"), account]) == {account.pk: account}
    assert accounts.lock([house("credits:spent")]) == {}
