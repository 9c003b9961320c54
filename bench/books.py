"""Books to measure on: customers with their grants, and as many rows of a past as wanted."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.utils import timezone

from credits import grants
from credits.grants import NewGrant
from credits.models import Cost, CostKind, GrantSource
from rest import tokens

ACTION = "bench.act"
GRANT_AMOUNT = 10**9  # never used up, so that each spend finds the same grants
SLICE = 500_000
_HISTORY = (Path(__file__).parent / "sql" / "history.sql").read_text()
_KEYS = """
    INSERT INTO ledger_entrykey (key, entry_id, fingerprint)
    SELECT 'spend:' || purse.user_id || ':' || gen_random_uuid(), spend.entry_id, gen_random_uuid()
      FROM credits_spend spend JOIN credits_purse purse ON purse.id = spend.purse_id
     ORDER BY 1
"""
_BALANCES = """
    UPDATE ledger_account a SET balance = balance - used.amount
      FROM (SELECT source_id, sum(amount) AS amount FROM ledger_transfer GROUP BY source_id) used
     WHERE used.source_id = a.id AND a.guarded
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Customers with ids in a row and named bench-0, bench-1 …; the first of them is the hot one."""

    first_user_id: int
    customers: int
    service_token: str


def open_books(customers: int) -> Books:
    """Customers with three grants each (bought, bonus, promotion), the cost of one action, and a service's token."""
    long_ago = timezone.now() - timedelta(days=500)
    people = make_people(customers)
    for source in (GrantSource.PACK, GrantSource.BONUS, GrantSource.PROMOTION):
        for start in range(0, customers, 5_000):
            grants.issue_many(
                [
                    NewGrant(user_id=person.pk, amount=GRANT_AMOUNT, source=source, key=f"bench:{source}:{person.pk}")
                    for person in people[start : start + 5_000]
                ],
                at=long_ago,
            )
    Cost.objects.create(
        action=ACTION, catalogue="bench", version=1, valid_from=long_ago, kind=CostKind.FIXED, amount=1, label_en="Act"
    )
    allowed = Permission.objects.filter(codename__in=("act_for_customers", "spend_credits"))
    _, secret = tokens.issue(name="bench", permissions=allowed, expires_at=None, by=None)
    return Books(first_user_id=people[0].pk, customers=customers, service_token=secret)


def make_people(count: int) -> list[User]:
    people = [User(username=f"bench-{place}", password=make_password(None)) for place in range(count)]
    return User.objects.bulk_create(people, batch_size=2_000)


def add_history(rows: int) -> None:
    """That many spends of the past, a few set-based statements for all; then the tables as autovacuum leaves them."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Rows that we know to be right need no trigger to look at each; ten million looks are minutes.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL work_mem = '512MB'")
        for first in range(0, rows, SLICE):
            last = min(first + SLICE, rows) - 1
            cursor.execute(_HISTORY, {"total": rows, "first": first, "last": last})
        cursor.execute(_KEYS)
        cursor.execute(_BALANCES)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM (ANALYZE, FREEZE)")
        cursor.execute("CHECKPOINT")
    connection.close()


def pages_of_keys() -> int:
    """Of the index that a spend's key, which is random, is put into."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(pg_relation_size(indexrelid)) / current_setting('block_size')::int"
            "  FROM pg_index WHERE indrelid = 'ledger_entrykey'::regclass"
        )
        (count,) = cursor.fetchone()
    return int(count)


def rows() -> int:
    """How many transfers the books have."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_transfer")
        (count,) = cursor.fetchone()
    return int(count)
