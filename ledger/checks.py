"""The checks by which `manage.py check_ledger` proves the books; each is one query that sees one moment.

Apps above add theirs by naming functions in `settings.LEDGER_CHECKS`: each takes nothing and returns a `Result`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a check looked at, how many, and what is wrong: `faults` counts all, `examples` shows some."""

    looked_at: int
    faults: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Check:
    """A sentence that must be true, what its figure counts, and the act that finds out."""

    name: str
    counts: str
    run: Callable[[], Result]


def all_checks() -> Iterator[Check]:
    for name, (counts, sql) in _CHECKS.items():
        yield Check(name, counts, lambda sql=sql: ask(sql))  # type: ignore[misc]
    for path in settings.LEDGER_CHECKS:
        yield Check(path, "", import_string(path))


def faults() -> dict[str, list[str]]:
    """Every check that finds something wrong, with examples; empty when the books are in order."""
    results = {check.name: check.run() for check in all_checks()}
    return {name: result.examples for name, result in results.items() if result.faults}


def ask(sql: str) -> Result:
    """Run a query of one column that is null for what is right and a sentence for what is wrong."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH looked_at (fault) AS MATERIALIZED ({sql})
            SELECT count(*), count(fault), (SELECT array_agg(fault) FROM (
                SELECT fault FROM looked_at WHERE fault IS NOT NULL ORDER BY fault LIMIT {FAULTS_SHOWN}) examples)
              FROM looked_at
            """  # noqa: S608
        )
        looked_at, wrong, examples = cursor.fetchone()
    return Result(looked_at=looked_at, faults=wrong, examples=examples or [])


_MOVED = """
    SELECT side.account_id, sum(side.amount) AS moved
      FROM ledger_transfer
     CROSS JOIN LATERAL (VALUES (source_id, -amount), (target_id, amount)) side (account_id, amount)
     GROUP BY side.account_id
"""

