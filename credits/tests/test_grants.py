"""Grants: given once, ended in four ways, and only ever by name."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credits import balances, errors, grants, history, holds, purses, tasks, usage
from credits.models import DebtPolicy, Grant, GrantSource
from credits.tests.people import give, make_user
from events.models import Event
from ledger import checks, transfers
from ledger.models import Account, Entry
from ledger.money import Money
from ledger.transfers import Move

pytestmark = pytest.mark.django_db


def test_grant_is_an_account_with_its_amount(user: User) -> None:
    operator = make_user()
    grant = grants.issue(
        user=user,
        amount=100,
        source=GrantSource.PACK,
        key="payment:1",
        paid_minor=999,
        paid_currency="EUR",
        reason="sold",
        by=operator,
    )
    assert (grant.account.name, grant.account.balance, grant.account.guarded) == ("grant:payment:1", 100, True)
    assert (grant.is_promotional, grant.paid_minor, grant.paid_currency, grant.issued_by) == (
        False,
        999,
        "EUR",
        operator,
    )
    assert Event.objects.get().data["amount"] == 100
    assert checks.faults() == {}


@pytest.mark.parametrize(
    ("source", "promotional"),
    [("pack", False), ("plan", False), ("bonus", True), ("promotion", True), ("manual", True), ("referral", True)],
)
def test_what_was_not_paid_for_is_promotional(user: User, source: str, promotional: bool) -> None:
    assert give(user, 1, source=GrantSource(source)).is_promotional is promotional


def test_same_key_gives_once_and_another_grant_under_it_is_refused(user: User) -> None:
    first = give(user, 100, key="payment:1")
    assert give(user, 100, key="payment:1") == first
    changes: tuple[dict[str, Any], ...] = ({"amount": 101}, {"source": GrantSource.BONUS})
    for change in changes:
        with pytest.raises(errors.KeyReused):
            give(user, change.get("amount", 100), source=change.get("source", GrantSource.PACK), key="payment:1")
    with pytest.raises(errors.KeyReused):
        give(make_user(), 100, key="payment:1")
    assert balances.of(user).available == 100


def test_many_are_given_once_in_a_few_statements(django_assert_max_num_queries: Any) -> None:
    users = [make_user() for _ in range(40)]
    rows = [
        grants.NewGrant(user_id=user.pk, amount=5, source=GrantSource.PLAN, key=f"week:34:{user.pk}") for user in users
    ]
    with django_assert_max_num_queries(2):  # the savepoint's; the function is one call beside them
        issued = grants.issue_many(rows)
    assert (issued.made, issued.replayed) == (40, 0)
    more = [grants.NewGrant(user_id=users[0].pk, amount=7, source=GrantSource.PLAN, key="week:35")]
    again = grants.issue_many(rows + more)
    assert (again.made, again.replayed) == (1, 40)
    assert {key: again.grant_ids[key] for key in issued.grant_ids} == issued.grant_ids
    assert [balances.of(user).available for user in users] == [12] + [5] * 39
    assert checks.faults() == {}


def test_one_reused_key_refuses_the_whole_batch(user: User) -> None:
    give(user, 5, key="taken")
    new: dict[str, Any] = {"user_id": user.pk, "source": GrantSource.PACK}
    with pytest.raises(errors.KeyReused):
        grants.issue_many([grants.NewGrant(amount=5, key="new", **new), grants.NewGrant(amount=6, key="taken", **new)])
    with pytest.raises(errors.InvalidUse):
        grants.issue_many([grants.NewGrant(amount=5, key="same", **new)] * 2)
    assert balances.of(user).available == 5


def test_units_of_one_batch_are_kept_apart(user: User) -> None:
    new: dict[str, Any] = {"user_id": user.pk, "source": GrantSource.PACK, "amount": 5}
    grants.issue_many([grants.NewGrant(key="a", **new), grants.NewGrant(key="b", unit="TOKEN", **new)])
    assert (balances.of(user).available, balances.of(user, "TOKEN").available) == (5, 5)


@pytest.mark.parametrize("amount", [0, -1, True, 1.5, 10**15 + 1])
def test_amount_of_a_grant_is_whole_and_positive(user: User, amount: Any) -> None:
    with pytest.raises(errors.InvalidUse):
        give(user, amount)
    assert Grant.objects.count() == 0


# ---------------------------------------------------------------- ends


def test_sweep_books_away_what_is_over_and_nothing_else(user: User) -> None:
    start = timezone.now() - timedelta(days=10)
    over = give(user, 80, source=GrantSource.PLAN, expires_at=start + timedelta(days=7), at=start)
    paid, promotional = give(user, 200), give(user, 50, source=GrantSource.PROMOTION)
    usage.spend(user=user, amount=30, key="a", at=start)
    tasks.expire_grants()
    assert [Grant.objects.get(pk=grant.pk).account.balance for grant in (over, paid, promotional)] == [0, 200, 50]
    event = Event.objects.get(type="credits.expired")
    assert (event.data["amount"], event.data["grant"]) == (-50, str(over.entry_id))
    tasks.expire_grants()
    assert Event.objects.filter(type="credits.expired").count() == 1
    assert checks.faults() == {}


def test_sweep_takes_a_grant_at_its_last_instant(user: User) -> None:
    end = timezone.now() + timedelta(days=1)
    give(user, 5, expires_at=end)
    assert grants.expire_due(end - timedelta(microseconds=1)) == 0
    assert grants.expire_due(end) == 1


def test_what_is_held_of_a_grant_goes_when_its_hold_is_over(user: User) -> None:
    end = timezone.now() + timedelta(days=1)
    withdrawn, over, kept = give(user, 5, priority=-1), give(user, 4, expires_at=end), give(user, 3)
    held = holds.reserve(user=user, amount=9, key="h")
    assert grants.revoke(grant=withdrawn, reason="r") == 0
    assert grants.expire_due(end) == 0
    holds.release(hold=held.id, at=end)
    assert grants.expire_due(end) == 2
    accounts = Grant.objects.order_by("pk").values_list("pk", "account__balance", "is_open")
    assert list(accounts) == [(withdrawn.pk, 0, False), (over.pk, 0, False), (kept.pk, 3, True)]
    kinds = Entry.objects.filter(kind__in=["credits.expiry", "credits.revocation"]).order_by("kind")
    assert list(kinds.values_list("kind", "transfers__amount")) == [("credits.expiry", 4), ("credits.revocation", 5)]
    assert checks.faults() == {}


def test_revoked_grant_is_gone_once(user: User) -> None:
    grant, other = give(user, 10), give(user, 3)
    usage.spend(user=user, amount=4, key="a")
    assert grants.revoke(grant=grant, reason="refunded") == 6
    revoked_at = Grant.objects.get(pk=grant.pk).revoked_at
    assert grants.revoke(grant=grant, reason="refunded") == 0
    assert Grant.objects.get(pk=grant.pk).revoked_at == revoked_at
    assert (balances.of(user).available, Grant.objects.get(pk=other.pk).revoked_at) == (3, None)
    assert Entry.objects.get(kind="credits.revocation").metadata == {"reason": "refunded", "by": None}
    with pytest.raises(errors.GrantClosed):
        grants.freeze(grant=grant, reason="late")
    assert checks.faults() == {}


def test_frozen_grant_is_untouched_until_it_is_free_again(user: User) -> None:
    start = timezone.now()
    grant = give(user, 10, expires_at=start + timedelta(days=2), at=start)
    grants.freeze(grant=grant, reason="disputed", at=start + timedelta(days=1))
    late = start + timedelta(days=5)
    with pytest.raises(errors.InsufficientCredits):
        usage.spend(user=user, amount=1, key="a", at=late)
    assert grants.expire_due(late) == 0
    thawed = grants.unfreeze(grant=grant, reason="won", at=late)
    assert thawed.expires_at == late + timedelta(days=1)
    assert usage.spend(user=user, amount=10, key="a", at=late).available == 0


def test_frozen_grant_that_never_expires_still_never_does(user: User) -> None:
    grant = give(user, 10)
    for _ in range(2):
        grants.freeze(grant=grant, reason="disputed")
    assert balances.of(user).available == 0
    for _ in range(2):
        assert grants.unfreeze(grant=grant, reason="won").expires_at is None
    assert balances.of(user).available == 10
    told = Event.objects.filter(type="credits.adjusted").order_by("id")
    assert [event.data["change"] for event in told] == ["frozen", "unfrozen"]


@pytest.mark.parametrize("key", ["", "k" * 181, "line\n"])
def test_key_of_a_grant_is_a_printable_sentence(user: User, key: str) -> None:
    with pytest.raises(errors.InvalidUse) as refused:
        give(user, 1, key=key)
    assert (refused.value.field, Grant.objects.count()) == ("key", 0)


def test_what_is_over_is_neither_frozen_nor_extended(user: User) -> None:
    end = timezone.now() + timedelta(days=1)
    over, spent = give(user, 10, expires_at=end), give(user, 5, priority=-1, expires_at=end)
    usage.spend(user=user, amount=5, key="a")
    assert grants.expire_due(end) == 1
    for grant in (over, spent):
        with pytest.raises(errors.GrantClosed) as refused:
            grants.extend(grant=grant, expires_at=end + timedelta(days=9), reason="r", at=end - timedelta(hours=1))
        assert refused.value.state == "used up or expired"
        with pytest.raises(errors.GrantClosed) as refused:
            grants.freeze(grant=grant, reason="r", at=end)
        assert refused.value.state == "expired"
    assert not Grant.objects.exclude(expires_at=end, frozen_at=None).exists()
    assert grants.freeze(grant=spent, reason="r", at=end - timedelta(seconds=1)).frozen_at is not None


def test_extend_lengthens_a_living_grant_only(user: User) -> None:
    start = timezone.now()
    grant = give(user, 10, expires_at=start + timedelta(days=2))
    with pytest.raises(errors.InvalidUse):
        grants.extend(grant=grant, expires_at=start + timedelta(days=1), reason="r")
    grants.extend(grant=grant, expires_at=start + timedelta(days=4), reason="r")
    assert usage.spend(user=user, amount=1, key="a", at=start + timedelta(days=3)).available == 9
    with pytest.raises(errors.GrantClosed):
        grants.extend(grant=grant, expires_at=None, reason="r", at=start + timedelta(days=5))


def test_correction_goes_both_ways_once_with_a_reason(user: User) -> None:
    grants.adjust(user=user, amount=10, reason="goodwill", key="k")
    grants.adjust(user=user, amount=-4, reason="mistake", key="k")
    grants.adjust(user=user, amount=-4, reason="mistake", key="k")
    assert balances.of(user).available == 6
    with pytest.raises(errors.InvalidUse):
        grants.adjust(user=user, amount=1, reason=" ", key="k2")
    with pytest.raises(errors.KeyReused):
        grants.adjust(user=user, amount=-5, reason="mistake", key="k")
    with pytest.raises(errors.InsufficientCredits) as refused:
        grants.adjust(user=user, amount=-7, reason="r", key="k3")
    assert vars(refused.value) == {"needed": 7, "available": 6, "missing": 1, "unit": "CREDIT"}
    assert balances.of(user).available == 6
    assert checks.faults() == {}


def test_correction_takes_from_its_own_customer_and_unit(user: User) -> None:
    other = make_user()
    for each, unit in ((other, "CREDIT"), (user, "TOKEN"), (user, "CREDIT")):
        give(each, 10, unit=unit)
    taken = grants.adjust(user=user, amount=-4, reason="mistake", key="k")
    assert isinstance(taken, usage.Reversed)
    assert (taken.amount, taken.available, taken.unit) == (4, 6, "CREDIT")
    assert [balances.of(user).available, balances.of(user, "TOKEN").available] == [6, 10]
    assert balances.of(other).available == 10
    told = Event.objects.get(type="credits.adjusted")
    assert told.data == {"unit": "CREDIT", "amount": -4}


def test_owner_is_warned_once_of_each_expiry(user: User) -> None:
    now = timezone.now()
    give(user, 10, expires_at=now + timedelta(days=3))
    give(user, 20, expires_at=now + timedelta(days=30))
    tasks.warn_of_expiry()
    tasks.warn_of_expiry()
    assert [event.data["amount"] for event in Event.objects.filter(type="credits.expiring")] == [10]


# ---------------------------------------------------------------- history


def test_history_tells_what_changed_in_pages(user: User) -> None:
    give(user, 100)
    spent = usage.spend(user=user, amount=30, key="a", reference="job 1")
    usage.reverse(spend=spent.id, key="r", amount=10)
    told = history.transactions(user=user)
    assert [(each.kind, each.change, each.reference) for each in told] == [
        ("credits.reversal", 10, ""),
        ("credits.spend", -30, "job 1"),
        ("credits.grant", 100, ""),
    ]
    assert told[0].reverses == spent.id
    assert history.transactions(user=user, before=told[0].id, limit=1) == told[1:2]
    assert history.transactions(user=make_user()) == []


def page_by_page(user: User, limit: int) -> list[history.Transaction]:
    pages: list[history.Transaction] = []
    while page := history.transactions(user=user, before=pages[-1].id if pages else None, limit=limit):
        pages += page
    return pages


@pytest.mark.parametrize("limit", [1, 2])
def test_a_page_tells_the_whole_change_of_an_entry_with_several_parts(user: User, limit: int) -> None:
    lot = give(user, 9).account
    revoked = Account.objects.get(name="credits:revoked:CREDIT")
    for number, (source, target) in enumerate([(lot, revoked), (revoked, lot)]):
        parts = [Move(source, target, Money(amount, "CREDIT")) for amount in (1, 2)]
        transfers.post(key=f"by hand {number}", kind="credits.adjustment", moves=parts)
    told = page_by_page(user, limit)
    assert [each.change for each in told] == [3, -3, 9]


@pytest.mark.parametrize("limit", [1, 2])
def test_a_repayment_by_several_grants_changes_nothing_on_the_whole(user: User, limit: int) -> None:
    for _ in range(3):
        give(user, 2)
    held = holds.reserve(user=user, amount=6, key="h")
    purses.set_debt_policy(user=user, policy=DebtPolicy.LIMITED, limit=5)
    usage.spend(user=user, amount=5, key="a")
    holds.release(hold=held.id)
    told = page_by_page(user, limit)
    assert [(each.kind, each.change) for each in told[:2]] == [("credits.repayment", 0), ("credits.spend", -5)]


def test_explain_follows_each_credit_and_sums_to_the_balance(user: User) -> None:
    start = timezone.now() - timedelta(days=9)
    give(user, 10, expires_at=start + timedelta(days=2), at=start)
    give(user, 100, at=start + timedelta(hours=1))
    usage.spend(user=user, amount=4, key="a", at=start + timedelta(days=1))
    grants.expire_due(start + timedelta(days=3))
    explained = history.explain(user=user)
    assert [[(line.change, line.left) for line in lot.lines] for lot in explained.lots] == [
        [(10, 10), (-4, 6), (-6, 0)],
        [(100, 100)],
    ]
    for days, balance in [(0, 10), (0.5, 110), (1, 106), (3, 100)]:
        assert history.explain(user=user, at=start + timedelta(days=days)).balance == balance


def test_forecast_says_when_it_runs_out_and_what_is_lost(user: User) -> None:
    now = timezone.now()
    give(user, 300, at=now - timedelta(days=20))
    usage.spend(user=user, amount=150, key="a", at=now - timedelta(days=5))  # five a day over thirty days
    ending = give(user, 50, expires_at=now + timedelta(days=4), at=now)
    seen = history.forecast(user=user, at=now)
    assert seen.used_per_day == 5.0
    assert seen.lost == {ending.entry_id: 30}
    assert seen.runs_out_at is not None
    assert abs(seen.runs_out_at - (now + timedelta(days=34))) < timedelta(seconds=1)
    assert history.forecast(user=make_user()).runs_out_at is None
