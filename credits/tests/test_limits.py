"""Limits: how much a customer, a service token and somebody unlimited may use in a day and a month of UTC."""

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credits import errors, holds, purses, usage
from credits.models import Allowance, Hold, HoldState
from credits.tests.people import give, make_user
from ledger import checks
from rest.models import ServiceToken

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MIDNIGHT = NOON + timedelta(hours=12)  # another day, and another month
EACH_PERIOD = pytest.mark.parametrize("kind", ["daily", "monthly"])

_numbers = itertools.count(1)


@pytest.fixture
def user() -> User:
    user = make_user()
    give(user, 1_000, at=NOON)
    return user


@pytest.fixture
def token() -> ServiceToken:
    return make_token("shop")


def make_token(name: str) -> ServiceToken:
    known: dict[str, Any] = {"name": name, "prefix": f"tl_{name:x<8}", "created_at": timezone.now()}
    return ServiceToken.objects.create(digest=hashlib.sha256(name.encode()).hexdigest(), **known)


def only(kind: str, limit: int) -> dict[str, Any]:
    return {"daily": None, "monthly": None, kind: limit}


def spend(user: User, amount: int, at: datetime = NOON, **changes: Any) -> usage.Spent:
    return usage.spend(user=user, amount=amount, key=f"use {next(_numbers)}", at=at, **changes)


def refused(user: User, amount: int, at: datetime = NOON, **changes: Any) -> str:
    with pytest.raises(errors.LimitReached) as error:
        spend(user, amount, at, **changes)
    return error.value.kind


# ---------------------------------------------------------------- of a customer


@EACH_PERIOD
def test_every_use_of_a_period_counts_and_the_next_period_begins_anew(user: User, kind: str) -> None:
    purses.set_limits(user=user, **only(kind, 10))
    for amount in (4, 5, 1):
        spend(user, amount)
    assert refused(user, 1) == kind
    for amount in (8, 2):
        spend(user, amount, MIDNIGHT)
    assert refused(user, 1, MIDNIGHT) == kind
    assert checks.faults() == {}


def test_a_month_counts_all_of_its_days(user: User) -> None:
    purses.set_limits(user=user, **only("monthly", 10))
    spend(user, 6, NOON - timedelta(days=1))
    assert refused(user, 5) == "monthly"
    spend(user, 4)
    assert refused(user, 1) == "monthly"


@EACH_PERIOD
def test_what_comes_back_counts_in_the_period_in_which_it_was_spent(user: User, kind: str) -> None:
    purses.set_limits(user=user, **only(kind, 10))
    spent = spend(user, 8)
    usage.reverse(spend=spent.id, key="at once", amount=3, at=NOON)
    spend(user, 5)
    assert refused(user, 1) == kind
    spend(user, 10, MIDNIGHT)
    usage.reverse(spend=spent.id, key="too late", at=MIDNIGHT)
    assert refused(user, 1, MIDNIGHT) == kind


# ---------------------------------------------------------------- of a service token


@EACH_PERIOD
def test_a_token_counts_all_customers_together(user: User, token: ServiceToken, kind: str) -> None:
    other = make_user()
    give(other, 1_000, at=NOON)
    purses.set_token_limits(token=make_token("rival"), **only(kind, 1))
    purses.set_token_limits(token=token, **only(kind, 10))
    spend(user, 6, token_id=token.pk)
    spend(other, 3, token_id=token.pk)
    assert refused(user, 2, token_id=token.pk) == f"token_{kind}"
    spend(user, 50)
    spend(other, 1, token_id=token.pk)
    assert refused(other, 1, token_id=token.pk) == f"token_{kind}"
    for amount in (8, 2):
        spend(user, amount, MIDNIGHT, token_id=token.pk)
    assert refused(user, 1, MIDNIGHT, token_id=token.pk) == f"token_{kind}"


def test_a_token_counts_each_unit_for_itself(user: User, token: ServiceToken) -> None:
    give(user, 100, unit="TOKEN", at=NOON)
    purses.set_token_limits(token=token, daily=2, monthly=None, unit="TOKEN")
    purses.set_token_limits(token=token, daily=10, monthly=None)
    holds.reserve(user=user, amount=1, key="h", unit="TOKEN", token_id=token.pk, at=NOON)
    spend(user, 10, token_id=token.pk)
    assert refused(user, 1, token_id=token.pk) == "token_daily"
    spend(user, 1, unit="TOKEN", token_id=token.pk)
    assert refused(user, 1, unit="TOKEN", token_id=token.pk) == "token_daily"