# A query that looks at many rows aggregates before it joins, so that it stays one pass over the transfers.
_CHECKS: dict[str, tuple[str, str]] = {
    "Every balance is the sum of its transfers": (
        "guarded accounts",
        f"""
        SELECT CASE WHEN balance <> coalesce(moved, 0)
                    THEN format('%s has %s, its transfers sum to %s', name, balance, coalesce(moved, 0)) END
          FROM ledger_account LEFT JOIN ({_MOVED}) sums ON sums.account_id = id WHERE guarded
        """,  # noqa: S608
    ),
    "What is held is the sum of the open holds": (
        "guarded accounts",
        """
        SELECT CASE WHEN held <> coalesce(open_holds, 0)
                    THEN format('%s holds %s, its open holds sum to %s', name, held, coalesce(open_holds, 0)) END
          FROM ledger_account LEFT JOIN (
                SELECT account_id, sum(amount) AS open_holds FROM ledger_hold WHERE state = 'open' GROUP BY account_id
               ) holds ON holds.account_id = id
         WHERE guarded
        """,
    ),
    "Each unit sums to zero over all accounts": (
        "units",
        f"""
        SELECT CASE WHEN sum(CASE WHEN guarded THEN balance ELSE coalesce(moved, 0) END) <> 0
                    THEN format('%s sums to %s', unit,
                                sum(CASE WHEN guarded THEN balance ELSE coalesce(moved, 0) END)) END
          FROM ledger_account LEFT JOIN ({_MOVED}) sums ON sums.account_id = id GROUP BY unit
        """,  # noqa: S608
    ),
    "No guarded account is below its floor": (
        "guarded accounts",
        """
        SELECT CASE WHEN balance - held < floor OR held < 0
                    THEN format('%s has %s with %s held, its floor is %s', name, balance, held, floor) END
          FROM ledger_account WHERE guarded
        """,
    ),
    "No house account stores a balance": (
        "house accounts",
        """
        SELECT CASE WHEN (balance, held, floor) <> (0, 0, 0) THEN format('%s stores %s', name, balance) END
          FROM ledger_account WHERE NOT guarded
        """,
    ),
    "Every transfer joins two accounts of one unit and has an entry": (
        "transfers",
        """
        SELECT CASE WHEN source.unit IS NULL OR target.unit IS NULL OR source.unit <> target.unit OR entry.id IS NULL
                    THEN format('transfer %s/%s', entry_id, number) END
          FROM ledger_transfer
          LEFT JOIN ledger_account source ON source.id = source_id
          LEFT JOIN ledger_account target ON target.id = target_id
          LEFT JOIN ledger_entry entry ON entry.id = entry_id
        """,
    ),
    "Every entry has a transfer and one key, every key an entry": (
        "entries",
        """
        SELECT CASE WHEN entry.id IS NULL THEN format('key %s has no entry', keys.key)
                    WHEN coalesce(keys.how_many, 0) <> 1
                        THEN format('entry %s has %s keys', entry.id, coalesce(keys.how_many, 0))
                    WHEN moved.entry_id IS NULL THEN format('entry %s moved nothing', entry.id) END
          FROM ledger_entry entry
          FULL JOIN (SELECT entry_id, count(*) AS how_many, min(key) AS key FROM ledger_entrykey GROUP BY entry_id) keys
            ON keys.entry_id = entry.id
          LEFT JOIN (SELECT DISTINCT entry_id FROM ledger_transfer) moved ON moved.entry_id = entry.id
        """,
    ),
    "No key has booked twice": (
        "keys",
        """
        SELECT CASE WHEN count(*) > 1 THEN format('%s has booked %s times', key, count(*)) END
          FROM ledger_entrykey GROUP BY key
        """,
    ),
    "What a settled hold gave is in its entry": (
        "settled holds",
        """
        SELECT CASE WHEN settled <> coalesce(given, 0)
                    THEN format('entry %s settles %s of an account and moves %s', entry_id, settled, given) END
          FROM (SELECT entry_id, account_id, sum(settled) AS settled FROM ledger_hold
                 WHERE state = 'settled' GROUP BY entry_id, account_id) holds
          LEFT JOIN LATERAL (SELECT sum(amount) AS given FROM ledger_transfer transfer
                 WHERE transfer.entry_id = holds.entry_id AND transfer.source_id = holds.account_id) moved ON true
        """,
    ),
    "No entry is reversed beyond itself": (
        "reversed transfers",
        """
        SELECT CASE WHEN original.amount IS NULL OR undone.amount > original.amount
                    THEN format('%s of transfer %s/%s is reversed, it moved %s', undone.amount, undone.reverses_id,
                                undone.number, coalesce(original.amount, 0)) END
          FROM (SELECT reverses_id, number, sum(amount) AS amount
                  FROM ledger_entry JOIN ledger_transfer ON entry_id = id
                 WHERE reverses_id IS NOT NULL GROUP BY reverses_id, number) undone
          LEFT JOIN ledger_transfer original
            ON original.entry_id = undone.reverses_id AND original.number = undone.number
        """,
    ),
    "The totals of the house are sums up to the mark": (
        "house accounts",
        """
        SELECT CASE WHEN coalesce(total.balance, 0) <> coalesce(moved, 0)
                    THEN format('%s has a total of %s, its transfers sum to %s', name, coalesce(total.balance, 0),
                                coalesce(moved, 0)) END
          FROM ledger_account
          LEFT JOIN ledger_housetotal total ON total.account_id = id
          LEFT JOIN (
                SELECT side.account_id, sum(side.amount) AS moved
                  FROM ledger_transfer
                 CROSS JOIN LATERAL (VALUES (source_id, -amount), (target_id, amount)) side (account_id, amount)
                 WHERE txid < (SELECT coalesce(max(mark), 0) FROM ledger_rollup)
                 GROUP BY side.account_id
               ) sums ON sums.account_id = id
         WHERE NOT guarded
        """,
    ),
}
