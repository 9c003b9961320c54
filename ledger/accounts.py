"""Accounts: open them, lock them, limit them, and say what is on them."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection, transaction
from django.db.models import F

from ledger.errors import AccountDiffers, InsufficientFunds, InvalidAmount, NotGuarded, UnknownAccount
from ledger.models import Account, HouseTotal, RollUp
from ledger.money import LARGEST_MINOR, Money, exponent


def open(*, name: str, unit: str, guarded: bool, floor: int = 0) -> Account:  # noqa: A001 - read as accounts.open(...)
    """The account of that name, made if there is none; `floor` counts for a new one only."""
    return open_all(names=[name], unit=unit, guarded=guarded, floor=floor)[name]


def open_all(*, names: Collection[str], unit: str, guarded: bool, floor: int = 0) -> dict[str, Account]:
    """The accounts of these names, those that are missing made: three statements at most, however many they are."""
    exponent(unit)
    _check_floor(floor)
    found = _by_name(names)
    if missing := sorted(set(names) - found.keys()):
        # A rival may open one in this moment: the insert waits for it, then does nothing. All in one order, so that
        # two who open the same ones do not wait for each other.
        new = [Account(name=name, unit=unit, guarded=guarded, floor=floor) for name in missing]
        Account.objects.bulk_create(new, ignore_conflicts=True)
        found |= _by_name(missing)
    for account in found.values():
        if (account.unit, account.guarded) != (unit, guarded):
            raise AccountDiffers(account)
    return found


def _by_name(names: Collection[str]) -> dict[str, Account]:
    return {account.name: account for account in Account.objects.filter(name__in=names)}


def lock(accounts: Collection[Account]) -> dict[int, Account]:
    """The guarded ones among the accounts, fresh and locked until the transaction ends, in primary-key order so that
    two transactions cannot wait for each other. House accounts are left alone.

    An act that uses several verbs in one transaction locks all its accounts first by this.
    """
    wanted = {account.pk for account in accounts if account.guarded}
    if not wanted:
        return {}
    # NO KEY: a new hold looks at the account through its foreign key, and need not wait for a balance.
    rows = Account.objects.filter(pk__in=wanted).select_for_update(no_key=True).order_by("pk")
    locked = {account.pk: account for account in rows}
    if missing := wanted - locked.keys():
        raise UnknownAccount(f"No account has the number {', '.join(map(str, sorted(missing)))}.")
    return locked


def limit(account: Account, *, floor: int) -> None:
    """Let a guarded account go down to `floor` (zero, or a debt as a negative number), if it is not below it now."""
    if not account.guarded:
        raise NotGuarded(f"{account.name} is a house account and has no limit.")
    _check_floor(floor)
    # One statement that checks and writes: a rival's balance is either in it, or waits for it.
    fits = Account.objects.filter(pk=account.pk, balance__gte=F("held") + floor)
    if fits.update(floor=floor):
        return
    found = Account.objects.filter(pk=account.pk).first()
    if found is None:
        raise UnknownAccount(f"{account.name} is not in the books.")
    raise InsufficientFunds(found, Money(found.held + floor - found.balance, found.unit))


def _check_floor(floor: int) -> None:
    if type(floor) is not int or not -LARGEST_MINOR <= floor <= 0:
        raise InvalidAmount(f"A floor is zero or a debt as a negative number, not {floor!r}.")


def balance_of(account: Account) -> Money:
    """A guarded account's balance is stored; a house account's is its total plus what has moved since the roll-up."""
    if account.guarded:
        balance = Account.objects.filter(pk=account.pk).values_list("balance", flat=True).first()
        if balance is None:
            raise UnknownAccount(f"{account.name} is not in the books.")
        return Money(balance, account.unit)
    total, mark = rolled_up(account)
    return Money(total + _moved_since(account, mark), account.unit)


def units_of_the_house() -> set[str]:
    """Those in which the house ever had something, at the last roll-up: a few rows, where the accounts are millions."""
    return set(HouseTotal.objects.values_list("account__unit", flat=True).distinct())


def rolled_up(account: Account) -> tuple[int, int]:
    """A house account's total and the mark that it goes up to, read together.

    Whatever is read of the tail from that mark on, later, adds up with it: a roll-up in between moves both at once.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce((SELECT mark FROM ledger_rollup), 0),
                   coalesce((SELECT balance FROM ledger_housetotal WHERE account_id = %s), 0),
                   pg_snapshot_xmin(pg_current_snapshot())::text::bigint
            """,
            [account.pk],
        )
        mark, total, oldest_running = cursor.fetchone()
    if mark > oldest_running:
        # The books were restored into a cluster that counts its transactions from a lower number. What it writes now
        # lies below the mark, so the totals say nothing until a roll-up has made them anew.
        return 0, 0
    return int(total), mark


def _moved_since(account: Account, mark: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT coalesce(sum(amount), 0) FROM ledger_transfer
                     WHERE target_id = %(account)s AND txid >= %(mark)s)
                 - (SELECT coalesce(sum(amount), 0) FROM ledger_transfer
                     WHERE source_id = %(account)s AND txid >= %(mark)s)
            """,
            {"account": account.pk, "mark": mark},
        )
        return int(cursor.fetchone()[0])


def roll_up() -> int:
    """Add to the totals of the house what has moved since the last time; returns the new mark.

    Transactions commit in another order than they begin, so "everything up to the newest row" would lose a slow
    writer's rows. Instead each transfer carries the number of its transaction, and only transactions below the
    oldest one still running are counted: those are over, and no row can appear among them any more. Running this
    twice, or twice at once, counts nothing twice; a transaction that stays open makes the tail longer, not wrong.
    """
    with transaction.atomic():
        mark = _lock_mark()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            oldest_running: int = cursor.fetchone()[0]
            if mark > oldest_running:  # restored elsewhere: see rolled_up
                HouseTotal.objects.all().delete()
                mark = 0
            cursor.execute(_ADD_TO_TOTALS, {"mark": mark, "until": oldest_running})
        RollUp.objects.filter(pk=1).update(mark=oldest_running)
    return oldest_running


def _lock_mark() -> int:
    """The mark, locked: a second roll-up waits here, and then begins where the first one ended."""
    RollUp.objects.bulk_create([RollUp(pk=1)], ignore_conflicts=True)
    return RollUp.objects.select_for_update(no_key=True).get(pk=1).mark


_ADD_TO_TOTALS = """
    INSERT INTO ledger_housetotal (account_id, balance)
    SELECT account.id, sum(side.amount)
      FROM ledger_transfer transfer
     CROSS JOIN LATERAL (VALUES (source_id, -amount), (target_id, amount)) side (account_id, amount)
      JOIN ledger_account account ON account.id = side.account_id AND NOT account.guarded
     WHERE transfer.txid >= %(mark)s AND transfer.txid < %(until)s
     GROUP BY account.id
        ON CONFLICT (account_id) DO UPDATE SET balance = ledger_housetotal.balance + excluded.balance
"""
