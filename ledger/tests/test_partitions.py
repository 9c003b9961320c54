"""Nothing in the big tables must be unique across time but the id, so months can be split off: shown on copies."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from ledger.ids import first_at
from ledger.tests.books import guarded, house

pytestmark = pytest.mark.django_db

MONTHS = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]


@pytest.mark.parametrize(("table", "key"), [("ledger_entry", "id"), ("ledger_transfer", "entry_id")])
def test_months_can_be_partitions_and_be_detached(table: str, key: str) -> None:
    grant, spent = guarded("grant:1"), house("credits:spent")
    january, february = first_at(datetime(2026, 1, 15, tzinfo=UTC)), first_at(datetime(2026, 2, 15, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE parts (LIKE {table} INCLUDING ALL) PARTITION BY RANGE ({key})")
        for name, begin, end in (("january", MONTHS[0], MONTHS[1]), ("february", MONTHS[1], MONTHS[2])):
            cursor.execute(
                f"CREATE TABLE {name} PARTITION OF parts FOR VALUES FROM ('{first_at(begin)}') TO ('{first_at(end)}')"
            )
        for entry in (january, february):
            cursor.execute("INSERT INTO ledger_entry (id, kind) VALUES (%s, 'test')", [entry])
        if table == "ledger_entry":
            cursor.execute("INSERT INTO parts (id, kind) SELECT id, kind FROM ledger_entry")
        else:
            cursor.execute(
                "CREATE TRIGGER fits AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION ledger_transfer_fits()"
            )
            row = "INSERT INTO parts (entry_id, number, source_id, target_id, amount) VALUES (%s, %s, %s, %s, 5)"
            for entry in (january, february):
                cursor.execute(row, [entry, 0, spent.pk, grant.pk])
            with pytest.raises(IntegrityError, match="not in the books"), transaction.atomic():
                cursor.execute(row, [january, 1, spent.pk, 404])
        cursor.execute(
            "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON parts "
            "FOR EACH ROW EXECUTE FUNCTION ledger_refuse('no')"
        )
        with pytest.raises(IntegrityError, match="DELETE of january"), transaction.atomic():
            cursor.execute("DELETE FROM parts")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE parts DETACH PARTITION january")
        cursor.execute(f"SELECT array_agg({key}) FROM parts")  # noqa: S608
        assert cursor.fetchone() == ([february],)
        cursor.execute(f"SELECT array_agg({key}) FROM january")  # noqa: S608
        assert cursor.fetchone() == ([january],)
