"""What several plans of one customer entitle to together: the best of each."""

from typing import Any

import pytest

from billing import entitlements
from billing.tests.subscribers import make_plan, make_user, subscribed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_sale")]


@pytest.mark.parametrize(
    ("one", "other", "limit"),
    [("unlimited", 5, None), (5, "unlimited", None), ("unlimited", "unlimited", None), (3, 5, 5), (5, 3, 5)],
)
def test_no_limit_is_better_than_any_in_either_order(paypal, one: Any, other: Any, limit: int | None) -> None:
    user = make_user()
    for catalogue, value in (("one", one), ("other", other)):
        make_plan(catalogue, {"month": 500}, catalogue=catalogue, entitlements={"places": value})
        subscribed(paypal, user, catalogue)
    assert entitlements.limit(user, "places") == limit
    assert entitlements.has(user, "places")


@pytest.mark.parametrize(("one", "other", "has"), [(True, False, True), (False, True, True), (False, False, False)])
def test_flag_of_one_plan_is_enough(paypal, one: bool, other: bool, has: bool) -> None:
    user = make_user()
    for catalogue, value in (("one", one), ("other", other)):
        make_plan(catalogue, {"month": 500}, catalogue=catalogue, entitlements={"video": value})
        subscribed(paypal, user, catalogue)
    assert entitlements.of(user) == {"video": has}
