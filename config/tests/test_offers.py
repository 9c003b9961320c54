"""What a refusal for lack of credits offers: a pack in the currency of the customer's country."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from billing import customers
from credits import balances
from credits.models import Spend
from credits.tests.factories import make_pack, make_price
from credits.tests.people import give, make_user
from rest.tests.callers import customer, post


@pytest.fixture
def ann(db: Any) -> User:
    return make_user()


def test_a_refusal_says_what_is_missing_and_what_to_buy(ann: User, settings: Any) -> None:
    settings.BASE_URL = "https://pay.example.com"
    small, large = make_pack(code="small", credits=50), make_pack(code="large", credits=500, bonus=100)
    for pack, minor in ((small, 3_000), (large, 20_000)):
        make_price(pack=pack, currency="XOF", amount_minor=minor)
    make_price(pack=small, currency="EUR", amount_minor=500)
    customers.change(customers.get(ann), by=ann, country="CI")
    give(ann, 20)
    answer = post("credits/spend", customer(ann), {"amount": 100})
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    told = {name: answer.json()[name] for name in ("needed", "available", "missing", "unit")}
    assert told == {"needed": 100, "available": 20, "missing": 80, "unit": "CREDIT"}
    assert answer.json()["cheapest_pack"] == {
        "code": "large",
        "count": 1,
        "credits": 600,
        "amount": 20_000,
        "currency": "XOF",
    }
    assert answer.json()["checkout_url"] == "https://pay.example.com/pricing?pack=large"
    assert (balances.of(ann).available, Spend.objects.count()) == (20, 0)
