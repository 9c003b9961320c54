"""The pricing page's plans and the customer's own page, as a browser uses them."""

import re
from collections.abc import Iterator

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from billing import subscriptions
from billing.models import Customer, Payment, Subscription
from billing.tests.subscribers import BEGIN, make_plans, pay
from credits import balances, calendar
from credits.tests.factories import make_pack

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(gateways, client: Client) -> Iterator[Client]:
    user = User.objects.create(username="ada")
    Customer.objects.create(user=user, time_zone="Africa/Douala", country="CM")
    with time_machine.travel(BEGIN, tick=False):
        make_plans()
        client.force_login(user)
        yield client


def subscribe(ada: Client, plan: str = "premium") -> str:
    wish = {"plan": plan, "interval": "month", "currency": "EUR"}
    answer = ada.post("/subscribe", wish)
    assert answer.status_code == 200, answer.content
    [url] = re.findall(r'class="button" href="([^"]+)"', answer.content.decode())
    return str(url)


def subscribed(ada: Client, gateways) -> Subscription:
    """By the prepaid gateways: the first fake renews nothing by itself."""
    subscribe(ada)
    pay(gateways["stripe"], Payment.objects.get())
    return Subscription.objects.get()


def press(ada: Client, act: str, **more: str) -> str:
    answer = ada.post(f"/subscription/{act}", {"subscription": str(Subscription.objects.get().pk), **more}, follow=True)
    return str(answer.content.decode())


def test_pricing_shows_plans_with_their_interval_and_a_button_each(ada: Client) -> None:
    page = ada.get("/pricing", {"currency": "EUR"}).content.decode()
    assert re.findall(r'class="price">([^<]+)<small>([^<]+)<', page) == [
        ("€19.99 ", "per month"),
        ("€9.99 ", "per month"),
    ]
    assert "Subscribe: €99.90 per year" in page


def test_subscribing_leads_to_the_gateway_by_a_page_of_ours(ada: Client, gateways) -> None:
    assert subscribe(ada).startswith("https://stripe.example/pay/")
    assert "data-waits" in ada.get("/subscription").content.decode()
    pay(gateways["stripe"], Payment.objects.get())
    calendar.grant_due(at=timezone.now())
    part = ada.get("/subscription", {"part": "1"}).content.decode()
    assert "data-waits" not in part
    assert "<html" not in part
    assert "active" in part


def test_who_left_the_page_unpaid_begins_again(ada: Client) -> None:
    subscribe(ada)
    subscribe(ada, "elite")
    assert sorted(Subscription.objects.values_list("price__plan__code", "status")) == [
        ("elite", "incomplete"),
        ("premium", "cancelled"),
    ]


def test_page_tells_dates_in_the_zone_and_language_of_the_customer(ada: Client, gateways) -> None:
    subscribed(ada, gateways)
    page = ada.get("/subscription", headers={"Accept-Language": "fr"}).content.decode()
    dates = re.findall(r"<time [^>]*>([^<]+)</time> <span>([^<]+)<", page)
    assert len(dates) == 12
    assert dates[:2] == [
        ("2 mars 2026 10:00", "500 crédits, en route"),
        ("9 mars 2026 10:00", "500 crédits"),  # nine o'clock in London is ten in Douala
    ]
    assert "data-waits" in page
    calendar.grant_due(at=timezone.now())
    assert "data-waits" not in ada.get("/subscription").content.decode()


def test_change_is_shown_before_it_is_done(ada: Client, gateways) -> None:
    subscribed(ada, gateways)
    page = press(ada, "change", plan="elite", interval="month")
    assert "You pay <strong>€10.00</strong> now" in page
    assert Payment.objects.count() == 1
    assert "https://stripe.example/pay/" in press(ada, "change", plan="elite", interval="month", confirmed="yes")
    assert Payment.objects.latest("id").amount_minor == 1_000


