"""The customer's page of their credits, as a browser uses it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from billing.models import Customer
from billing.tests.shop import buy, paid
from credits import costs, grants, purses, usage
from credits.models import GrantSource
from credits.tests.factories import make_cost, make_pack

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(client: Client) -> User:
    user = User.objects.create(username="ada")
    Customer.objects.create(user=user, time_zone="Africa/Douala", country="CM")
    client.force_login(user)
    return user


def give(user: User, amount: int, **more: Any) -> None:
    known = {"source": GrantSource.MANUAL, "key": f"gift:{amount}"}
    grants.issue(user=user, amount=amount, **known | more)


def page_of(client: Client, language: str = "en", **query: str) -> str:
    answer = client.get("/credits", query, headers={"Accept-Language": language})
    assert answer.status_code == 200
    return str(answer.content.decode())


def cells(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)] for row in rows]


def test_visitor_signs_in_and_comes_back(client: Client) -> None:
    assert client.get("/credits")["Location"] == "/accounts/login/?next=/credits"


def test_every_page_leads_to_it(client: Client) -> None:
    assert '<a href="/credits">Your credits</a>' in client.get("/pricing").content.decode()


def test_who_has_nothing_reads_how_to_get_some(client: Client, ada: User) -> None:
    page = page_of(client)
    assert "You have no credits yet" in page
    assert "data-waits" not in page
    assert "Vous n’avez pas encore de crédits" in page_of(client, "fr")


def test_page_says_what_there_is_and_what_expires_next(client: Client, ada: User) -> None:
    give(ada, 1200)
    give(ada, 50, expires_at=timezone.now() + timedelta(days=3))
    make_pack({"EUR": 999})
    page = page_of(client)
    assert "1,250 credits" in page
    assert 'class="badge ok"' in page
    assert "<span>50 credits</span>" in page
    assert "Buy a pack" in page
    assert "Times of Africa/Douala." in page
    assert "no-store" in client.get("/credits")["Cache-Control"]
    assert "1\u202f250 crédits" in page_of(client, "fr")


def test_state_has_its_colour(client: Client, ada: User) -> None:
    give(ada, 100)
    usage.spend(user=ada, key="most", amount=90)
    assert 'class="badge low">running low' in page_of(client)
    usage.spend(user=ada, key="rest", amount=10)
    assert 'class="badge empty">used up' in page_of(client)


def test_unlimited_customer_reads_no_figure(client: Client, ada: User) -> None:
    purses.allow_unlimited(user=ada, until=timezone.now() + timedelta(days=9))
    assert "Without limit" in page_of(client)


def test_history_is_told_in_words(client: Client, ada: User) -> None:
    make_cost(label_fr="Générer")
    costs.forget()
    give(ada, 100, source=GrantSource.PACK)
    usage.spend(user=ada, key="one", action="ai.generate")
    usage.spend(user=ada, key="two", amount=7, reference="<b>book</b>")
    assert [row[1:] for row in cells(page_of(client))] == [
        ["Used", "&lt;b&gt;book&lt;/b&gt;", "−7"],  # noqa: RUF001
        ["Used", "Generate", "−5"],  # noqa: RUF001
        ["Pack bought", "", "+100"],
    ]
    assert cells(page_of(client, "fr"))[1][1:] == ["Utilisé", "Générer", "−5"]  # noqa: RUF001


def test_history_comes_page_by_page(client: Client, ada: User) -> None:
    for number in range(1, 26):
        give(ada, number)
    first = page_of(client)
    assert [row[3] for row in cells(first)] == [f"+{number}" for number in range(25, 5, -1)]
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    last = client.get(older.replace("&amp;", "&")).content.decode()
    assert [row[3] for row in cells(last)] == [f"+{number}" for number in range(5, 0, -1)]
    assert 'rel="next"' not in last
    assert "Newest" in last


def test_each_unit_has_its_own_page(client: Client, ada: User) -> None:
    give(ada, 5)
    give(ada, 70, unit="TOKEN", key="tokens")
    assert [row[3] for row in cells(page_of(client, unit="TOKEN"))] == ["+70"]
    assert [row[3] for row in cells(page_of(client))] == ["+5"]
    assert client.get("/credits", {"unit": "OTHER"}).status_code == 404
    assert client.get("/credits", {"before": "no id"}).status_code == 404


def test_credits_of_others_stay_theirs(client: Client, ada: User) -> None:
    give(User.objects.create(username="bob"), 777)
    assert "777" not in page_of(client)


def test_page_waits_for_a_pack_that_is_being_paid_and_then_shows_it(client: Client, ada: User, gateways: Any) -> None:
    buy(ada, gateways=["stripe"])
    part = page_of(client, part="1")
    assert "data-waits" in part
    assert "Pack Medium is being paid." in part
    assert "https://stripe.example/pay/" in part
    assert "<html" not in part


def test_returning_buyer_is_led_from_the_payment_to_the_credits(client: Client, ada: User, gateways: Any) -> None:
    payment = paid(gateways["stripe"], ada)
    assert 'href="/credits">See your credits' in client.get("/", {"payment": str(payment.pk)}).content.decode()
    page = page_of(client)
    assert "275 credits" in page
    assert "data-waits" not in page
    assert sorted(row[1:] for row in cells(page)) == [["Bonus of a pack", "", "+25"], ["Pack bought", "", "+250"]]


def test_page_does_not_wait_for_what_was_left_behind(client: Client, ada: User, gateways: Any) -> None:
    buy(ada, gateways=["stripe"])
    paid(gateways["stripe"], ada)
    assert "data-waits" not in page_of(client)
