"""Spending: what it takes and in which order, what it refuses, what a key means, and what comes back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from credits import balances, costs, errors, grants, history, prepared, purses, usage
from credits.asked import Use
from credits.models import CostKind, DebtPolicy, Grant, GrantSource, Spend
from credits.tests.factories import make_cost
from credits.tests.people import give, make_user
from events.models import Event
from ledger import checks
from ledger.models import Entry, Transfer

pytestmark = pytest.mark.django_db


def left(*given: Grant) -> list[int]:
    return list(
        Grant.objects.filter(pk__in=[grant.pk for grant in given])
        .order_by("pk")
        .values_list("account__balance", flat=True)
    )


def nothing_moved(user: User, available: int) -> None:
    assert balances.of(user).available == available
    assert Spend.objects.count() == 0
    assert not Entry.objects.exclude(kind="credits.grant").exists()


def told(user: User) -> list[str]:
    return list(Event.objects.filter(user=user).order_by("id").values_list("type", flat=True))


# ---------------------------------------------------------------- spending


def test_spend_takes_from_the_grant_and_says_what_is_left(user: User) -> None:
    give(user, 100)
    spent = usage.spend(user=user, amount=30, key="a", reference="job 1", metadata={"size": "big"})
    assert (spent.cost, spent.metered, spent.available, spent.state, spent.is_replay) == (30, 0, 70, "ok", False)
    row = Spend.objects.get(pk=spent.id)
    assert (row.amount, row.reference, row.metadata, row.available_after) == (30, "job 1", {"size": "big"}, 70)
    assert row.quantity == 1
    assert balances.of(user).available == 70
    assert checks.faults() == {}


def test_grants_burn_by_priority_then_expiry_then_promotional_then_age(user: User) -> None:
    soon, later = timezone.now() + timedelta(days=1), timezone.now() + timedelta(days=9)
    never = give(user, 10)
    promotional = give(user, 10, is_promotional=True)
    ends_later = give(user, 10, expires_at=later)
    ends_soon = give(user, 10, expires_at=soon)
    first = give(user, 10, priority=-1)
    order = [first, ends_soon, ends_later, promotional, never]
    for number, grant in enumerate(order):
        usage.spend(user=user, amount=10, key=f"spend {number}")
        assert left(grant) == [0]
        assert sum(left(*order)) == 40 - 10 * number


def test_one_spend_over_several_grants_is_one_entry(user: User) -> None:
    given = [give(user, 10), give(user, 10), give(user, 10)]
    spent = usage.spend(user=user, amount=25, key="a")
    assert left(*given) == [0, 0, 5]
    assert list(Transfer.objects.filter(entry_id=spent.id).values_list("number", "amount")) == [
        (0, 10),
        (1, 10),
        (2, 5),
    ]
    assert [grant.is_open for grant in Grant.objects.order_by("pk")] == [False, False, True]


def test_too_little_is_refused_with_what_is_missing_and_nothing_moves(user: User) -> None:
    give(user, 20)
    with pytest.raises(errors.InsufficientCredits) as refused:
        usage.spend(user=user, amount=25, key="a")
    assert vars(refused.value) == {"needed": 25, "available": 20, "missing": 5, "unit": "CREDIT"}
    nothing_moved(user, 20)


def test_refusal_leaves_the_callers_transaction_usable_and_the_key_free(user: User) -> None:
    with transaction.atomic():
        with pytest.raises(errors.InsufficientCredits):
            usage.spend(user=user, amount=5, key="a")
        give(user, 5)
        assert not usage.spend(user=user, amount=5, key="a").is_replay


def test_somebody_without_a_purse_has_nothing(user: User) -> None:
    with pytest.raises(errors.InsufficientCredits):
        usage.spend(user=user, amount=1, key="a")
    assert balances.of(user) == balances.Balance(unit="CREDIT")


def test_units_do_not_mix(user: User) -> None:
    give(user, 5, unit="TOKEN")
    with pytest.raises(errors.InsufficientCredits):
        usage.spend(user=user, amount=1, key="a")
    assert usage.spend(user=user, amount=1, key="b", unit="TOKEN").available == 4


def test_expired_credits_are_not_spent_even_when_the_sweep_is_late(user: User) -> None:
    end = timezone.now() + timedelta(hours=1)
    give(user, 10, expires_at=end)
    assert usage.spend(user=user, amount=1, key="before", at=end - timedelta(microseconds=1)).available == 9
    with pytest.raises(errors.InsufficientCredits):
        usage.spend(user=user, amount=1, key="at", at=end)
    assert balances.of(user, at=end).available == 0


# ---------------------------------------------------------------- keys


def test_same_key_and_wish_is_the_first_answer_again(user: User) -> None:
    give(user, 100)
    first = usage.spend(user=user, amount=30, key="a")
    usage.spend(user=user, amount=1, key="b")
    again = usage.spend(user=user, amount=30, key="a")
    assert (again.id, again.cost, again.available, again.at, again.is_replay) == (
        first.id,
        30,
        70,
        first.at,
        True,
    )
    assert balances.of(user).available == 69


@pytest.mark.parametrize("change", [{"amount": 31}, {"reference": "other"}, {"metadata": {"a": 1}}, {"unit": "TOKEN"}])
def test_same_key_for_another_wish_is_refused(user: User, change: dict[str, Any]) -> None:
    give(user, 100)
    give(user, 100, unit="TOKEN")
    wish: dict[str, Any] = {"user": user, "amount": 30, "key": "a"}
    usage.spend(**wish)
    with pytest.raises(errors.KeyReused):
        usage.spend(**wish | change)
    assert balances.of(user).available == 70


def test_two_customers_may_use_the_same_key(user: User) -> None:
    other = make_user()
    for each in (user, other):
        give(each, 10)
        assert not usage.spend(user=each, amount=1, key="a").is_replay


def test_replay_after_a_change_of_cost_is_still_the_first_answer(user: User) -> None:
    give(user, 100)
    make_cost(action="ai.generate", kind=CostKind.FIXED, amount=5)
    first = usage.spend(user=user, action="ai.generate", key="a")
    make_cost(action="ai.generate", version=2, valid_from=timezone.now(), kind=CostKind.FIXED, amount=9)
    costs.forget()
    assert usage.spend(user=user, action="ai.generate", key="a").cost == first.cost == 5
    assert Spend.objects.get().cost_version == 1
    assert usage.spend(user=user, action="ai.generate", key="b").cost == 9


# ---------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize("amount", [0, -1, True, 1.5, float("nan"), "5", 10**15 + 1, None])
def test_amount_must_be_a_whole_positive_number(user: User, amount: Any) -> None:
    give(user, 10)
    with pytest.raises(errors.InvalidUse) as refused:
        usage.spend(user=user, amount=amount, key="a")
    assert refused.value.field == "amount"
    nothing_moved(user, 10)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", 2),
        ("key", ""),
        ("key", "k" * 256),
        ("key", "a\x00"),
        ("key", "\ud800"),
        ("reference", "r" * 201),
        ("reference", "a\x00"),
        ("metadata", {"a": "\x00"}),
        ("metadata", {"a": "\ud800"}),
        ("metadata", {"a": object()}),
        ("metadata", {"a": "x" * 9_000}),
    ],
)
def test_what_cannot_be_stored_or_makes_no_sense_is_refused_before(user: User, field: str, value: Any) -> None:
    give(user, 10)
    wish: dict[str, Any] = {"user": user, "amount": 1, "key": "a", field: value}
    with pytest.raises(errors.InvalidUse) as refused:
        usage.spend(**wish)
    assert refused.value.field == field
    nothing_moved(user, 10)


def test_unknown_action_names_the_known_ones(user: User) -> None:
    make_cost(action="ai.generate", kind=CostKind.FIXED, amount=5)
    with pytest.raises(errors.UnknownAction) as refused:
        usage.spend(user=user, action="ai.generat", key="a")
    assert refused.value.known_actions == ["ai.generate"]


def test_a_quantity_is_written_down_with_what_it_cost(user: User) -> None:
    give(user, 100)
    make_cost(action="image", kind=CostKind.PER_UNIT, amount=5)
    usage.spend(user=user, action="image", quantity=3, key="a")
    usage.spend_many([usage.Wish(user=user, use=Use(key="b", action="image", quantity=4))])
    assert list(Spend.objects.order_by("pk").values_list("quantity", "amount")) == [(3, 15), (4, 20)]


# ---------------------------------------------------------------- low and empty


def test_low_and_empty_are_told_once_each_on_the_way_down(user: User) -> None:
    give(user, 100)
    states = [usage.spend(user=user, amount=part, key=f"{n}").state for n, part in enumerate([80, 1, 5, 14])]
    assert states == ["ok", "low", "low", "empty"]
    assert told(user) == ["credits.granted", "credits.low", "credits.empty"]
    low = Event.objects.get(user=user, type="credits.low")
    assert low.data == {"unit": "CREDIT", "available": 19, "version": balances.of(user).version - 2}
    give(user, 100)
    assert balances.of(user).state == "ok"
    usage.spend(user=user, amount=100, key="all")
    assert told(user)[3:] == ["credits.granted", "credits.empty"]


def test_low_is_a_part_of_what_the_open_grants_were_bought_for(user: User) -> None:
    purses.set_low_percent(user=user, percent=50)
    give(user, 10, priority=-1)
    give(user, 100)
    assert usage.spend(user=user, amount=10, key="a").state == "ok"  # the small one is closed: 100 of 100
    assert usage.spend(user=user, amount=50, key="b").state == "ok"  # 50 of 100 is not below 50 %
    assert usage.spend(user=user, amount=1, key="c").state == "low"


def test_version_rises_with_each_change(user: User) -> None:
    give(user, 100)
    before = balances.of(user).version
    assert usage.spend(user=user, amount=1, key="a").version == before + 1
    assert usage.spend(user=user, amount=1, key="a").version == before + 1
    assert balances.of(user).version == before + 1


# ---------------------------------------------------------------- debt, limits, unlimited


def test_debt_goes_down_to_its_limit_and_a_new_grant_repays_it_first(user: User) -> None:
    purses.set_debt_policy(user=user, policy=DebtPolicy.LIMITED, limit=10)
    give(user, 5)
    assert usage.spend(user=user, amount=12, key="a").available == 0
    with pytest.raises(errors.InsufficientCredits) as refused:
        usage.spend(user=user, amount=4, key="b")
    assert (refused.value.available, refused.value.missing) == (3, 1)
    assert balances.of(user).owed == 7
    give(user, 3)
    assert (balances.of(user).owed, balances.of(user).available) == (4, 0)
    give(user, 20)
    assert (balances.of(user).owed, balances.of(user).available) == (0, 16)
    assert Entry.objects.filter(kind="credits.repayment").count() == 2
    assert usage.spend(user=user, amount=1, key="c").available == 15
    assert checks.faults() == {}


def test_a_grant_repays_only_what_its_own_customer_owes(user: User) -> None:
    other = make_user()
    for each, amount in ((other, 9), (user, 4)):
        purses.set_debt_policy(user=each, policy=DebtPolicy.LIMITED, limit=10)
        usage.spend(user=each, amount=amount, key="a")
    version = balances.of(other).version
    give(user, 20)
    assert (balances.of(user).owed, balances.of(user).available) == (0, 16)
    assert (balances.of(other).owed, balances.of(other).version) == (9, version)
    assert checks.faults() == {}


def test_debt_without_limit_is_for_those_who_are_invoiced(user: User) -> None:
    purses.set_debt_policy(user=user, policy=DebtPolicy.INVOICE)
    usage.spend(user=user, amount=1_000_000, key="a")
    assert balances.of(user).owed == 1_000_000
    purses.set_debt_policy(user=user, policy=DebtPolicy.FORBID)
    with pytest.raises(errors.InsufficientCredits):
        usage.spend(user=user, amount=1, key="b")
    assert balances.of(user).owed == 1_000_000


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_daily_limit_counts_in_utc_days_and_what_comes_back_counts_again(user: User) -> None:
    give(user, 100, at=NOON)
    purses.set_limits(user=user, daily=10, monthly=None)
    spent = usage.spend(user=user, amount=8, key="a", at=NOON)
    with pytest.raises(errors.LimitReached) as refused:
        usage.spend(user=user, amount=3, key="b", at=NOON)
    assert vars(refused.value) == {"kind": "daily", "limit": 10, "resets_at": "2026-02-01T00:00:00Z"}
    usage.reverse(spend=spent.id, key="r", amount=4, at=NOON)
    usage.spend(user=user, amount=6, key="c", at=NOON)
    usage.spend(user=user, amount=10, key="d", at=NOON + timedelta(hours=12))
    assert checks.faults() == {}


def test_monthly_limit_counts_in_utc_months(user: User) -> None:
    give(user, 100, at=NOON)
    purses.set_limits(user=user, daily=None, monthly=10)
    usage.spend(user=user, amount=10, key="a", at=NOON)
    with pytest.raises(errors.LimitReached) as refused:
        usage.spend(user=user, amount=1, key="b", at=NOON)
    assert (refused.value.kind, refused.value.resets_at) == ("monthly", "2026-02-01T00:00:00Z")
    usage.spend(user=user, amount=10, key="c", at=NOON + timedelta(hours=12))


def test_unlimited_use_is_metered_at_no_cost_up_to_fair_use(user: User) -> None:
    give(user, 10)
    purses.allow_unlimited(user=user, until=timezone.now() + timedelta(days=1), fair_use_per_month=100)
    spent = usage.spend(user=user, amount=90, key="a")
    assert (spent.cost, spent.metered, spent.available) == (0, 90, 10)
    assert balances.of(user).is_unlimited
    with pytest.raises(errors.FairUseReached) as refused:
        usage.spend(user=user, amount=11, key="b")
    assert refused.value.limit == 100
    usage.reverse(spend=spent.id, key="r", amount=1)
    with pytest.raises(errors.SpendExceeded) as exceeded:
        usage.reverse(spend=spent.id, key="r2", amount=90)
    assert exceeded.value.left == 89
    assert usage.spend(user=user, amount=11, key="b").metered == 11
    assert checks.faults() == {}


def test_unlimited_ends_at_its_instant(user: User) -> None:
    give(user, 10)
    end = timezone.now() + timedelta(days=1)
    purses.allow_unlimited(user=user, until=end)
    assert usage.spend(user=user, amount=3, key="a", at=end - timedelta(seconds=1)).cost == 0
    assert usage.spend(user=user, amount=3, key="b", at=end).cost == 3


# ---------------------------------------------------------------- giving back


def test_reversal_goes_back_to_the_same_grants_the_last_taken_first(user: User) -> None:
    emptied = give(user, 3)
    usage.spend(user=user, amount=3, key="before")
    given = [give(user, 10, priority=1), give(user, 10, priority=2)]
    spent = usage.spend(user=user, amount=15, key="a")
    assert usage.reverse(spend=spent.id, key="r1", amount=7).available == 12
    assert left(*given) == [2, 10]
    assert usage.reverse(spend=spent.id, key="r2").amount == 8
    assert left(*given) == [10, 10]
    with pytest.raises(errors.SpendExceeded) as refused:
        usage.reverse(spend=spent.id, key="r3")
    assert refused.value.left == 0
    assert Spend.objects.get(pk=spent.id).reversed_amount == 15
    assert [grant.is_open for grant in Grant.objects.order_by("pk")] == [False, True, True]
    assert left(emptied) == [0]
    assert checks.faults() == {}


def test_reversal_books_once_for_its_key(user: User) -> None:
    give(user, 10)
    spent = usage.spend(user=user, amount=10, key="a")
    first = usage.reverse(spend=spent.id, key="r", amount=4)
    again = usage.reverse(spend=spent.id, key="r", amount=4)
    assert (again.id, again.amount, again.is_replay) == (first.id, 4, True)
    with pytest.raises(errors.KeyReused):
        usage.reverse(spend=spent.id, key="r", amount=5)
    assert balances.of(user).available == 4


def test_what_came_from_an_expired_grant_comes_back_with_the_life_it_had(user: User) -> None:
    start = timezone.now()
    give(user, 10, expires_at=start + timedelta(days=30), is_promotional=True, at=start)
    spent = usage.spend(user=user, amount=6, key="a", at=start + timedelta(days=10))
    later = start + timedelta(days=40)
    assert grants.expire_due(later) == 1
    usage.reverse(spend=spent.id, key="r", at=later)
    fresh = Grant.objects.get(source=GrantSource.REVERSAL)
    assert (fresh.amount, fresh.is_promotional) == (6, True)
    assert fresh.origin is not None
    assert fresh.expires_at is not None
    assert abs(fresh.expires_at - (later + timedelta(days=20))) < timedelta(seconds=1)
    assert balances.of(user, at=later).available == 6
    assert checks.faults() == {}


def test_a_grant_is_over_at_its_last_instant_for_what_comes_back_too(user: User) -> None:
    end = timezone.now() + timedelta(days=1)
    given = give(user, 10, expires_at=end)
    spent = usage.spend(user=user, amount=6, key="a")
    usage.reverse(spend=spent.id, key="before", amount=2, at=end - timedelta(microseconds=1))
    assert left(given) == [6]
    usage.reverse(spend=spent.id, key="at", amount=1, at=end)
    assert (left(given), Grant.objects.get(source=GrantSource.REVERSAL).amount) == ([6], 1)


def test_reborn_credits_live_at_least_some_days(user: User, settings: Any) -> None:
    settings.CREDITS_REVERSAL_LEAST_DAYS = 3
    start = timezone.now()
    grant = give(user, 10, expires_at=start + timedelta(hours=2), at=start)
    spent = usage.spend(user=user, amount=6, key="a", at=start + timedelta(hours=1))
    assert grants.revoke(grant=grant, reason="refunded") == 4
    usage.reverse(spend=spent.id, key="r", at=start + timedelta(days=1))
    fresh = Grant.objects.get(source=GrantSource.REVERSAL)
    assert fresh.expires_at == start + timedelta(days=4)


def test_what_was_owed_does_not_make_expired_credits_live_for_ever(user: User, settings: Any) -> None:
    settings.CREDITS_REVERSAL_LEAST_DAYS = 3
    start = timezone.now()
    purses.set_debt_policy(user=user, policy=DebtPolicy.LIMITED, limit=5)
    lot = give(user, 10, expires_at=start + timedelta(hours=2), is_promotional=True, priority=1, at=start)
    spent = usage.spend(user=user, amount=11, key="a", at=start + timedelta(hours=1))
    give(user, 1, at=start + timedelta(hours=1))  # repays what is owed
    later = start + timedelta(days=1)
    back = usage.reverse(spend=spent.id, key="r", at=later)
    assert (back.amount, back.available) == (11, 11)
    owed, fresh = Grant.objects.filter(source=GrantSource.REVERSAL).order_by("amount")
    assert (owed.amount, owed.expires_at, owed.priority, owed.is_promotional, owed.origin) == (1, None, 0, False, None)
    assert (fresh.amount, fresh.expires_at) == (10, later + timedelta(days=3))
    assert (fresh.priority, fresh.is_promotional, fresh.origin, owed.entry_id) == (1, True, lot, back.id)
    again = usage.reverse(spend=spent.id, key="r", at=later)
    assert (again.id, again.amount, again.is_replay) == (back.id, 11, True)
    told = history.transactions(user=user, limit=2)
    assert {(each.kind, each.change, each.reverses) for each in told} == {
        ("credits.reversal", 1, spent.id),
        ("credits.reversal", 10, spent.id),
    }
    assert checks.faults() == {}


def test_each_grant_that_is_over_comes_back_in_its_own_place(user: User, settings: Any) -> None:
    settings.CREDITS_REVERSAL_LEAST_DAYS = 3
    start = timezone.now()
    gift = give(user, 4, expires_at=start + timedelta(hours=2), is_promotional=True, at=start)
    long = give(user, 4, expires_at=start + timedelta(days=30), priority=1, at=start)
    endless = give(user, 4, priority=2, at=start)
    alive = give(user, 4, priority=3, at=start)
    spent = usage.spend(user=user, amount=14, key="a", at=start)
    grants.revoke(grant=endless, reason="refunded", at=start)
    later = start + timedelta(days=40)
    assert usage.reverse(spend=spent.id, key="r1", amount=5, at=later).amount == 5
    back = usage.reverse(spend=spent.id, key="r2", at=later)
    assert (back.amount, back.available, left(alive)) == (9, 16, [4])
    fresh = Grant.objects.filter(source=GrantSource.REVERSAL).order_by("account")
    facts = fresh.values_list("origin", "amount", "priority", "is_promotional", "expires_at")
    assert [(*each[:4], each[4] and (each[4] - later).days) for each in facts] == [
        (endless.pk, 3, 2, False, None),
        (endless.pk, 1, 2, False, None),
        (long.pk, 4, 1, False, 30),
        (gift.pk, 4, 0, True, 3),
    ]
    replayed = [usage.reverse(spend=spent.id, key=key, amount=amount) for key, amount in (("r1", 5), ("r2", None))]
    assert [each.amount for each in replayed] == [5, 9]
    assert Entry.objects.filter(reverses=spent.id).count() == 4
    assert checks.faults() == {}


def test_a_part_of_what_was_owed_comes_back_alone(user: User) -> None:
    purses.set_debt_policy(user=user, policy=DebtPolicy.LIMITED, limit=5)
    give(user, 10)
    spent = usage.spend(user=user, amount=14, key="a")
    assert usage.reverse(spend=spent.id, key="r1", amount=3).available == 0
    assert balances.of(user).owed == 1
    rest = usage.reverse(spend=spent.id, key="r2")
    assert (rest.amount, rest.available, balances.of(user).owed) == (11, 10, 0)
    assert usage.reverse(spend=spent.id, key="r2").amount == 11
    assert checks.faults() == {}


@pytest.mark.parametrize(("field", "value"), [("key", ""), ("key", "a\x00"), ("amount", 0), ("amount", True)])
def test_what_cannot_be_given_back_is_refused_before(user: User, field: str, value: Any) -> None:
    give(user, 10)
    spent = usage.spend(user=user, amount=6, key="a")
    wish: dict[str, Any] = {"spend": spent.id, "key": "r", field: value}
    with pytest.raises(errors.InvalidUse) as refused:
        usage.reverse(**wish)
    assert (refused.value.field, balances.of(user).available) == (field, 4)


def test_anothers_spend_is_not_found(user: User) -> None:
    give(user, 10)
    spent = usage.spend(user=user, amount=6, key="a")
    with pytest.raises(errors.NotYours):
        usage.reverse(spend=spent.id, key="r", user=make_user())
    assert balances.of(user).available == 4


# ---------------------------------------------------------------- one round trip, and what the database refuses


def test_a_spend_is_one_round_trip(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    give(user, 100)
    usage.spend(user=user, amount=1, key="warm")
    calls: list[str] = []
    real = prepared.one_row

    def counted(raw: Any, sql: str, *rest: Any, **more: Any) -> Any:
        calls.append(sql)
        return real(raw, sql, *rest, **more)

    monkeypatch.setattr(prepared, "one_row", counted)
    with connection.execute_wrapper(lambda *_: pytest.fail("a query beside the function")):
        usage.spend(user=user, amount=1, key="a")
    assert len(calls) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_account SET balance = balance - 1000 WHERE guarded",
        "UPDATE credits_spend SET reversed_amount = amount + 1",
        "UPDATE credits_spend SET amount = -1",
        "UPDATE credits_grant SET amount = 0",
        "UPDATE credits_grant SET source = 'gift'",
        "UPDATE credits_purse SET state = 'rich'",
        "UPDATE credits_purse SET debt_policy = 'limited'",
        "UPDATE credits_hold SET state = 'settled'",
        "UPDATE credits_hold SET settled = 3",
        "UPDATE ledger_transfer SET amount = 1",
        "DELETE FROM ledger_entry",
        "DELETE FROM ledger_entrykey",
        "INSERT INTO credits_purse (user_id, unit) SELECT user_id, unit FROM credits_purse",
        "INSERT INTO events_event (type, user_id) SELECT 'credits.lost', user_id FROM credits_purse",
    ],
)
def test_the_database_refuses_by_itself(user: User, statement: str) -> None:
    from credits import holds

    give(user, 10)
    usage.spend(user=user, amount=2, key="a")
    holds.reserve(user=user, amount=2, key="h")
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert balances.of(user).available == 6
