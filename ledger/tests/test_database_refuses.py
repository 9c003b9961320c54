"""What PostgreSQL refuses by itself, by raw SQL and to its owner."""

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from ledger import checks, transfers
from ledger.ids import uuid7
from ledger.models import Account, Entry, Hold, Transfer
from ledger.tests.books import credits_, guarded, house, move
from ledger.transfers import Part, Reserve

pytestmark = pytest.mark.django_db


def run(sql: str, *parameters: Any) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)


def refused(sql: str, *parameters: Any) -> str:
    with pytest.raises(IntegrityError) as error:
        run(sql, *parameters)
    return str(error.value)


TRANSFER = "INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount) VALUES (%s, %s, %s, %s, %s)"


@pytest.fixture
def grant() -> Account:
    return guarded("grant:1", having=10)


def entry_of(account: Account) -> Entry:
    return Transfer.objects.select_related("entry").get(target=account).entry


def test_a_balance_below_the_floor(grant: Account) -> None:
    sql = "UPDATE ledger_account SET balance = -1 WHERE id = %s"
    assert "account_stays_above_its_floor" in refused(sql, grant.pk)


def test_more_held_than_there_is(grant: Account) -> None:
    sql = "UPDATE ledger_account SET held = 11 WHERE id = %s"
    assert "account_stays_above_its_floor" in refused(sql, grant.pk)


def test_less_than_nothing_held(grant: Account) -> None:
    assert "account_held_is_not_negative" in refused("UPDATE ledger_account SET held = -1 WHERE id = %s", grant.pk)


def test_a_floor_above_zero(grant: Account) -> None:
    assert "account_floor_is_no_credit" in refused("UPDATE ledger_account SET floor = 1 WHERE id = %s", grant.pk)


def test_a_balance_on_a_house_account(spent: Account) -> None:
    sql = "UPDATE ledger_account SET balance = 1 WHERE id = %s"
    assert "house_account_stores_no_balance" in refused(sql, spent.pk)


def test_two_accounts_of_one_name(grant: Account) -> None:
    sql = "INSERT INTO ledger_account (name, unit, guarded) VALUES ('grant:1', 'CREDIT', true)"
    assert "account_name_is_unique" in refused(sql)


def test_an_impossible_unit() -> None:
    sql = "INSERT INTO ledger_account (name, unit, guarded) VALUES ('x', 'credit', true)"
    assert "account_unit_is_well_formed" in refused(sql)


@pytest.mark.parametrize("change", ["unit = 'EUR'", "guarded = false", "id = id + 1000"])
def test_an_account_that_changes_its_nature(grant: Account, change: str) -> None:
    assert "keeps its unit" in refused(f"UPDATE ledger_account SET {change} WHERE id = %s", grant.pk)  # noqa: S608


def test_an_account_may_be_renamed(grant: Account) -> None:
    assert run("UPDATE ledger_account SET name = 'grant:pseudonym' WHERE id = %s", grant.pk) == 1


def test_an_account_that_goes_away(spent: Account) -> None:
    assert "stays in the books" in refused("DELETE FROM ledger_account WHERE id = %s", spent.pk)


@pytest.mark.parametrize("amount", [0, -5, 10**15 + 1])
def test_a_transfer_of_nothing_less_or_too_much(grant: Account, spent: Account, amount: int) -> None:
    error = refused(TRANSFER, entry_of(grant).pk, 1, spent.pk, grant.pk, amount)
    assert "transfer_amount_is_positive" in error


def test_a_transfer_to_itself(grant: Account) -> None:
    error = refused(TRANSFER, entry_of(grant).pk, 1, grant.pk, grant.pk, 1)
    assert "transfer_goes_somewhere" in error


def test_a_transfer_between_units(grant: Account) -> None:
    euros = house("gateway:stripe:EUR", "EUR")
    assert "goes from EUR to CREDIT" in refused(TRANSFER, entry_of(grant).pk, 1, euros.pk, grant.pk, 1)


def test_a_transfer_without_an_entry(grant: Account, spent: Account) -> None:
    assert "has no entry" in refused(TRANSFER, uuid7(), 0, spent.pk, grant.pk, 1)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_transfer_with_an_unknown_account(grant: Account, side: str) -> None:
    pair = (404, grant.pk) if side == "source" else (grant.pk, 404)
    assert "not in the books" in refused(TRANSFER, entry_of(grant).pk, 1, *pair, 1)


def test_the_same_transfer_twice(grant: Account, spent: Account) -> None:
    assert "ledger_transfer_pkey" in refused(TRANSFER, entry_of(grant).pk, 0, spent.pk, grant.pk, 10)


@pytest.mark.parametrize("table", ["ledger_transfer", "ledger_entry", "ledger_entrykey"])
def test_books_that_are_rewritten(grant: Account, table: str) -> None:
    change = {"ledger_transfer": "amount = 5", "ledger_entry": "kind = 'x'", "ledger_entrykey": "key = 'x'"}[table]
    assert "UPDATE of" in refused(f"UPDATE {table} SET {change}")  # noqa: S608
    assert "DELETE of" in refused(f"DELETE FROM {table}")  # noqa: S608


def test_rewriting_through_the_orm(grant: Account) -> None:
    entry = entry_of(grant)
    entry.kind = "other"
    with pytest.raises(IntegrityError), transaction.atomic():
        entry.save()


