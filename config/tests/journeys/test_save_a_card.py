"""A card is saved without paying, and removed again; seen over HTTP, with Stripe in the sandbox."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone

from billing import saved_methods, subscriptions, tasks
from billing.gateways import registry
from billing.gateways.subscribing import Subscribes, SubscriptionRef
from billing.models import (
    GatewayCustomer,
    GatewayLetter,
    MethodSetup,
    Payment,
    SavedMethod,
    Subscription,
    TopUp,
)
from billing.tests.topping import agree
from config.tests.journeys.shop import Shop
from config.tests.journeys.subscriber import FAILING, GOOD, put_on_sale, visit
from events.models import Event
from ledger import checks
from rest.tests.callers import customer
from rest.tests.operators import text

pytestmark = pytest.mark.usefixtures("at_stripe")


def begin(shop: Shop, key: str = "key-1") -> dict[str, Any]:
    begun = shop.post("payment-methods", {"currency": "EUR"}, **{"idempotency-key": key})
    assert begun.status_code == 201, begun.content
    return dict(begun.json())


def saved(shop: Shop, number: str = GOOD, key: str = "key-1") -> SavedMethod:
    """Given on Stripe's page, and heard of by its letter."""
    begun = begin(shop, key)
    visit(begun["next_action"]["url"], number=number, name="Ada", email="ada@shop.example")
    shop.hear("stripe")
    return SavedMethod.objects.get(pk=shop.get(f"payment-methods/setups/{begun['id']}")["method"])


def remove(shop: Shop, method: SavedMethod) -> Any:
    return shop.browser.delete(f"/api/v1/payment-methods/{method.pk}", headers=customer(shop.user))


def sweep_top_ups() -> None:
    TopUp.objects.update(next_try_at=None)
    tasks.top_up()


def test_card_is_saved_by_its_letter_and_can_be_charged(shop: Shop) -> None:
    method = saved(shop)
    [told] = shop.get("payment-methods")["results"]
    assert (told["id"], told["brand"], told["last4"], told["stops_top_up"]) == (method.pk, "visa", "4242", False)
    assert not Payment.objects.exists()
    agree(shop.user)
    assert shop.get("payment-methods")["results"][0]["stops_top_up"] is True
    tasks.top_up()
    assert (Payment.objects.get().status, shop.balance()) == ("succeeded", 275)
    assert checks.faults() == {}


def test_return_and_letter_that_are_both_lost_are_made_up_for_by_the_sweep(shop: Shop) -> None:
    shop.sandbox.turn("stripe", notify={"drop": 1.0})
    begun = begin(shop)
    shop.play(begun)
    assert shop.get(f"payment-methods/setups/{begun['id']}")["state"] == "open"
    MethodSetup.objects.update(next_ask_at=timezone.now())
    tasks.look_after_methods()
    assert shop.get(f"payment-methods/setups/{begun['id']}")["state"] == "saved"


def test_page_whose_address_was_lost_is_found_by_our_reference(shop: Shop) -> None:
    saved(shop)  # Stripe knows the customer, so that the page is the only call
    shop.sandbox.turn("stripe", drop_after=1.0)
    assert shop.post("payment-methods", **{"idempotency-key": "lost"}).status_code == 503
    shop.sandbox.turn("stripe", drop_after=0.0)
    setup = MethodSetup.objects.get(state="open")
    found = shop.post(f"payment-methods/setups/{setup.pk}/refresh").json()
    shop.play(found)
    assert shop.post(f"payment-methods/setups/{setup.pk}/refresh").json()["state"] == "saved"


def test_page_that_stands_open_is_shown_again_and_ends_unused(shop: Shop) -> None:
    first, second = begin(shop), begin(shop, "key-2")
    assert (first["id"], first["next_action"]) == (second["id"], second["next_action"])
    shop.sandbox.advance(timedelta(hours=25).total_seconds())
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        tasks.look_after_methods()
    told = shop.get(f"payment-methods/setups/{first['id']}")
    assert (told["state"], told["method"]) == ("expired", None)


def test_top_up_that_three_declines_stopped_goes_on_with_another_card(shop: Shop, settings: Any) -> None:
    saved(shop, FAILING)
    agree(shop.user)
    for _ in range(4):
        sweep_top_ups()
    assert (Payment.objects.count(), shop.get("top-up")["suspended"]) == (3, "card_declined")
    [stopped] = Event.objects.filter(type="top_up.suspended")
    page = shop.browser.get(str(stopped.data["mend_url"]).removeprefix(settings.BASE_URL))
    assert "Add another card, and it goes on." in page.content.decode()
    saved(shop, GOOD, "key-2")
    assert shop.get("top-up")["suspended"] is None
    sweep_top_ups()
    assert (Payment.objects.latest("id").status, shop.balance()) == ("succeeded", 275)
    assert checks.faults() == {}