def test_what_a_token_holds_counts_until_it_is_settled_or_given_back(user: User, token: ServiceToken) -> None:
    purses.set_token_limits(token=make_token("rival"), daily=1, monthly=None)
    purses.set_token_limits(token=token, daily=10, monthly=None)
    holds.reserve(user=user, amount=50, key="by nobody", at=NOON)
    used = holds.reserve(user=user, amount=6, key="used", token_id=token.pk, at=NOON)
    freed = holds.reserve(user=user, amount=3, key="freed", token_id=token.pk, at=NOON)
    assert refused(user, 2, token_id=token.pk) == "token_daily"
    with pytest.raises(errors.LimitReached):
        holds.reserve(user=user, amount=2, key="more", token_id=token.pk, at=NOON)
    holds.settle(hold=used.id, amount=4, at=NOON)
    holds.release(hold=freed.id, at=NOON)
    assert refused(user, 7, token_id=token.pk) == "token_daily"
    spend(user, 6, token_id=token.pk)


@EACH_PERIOD
def test_what_comes_back_of_a_tokens_use_may_be_used_again(user: User, token: ServiceToken, kind: str) -> None:
    purses.set_token_limits(token=make_token("rival"), **only(kind, 1))
    purses.set_token_limits(token=token, **only(kind, 10))
    spent = spend(user, 8, token_id=token.pk)
    usage.reverse(spend=spent.id, key="at once", amount=3, at=NOON)
    spend(user, 5, token_id=token.pk)
    assert refused(user, 1, token_id=token.pk) == f"token_{kind}"
    spend(user, 10, MIDNIGHT, token_id=token.pk)
    usage.reverse(spend=spent.id, key="too late", at=MIDNIGHT)
    assert refused(user, 1, MIDNIGHT, token_id=token.pk) == f"token_{kind}"


@EACH_PERIOD
def test_a_tokens_first_limit_counts_what_was_spent_before_it(user: User, token: ServiceToken, kind: str) -> None:
    give(user, 50, unit="TOKEN", at=NOON)
    spend(user, 9, NOON - timedelta(days=31), token_id=token.pk)
    spent = spend(user, 8, token_id=token.pk)
    usage.reverse(spend=spent.id, key="before", amount=2, at=NOON)
    spend(user, 40)
    spend(user, 40, token_id=make_token("rival").pk)
    spend(user, 40, unit="TOKEN", token_id=token.pk)
    purses.set_token_limits(token=token, **only(kind, 10), at=NOON)
    assert refused(user, 5, token_id=token.pk) == f"token_{kind}"
    spend(user, 4, token_id=token.pk)
    usage.reverse(spend=spent.id, key="after", at=NOON)
    spend(user, 6, token_id=token.pk)
    assert refused(user, 1, token_id=token.pk) == f"token_{kind}"
    purses.set_token_limits(token=token, **only(kind, 11), at=NOON)
    spend(user, 1, token_id=token.pk)
    assert refused(user, 1, token_id=token.pk) == f"token_{kind}"


def test_a_tokens_month_counts_its_earlier_days_and_the_day_does_not(user: User, token: ServiceToken) -> None:
    spend(user, 7, NOON - timedelta(days=1), token_id=token.pk)
    spend(user, 2, token_id=token.pk)
    made = purses.set_token_limits(token=token, daily=10, monthly=10, at=NOON)
    assert (made.day_spent, made.month_spent) == (2, 9)
    assert refused(user, 2, token_id=token.pk) == "token_monthly"


def test_what_was_metered_counts_against_no_first_limit(user: User, token: ServiceToken) -> None:
    purses.allow_unlimited(user=user, until=MIDNIGHT)
    spend(user, 7, token_id=token.pk)
    assert purses.set_token_limits(token=token, daily=10, monthly=10, at=NOON).month_spent == 0


@EACH_PERIOD
def test_what_was_not_counted_for_a_token_is_not_taken_off(user: User, token: ServiceToken, kind: str) -> None:
    """As a spend that was under way while the allowance was made."""
    purses.set_token_limits(token=token, **only(kind, 10), at=NOON)
    spent = spend(user, 8, token_id=token.pk)
    Allowance.objects.update(day_spent=3, month_spent=3)
    usage.reverse(spend=spent.id, key="back", at=NOON)
    spend(user, 10, token_id=token.pk)
    assert refused(user, 1, token_id=token.pk) == f"token_{kind}"


# ---------------------------------------------------------------- of the unlimited


