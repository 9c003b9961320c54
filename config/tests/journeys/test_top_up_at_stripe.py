"""Automatic top-up with Stripe in the sandbox: a card whose bank asks for its owner, and one whose bank does not."""

from billing import tasks
from billing.models import Payment, TopUp, TopUpCharge
from config.tests.journeys.shop import Shop
from config.tests.journeys.subscriber import visit
from events.models import Event
from ledger import checks
from rest.tests.callers import customer, put

ASKS_ALWAYS = "4000002760003184"
TERMS = {
    "pack": "medium",
    "currency": "EUR",
    "threshold": 100,
    "monthly_cap": 5_000,
    "consent": "Buy 250 tokens for 9.99 € whenever fewer than 100 are left.",
}


def test_bank_that_asks_for_the_owner_stops_the_charge_and_another_card_goes_on(shop: Shop, settings) -> None:
    settings.CHECKOUT_SUCCESS_URL = f"{settings.BASE_URL}/"  # where the browser is led back to, and finds a page
    begun = shop.checkout("stripe", "EUR", save_method=True).json()
    page = begun["next_action"]["url"]
    visit(page, number=ASKS_ALWAYS, name="Ada", email="ada@shop.example")
    visit(page.replace("/pages/checkout/", "/pages/challenge/"), act="pay")
    shop.hear("stripe")
    assert shop.balance() == 275
    assert put("top-up", customer(shop.user), TERMS).status_code == 200

    assert shop.post("credits/spend", {"amount": 200}, **{"idempotency-key": "spend-1"}).status_code == 201
    for _ in range(2):
        tasks.top_up()
        shop.hear("stripe")
    assert (shop.balance(), TopUp.objects.get().declines, TopUpCharge.objects.count()) == (75, 1, 1)
    assert list(Payment.objects.order_by("id").values_list("status", flat=True)) == ["succeeded", "failed"]
    assert Event.objects.get(type="payment.failed").data["reason"] == "authentication_required"
    assert len([each for each in shop.sandbox.books("stripe")["payments"] if each["state"] == "paid"]) == 1

    again = shop.checkout("stripe", "EUR", "key-2", save_method=True).json()
    shop.play(again)
    shop.hear("stripe")
    assert (shop.balance(), TopUp.objects.get().declines) == (350, 0)
    shop.post("credits/spend", {"amount": 300}, **{"idempotency-key": "spend-2"})
    tasks.top_up()
    shop.hear("stripe")
    assert (shop.balance(), TopUpCharge.objects.count()) == (325, 2)
    assert checks.faults() == {}
