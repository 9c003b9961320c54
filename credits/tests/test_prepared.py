"""The hot statements: prepared on their connection, and prepared anew where a migration has overtaken them."""

from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection, transaction

from credits import balances, errors, prepared, usage
from credits.tests.people import give, make_user

pytestmark = pytest.mark.django_db(transaction=True)
ONE = "SELECT * FROM overtaken WHERE a = $1::int"


@pytest.fixture
def table() -> Iterator[None]:
    change("CREATE TEMP TABLE overtaken (a int)", "INSERT INTO overtaken VALUES (1)")
    yield
    connection.close()  # the table goes with it, and what was done to other tests' statements


def change(*sentences: str) -> None:
    with connection.cursor() as cursor:
        for each in sentences:
            cursor.execute(each)


def ask() -> list[bytes | None]:
    connection.ensure_connection()
    return prepared.one_row(connection.connection, ONE, (1,), prepares=True)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("meanwhile", ["ALTER TABLE overtaken ADD b text", "DEALLOCATE ALL"])
def test_what_was_prepared_before_a_change_is_prepared_anew(meanwhile: str) -> None:
    before = ask()
    change(meanwhile)
    assert before == [b"1"]
    assert ask()[:1] == [b"1"]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("meanwhile", ["ALTER TABLE overtaken ADD b text", "DEALLOCATE ALL"])
def test_a_transaction_does_not_meet_what_was_prepared_before_it(meanwhile: str) -> None:
    ask()
    change(meanwhile)
    with transaction.atomic():
        assert ask()[:1] == [b"1"]


def test_a_spend_is_prepared_once_for_a_connection() -> None:
    user = make_user()
    give(user, 100)
    for key in ("a", "b", "c"):
        usage.spend(user=user, amount=1, key=key)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements"
            " WHERE strpos(statement, 'credits_spend(') > 0"
        )
        (executed,) = cursor.fetchone()
    assert executed >= 3  # the connection may have prepared it for another test


def test_the_first_statement_of_a_transaction_is_a_part_of_it() -> None:
    user = make_user()
    give(user, 10)
    with transaction.atomic():
        usage.spend(user=user, amount=3, key="a")
        transaction.set_rollback(True)
    assert balances.of(user).available == 10


def test_without_prepared_statements_a_spend_is_the_same(settings: LazySettings) -> None:
    settings.CREDITS_PREPARED_STATEMENTS = False
    user = make_user()
    give(user, 10)
    spent = usage.spend(user=user, amount=3, key="a")
    again = usage.spend(user=user, amount=3, key="a")
    with pytest.raises(errors.InsufficientCredits):
        usage.spend(user=user, amount=8, key="b")
    assert (spent.available, again.is_replay, again.at) == (7, True, spent.at)


def test_a_connection_that_the_server_ended_is_an_operational_error() -> None:
    user = make_user()
    give(user, 10)
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
    other.close()
    with pytest.raises(OperationalError):
        usage.spend(user=user, amount=3, key="a")
    connection.close()
    assert balances.of(user).available == 10
