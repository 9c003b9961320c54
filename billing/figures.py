"""Figures of the shop over a period: what came in by gateway, what the books earned, who bought, who stayed.

Each is one statement over a range of an index, so that its cost follows the period and not the history. Amounts are
minor units, of different currencies never added; months are UTC's; `since` is included, `until` is not.
"""

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from django.db import connection

from ledger import ids


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFigures:
    """One month of one gateway in one currency; without a gateway what cost nothing. Sellers' sales are in it."""

    month: date
    gateway: str
    currency: str
    paid_count: int
    paid: int
    tax: int
    fees: int  # as far as the gateway has told them
    refunded_count: int
    refunded: int
    refunded_tax: int
    attempts_paid: int  # of those that were begun in the month
    attempts_failed: int

    @property
    def net(self) -> int:
        """Without refunds and tax."""
        return self.paid - self.tax - (self.refunded - self.refunded_tax)

    @property
    def failed_rate(self) -> Fraction | None:
        """The share of what was tried and decided that failed; what buyers left says nothing of a gateway."""
        return _rate(self.attempts_failed, self.attempts_paid + self.attempts_failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    """What an account of the house gained; below zero where it cost."""

    currency: str
    account: str  # revenue:packs, commission, fees, loss
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyerFigures:
    """What belongs to sellers is not in the amounts, and who bought from them is not among the payers."""

    currency: str
    begun: int  # checkouts that buyers began in the period: no plans, no automatic top-ups, no bills
    converted: int  # of those, paid by now
    payers: int
    net: int  # without tax and refunds
    pack_purchases: int
    pack_buyers: int

    @property
    def conversion(self) -> Fraction | None:
        return _rate(self.converted, self.begun)

    @property
    def net_per_payer(self) -> Fraction | None:
        """ARPU, in minor units: of those who paid at all."""
        return _rate(self.net, self.payers)

    @property
    def purchases_per_buyer(self) -> Fraction | None:
        return _rate(self.pack_purchases, self.pack_buyers)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFigures:
    """Of the plans in one currency, as they stand today: one that lapsed and was paid late has not been lost."""

    currency: str
    begun: int  # in the period
    converted: int  # of those, paid by now
    at_start: int  # paid before the period, and not over when it began
    lost: int  # of those, over when it ended

    @property
    def conversion(self) -> Fraction | None:
        return _rate(self.converted, self.begun)

    @property
    def churn(self) -> Fraction | None:
        return _rate(self.lost, self.at_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    gateways: list[GatewayFigures]
    earnings: list[Earning]
    buyers: list[BuyerFigures]
    plans: list[PlanFigures]


def report(*, since: datetime, until: datetime) -> Report:
    period = {"since": since, "until": until, "first": ids.first_at(since), "after": ids.first_at(until)}
    return Report(
        gateways=[GatewayFigures(**row) for row in _rows(_GATEWAYS, period)],
        earnings=[Earning(**row) for row in _rows(_EARNINGS, period)],
        buyers=[BuyerFigures(**row) for row in _rows(_BUYERS, period)],
        plans=[PlanFigures(**row) for row in _rows(_PLANS, period)],
    )


def _rows(sql: str, period: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, period)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _rate(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


# ---------------------------------------------------------------- statements

_GATEWAYS = """
    WITH came AS (
        SELECT date_trunc('month', p.ended_at AT TIME ZONE 'UTC')::date AS month, coalesce(a.gateway, '') AS gateway,
               p.currency, count(*) AS paid_count, sum(p.amount_minor) AS paid, sum(p.tax_minor) AS tax,
               sum(a.fee_minor) FILTER (WHERE a.fee_currency = p.currency) AS fees
          FROM billing_payment p
          LEFT JOIN billing_attempt a ON a.payment_id = p.id AND a.state = 'succeeded'
         WHERE p.status = 'succeeded' AND p.ended_at >= %(since)s AND p.ended_at < %(until)s
         GROUP BY 1, 2, 3
    ), went AS (
        SELECT date_trunc('month', r.ended_at AT TIME ZONE 'UTC')::date AS month, a.gateway, r.currency,
               count(*) AS refunded_count, sum(r.amount_minor) AS refunded, sum(r.tax_minor) AS refunded_tax
          FROM billing_refund r JOIN billing_attempt a ON a.id = r.attempt_id
         WHERE r.status = 'succeeded' AND r.origin <> 'surplus'
           AND r.ended_at >= %(since)s AND r.ended_at < %(until)s
         GROUP BY 1, 2, 3
    ), tried AS (
        SELECT date_trunc('month', a.created_at AT TIME ZONE 'UTC')::date AS month, a.gateway, p.currency,
               count(*) FILTER (WHERE a.state IN ('succeeded', 'surplus', 'quarantined')) AS attempts_paid,
               count(*) FILTER (WHERE a.state = 'failed') AS attempts_failed
          FROM billing_attempt a JOIN billing_payment p ON p.id = a.payment_id
         WHERE a.id >= %(first)s AND a.id < %(after)s
         GROUP BY 1, 2, 3
    )
    SELECT month, gateway, currency, coalesce(paid_count, 0) AS paid_count, coalesce(paid, 0)::bigint AS paid,
           coalesce(tax, 0)::bigint AS tax, coalesce(fees, 0)::bigint AS fees,
           coalesce(refunded_count, 0) AS refunded_count, coalesce(refunded, 0)::bigint AS refunded,
           coalesce(refunded_tax, 0)::bigint AS refunded_tax,
           coalesce(attempts_paid, 0) AS attempts_paid, coalesce(attempts_failed, 0) AS attempts_failed
      FROM came FULL JOIN went USING (month, gateway, currency) FULL JOIN tried USING (month, gateway, currency)
     WHERE coalesce(paid_count, refunded_count) IS NOT NULL OR attempts_paid + attempts_failed > 0
     ORDER BY month, gateway, currency
"""

# House accounts are few, and found by their names; their transfers of the period are a range of an index.
_EARNINGS = """
    WITH house AS (
        SELECT id, unit,
               CASE WHEN name LIKE 'revenue:%%' THEN 'revenue:' || split_part(name, ':', 2)
                    ELSE split_part(name, ':', 1) END AS account
          FROM ledger_account
         WHERE NOT guarded AND (name LIKE 'revenue:%%' OR name LIKE 'commission:%%'
                                OR name LIKE 'fees:%%' OR name LIKE 'loss:%%')
    ), moved AS (
        SELECT house.unit, house.account, coalesce(came.amount, 0) - coalesce(went.amount, 0) AS amount
          FROM house
          CROSS JOIN LATERAL (SELECT sum(amount) AS amount FROM ledger_transfer
                               WHERE target_id = house.id AND entry_id >= %(first)s AND entry_id < %(after)s) came
          CROSS JOIN LATERAL (SELECT sum(amount) AS amount FROM ledger_transfer
                               WHERE source_id = house.id AND entry_id >= %(first)s AND entry_id < %(after)s) went
    )
    SELECT unit AS currency, account, sum(amount)::bigint AS amount
      FROM moved GROUP BY 1, 2 HAVING sum(amount) <> 0
     ORDER BY unit, array_position(ARRAY['revenue', 'commission', 'fees', 'loss'], split_part(account, ':', 1)), account
"""

_BUYERS = """
    WITH begun AS (
        SELECT p.currency, count(*) AS begun, count(*) FILTER (WHERE p.status = 'succeeded') AS converted
          FROM billing_payment p
         WHERE p.id >= %(first)s AND p.id < %(after)s
           AND p.kind NOT IN ('plan', 'bill')
           AND NOT EXISTS (SELECT FROM billing_topupcharge c WHERE c.payment_id = p.id)
         GROUP BY 1
    ), came AS (
        SELECT currency, count(DISTINCT user_id) FILTER (WHERE amount_minor > 0) AS payers,
               sum(amount_minor - tax_minor) AS net,
               count(*) FILTER (WHERE kind = 'pack' AND amount_minor > 0) AS pack_purchases,
               count(DISTINCT user_id) FILTER (WHERE kind = 'pack' AND amount_minor > 0) AS pack_buyers
          FROM billing_payment
         WHERE status = 'succeeded' AND kind <> 'sale' AND ended_at >= %(since)s AND ended_at < %(until)s
         GROUP BY 1
    ), went AS (
        SELECT r.currency, sum(r.amount_minor - r.tax_minor) AS net
          FROM billing_refund r JOIN billing_payment p ON p.id = r.payment_id
         WHERE r.status = 'succeeded' AND r.origin <> 'surplus' AND p.kind <> 'sale'
           AND r.ended_at >= %(since)s AND r.ended_at < %(until)s
         GROUP BY 1
    )
    SELECT currency, coalesce(begun, 0) AS begun, coalesce(converted, 0) AS converted, coalesce(payers, 0) AS payers,
           (coalesce(came.net, 0) - coalesce(went.net, 0))::bigint AS net,
           coalesce(pack_purchases, 0) AS pack_purchases, coalesce(pack_buyers, 0) AS pack_buyers
      FROM begun FULL JOIN came USING (currency) FULL JOIN went USING (currency)
     ORDER BY currency
"""

_PLANS = """
    WITH plans AS MATERIALIZED (
        SELECT price.currency, s.id >= %(first)s AS is_new, s.ended_at,
               EXISTS (SELECT FROM billing_paidperiod d WHERE d.subscription_id = s.id) AS is_paid,
               s.id < %(first)s AND EXISTS (SELECT FROM billing_paidperiod d
                   WHERE d.subscription_id = s.id AND d.id < %(first)s) AS was_paid
          FROM billing_subscription s JOIN billing_planprice price ON price.id = s.price_id
         WHERE s.id < %(after)s AND (s.ended_at IS NULL OR s.ended_at >= %(since)s)
    )
    SELECT currency, count(*) FILTER (WHERE is_new) AS begun, count(*) FILTER (WHERE is_new AND is_paid) AS converted,
           count(*) FILTER (WHERE was_paid) AS at_start,
           count(*) FILTER (WHERE was_paid AND ended_at < %(until)s) AS lost
      FROM plans GROUP BY 1 ORDER BY 1
"""
