import sys
import textwrap
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import modify_settings

from config import migration_rules
from config.management.commands import check_migration_batches

FIRST = """
    class Migration(migrations.Migration):
        initial = True
        fields = [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())]
        operations = [migrations.CreateModel("Thing", fields)]
"""
SECOND = """
    class Migration(migrations.Migration):
        dependencies = [("planted", "0001_initial")]
        operations = [{operation}]
"""
RENAME = 'migrations.RenameField("thing", "name", "title")'
INDEX = 'migrations.AddIndex("thing", models.Index(fields=["name"], name="thing_name"))'
HARMLESS = 'migrations.AddField("thing", "more", models.TextField(null=True))'


@pytest.fixture
def planted(tmp_path: Path, monkeypatch, db):
    """A real app with real migrations, one of which the test writes."""

    def plant(operation: str, comment: str = "") -> None:
        (tmp_path / "planted" / "migrations").mkdir(parents=True)
        for folder in ("planted", "planted/migrations"):
            (tmp_path / folder / "__init__.py").touch()
        head = "from django.db import migrations, models\n"
        files = {"0001_initial": FIRST, "0002_more": comment + textwrap.dedent(SECOND).format(operation=operation)}
        for name, text in files.items():
            (tmp_path / "planted" / "migrations" / f"{name}.py").write_text(head + textwrap.dedent(text))

    monkeypatch.syspath_prepend(tmp_path)
    yield plant
    for name in [name for name in sys.modules if name.split(".")[0] == "planted"]:
        del sys.modules[name]


def check() -> list[str]:
    with modify_settings(INSTALLED_APPS={"append": "planted"}):
        return migration_rules.check(["planted"])


@pytest.mark.parametrize(
    ("operation", "rule"), [(RENAME, "renaming-column"), (INDEX, "require-concurrent-index-creation")]
)
def test_planted_danger_is_found(planted, operation: str, rule: str) -> None:
    planted(operation)
    assert [line.split(": ")[:2] for line in check()] == [["planted.0002_more", rule]]


def test_harmless_migration_passes(planted) -> None:
    planted(HARMLESS)
    assert check() == []


def test_excuse_with_a_reason_counts_for_its_rule_only(planted) -> None:
    planted(RENAME, "# squawk-ignore: renaming-column - nobody reads it yet\n")
    assert check() == []


@pytest.mark.parametrize(
    "comment", ["# squawk-ignore: renaming-column\n", "# squawk-ignore: renaming-table - another rule\n"]
)
def test_excuse_without_a_reason_or_for_another_rule_counts_for_nothing(planted, comment: str) -> None:
    planted(RENAME, comment)
    assert len(check()) == 1


def test_command_fails_on_a_danger(planted) -> None:
    planted(RENAME)
    with modify_settings(INSTALLED_APPS={"append": "planted"}), pytest.raises(CommandError, match="renaming-column"):
        call_command("check_migrations", "planted")


def test_command_says_that_there_is_none(planted, capsys) -> None:
    planted(HARMLESS)
    with modify_settings(INSTALLED_APPS={"append": "planted"}):
        call_command("check_migrations", "planted")
    assert capsys.readouterr().out == "No dangerous migration.\n"


def test_our_own_migrations_are_not_dangerous(transactional_db) -> None:
    # Indexes that are made concurrently refuse to be written out inside a transaction.
    assert migration_rules.check() == []


def test_only_apps_of_this_repository_are_ours() -> None:
    labels = {app.label for app in migration_rules.own_apps()}
    assert {"config", "rest", "storefront"} <= labels
    assert not labels & {"auth", "djstripe", "admin"}


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")  # of the wheel that the servers come from
def test_schema_that_is_dumped_is_the_schema(db) -> None:
    lines = check_migration_batches.dump()
    assert any(line.startswith("CREATE TABLE public.auth_user") for line in lines)
    assert not any("restrict" in line.split(" ")[0] for line in lines)
