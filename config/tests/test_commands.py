"""What commands for developers and operators refuse, and what they say; whatever else they do other files test."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import connection

import embedded
from bench import ledger
from config import groups, licences, modules
from config.management.commands import check_migration_batches, list_licences, list_modules
from rest.tests.operators import said

SERVERS = embedded.Servers(
    database_url="postgresql:///tirelire?host=/a folder", redis_url="unix:///r.sock", host_pid=1, postgres_pid=2,
    valkey_pid=3,
)  # fmt: skip


# ---------------------------------------------------------------- the embedded servers


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch, settings: Any) -> embedded.Servers:
    monkeypatch.setattr(embedded, "running", lambda: SERVERS)
    for name, value in {"HOST": "/a folder", "USER": "me", "NAME": "tirelire"}.items():
        monkeypatch.setitem(settings.DATABASES["default"], name, value)
    return SERVERS


def test_second_shell_gets_the_addresses_quoted(servers: embedded.Servers) -> None:
    assert said("embedded", "env").splitlines() == [
        "export DATABASE_URL='postgresql:///tirelire?host=/a folder'",
        "export REDIS_URL=unix:///r.sock",
        "export PSQL_URL='postgresql:///tirelire?host=%2Fa+folder&user=me'",
        "The servers stop when nobody uses them: keep `manage.py up` running.",
    ]


def test_status_is_json(servers: embedded.Servers) -> None:
    assert json.loads(said("embedded", "status")) == asdict(SERVERS)


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")  # of the wheel that the servers come from
def test_psql_opens_on_the_database_with_what_was_said_besides(
    servers: embedded.Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda binary, words: became.append(words))
    said("embedded", "psql", "--", "-c", "SELECT 1")
    [[binary, url, *words]] = became
    assert (Path(binary).name, words) == ("psql", ["-c", "SELECT 1"])
    assert url.startswith("postgresql:///tirelire?host=")


def test_servers_of_ones_own_have_no_embedded_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "running", lambda: None)
    assert said("embedded", "env") == "DATABASE_URL and REDIS_URL are set, so the embedded servers are not used."


# ---------------------------------------------------------------- benchmarks


def test_production_is_not_measured(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "run", pytest.fail)
    settings.PRODUCTION = True
    assert said("bench", "ledger").endswith("run them in development.")


def test_nothing_is_measured_for_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "run", pytest.fail)
    told = said("bench", "ledger", "--json", str(tmp_path / "nowhere" / "figures.json"))
    assert told == f"There is no folder {tmp_path}/nowhere for the figures. Nothing was measured."


# ---------------------------------------------------------------- pages that commands write


def test_table_of_modules_is_missed_then_written_then_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "billing").mkdir()
    (tmp_path / "billing" / "refunds.py").write_text('"""Giving money back."""\n')
    found, page = modules.found(tmp_path), tmp_path / "architecture.md"
    page.write_text(f"# A page\n\n{modules.BEGIN}\n{modules.END}\n")
    monkeypatch.setattr(modules, "found", lambda: found)
    monkeypatch.setattr(list_modules, "DOCUMENT", page)
    assert said("list_modules", "--check").splitlines() == [
        "missing in the table: billing/refunds.py",
        "`manage.py list_modules --write` renews the table.",
    ]
    assert said("list_modules", "--write") == "1 modules in docs/architecture.md.\n"
    assert said("list_modules", "--check") == "1 modules, each with its purpose.\n"
    assert said("list_modules").strip() in page.read_text()


def test_page_of_licences_is_missed_then_written_then_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, count = tmp_path / "licences.md", len(licences.found())
    page.write_text("# A page\n")
    monkeypatch.setattr(list_licences, "DOCUMENT", page)
    assert said("list_licences", "--check").endswith("`manage.py list_licences --write` renews the page.")
    assert said("list_licences", "--write") == f"{count} packages in docs/licences.md.\n"
    assert said("list_licences", "--check") == f"{count} packages, all with a licence that we accept.\n"
    assert said("list_licences").strip() == page.read_text().strip()


# ---------------------------------------------------------------- migrations, roles and groups


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")  # of the wheel that the servers come from
def test_schema_that_cannot_be_dumped_is_no_schema(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "NAME", "nothing_of_that_name")
    with pytest.raises(CommandError, match=r"^pg_dump failed: .*nothing_of_that_name"):
        check_migration_batches.dump()


def test_password_of_nothing_is_not_given(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PASSWORD_OF_THE_TEST", raising=False)
    told = said("create_roles", "--app", "app_of_the_test", "--apply", "--password-from", "NO_PASSWORD_OF_THE_TEST")
    assert told == "NO_PASSWORD_OF_THE_TEST is not set."
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'app_of_the_test'")
        assert cursor.fetchone() == (0,)


def test_group_with_an_unknown_permission_is_told(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(groups.GROUPS, "support", ("auth.view_unicorn",))
    assert "auth.view_unicorn" in said("sync_groups")


def test_to_migrate_gives_the_groups_what_they_may(db: None) -> None:
    Group.objects.get(name="support").permissions.clear()
    Group.objects.get(name="finance").permissions.add(Permission.objects.get(codename="change_user"))
    assert "Group finance: 0 permissions added, 1 removed" in said("migrate")
    assert groups.synchronise() == dict.fromkeys(groups.GROUPS, (0, 0))


@pytest.mark.parametrize("part", [["--plan"], ["--check"], ["credits"]])
def test_to_migrate_a_part_or_to_look_leaves_the_groups_alone(db: None, part: list[str]) -> None:
    Group.objects.get(name="support").permissions.clear()
    said("migrate", *part)
    assert not Group.objects.get(name="support").permissions.exists()


def test_to_migrate_fails_where_the_table_of_groups_is_wrong(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(groups.GROUPS, "support", ("auth.view_unicorn",))
    with pytest.raises(CommandError, match=r"auth\.view_unicorn"):
        call_command("migrate", verbosity=0)


def test_groups_can_be_brought_up_to_date_in_silence(db: None) -> None:
    assert said("sync_groups", "--verbosity", "0") == ""
