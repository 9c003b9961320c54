from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from ledger import accounts, statements
from ledger.errors import UnknownAccount
from ledger.models import Account
from ledger.tests.books import credits_, guarded, house, move

pytestmark = pytest.mark.django_db(transaction=True)

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def week() -> tuple[Account, Account, Account]:
    """+100 on Monday, -30 on Tuesday, -20 and +5 on Wednesday at the same moment; another account has 7."""
    guarded("grant:0", having=7)
    grant, issued, spent = guarded("grant:1"), house("credits:issued"), house("credits:spent")
    for day, source, target, minor in (
        (0, issued, grant, 100),
        (1, grant, spent, 30),
        (2, grant, spent, 20),
        (2, issued, grant, 5),
    ):
        with time_machine.travel(MONDAY + day * DAY, tick=False):
            move(source, target, minor)
    return grant, issued, spent


@pytest.mark.parametrize("rolled_up", [False, True])
def test_balance_at_any_instant(week: tuple[Account, Account, Account], rolled_up: bool) -> None:
    grant, issued, spent = week
    if rolled_up:
        accounts.roll_up()
    microsecond = timedelta(microseconds=1)
    instants = [
        MONDAY,
        MONDAY + microsecond,
        MONDAY + DAY,
        MONDAY + 2 * DAY,
        MONDAY + 2 * DAY + timedelta(milliseconds=1),
    ]

    def seen(account: Account) -> list[int]:
        return [statements.balance_at(account, instant).minor for instant in instants]

    assert seen(grant) == [0, 100, 100, 70, 55]
    assert seen(issued) == [0, -100, -100, -100, -105]
    assert seen(spent) == [0, 0, 0, 30, 50]


def test_what_moved_in_a_roll_ups_own_transaction_is_in_the_balance() -> None:
    issued, spent = house("credits:issued"), house("credits:spent")
    with transaction.atomic():
        move(issued, spent, 10)
        accounts.roll_up()
    tomorrow = timezone.now() + DAY
    assert [statements.balance_at(each, tomorrow) for each in (issued, spent)] == [credits_(-10), credits_(10)]


def test_latest_lines_run_backwards_from_the_balance(week: tuple[Account, Account, Account]) -> None:
    grant, _, _ = week
    lines = statements.latest(grant, count=3)
    assert [(line.at, line.other, line.amount.minor, line.balance.minor) for line in lines] == [
        (MONDAY + 2 * DAY, "credits:issued", 5, 55),
        (MONDAY + 2 * DAY, "credits:spent", -20, 50),
        (MONDAY + DAY, "credits:spent", -30, 70),
    ]
    assert {line.kind for line in lines} == {"test"}
    assert all(line.key.startswith("test:") for line in lines)


def test_an_account_without_history_has_an_empty_statement() -> None:
    account = guarded("grant:1")
    assert statements.latest(account, count=3) == []
    assert statements.balance_at(account, MONDAY) == credits_(0)


def test_an_account_that_was_never_opened_has_no_statement() -> None:
    with pytest.raises(UnknownAccount):
        statements.balance_at(Account(pk=404, name="nobody", unit="CREDIT", guarded=True), MONDAY)
