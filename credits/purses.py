"""The rules of one customer's purse: debt, limits, unlimited use, and limits of service tokens."""

from datetime import UTC, datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from credits import asked, procedures
from credits.models import Allowance, DebtPolicy, GrantSchedule, Purse, ScheduleState, Spend
from ledger import accounts, ids
from ledger.models import Account
from ledger.money import CREDIT, LARGEST_MINOR
from rest.models import ServiceToken

_REFRESH = "SELECT credits_refresh(ARRAY[%s]::bigint[], %s::int, %s::timestamptz)"
_REPAY = "SELECT credits_repay(p, %s::timestamptz, %s::timestamptz) FROM credits_purse p WHERE p.id = %s"


def open(user: User, unit: str = CREDIT) -> Purse:  # noqa: A001 - read as purses.open(...)
    """The customer's purse of a unit, made if there is none."""
    asked.check_unit(unit)
    found = Purse.objects.filter(user=user, unit=unit).first()
    if found is None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT credits_open_purses(ARRAY[%s]::bigint[], %s)", [user.pk, unit])
        found = Purse.objects.get(user=user, unit=unit)
    return found


def repay(purse_id: int, at: datetime | None = None) -> None:
    """What is free by now pays what is owed."""
    procedures.rows(_REPAY, (at or timezone.now(), at, purse_id))


def refresh(purse_id: int, at: datetime | None = None) -> None:
    """Count anew what of it can be used."""
    procedures.rows(_REFRESH, (purse_id, settings.CREDITS_LOW_PERCENT, at or timezone.now()))


def in_debt() -> QuerySet[Purse]:
    """Found by the index of the few purses that can owe, from which their accounts are read. An index of the accounts'
    own balances would be changed by every spend."""
    return Purse.objects.filter(debt_account__isnull=False, debt_account__balance__lt=0)


def lock(user: User, unit: str = CREDIT) -> Purse:
    """The purse, fresh and locked until the transaction ends: what every act on a customer's credits does first."""
    purse = open(user, unit)
    return Purse.objects.select_for_update(no_key=True, of=("self",)).get(pk=purse.pk)


@transaction.atomic
def set_debt_policy(*, user: User, policy: DebtPolicy, limit: int = 0, unit: str = CREDIT) -> Purse:
    """Let a customer owe credits, up to a limit or without one. What is owed already stays owed."""
    if policy == DebtPolicy.LIMITED:
        asked.check_amount(limit)
    purse = lock(user, unit)
    if purse.debt_account is None:
        name = f"debt:{user.pk}:{unit}"
        purse.debt_account = accounts.open(name=name, unit=unit, guarded=True)
    allowed = {DebtPolicy.FORBID: 0, DebtPolicy.LIMITED: limit, DebtPolicy.INVOICE: LARGEST_MINOR}[policy]
    account = Account.objects.get(pk=purse.debt_account.pk)
    # The database's floor cannot be above what is owed now; until that is repaid, the policy alone says no.
    accounts.limit(account, floor=min(-allowed, account.balance - account.held))
    purse.debt_policy, purse.debt_limit = policy, limit if policy == DebtPolicy.LIMITED else 0
    purse.version += 1
    purse.save(update_fields=["debt_account", "debt_policy", "debt_limit", "version"])
    return purse


@transaction.atomic
def set_limits(*, user: User, daily: int | None, monthly: int | None, unit: str = CREDIT) -> Purse:
    """How much a customer may spend in a UTC day and month; None for no limit."""
    purse = lock(user, unit)
    purse.daily_limit, purse.monthly_limit = daily, monthly
    purse.version += 1
    purse.save(update_fields=["daily_limit", "monthly_limit", "version"])
    return purse


@transaction.atomic
def set_low_percent(*, user: User, percent: int | None, unit: str = CREDIT) -> Purse:
    """Below which part of their open grants a customer counts as low; None for the house's setting."""
    purse = lock(user, unit)
    purse.low_percent = percent
    purse.version += 1
    purse.save(update_fields=["low_percent", "version"])
    return purse


@transaction.atomic
def allow_unlimited(
    *, user: User, until: datetime | None, fair_use_per_month: int | None = None, unit: str = CREDIT
) -> Purse:
    """Meter a customer's use instead of charging it, until an instant; None ends it.

    Fair use is CREDITS_FAIR_USE_PER_MONTH unless said.
    """
    purse = lock(user, unit)
    purse.given_until, purse.given_fair_use = until, fair_use_per_month
    return _meter(purse, until, fair_use_per_month)


@transaction.atomic
def meter_by_plan(*, schedule: GrantSchedule, until: datetime) -> Purse:
    """Meter the use of who has a plan until the last end: of it, of another that is paid, or of what people gave."""
    purse = lock(schedule.user, schedule.unit)
    others = GrantSchedule.objects.filter(
        user=schedule.user, unit=schedule.unit, is_unlimited=True, state=ScheduleState.OPEN
    ).exclude(pk=schedule.pk)
    ends = [(until, schedule.fair_use_per_month), *others.values_list("paid_until", "fair_use_per_month")]
    if purse.given_until is not None:
        ends.append((purse.given_until, purse.given_fair_use))
    return _meter(purse, *max(ends, key=lambda end: end[0]))


def _meter(purse: Purse, until: datetime | None, fair_use_per_month: int | None) -> Purse:
    purse.unlimited_until = until
    purse.fair_use_per_month = fair_use_per_month or settings.CREDITS_FAIR_USE_PER_MONTH or None
    purse.version += 1
    purse.save(update_fields=["unlimited_until", "fair_use_per_month", "given_until", "given_fair_use", "version"])
    return purse


@transaction.atomic
def set_token_limits(
    *, token: ServiceToken, daily: int | None, monthly: int | None, unit: str = CREDIT, at: datetime | None = None
) -> Allowance:
    """How much may be spent with one service token in a UTC day and month, for all customers together.

    What was spent before there was a limit counts as well. `at` is for importing a past.
    """
    asked.check_unit(unit)
    limits = {"daily_limit": daily, "monthly_limit": monthly}
    allowance, is_new = Allowance.objects.update_or_create(token=token, unit=unit, defaults=limits)
    if is_new:
        _count_earlier_spends(allowance, (at or timezone.now()).astimezone(UTC))
    return allowance


def _count_earlier_spends(allowance: Allowance, now: datetime) -> None:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    # A spend of the token that is under way sees no allowance, is not seen here, and is not counted.
    spends = Spend.objects.filter(token=allowance.token, purse__unit=allowance.unit, metered=0)
    allowance.day, allowance.day_spent = today.date(), _sum_since(spends, today)
    first = today.replace(day=1)
    allowance.month, allowance.month_spent = first.date(), _sum_since(spends, first)
    allowance.save(update_fields=["day", "day_spent", "month", "month_spent"])


def _sum_since(spends: QuerySet[Spend], instant: datetime) -> int:
    # By the primary key, in which the ids of a time stand together.
    since = spends.filter(entry_id__gte=ids.first_at(instant))
    total: int = since.aggregate(total=Sum(F("amount") - F("reversed_amount"), default=0))["total"]
    return total