def test_end_and_going_on_are_a_button_each(ada: Client, gateways) -> None:
    subscribed(ada, gateways)
    page = press(ada, "cancel", confirmed="yes")
    assert "It ends on April 2, 2026, 10 a.m.<" in page  # no second full stop, in the hour of Douala
    assert len(re.findall(r"<time ", page)) == 5  # those that are paid for
    assert Subscription.objects.get().cancel_at_period_end
    assert "Paid until" in press(ada, "resume")
    assert not Subscription.objects.get().cancel_at_period_end


def test_end_is_told_before_it_is_asked_for(ada: Client, gateways) -> None:
    subscribed(ada, gateways)
    page = press(ada, "cancel")
    assert "Until April 2, 2026, 10 a.m. you keep it, and can take this back." in page
    assert "5 dates of new credits that you have paid for still come." in page
    assert "The next €9.99 will not be charged." in page
    assert not Subscription.objects.get().cancel_at_period_end
    french = ada.post(
        "/subscription/cancel",
        {"subscription": str(Subscription.objects.get().pk)},
        headers={"Accept-Language": "fr"},
    ).content.decode()
    assert "Les 9,99\xa0€ suivants ne seront pas prélevés." in french


def test_plan_that_ends_is_followed_by_none(ada: Client, gateways) -> None:
    found = subscribed(ada, gateways)
    Subscription.objects.update(next_price=found.price)
    assert "From then on: Premium." in ada.get("/subscription").content.decode()
    assert "From then on" not in press(ada, "cancel", confirmed="yes")


def test_paused_plan_says_that_it_stands_still_and_is_resumed(ada: Client, gateways) -> None:
    subscriptions.pause(subscription=subscribed(ada, gateways))
    page = ada.get("/subscription").content.decode()
    assert "It stands still" in page
    assert "Paid until" not in page
    assert "Resume the plan" in page
    assert "Paid until" in press(ada, "resume")


@pytest.mark.parametrize("act", ["change", "cancel", "resume", "portal"])
def test_nobody_touches_what_is_of_another(ada: Client, gateways, act: str) -> None:
    subscribed(ada, gateways)
    ada.force_login(User.objects.create(username="eve"))
    answer = ada.post(f"/subscription/{act}", {"subscription": str(Subscription.objects.get().pk), "plan": "elite"})
    assert answer.status_code == 404
    assert not Subscription.objects.get().cancel_at_period_end


def test_second_plan_of_a_catalogue_is_refused_in_words(ada: Client, gateways) -> None:
    subscribed(ada, gateways)
    answer = ada.post("/subscribe", {"plan": "elite", "interval": "month", "currency": "EUR"})
    assert (answer.status_code, Subscription.objects.count()) == (409, 1)
    assert "You have a plan of this product already." in answer.content.decode()


def test_pack_is_bought_on_the_page_of_a_gateway(ada: Client, gateways) -> None:
    make_pack({"EUR": 999}, code="hundred", credits=100)
    assert "Buy: €9.99" in ada.get("/pricing").content.decode()
    answer = ada.post("/buy", {"pack": "hundred", "currency": "EUR"})
    assert answer.status_code == 200
    assert "https://stripe.example/pay/" in answer.content.decode()
    payment = Payment.objects.get()
    assert (payment.item, payment.amount_minor, payment.status) == ("hundred", 999, "pending")
    pay(gateways["stripe"], payment)
    assert balances.of(payment.user).available == 100
    assert "your payment has arrived" in ada.get("/", {"payment": str(payment.pk)}).content.decode()


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"pack": "gone", "currency": "EUR"}, "not for sale any more"),
        ({"pack": "hundred", "currency": "JPY"}, "not for sale in this currency"),
        ({}, "not for sale any more"),
    ],
)
def test_what_cannot_be_bought_is_refused_in_words_of_customers(ada: Client, wish, said) -> None:
    make_pack({"EUR": 999}, code="hundred")
    answer = ada.post("/buy", wish)
    assert (answer.status_code, Payment.objects.count()) == (409, 0)
    [alert] = re.findall(r'role="alert">([^<]+)<', answer.content.decode())
    assert said in alert


def test_visitor_signs_in_first(client: Client, db) -> None:
    assert client.get("/subscription")["Location"] == "/accounts/login/?next=/subscription"
