"""What the house adds to the credits' admin: the groups' permissions and the rows of the home page."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from config import home
from credits import holds, purses, usage
from credits.models import DebtPolicy
from credits.tests.people import give, make_user
from rest.tests.operators import signed_in

ROOT = "/admin/credits"


@pytest.fixture
def ann(db: Any) -> User:
    return make_user()


def test_support_gives_and_gives_back_but_takes_nothing(ann: User) -> None:
    grant, support = give(ann, 50), signed_in("support")
    assert support.get(f"{ROOT}/grant/issue/").status_code == 200
    assert support.get(f"{ROOT}/grant/{grant.pk}/extend/").status_code == 200
    assert support.get(f"{ROOT}/grant/{grant.pk}/revoke/").status_code == 403
    assert support.get(f"{ROOT}/purse/{grant.purse_id}/adjust/").status_code == 403


def test_home_names_debtors_and_stuck_holds(root: User, ann: User, client: Client, settings: Any) -> None:
    give(ann, 10)
    assert (home.debtors().total, home.stuck_holds().total) == (0, 0)
    purses.set_debt_policy(user=ann, policy=DebtPolicy.LIMITED, limit=30)
    holds.reserve(user=ann, key="h", amount=3, seconds=60, at=timezone.now() - timedelta(hours=1))
    usage.spend(user=ann, key="s", amount=20)
    assert [(need.label, need.detail) for need in home.debtors().first] == [(ann.username, "-13 CREDIT")]
    assert [need.detail for need in home.stuck_holds().first] == ["3 CREDIT"]
    settings.CREDITS_HOLD_STUCK_SECONDS = 2 * 3_600
    assert home.stuck_holds().total == 0
    told = client.get("/admin/").content.decode()
    assert "Customers in debt" in told
    assert "-13 CREDIT" in told
    assert client.get(f"{ROOT}/purse/?owes=yes").status_code == 200
