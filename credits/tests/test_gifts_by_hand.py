"""Gifts of operators: what one of them may give a customer alone holds for every button, and against rivals."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from credits import balances, by_hand, calendar, corrections, errors, grants, purses
from credits.calendar import Terms
from credits.models import Every, Grant, GrantPeriod, GrantSource
from credits.tests.people import give, make_user
from ledger.tests.races import meeting_of, run_all


@pytest.fixture(autouse=True)
def a_hundred_alone(settings: Any) -> None:
    settings.CREDITS_ISSUE_ALONE = 100


def make_operator(*permissions: str) -> User:
    made = make_user()
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return made


def period_of(user: User, amount: int) -> GrantPeriod:
    calendar.open_schedule(
        user=user, reference="subscription:1", rules=[Terms(code="weekly", amount=amount, every=Every.WEEK)],
        anchor=timezone.now() - timedelta(days=1), time_zone="UTC", paid_until=timezone.now() + timedelta(days=7),
    )  # fmt: skip
    calendar.grant_due()
    return GrantPeriod.objects.get(number=0)


def gift(to: User, by: User | None, key: str, amount: int = 60, unit: str = "CREDIT") -> Grant:
    return by_hand.give(user=to, amount=amount, source=GrantSource.MANUAL, key=key, unit=unit, reason="sorry", by=by)


@pytest.mark.django_db
def test_periods_given_again_count_with_all_other_gifts() -> None:
    ann, olive = make_user(), make_operator()
    period = period_of(ann, 60)
    corrections.grant_again(period=period, reason="our fault", key="a", by=olive)
    with pytest.raises(errors.IssueTooLarge):
        corrections.grant_again(period=period, reason="our fault", key="b", by=olive)
    with pytest.raises(errors.IssueTooLarge):
        gift(ann, olive, "c")
    assert balances.of(ann).available == 120
    corrections.grant_again(period=period, reason="our fault", key="d", by=make_operator("adjust_credits"))
    assert balances.of(ann).available == 180


@pytest.mark.django_db
def test_what_is_sent_twice_is_no_second_gift() -> None:
    ann, olive = make_user(), make_operator()
    made = gift(ann, olive, "a", 100)
    assert gift(ann, olive, "a", 100) == made
    assert balances.of(ann).available == 100


@pytest.mark.django_db
def test_others_and_other_days_and_other_units_do_not_count() -> None:
    ann, olive = make_user(), make_operator()
    give(ann, 100, by=olive, at=timezone.now() - timedelta(days=1, seconds=1))
    gift(ann, make_operator(), "a", 100)
    gift(ann, olive, "b", 100, unit="TOKEN")
    gift(make_user(), olive, "c", 100)
    gift(ann, olive, "d", 100)
    gift(ann, None, "e", 101)
    assert balances.of(ann).available == 401
    with pytest.raises(errors.IssueTooLarge):
        gift(ann, olive, "f", 1)


def _two_gifts_at_once() -> Counter[str]:
    ann, olive = make_user(), make_operator()
    purses.open(ann)  # to make one is to wait for a rival who does

    def give_with(key: str) -> str:
        try:
            gift(ann, User.objects.get(pk=olive.pk), key)
        except errors.IssueTooLarge:
            return "refused"
        return "given"

    return Counter(run_all([lambda key=key: give_with(key) for key in "ab"]))  # type: ignore[misc]


@pytest.mark.django_db(transaction=True)
def test_two_gifts_at_once_are_no_more_than_one_may_give() -> None:
    assert _two_gifts_at_once() == {"given": 1, "refused": 1}


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_both_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the test above proves nothing."""
    meet, issue = meeting_of(2), grants.issue

    def issue_late(**facts: Any) -> Grant:
        meet()
        return issue(**facts)

    monkeypatch.setattr(purses, "lock", purses.open)
    monkeypatch.setattr(grants, "issue", issue_late)
    assert _two_gifts_at_once() == {"given": 2}
