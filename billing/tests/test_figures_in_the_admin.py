"""The page of figures: who sees it, and what it says."""

import csv
from typing import Any

import pytest

from billing.tests import shop
from billing.tests.refunding import refunded
from billing.tests.subscribers import subscribed
from billing.tests.test_payments_in_the_admin import member
from ledger.money import Money
from rest.tests.operators import browser, signed_in, text

pytestmark = pytest.mark.django_db
PAGE = "/admin/billing/figures/"
MARCH = {"since": "2026-03", "until": "2026-03"}


@pytest.fixture
def march(on_sale, stripe, paypal) -> None:
    """A pack of which a part was given back, one that was not paid, and a plan."""
    payment = shop.buy()
    stripe.pays(fee=Money(45, "EUR"))
    payment = shop.told(payment)
    refunded(payment, 400)
    shop.buy()
    subscribed(paypal)


def cells(said: str) -> list[list[str]]:
    rows = said.split("<tbody>")[1:]
    return [[cell.split("</td>")[0] for cell in row.split('<td class="p-2">')[1:]] for row in rows]


def test_page_shows_the_four_tables(march) -> None:
    earned, by_gateway, buyers, plans = cells(text(browser(member()).get(PAGE, MARCH)))
    assert earned == ["packs", "EUR", "€5.99", "plans", "EUR", "€9.99", "fees of gateways", "EUR", "-€0.45"]
    assert by_gateway[:9] == ["2026-03", "paypal", "1", "€9.99", "€0.00", "€0.00", "€0.00", "€9.99", "0.0 %"]
    assert by_gateway[9:] == ["2026-03", "stripe", "1", "€9.99", "€0.00", "€0.45", "€4.00", "€5.99", "0.0 %"]
    assert buyers == ["EUR", "2", "1", "50.0 %", "2", "€15.98", "€7.99", "1", "1.00"]
    assert plans == ["EUR", "1", "1", "100.0 %", "0", "0", "\N{EN DASH}"]


def test_page_is_in_french_too(march) -> None:
    said = text(browser(member()).get(PAGE, MARCH, headers={"accept-language": "fr"}))
    for words in ("Chiffres", "Qui a acheté", "Qui est resté", "Par mois et passerelle", "50,0 %", "Paiements échoués"):
        assert words in said, words


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("earnings", ["revenue:packs", "EUR", "599"]),
        ("gateways", ["2026-03", "paypal", "EUR", "1", "999", "0", "0", "0", "0", "999", "1", "0"]),
        ("buyers", ["EUR", "2", "1", "2", "1598", "1", "1"]),
        ("plans", ["EUR", "1", "1", "0", "0"]),
    ],
)
def test_each_table_is_a_csv_too(march, name: str, second: list[str]) -> None:
    answer: Any = browser(member()).get(PAGE, MARCH | {"csv": name})
    told = list(csv.reader(b"".join(answer.streaming_content).decode().splitlines()))
    assert (len(told[0]), told[1]) == (len(second), second)
    assert answer["Content-Disposition"] == f'attachment; filename="{name}.csv"'


@pytest.mark.parametrize(("group", "status"), [("finance", 200), ("auditor", 200), ("support", 403)])
def test_finance_and_auditors_see_it_and_support_does_not(group: str, status: int) -> None:
    someone = signed_in(group)
    assert someone.get(PAGE).status_code == status
    assert (PAGE in someone.get("/admin/").content.decode()) == (status == 200)


def test_page_asks_the_same_few_questions_however_much_there_is(march, django_assert_max_num_queries) -> None:
    reader = browser(member())
    reader.get(PAGE, MARCH)
    with django_assert_max_num_queries(12):
        reader.get(PAGE, MARCH)
