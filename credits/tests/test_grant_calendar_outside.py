"""The grant calendar from outside: the command, the sweep, the proofs and the operators' pages."""

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from credits import balances, calendar, tasks, usage
from credits.calendar import Terms
from credits.models import Every, Grant, GrantPeriod, GrantSchedule, PeriodState
from credits.tests.people import give, make_user
from ledger import checks
from rest.progress import Bar
from rest.tests.operators import Console, printed, submit

ROOT = "/admin/credits"
TERMS = Terms(code="weekly", amount=500, every=Every.WEEK)
PROOF = "credits.checks.periods_equal_their_grants"


@pytest.fixture
def ann(db: Any) -> User:
    return make_user()


@pytest.fixture
def schedule(ann: User) -> GrantSchedule:
    """Two of its three weeks are due."""
    now = timezone.now()
    return calendar.open_schedule(
        user=ann,
        reference="subscription:1",
        rules=[TERMS],
        anchor=now - timedelta(days=8),
        time_zone="Europe/Paris",
        paid_until=now + timedelta(days=7),
    )


def run(*words: str) -> str:
    return printed("grant_due", *words)


# ---------------------------------------------------------------- command and sweep


def test_dry_run_tells_what_is_due_and_grants_nothing(schedule: GrantSchedule) -> None:
    told = run("--dry-run")
    assert "weekly: 2 periods of 1 customers, at most 1,000 CREDIT, the oldest since" in told
    assert "2 periods are due. Nothing was granted." in told
    assert Grant.objects.count() == 0
    assert GrantPeriod.objects.filter(state=PeriodState.DUE).count() == 3


def test_command_grants_what_is_due_once(schedule: GrantSchedule, ann: User) -> None:
    assert "2 granted, 0 skipped as their rules say, 0 had nothing to fill up in" in run("--batch", "1")
    assert "0 granted, 0 skipped" in run()
    assert balances.of(ann).available == 1_000


def test_command_and_sweep_do_the_same_act(schedule: GrantSchedule, ann: User) -> None:
    tasks.grant_due()
    assert "0 granted" in run()
    assert balances.of(ann).available == 1_000
    assert checks.faults() == {}


def test_bar_is_redrawn_in_place_on_a_terminal() -> None:
    screen = Console()
    bar = Bar(screen, total=2_000, what="periods")
    bar.show(1_000)
    bar.end()
    assert screen.getvalue() == f"\r[{'#' * 15}{'.' * 15}]  50%  1,000 of 2,000 periods\n"


def test_bar_says_nothing_of_a_moment_where_there_is_no_terminal() -> None:
    paper = StringIO()
    bar = Bar(paper, total=2, what="periods")
    bar.show(1)
    bar.end()
    assert paper.getvalue() == ""


# ---------------------------------------------------------------- proofs


def test_grant_under_another_key_than_its_periods_is_a_fault(schedule: GrantSchedule, ann: User) -> None:
    calendar.grant_due()
    other = give(ann, 500, key="by hand")
    assert checks.faults() == {}
    GrantPeriod.objects.filter(number=0).update(grant=other)
    assert checks.faults() == {PROOF: ["period weekly 0 of subscription:1 has the grant grant:by hand"]}


def test_grant_to_somebody_else_is_a_fault(schedule: GrantSchedule) -> None:
    calendar.grant_due()
    GrantSchedule.objects.update(user=make_user())
    assert len(checks.faults()[PROOF]) == 2


def test_period_that_waits_beyond_what_is_paid_is_a_fault(schedule: GrantSchedule) -> None:
    calendar.grant_due()
    GrantSchedule.objects.update(paid_until=timezone.now())
    [(name, [fault])] = checks.faults().items()
    assert name == "credits.checks.due_periods_are_paid_for"
    assert fault.startswith("period weekly 2 of subscription:1 begins at ")


# ---------------------------------------------------------------- operators


def test_page_of_a_schedule_tells_its_rules_and_next_twelve_dates(
    root: User, schedule: GrantSchedule, client: Client
) -> None:
    calendar.grant_due()
    told = client.get(f"{ROOT}/grantschedule/{schedule.pk}/change/").content.decode()
    assert told.count("500 CREDIT · weekly · with the next payment") == 11
    assert told.count("500 CREDIT · weekly · paid for") == 1
    assert client.get(f"{ROOT}/grantschedule/", {"q": "subscription:1"}).content.decode().count("Europe/Paris") == 1


