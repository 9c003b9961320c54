"""A wallet's month: what was in it, every line, and what is in it. The lines sum to the balance at any date."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ledger import ids, statements
from wallets import transactions
from wallets.models import Wallet, WithdrawalStep
from wallets.transactions import Transaction, Wanted

COLUMNS = ("at", "kind", "id", "pending", "available", "reserve", "debt", "change", "balance", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An entry of the books, or a step of a withdrawal that moved nothing. The balance is what there is after it."""

    at: datetime
    kind: str
    id: str
    pending: int
    available: int
    reserve: int
    debt: int
    balance: int
    about: str
    asked: int | None = None  # of a step of a withdrawal: how much it is about

    @property
    def note(self) -> str:
        return self.about if self.asked is None else f"{self.asked} {self.about}".strip()

    @property
    def change(self) -> int:
        return self.pending + self.available + self.reserve + self.debt


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    wallet: Wallet
    since: datetime
    until: datetime
    opening: int
    closing: int
    lines: list[Line]

    def rows(self) -> Iterator[list[Any]]:
        """As a table: the columns, what there was, every line, and what there is."""
        yield list(COLUMNS)
        yield [self.since, "opening", "", "", "", "", "", "", self.opening, ""]
        for line in self.lines:
            yield [getattr(line, name) for name in COLUMNS]
        yield [self.until, "closing", "", "", "", "", "", "", self.closing, ""]


def of_month(wallet: Wallet, *, year: int, month: int) -> Statement:
    """The month in UTC."""
    since = datetime(year, month, 1, tzinfo=UTC)
    until = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return between(wallet, since=since, until=until)


def between(wallet: Wallet, *, since: datetime, until: datetime) -> Statement:
    opening = sum(statements.balance_at(account, since).minor for account in wallet.accounts)
    moved = list(_moved(wallet, since, until))
    events = sorted([*moved, *_steps(wallet, since, until)], key=lambda line: (line.at, line.id))
    balance = opening
    lines = []
    for event in events:
        balance += event.change
        lines.append(
            Line(
                at=event.at,
                kind=event.kind,
                id=event.id,
                pending=event.pending,
                available=event.available,
                reserve=event.reserve,
                debt=event.debt,
                balance=balance,
                about=event.about,
                asked=event.asked,
            )
        )
    return Statement(wallet=wallet, since=since, until=until, opening=opening, closing=balance, lines=lines)


def _moved(wallet: Wallet, since: datetime, until: datetime) -> Iterator[Line]:
    for found in transactions.every(Wanted(wallets=[wallet], since=since, before=ids.first_at(until))):
        for each in found:
            yield _line(each)


def _line(each: Transaction) -> Line:
    return Line(
        at=each.at,
        kind=each.kind,
        id=str(each.id),
        pending=each.pending,
        available=each.available,
        reserve=each.reserve,
        debt=each.debt,
        balance=0,
        about=each.about,
    )


def _steps(wallet: Wallet, since: datetime, until: datetime) -> Iterator[Line]:
    """A payout and its return are entries already; every other step of a withdrawal is told by a line that changes
    nothing."""
    steps = WithdrawalStep.objects.filter(withdrawal__wallet=wallet, created_at__gte=since, created_at__lt=until)
    for step in steps.exclude(status__in=["paid", "returned"]).select_related("withdrawal"):
        yield Line(
            at=step.created_at,
            kind=f"withdrawal.{step.status}",
            id=str(step.withdrawal_id),
            pending=0,
            available=0,
            reserve=0,
            debt=0,
            balance=0,
            about=step.note,
            asked=step.withdrawal.amount_minor,
        )
