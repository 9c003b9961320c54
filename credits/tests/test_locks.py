"""Each lock, twice: with it the rivals go one after the other; a canary takes it away and must see things go wrong."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credits import grants, holds, purses, usage
from credits.asked import Use
from credits.models import DebtPolicy, Grant, Purse
from credits.tests import gates
from credits.tests.people import give, make_user
from events import outbox
from events.models import Event
from events.types import EventType
from ledger import checks
from ledger.money import CREDIT
from rest.models import ServiceToken

pytestmark = pytest.mark.django_db(transaction=True)
MOMENT = "moment := coalesce(p_at, clock_timestamp());"
Acts = list[Callable[[], Any]]


@dataclass(frozen=True)
class Lock:
    """One lock: where it is taken, who fights for it, and what becomes of them when it is there and when it is not."""

    file: str
    function: str
    statement: str  # the one that locks
    gates: tuple[tuple[str, str, str], ...]  # file, function, the statement before which rivals wait
    rivals: Callable[[], Acts]
    outcome: dict[str, int]
    without: dict[str, int]  # of whom the database chooses as the victim of a deadlock the other is not said
    inside: tuple[tuple[str, str, str], ...] = ()  # file, function, the condition in a statement before which they wait
    faults: tuple[str, ...] = ()  # what the checks say without the lock


def make_token() -> ServiceToken:
    return ServiceToken.objects.create(name="shop", prefix="tl_abcdefgh", digest="a" * 64, created_at=timezone.now())


def two_spends() -> Acts:
    user = make_user()
    give(user, 5)
    return [lambda key=key: usage.spend(user=user, amount=3, key=key) for key in "ab"]  # type: ignore[misc]


def two_holds() -> Acts:
    user = make_user()
    give(user, 5)
    return [lambda key=key: holds.reserve(user=user, amount=3, key=key) for key in "ab"]  # type: ignore[misc]


def two_settles() -> Acts:
    user = make_user()
    give(user, 5)
    hold = holds.reserve(user=user, amount=3, key="h").id
    return [lambda: holds.settle(hold=hold, amount=2)] * 2


def two_releases() -> Acts:
    user = make_user()
    give(user, 5)
    hold = holds.reserve(user=user, amount=3, key="h").id
    return [lambda: holds.release(hold=hold)] * 2


def two_reversals() -> Acts:
    user = make_user()
    give(user, 5)
    spend = usage.spend(user=user, amount=5, key="s").id
    return [lambda key=key: usage.reverse(spend=spend, key=key) for key in "ab"]  # type: ignore[misc]


def two_corrections() -> Acts:
    user = make_user()
    give(user, 5)
    return [lambda key=key: grants.adjust(user=user, amount=-3, reason="r", key=key) for key in "ab"]  # type: ignore[misc]


def two_grants_to_a_debtor() -> Acts:
    user = make_user()
    purses.set_debt_policy(user=user, policy=DebtPolicy.LIMITED, limit=5)
    usage.spend(user=user, amount=5, key="s")
    return [lambda: give(user, 4)] * 2


def two_sweeps() -> Acts:
    give(make_user(), 5, expires_at=timezone.now() + timedelta(days=1))
    later = timezone.now() + timedelta(days=2)
    return [lambda: grants.expire_due(later)] * 2


def spend_and_revoke() -> Acts:
    user = make_user()
    grant = give(user, 5)

    def revoke() -> str:
        gates.wait_for_a_rival()
        return f"took {grants.revoke(grant=grant, reason='r')}"

    return [lambda: usage.spend(user=user, amount=3, key="s"), revoke]


def two_customers_of_one_token() -> Acts:
    token = make_token()
    purses.set_token_limits(token=token, daily=5, monthly=None)
    users = [make_user(), make_user()]
    for user in users:
        give(user, 10)
    return [lambda user=user: usage.spend(user=user, amount=3, key="s", token_id=token.pk) for user in users]  # type: ignore[misc]


def two_holds_of_one_token() -> Acts:
    token = make_token()
    purses.set_token_limits(token=token, daily=5, monthly=None)
    users = [make_user(), make_user()]
    for user in users:
        give(user, 10)
    return [lambda user=user: holds.reserve(user=user, amount=3, key="h", token_id=token.pk) for user in users]  # type: ignore[misc]


def two_batches_in_opposite_order() -> Acts:
    users = [make_user(), make_user()]
    for user in users:
        give(user, 10)

    def batch(order: list[int], key: str) -> list[Any]:
        wishes = [usage.Wish(user=users[place], use=Use(key=key, amount=1)) for place in order]
        return usage.spend_many(wishes)

    return [lambda: batch([0, 1], "a"), lambda: batch([1, 0], "b")]


def two_batches_of_one_customer() -> Acts:
    user = make_user()
    give(user, 3)

    def batch(name: str) -> list[Any]:
        return usage.spend_many([usage.Wish(user=user, use=Use(key=f"{name} {n}", amount=1)) for n in range(2)])

    return [lambda: batch("a"), lambda: batch("b")]


def batch_and_spend_of_one_token() -> Acts:
    token = make_token()
    purses.set_token_limits(token=token, daily=5, monthly=None)
    user = make_user()
    give(user, 10)
    wishes = [usage.Wish(user=user, use=Use(key="a", amount=1))]

    def spend() -> usage.Spent:
        gates.wait_for_a_rival()
        return usage.spend(user=user, amount=1, key="b", token_id=token.pk)

    return [lambda: usage.spend_many(wishes, token_id=token.pk), spend]


PURSE_BY_USER = "SELECT * INTO purse FROM credits_purse WHERE user_id = p_user AND unit = p_unit FOR NO KEY UPDATE;"
FLOOR = "account_stays_above_its_floor"
SPEND = ("spend.sql", "credits_charge", "entry := credits_entry_id(p_at);")
LOCKS = {
    "spend": Lock(
        "spend.sql", "credits_spend", PURSE_BY_USER, (SPEND,), two_spends,
        {"Spent": 1, "InsufficientCredits": 1}, {"Spent": 1, FLOOR: 1}
    ),
    "hold": Lock(
        "hold.sql", "credits_hold", PURSE_BY_USER,
        (("hold.sql", "credits_hold", "hold_id := credits_entry_id(p_at);"),), two_holds,
        {"Held": 1, "InsufficientCredits": 1}, {"Held": 1, FLOOR: 1},
    ),
    "settle": Lock(
        "hold.sql", "credits_settle",
        "SELECT p.* INTO purse FROM credits_purse p WHERE p.id = hold.purse_id FOR NO KEY UPDATE;",
        (("hold.sql", "credits_settle", MOMENT),), two_settles,
        {"Spent": 1, "HoldResolved": 1}, {"Spent": 1, "RestrictViolation": 1},
    ),
    "release": Lock(
        "hold.sql", "credits_release",
        "SELECT p.* INTO purse FROM credits_purse p WHERE p.id = hold.purse_id FOR NO KEY UPDATE;",
        (("hold.sql", "credits_release", MOMENT),), two_releases, {"Released": 1, "HoldResolved": 1}, {"Released": 2},
    ),
    "reverse": Lock(
        "reverse.sql", "credits_reverse",
        "SELECT p.* INTO purse FROM credits_purse p WHERE p.id = spend.purse_id FOR NO KEY UPDATE;",
        (("reverse.sql", "credits_reverse", "entry := credits_entry_id(p_at);"),), two_reversals,
        {"Reversed": 1, "SpendExceeded": 1}, {"Reversed": 1, "spend_gives_back_what_it_took": 1},
    ),
    "correction": Lock(
        "close.sql", "credits_take", PURSE_BY_USER,
        (("close.sql", "credits_take", "entry := credits_entry_id(p_at);"),), two_corrections,
        {"Reversed": 1, "InsufficientCredits": 1}, {"Reversed": 1, FLOOR: 1},
    ),
    "grant": Lock(
        "issue.sql", "credits_issue_new", "ORDER BY id FOR NO KEY UPDATE",
        (("book.sql", "credits_repay", "plan := credits_burn(p_purse, owed, false, p_at);"),),
        two_grants_to_a_debtor, {"Grant": 2}, {"Grant": 2},
        faults=("credits.checks.debts_are_within_their_policy",),
    ),
    "sweep": Lock(
        "close.sql", "credits_expire_grants", "ORDER BY p.id FOR NO KEY UPDATE",
        (), two_sweeps, {"1": 1, "0": 1}, {"1": 1, FLOOR: 1},
        (("close.sql", "credits_close", "g.is_open AND a.balance > a.held"),),
    ),
    "revoke": Lock(
        "close.sql", "credits_revoke", " FOR NO KEY UPDATE;",
        (("spend.sql", "credits_charge", "entry := credits_entry_id(p_at);"),), spend_and_revoke,
        {"Spent": 1, "took 2": 1}, {"DeadlockDetected": 1},
    ),
    "allowance of a spend": Lock(
        "spend.sql", "credits_spend",
        "FROM credits_allowance WHERE token_id = p_token AND unit = p_unit FOR NO KEY UPDATE;",
        (("spend.sql", "credits_charge", "entry := credits_entry_id(p_at);"),), two_customers_of_one_token,
        {"Spent": 1, "LimitReached": 1}, {"Spent": 2},
    ),
    "allowance of a hold": Lock(
        "hold.sql", "credits_hold",
        "FROM credits_allowance WHERE token_id = p_token AND unit = p_unit FOR NO KEY UPDATE;",
        (("hold.sql", "credits_hold", "hold_id := credits_entry_id(p_at);"),), two_holds_of_one_token,
        {"Held": 1, "LimitReached": 1}, {"Held": 2},
    ),
    "batch": Lock(
        "batch.sql", "credits_spend_batch", "ORDER BY p.id FOR NO KEY UPDATE;",
        (("spend.sql", "credits_charge", "entry := credits_entry_id(p_at);"),), two_batches_in_opposite_order,
        {"Spent, Spent": 2}, {"Spent, Spent": 1, "DeadlockDetected": 1},
    ),
    "batch of one customer": Lock(
        "batch.sql", "credits_spend_batch", "ORDER BY p.id FOR NO KEY UPDATE;", (), two_batches_of_one_customer,
        {"Spent, Spent": 1, "Spent, InsufficientCredits": 1}, {"Spent, Spent": 1, FLOOR: 1},
        (("batch.sql", "credits_spend_line", "g.purse_id = p_purse.id AND g.is_open"),),
    ),
    "allowance of a batch": Lock(
        "batch.sql", "credits_spend_batch",
        "FROM credits_allowance WHERE token_id = p_token ORDER BY id FOR NO KEY UPDATE;",
        (("batch.sql", "credits_spend_batch", "FOR item IN SELECT * FROM credits_items"),),
        batch_and_spend_of_one_token, {"Spent": 2}, {"Spent": 1, "DeadlockDetected": 1},
    ),
}  # fmt: skip


def name_of(result: Any) -> str:
    if isinstance(result, list):
        return ", ".join(name_of(each) for each in result)
    return gates.kind_of(result)


def fight(lock: Lock, *, unlocked: bool) -> tuple[dict[str, int], dict[str, list[str]]]:
    changes = [gates.gated(*gate) for gate in lock.gates] + [gates.gated_inside(*gate) for gate in lock.inside]
    if unlocked:
        kept = lock.statement.replace(" FOR NO KEY UPDATE", "")
        changes.append((lock.file, lock.function, lock.statement, kept))
    acts = lock.rivals()
    with gates.variant(*changes):
        results = gates.run_through_the_gate(acts)
    return Counter(map(name_of, results)), checks.faults()


@pytest.mark.parametrize("name", LOCKS)
def test_rivals_go_one_after_the_other(name: str) -> None:
    lock = LOCKS[name]
    outcome, faults = fight(lock, unlocked=False)
    assert outcome == lock.outcome
    assert faults == {}


@pytest.mark.parametrize("name", LOCKS)
def test_without_the_lock_it_goes_wrong(name: str) -> None:
    """If this fails, the test above proves nothing."""
    lock = LOCKS[name]
    outcome, faults = fight(lock, unlocked=True)
    assert (lock.without, tuple(faults)) == ({name: outcome[name] for name in lock.without}, lock.faults)


# ---------------------------------------------------------------- locks that Python takes


def lock_of_the_purse(monkeypatch: pytest.MonkeyPatch, *, unlocked: bool) -> int:
    """Two operators change one purse; returns how many changes its version counts."""
    user = make_user()
    real = Purse.objects.select_for_update

    def lock(user: User, unit: str = CREDIT) -> Purse:
        purse = purses.open(user, unit)
        rows = Purse.objects.all() if unlocked else real(no_key=True, of=("self",))
        locked = rows.get(pk=purse.pk)
        gates.wait_at_the_gate()
        return locked

    before = purses.open(user).version
    monkeypatch.setattr(purses, "lock", lock)
    gates.run_through_the_gate(
        [
            lambda: purses.set_limits(user=user, daily=5, monthly=None),
            lambda: purses.set_low_percent(user=user, percent=7),
        ]
    )
    return purses.open(user).version - before


def lock_of_a_grant(monkeypatch: pytest.MonkeyPatch, *, unlocked: bool) -> int:
    """Two operators freeze one grant; returns how often it was told."""
    user = make_user()
    grant = give(user, 5)
    real = grants._lock

    def lock(grant: Grant) -> Grant:
        locked = Grant.objects.select_related("purse__user").get(pk=grant.pk) if unlocked else real(grant)
        gates.wait_at_the_gate()
        return locked

    monkeypatch.setattr(grants, "_lock", lock)
    gates.run_through_the_gate([lambda: grants.freeze(grant=grant, reason="r")] * 2)
    return Event.objects.filter(user=user, type=EventType.CREDITS_ADJUSTED).count()


def lock_of_what_expires(monkeypatch: pytest.MonkeyPatch, *, unlocked: bool) -> int:
    """Two sweeps find one grant that expires soon; returns how often its owner is warned."""
    user, usual = make_user(), outbox.record
    give(user, 5, expires_at=timezone.now() + timedelta(days=1))

    def record(**facts: Any) -> Any:
        gates.wait_at_the_gate()
        return usual(**facts)

    monkeypatch.setattr(outbox, "record", record)
    if unlocked:
        monkeypatch.setattr(type(Grant.objects.all()), "select_for_update", lambda rows, **how: rows)
    gates.run_through_the_gate([lambda: grants.warn_of_expiry(timezone.now() + timedelta(days=2))] * 2)
    return Event.objects.filter(user=user, type=EventType.CREDITS_EXPIRING).count()


PYTHON_LOCKS = {
    "purses.lock": (lock_of_the_purse, 2, 1),
    "grants._lock": (lock_of_a_grant, 1, 2),
    "grants._warn_some": (lock_of_what_expires, 1, 2),
}


@pytest.mark.parametrize("name", PYTHON_LOCKS)
def test_operators_go_one_after_the_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fight_for, outcome, _ = PYTHON_LOCKS[name]
    assert fight_for(monkeypatch, unlocked=False) == outcome


@pytest.mark.parametrize("name", PYTHON_LOCKS)
def test_without_their_lock_operators_undo_each_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the test above proves nothing."""
    fight_for, _, without = PYTHON_LOCKS[name]
    assert fight_for(monkeypatch, unlocked=True) == without