def test_granting_a_period_again_needs_a_reason_and_acts_once(
    root: User, schedule: GrantSchedule, ann: User, client: Client
) -> None:
    calendar.grant_due()
    period = GrantPeriod.objects.get(number=1)
    path = f"{ROOT}/grantperiod/{period.pk}/again/"
    assert submit(client, path, reason="").status_code == 200
    assert balances.of(ann).available == 1_000
    key = re.search(r'name="key" value="([^"]+)"', client.get(path).content.decode())
    assert key
    for _ in range(2):
        assert client.post(path, {"key": key.group(1), "reason": "lost in a fault"}).status_code == 302
    again = Grant.objects.get(source="manual")
    assert (again.amount, again.reason, again.issued_by) == (500, "lost in a fault", root)
    assert balances.of(ann).available == 1_500
    assert checks.faults() == {}


def test_revoking_a_period_takes_what_is_left_of_it_and_nothing_else(
    root: User, schedule: GrantSchedule, ann: User, client: Client
) -> None:
    give(ann, 70, key="pack")
    calendar.grant_due()
    usage.spend(user=ann, key="s", amount=100)
    period = GrantPeriod.objects.get(number=0)
    left = period.grant.account.balance if period.grant else 0
    assert submit(client, f"{ROOT}/grantperiod/{period.pk}/revoke/", reason="charged back").status_code == 302
    period.refresh_from_db()
    assert period.state == PeriodState.REVOKED
    assert balances.of(ann).available == 970 - left
    assert GrantPeriod.objects.get(number=1).state == PeriodState.GRANTED
    assert checks.faults() == {}


def test_revoking_what_was_not_granted_is_refused_in_words(root: User, schedule: GrantSchedule, client: Client) -> None:
    period = GrantPeriod.objects.get(number=2)
    answer = submit(client, f"{ROOT}/grantperiod/{period.pk}/revoke/", reason="no")
    assert "Nothing was granted in this period." in answer.content.decode()
    period.refresh_from_db()
    assert period.state == PeriodState.DUE


def test_periods_given_again_and_again_are_for_who_may_adjust(
    schedule: GrantSchedule, ann: User, client: Client, settings: Any
) -> None:
    settings.CREDITS_ISSUE_ALONE = 999
    calendar.grant_due()
    support = User.objects.create_user("olive", is_staff=True)
    support.user_permissions.set(Permission.objects.filter(codename__in=["view_grantperiod", "regrant_period"]))
    client.force_login(support)
    path, before = f"{ROOT}/grantperiod/{GrantPeriod.objects.get(number=0).pk}/again/", balances.of(ann).available
    assert submit(client, path, reason="our fault").status_code == 302
    answer = submit(client, path, reason="our fault")
    assert "More than 999 credits a day are given by a colleague" in answer.content.decode()
    assert balances.of(ann).available == before + 500


@pytest.mark.parametrize(("button", "permission"), [("again", "regrant_period"), ("revoke", "revoke_period")])
def test_buttons_of_a_period_have_permissions_of_their_own(
    schedule: GrantSchedule, client: Client, button: str, permission: str
) -> None:
    calendar.grant_due()
    person = User.objects.create_user("olive", is_staff=True)
    person.user_permissions.add(*Permission.objects.filter(codename__in=["view_grantperiod", "view_grantschedule"]))
    client.force_login(person)
    path = f"{ROOT}/grantperiod/{GrantPeriod.objects.get(number=0).pk}/{button}/"
    assert client.get(path).status_code == 403
    person.user_permissions.add(Permission.objects.get(codename=permission))
    assert client.get(path).status_code == 200


def test_lists_of_periods_ask_as_often_for_many_as_for_one(
    root: User, schedule: GrantSchedule, client: Client, django_assert_max_num_queries: Any
) -> None:
    calendar.grant_due()
    with django_assert_max_num_queries(12):
        assert client.get(f"{ROOT}/grantperiod/").status_code == 200
