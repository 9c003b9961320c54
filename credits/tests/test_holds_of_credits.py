"""Holds: reserved is not available, resolved is resolved, and failed work is never charged."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credits import balances, costs, errors, grants, holds, purses, tasks, usage
from credits.models import CostKind, DebtPolicy, Hold, HoldState, Spend
from credits.tests.factories import make_cost
from credits.tests.people import expired_hold, give, make_user
from events.models import Event
from ledger import checks
from ledger import models as ledger

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    user = make_user()
    give(user, 100)
    return user


def test_hold_reserves_and_settle_takes_what_was_used(user: User) -> None:
    held = holds.reserve(user=user, amount=50, key="h", reference="job 1")
    assert (held.amount, held.available) == (50, 50)
    balance = balances.of(user)
    assert (balance.available, balance.held) == (50, 50)
    assert (held.state, held.version) == (balance.state, balance.version)
    spent = holds.settle(hold=held.id, amount=20)
    assert (spent.cost, spent.available) == (20, 80)
    row = Spend.objects.get(pk=spent.id)
    assert (row.amount, row.reference) == (20, "job 1")
    assert (balances.of(user).available, balances.of(user).held) == (80, 0)
    assert checks.faults() == {}


def test_hold_for_an_action_of_unknown_cost_is_of_its_maximum(user: User) -> None:
    costs.forget()
    make_cost(action="video.generate", kind=CostKind.BETWEEN, amount=None, minimum=10, maximum=50)
    held = holds.reserve(user=user, action="video.generate", key="h")
    assert held.amount == 50
    assert holds.settle(hold=held.id, amount=12).available == 88
    assert Spend.objects.get().action == "video.generate"


def test_hold_over_several_grants_settles_the_first_burnt_first(user: User) -> None:
    soon = give(user, 30, expires_at=timezone.now() + timedelta(days=1))
    held = holds.reserve(user=user, amount=50, key="h")
    assert [each.number for each in ledger.Hold.objects.order_by("number")] == [0, 1]
    holds.settle(hold=held.id, amount=35)
    soon.refresh_from_db()
    assert (soon.account.balance, soon.is_open) == (0, False)
    assert balances.of(user).available == 95
    assert checks.faults() == {}


def test_grant_that_a_settlement_does_not_need_is_given_back_whole(user: User) -> None:
    give(user, 30, expires_at=timezone.now() + timedelta(days=1))
    held = holds.reserve(user=user, amount=50, key="h")
    holds.settle(hold=held.id, amount=30)
    rows = ledger.Hold.objects.order_by("number").values_list("state", "settled")
    assert list(rows) == [("settled", 30), ("voided", 0)]
    assert balances.of(user).available == 100
    assert checks.faults() == {}


def test_held_credits_cannot_be_spent_or_held_again(user: User) -> None:
    holds.reserve(user=user, amount=80, key="h")
    acts: tuple[Any, ...] = (usage.spend, holds.reserve)
    for act in acts:
        with pytest.raises(errors.InsufficientCredits) as refused:
            act(user=user, amount=21, key="a")
        assert vars(refused.value) == {"needed": 21, "available": 20, "missing": 1, "unit": "CREDIT"}
    holds.reserve(user=user, amount=20, key="b")
    assert balances.of(user).available == 0


def test_debt_that_is_held_is_not_there_for_another_use() -> None:
    user = make_user()
    purses.set_debt_policy(user=user, policy=DebtPolicy.LIMITED, limit=10)
    held = holds.reserve(user=user, amount=6, key="h")
    with pytest.raises(errors.InsufficientCredits) as refused:
        usage.spend(user=user, amount=5, key="a")
    assert (refused.value.available, refused.value.missing) == (4, 1)
    usage.spend(user=user, amount=4, key="a")
    holds.settle(hold=held.id)
    assert balances.of(user).owed == 10
    assert checks.faults() == {}


def test_answers_count_only_what_can_be_used(user: User) -> None:
    """Beside the hundred there is a grant that is over but not swept, one that is frozen, and one taken back while
    some of it is held. None of them is available, and none counts for what is low."""
    purses.set_low_percent(user=user, percent=50)
    usage.spend(user=user, amount=48, key="most")
    held = holds.reserve(user=user, amount=1, key="h")
    end = timezone.now() + timedelta(hours=1)
    withdrawn, frozen = give(user, 6, priority=-1), give(user, 7)
    give(user, 8, expires_at=end)
    of_withdrawn = holds.reserve(user=user, amount=6, key="h of withdrawn")
    grants.revoke(grant=withdrawn, reason="r")
    grants.freeze(grant=frozen, reason="r")
    for hold in (held, of_withdrawn):
        freed = holds.release(hold=hold.id, at=end)
        assert (freed.available, freed.state) == (52, "ok")
    purses.allow_unlimited(user=user, until=end + timedelta(hours=1))
    metered = usage.spend(user=user, amount=5, key="metered", at=end)
    assert (metered.available, metered.state) == (52, "ok")
    assert balances.of(user, at=end).available == 52


def test_settle_above_the_hold_is_refused(user: User) -> None:
    held = holds.reserve(user=user, amount=50, key="h")
    with pytest.raises(errors.HoldExceeded) as refused:
        holds.settle(hold=held.id, amount=60)
    assert refused.value.held == 50
    assert balances.of(user).held == 50


@pytest.mark.parametrize("second", ["settle", "release"])
@pytest.mark.parametrize("first", ["settle", "release"])
def test_hold_is_resolved_once(user: User, first: str, second: str) -> None:
    acts: dict[str, Any] = {"settle": holds.settle, "release": holds.release}
    held = holds.reserve(user=user, amount=50, key="h")
    acts[first](hold=held.id)
    before = balances.of(user)
    with pytest.raises(errors.HoldResolved) as refused:
        acts[second](hold=held.id)
    assert refused.value.state == {"settle": "settled", "release": "released"}[first]
    assert balances.of(user) == before
    assert checks.faults() == {}


def test_same_key_is_the_same_hold(user: User) -> None:
    first = holds.reserve(user=user, amount=50, key="h")
    again = holds.reserve(user=user, amount=50, key="h")
    assert (again.id, again.is_replay) == (first.id, True)
    with pytest.raises(errors.KeyReused):
        holds.reserve(user=user, amount=51, key="h")
    assert Hold.objects.count() == 1
    other = make_user()
    give(other, 100)
    assert not holds.reserve(user=other, amount=50, key="h").is_replay


def test_anothers_hold_is_not_found(user: User) -> None:
    held = holds.reserve(user=user, amount=50, key="h")
    for act in (holds.settle, holds.release):
        with pytest.raises(errors.NotYours):
            act(hold=held.id, user=make_user())


@pytest.mark.parametrize("seconds", [0, -1, True, 1.5, 10**9])
def test_a_hold_lasts_a_sensible_time(user: User, seconds: Any) -> None:
    with pytest.raises(errors.InvalidUse):
        holds.reserve(user=user, amount=1, key="h", seconds=seconds)


def test_expired_hold_is_swept_and_told(user: User) -> None:
    now = timezone.now()
    held = holds.reserve(user=user, amount=50, key="h", seconds=60, at=now - timedelta(seconds=61))
    later = holds.reserve(user=user, amount=10, key="h2", seconds=60, at=now)
    tasks.expire_holds()
    assert Hold.objects.get(pk=held.id).state == HoldState.EXPIRED
    assert Hold.objects.get(pk=later.id).state == HoldState.OPEN
    assert balances.of(user).available == 90
    assert Event.objects.get(type="hold.expired").data["hold"] == str(held.id)
    with pytest.raises(errors.HoldResolved) as refused:
        holds.release(hold=held.id)
    assert refused.value.state == "expired"


def test_hold_is_over_at_its_last_instant(user: User) -> None:
    now = timezone.now()
    held = holds.reserve(user=user, amount=50, key="h", seconds=60, at=now)
    assert holds.expire_due(held.expires_at - timedelta(microseconds=1)) == 0
    assert holds.expire_due(held.expires_at) == 1


def test_settle_after_expiry_succeeds_if_the_balance_still_allows(user: User) -> None:
    hold = expired_hold(user, 50)
    assert holds.settle(hold=hold, amount=40).available == 60
    assert Hold.objects.get(pk=hold).state == HoldState.SETTLED
    assert checks.faults() == {}


def test_settle_after_expiry_of_somebody_who_spent_it_is_refused_or_owed(user: User) -> None:
    hold = expired_hold(user, 50)
    usage.spend(user=user, amount=90, key="a")
    with pytest.raises(errors.InsufficientCredits):
        holds.settle(hold=hold, amount=40)
    assert Hold.objects.get(pk=hold).state == HoldState.EXPIRED
    purses.set_debt_policy(user=user, policy=DebtPolicy.LIMITED, limit=30)
    holds.settle(hold=hold, amount=40)
    assert balances.of(user).owed == 30
    assert checks.faults() == {}


def test_hold_outlives_the_grant_it_is_on(user: User) -> None:
    now = timezone.now()
    other = make_user()
    give(other, 10, expires_at=now + timedelta(hours=1), at=now)
    held = holds.reserve(user=other, amount=6, key="h", seconds=7200, at=now)
    late = now + timedelta(minutes=61)
    assert grants.expire_due(late) == 1  # only what is free: four
    assert holds.settle(hold=held.id, amount=5, at=late).cost == 5
    assert grants.expire_due(late) == 1  # and the one that the settle gave free
    assert balances.of(other, at=late).available == 0
    assert checks.faults() == {}


def test_what_is_held_counts_against_a_limit(user: User) -> None:
    purses.set_limits(user=user, daily=10, monthly=None)
    held = holds.reserve(user=user, amount=8, key="h")
    with pytest.raises(errors.LimitReached):
        usage.spend(user=user, amount=3, key="a")
    holds.release(hold=held.id)
    usage.spend(user=user, amount=3, key="a")


def test_hold_of_the_unlimited_reserves_nothing_and_settles_metered(user: User) -> None:
    purses.allow_unlimited(user=user, until=timezone.now() + timedelta(days=1), fair_use_per_month=1000)
    held = holds.reserve(user=user, amount=500, key="h")
    assert held.available == 100
    with pytest.raises(errors.FairUseReached):
        holds.reserve(user=user, amount=501, key="h2")
    spent = holds.settle(hold=held.id, amount=400)
    assert (spent.cost, spent.metered, spent.available) == (0, 400, 100)
    assert checks.faults() == {}


def test_unlimited_holds_end_at_their_instant(user: User) -> None:
    end = timezone.now() + timedelta(days=1)
    purses.allow_unlimited(user=user, until=end)
    assert holds.reserve(user=user, amount=3, key="a", at=end - timedelta(microseconds=1)).available == 100
    assert holds.reserve(user=user, amount=3, key="b", at=end).available == 97
