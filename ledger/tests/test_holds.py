from datetime import UTC, datetime, timedelta

import pytest

from ledger import transfers
from ledger.errors import (
    AboveHold,
    HoldResolved,
    InsufficientFunds,
    InvalidAmount,
    KeyReused,
    NotGuarded,
    UnitMismatch,
    UnknownHold,
)
from ledger.models import Account, Entry, Hold, HoldState
from ledger.money import Money
from ledger.tests.books import available, balance, credits_, guarded, house, move
from ledger.transfers import Part, Reserve

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_in_order_afterwards")]


@pytest.fixture
def grant() -> Account:
    return guarded("grant:1", having=50)


def held_on(account: Account, minor: int, key: str = "job:1") -> Hold:
    return transfers.hold(key=key, reserves=[Reserve(account, credits_(minor))])[0]


def test_what_is_held_is_there_but_cannot_be_spent(grant: Account, spent: Account) -> None:
    held_on(grant, 30)
    assert (balance(grant), available(grant)) == (50, credits_(20))
    with pytest.raises(InsufficientFunds) as refused:
        move(grant, spent, 21)
    assert refused.value.missing == credits_(1)
    with pytest.raises(InsufficientFunds):
        held_on(grant, 21, "job:2")
    assert Hold.objects.count() == 1


def test_one_act_holds_on_several_accounts_or_on_none(grant: Account) -> None:
    small = guarded("grant:2", having=5)
    with pytest.raises(InsufficientFunds):
        transfers.hold(key="job:1", reserves=[Reserve(grant, credits_(50)), Reserve(small, credits_(6))])
    assert (available(grant), Hold.objects.exists()) == (credits_(50), False)
    made = transfers.hold(key="job:1", reserves=[Reserve(grant, credits_(50)), Reserve(small, credits_(5))])
    assert [(each.number, each.amount) for each in made] == [(0, 50), (1, 5)]
    assert (available(grant), available(small)) == (credits_(0), credits_(0))


def test_settle_moves_a_part_and_frees_the_rest(grant: Account, spent: Account) -> None:
    hold = held_on(grant, 30)
    entry = transfers.settle(key="job:1:settle", kind="spend", parts=[Part(hold, spent, credits_(12))])
    hold.refresh_from_db()
    assert (hold.state, hold.settled, hold.entry) == (HoldState.SETTLED, 12, entry)
    assert (balance(grant), available(grant), balance(spent)) == (38, credits_(38), 12)


def test_settle_takes_all_when_nothing_is_said(grant: Account, spent: Account) -> None:
    transfers.settle(key="job:1:settle", kind="spend", parts=[Part(held_on(grant, 30), spent)])
    assert (balance(grant), balance(spent)) == (20, 30)


def test_one_settlement_pays_several_targets_out_of_several_holds(grant: Account, spent: Account) -> None:
    second, fees = guarded("grant:2", having=5), house("fees:paypal")
    one, two = transfers.hold(key="w:1", reserves=[Reserve(grant, credits_(40)), Reserve(second, credits_(5))])
    parts = [Part(one, spent, credits_(37)), Part(one, fees, credits_(3)), Part(two, spent)]
    entry = transfers.settle(key="w:1:settle", kind="withdrawal", parts=parts)
    assert entry.transfers.count() == 3
    assert [balance(each) for each in (grant, second, spent, fees)] == [10, 0, 42, 3]


def test_a_hold_is_settled_into_another_guarded_account(grant: Account) -> None:
    wallet = guarded("wallet:b")
    transfers.settle(key="s", kind="gift", parts=[Part(held_on(grant, 30), wallet)])
    assert (balance(grant), balance(wallet)) == (20, 30)


def test_settle_above_the_hold_is_refused(grant: Account, spent: Account) -> None:
    hold = held_on(grant, 30)
    for parts in ([Part(hold, spent, credits_(31))], [Part(hold, spent), Part(hold, spent, credits_(1))]):
        with pytest.raises(AboveHold) as refused:
            transfers.settle(key="s", kind="spend", parts=parts)
        assert refused.value.held == credits_(30)
    assert (balance(grant), available(grant)) == (50, credits_(20))


