"""Any history of the verbs keeps the books in order, and agrees with a model of a few lines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger import accounts, checks, transfers
from ledger.errors import AboveEntry, HoldResolved, InsufficientFunds, KeyReused
from ledger.models import Account, Entry, Hold
from ledger.money import Money
from ledger.tests.books import balance, credits_, new_key
from ledger.transfers import Move, Part, Reserve

amounts = st.integers(1, 40)
places = st.integers(0, 5)


class Books(RuleBasedStateMachine):
    """Two house accounts and four guarded ones, one of which may run up a debt of 25."""

    entries = Bundle("entries")
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.history = transaction.atomic()
        self.history.__enter__()
        self.calls: list[tuple[Callable[[], Entry], Entry]] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.history.__exit__(None, None, None)

    @initialize()
    def open_accounts(self) -> None:
        opened = [accounts.open(name=f"house:{n}", unit="CREDIT", guarded=False) for n in range(2)]
        opened += [accounts.open(name=f"grant:{n}", unit="CREDIT", guarded=True) for n in range(3)]
        opened.append(accounts.open(name="debtor", unit="CREDIT", guarded=True, floor=-25))
        self.accounts = opened
        self.balances = [0] * 6
        self.held = [0] * 6
        self.floors = [None, None, 0, 0, 0, -25]
        self.left: dict[object, dict[int, int]] = {}

    def fits(self, changes: dict[int, int], held: dict[int, int] | None = None) -> bool:
        held = held or {}
        return all(
            floor is None or self.balances[n] + changes.get(n, 0) - self.held[n] - held.get(n, 0) >= floor
            for n, floor in enumerate(self.floors)
            if n in changes or n in held
        )

    def place_of(self, account: Account) -> int:
        return self.accounts.index(account)

    def book(
        self, act: Callable[[], Entry], moves: list[tuple[int, int, int]], numbers: list[int] | None = None
    ) -> Entry:
        entry = act()
        assert not entry.is_replay
        for source, target, minor in moves:
            self.balances[source] -= minor
            self.balances[target] += minor
        self.calls.append((act, entry))
        self.left[entry.pk] = dict(zip(numbers or range(len(moves)), (minor for *_, minor in moves), strict=True))
        return entry

    @rule(target=entries, moves=st.lists(st.tuples(places, places, amounts), min_size=1, max_size=4))
    def post(self, moves: list[tuple[int, int, int]]) -> object:
        moves = [(source, target, minor) for source, target, minor in moves if source != target]
        if not moves:
            return multiple()
        changes: dict[int, int] = {}
        for source, target, minor in moves:
            changes[source] = changes.get(source, 0) - minor
            changes[target] = changes.get(target, 0) + minor
        asked = [Move(self.accounts[s], self.accounts[t], credits_(minor)) for s, t, minor in moves]
        key = new_key("post")

        def act() -> Entry:
            return transfers.post(key=key, kind="post", moves=asked)

        if not self.fits(changes):
            with pytest.raises(InsufficientFunds):
                act()
            return multiple()
        return self.book(act, moves)

    @rule(target=holds, reserves=st.lists(st.tuples(st.integers(2, 5), amounts), min_size=1, max_size=3))
    def hold(self, reserves: list[tuple[int, int]]) -> object:
        wanted: dict[int, int] = {}
        for place, minor in reserves:
            wanted[place] = wanted.get(place, 0) + minor
        asked = [Reserve(self.accounts[place], credits_(minor)) for place, minor in reserves]
        key = new_key("hold")
        if not self.fits({}, wanted):
            with pytest.raises(InsufficientFunds):
                transfers.hold(key=key, reserves=asked)
            return multiple()
        made = transfers.hold(key=key, reserves=asked)
        assert transfers.hold(key=key, reserves=asked) == made
        for place, minor in wanted.items():
            self.held[place] += minor
        return multiple(*made)

    @rule(target=entries, hold=consumes(holds), target_place=places, part=st.integers(1, 100))
    def settle(self, hold: Hold, target_place: int, part: int) -> object:
        source = self.place_of(hold.account)
        minor = max(1, hold.amount * part // 100)
        if source == target_place:
            transfers.void(holds=[hold])
            self.held[source] -= hold.amount
            return multiple()
        parts = [Part(hold, self.accounts[target_place], credits_(minor))]
        key = new_key("settle")
        entry = self.book(
            lambda: transfers.settle(key=key, kind="settle", parts=parts), [(source, target_place, minor)]
        )
        self.held[source] -= hold.amount
        with pytest.raises(HoldResolved):
            transfers.void(holds=[hold])
        return entry

    @rule(hold=consumes(holds))
    def void(self, hold: Hold) -> None:
        transfers.void(holds=[hold])
        self.held[self.place_of(hold.account)] -= hold.amount
        with pytest.raises(HoldResolved):
            transfers.settle(key=new_key("late"), kind="settle", parts=[Part(hold, self.accounts[0])])

    @rule(entry=entries, percent=st.integers(1, 120))
    def reverse(self, entry: Entry, percent: int) -> None:
        rows = {row.number: row for row in entry.transfers.select_related("source", "target")}
        asked = {number: max(1, row.amount * percent // 100) for number, row in rows.items()}
        left = self.left[entry.pk]
        moves = [
            (self.place_of(rows[number].target), self.place_of(rows[number].source), asked[number])
            for number in sorted(rows)
        ]
        changes: dict[int, int] = {}
        for source, target, minor in moves:
            changes[source] = changes.get(source, 0) - minor
            changes[target] = changes.get(target, 0) + minor
        key = new_key("reverse")

        def act() -> Entry:
            exact = {number: credits_(minor) for number, minor in asked.items()}
            return transfers.reverse(key=key, entry=entry, amounts=exact)

        if any(asked[number] > left[number] for number in asked):
            with pytest.raises(AboveEntry):
                act()
        elif not self.fits(changes):
            with pytest.raises(InsufficientFunds):
                act()
        else:
            self.book(act, moves, sorted(rows))
            for number, minor in asked.items():
                left[number] -= minor

    @precondition(lambda self: bool(self.calls))
    @rule(data=st.data())
    def repeat_an_earlier_call(self, data: st.DataObject) -> None:
        act, entry = data.draw(st.sampled_from(self.calls))
        again = act()
        assert (again, again.is_replay) == (entry, True)

    @precondition(lambda self: bool(self.calls))
    @rule(data=st.data())
    def reuse_a_key_for_something_else(self, data: st.DataObject) -> None:
        _, entry = data.draw(st.sampled_from(self.calls))
        with pytest.raises(KeyReused):
            transfers.post(
                key=entry.entry_key.key,
                kind="thief",
                moves=[Move(self.accounts[0], self.accounts[2], Money(1, "CREDIT"))],
            )

    @rule(floor=st.integers(-60, 0))
    def limit_the_debtor(self, floor: int) -> None:
        if self.balances[5] - self.held[5] >= floor:
            accounts.limit(self.accounts[5], floor=floor)
            self.floors[5] = floor
        else:
            with pytest.raises(InsufficientFunds):
                accounts.limit(self.accounts[5], floor=floor)

    @invariant()
    def the_books_are_in_order_and_agree_with_the_model(self) -> None:
        if not hasattr(self, "accounts"):
            return
        assert [balance(account) for account in self.accounts] == self.balances
        stored = Account.objects.in_bulk([account.pk for account in self.accounts])
        assert [stored[account.pk].held for account in self.accounts] == self.held
        assert checks.faults() == {}


def test_any_history_keeps_the_books_in_order(db) -> None:
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
