"""A card is saved for one customer at Stripe, who is known there before its page is opened; seen over HTTP, in the
sandbox."""

from urllib.parse import parse_qs

import pytest

from billing import saved_methods, tasks
from billing.models import GatewayCustomer, Payment, SavedMethod
from billing.tests.topping import agree
from config.tests.journeys.shop import Shop
from config.tests.journeys.subscriber import GOOD, Subscriber, visit
from ledger import checks

pytestmark = pytest.mark.usefixtures("at_stripe")
OTHER = "5555555555554444"


def sent(shop: Shop, path: str) -> list[dict[str, str]]:
    """What was asked of Stripe by this call, each time."""
    asked = [each for each in shop.sandbox.requests("stripe") if (each["method"], each["path"]) == ("POST", path)]
    return [{name: values[0] for name, values in parse_qs(each["body"]).items()} for each in asked]


def give_card(url: str, number: str) -> None:
    visit(url, number=number, name="Ada", email="ada@shop.example")


def add_a_card(shop: Shop) -> None:
    begun = shop.post("payment-methods", {"currency": "EUR"}, **{"idempotency-key": "card"}).json()
    give_card(begun["next_action"]["url"], GOOD)
    shop.hear("stripe")


def use_it_up_and_top_up(shop: Shop) -> Payment:
    agree(shop.user)
    shop.post("credits/spend", {"amount": shop.balance()}, **{"idempotency-key": "all"})
    tasks.top_up()
    return Payment.objects.latest("id")


@pytest.mark.parametrize("flow", ["redirect", "client_secret"])
def test_first_card_is_kept_for_somebody_and_can_be_charged(shop: Shop, flow: str) -> None:
    begun = shop.checkout("stripe", "EUR", save_method=True, flow=flow).json()
    path = "/v1/checkout/sessions" if flow == "redirect" else "/v1/payment_intents"
    [asked] = sent(shop, path)
    known = GatewayCustomer.objects.get().gateway_id
    assert (asked["customer"], "customer_creation" in asked) == (known, False)
    shop.play(begun)
    shop.hear("stripe")
    charged = use_it_up_and_top_up(shop)
    assert (charged.status, shop.balance()) == ("succeeded", 275)
    assert sent(shop, "/v1/payment_intents")[-1]["customer"] == known
    assert checks.faults() == {}


def test_two_pages_that_are_open_at_once_keep_their_cards_for_one_customer(shop: Shop) -> None:
    begun = shop.checkout("stripe", "EUR", save_method=True).json()
    add_a_card(shop)
    give_card(begun["next_action"]["url"], OTHER)
    shop.hear("stripe")
    assert len(sent(shop, "/v1/customers")) == 1
    last = saved_methods.latest(shop.user)
    assert last is not None
    assert (last.last4, SavedMethod.objects.count()) == ("4444", 2)
    assert use_it_up_and_top_up(shop).status == "succeeded"


def test_card_of_another_customer_there_is_not_kept_here(shop: Shop) -> None:
    begun = shop.checkout("stripe", "EUR", save_method=True).json()
    GatewayCustomer.objects.all().delete()  # as if the page were of a version that let Stripe make one
    add_a_card(shop)
    give_card(begun["next_action"]["url"], OTHER)
    shop.hear("stripe")
    assert (Payment.objects.get().status, shop.balance()) == ("succeeded", 275)
    assert [each.last4 for each in SavedMethod.objects.all()] == ["4242"]
    assert use_it_up_and_top_up(shop).status == "succeeded"


def test_payment_that_keeps_no_card_makes_nobody_known(shop: Shop) -> None:
    assert shop.checkout("stripe", "EUR").status_code == 201
    assert (sent(shop, "/v1/customers"), GatewayCustomer.objects.count()) == ([], 0)


def test_lost_answer_about_the_customer_has_opened_nothing_and_is_tried_again(shop: Shop) -> None:
    shop.sandbox.turn("stripe", drop_after=1.0)
    refused = shop.checkout("stripe", "EUR", save_method=True)
    assert (refused.status_code, refused.json()["code"]) == (503, "gateways_down")
    assert (sent(shop, "/v1/checkout/sessions"), Payment.objects.get().status) == ([], "failed")
    shop.sandbox.turn("stripe", drop_after=0.0)
    shop.play(shop.checkout("stripe", "EUR", save_method=True).json())
    shop.hear("stripe")
    assert (shop.balance(), SavedMethod.objects.count()) == (275, 1)


# ---------------------------------------------------------------- plans


def test_plan_begins_with_a_customer_whom_stripe_knows(ada: Subscriber) -> None:
    begun = ada.subscribe()
    [asked] = sent(ada.shop, "/v1/checkout/sessions")
    assert asked["customer"] == GatewayCustomer.objects.get().gateway_id
    ada.shop.play(begun)
    ada.hear()
    assert (ada.seen["status"], len(sent(ada.shop, "/v1/customers"))) == ("active", 1)


def test_plan_of_another_customer_there_is_looked_after_as_theirs(ada: Subscriber) -> None:
    begun = ada.subscribe()
    its_own = GatewayCustomer.objects.get().gateway_id
    GatewayCustomer.objects.all().delete()  # as if the page were of a version that let Stripe make one
    add_a_card(ada.shop)
    assert GatewayCustomer.objects.get().gateway_id != its_own
    ada.shop.play(begun)
    ada.hear()
    assert ada.seen["status"] == "active"
    ada.use_card(OTHER)
    assert ada.change("elite", preview=True)["preview"]["due"] > 0
    told = [*sent(ada.shop, "/v1/billing_portal/sessions"), *sent(ada.shop, "/v1/invoices/create_preview")]
    assert {each["customer"] for each in told} == {its_own}
