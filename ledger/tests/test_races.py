"""Rivals in real threads; and for each lock a canary that takes it away and must then see the books go wrong."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction

from ledger import accounts, checks, transfers
from ledger.errors import AboveEntry, HoldResolved, InsufficientFunds, KeyReused
from ledger.models import Account, Entry, EntryKey, Hold, HoldState, Transfer
from ledger.tests.books import available, balance, credits_, guarded, house, move, new_key
from ledger.tests.races import PATIENCE_SECONDS, run_all, run_together, without_constraint, without_trigger
from ledger.transfers import Move, Part, Reserve

pytestmark = pytest.mark.django_db(transaction=True)


def spend(account: Account, minor: int, spent: Account) -> str:
    try:
        move(account, spent, minor)
    except InsufficientFunds:
        return "refused"
    except IntegrityError:
        return "stopped by the database"
    return "booked"


def barrier_of(rivals: int) -> Callable[[], object]:
    barrier = threading.Barrier(rivals)
    return lambda: barrier.wait(PATIENCE_SECONDS)


class TestTheLockOfAccounts:
    def test_fifty_rivals_cannot_overspend(self) -> None:
        grant, spent = guarded("grant:1", having=100), house("credits:spent")
        outcomes = Counter(run_together(50, lambda: spend(grant, 10, spent)))
        assert outcomes == {"booked": 10, "refused": 40}
        assert (balance(grant), balance(spent)) == (0, 100)
        assert checks.faults() == {}

    def test_fifty_rivals_cannot_hold_more_than_there_is(self) -> None:
        grant = guarded("grant:1", having=100)

        def hold() -> str:
            try:
                transfers.hold(key=new_key(), reserves=[Reserve(grant, credits_(30))])
            except InsufficientFunds:
                return "refused"
            return "held"

        assert Counter(run_together(50, hold)) == {"held": 3, "refused": 47}
        assert available(grant) == credits_(10)
        assert checks.faults() == {}

    def test_what_refers_to_a_locked_account_does_not_wait(self) -> None:
        """As the database asks for itself when a row with a foreign key to it is written."""
        grant = guarded("grant:1", having=100)

        def refer() -> int:
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM ledger_account WHERE id = %s FOR KEY SHARE NOWAIT", [grant.pk])
                return int(cursor.rowcount)

        with transaction.atomic():
            accounts.lock([grant])
            assert run_all([refer]) == [1]

    def test_without_the_lock_only_the_database_stands_between(self, monkeypatch) -> None:
        """If this fails, the tests above prove nothing: without the lock all look first, and all see enough."""
        grant, spent = guarded("grant:1", having=50), house("credits:spent")
        monkeypatch.setattr(accounts, "lock", read_without_locking(barrier_of(20)))
        outcomes = Counter(run_together(20, lambda: spend(grant, 10, spent)))
        assert outcomes == {"booked": 5, "stopped by the database": 15}
        assert checks.faults() == {}

    def test_without_the_lock_and_the_constraint_the_books_go_wrong(self, monkeypatch) -> None:
        grant, spent = guarded("grant:1", having=50), house("credits:spent")
        monkeypatch.setattr(accounts, "lock", read_without_locking(barrier_of(20)))
        with without_constraint("ledger_account", "account_stays_above_its_floor"):
            assert Counter(run_together(20, lambda: spend(grant, 10, spent))) == {"booked": 20}
            assert balance(grant) == -150
            assert list(checks.faults()) == ["No guarded account is below its floor"]


def read_without_locking(then: Callable[[], object]) -> Callable[[list[Account]], dict[int, Account]]:
    def read(wanted: list[Account]) -> dict[int, Account]:
        found = Account.objects.filter(guarded=True).in_bulk([account.pk for account in wanted])
        then()
        return found

    return read


class TestTheOrderOfLocks:
    def test_opposite_directions_never_wait_for_each_other(self) -> None:
        one, two = guarded("wallet:1", having=1000), guarded("wallet:2", having=1000)

        def back_and_forth(source: Account, target: Account) -> Callable[[], None]:
            def act() -> None:
                for _ in range(25):
                    move(source, target, 1)

            return act

        run_all([back_and_forth(one, two), back_and_forth(two, one)] * 4)
        assert (balance(one), balance(two)) == (1000, 1000)
        assert Entry.objects.count() == 2 + 8 * 25
        assert checks.faults() == {}

    def test_without_the_order_they_do(self, monkeypatch) -> None:
        one, two = guarded("wallet:1", having=10), guarded("wallet:2", having=10)
        both_hold_their_first = barrier_of(2)

        def lock_as_they_come(wanted: list[Account]) -> dict[int, Account]:
            locked = {}
            for account in wanted:
                locked[account.pk] = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
                if len(locked) == 1:
                    both_hold_their_first()
            return locked

        def try_to(source: Account, target: Account) -> Callable[[], str]:
            def act() -> str:
                try:
                    move(source, target, 1)
                except OperationalError as error:
                    return type(error.__cause__).__name__
                return "booked"

            return act

        monkeypatch.setattr(accounts, "lock", lock_as_they_come)
        assert Counter(run_all([try_to(one, two), try_to(two, one)])) == {"booked": 1, "DeadlockDetected": 1}


class TestTheClaimOfKeys:
    def test_one_key_from_twelve_threads_books_once(self) -> None:
        grant, spent = guarded("grant:1", having=100), house("credits:spent")
        entries = run_together(12, lambda: move(grant, spent, 10, key="spend:1"))
        assert len({entry.pk for entry in entries}) == 1
        assert Counter(entry.is_replay for entry in entries) == {False: 1, True: 11}
        assert balance(grant) == 90
        assert checks.faults() == {}

    def test_one_key_between_house_accounts_where_nothing_is_locked(self) -> None:
        stripe, revenue = house("gateway:stripe:EUR", "EUR"), house("revenue:packs:EUR", "EUR")
        entries = run_together(12, lambda: move(stripe, revenue, 10, key="payment:1"))
        assert len({entry.pk for entry in entries}) == 1
        assert balance(revenue) == 10

    def test_one_key_for_two_acts_books_one_of_them(self) -> None:
        grant, spent = guarded("grant:1", having=100), house("credits:spent")

        def spend_some(minor: int) -> Callable[[], object]:
            def act() -> object:
                try:
                    return move(grant, spent, minor, key="spend:1").is_replay
                except KeyReused:
                    return "reused"

            return act

        outcomes = Counter(run_all([spend_some(1), spend_some(2)] * 6))
        assert outcomes == {False: 1, True: 5, "reused": 6}
        assert balance(grant) in {98, 99}
        assert checks.faults() == {}

    def test_a_key_that_was_refused_is_free_for_the_rival_who_waited(self) -> None:
        """Each rival waits for the key, is refused in his turn, and leaves it as free as he found it."""
        grant, spent = guarded("grant:1", having=9), house("credits:spent")

        def act() -> str:
            try:
                move(grant, spent, 10, key="spend:1")
            except InsufficientFunds:
                return "refused"
            return "booked"

        assert Counter(run_together(10, act)) == {"refused": 10}
        assert not EntryKey.objects.filter(key="spend:1").exists()
        move(house("issued:CREDIT"), grant, 1)
        assert Counter(run_together(10, act)) == {"booked": 10}
        assert balance(grant) == 0

    def test_one_hold_from_twelve_threads_holds_once(self) -> None:
        grant = guarded("grant:1", having=100)
        holds = run_together(12, lambda: transfers.hold(key="job:1", reserves=[Reserve(grant, credits_(10))])[0])
        assert len({hold.pk for hold in holds}) == 1
        assert available(grant) == credits_(90)
        assert checks.faults() == {}

    def test_one_hold_key_for_different_accounts_is_used_once(self) -> None:
        """They lock different accounts, so only the key itself can stop the second."""
        one, two = guarded("grant:1", having=10), guarded("grant:2", having=10)

        def hold_on(account: Account) -> Callable[[], str]:
            def act() -> str:
                try:
                    transfers.hold(key="job:1", reserves=[Reserve(account, credits_(10))])
                except KeyReused:
                    return "reused"
                return "held"

            return act

        assert Counter(run_all([hold_on(one), hold_on(two)])) == {"held": 1, "reused": 1}
        assert checks.faults() == {}

    def test_without_the_claim_one_key_books_many_times(self, monkeypatch) -> None:
        """The canary looks before it inserts, as one who trusts a query would; the constraint is taken away too."""
        grant, spent = guarded("grant:1", having=120), house("credits:spent")
        all_have_looked = barrier_of(12)

        def look_then_insert(key: str, entry: Entry, fingerprint: uuid.UUID) -> bool:
            taken = EntryKey.objects.filter(key=key).exists()
            all_have_looked()
            if not taken:
                EntryKey.objects.bulk_create([EntryKey(key=key, entry=entry, fingerprint=fingerprint)])
            return not taken

        monkeypatch.setattr(transfers, "_insert_key", look_then_insert)
        with without_constraint("ledger_entrykey", "ledger_entrykey_pkey"):
            entries = run_together(12, lambda: move(grant, spent, 10, key="spend:1"))
            assert len({entry.pk for entry in entries}) == 12
            assert list(checks.faults()) == ["No key has booked twice"]


class TestTheResolutionOfHolds:
    @staticmethod
    def settle_and_void(hold: Hold, spent: Account) -> list[Callable[[], str]]:
        def settle() -> str:
            try:
                transfers.settle(key=new_key(), kind="spend", parts=[Part(hold, spent)])
            except HoldResolved:
                return "too late"
            except IntegrityError:
                return "stopped by the database"
            return "settled"

        def void() -> str:
            try:
                transfers.void(holds=[hold])
            except HoldResolved:
                return "too late"
            except IntegrityError:
                return "stopped by the database"
            return "voided"

        return [settle, void]

    def test_settle_and_void_of_one_hold_have_one_winner(self) -> None:
        grant, spent = guarded("grant:1", having=100), house("credits:spent")
        for number in range(10):
            (hold,) = transfers.hold(key=f"job:{number}", reserves=[Reserve(grant, credits_(10))])
            outcomes = Counter(run_all(self.settle_and_void(hold, spent) * 2))
            assert outcomes["settled"] + outcomes["voided"] == 1
            assert outcomes["too late"] == 3
        settled = Hold.objects.filter(state=HoldState.SETTLED).count()
        assert (balance(grant), available(grant)) == (100 - 10 * settled, credits_(100 - 10 * settled))
        assert checks.faults() == {}

    def test_without_compare_and_set_the_database_stops_the_second(self, monkeypatch) -> None:
        grant, spent = guarded("grant:1", having=100), house("credits:spent")
        (hold,) = transfers.hold(key="job:1", reserves=[Reserve(grant, credits_(10))])
        monkeypatch.setattr(transfers, "_resolve", resolve_without_looking)
        outcomes = Counter(run_all(self.settle_and_void(hold, spent)))
        assert outcomes["stopped by the database"] == 1
        assert checks.faults() == {}

    def test_without_compare_and_set_and_trigger_the_books_go_wrong(self, monkeypatch) -> None:
        grant, spent = guarded("grant:1", having=100), house("credits:spent")
        (hold,) = transfers.hold(key="job:1", reserves=[Reserve(grant, credits_(10))])
        transfers.hold(key="job:2", reserves=[Reserve(grant, credits_(10))])
        monkeypatch.setattr(transfers, "_resolve", resolve_without_looking)
        with without_trigger("ledger_hold", "hold_is_resolved_once"):
            assert Counter(run_all(self.settle_and_void(hold, spent))) == {"settled": 1, "voided": 1}
        assert "What is held is the sum of the open holds" in checks.faults()


def resolve_without_looking(hold: Hold, state: HoldState, *, settled: int = 0, entry: Entry | None = None) -> None:
    from django.utils import timezone

    Hold.objects.filter(pk=hold.pk).update(state=state, settled=settled, entry=entry, resolved_at=timezone.now())


class TestTheLockOfReversals:
    @staticmethod
    def reverse(entry: Entry) -> str:
        try:
            transfers.reverse(key=new_key(), entry=entry)
        except AboveEntry:
            return "nothing left"
        return "reversed"

    def test_twelve_reversals_of_one_entry_give_back_once(self) -> None:
        grant, spent = guarded("grant:1", having=10), house("credits:spent")
        entry = move(grant, spent, 10)
        assert Counter(run_together(12, lambda: self.reverse(entry))) == {"reversed": 1, "nothing left": 11}
        assert balance(grant) == 10
        assert checks.faults() == {}

    def test_without_the_lock_they_give_back_more_than_was_taken(self, monkeypatch) -> None:
        grant, spent = guarded("grant:1", having=10), house("credits:spent")
        entry = move(grant, spent, 10)
        all_have_looked, left_of = barrier_of(12), transfers.left_of

        def look_together(entry: Entry) -> dict[int, Move]:
            left = left_of(entry)
            all_have_looked()
            return left

        monkeypatch.setattr(transfers, "_lock_entry", lambda entry: None)
        monkeypatch.setattr(transfers, "left_of", look_together)
        assert Counter(run_together(12, lambda: self.reverse(entry))) == {"reversed": 12}
        assert balance(grant) == 120
        assert list(checks.faults()) == ["No entry is reversed beyond itself"]


class TestOpening:
    def test_twelve_rivals_open_one_account(self) -> None:
        opened = run_together(12, lambda: accounts.open(name="grant:1", unit="CREDIT", guarded=True))
        assert len({account.pk for account in opened}) == 1

    def test_a_limit_cannot_slip_past_a_spend(self) -> None:
        """The customer spends into debt while an operator forbids it: one of them is refused, whoever is first."""
        spent = house("credits:spent")
        for number in range(10):
            grant = guarded(f"grant:{number}", floor=-10)

            def forbid(grant: Account = grant) -> str:
                try:
                    accounts.limit(grant, floor=0)
                except InsufficientFunds:
                    return "refused"
                return "limited"

            def spend_it(grant: Account = grant) -> str:
                return spend(grant, 10, spent)

            assert run_all([forbid, spend_it]) in (["refused", "booked"], ["limited", "refused"])
        assert checks.faults() == {}


def test_house_accounts_are_not_locked() -> None:
    """A transaction that has moved between house accounts and is still open keeps nobody waiting."""
    stripe, revenue = house("gateway:stripe:EUR", "EUR"), house("revenue:packs:EUR", "EUR")
    booked, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            move(stripe, revenue, 1)
            booked.set()
            assert may_commit.wait(PATIENCE_SECONDS)

    def quick() -> int:
        assert booked.wait(PATIENCE_SECONDS)
        move(stripe, revenue, 2)
        # Even the strongest lock on both rows is free: the open transaction holds nothing on them.
        with transaction.atomic():
            rows = Account.objects.filter(pk__in=[stripe.pk, revenue.pk]).select_for_update(nowait=True)
            free = len(rows)
        may_commit.set()
        return free

    assert run_all([slow, quick])[1] == 2
    assert balance(revenue) == 3
    assert Transfer.objects.count() == 2