def test_fair_use_counts_what_is_used_and_held_in_a_month(user: User) -> None:
    purses.allow_unlimited(user=user, until=NOON + timedelta(days=30), fair_use_per_month=100)
    held = holds.reserve(user=user, amount=30, key="h", at=NOON)
    for amount in (40, 20):
        assert spend(user, amount).cost == 0
    with pytest.raises(errors.FairUseReached) as error:
        spend(user, 11)
    assert vars(error.value) == {"limit": 100, "resets_at": "2026-02-01T00:00:00Z"}
    holds.settle(hold=held.id, amount=10, at=NOON)
    last = spend(user, 30)
    with pytest.raises(errors.FairUseReached):
        spend(user, 1)
    spend(user, 100, MIDNIGHT)
    usage.reverse(spend=last.id, key="too late", at=MIDNIGHT)
    with pytest.raises(errors.FairUseReached):
        spend(user, 1, MIDNIGHT)
    assert checks.faults() == {}


def test_what_was_metered_counts_against_no_limit(user: User) -> None:
    purses.allow_unlimited(user=user, until=MIDNIGHT)
    purses.set_limits(user=user, daily=10, monthly=10)
    spend(user, 500)
    holds.reserve(user=user, amount=500, key="h", at=NOON)
    spend(user, 10, MIDNIGHT)
    assert refused(user, 1, MIDNIGHT) == "daily"


# ---------------------------------------------------------------- of holds that have expired


def expired(user: User, times: int, amount: int, **changes: Any) -> list[Any]:
    """One after the other, so that each is judged while none is open."""
    made = []
    for number in range(times):
        at = NOON + timedelta(seconds=2 * number)
        made.append(holds.reserve(user=user, amount=amount, key=f"late {number}", seconds=1, at=at, **changes).id)
        assert holds.expire_due(at + timedelta(seconds=1)) == 1
    return made


@EACH_PERIOD
def test_expired_holds_are_settled_within_the_limit_of_a_customer(user: User, kind: str) -> None:
    purses.set_limits(user=user, **only(kind, 10))
    first, second = expired(user, 2, 10)
    holds.settle(hold=first, amount=8, at=NOON)
    with pytest.raises(errors.LimitReached) as error:
        holds.settle(hold=second, amount=3, at=NOON)
    assert error.value.kind == kind
    assert Hold.objects.get(pk=second).state == HoldState.EXPIRED
    holds.settle(hold=second, amount=2, at=NOON)
    assert refused(user, 1) == kind
    assert checks.faults() == {}


@EACH_PERIOD
def test_expired_holds_are_settled_within_the_limit_of_a_token(user: User, token: ServiceToken, kind: str) -> None:
    purses.set_token_limits(token=token, **only(kind, 10))
    first, second = expired(user, 2, 10, token_id=token.pk)
    holds.settle(hold=first, amount=8, at=NOON)
    with pytest.raises(errors.LimitReached) as error:
        holds.settle(hold=second, amount=3, at=NOON)
    assert error.value.kind == f"token_{kind}"
    assert Hold.objects.get(pk=second).state == HoldState.EXPIRED
    holds.settle(hold=second, amount=10, at=MIDNIGHT)
    assert refused(user, 1, MIDNIGHT, token_id=token.pk) == f"token_{kind}"


def test_expired_holds_of_the_unlimited_are_settled_within_fair_use(user: User) -> None:
    purses.allow_unlimited(user=user, until=NOON + timedelta(days=30), fair_use_per_month=100)
    first, second = expired(user, 2, 100)
    assert holds.settle(hold=first, amount=80, at=NOON).metered == 80
    with pytest.raises(errors.FairUseReached) as error:
        holds.settle(hold=second, amount=21, at=NOON)
    assert vars(error.value) == {"limit": 100, "resets_at": "2026-02-01T00:00:00Z"}
    assert Hold.objects.get(pk=second).state == HoldState.EXPIRED
    assert holds.settle(hold=second, amount=20, at=NOON).metered == 20


def test_expired_hold_of_somebody_no_longer_unlimited_is_charged(user: User) -> None:
    """While a hold is open its terms are those of its making; after that there is nothing to it but the work."""
    purses.allow_unlimited(user=user, until=MIDNIGHT)
    kept = holds.reserve(user=user, amount=7, key="kept", seconds=86_400, at=NOON).id
    first, second = expired(user, 2, 20)
    purses.set_limits(user=user, daily=25, monthly=None)
    settled = holds.settle(hold=first, amount=20, at=MIDNIGHT)
    assert (settled.cost, settled.metered, settled.available) == (20, 0, 980)
    with pytest.raises(errors.LimitReached):
        holds.settle(hold=second, amount=6, at=MIDNIGHT)
    assert holds.settle(hold=kept, at=MIDNIGHT).metered == 7
    assert checks.faults() == {}
