"""The shop's figures for a service."""

from typing import Any

import pytest

from billing.tests import shop
from billing.tests.subscribers import subscribed
from rest.tests.callers import customer, get, service

pytestmark = pytest.mark.django_db
MARCH = "payments/report?since=2026-03-01T00:00:00Z&until=2026-04-01T00:00:00Z"


@pytest.fixture
def march(on_sale, stripe, paypal) -> None:
    shop.paid(stripe)
    shop.paid(stripe, currency="XOF")
    subscribed(paypal)


def ask(more: str = "", path: str = MARCH) -> Any:
    return get(path + more, service("view_figures"))


def test_report_tells_gateways_earnings_buyers_and_plans(march) -> None:
    told = ask().json()
    first, second, third = told["gateways"]
    assert first == {
        "month": "2026-03-01", "gateway": "paypal", "currency": "EUR", "paid_count": 1, "paid": 999, "tax": 0,
        "fees": 0, "refunded_count": 0, "refunded": 0, "net": 999, "attempts_paid": 1, "attempts_failed": 0,
    }  # fmt: skip
    assert [(each["gateway"], each["currency"]) for each in (second, third)] == [("stripe", "EUR"), ("stripe", "XOF")]
    assert told["earnings"][0] == {"account": "revenue:packs", "currency": "EUR", "amount": 999}
    assert [each["payers"] for each in told["buyers"]] == [2, 1]
    assert told["plans"] == [{"currency": "EUR", "begun": 1, "converted": 1, "at_start": 0, "lost": 0}]


def test_report_of_a_gateway_or_a_currency(march) -> None:
    assert [each["currency"] for each in ask("&gateway=stripe").json()["gateways"]] == ["EUR", "XOF"]
    francs = ask("&currency=XOF").json()
    assert {each["currency"] for lines in francs.values() for each in lines} == {"XOF"}
    assert francs["plans"] == []


def test_report_needs_the_permission_of_a_service(march) -> None:
    for who in (service("view_payment"), customer(shop.make_user())):
        answer = get(MARCH, who)
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


@pytest.mark.parametrize(
    "period",
    [
        "since=2026-03-01T00:00:00Z",
        "since=2026-03-01T00:00:00Z&until=2026-03-01T00:00:00Z",
        "since=2020-03-01T00:00:00Z&until=2026-03-01T00:00:00Z",
    ],
)
def test_period_that_is_none_or_without_bounds_is_refused(db, period: str) -> None:
    answer = ask(path=f"payments/report?{period}")
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (400, ["until"])
