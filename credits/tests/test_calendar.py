"""The grant calendar: rows that are there before they fall due, and grants that come of them once."""

import itertools
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
import time_machine
from django.contrib.auth.models import User

from credits import balances, calendar, corrections, errors, grants, holds, purses, usage
from credits import checks as audits
from credits.calendar import Terms, Unlimited
from credits.models import CatchUp, Every, Grant, GrantPeriod, GrantSchedule, PeriodState, Purse, ScheduleState
from credits.periods import Grid
from credits.tests import gates
from credits.tests.people import give, make_user
from events.models import Event
from ledger import checks

START = datetime(2027, 3, 1, 8, 0, tzinfo=UTC)  # a Monday
WEEK = timedelta(weeks=1)
WEEKLY = Terms(code="premium-weekly", amount=500, every=Every.WEEK)
REFERENCE = "subscription:1"


def open_schedule(user: User, *rules: Terms, weeks: int = 4, **changes: Any) -> GrantSchedule:
    known: dict[str, Any] = {
        "user": user,
        "reference": REFERENCE,
        "rules": rules or (WEEKLY,),
        "anchor": START,
        "time_zone": "Africa/Abidjan",
        "paid_until": START + weeks * WEEK,
    }
    return calendar.open_schedule(**known | changes)


def rows(state: PeriodState | None = None) -> list[tuple[int, int]]:
    found = GrantPeriod.objects.filter(**{} if state is None else {"state": state}).order_by("number")
    return [(row.number, row.amount) for row in found]


def available(user: User, at: datetime) -> int:
    return balances.of(user, at=at).available


# ---------------------------------------------------------------- due rows become grants


def test_each_week_that_is_paid_for_gives_once(user: User) -> None:
    open_schedule(user)
    assert calendar.grant_due(at=START) == calendar.Outcome(granted=1)
    assert calendar.grant_due(at=START + WEEK - timedelta(seconds=1)) == calendar.Outcome()
    assert calendar.grant_due(at=START + WEEK) == calendar.Outcome(granted=1)
    assert calendar.grant_due(at=START + 30 * WEEK) == calendar.Outcome(granted=2)
    assert available(user, START + 30 * WEEK) == 2000
    assert [grant.account.name for grant in Grant.objects.order_by("pk").select_related("account")] == [
        f"grant:subscription:1:premium-weekly:{number}" for number in range(4)
    ]


def test_opening_twice_is_opening_once(user: User) -> None:
    first = open_schedule(user)
    assert open_schedule(user, weeks=9) == first
    assert rows() == [(number, 500) for number in range(4)]


def test_paying_opens_the_window_and_grants_nothing(user: User) -> None:
    open_schedule(user)
    calendar.grant_due(at=START)
    calendar.extend_schedule(reference=REFERENCE, paid_until=START + 8 * WEEK)
    assert len(rows(PeriodState.DUE)) == 7
    assert available(user, START) == 500


@pytest.mark.parametrize(
    ("policy", "granted", "skipped"), [(CatchUp.ALL, 3, 0), (CatchUp.LAST, 1, 2), (CatchUp.NONE, 1, 2)]
)
def test_missed_weeks_are_made_up_for_as_the_rule_says(user: User, policy: CatchUp, granted: int, skipped: int) -> None:
    open_schedule(user, Terms(code="r", amount=5, every=Every.WEEK, catch_up=policy), weeks=9)
    assert calendar.grant_due(at=START + 2 * WEEK + timedelta(days=2), most=1) == calendar.Outcome(
        granted=granted, skipped=skipped
    )
    assert available(user, START + 3 * WEEK) == 5 * granted


def test_none_does_not_give_even_the_last_week_when_it_is_over(user: User) -> None:
    open_schedule(user, Terms(code="r", amount=5, every=Every.WEEK, catch_up=CatchUp.NONE), weeks=2)
    assert calendar.grant_due(at=START + 3 * WEEK) == calendar.Outcome(skipped=2)


