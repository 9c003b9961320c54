"""What the uses of a period earned over their real cost: by action, and by the lots whose credits they really took.

A lot is a grant at its price. Prices are as they were paid, tax included; what was given back meanwhile is taken off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from django.db import connection

from credits import margins
from credits.margins import MICROS, Margin
from credits.models import GrantSource
from ledger import ids
from ledger.money import Money

Rates = Mapping[tuple[str, str], Fraction]


class Worth(StrEnum):
    """What is known of the price of a lot."""

    PAID = "paid"
    GIVEN = "given"  # for nothing: it earns nothing, and costs what its use costs
    UNKNOWN = "unknown"  # paid by a plan's price, or not yet


# Beside the sources of grants.
DEBT, UNLIMITED = "debt", "unlimited"
GIVEN = (GrantSource.BONUS, GrantSource.PROMOTION, GrantSource.MANUAL, GrantSource.REFERRAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Uses of one action out of equal lots. A use that took credits of two lots counts in both lines."""

    action: str  # empty: credits that were spent by amount, without an action
    unit: str
    source: str
    lot: int | None  # so many credits
    price: Money | None  # were bought for this
    uses: int
    credits: int
    revenue: Fraction | None  # in major units of the price's currency
    real_cost: Fraction | None  # in major units of its own currency
    cost_currency: str

    @property
    def worth(self) -> Worth:
        if self.price is not None:
            return Worth.PAID
        return Worth.GIVEN if self.source in GIVEN else Worth.UNKNOWN

    @property
    def currency(self) -> str:
        """What is given for nothing is reckoned in the currency of what it costs."""
        return self.price.unit if self.price is not None else self.cost_currency

    def margin(self, rates: Rates) -> Margin | None:
        """None where the price or the real cost is not known, or no rate leads from one to the other."""
        if self.revenue is None or self.real_cost is None:
            return None
        rate = margins.rate_between(self.cost_currency, self.currency, rates)
        return None if rate is None else Margin(revenue=self.revenue, real_cost=self.real_cost * rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Of the lines of a unit and a currency whose margin is known; `others` are the credits of the unit's others."""

    unit: str
    currency: str
    credits: int
    others: int
    margin: Margin


# By the primary keys, which begin with the time: a period is a range of them. What comes back of a part of a spend has
# the number of that part. Twice at most credits have come back to a lot in the place of another.
_LINES = """
    WITH spent AS (
        SELECT s.entry_id, s.action, p.unit, s.amount + s.metered AS charged, s.amount, s.metered, s.reversed_amount,
               c.real_cost_micros * s.quantity AS micros, c.real_cost_currency AS currency
          FROM credits_spend s
          JOIN credits_purse p ON p.id = s.purse_id
          LEFT JOIN credits_cost c ON c.action = s.action AND c.version = s.cost_version
         WHERE s.entry_id >= %(first)s AND s.entry_id < %(after)s
    ), back AS (
        SELECT spent.entry_id, t.number, sum(t.amount) AS amount
          FROM spent
          JOIN ledger_entry undo ON undo.reverses_id = spent.entry_id
          JOIN ledger_transfer t ON t.entry_id = undo.id
         WHERE spent.amount > 0 AND spent.reversed_amount > 0
         GROUP BY spent.entry_id, t.number
    ), parts AS (
        SELECT spent.action, spent.unit, spent.charged, spent.micros, spent.currency, t.source_id AS account_id,
               false AS is_metered, t.amount - coalesce(back.amount, 0) AS used
          FROM spent
          JOIN ledger_transfer t ON t.entry_id = spent.entry_id
                                AND t.entry_id >= %(first)s AND t.entry_id < %(after)s
          LEFT JOIN back ON back.entry_id = t.entry_id AND back.number = t.number
         WHERE spent.amount > 0
         UNION ALL
        SELECT action, unit, charged, micros, currency, NULL, true, metered - reversed_amount
          FROM spent WHERE metered > 0
    )
    SELECT parts.action, parts.unit,
           CASE WHEN is_metered THEN 'unlimited' ELSE coalesce(lot.source, 'debt') END AS source,
           CASE WHEN lot.paid_minor IS NOT NULL THEN lot.amount END AS size, lot.paid_minor, lot.paid_currency,
           coalesce(parts.currency, '') AS cost_currency, count(*) AS uses, sum(used)::bigint AS used,
           sum(used * parts.micros / parts.charged::numeric) AS micros
      FROM parts
      LEFT JOIN credits_grant own ON own.account_id = parts.account_id
      LEFT JOIN credits_grant first ON first.account_id = own.origin_id
      LEFT JOIN credits_grant lot
             ON lot.account_id = coalesce(first.origin_id, first.account_id, own.account_id)
     WHERE used > 0
     GROUP BY 1, 2, 3, 4, 5, 6, 7
     ORDER BY 1, 2, 3, 6, 4, 5
"""


def report(*, since: datetime, until: datetime) -> list[Line]:
    """By action, and then by lot; `since` is included, `until` is not."""
    with connection.cursor() as cursor:
        cursor.execute(_LINES, {"first": ids.first_at(since), "after": ids.first_at(until)})
        names = [column.name for column in cursor.description or ()]
        return [_line(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def totals(lines: Iterable[Line], rates: Rates) -> list[Total]:
    """One for each unit and currency, in this order; no amounts of different currencies are added."""
    known: dict[tuple[str, str], Total] = {}
    unknown: dict[str, int] = {}
    for line in lines:
        margin = line.margin(rates)
        if margin is None:
            unknown[line.unit] = unknown.get(line.unit, 0) + line.credits
            continue
        key = (line.unit, line.currency)
        before = known.get(key)
        known[key] = Total(
            unit=line.unit,
            currency=line.currency,
            credits=line.credits + (before.credits if before else 0),
            others=0,
            margin=_sum(margin, before.margin if before else None),
        )
    return [
        Total(unit=unit, currency=currency, credits=total.credits, others=unknown.get(unit, 0), margin=total.margin)
        for (unit, currency), total in sorted(known.items())
    ]


def _sum(one: Margin, other: Margin | None) -> Margin:
    if other is None:
        return one
    return Margin(revenue=one.revenue + other.revenue, real_cost=one.real_cost + other.real_cost)


def _line(
    *,
    action: str,
    unit: str,
    source: str,
    size: int | None,
    paid_minor: int | None,
    paid_currency: str | None,
    cost_currency: str,
    uses: int,
    used: int,
    micros: Decimal | None,
) -> Line:
    price = Money(paid_minor, paid_currency) if paid_minor is not None and paid_currency else None
    revenue = margins.major(price) * used / size if price is not None and size else None
    if source in GIVEN:
        revenue = revenue or Fraction(0)
    return Line(
        action=action,
        unit=unit,
        source=source,
        lot=size if price else None,
        price=price,
        uses=uses,
        credits=used,
        revenue=revenue,
        real_cost=None if micros is None else Fraction(micros) / MICROS,
        cost_currency=cost_currency,
    )
