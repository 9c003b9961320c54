"""Whoever locks several purses takes them by their numbers, in whatever units: two who meet wait, and neither dies."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credits import calendar, grants
from credits.calendar import Terms
from credits.grants import NewGrant
from credits.models import Every, Grant, GrantSource, Purse
from credits.tests import gates
from credits.tests.people import give, make_user
from ledger import checks

pytestmark = pytest.mark.django_db(transaction=True)
START = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)
NEXT_DAY = START + timedelta(days=1)
# Where one unit's purses are about to be locked, and where they are.
BEFORE = gates.gated("issue.sql", "credits_issue_new", "PERFORM credits_open_purses(users, p_unit);")
BEHIND = gates.gated("issue.sql", "credits_issue_new", "moment := coalesce(p_at, clock_timestamp());")
UNLOCKED = ("purse.sql", "credits_lock_purses", "ORDER BY p.id FOR NO KEY UPDATE", "ORDER BY p.id")


def make_purses(*units: str) -> list[Purse]:
    """Each of a customer of its own, with five credits that are over the day after; their numbers rise."""
    expires_at = START + timedelta(hours=1)
    return [give(make_user(), 5, unit=unit, expires_at=expires_at, at=START).purse for unit in units]


def plan_of(purse: Purse, cap: int | None = None) -> None:
    rule = Terms(code="weekly", amount=100, every=Every.WEEK, unit=purse.unit, rollover_cap=cap)
    calendar.open_schedule(
        user=purse.user,
        reference=f"subscription:{purse.pk}",
        rules=[rule],
        anchor=START,
        time_zone="Africa/Abidjan",
        paid_until=START + timedelta(weeks=1),
    )


def a_cap_on_the_last_purse() -> Callable[[], Any]:
    first, last = make_purses("CREDIT", "CREDIT")
    plan_of(first)
    plan_of(last, cap=150)
    return lambda: calendar.grant_due(at=NEXT_DAY).granted


def two_units_of_one_batch() -> Callable[[], Any]:
    """By units the last purse would be the first one."""
    for purse in make_purses("TOKEN", "CREDIT"):
        plan_of(purse)
    return lambda: calendar.grant_due(at=NEXT_DAY).granted


def two_units_of_one_call() -> Callable[[], Any]:
    wanted = [
        NewGrant(user_id=purse.user_id, amount=100, source=GrantSource.PLAN, key=f"new:{purse.pk}", unit=purse.unit)
        for purse in make_purses("TOKEN", "CREDIT")
    ]
    return lambda: grants.issue_many(wanted, at=NEXT_DAY).made


Case = tuple[Callable[[], Callable[[], Any]], tuple[str, str, str, str]]
CASES: dict[str, Case] = {
    "a cap": (a_cap_on_the_last_purse, BEFORE),
    "units in the calendar": (two_units_of_one_batch, BEHIND),
    "units in a call": (two_units_of_one_call, BEHIND),
}


def beside_the_sweep_of_what_is_over(name: str, *changes: tuple[str, str, str, str]) -> list[Any]:
    """What becomes of who gives two customers credits, and of who goes upwards through the same two purses."""
    make, gate = CASES[name]
    give_to_both = make()

    def expire() -> int:
        gates.wait_for_a_rival()
        return grants.expire_due(NEXT_DAY)

    with gates.variant(gate, *changes):
        return gates.run_through_the_gate([give_to_both, expire])


@pytest.mark.parametrize("name", CASES)
def test_grants_and_the_sweep_of_what_is_over_do_not_wait_for_each_other_in_vain(name: str) -> None:
    assert beside_the_sweep_of_what_is_over(name) == [2, 2]
    assert Grant.objects.filter(is_open=True).count() == 2
    assert checks.faults() == {}


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("units")])
def test_canary_where_purses_are_locked_unit_by_unit_one_of_them_dies(name: str) -> None:
    assert any(isinstance(each, Exception) for each in beside_the_sweep_of_what_is_over(name, UNLOCKED))


def test_purses_that_are_not_there_yet_are_made_before_any_is_locked() -> None:
    users = [make_user(), make_user()]
    units = ["TOKEN", "CREDIT"]
    wanted = [
        NewGrant(user_id=user.pk, amount=100, source=GrantSource.PLAN, key=f"{user.pk}:{unit}", unit=unit)
        for user in users
        for unit in units
    ]
    assert grants.issue_many(wanted, at=NEXT_DAY).made == 4
    made = Purse.objects.order_by("pk").values_list("unit", "user_id")
    assert list(made) == [(unit, user.pk) for unit in sorted(units) for user in users]
