"""Projections: what sales that were not made yet would bring, by the same function that splits real ones."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.money import Money
from wallets import commissions
from wallets.commissions import Choice, Question, Split

MOST_SALES_PER_MONTH = 1_000
MOST_MONTHS = 24
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """An amount, and when it can be withdrawn."""

    at: datetime
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedMonth:
    number: int
    gross: int
    commission: int
    net: int
    settled_by: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    choice: Choice
    split: Split
    settlement: tuple[Settlement, ...]
    months: tuple[ProjectedMonth, ...]


def project(
    question: Question, price: Money, *, monthly_volume: int = 0, sales_per_month: int = 0, months: int = 0
) -> Projection:
    """One sale at this price now; and, if asked, so many sales in each of so many months, each month's volume growing
    from nothing as that of a real month does."""
    choice = commissions.choose(question, commissions.candidates(question.at))
    first = commissions.split(price, choice.terms, volume_minor=monthly_volume)
    return Projection(
        choice=choice,
        split=first,
        settlement=tuple(_settlement(question, choice, first.net)),
        months=tuple(_month(question, choice, price, sales_per_month, number) for number in range(1, months + 1)),
    )


def _settlement(question: Question, choice: Choice, net: Money) -> list[Settlement]:
    """The day on which the sale clears, and the later one on which its reserve ends."""
    clears_at = question.at + timedelta(days=choice.terms.clearing_days)
    seller = question.seller
    kept = net.share(seller.reserve_basis_points) if seller else Money(0, net.unit)
    found = [Settlement(at=clears_at, amount=(net - kept).minor)]
    if kept.minor and seller:
        found.append(Settlement(at=clears_at + timedelta(days=seller.reserve_days), amount=kept.minor))
    return [each for each in found if each.amount]


def _month(question: Question, choice: Choice, price: Money, count: int, number: int) -> ProjectedMonth:
    volume = commission = 0
    for _ in range(count):
        commission += commissions.split(price, choice.terms, volume_minor=volume).commission.minor
        volume += price.minor
    ends_at = question.at + number * MONTH + timedelta(days=choice.terms.clearing_days)
    return ProjectedMonth(
        number=number, gross=volume, commission=commission, net=volume - commission, settled_by=ends_at
    )
