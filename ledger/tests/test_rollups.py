import threading
import time
from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.db.models import Max

from ledger import accounts, checks
from ledger.models import HouseTotal, RollUp, Transfer
from ledger.tests.books import balance, guarded, house, move
from ledger.tests.races import PATIENCE_SECONDS, run_all, run_together

pytestmark = pytest.mark.django_db(transaction=True)


def wait_for_all_writers() -> None:
    """A roll-up counts only what is below the oldest running transaction of the whole server, and other workers'
    tests run there too, the longest of them in one transaction: ask until all that is in the books is below it."""
    until = time.monotonic() + 10 * PATIENCE_SECONDS
    with connection.cursor() as cursor:
        newest = Transfer.objects.aggregate(Max("txid"))["txid__max"]
        while time.monotonic() < until:
            cursor.execute(
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > %s FROM pg_sleep(0.01)", [newest]
            )
            if cursor.fetchone() == (True,):
                return
    raise AssertionError("a transaction of this server does not end")


def totals() -> dict[str, int]:
    return {total.account.name: int(total.balance) for total in HouseTotal.objects.select_related("account")}


def test_a_roll_up_counts_everything_once_however_often_it_runs() -> None:
    stripe, revenue, wallet = house("stripe", "EUR"), house("revenue", "EUR"), guarded("wallet", unit="EUR")
    move(stripe, revenue, 10)
    move(stripe, wallet, 5)
    wait_for_all_writers()
    accounts.roll_up()
    accounts.roll_up()
    assert totals() == {"stripe": -15, "revenue": 10}
    assert (balance(stripe), balance(revenue)) == (-15, 10)
    move(stripe, revenue, 1)
    assert (balance(stripe), balance(revenue)) == (-16, 11)
    wait_for_all_writers()
    accounts.roll_up()
    assert totals() == {"stripe": -16, "revenue": 11}
    assert checks.faults() == {}


def test_what_moved_in_the_roll_ups_own_transaction_is_left_to_the_next() -> None:
    stripe, revenue = house("stripe", "EUR"), house("revenue", "EUR")
    with transaction.atomic():
        move(stripe, revenue, 10)
        accounts.roll_up()
    assert (totals(), balance(revenue), balance(stripe)) == ({}, 10, -10)
    assert checks.faults() == {}


def test_a_roll_up_of_empty_books_does_nothing() -> None:
    accounts.roll_up()
    assert totals() == {}
    assert balance(house("stripe", "EUR")) == 0


def test_a_slow_writer_is_counted_once_he_commits() -> None:
    """He began first and commits last: whoever counts "up to the newest row" would never count him."""
    stripe, revenue = house("stripe", "EUR"), house("revenue", "EUR")
    written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            move(stripe, revenue, 1)
            written.set()
            assert may_commit.wait(PATIENCE_SECONDS)

    def others() -> list[int]:
        seen = []
        assert written.wait(PATIENCE_SECONDS)
        for _ in range(3):
            move(stripe, revenue, 10)
            accounts.roll_up()
            seen.append(balance(revenue))
        may_commit.set()
        return seen

    assert run_all([slow, others])[1] == [10, 20, 30]
    assert balance(revenue) == 31
    wait_for_all_writers()
    accounts.roll_up()
    assert totals() == {"stripe": -31, "revenue": 31}
    assert checks.faults() == {}


def test_roll_ups_and_writers_at_once_lose_nothing() -> None:
    stripe, revenue = house("stripe", "EUR"), house("revenue", "EUR")

    def write() -> None:
        for _ in range(20):
            move(stripe, revenue, 1)

    def roll() -> None:
        for _ in range(10):
            accounts.roll_up()

    run_all([write, roll, write, roll, write, roll])
    assert balance(revenue) == 60
    wait_for_all_writers()
    accounts.roll_up()
    assert totals() == {"stripe": -60, "revenue": 60}
    assert checks.faults() == {}


def test_twelve_roll_ups_at_once_count_once() -> None:
    stripe, revenue = house("stripe", "EUR"), house("revenue", "EUR")
    move(stripe, revenue, 10)
    wait_for_all_writers()
    run_together(12, accounts.roll_up)
    assert totals() == {"stripe": -10, "revenue": 10}


def test_without_the_lock_of_the_mark_they_count_twice(monkeypatch) -> None:
    """If this fails, the test above proves nothing."""
    stripe, revenue = house("stripe", "EUR"), house("revenue", "EUR")
    move(stripe, revenue, 10)
    all_have_read = threading.Barrier(2)

    def read_without_locking() -> int:
        mark = RollUp.objects.filter(pk=1).values_list("mark", flat=True).first() or 0
        all_have_read.wait(PATIENCE_SECONDS)
        return mark

    wait_for_all_writers()
    accounts.roll_up()
    move(stripe, revenue, 1)
    wait_for_all_writers()
    monkeypatch.setattr(accounts, "_lock_mark", read_without_locking)
    run_together(2, accounts.roll_up)
    assert totals() == {"stripe": -12, "revenue": 12}
    assert "The totals of the house are sums up to the mark" in checks.faults()


def test_books_restored_into_a_younger_cluster_are_counted_anew() -> None:
    """Its transactions have lower numbers than the mark: trusting it would hide all that is written from now on."""
    stripe, revenue = house("stripe", "EUR"), house("revenue", "EUR")
    move(stripe, revenue, 10)
    mark = accounts.roll_up()
    with connection.cursor() as cursor:  # as if the whole history came from a cluster a million transactions ahead
        cursor.execute("ALTER TABLE ledger_transfer DISABLE TRIGGER transfer_is_append_only")
        cursor.execute("UPDATE ledger_transfer SET txid = txid + 1000000")
        cursor.execute("ALTER TABLE ledger_transfer ENABLE TRIGGER transfer_is_append_only")
    RollUp.objects.update(mark=mark + 1_000_000)
    move(stripe, revenue, 1)
    assert balance(revenue) == 11
    accounts.roll_up()
    assert balance(revenue) == 11
    move(stripe, revenue, 1)
    accounts.roll_up()
    assert balance(revenue) == 12
    assert checks.faults() == {}


def test_reading_a_balance_beside_a_roll_up_is_always_right() -> None:
    stripe, revenue = house("stripe", "EUR"), house("revenue", "EUR")
    for _ in range(5):
        move(stripe, revenue, 1)

    def read() -> set[int]:
        return {balance(revenue) for _ in range(50)}

    def roll() -> set[int]:
        for _ in range(20):
            accounts.roll_up()
        return {5}

    acts: list[Callable[[], set[int]]] = [read, roll, read]
    assert run_all(acts) == [{5}, {5}, {5}]
