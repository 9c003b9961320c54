"""The grant calendar: what a plan gives again and again, as rows that are there before they fall due.

Paying and granting are two clocks. Whoever takes the money says until when is paid, and rows up to there appear; the
sweep turns those that are due into grants, however late, once. Nothing here ever sets a balance.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from credits import errors, procedures, purses, schedule_grids
from credits.models import (
    CatchUp,
    Every,
    GrantPeriod,
    GrantRule,
    GrantSchedule,
    PeriodState,
    ScheduleRule,
    ScheduleState,
)
from credits.periods import days_later
from ledger.money import CREDIT

INSTANT = timedelta(microseconds=1)
_GRANT_DUE = "SELECT * FROM credits_grant_due(%s::int, %s::int, %s::timestamptz)"
_FIELDS = ("code", "amount", "unit", "every", "expires_after_days", "expires_at_next", "rollover_cap", "catch_up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one rule gives, as it was agreed; the catalogue's own row may change later."""

    code: str
    amount: int
    every: Every
    unit: str = CREDIT
    expires_after_days: int | None = None
    expires_at_next: bool = False
    rollover_cap: int | None = None
    catch_up: CatchUp = CatchUp.ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlimited:
    """Use that is metered and not charged, for as long as is paid."""

    unit: str = CREDIT
    fair_use_per_month: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Date:
    """A grant to come. `is_paid` says whether its period is paid for already."""

    at: datetime
    rule: str
    amount: int
    unit: str
    is_paid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a look for due periods did with them."""

    granted: int = 0
    skipped: int = 0
    full: int = 0

    @property
    def total(self) -> int:
        return self.granted + self.skipped + self.full


def terms_of(rule: GrantRule | ScheduleRule) -> Terms:
    return Terms(
        **{name: getattr(rule, name) for name in _FIELDS}
        | {"every": Every(rule.every), "catch_up": CatchUp(rule.catch_up)}
    )


# ---------------------------------------------------------------- a schedule's life


@transaction.atomic
def open_schedule(
    *,
    user: User,
    reference: str,
    rules: Sequence[Terms],
    anchor: datetime,
    time_zone: str,
    paid_until: datetime,
    unlimited: Unlimited | None = None,
) -> GrantSchedule:
    """Begin to give. The first periods begin at the anchor. The same reference returns the schedule that it made."""
    schedule, is_new = GrantSchedule.objects.get_or_create(
        reference=reference,
        defaults={
            "user": user,
            "time_zone": time_zone,
            "anchor_at": anchor,
            "anchor_zone": time_zone,
            "paid_until": paid_until,
        },
    )
    if is_new:
        _write_rules(schedule, rules)
        _write_periods(schedule, rules, anchor)
        _set_unlimited(schedule, unlimited, paid_until)
    return schedule


@transaction.atomic
def extend_schedule(*, reference: str, paid_until: datetime, anchor: datetime | None = None) -> GrantSchedule:
    """More was paid for. With an anchor, a lapsed schedule begins anew there: what was not paid for is not given."""
    schedule = _locked(reference)
    since = schedule.paid_until
    if anchor is not None:
        _drop_due(schedule, anchor)
        last = schedule.periods.order_by("-number").values_list("number", flat=True).first()
        schedule.first_number = 0 if last is None else last + 1
        schedule.anchor_at, schedule.anchor_zone = anchor, schedule.time_zone
        since = anchor
    schedule.paid_until = max(paid_until, since)
    if schedule.state == ScheduleState.CLOSED:
        schedule.state = ScheduleState.OPEN
    schedule.save(update_fields=["first_number", "anchor_at", "anchor_zone", "paid_until", "state"])
    if schedule.state == ScheduleState.OPEN:
        # What was paid for before and has not begun yet, other rules may have dropped: the new ones give it.
        _write_periods(schedule, _rules(schedule), max(since, timezone.now()), paid_since=since)
        _move_unlimited(schedule, schedule.paid_until)
    return schedule


@transaction.atomic
def change_rules(
    *, reference: str, rules: Sequence[Terms], at: datetime, unlimited: Unlimited | None = None
) -> GrantSchedule:
    """Give by other rules from now on. Periods keep their beginnings.

    In the period under way a better rule gives at once what it is worth more for the time that is left of it, and a
    worse one takes nothing back; so going up and down again never gives more than staying would have.
    """
    schedule = _locked(reference)
    _drop_due(schedule, at)
    if schedule.state == ScheduleState.OPEN and schedule.paid_until > at:
        _write_difference(schedule, rules, at)
        # What begins at this very instant is in the difference: the old rules may have given at it too.
        _write_periods(schedule, rules, at + INSTANT)
    schedule.rules.all().delete()
    _write_rules(schedule, rules)
    _set_unlimited(schedule, unlimited, schedule.paid_until if schedule.state == ScheduleState.OPEN else at)
    return schedule


@transaction.atomic
def move_to_zone(*, reference: str, time_zone: str, at: datetime) -> GrantSchedule:
    """The customer moved: periods to come begin at the same local time over there. None is lost and none doubled."""
    schedule = _locked(reference)
    if time_zone == schedule.time_zone:
        return schedule
    rules = _rules(schedule)
    # By their numbers and not by their beginnings: over there the next period may have begun already.
    coming = list(schedule.periods.filter(_planned(at)).values_list("rule", "number"))
    unpaid = [schedule_grids.unpaid(schedule, rule.every) for rule in rules]
    _drop_due(schedule, at)
    schedule.time_zone = time_zone
    for rule, first in zip(rules, unpaid, strict=True):
        _write_numbers(schedule, rule, [number for code, number in coming if code == rule.code])
        grid = schedule_grids.payments(schedule, rule.every)
        # The clocks of the two zones are not changed on the same days, and a month begins on another day over there.
        schedule.paid_until = min(max(schedule.paid_until, grid.start(first - 1) + INSTANT), grid.start(first))
    schedule.save(update_fields=["time_zone", "paid_until"])
    return schedule


@transaction.atomic
def pause(*, reference: str, at: datetime) -> GrantSchedule:
    """Give nothing for a while. What is due already stays due."""
    schedule = _locked(reference)
    if schedule.state == ScheduleState.OPEN:
        _drop_due(schedule, at)
        schedule.state = ScheduleState.PAUSED
        schedule.save(update_fields=["state"])
        _move_unlimited(schedule, at)
    return schedule


@transaction.atomic
def resume(*, reference: str, at: datetime, paid_until: datetime | None = None) -> GrantSchedule:
    """Give again from the next period on; those that began meanwhile are not made up for."""
    schedule = _locked(reference)
    if schedule.state == ScheduleState.PAUSED:
        schedule.state, schedule.paid_until = ScheduleState.OPEN, paid_until or schedule.paid_until
        schedule.save(update_fields=["state", "paid_until"])
        _write_periods(schedule, _rules(schedule), at)
        _move_unlimited(schedule, schedule.paid_until)
    return schedule


@transaction.atomic
def close(*, reference: str, at: datetime) -> GrantSchedule:
    """Give nothing more. What was given stays, with the expiry that it has."""
    schedule = _locked(reference)
    if schedule.state != ScheduleState.CLOSED:
        _drop_due(schedule, at)
        schedule.state, schedule.paid_until = ScheduleState.CLOSED, min(schedule.paid_until, at)
        schedule.save(update_fields=["state", "paid_until"])
        _move_unlimited(schedule, at)
    return schedule


# ---------------------------------------------------------------- what is due


def grant_due(
    *, at: datetime | None = None, most: int | None = None, told: Callable[[Outcome], None] | None = None
) -> Outcome:
    """Grant all that is due, in batches that each commit. Running twice, at once or late changes nothing in the end."""
    total = Outcome()
    while True:
        ((claimed, granted, skipped, full),) = procedures.rows(
            _GRANT_DUE, (most or settings.CREDITS_GRANT_BATCH, settings.CREDITS_LOW_PERCENT, at)
        )
        total = Outcome(granted=total.granted + granted, skipped=total.skipped + skipped, full=total.full + full)
        if told is not None:
            told(total)
        if claimed == 0:
            return total


# ---------------------------------------------------------------- what is to come, and what is left


def next_dates(*, reference: str, count: int = 12, at: datetime | None = None) -> list[Date]:
    """The next grants, those that the next payments will bring among them. None while paused or closed."""
    schedule = GrantSchedule.objects.filter(reference=reference, state=ScheduleState.OPEN).first()
    if schedule is None:
        return []
    now = at or timezone.now()
    found = [
        Date(at=row.starts_at, rule=row.rule, amount=row.amount, unit=row.unit, is_paid=True)
        for row in schedule.periods.filter(state=PeriodState.DUE).order_by("starts_at")[:count]
    ]
    for rule in _rules(schedule):
        grid = schedule_grids.grants(schedule, rule.every)
        first = max(grid.next_from(now), schedule_grids.unpaid(schedule, rule.every))
        found += [
            Date(at=grid.start(number), rule=rule.code, amount=rule.amount, unit=rule.unit, is_paid=False)
            for number in range(first, first + count)
        ]
    return sorted(found, key=lambda date: (date.at, date.rule))[:count]


def left_of_the_period(*, reference: str, at: datetime) -> tuple[int, int]:
    """How much is left of what the periods under way have given, and how much that was: proration by consumption. What
    is held for a use that is under way is not left."""
    current = GrantPeriod.objects.filter(
        schedule__reference=reference, state=PeriodState.GRANTED, starts_at__lte=at, ends_at__gt=at
    ).select_related("grant__account")
    given = [period.grant for period in current if period.grant is not None]
    return sum(each.account.balance - each.account.held for each in given), sum(each.amount for each in given)


# ---------------------------------------------------------------- rows


def _locked(reference: str) -> GrantSchedule:
    found = (
        GrantSchedule.objects.select_for_update(of=("self",), no_key=True)
        .select_related("user")
        .filter(reference=reference)
    )
    schedule = found.first()
    if schedule is None:
        raise errors.NotYours
    return schedule


def _rules(schedule: GrantSchedule) -> list[Terms]:
    return [terms_of(rule) for rule in schedule.rules.order_by("code")]


def _write_rules(schedule: GrantSchedule, rules: Iterable[Terms]) -> None:
    ScheduleRule.objects.bulk_create(
        ScheduleRule(schedule=schedule, **{name: getattr(rule, name) for name in _FIELDS}) for rule in rules
    )


def _write_periods(
    schedule: GrantSchedule, rules: Iterable[Terms], since: datetime, *, paid_since: datetime | None = None
) -> None:
    """Those that begin from then on and are paid for, and those that a payment brings. What stands already stays."""
    for rule in rules:
        first = schedule_grids.grants(schedule, rule.every).next_from(since)
        if paid_since is not None:
            first = min(first, schedule_grids.payments(schedule, rule.every).next_from(paid_since))
        _write_numbers(schedule, rule, range(first, schedule_grids.unpaid(schedule, rule.every)))


def _write_numbers(schedule: GrantSchedule, rule: Terms, numbers: Iterable[int]) -> None:
    grid = schedule_grids.grants(schedule, rule.every)
    GrantPeriod.objects.bulk_create(
        [
            _period(schedule, rule, number, starts_at=grid.start(number), ends_at=grid.start(number + 1))
            for number in numbers
        ],
        ignore_conflicts=True,
    )


def _period(
    schedule: GrantSchedule,
    rule: Terms,
    number: int,
    *,
    starts_at: datetime,
    ends_at: datetime,
    amount: int | None = None,
) -> GrantPeriod:
    expires_at = ends_at if rule.expires_at_next else None
    if rule.expires_after_days is not None:
        expires_at = days_later(starts_at, rule.expires_after_days, ZoneInfo(schedule.time_zone))
    return GrantPeriod(
        schedule=schedule,
        rule=rule.code,
        number=number,
        starts_at=starts_at,
        ends_at=ends_at,
        amount=amount or rule.amount,
        unit=rule.unit,
        expires_at=expires_at,
        rollover_cap=rule.rollover_cap,
        catch_up=rule.catch_up,
    )


def _write_difference(schedule: GrantSchedule, rules: Iterable[Terms], at: datetime) -> None:
    under_way = list(schedule.periods.filter(starts_at__lte=at, ends_at__gt=at))
    for rule in rules:
        grid = schedule_grids.grants(schedule, rule.every)
        number = grid.at(at)
        starts_at, ends_at = grid.start(number), grid.start(number + 1)
        if any(period.rule == rule.code and period.number == number for period in under_way):
            continue  # was given already
        if number >= schedule_grids.unpaid(schedule, rule.every):
            continue  # has begun where the customer is now, and waits for its payment
        # Both sides by the time that is left of each one's own period, as a fraction of microseconds.
        had = sum(
            _share(period.amount, at, period.starts_at, period.ends_at)
            for period in under_way
            if period.unit == rule.unit
        )
        more = _share(rule.amount, at, starts_at, ends_at) - had
        if more > 0:
            period = _period(schedule, rule, number, starts_at=at, ends_at=ends_at, amount=more)
            GrantPeriod.objects.bulk_create([period], ignore_conflicts=True)


def _share(amount: int, at: datetime, starts_at: datetime, ends_at: datetime) -> int:
    """What an amount is worth for the rest of its period, rounded down."""
    return amount * int((ends_at - at).total_seconds()) // int((ends_at - starts_at).total_seconds())


def _drop_due(schedule: GrantSchedule, at: datetime) -> None:
    """Rows that have not begun are plans, and plans change; nothing that was given or is due goes."""
    schedule.periods.filter(_planned(at)).delete()


def _planned(at: datetime) -> Q:
    return Q(state=PeriodState.DUE, starts_at__gt=at)


def _set_unlimited(schedule: GrantSchedule, unlimited: Unlimited | None, until: datetime) -> None:
    if unlimited is None:
        if schedule.is_unlimited:
            _move_unlimited(schedule, datetime.now(UTC))
            schedule.is_unlimited = False
            schedule.save(update_fields=["is_unlimited"])
        return
    schedule.is_unlimited, schedule.unit = True, unlimited.unit
    schedule.fair_use_per_month = unlimited.fair_use_per_month
    schedule.save(update_fields=["is_unlimited", "unit", "fair_use_per_month"])
    _move_unlimited(schedule, until)


def _move_unlimited(schedule: GrantSchedule, until: datetime) -> None:
    if schedule.is_unlimited:
        purses.meter_by_plan(schedule=schedule, until=until)