def test_one_key_for_two_entries(grant: Account, spent: Account) -> None:
    key = entry_of(grant).entry_key.key
    sql = "INSERT INTO ledger_entrykey (key, entry_id, fingerprint) VALUES (%s, %s, %s)"
    assert "ledger_entrykey_pkey" in refused(sql, key, uuid7(), uuid.uuid4())


def test_two_keys_for_one_entry(grant: Account) -> None:
    sql = "INSERT INTO ledger_entrykey (key, entry_id, fingerprint) VALUES ('other', %s, %s)"
    assert "entry_id_key" in refused(sql, entry_of(grant).pk, uuid.uuid4())


def test_the_time_of_an_entry_that_is_not_its_ids(grant: Account) -> None:
    sql = "INSERT INTO ledger_entry (id, kind, created_at) VALUES (%s, 'x', now())"
    with pytest.raises(Exception, match="created_at"), transaction.atomic():
        run(sql, uuid7())


class TestHolds:
    @pytest.fixture
    def hold(self, grant: Account) -> Hold:
        return transfers.hold(key="job:1", reserves=[Reserve(grant, credits_(4))])[0]

    def test_a_resolved_hold_that_is_opened_again(self, hold: Hold) -> None:
        transfers.void(holds=[hold])
        sql = "UPDATE ledger_hold SET state = 'open', resolved_at = NULL"
        assert "resolved once" in refused(sql)

    def test_a_settled_hold_that_is_voided(self, hold: Hold, spent: Account) -> None:
        transfers.settle(key="s", kind="spend", parts=[Part(hold, spent)])
        assert "resolved once" in refused("UPDATE ledger_hold SET state = 'voided', settled = 0, entry_id = NULL")

    @pytest.mark.parametrize("change", ["amount = 1", "key = 'other'", "account_id = account_id + 1", "number = 9"])
    def test_a_hold_that_becomes_another(self, hold: Hold, change: str) -> None:
        assert "never changed" in refused(f"UPDATE ledger_hold SET {change}")  # noqa: S608

    @pytest.mark.parametrize(
        "change",
        [
            "settled = 1",
            "state = 'settled', settled = 5, resolved_at = now(), entry_id = id",
            "state = 'settled', settled = 0, resolved_at = now(), entry_id = id",
            "state = 'settled', settled = 4, resolved_at = now()",
            "state = 'voided'",
            "state = 'gone'",
        ],
    )
    def test_a_hold_half_resolved(self, hold: Hold, change: str) -> None:
        assert "hold_is_open_settled_or_voided" in refused(f"UPDATE ledger_hold SET {change}")  # noqa: S608

    def test_a_hold_that_goes_away(self, hold: Hold) -> None:
        assert "voided, not deleted" in refused("DELETE FROM ledger_hold")

    def test_a_hold_of_nothing(self, grant: Account) -> None:
        sql = "INSERT INTO ledger_hold (id, key, number, account_id, amount) VALUES (%s, 'k', 0, %s, 0)"
        assert "hold_amount_is_positive" in refused(sql, uuid7(), grant.pk)

    def test_a_hold_on_a_house_account(self, spent: Account) -> None:
        sql = "INSERT INTO ledger_hold (id, key, number, account_id, amount) VALUES (%s, 'k', 0, %s, 1)"
        assert "not on a guarded account" in refused(sql, uuid7(), spent.pk)

    def test_the_same_key_twice(self, hold: Hold, grant: Account) -> None:
        sql = "INSERT INTO ledger_hold (id, key, number, account_id, amount) VALUES (%s, 'job:1', 0, %s, 1)"
        assert "hold_key_and_number_are_unique" in refused(sql, uuid7(), grant.pk)


def test_one_statement_may_write_account_entry_and_transfer_together(spent: Account) -> None:
    """What a set-based grant does; the check of each transfer comes after the whole statement."""
    run(
        """
        WITH account AS (INSERT INTO ledger_account (name, unit, guarded, balance) VALUES ('grant:2', 'CREDIT', true, 7)
                         RETURNING id),
             entry AS (INSERT INTO ledger_entry (id, kind) VALUES (uuidv7(), 'grant') RETURNING id),
             key AS (INSERT INTO ledger_entrykey (key, entry_id, fingerprint) SELECT 'g:2', id, id FROM entry)
        INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount)
        SELECT entry.id, 0, %s, account.id, 7 FROM account, entry
        """,
        spent.pk,
    )
    assert checks.faults() == {}


def test_an_update_of_a_balance_stays_on_its_page(grant: Account, spent: Account) -> None:
    """No index has the balance and the pages have room, so an update touches no index (HOT)."""
    with connection.cursor() as cursor:
        counters = "SELECT pg_stat_get_xact_tuples_updated('ledger_account'::regclass)"
        hot = "SELECT pg_stat_get_xact_tuples_hot_updated('ledger_account'::regclass)"
        cursor.execute(counters)
        updated_before = cursor.fetchone()[0]
        cursor.execute(hot)
        hot_before = cursor.fetchone()[0]
        for _ in range(5):
            move(grant, spent, 1)
        cursor.execute(counters)
        assert cursor.fetchone()[0] - updated_before == 5
        cursor.execute(hot)
        assert cursor.fetchone()[0] - hot_before == 5