def test_a_week_is_over_at_its_last_instant(user: User) -> None:
    open_schedule(user, Terms(code="r", amount=5, every=Every.WEEK, catch_up=CatchUp.NONE), weeks=2)
    assert calendar.grant_due(at=START + WEEK) == calendar.Outcome(granted=1, skipped=1)


def test_what_is_missed_is_counted_for_each_customer_and_rule(user: User) -> None:
    """The last of each is made up for, however far the others are."""
    weekly = Terms(code="weekly", amount=5, every=Every.WEEK, catch_up=CatchUp.LAST)
    monthly = Terms(code="monthly", amount=100, every=Every.MONTH, catch_up=CatchUp.LAST, unit="TOKEN")
    newcomer = make_user()
    open_schedule(user, weekly, monthly, weeks=9)
    late = START + 2 * WEEK
    open_schedule(newcomer, weekly, reference="subscription:2", anchor=late, paid_until=late + WEEK)
    assert calendar.grant_due(at=late) == calendar.Outcome(granted=3, skipped=2)
    assert [available(each, late) for each in (user, newcomer)] == [5, 5]
    assert balances.of(user, "TOKEN", at=late).available == 100


def test_a_cap_is_of_each_customer_and_rule(user: User) -> None:
    capped = [Terms(code=code, amount=100, every=Every.WEEK, rollover_cap=150) for code in ("a", "b")]
    other = make_user()
    open_schedule(user, *capped)
    open_schedule(other, *capped, reference="subscription:2")
    assert calendar.grant_due(at=START) == calendar.Outcome(granted=4)
    assert calendar.grant_due(at=START + WEEK) == calendar.Outcome(granted=4)
    assert [available(each, START + WEEK) for each in (user, other)] == [300, 300]


def test_a_cap_counts_nothing_that_is_over(user: User) -> None:
    rule = Terms(code="r", amount=100, every=Every.WEEK, rollover_cap=150, expires_at_next=True)
    open_schedule(user, rule)
    for week in range(2):
        calendar.grant_due(at=START + week * WEEK)
    assert list(Grant.objects.values_list("amount", flat=True)) == [100, 100]


def test_what_comes_at_its_last_instant_comes_late(user: User) -> None:
    open_schedule(user, Terms(code="r", amount=5, every=Every.WEEK, expires_at_next=True), weeks=1)
    calendar.grant_due(at=START + WEEK)
    assert Grant.objects.get().expires_at == START + 2 * WEEK


def test_what_comes_late_lives_as_long_as_it_would_have_lived(user: User) -> None:
    open_schedule(user, Terms(code="r", amount=5, every=Every.WEEK, expires_at_next=True), weeks=2)
    late = START + 9 * WEEK
    calendar.grant_due(at=late)
    assert [grant.expires_at for grant in Grant.objects.all()] == [late + WEEK] * 2


def test_on_time_a_grant_expires_when_the_next_one_comes(user: User) -> None:
    open_schedule(user, Terms(code="r", amount=5, every=Every.WEEK, expires_at_next=True), weeks=2)
    calendar.grant_due(at=START)
    assert Grant.objects.get().expires_at == START + WEEK


def test_a_cap_fills_up_and_no_more(user: User) -> None:
    open_schedule(user, Terms(code="r", amount=100, every=Every.WEEK, rollover_cap=150), weeks=9)
    give(user, 1000, expires_at=START + 99 * WEEK)  # of a pack: no part of the cap
    assert calendar.grant_due(at=START) == calendar.Outcome(granted=1)
    assert calendar.grant_due(at=START + 2 * WEEK) == calendar.Outcome(granted=1, full=1)
    assert sorted(Grant.objects.filter(source="plan").values_list("amount", flat=True)) == [50, 100]
    assert available(user, START + 2 * WEEK) == 1150


# ---------------------------------------------------------------- changes


