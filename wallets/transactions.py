"""What happened to a seller's money: one row for each entry of the books that touched their wallets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext_lazy as _

from ledger.ids import first_at
from wallets.models import Wallet

LABELS = {
    "sale": _("sale"),
    "sale.release": _("cleared"),
    "sale.free": _("freed from the reserve"),
    "sale.refund": _("refund to a buyer"),
    "sale.dispute": _("lost to a buyer's bank"),
    "sale.returned": _("refund that came back"),
    "withdrawal": _("withdrawal"),
    "withdrawal.returned": _("withdrawal that came back"),
    "debt.repaid": _("debt repaid"),
    "adjustment": _("correction by hand"),
}
KINDS = tuple(LABELS)
LARGEST_PAGE = 500
MOST_REFERENCES = 20
MOVED_WITHIN = "\N{EM DASH}"  # money that clears is as much as it was: a zero would read as if nothing had come


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What an entry changed on each account of one wallet, in minor units; below zero where something went."""

    id: UUID
    kind: str
    at: datetime
    currency: str
    pending: int
    available: int
    reserve: int
    debt: int
    references: tuple[str, ...]  # of the sales it is about, where they have one; a clearing of many names some
    unnamed: int  # and has so many more

    @property
    def about(self) -> str:
        named = ", ".join(reference for reference in self.references if reference)
        return f"{named} (+{self.unnamed})" if self.unnamed else named

    @property
    def change(self) -> int:
        """What it changed in all: zero when money only moved on within the wallet."""
        return self.pending + self.available + self.reserve + self.debt


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which transactions: of these wallets, at least and before these ids, of a kind."""

    wallets: Sequence[Wallet]
    kind: str | None = None
    since: datetime | None = None
    before: UUID | None = None


def page(wanted: Wanted, limit: int) -> list[Transaction]:
    """The newest ones first. One walk along the index of the transfers of these accounts, for as long as it takes."""
    if not wanted.wallets:
        return []
    accounts = {
        getattr(wallet, f"{part}_id"): (wallet.currency, part)
        for wallet in wanted.wallets
        for part in ("pending", "available", "reserve", "debt")
    }
    with connection.cursor() as cursor:
        cursor.execute(
            _PAGE,
            {
                "accounts": list(accounts),
                "currencies": [currency for currency, _part in accounts.values()],
                "parts": [part for _currency, part in accounts.values()],
                "kind": wanted.kind,
                "first": first_at(wanted.since) if wanted.since else UUID(int=0),
                "before": wanted.before or UUID(int=2**128 - 1),
                "limit": limit,
                "most": MOST_REFERENCES,
            },
        )
        rows = cursor.fetchall()
    return [_transaction(row) for row in rows]


def every(wanted: Wanted) -> Iterator[list[Transaction]]:
    """All of them, in large pages."""
    before = wanted.before
    while True:
        found = page(Wanted(wallets=wanted.wallets, kind=wanted.kind, since=wanted.since, before=before), LARGEST_PAGE)
        yield found
        if len(found) < LARGEST_PAGE:
            return
        before = found[-1].id


def _transaction(row: Sequence[Any]) -> Transaction:
    entry, kind, at, currency, pending, available, reserve, debt, references, unnamed = row
    return Transaction(
        id=entry,
        kind=kind,
        at=at,
        currency=currency,
        pending=int(pending),
        available=int(available),
        reserve=int(reserve),
        debt=int(debt),
        references=tuple(references or ()),
        unnamed=unnamed,
    )


# An entry touches a wallet of each currency at most once: its id and the currency are the row.
_PAGE = """
    WITH mine (account_id, currency, part) AS (
        SELECT * FROM unnest(%(accounts)s::bigint[], %(currencies)s::text[], %(parts)s::text[])
    ), sides (entry_id, account_id, amount) AS (
        SELECT entry_id, source_id, -amount FROM ledger_transfer
         WHERE source_id = ANY(%(accounts)s::bigint[]) AND entry_id >= %(first)s AND entry_id < %(before)s
         UNION ALL
        SELECT entry_id, target_id, amount FROM ledger_transfer
         WHERE target_id = ANY(%(accounts)s::bigint[]) AND entry_id >= %(first)s AND entry_id < %(before)s
    ), rows AS (
        SELECT entry.id, entry.kind, entry.created_at, mine.currency,
               coalesce(sum(sides.amount) FILTER (WHERE part = 'pending'), 0) AS pending,
               coalesce(sum(sides.amount) FILTER (WHERE part = 'available'), 0) AS available,
               coalesce(sum(sides.amount) FILTER (WHERE part = 'reserve'), 0) AS reserve,
               coalesce(sum(sides.amount) FILTER (WHERE part = 'debt'), 0) AS debt
          FROM sides
          JOIN mine USING (account_id)
          JOIN ledger_entry entry ON entry.id = sides.entry_id
         WHERE %(kind)s::text IS NULL OR entry.kind = %(kind)s::text
         GROUP BY entry.id, entry.kind, entry.created_at, mine.currency
         ORDER BY entry.id DESC
         LIMIT %(limit)s
    )
    SELECT rows.*, coalesce(sold.list, taken.list, cleared.list[:%(most)s], freed.list) AS list,
           greatest(coalesce(cardinality(cleared.list) - %(most)s, freed.unnamed, 0), 0) AS unnamed
      FROM rows
      LEFT JOIN LATERAL (
            SELECT array_agg(sale.reference ORDER BY sale.number) AS list
              FROM wallets_sale sale JOIN wallets_wallet wallet ON wallet.id = sale.wallet_id
             WHERE rows.kind = 'sale' AND sale.entry_id = rows.id
               AND wallet.pending_id = ANY(%(accounts)s::bigint[])
           ) sold ON true
      LEFT JOIN LATERAL (
            SELECT array_agg(sale.reference) AS list
              FROM wallets_takeback taken JOIN wallets_sale sale ON sale.id = taken.sale_id
             WHERE rows.kind IN ('sale.refund', 'sale.dispute') AND taken.entry_id = rows.id
           ) taken ON true
      LEFT JOIN LATERAL (
            SELECT array_agg(sale.reference ORDER BY sale.id) AS list
              FROM wallets_sale sale
             WHERE rows.kind = 'sale.release' AND sale.release_entry_id = rows.id AND sale.reference <> ''
           ) cleared ON true
      LEFT JOIN LATERAL (
            SELECT array(SELECT jsonb_array_elements_text(entry.metadata -> 'references')) AS list,
                   (entry.metadata ->> 'unnamed')::int AS unnamed
              FROM ledger_entry entry
             WHERE rows.kind = 'sale.free' AND entry.id = rows.id
           ) freed ON true
     ORDER BY rows.id DESC
"""
