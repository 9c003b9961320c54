"""Batches: each spend stands for itself, and those that are booked together end as they would one by one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from credits import balances, errors, holds, purses, usage
from credits.asked import Use
from credits.models import DebtPolicy, Grant, Purse, Spend
from credits.tests import gates
from credits.tests.people import give, make_user
from events.models import Event
from ledger import checks
from ledger.models import Account, Transfer
from rest.models import ServiceToken

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=9)


def test_each_spend_of_a_batch_stands_for_itself(user: User) -> None:
    other = make_user()
    give(user, 10)
    give(other, 5)
    wishes = [
        usage.Wish(user=user, use=Use(key="a", amount=6)),
        usage.Wish(user=user, use=Use(key="b", amount=6)),
        usage.Wish(user=other, use=Use(key="a", amount=5, metadata={"n": [1]})),
        usage.Wish(user=user, use=Use(key="c", action="no.such")),
        usage.Wish(user=user, use=Use(key="a", amount=6)),
        usage.Wish(user=user, use=Use(key="a", amount=7)),
        usage.Wish(user=make_user(), use=Use(key="a", amount=1)),
    ]
    results = usage.spend_many(wishes)
    assert [type(each).__name__ for each in results] == [
        "Spent",
        "InsufficientCredits",
        "Spent",
        "UnknownAction",
        "Spent",
        "KeyReused",
        "InsufficientCredits",
    ]
    replay = results[4]
    assert isinstance(replay, usage.Spent)
    assert replay.is_replay
    assert (balances.of(user).available, balances.of(other).available) == (4, 0)
    assert Spend.objects.get(purse__user=other).metadata == {"n": [1]}
    assert checks.faults() == {}


def test_batch_of_more_than_five_hundred_is_refused(user: User) -> None:
    with pytest.raises(errors.InvalidUse):
        usage.spend_many([usage.Wish(user=user, use=Use(key=str(n), amount=1)) for n in range(501)])
    assert usage.spend_many([]) == []
    give(user, 500)
    assert len(usage.spend_many([usage.Wish(user=user, use=Use(key=str(n), amount=1)) for n in range(500)])) == 500
    assert (balances.of(user).available, set(Spend.objects.values_list("quantity", flat=True))) == (0, {1})


def test_a_batch_counts_against_the_limit_of_its_token(user: User) -> None:
    token = ServiceToken.objects.create(name="shop", prefix="tl_abcdefgh", digest="a" * 64, created_at=NOW)
    purses.set_token_limits(token=token, daily=5, monthly=None)
    give(user, 100)
    wishes = [usage.Wish(user=user, use=Use(key=f"{n}", amount=3)) for n in range(2)]
    first, second = usage.spend_many(wishes, token_id=token.pk)
    assert isinstance(first, usage.Spent)
    assert isinstance(second, errors.LimitReached)


def test_a_batch_knows_one_unit_from_another(user: User) -> None:
    give(user, 5)
    give(user, 50, unit="POINT")
    uses = [Use(key=f"{unit} {n}", amount=2, unit=unit) for n in range(2) for unit in ("CREDIT", "POINT")]
    answers = usage.spend_many([usage.Wish(user=user, use=use) for use in uses])
    assert [told(each)[2] for each in answers] == [3, 48, 1, 46]
    assert checks.faults() == {}


# ---------------------------------------------------------------- together and one by one


def nothing_else(user: User) -> None:
    pass


def hold_all_of_the_first(user: User) -> None:
    give(user, 4, at=NOW, expires_at=LATER)
    holds.reserve(user=user, amount=4, key="held", at=NOW)


def hold_some(user: User) -> None:
    holds.reserve(user=user, amount=95, key="held", at=NOW)


def hold_some_of_the_second(user: User) -> None:
    holds.reserve(user=user, amount=30, key="held", at=NOW)
    give(user, 20, at=NOW, expires_at=LATER)


def hold_all_of_the_second(user: User) -> None:
    holds.reserve(user=user, amount=100, key="held", at=NOW)
    give(user, 20, at=NOW, expires_at=LATER)
    give(user, 50, at=NOW, priority=1)


def owe(user: User) -> None:
    purses.set_debt_policy(user=user, policy=DebtPolicy.LIMITED, limit=1_000)


def expire_what_comes_first(user: User) -> None:
    give(user, 50, at=NOW - timedelta(days=3), expires_at=NOW - timedelta(seconds=1))


def come_first(user: User) -> None:
    give(user, 50, at=NOW, expires_at=LATER)


def come_first_by_priority(user: User) -> None:
    give(user, 20, at=NOW, priority=-1)
    give(user, 50, at=NOW, expires_at=LATER)


def promise_before_paid(user: User) -> None:
    give(user, 30, at=NOW, is_promotional=True)


def limit_the_day(user: User) -> None:
    purses.set_limits(user=user, daily=25, monthly=None)


def limit_the_month(user: User) -> None:
    purses.set_limits(user=user, daily=None, monthly=25)


def be_unlimited(user: User) -> None:
    purses.allow_unlimited(user=user, until=LATER, fair_use_per_month=None)


def have_been_unlimited(user: User) -> None:
    purses.allow_unlimited(user=user, until=NOW - timedelta(days=1), fair_use_per_month=None)


def have_been_metered(user: User) -> None:
    purses.allow_unlimited(user=user, until=LATER, fair_use_per_month=None)
    usage.spend(user=user, amount=7, key="before", at=NOW - timedelta(minutes=1))
    have_been_unlimited(user)


def be_told_early(user: User) -> None:
    purses.set_low_percent(user=user, percent=90)


def have_spent_today(user: User) -> None:
    usage.spend(user=user, amount=3, key="before", at=NOW - timedelta(minutes=1))


def have_spent_last_month(user: User) -> None:
    usage.spend(user=user, amount=3, key="before", at=NOW - timedelta(days=2))


def have_used_the_key(user: User) -> None:
    usage.spend(user=user, amount=20, key="0", reference="r0", metadata={"n": 0}, at=NOW - timedelta(minutes=1))


KINDS: list[Callable[[User], None]] = [
    nothing_else,
    hold_all_of_the_first,
    hold_some,
    hold_some_of_the_second,
    hold_all_of_the_second,
    owe,
    expire_what_comes_first,
    come_first,
    come_first_by_priority,
    promise_before_paid,
    limit_the_day,
    limit_the_month,
    be_unlimited,
    have_been_unlimited,
    have_been_metered,
    be_told_early,
    have_spent_today,
    have_spent_last_month,
    have_used_the_key,
]
BATCHES = [
    [20, 30],
    [30, 70],
    [4, 96, 1],
    [90, 9, 1],  # told when it is low, and when it is empty
    [25, 1, 40],
    [100, 1],
    [101, 1],
]


def standing(user: User) -> dict[str, Any]:
    """All that a spend writes, without what no two customers share."""
    purse = Purse.objects.filter(user=user).values().get()
    spends = Spend.objects.filter(purse__user=user).order_by("reference")  # those of one instant have no other order
    lots = Grant.objects.of(user).order_by("account_id")
    return {
        "purse": {name: value for name, value in purse.items() if name not in ("id", "user_id", "debt_account_id")},
        "lots": list(lots.values_list("is_open", "account__balance", "account__held")),
        "owed": Account.objects.filter(pk=purse["debt_account_id"]).values_list("balance", flat=True).first(),
        "spends": list(
            spends.values_list(
                "amount", "metered", "quantity", "action", "available_after", "reference", "metadata", "entry__kind"
            )
        ),
        "transfers": list(
            Transfer.objects.filter(entry__spend__purse__user=user)
            .order_by("entry__spend__reference", "number")
            .values_list("source__grant__priority", "number", "amount", "target__name")
        ),
        "news": list(
            Event.objects.filter(user=user).order_by("id").values_list("type", "data__available", "data__version")
        ),
    }


def told(answer: usage.Outcome) -> Any:
    if isinstance(answer, usage.Spent):
        return (
            answer.cost,
            answer.metered,
            answer.available,
            answer.state,
            answer.version,
            answer.is_replay,
            answer.unit,
        )
    return type(answer).__name__, {name: value for name, value in vars(answer).items() if name != "key"}


def alone(user: User, use: Use) -> usage.Outcome:
    try:
        return usage.spend(
            user=user,
            key=use.key,
            amount=use.amount,
            reference=use.reference,
            metadata=dict(use.metadata or {}),
            at=NOW,
        )
    except errors.CreditsError as refused:
        return refused


def test_a_batch_ends_as_its_spends_would_one_by_one() -> None:
    def customer(prepare: Callable[[User], None]) -> User:
        user = make_user()
        give(user, 100, at=NOW - timedelta(days=4))
        prepare(user)
        return user

    def uses(amounts: list[int]) -> list[Use]:
        return [
            Use(key=f"{n}", amount=amount, reference=f"r{n}", metadata={"n": n}) for n, amount in enumerate(amounts)
        ]

    cases = [(customer(kind), customer(kind), kind, batch) for kind in KINDS for batch in BATCHES]
    wishes = [usage.Wish(user=mine, use=use) for mine, _, _, batch in cases for use in uses(batch)]
    answers = [told(answer) for answer in usage.spend_many(wishes, at=NOW)]
    for mine, theirs, kind, batch in cases:
        name = f"{kind.__name__} {batch}"
        ours, answers = answers[: len(batch)], answers[len(batch) :]
        assert (name, ours) == (name, [told(alone(theirs, use)) for use in uses(batch)])
        assert (name, standing(mine)) == (name, standing(theirs))
    assert checks.faults() == {}


def test_spends_on_both_sides_of_midnight_count_in_their_own_day_and_month() -> None:
    user = make_user()
    give(user, 100, at=NOW - timedelta(days=4))
    midnight = NOW.replace(hour=0)
    usage.spend(user=user, key="before", amount=5, at=midnight - timedelta(hours=1))
    every_20_seconds = (
        "batch.sql",
        "credits_spend_line",
        "credits_entry_id(p_at)",
        f"uuidv7('{midnight}'::timestamptz + (ordered.place * 20 - 30) * interval '1 second' - clock_timestamp())",
    )
    with gates.variant(every_20_seconds):
        usage.spend_many([usage.Wish(user=user, use=Use(key=f"{n}", amount=n)) for n in (1, 10, 20)], at=NOW)
    purse = Purse.objects.get(user=user)
    assert (purse.day, purse.day_spent) == (midnight.date(), 30)
    assert (purse.month, purse.month_spent) == (midnight.date(), 30)
    assert checks.faults() == {}


def test_spends_of_one_customer_are_booked_together() -> None:
    """By one statement, which is what makes a batch cheap: the function for one spend is not even called."""
    users = [make_user() for _ in range(2)]
    for user, amount in zip(users, (10, 20), strict=True):
        give(user, amount)
    wishes = [usage.Wish(user=user, use=Use(key=f"{n}", amount=3)) for n in range(3) for user in users]
    broken = (
        "spend.sql",
        "credits_spend",
        "IF p_token IS NOT NULL THEN",
        "RAISE 'one by one'; IF p_token IS NOT NULL THEN",
    )
    with gates.variant(broken):
        results = usage.spend_many(wishes)
    assert [told(each)[:3] for each in results] == [(3, 0, left) for left in (7, 17, 4, 14, 1, 11)]
    assert checks.faults() == {}