def add_at_stripe(shop: Shop, *, redisplay: str, customer: str = "") -> str:
    """A card that the customer gives on a page of Stripe's own."""
    api: Any = registry.get("stripe").api  # type: ignore[attr-defined]
    owner = customer or GatewayCustomer.objects.get(user=shop.user).gateway_id
    method = api.payment_methods.attach("pm_card_visa", {"customer": owner}).id
    api.payment_methods.update(method, {"allow_redisplay": redisplay})
    shop.hear("stripe")
    return str(method)


@pytest.mark.parametrize("redisplay", ["always", "unspecified"])
def test_top_up_that_waits_for_a_card_goes_on_with_one_that_was_added_in_stripes_portal(
    shop: Shop, settings: Any, redisplay: str
) -> None:
    settings.TOP_UP_MOST_DECLINES = 1
    saved(shop, FAILING)
    agree(shop.user)
    sweep_top_ups()
    sweep_top_ups()
    assert shop.get("top-up")["suspended"] == "card_declined"
    method = add_at_stripe(shop, redisplay=redisplay)
    assert (saved_methods.latest(shop.user).gateway_id, shop.get("top-up")["suspended"]) == (method, None)  # type: ignore[union-attr]
    sweep_top_ups()
    assert (Payment.objects.latest("id").status, shop.balance()) == ("succeeded", 275)
    assert checks.faults() == {}


def test_card_that_was_given_for_a_plan_alone_pays_no_top_up(shop: Shop, settings: Any) -> None:
    settings.TOP_UP_MOST_DECLINES = 1
    saved(shop, FAILING)
    agree(shop.user)
    sweep_top_ups()
    sweep_top_ups()
    subscribed(shop)
    assert GatewayLetter.objects.filter(kind="payment_method.attached", state="ignored").exists()
    assert (SavedMethod.objects.count(), shop.get("top-up")["suspended"]) == (1, "card_declined")


def test_cards_that_nobody_waits_for_are_none_of_ours(shop: Shop) -> None:
    saved(shop)
    agree(shop.user)
    add_at_stripe(shop, redisplay="always")
    api: Any = registry.get("stripe").api  # type: ignore[attr-defined]
    add_at_stripe(shop, redisplay="always", customer=api.customers.create({}).id)
    assert SavedMethod.objects.count() == 1


def test_card_that_hangs_on_nobody_any_more_is_not_kept(shop: Shop, settings: Any) -> None:
    settings.TOP_UP_MOST_DECLINES = 1
    saved(shop, FAILING)
    agree(shop.user)
    sweep_top_ups()
    sweep_top_ups()
    api: Any = registry.get("stripe").api  # type: ignore[attr-defined]
    owner = GatewayCustomer.objects.get(user=shop.user).gateway_id
    api.payment_methods.detach(api.payment_methods.attach("pm_card_visa", {"customer": owner}).id)
    shop.hear("stripe")
    assert (SavedMethod.objects.count(), shop.get("top-up")["suspended"]) == (1, "card_declined")


def test_card_that_is_removed_is_forgotten_there_and_stops_the_top_up(shop: Shop) -> None:
    method = saved(shop)
    agree(shop.user)
    assert remove(shop, method).json() == {"stopped_top_up": True}
    assert shop.get("payment-methods")["results"] == []
    assert shop.get("top-up")["suspended"] == "card_removed"
    [detached] = [each for each in shop.sandbox.requests("stripe") if each["path"].endswith("/detach")]
    assert (method.gateway_id in detached["path"], detached["acted_with_status"]) == (True, 200)
    sweep_top_ups()
    assert not Payment.objects.exists()
    assert remove(shop, method).status_code == 404
    saved(shop, GOOD, "key-2")
    assert shop.get("top-up")["suspended"] is None


def test_removal_that_stripe_did_not_hear_of_is_told_by_the_sweep(shop: Shop) -> None:
    method = saved(shop)
    shop.sandbox.turn("stripe", outage=True)
    assert remove(shop, method).status_code == 200
    shop.sandbox.turn("stripe", outage=False)
    assert SavedMethod.objects.to_forget().count() == 1
    tasks.look_after_methods()
    method.refresh_from_db()
    assert method.forgotten_at is not None


def subscribed(shop: Shop) -> Subscription:
    put_on_sale()
    wish = {"plan": "premium", "currency": "EUR", "gateways": ["stripe"]}
    shop.play(shop.post("subscription", wish, **{"idempotency-key": "start"}).json())
    shop.hear("stripe")
    return Subscription.objects.get()