def test_a_better_rule_gives_the_difference_for_the_time_that_is_left(user: User) -> None:
    open_schedule(user)
    calendar.grant_due(at=START)
    half = START + WEEK / 2
    better = Terms(code="elite-weekly", amount=900, every=Every.WEEK)
    calendar.change_rules(reference=REFERENCE, rules=[better], at=half)
    calendar.grant_due(at=half)
    assert available(user, half) == 500 + 200
    assert [date.amount for date in calendar.next_dates(reference=REFERENCE, at=half)] == [900] * 12


def test_up_down_and_up_again_gives_no_more_than_up(user: User) -> None:
    open_schedule(user)
    calendar.grant_due(at=START)
    better = Terms(code="elite-weekly", amount=900, every=Every.WEEK)
    for day, rule in enumerate([better, WEEKLY, better, WEEKLY, better], start=1):
        calendar.change_rules(reference=REFERENCE, rules=[rule], at=START + timedelta(days=day))
    calendar.grant_due(at=START + timedelta(days=6))
    # What the better one is worth more for six days of seven, each side rounded down.
    assert available(user, START + timedelta(days=6)) == 500 + (900 * 6 // 7 - 500 * 6 // 7)


def test_changes_touch_no_pack_and_no_promotion(user: User) -> None:
    give(user, 200, expires_at=None)
    give(user, 50, source="promotion")
    open_schedule(user, Terms(code="r", amount=80, every=Every.WEEK, expires_at_next=True))
    calendar.grant_due(at=START)
    calendar.change_rules(reference=REFERENCE, rules=[WEEKLY], at=START + timedelta(days=1))
    calendar.close(reference=REFERENCE, at=START + timedelta(days=2))
    grants.expire_due(START + 5 * WEEK)
    assert Grant.objects.filter(is_open=True).count() == 2
    assert available(user, START + 5 * WEEK) == 250


def test_a_pause_gives_nothing_and_is_not_made_up_for(user: User) -> None:
    open_schedule(user, weeks=6)
    calendar.grant_due(at=START)
    calendar.pause(reference=REFERENCE, at=START + timedelta(days=1))
    assert calendar.grant_due(at=START + 2 * WEEK) == calendar.Outcome()
    assert calendar.next_dates(reference=REFERENCE) == []
    calendar.resume(reference=REFERENCE, at=START + 2 * WEEK + timedelta(days=1))
    calendar.grant_due(at=START + 9 * WEEK)
    assert [number for number, _ in rows(PeriodState.GRANTED)] == [0, 3, 4, 5]


def test_what_is_paid_during_a_pause_is_given_after_it(user: User) -> None:
    open_schedule(user, weeks=1)
    calendar.pause(reference=REFERENCE, at=START + timedelta(days=1))
    calendar.extend_schedule(reference=REFERENCE, paid_until=START + 3 * WEEK)
    assert [number for number, _ in rows()] == [0]
    calendar.resume(reference=REFERENCE, at=START + timedelta(days=2))
    assert [number for number, _ in rows()] == [0, 1, 2]


def test_what_has_been_done_is_not_done_again(user: User) -> None:
    schedule = open_schedule(user, unlimited=Unlimited())

    def standing() -> list[Any]:
        schedule.refresh_from_db()
        return [rows(), schedule.state, schedule.paid_until, schedule.time_zone, Purse.objects.get().unlimited_until]

    day, later = START + timedelta(days=1), START + timedelta(days=9)
    acts: list[Any] = [
        lambda at: calendar.resume(reference=REFERENCE, at=at),
        lambda at: calendar.move_to_zone(reference=REFERENCE, time_zone="Africa/Abidjan", at=at),
        lambda at: calendar.pause(reference=REFERENCE, at=at),
        lambda at: calendar.close(reference=REFERENCE, at=at),
    ]
    for act in acts:
        act(day)
        before = standing()
        act(later)
        assert standing() == before


def test_a_closed_schedule_keeps_its_new_rules_and_zone_for_later(user: User) -> None:
    open_schedule(user, weeks=1)
    calendar.grant_due(at=START)
    calendar.close(reference=REFERENCE, at=START + timedelta(days=1))
    better = Terms(code="elite-weekly", amount=900, every=Every.WEEK)
    calendar.change_rules(reference=REFERENCE, rules=[better], at=START + timedelta(days=2))
    calendar.move_to_zone(reference=REFERENCE, time_zone="Europe/Paris", at=START + timedelta(days=2))
    assert rows() == [(0, 500)]
    again = START + 2 * WEEK
    schedule = calendar.extend_schedule(reference=REFERENCE, paid_until=again + WEEK, anchor=again)
    assert (rows(), schedule.time_zone) == ([(0, 500), (1, 900)], "Europe/Paris")


def test_a_rule_that_is_worth_no_more_gives_nothing_at_once(user: User) -> None:
    open_schedule(user)
    calendar.grant_due(at=START)
    worse = Terms(code="basic-weekly", amount=100, every=Every.WEEK)
    calendar.change_rules(reference=REFERENCE, rules=[worse], at=START + timedelta(days=1))
    assert calendar.grant_due(at=START + timedelta(days=1)) == calendar.Outcome()
    assert rows() == [(0, 500), (1, 100), (2, 100), (3, 100)]


def test_grants_may_live_for_so_many_days(user: User) -> None:
    open_schedule(user, Terms(code="r", amount=5, every=Every.WEEK, expires_after_days=30))
    calendar.grant_due(at=START)
    assert Grant.objects.get().expires_at == START + timedelta(days=30)


def test_a_change_may_end_unlimited_use(user: User) -> None:
    schedule = open_schedule(user, unlimited=Unlimited())
    before = datetime.now(UTC)
    calendar.change_rules(reference=REFERENCE, rules=[WEEKLY], at=START)
    ended = Purse.objects.get().unlimited_until
    assert ended is not None
    assert before <= ended <= datetime.now(UTC)
    calendar.close(reference=REFERENCE, at=START)
    assert Purse.objects.get().unlimited_until == ended
    schedule.refresh_from_db()
    assert not schedule.is_unlimited


def test_a_late_payment_begins_anew_with_its_own_dates(user: User) -> None:
    open_schedule(user, weeks=1)
    calendar.grant_due(at=START)
    calendar.close(reference=REFERENCE, at=START + WEEK)
    again = START + 3 * WEEK + timedelta(days=2)
    calendar.extend_schedule(reference=REFERENCE, paid_until=again + 2 * WEEK, anchor=again)
    assert calendar.grant_due(at=again) == calendar.Outcome(granted=1)
    calendar.grant_due(at=again + 9 * WEEK)
    assert available(user, again + 9 * WEEK) == 1500
    assert GrantSchedule.objects.get().state == ScheduleState.OPEN


def test_unlimited_use_lasts_as_long_as_is_paid(user: User) -> None:
    open_schedule(user, weeks=4, rules=(), unlimited=Unlimited(fair_use_per_month=10_000))
    purse = Purse.objects.get()
    assert (purse.unlimited_until, purse.fair_use_per_month) == (START + 4 * WEEK, 10_000)
    calendar.extend_schedule(reference=REFERENCE, paid_until=START + 8 * WEEK)
    assert Purse.objects.get().unlimited_until == START + 8 * WEEK
    calendar.close(reference=REFERENCE, at=START + WEEK)
    assert Purse.objects.get().unlimited_until == START + WEEK


def test_unlimited_use_that_people_gave_outlives_the_plan(user: User) -> None:
    open_schedule(user, weeks=4, rules=(), unlimited=Unlimited(fair_use_per_month=10_000))
    purses.allow_unlimited(user=user, until=START + 9 * WEEK, fair_use_per_month=700)
    calendar.pause(reference=REFERENCE, at=START + WEEK)
    calendar.resume(reference=REFERENCE, at=START + 2 * WEEK)
    calendar.close(reference=REFERENCE, at=START + 3 * WEEK)
    purse = Purse.objects.get()
    assert (purse.unlimited_until, purse.fair_use_per_month) == (START + 9 * WEEK, 700)


def test_end_of_one_plan_leaves_what_another_has_paid_for(user: User) -> None:
    open_schedule(user, weeks=4, rules=(), unlimited=Unlimited(fair_use_per_month=10_000))
    calendar.open_schedule(
        user=user, reference="another", rules=(), anchor=START, time_zone="UTC", paid_until=START + 2 * WEEK,
        unlimited=Unlimited(fair_use_per_month=20_000),
    )  # fmt: skip
    assert Purse.objects.get().unlimited_until == START + 4 * WEEK
    calendar.close(reference="another", at=START + WEEK)
    assert Purse.objects.get().unlimited_until == START + 4 * WEEK
    calendar.close(reference=REFERENCE, at=START + 3 * WEEK)
    purse = Purse.objects.get()
    assert (purse.unlimited_until, purse.fair_use_per_month) == (START + 3 * WEEK, 10_000)


def test_a_move_east_or_west_loses_and_doubles_nothing(user: User) -> None:
    open_schedule(user, weeks=20, time_zone="Pacific/Apia")
    moves = [
        "Pacific/Honolulu",
        "Asia/Tokyo",
        "America/Los_Angeles",
        "Pacific/Apia",
        "Europe/Paris",
        "Pacific/Auckland",
    ]
    at = START
    for zone in moves:
        at += timedelta(days=6, hours=20)
        calendar.grant_due(at=at)
        calendar.move_to_zone(reference=REFERENCE, time_zone=zone, at=at)
    calendar.grant_due(at=START + 30 * WEEK)
    assert [number for number, _ in rows(PeriodState.GRANTED)] == list(range(len(rows())))
    assert len(rows()) == 20
    last = GrantPeriod.objects.order_by("-number")[0].starts_at.astimezone(ZoneInfo("Pacific/Auckland"))
    assert last.time() == START.astimezone(ZoneInfo("Pacific/Apia")).time()


MOVES = ["Europe/Paris", "Africa/Abidjan", "Pacific/Auckland", "Pacific/Honolulu", "Asia/Tokyo", "America/New_York"]


def payments_end(anchor: datetime, zone: str, every: Every, number: int) -> datetime:
    """As the plans reckon it: from the instant of the anchor, by the clock of where the customer is."""
    local = ZoneInfo(zone)
    return Grid(anchor=anchor.astimezone(local).replace(tzinfo=None), zone=local, every=every).start(number)


@pytest.mark.parametrize("every", list(Every))
@pytest.mark.parametrize(
    "anchor", [START, datetime(2027, 6, 30, 23, 30, tzinfo=UTC), datetime(2027, 1, 31, 10, tzinfo=UTC)]
)
@pytest.mark.parametrize("order", [1, -1])
def test_each_payment_gives_one_period_wherever_its_customer_goes(
    user: User, every: Every, anchor: datetime, order: int
) -> None:
    """A period has as long a plan; they move in the midst of each, and once more on its last and first evening."""
    moves = itertools.cycle(MOVES[::order])
    zone = next(moves)
    ends = payments_end(anchor, zone, every, 1)
    rule = Terms(code="each", amount=500, every=every)
    open_schedule(user, rule, anchor=anchor, time_zone=zone, paid_until=ends)
    for number in range(1, 19):
        for at in (ends - timedelta(days=4), ends - timedelta(hours=3), ends - timedelta(hours=1)):
            zone = next(moves)
            calendar.grant_due(at=at)
            calendar.move_to_zone(reference=REFERENCE, time_zone=zone, at=at)
            assert [row for row, _ in rows()] == list(range(number))
            assert audits.due_periods_are_paid_for().faults == 0
        ends = payments_end(anchor, zone, every, number + 1)
        calendar.extend_schedule(reference=REFERENCE, paid_until=ends)
        assert [row for row, _ in rows()] == list(range(number + 1))


def test_a_better_rule_gives_nothing_of_a_period_that_has_begun_over_there_and_is_not_paid_for(user: User) -> None:
    open_schedule(user, weeks=1, time_zone="Europe/Paris")
    calendar.grant_due(at=START)
    evening = START + WEEK - timedelta(hours=2)
    calendar.move_to_zone(reference=REFERENCE, time_zone="Asia/Tokyo", at=evening)
    assert [date.at for date in calendar.next_dates(reference=REFERENCE, count=1, at=START)] == [
        START + WEEK - timedelta(hours=8)
    ]
    better = Terms(code="elite-weekly", amount=2_000, every=Every.WEEK)
    calendar.change_rules(reference=REFERENCE, rules=(better,), at=evening)
    assert rows() == [(0, 500)]
    calendar.extend_schedule(reference=REFERENCE, paid_until=START + 2 * WEEK)
    assert rows() == [(0, 500), (1, 2_000)]


@pytest.mark.parametrize(("late", "given"), [(timedelta(0), "elite"), (timedelta(hours=9), "premium")])
def test_a_period_that_begins_later_over_there_is_given_once_when_the_plan_changes(
    user: User, late: timedelta, given: str
) -> None:
    """It is paid for before the change and begins after it: by the new rule, unless the old one has given it."""
    premium, elite = (Terms(code=code, amount=500, every=Every.WEEK) for code in ("premium", "elite"))
    ends = START + WEEK + timedelta(hours=2)
    open_schedule(user, premium, time_zone="Asia/Tokyo", paid_until=ends)
    calendar.grant_due(at=START)
    calendar.move_to_zone(reference=REFERENCE, time_zone="Europe/Paris", at=START + timedelta(days=1))
    with time_machine.travel(ends + late, tick=False):
        calendar.grant_due(at=ends + late)
        calendar.change_rules(reference=REFERENCE, rules=(elite,), at=ends)
        calendar.extend_schedule(reference=REFERENCE, paid_until=ends + WEEK)
    assert list(GrantPeriod.objects.order_by("number").values_list("number", "rule")) == [
        (0, "premium"),
        (1, given),
        (2, "elite"),
    ]


def test_the_next_dates_say_which_are_paid_for(user: User) -> None:
    open_schedule(user, weeks=2, time_zone="Europe/Paris")
    calendar.grant_due(at=START)
    dates = calendar.next_dates(reference=REFERENCE, at=START + timedelta(days=1))
    assert [date.is_paid for date in dates] == [True] + [False] * 11
    # Paris changes its clocks on 28 March: the local hour stays.
    assert [date.at.hour for date in dates] == [8, 8, 8] + [7] * 9


# ---------------------------------------------------------------- by hand


def test_a_period_is_given_again_with_a_reason(user: User) -> None:
    open_schedule(user, Terms(code="r", amount=5, every=Every.WEEK, expires_at_next=True))
    calendar.grant_due(at=START)
    period = GrantPeriod.objects.get(number=0)
    with pytest.raises(errors.InvalidUse):
        corrections.grant_again(period=period, reason=" ", key="a")
    with pytest.raises(errors.InvalidUse):
        corrections.revoke_period(period=period, reason=" ")
    again = corrections.grant_again(period=period, reason="our fault", key="a")
    assert corrections.grant_again(period=period, reason="our fault", key="a") == again
    assert Grant.objects.count() == 2


def test_a_period_is_revoked_once(user: User) -> None:
    open_schedule(user)
    calendar.grant_due(at=START)
    period = GrantPeriod.objects.get(number=0)
    usage.spend(user=user, amount=20, key="s", at=START + timedelta(hours=1))
    assert corrections.revoke_period(period=period, reason="fraud") == 480
    assert corrections.revoke_period(period=period, reason="fraud") == 0
    assert GrantPeriod.objects.get(number=0).state == PeriodState.REVOKED
    with pytest.raises(errors.InvalidUse):
        corrections.revoke_period(period=GrantPeriod.objects.get(number=1), reason="fraud")


def test_what_is_left_of_the_period_under_way(user: User) -> None:
    open_schedule(user)
    calendar.grant_due(at=START)
    usage.spend(user=user, amount=20, key="s", at=START + timedelta(hours=1))
    assert calendar.left_of_the_period(reference=REFERENCE, at=START + timedelta(days=1)) == (480, 500)
    holds.reserve(user=user, amount=30, key="h", at=START + timedelta(hours=2))
    assert calendar.left_of_the_period(reference=REFERENCE, at=START + timedelta(days=1)) == (450, 500)
    assert calendar.left_of_the_period(reference=REFERENCE, at=START + 2 * WEEK) == (0, 0)


def test_a_stranger_reference_is_not_found(db: Any) -> None:
    with pytest.raises(errors.NotYours):
        calendar.close(reference="subscription:unknown", at=START)


# ---------------------------------------------------------------- twice, at once, late, killed


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_share_the_rows() -> None:
    users = [make_user() for _ in range(30)]
    for user in users:
        open_schedule(user, reference=f"subscription:{user.pk}", weeks=3)
    later = START + 9 * WEEK
    outcomes = gates.run_through_the_gate([lambda: calendar.grant_due(at=later, most=7)] * 4)
    assert sum(outcome.granted for outcome in outcomes) == 90
    assert Counter(Grant.objects.values_list("purse__user_id", flat=True)) == {user.pk: 3 for user in users}
    assert checks.faults() == {}


CLAIM = "LIMIT p_most FOR NO KEY UPDATE SKIP LOCKED"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("locked", [True, False])
def test_without_its_lock_two_sweeps_meet_over_one_row(locked: bool) -> None:
    """The canary: with the lock one of them finds nothing; without it the keys of the books are all that is left."""
    open_schedule(make_user(), weeks=1)
    changes = [gates.gated("due.sql", "credits_grant_due", "CONTINUE WHEN wanted IS NULL;")]
    if not locked:
        changes.append(("due.sql", "credits_grant_due", CLAIM, "LIMIT p_most"))
    with gates.variant(*changes):
        outcomes = gates.run_through_the_gate([lambda: calendar.grant_due(at=START)] * 2)
    granted = sorted(outcome.granted if isinstance(outcome, calendar.Outcome) else -1 for outcome in outcomes)
    assert (granted == [0, 1]) is locked
    assert Grant.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_sweep_killed_in_a_batch_leaves_the_batch_due() -> None:
    users = [make_user() for _ in range(4)]
    for user in users:
        open_schedule(user, reference=f"subscription:{user.pk}", weeks=1)
    text = "GET DIAGNOSTICS part = ROW_COUNT;\n        IF part <>"
    killed = text.replace("IF part <>", "PERFORM pg_terminate_backend(pg_backend_pid());\n        IF part <>")
    with gates.variant(("due.sql", "credits_grant_due", text, killed)):
        (died,) = gates.run_through_the_gate([lambda: calendar.grant_due(at=START, most=2)])
    assert isinstance(died, Exception)
    assert (Grant.objects.count(), len(rows(PeriodState.DUE))) == (0, 4)
    assert calendar.grant_due(at=START) == calendar.Outcome(granted=4)
    assert checks.faults() == {}


THREE_YEARS = timedelta(days=3 * 365)
FIRST_MONDAY = datetime(2026, 1, 5)  # noqa: DTZ001 - at midnight, wherever the customer is
SOME_ZONES = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc"))
Homes = list[tuple[datetime, str]]  # from when on, and where


def midnight(number: int, zone: str) -> datetime:
    return (FIRST_MONDAY + number * WEEK).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def begins(number: int, homes: Homes) -> tuple[datetime, str]:
    """Where the customer is on that Monday, and when it begins there. What has begun already no move changes."""
    start, place = midnight(number, homes[0][1]), homes[0][1]
    for at, zone in homes[1:]:
        start, place = (midnight(number, zone), zone) if start > at else (start, place)
    return start, place


def is_midnight_of_a_monday(instant: datetime, zone: str) -> bool:
    """Or as soon after it as the clocks of that zone allow, where they leave midnight out that day."""
    local = instant.astimezone(ZoneInfo(zone))
    midnight = local.replace(hour=0, minute=0)
    is_left_out = midnight.astimezone(UTC).astimezone(local.tzinfo) != midnight
    return local.weekday() == 0 and (local == midnight or is_left_out)


def three_years(homes: dict[str, Homes], movers: list[str], chance: random.Random) -> None:
    """Outages of nine days, beats that come twice, and customers who move, some on and on or there and back."""
    now, end = (each(known[0][0] for known in homes.values()) for each in (min, max))
    while now < end + THREE_YEARS:
        now += timedelta(days=9 if chance.random() < 0.1 else 2, hours=chance.randrange(24))
        for reference in (each for each in movers if chance.random() < 1 / 40):
            for zone in chance.sample([known[0][1] for known in homes.values()], chance.choice([1, 1, 2, 3])):
                calendar.move_to_zone(reference=reference, time_zone=zone, at=now)
                homes[reference].append((now, zone))
        for _ in range(2 if chance.random() < 0.3 else 1):
            calendar.grant_due(at=now)
    calendar.grant_due(at=now + timedelta(days=9))


def test_three_years_in_forty_zones_with_outages_and_double_beats(db: Any) -> None:
    chance = random.Random(7)  # noqa: S311 - the same years in every run
    zones = [*chance.sample(SOME_ZONES, 34), "Africa/Dakar", "Europe/Paris", "Africa/Casablanca", "America/New_York",
             "Asia/Kolkata", "Pacific/Apia"]  # fmt: skip
    homes: dict[str, Homes] = {}
    for zone in zones:
        anchor = midnight(0, zone)
        homes[f"subscription:{zone}"] = [(anchor, zone)]
        terms = Terms(code="weekly", amount=500, every=Every.WEEK, expires_at_next=True)
        open_schedule(make_user(), terms, reference=f"subscription:{zone}", anchor=anchor, time_zone=zone,
                      paid_until=anchor + THREE_YEARS)  # fmt: skip
    movers = list(homes)[::8]
    three_years(homes, movers, chance)

    late: Counter[bool] = Counter()
    for reference, known in homes.items():
        schedule = GrantSchedule.objects.get(reference=reference)
        found = list(schedule.periods.order_by("number").select_related("grant"))
        assert [period.number for period in found] == list(range(157))
        assert {period.state for period in found} == {PeriodState.GRANTED}
        wanted = [begins(number, known) for number in range(157)]
        assert [period.starts_at for period in found] == [start for start, _ in wanted]
        assert all(is_midnight_of_a_monday(*each) for each in wanted)
        for period in found:
            assert period.decided_at is not None
            assert period.grant is not None
            assert period.decided_at >= period.starts_at
            is_late = period.decided_at >= period.ends_at
            lasts = period.ends_at - period.starts_at
            assert period.grant.expires_at == (period.decided_at + lasts if is_late else period.ends_at)
            late[is_late] += 1
        for period, following in itertools.pairwise(found):
            has_moved = any(period.starts_at <= at <= max(period.ends_at, following.starts_at) for at, _ in known[1:])
            assert has_moved or period.ends_at == following.starts_at
    assert late[True] > 100  # as long after it was given, as it would have been
    assert min(len(homes[mover]) for mover in movers) > 5
    assert Grant.objects.count() == Event.objects.filter(type="credits.granted").count() == 157 * len(zones)
    assert checks.faults() == {}