def test_void_gives_back(grant: Account) -> None:
    hold = held_on(grant, 30)
    transfers.void(holds=[hold])
    hold.refresh_from_db()
    assert hold.state == HoldState.VOIDED
    assert available(grant) == credits_(50)


@pytest.mark.parametrize("second", ["settle", "void"])
@pytest.mark.parametrize("first", ["settle", "void"])
def test_a_hold_is_resolved_once(grant: Account, spent: Account, first: str, second: str) -> None:
    hold = held_on(grant, 30)

    def resolve(how: str, key: str) -> None:
        if how == "void":
            transfers.void(holds=[hold])
        else:
            transfers.settle(key=key, kind="spend", parts=[Part(hold, spent)])

    resolve(first, "one")
    left = balance(grant), available(grant)
    with pytest.raises(HoldResolved) as refused:
        resolve(second, "two")
    assert refused.value.hold.state == {"settle": HoldState.SETTLED, "void": HoldState.VOIDED}[first]
    assert (balance(grant), available(grant)) == left


def test_the_same_settlement_twice_is_one(grant: Account, spent: Account) -> None:
    hold = held_on(grant, 30)
    first = transfers.settle(key="s", kind="spend", parts=[Part(hold, spent, credits_(12))])
    again = transfers.settle(key="s", kind="spend", parts=[Part(hold, spent, credits_(12))])
    assert (again, again.is_replay) == (first, True)
    with pytest.raises(KeyReused):
        transfers.settle(key="s", kind="spend", parts=[Part(hold, spent, credits_(13))])
    assert balance(spent) == 12


def test_the_same_hold_twice_is_one_even_when_settled_since(grant: Account, spent: Account) -> None:
    first = held_on(grant, 30)
    assert held_on(grant, 30) == first
    transfers.settle(key="s", kind="spend", parts=[Part(first, spent)])
    assert held_on(grant, 30).state == HoldState.SETTLED
    with pytest.raises(KeyReused):
        held_on(grant, 31)
    assert available(grant) == credits_(20)


def test_voids_of_several_holds_are_all_or_nothing(grant: Account) -> None:
    one, two = held_on(grant, 10, "job:1"), held_on(grant, 10, "job:2")
    transfers.void(holds=[one])
    with pytest.raises(HoldResolved):
        transfers.void(holds=[two, one])
    assert available(grant) == credits_(40)


def test_what_cannot_be_held_or_settled_is_refused(grant: Account, spent: Account) -> None:
    with pytest.raises(NotGuarded):
        held_on(spent, 1)
    with pytest.raises(InvalidAmount):
        held_on(grant, 0)
    with pytest.raises(InvalidAmount):
        transfers.hold(key="k", reserves=[])
    with pytest.raises(UnitMismatch):
        transfers.hold(key="k", reserves=[Reserve(grant, Money(1, "EUR"))])
    with pytest.raises(UnknownHold):
        transfers.void(holds=[])
    with pytest.raises(UnknownHold):
        transfers.void(holds=[Hold(key="nobody", account=grant, amount=1)])
    hold = held_on(grant, 5)
    with pytest.raises(InvalidAmount):
        transfers.settle(key="s", kind="spend", parts=[Part(hold, spent, credits_(0))])
    with pytest.raises(UnitMismatch):
        transfers.settle(key="s", kind="spend", parts=[Part(hold, house("e", "EUR"))])
    assert (Hold.objects.open().count(), available(grant)) == (1, credits_(45))
    assert not Entry.objects.filter(kind="spend").exists()


def test_expired_are_open_holds_whose_time_is_over(grant: Account) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for key, at in (("due", noon), ("later", noon + timedelta(microseconds=1)), ("never", None), ("gone", noon)):
        transfers.hold(key=key, reserves=[Reserve(grant, credits_(1))], expires_at=at)
    transfers.void(holds=list(Hold.objects.filter(key="gone")))
    assert [each.key for each in Hold.objects.expired(noon)] == ["due"]


def test_debt_can_be_held_down_to_the_floor() -> None:
    account = guarded("grant:9", floor=-10)
    held_on(account, 10)
    with pytest.raises(InsufficientFunds):
        held_on(account, 1, "job:2")
