from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction

from config import roles

APP, OWNER = "tirelire_test_app", "tirelire_test_owner"


@pytest.fixture
def as_app(db, settings):
    """The real roles on the real database, and this connection as the application's; all undone with the test."""
    settings.APPEND_ONLY_MODELS = ["admin.LogEntry"]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE parted (id int) PARTITION BY RANGE (id);"
            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);"
            "CREATE FUNCTION double(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'"
        )
        _apply(cursor)
        cursor.execute(f"SET LOCAL ROLE {APP}")
        yield cursor
        cursor.execute("RESET ROLE")


def _apply(cursor) -> None:
    out = StringIO()
    call_command("create_roles", "--app", APP, "--owner", OWNER, stdout=out)
    cursor.execute(out.getvalue().replace("%", "%%"), [])


def refused(act) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction.atomic():
        act()


def test_application_reads_writes_and_counts(as_app) -> None:
    user = User.objects.create(username="buyer")
    group = Group.objects.create(name="g")
    user.groups.add(group)
    Group.objects.filter(pk=group.pk).update(name="h")
    group.refresh_from_db()
    assert group.name == "h"
    assert group.delete()[0] == 2
    as_app.execute("SELECT double(21)")
    assert as_app.fetchone() == (42,)


def test_append_only_rows_can_be_added_and_never_touched(as_app) -> None:
    user = User.objects.create(username="operator")
    entry = LogEntry.objects.create(user=user, object_repr="x", action_flag=1)
    refused(lambda: LogEntry.objects.filter(pk=entry.pk).update(object_repr="y"))
    refused(lambda: LogEntry.objects.filter(pk=entry.pk).delete())
    refused(lambda: as_app.execute("TRUNCATE django_admin_log"))
    entry.refresh_from_db()
    assert entry.object_repr == "x"


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE auth_group CASCADE",
        "DROP TABLE auth_group",
        "ALTER TABLE auth_group ADD COLUMN more int",
        "CREATE TABLE more (id int)",
        "CREATE TEMPORARY TABLE more (id int)",
        "CREATE INDEX more ON auth_group (name)",
        "ALTER TABLE auth_group DISABLE TRIGGER ALL",
        "CREATE TRIGGER t BEFORE INSERT ON auth_group EXECUTE FUNCTION double(1)",
        "CREATE OR REPLACE FUNCTION double(n int) RETURNS int LANGUAGE sql AS 'SELECT n'",
        "CREATE SCHEMA more",
        "CREATE ROLE more",
        "GRANT tirelire_test_owner TO tirelire_test_app",
        "SET session_replication_role = replica",
    ],
)
def test_application_changes_no_structure(as_app, statement: str) -> None:
    refused(lambda: as_app.execute(statement))


def test_partitions_are_as_protected_as_their_parent(db, as_app, settings, monkeypatch) -> None:
    as_app.execute("RESET ROLE")
    monkeypatch.setattr(LogEntry._meta, "db_table", "parted")
    _apply(as_app)
    as_app.execute(f"SET LOCAL ROLE {APP}")
    as_app.execute("INSERT INTO parted VALUES (1)")
    refused(lambda: as_app.execute("UPDATE parted SET id = 2"))
    refused(lambda: as_app.execute("UPDATE parted_1 SET id = 2"))
    refused(lambda: as_app.execute("DELETE FROM parted_1"))


def test_tables_of_later_migrations_are_usable(as_app) -> None:
    as_app.execute(f"SET LOCAL ROLE {OWNER}")
    as_app.execute("CREATE TABLE later (id int GENERATED ALWAYS AS IDENTITY, name text)")
    as_app.execute("CREATE TABLE later_still (id serial, name text)")
    as_app.execute(f"SET LOCAL ROLE {APP}")
    as_app.execute("INSERT INTO later (name) VALUES ('x') RETURNING id")
    assert as_app.fetchone() == (1,)
    as_app.execute("INSERT INTO later_still (name) VALUES ('x') RETURNING id")
    assert as_app.fetchone() == (1,)
    as_app.execute("DELETE FROM later")
    refused(lambda: as_app.execute("TRUNCATE later"))


def test_owner_owns_every_table_and_function(as_app) -> None:
    as_app.execute(
        "SELECT array_agg(relname::text) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'v', 'S') AND pg_get_userbyid(relowner) <> %s",
        [OWNER],
    )
    assert as_app.fetchone() == (None,)
    as_app.execute("SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'double'")
    assert as_app.fetchone() == (OWNER,)


def test_running_it_again_changes_nothing(as_app) -> None:
    as_app.execute("RESET ROLE")
    _apply(as_app)
    as_app.execute(f"SET LOCAL ROLE {APP}")
    refused(lambda: LogEntry.objects.update(object_repr="y"))
    assert User.objects.count() == 0


def test_excess_is_found_in_an_owner_and_not_in_the_application(as_app) -> None:
    assert roles.excess_privileges(connection) == []
    as_app.execute(f"SET LOCAL ROLE {OWNER}")
    found = roles.excess_privileges(connection)
    assert found[0].startswith("owns ")
    assert found[-1].startswith("and ")


def test_unknown_model_is_an_error(db, settings) -> None:
    settings.APPEND_ONLY_MODELS = ["ledger.Nothing"]
    with pytest.raises(ImproperlyConfigured, match=r"ledger\.Nothing"):
        call_command("create_roles", stdout=StringIO())


def test_names_are_quoted(db) -> None:
    out = StringIO()
    call_command("create_roles", "--app", 'shop"; DROP TABLE auth_user; --', stdout=out)
    assert '"shop""; DROP TABLE auth_user; --"' in out.getvalue()


def test_applied_here_with_a_password_that_is_not_shown(db, monkeypatch) -> None:
    monkeypatch.setenv("APP_PASSWORD_OF_THE_TEST", "it's a secret")
    out = StringIO()
    arguments = ["--app", APP, "--owner", OWNER, "--password-from", "APP_PASSWORD_OF_THE_TEST"]
    with pytest.raises(CommandError, match="needs --apply"):
        call_command("create_roles", *arguments, stdout=out)
    call_command("create_roles", *arguments, "--apply", stdout=out)
    assert "secret" not in out.getvalue()
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolpassword LIKE 'SCRAM-SHA-256%%' FROM pg_authid WHERE rolname = %s", [APP])
        assert cursor.fetchone() == (True,)


def test_two_names_for_one_role_are_refused() -> None:
    with pytest.raises(CommandError, match="two roles"):
        call_command("create_roles", "--app", "one", "--owner", "one")
