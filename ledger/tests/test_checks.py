"""Each check finds the fault that it is for; the guards are taken away to make one."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ledger import accounts, checks, transfers
from ledger.checks import Result
from ledger.ids import uuid7
from ledger.tests.books import credits_, guarded, house, move
from ledger.tests.races import without_constraint, without_trigger
from ledger.transfers import Part, Reserve

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def books() -> None:
    """A grant of 100, 30 of it spent, 10 held, 5 of another hold settled, 10 of the spend given back; rolled up."""
    grant, spent = guarded("grant:1", having=100), house("credits:spent")
    spend = move(grant, spent, 30, key="spend:1")
    transfers.hold(key="job:1", reserves=[Reserve(grant, credits_(10))])
    (hold,) = transfers.hold(key="job:2", reserves=[Reserve(grant, credits_(12))])
    transfers.settle(key="job:2:settle", kind="spend", parts=[Part(hold, spent, credits_(5))])
    transfers.reverse(key="spend:1:reversal", entry=spend, amounts={0: credits_(10)})
    accounts.roll_up()


def run(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def faulty() -> set[str]:
    return set(checks.faults())


def test_books_in_order_have_no_faults() -> None:
    assert checks.faults() == {}


def test_books_at_their_very_limits_have_no_faults() -> None:
    """An account at its floor that holds nothing, and an entry that was given back in full."""
    spend = move(guarded("grant:2", having=5), house("credits:spent"), 5, key="spend:2")
    guarded("grant:3")
    transfers.reverse(key="spend:2:reversal", entry=spend, amounts={0: credits_(5)})
    assert checks.faults() == {}


def test_figures_say_what_was_looked_at() -> None:
    ours = [check for check in checks.all_checks() if check.counts]  # those of other apps only have their name
    figures = {check.counts: check.run().looked_at for check in ours}
    assert figures == {
        "guarded accounts": 1,
        "house accounts": 2,
        "units": 1,
        "transfers": 4,
        "entries": 4,
        "keys": 4,
        "settled holds": 1,
        "reversed transfers": 1,
    }


def test_a_balance_that_was_written_by_hand() -> None:
    run("UPDATE ledger_account SET balance = balance + 1 WHERE name = 'grant:1'")
    found = checks.faults()
    assert found["Every balance is the sum of its transfers"] == ["grant:1 has 76, its transfers sum to 75"]
    assert found["Each unit sums to zero over all accounts"] == ["CREDIT sums to 1"]
    assert len(found) == 2


def test_a_transfer_that_moved_no_balance() -> None:
    run(
        "INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount) "
        "SELECT entry_id, 9, source_id, target_id, 7 FROM ledger_transfer WHERE number = 0 ORDER BY entry_id LIMIT 1"
    )
    assert faulty() == {"Every balance is the sum of its transfers", "Each unit sums to zero over all accounts"}


def test_something_held_without_a_hold() -> None:
    run("UPDATE ledger_account SET held = held + 1 WHERE guarded")
    assert checks.faults() == {
        "What is held is the sum of the open holds": ["grant:1 holds 11, its open holds sum to 10"]
    }


def test_an_account_below_its_floor() -> None:
    with without_constraint("ledger_account", "account_stays_above_its_floor"):
        run("UPDATE ledger_account SET floor = 0, balance = -5 WHERE guarded")
        assert "No guarded account is below its floor" in faulty()


def test_a_house_account_with_a_balance_of_its_own() -> None:
    with without_constraint("ledger_account", "house_account_stores_no_balance"):
        run("UPDATE ledger_account SET balance = 5 WHERE name = 'credits:spent'")
        assert faulty() == {"No house account stores a balance"}


def test_a_transfer_between_units() -> None:
    other = house("gateway:stripe:EUR", "EUR")
    with without_trigger("ledger_transfer", "transfer_fits"):
        run(
            "INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount) "
            "SELECT entry_id, 9, %s, target_id, 1 FROM ledger_transfer ORDER BY entry_id LIMIT 1",
            other.pk,
        )
    assert "Every transfer joins two accounts of one unit and has an entry" in faulty()


def test_an_entry_without_transfers_or_key_and_a_key_without_entry() -> None:
    run("INSERT INTO ledger_entry (id, kind) VALUES (%s, 'empty'), (%s, 'keyless')", (empty := uuid7()), uuid7())
    run("INSERT INTO ledger_entrykey (key, entry_id, fingerprint) VALUES ('lost', %s, %s)", uuid7(), uuid7())
    run("INSERT INTO ledger_entrykey (key, entry_id, fingerprint) VALUES ('empty', %s, %s)", empty, empty)
    found = checks.faults()
    assert set(found) == {"Every entry has a transfer and one key, every key an entry"}
    (examples,) = found.values()
    assert examples[0] == f"entry {empty} moved nothing"
    assert examples[1].endswith("has 0 keys")
    assert examples[2] == "key lost has no entry"


def test_a_settlement_that_moved_something_else() -> None:
    with without_trigger("ledger_hold", "hold_is_resolved_once"):
        run("UPDATE ledger_hold SET settled = 6 WHERE state = 'settled'")
    assert faulty() == {"What a settled hold gave is in its entry"}


def test_a_reversal_of_more_than_there_was() -> None:
    run("UPDATE ledger_account SET balance = balance + 21 WHERE guarded")
    run(
        "INSERT INTO ledger_transfer (entry_id, number, source_id, target_id, amount) "
        "SELECT e.id, 5, s.id, g.id, 21 FROM ledger_entry e, ledger_account s, ledger_account g "
        "WHERE e.reverses_id IS NOT NULL AND s.name = 'credits:spent' AND g.name = 'grant:1'"
    )
    assert faulty() == {"No entry is reversed beyond itself"}


def test_a_total_that_was_written_by_hand() -> None:
    accounts.roll_up()
    run(
        "INSERT INTO ledger_housetotal (account_id, balance) SELECT id, 999 FROM ledger_account "
        "WHERE name = 'credits:spent' ON CONFLICT (account_id) DO UPDATE SET balance = 999"
    )
    assert faulty() == {"The totals of the house are sums up to the mark"}


def no_full_moon() -> Result:
    return Result(looked_at=28, faults=1, examples=["the moon is full"])


@pytest.fixture
def check_of_another_app(settings) -> str:
    settings.LEDGER_CHECKS = [name := "ledger.tests.test_checks.no_full_moon"]
    return name


class TestCommand:
    def test_books_in_order_print_a_figure_for_each_check(self) -> None:
        call_command("check_ledger", stdout=(out := StringIO()))
        lines = out.getvalue().splitlines()
        assert len(lines) == len(list(checks.all_checks())) + 1
        assert lines[0].startswith("Every balance is the sum of its transfers … yes (1 guarded accounts, ")
        assert lines[-1] == "The books are in order."

    def test_books_in_order_are_one_json_document(self) -> None:
        call_command("check_ledger", "--json", stdout=(out := StringIO()))
        assert json.loads(out.getvalue())["in_order"] is True

    def test_a_fault_is_shown_and_ends_in_failure(self) -> None:
        run("UPDATE ledger_account SET held = held + 1 WHERE guarded")
        out = StringIO()
        with pytest.raises(CommandError, match=r"not in order: What is held is the sum of the open holds\.") as failed:
            call_command("check_ledger", stdout=out)
        assert failed.value.returncode == 1
        assert "NO: 1 faults" in out.getvalue()
        assert "grant:1 holds 11, its open holds sum to 10" in out.getvalue()

    def test_other_apps_add_their_checks(self, check_of_another_app: str) -> None:
        out = StringIO()
        with pytest.raises(CommandError, match="no_full_moon"):
            call_command("check_ledger", stdout=out)
        assert "the moon is full" in out.getvalue()

    def test_json_says_the_same_to_machines(self, check_of_another_app: str) -> None:
        out = StringIO()
        with pytest.raises(CommandError):
            call_command("check_ledger", "--json", stdout=out)
        report = json.loads(out.getvalue())
        assert report["in_order"] is False
        assert {each["name"]: each["faults"] for each in report["checks"]}[check_of_another_app] == 1
        assert report["checks"][0].keys() == {"name", "looked_at", "faults", "examples", "seconds"}
