"""Spending: what it takes, what it refuses, and what a key means."""

import pytest
from django.contrib.auth.models import User

from credits import balances, usage
from credits.models import Spend
from credits.tests.people import give, make_user
from ledger import checks

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return make_user()


def test_spend_takes_from_the_grant_and_says_what_is_left(user: User) -> None:
    give(user, 100)
    spent = usage.spend(user=user, amount=30, key="a", reference="job 1", metadata={"size": "big"})
    assert (spent.cost, spent.available, spent.state, spent.is_replay) == (30, 70, "ok", False)
    row = Spend.objects.get(pk=spent.id)
    assert (row.amount, row.reference, row.metadata, row.available_after) == (30, "job 1", {"size": "big"}, 70)
    assert balances.of(user).available == 70
    assert checks.faults() == {}
