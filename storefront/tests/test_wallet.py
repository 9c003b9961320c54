"""A seller's wallet page: behind a link that ends, what it shows, and what can be done there."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from django.utils.translation import override

from billing.gateways.base import PayoutState
from billing.models import Payout
from ledger.errors import UnknownUnit
from rest.tests.callers import customer, post
from storefront.tests.test_pages import Page
from storefront.wallet import _sentence, why
from wallets import pages, withdrawals
from wallets.errors import WalletsError
from wallets.models import Withdrawal
from wallets.statements import COLUMNS
from wallets.tests.people import ask, available, make_rule, make_user, sell, sell_cleared

pytestmark = pytest.mark.django_db
TO = {"kind": "paypal", "value": "ann@example.com", "operator": ""}


@pytest.fixture
def seller() -> User:
    """100.00 available and 25.00 pending."""
    make_rule(basis_points=0)
    user = make_user()
    sell_cleared(user, 10_000)
    sell(user, 2_500, reference="seat 9")
    return user


@pytest.fixture
def path(seller: User) -> str:
    return pages.link(seller).url.partition("//")[2].partition("/")[2].join(["/", ""])


def read(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def wish(client: Client, path: str, **fields: Any) -> Any:
    known = re.search(r'name="key" value="([^"]+)"', read(client, path))
    assert known is not None
    return client.post(path, {"key": known[1], "currency": "EUR", "amount": "40"} | TO | fields)


def test_api_gives_the_link_and_it_opens_the_page(client: Client, seller: User) -> None:
    told = post("wallets/page", customer(seller))
    assert told.status_code == 201
    text = read(client, told.json()["url"].partition("//")[2].partition("/")[2].join(["/", ""]))
    assert all(shown in text for shown in ("€100.00", "€25.00", "seat 9", "Available soon"))


def test_what_has_cleared_is_called_by_its_sale(client: Client, seller: User, path: str) -> None:
    sell_cleared(seller, 300, reference="seat 12")
    rows = re.findall(r"<tr>(.*?)</tr>", read(client, path), re.DOTALL)
    assert sum("cleared" in row and "order-1" in row for row in rows) == 1
    assert sum("cleared" in row and "seat 9, seat 12" in row for row in rows) == 1


def test_clearing_changes_nothing_in_all_and_says_no_zero(client: Client, path: str) -> None:
    rows = re.findall(r"<tr>(.*?)</tr>", read(client, path), re.DOTALL)
    cleared = next(row for row in rows if "cleared" in row)
    cells = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", cleared, re.DOTALL)]
    assert cells[-2:] == ["\N{EM DASH}", "€100.00"]


def test_page_obeys_the_strict_policy_and_is_not_kept(client: Client, seller: User, path: str) -> None:
    ask(seller, 1_000)
    answer = client.get(path)
    page = Page(answer.content.decode())
    assert (page.inline, page.hosts, page.nameless) == ([], [], [])
    assert (answer["Referrer-Policy"], "no-store" in answer["Cache-Control"]) == ("no-referrer", True)


def test_link_ends_and_cannot_be_made_up(client: Client, path: str) -> None:
    assert client.get("/wallet/1:made-up").status_code == 404
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        assert client.get(path).status_code == 404


def test_seller_asks_for_money(client: Client, seller: User, path: str) -> None:
    assert wish(client, path).status_code == 302
    [made] = Withdrawal.objects.all()
    assert (made.amount_minor, made.destination.value, available(seller)) == (4_000, "ann@example.com", 6_000)
    assert "We check each withdrawal" in read(client, path)


def test_form_that_is_sent_twice_asks_once(client: Client, seller: User, path: str) -> None:
    key = "8c1f0f8e-0a57-4a4e-9f0e-0d8f6a0f8a11"
    for _ in range(2):
        assert wish(client, path, key=key).status_code == 302
    assert available(seller) == 6_000


def test_form_that_is_sent_again_with_another_wish_says_so_and_can_be_sent_as_a_new_one(
    client: Client, seller: User, path: str, settings: Any
) -> None:
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    key = "8c1f0f8e-0a57-4a4e-9f0e-0d8f6a0f8a11"
    assert wish(client, path, key=key).status_code == 302
    answer = wish(client, path, key=key, amount="30")
    text = answer.content.decode()
    assert (answer.status_code, "This form was sent before" in text, available(seller)) == (400, True, 6_000)
    [offered] = re.findall(r'name="key" value="([^"]+)"', text)
    assert wish(client, path, key=offered, amount="30").status_code == 302
    assert available(seller) == 3_000


@pytest.mark.parametrize("refusal", [WalletsError("inner word"), UnknownUnit("inner word")])
def test_refusal_that_the_page_does_not_know_speaks_of_no_amount(refusal: Exception) -> None:
    assert _sentence(refusal).startswith("This cannot be done as your wallet stands, and nothing was moved.")
    with override("fr"):
        assert _sentence(refusal).startswith("Ce n’est pas possible dans l’état de votre portefeuille")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"amount": "100.01"}, "That is more than is available; €0.01 are missing."),
        ({"amount": "1.234"}, "no more decimals than the currency has"),
        ({"amount": "-5"}, "no more decimals than the currency has"),
        ({"value": "nobody"}, "This is no e-mail address."),
        ({"kind": "mobile_money", "value": "12", "operator": "MTN"}, "This is no number"),
        ({"kind": "mobile_money", "value": "+237670000001"}, "Choose the operator of the number."),
        ({"currency": "USD"}, "Select a valid choice"),
    ],
)
def test_refusal_is_a_sentence_and_moves_nothing(client: Client, seller: User, path: str, fields, says) -> None:
    answer = wish(client, path, **fields)
    assert (answer.status_code, says in answer.content.decode()) == (400, True), answer.content.decode()
    assert (Withdrawal.objects.count(), available(seller)) == (0, 10_000)


def test_seller_takes_it_back(client: Client, seller: User, path: str) -> None:
    made = ask(seller, 4_000)
    assert client.post(f"{path}/{made.pk}/cancel").status_code == 302
    assert available(seller) == 10_000


def test_what_was_sent_cannot_be_taken_back(client: Client, seller: User, path: str) -> None:
    made = withdrawals.approve(withdrawal=ask(seller, 4_000), by=make_user())
    withdrawals.mark_sending(withdrawal=made, gateway="paypal")
    answer = client.post(f"{path}/{made.pk}/cancel")
    assert (answer.status_code, "It has moved on already." in answer.content.decode()) == (409, True)
    assert available(seller) == 6_000


def test_withdrawal_of_another_is_not_there(client: Client, path: str) -> None:
    other = make_user()
    sell_cleared(other, 5_000)
    made = ask(other, 4_000)
    assert client.post(f"{path}/{made.pk}/cancel").status_code == 404
    assert Withdrawal.objects.get().status == "requested"


def test_page_says_why_the_money_has_not_arrived(seller: User) -> None:
    made = withdrawals.approve(withdrawal=ask(seller, 4_000), by=make_user())
    said = [why(made)]
    withdrawals.mark_sending(withdrawal=made, gateway="paypal")
    payout = Payout.objects.create(withdrawal=made, gateway="paypal", state=PayoutState.UNCLAIMED)
    said.append(why(Withdrawal.objects.get()))
    withdrawals.mark_paid(withdrawal=made)
    said.append(why(Withdrawal.objects.get()))
    withdrawals.mark_returned(withdrawal=made, reason="paypal: returned")
    said.append(why(Withdrawal.objects.get()))
    assert payout.sends == 0
    assert [text[:18] for text in said] == [
        "It is about to be ",
        "It waits for you a",
        "PayPal has paid it",
        "PayPal sent it bac",
    ]


def test_page_speaks_french(client: Client, path: str) -> None:
    assert "Votre portefeuille" in read(client, path, **{"accept-language": "fr"})


def test_page_leads_to_statements_on_paper(client: Client, path: str) -> None:
    links = [link for link in Page(read(client, path)).links if link.endswith(".pdf")]
    assert len(links) == 3
    answer = client.get(links[0])
    assert (answer["Content-Type"], answer.content[:5]) == ("application/pdf", b"%PDF-")
    assert client.get(f"{path}/EUR/2026-13.pdf").status_code == 404
    assert client.get(f"{path}/USD/2026-11.pdf").status_code == 404


def test_page_leads_to_statements_for_a_spreadsheet(client: Client, path: str) -> None:
    links = [link for link in Page(read(client, path)).links if link.endswith(".csv")]
    assert len(links) == 3
    answer = client.get(links[0])
    assert (answer["Content-Type"], answer["Content-Disposition"][:20]) == (
        "text/csv; charset=utf-8",
        "attachment; filename",
    )
    lines = answer.getvalue().decode().splitlines()
    assert (lines[0], lines[-1].split(",")[1]) == (",".join(COLUMNS), "closing")
    assert client.get(f"{path}/EUR/2026-13.csv").status_code == 404


def test_french_page_writes_its_months_and_its_columns_out(client: Client, path: str) -> None:
    page = read(client, path, **{"accept-language": "fr"})
    assert re.search(r"/20\d\d-\d\d\.pdf\">\w+ 20\d\d</a>", page)
    assert '<label for="id_kind">Destination</label>' in page
