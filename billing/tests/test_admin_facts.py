"""What is kept as JSON with payments, payouts and cases, as lines for people."""

from typing import Any

import pytest
from django.utils import translation

from billing.admin import facts
from billing.models import Payment
from billing.models.payments import PaymentKind
from billing.tests import shop

pytestmark = pytest.mark.django_db

TAX = {"category": "S", "basis_points": 2_000, "country": "FR", "minor": 160, "mention": ""}


def lines(currency: str = "EUR", **details: Any) -> list[str]:
    return [str(line) for line in facts.details(Payment(kind=PaymentKind.PACK, currency=currency, details=details))]


def test_what_is_empty_or_named_elsewhere_has_no_line() -> None:
    assert lines(name_en="Medium", name_fr="Moyen", invoice="", period=None) == []


def test_what_has_no_line_of_its_own_is_written_with_its_name() -> None:
    assert lines(of_tomorrow=[1, 2], credits=250) == ["of tomorrow: 1, 2", "credits: 250"]


@pytest.mark.parametrize(("purpose", "said"), [("renew", "another period"), ("of_tomorrow", "of_tomorrow")])
def test_purpose_and_yes_are_words(purpose: str, said: str) -> None:
    told = lines(purpose=purpose, is_over=True)
    assert told == [f"purpose: {said}", "came when the subscription was over: yes"]
    assert lines(is_over=False) == ["came when the subscription was over: no"]


def test_price_that_is_gone_is_its_number() -> None:
    assert lines(price=987_654) == ["price of the catalogue: 987654"]


def test_subscription_is_a_link_to_its_page() -> None:
    [line] = lines(subscription="01a21cd6-74a4-75a9-ad2e-02bbe0f13406")
    assert line.startswith('subscription: <a class="underline" href="/admin/billing/subscription/01a21cd6')


def test_each_sale_names_its_seller_and_what_is_known_of_it() -> None:
    seller = shop.make_user()
    sale = {"seller": seller.pk, "type": "ticket", "reference": "T-1", "description": "", "amount": 1_900}
    assert lines(lines=[sale]) == [f"{seller.get_username()} · ticket · T-1 · €19.00"]


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, "20.00 % · FR · €1.60"),
        ({"is_added": True}, "20.00 % · FR · €1.60 · added to the price"),
        ({"evidence": "profile"}, "20.00 % · FR · by the customer's profile · €1.60"),
        ({"basis_points": 0, "minor": 0, "mention": "Reverse charge"}, "FR · Reverse charge"),
    ],
)
def test_tax_says_its_rate_its_country_and_why(changes: dict[str, Any], end: str) -> None:
    [line] = lines(tax={**TAX, **changes})
    assert line.startswith("tax: ")
    assert line.endswith(f" · {end}")


@pytest.mark.parametrize(("brings", "said"), [(0, "SPRING"), (50, "SPRING · 50 credits")])
def test_coupon_says_what_it_brings(brings: int, said: str) -> None:
    assert lines(coupon={"code": "SPRING", "credits": brings}) == [f"coupon: {said}"]


def test_choice_of_a_gateway_says_who_could_and_why_others_could_not() -> None:
    told = {
        "possible": ["stripe", "paypal"],
        "ruled_out": [
            {"gateway": "cinetpay", "rule": "minimum", "nearest_amounts": [100]},
            {"gateway": "mtn_momo", "rule": "currency", "detail": "EUR"},
            {"gateway": "orange_money", "rule": "of_tomorrow"},
        ],
    }
    assert list(facts.choice(told, "XOF")) == [
        "possible, the best first: stripe, paypal",
        "cinetpay: below its minimum (nearest: F\u202fCFA\u00a0100)",
        "mtn_momo: does not take this currency (EUR)",
        "orange_money: of_tomorrow",
    ]
    assert list(facts.choice({}, "XOF")) == []


def test_what_a_gateway_calls_things_is_listed_also_where_it_is_nested() -> None:
    told: dict[str, Any] = {"id": "O1", "payer": {"name": {"given": "Awa"}, "mail": ""}, "links": [], "fee": None}
    assert list(facts.pairs(told)) == ["id: O1", "payer.name.given: Awa"]


def test_facts_of_a_case_leave_out_what_nobody_knew_and_write_amounts_for_the_reader() -> None:
    told = {"why": "", "said": None, "expected": "9.99 EUR", "is_waiting": True, "of_tomorrow": "x"}
    assert [str(line) for line in facts.of_case(told)] == [
        "expected: €9.99",
        "closes by itself once it has come: yes",
        "of tomorrow: x",
    ]
    with translation.override("fr"):
        assert str(next(facts.of_case({"expected": "9.99 EUR"}))).endswith("9,99\u00a0€")


def test_a_list_of_nothing_is_a_dash() -> None:
    assert facts.listed([]) == "-"
    assert facts.listed(["a & b"]) == '<ul><li class="mb-1">a &amp; b</li></ul>'