def test_card_that_pays_a_plan_is_not_removed(shop: Shop) -> None:
    found, adapter = subscribed(shop), registry.get("stripe")
    assert isinstance(adapter, Subscribes)
    paying = adapter.fetch_subscription(SubscriptionRef(reference="", id=str(found.gateway_id))).method
    method = SavedMethod.objects.create(user=shop.user, gateway="stripe", gateway_id=paying)
    answer = remove(shop, method)
    assert (answer.status_code, answer.json()["code"], answer.json()["plan"]) == (409, "method_pays_plan", "premium")
    assert SavedMethod.objects.kept().count() == 1


def test_card_that_pays_no_plan_is_removed_beside_the_one_that_does(shop: Shop) -> None:
    subscribed(shop)
    method = saved(shop)
    assert (remove(shop, method).status_code, SavedMethod.objects.kept().count()) == (200, 0)
    assert Subscription.objects.get().status == "active"


def test_cards_of_others_are_not_there(shop: Shop) -> None:
    begun, method = begin(shop), saved(shop)
    eve = customer(User.objects.create(username="eve"))
    assert shop.browser.get(f"/api/v1/payment-methods/setups/{begun['id']}", headers=eve).status_code == 404
    assert shop.browser.delete(f"/api/v1/payment-methods/{method.pk}", headers=eve).status_code == 404
    assert shop.browser.get("/api/v1/payment-methods", headers=eve).json()["results"] == []
    assert SavedMethod.objects.kept().count() == 1


# ---------------------------------------------------------------- the page


def test_page_adds_a_card_and_says_what_a_removal_stops(shop: Shop, settings: Any) -> None:
    ada = shop.browser
    ada.force_login(shop.user)
    assert "No saved card" in text(ada.get("/payment-methods"))
    [url] = re.findall(r'class="button" href="([^"]+)"', text(ada.post("/payment-methods", {"act": "add"})))
    assert "No card was added." in text(ada.get(f"/payment-methods?left=1&setup={MethodSetup.objects.get().pk}"))
    shop.sandbox.turn("stripe", notify={"drop": 1.0})
    shop.play({"next_action": {"type": "redirect", "url": url}})
    back = text(ada.get(f"/payment-methods?setup={MethodSetup.objects.get().pk}"))
    assert ("Your card is saved." in back, "Visa •••• 4242" in back) == (True, True)
    agree(shop.user)
    form = {"act": "remove", "method": str(SavedMethod.objects.get().pk)}
    asked = text(ada.post("/payment-methods", form))
    assert "The automatic top-up of Pack Medium stops with it." in asked
    assert SavedMethod.objects.kept().exists()
    done = text(ada.post("/payment-methods", form | {"confirmed": "yes"}, follow=True))
    assert "has stopped, since no card is left" in done
    assert not SavedMethod.objects.kept().exists()
    assert "No saved card" in done


@pytest.mark.parametrize(
    ("language", "told", "nothing_else"),
    [
        ("en", "Stripe keeps it and pays the plan with it; we do not see it.", "No other saved card."),
        ("fr", "Stripe la garde et paie la formule avec elle ; nous ne la voyons pas.", "Aucune autre carte"),
    ],
)
def test_page_tells_of_the_card_that_stripe_keeps_for_a_plan(
    shop: Shop, language: str, told: str, nothing_else: str
) -> None:
    subscribed(shop)
    shop.browser.force_login(shop.user)
    page = text(shop.browser.get("/payment-methods", headers={"accept-language": language}))
    assert (told in page, nothing_else in page, "No saved card" in page) == (True, True, False)
    assert 'href="/subscription"' in page
    saved(shop)
    assert nothing_else not in text(shop.browser.get("/payment-methods", headers={"accept-language": language}))


@pytest.mark.parametrize("state", ["active", "ending", "paused"])
def test_card_of_a_plan_is_changed_from_the_page_of_the_plan(shop: Shop, state: str) -> None:
    found = subscribed(shop)
    if state == "ending":
        subscriptions.cancel(subscription=found)
    if state == "paused":
        subscriptions.pause(subscription=found)
    shop.browser.force_login(shop.user)
    assert "Card and payments" in text(shop.browser.get("/subscription"))
    led = text(shop.browser.post("/subscription/portal", {"subscription": str(found.pk)}))
    [url] = re.findall(r'class="button" href="([^"]+)"', led)
    assert url.startswith(f"{shop.sandbox.base('stripe')}/")


def test_link_of_a_letter_opens_the_page_of_its_customer_in_their_language(shop: Shop, settings: Any) -> None:
    saved(shop)
    path = saved_methods.page_url(shop.user).removeprefix(settings.BASE_URL)
    page = shop.browser.get(path)
    assert (page.status_code, page["Referrer-Policy"]) == (200, "no-referrer")
    assert "Visa •••• 4242" in text(page)
    assert shop.browser.get("/payment-methods/forged").status_code == 404
    assert shop.browser.get("/payment-methods")["Location"] == "/accounts/login/?next=/payment-methods"
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        assert shop.browser.get(path).status_code == 404
