"""The mirror and the letters that never came, against the sandbox over HTTP."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from djstripe import models as mirrored

from billing import mirror, missed, tasks
from billing.gateways import registry
from billing.gateways.base import PaymentRef, RefundRequest
from billing.gateways.stripe import Stripe
from billing.gateways.subscribing import PriceRequest, ProductRequest
from billing.management.commands import stripe_backfill
from billing.models import GatewayLetter
from billing.tests.gateways import contenders
from ledger.money import Money
from ledger.tests.races import refuse_every_row
from rest.tests.operators import Console, printed, said
from sandbox.testing import Sandbox

AMOUNT = Money(2_500, "EUR")
NOBODY = "http://127.0.0.1:1/"


@pytest.fixture
def gateway(at_stripe: Stripe, sandbox: Sandbox) -> Stripe:
    """Our own adapter. What the sandbox writes reaches nobody."""
    sandbox.configure("stripe", webhook_url=NOBODY)
    return at_stripe


def bought(sandbox: Sandbox, gateway: Stripe) -> PaymentRef:
    request = contenders.checkout(contenders.CONTENDERS[0])
    opened = gateway.open_checkout(request)
    sandbox.play(contenders.shown(opened.next_action))
    payment = contenders.remembered(request, opened)
    return contenders.learned(payment, gateway.fetch_payment(payment))


def kinds() -> set[str]:
    return set(GatewayLetter.objects.values_list("kind", flat=True))


def test_what_stripe_could_not_bring_is_asked_for_and_stored_once(sandbox: Sandbox, gateway: Stripe) -> None:
    bought(sandbox, gateway)
    tasks.collect_undelivered()
    assert {"checkout.session.completed", "payment_intent.succeeded"} <= kinds()
    before = GatewayLetter.objects.count()
    assert missed.collect() == 0
    assert GatewayLetter.objects.count() == before


def test_a_gateway_that_is_away_stops_no_sweep(sandbox: Sandbox, gateway: Stripe) -> None:
    bought(sandbox, gateway)
    sandbox.turn("stripe", http500_before=1.0)
    assert missed.collect() == 0
    assert GatewayLetter.objects.count() == 0


def test_letters_are_followed_into_the_mirror(sandbox: Sandbox, gateway: Stripe) -> None:
    payment = bought(sandbox, gateway)
    missed.collect()
    tasks.mirror_events()
    assert errors() == {}
    intent = mirrored.PaymentIntent.objects.get()
    assert (intent.id, intent.stripe_data["status"]) == (payment.ids["payment_intent"], "succeeded")
    assert mirrored.Event.objects.count() == GatewayLetter.objects.count()
    assert mirror.work_through() == 0


def test_letters_wait_for_their_mirror_while_stripe_is_not_configured(
    sandbox: Sandbox, gateway: Stripe, settings: Any
) -> None:
    bought(sandbox, gateway)
    missed.collect()
    key, settings.STRIPE_SECRET_KEY = settings.STRIPE_SECRET_KEY, ""
    registry.forget()
    assert mirror.work_through() == 0
    assert set(GatewayLetter.objects.values_list("mirror_tries", flat=True)) == {0}
    settings.STRIPE_SECRET_KEY = key
    registry.forget()
    assert mirror.work_through() == GatewayLetter.objects.count()


def test_refunds_are_mirrored_although_dj_stripe_follows_none(sandbox: Sandbox, gateway: Stripe) -> None:
    payment = bought(sandbox, gateway)
    amount = Money(500, payment.amount.unit)
    gateway.send_refund(RefundRequest(reference=contenders.reference(), payment=payment, amount=amount))
    missed.collect()
    mirror.work_through()
    refund = mirrored.Refund.objects.get()
    assert (refund.amount, refund.currency) == (500, amount.unit.lower())


def test_our_secret_key_never_gets_into_the_database(sandbox: Sandbox, gateway: Stripe) -> None:
    bought(sandbox, gateway)
    missed.collect()
    mirror.work_through()
    assert mirrored.Event.objects.exists()
    assert mirrored.APIKey.objects.count() == 0
    assert mirrored.Account.objects.count() == 1


def test_a_mirror_that_fails_touches_no_letter_and_tries_again(sandbox: Sandbox, gateway: Stripe) -> None:
    bought(sandbox, gateway)
    missed.collect()
    states = dict(GatewayLetter.objects.values_list("pk", "state"))
    sandbox.turn("stripe", http500_before=1.0)
    assert mirror.work_through() == len(states)
    assert len(errors()) == len(states)
    assert mirrored.Event.objects.count() == 0
    assert dict(GatewayLetter.objects.values_list("pk", "state")) == states
    sandbox.turn("stripe", http500_before=0.0)
    assert mirror.work_through() == 0
    GatewayLetter.objects.update(mirror_at=timezone.now())
    assert mirror.work_through() == len(states)
    assert errors() == {}


def test_a_mirror_that_never_works_is_given_up_with_its_reason(
    sandbox: Sandbox, gateway: Stripe, settings: Any
) -> None:
    settings.MIRROR_RETRY_SECONDS = [60]
    bought(sandbox, gateway)
    missed.collect()
    sandbox.turn("stripe", http500_before=1.0)
    for _ in range(2):
        GatewayLetter.objects.update(mirror_at=timezone.now())
        mirror.work_through()
    assert not GatewayLetter.objects.filter(mirror_at__isnull=False).exists()
    assert all("Unavailable" in reason for reason in errors().values())


def test_what_was_deleted_at_stripe_stays_in_the_mirror(sandbox: Sandbox, gateway: Stripe) -> None:
    gateway.put_product(ProductRequest(id="pack_medium", name="Medium"))
    call_command("stripe_backfill", "products", stdout=StringIO())
    gateway.api.products.delete("pack_medium")
    missed.collect()
    mirror.work_through()
    assert "product.deleted" in kinds()
    assert errors() == {}
    assert mirrored.Product.objects.get().id == "pack_medium"


def test_backfill_reads_every_list_and_says_how_far_it_is(sandbox: Sandbox, gateway: Stripe) -> None:
    gateway.put_product(ProductRequest(id="pack_medium", name="Medium"))
    gateway.put_price(PriceRequest(lookup_key="pack_medium_eur", product="pack_medium", amount=Money(999, "EUR")))
    bought(sandbox, gateway)
    lines = printed("stripe_backfill").splitlines()
    # One is of the checkout, made for it alone.
    assert lines[0] == "[....................] products: 2 mirrored, 0 failed"
    assert lines[-1] == "[####################] done"
    assert len(lines) == len(mirror.KINDS) + 1
    assert mirrored.Price.objects.get(product_id="pack_medium").lookup_key == "pack_medium_eur"
    assert (
        mirrored.Charge.objects.get().stripe_data["amount"]
        == mirrored.PaymentIntent.objects.get().stripe_data["amount"]
    )


def test_backfill_of_an_unknown_kind_says_which_there_are(gateway: Stripe) -> None:
    with pytest.raises(CommandError, match=r"Unknown: tables\. There are: products, "):
        call_command("stripe_backfill", "tables")


def backfilled(*arguments: str, console: StringIO | None = None) -> str:
    """What it writes, and last what it refuses."""
    return said("stripe_backfill", *arguments, console=console)


def test_backfill_without_a_key_is_refused(gateway: Stripe, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = ""
    registry.forget()
    assert backfilled("products") == "Stripe is not configured."


def test_backfill_of_a_list_that_stripe_does_not_give_ends_there(sandbox: Sandbox, gateway: Stripe) -> None:
    sandbox.turn("stripe", http500_before=1.0)
    assert backfilled("prices", "products").startswith("Stripe's list of products could not be read: ")


def test_backfill_goes_on_after_what_cannot_be_mirrored_and_counts_it(sandbox: Sandbox, gateway: Stripe) -> None:
    gateway.put_product(ProductRequest(id="pack_medium", name="Medium"))
    refuse_every_row("djstripe_product")
    assert backfilled("products", "coupons").splitlines() == [
        "[....................] products: 0 mirrored, 1 failed",
        "[##########..........] coupons: 0 mirrored, 0 failed",
        "[####################] done",
        "1 objects could not be mirrored; the log says why.",
    ]


@pytest.mark.parametrize(("since", "kept"), [("2000-01-01", 1), ("2100-01-01", 0)])
def test_backfill_reads_what_was_made_from_a_day_on(sandbox: Sandbox, gateway: Stripe, since: str, kept: int) -> None:
    gateway.put_product(ProductRequest(id="pack_medium", name="Medium"))
    assert f"products: {kept} mirrored, 0 failed" in backfilled("products", "--since", since)
    assert mirrored.Product.objects.count() == kept


def test_backfill_since_no_day_is_refused(gateway: Stripe) -> None:
    assert backfilled("products", "--since", "soon") == "soon is no day; write for example 2026-08-31."


def test_backfill_draws_a_bar_in_place_on_a_terminal(
    sandbox: Sandbox, gateway: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_backfill, "EVERY", 2)
    for name in ("small", "medium", "large"):
        gateway.put_product(ProductRequest(id=f"pack_{name}", name=name))
    drawn = backfilled("products", console=Console())
    assert [" ".join(line.split()) for line in drawn.split("\r")] == [
        "",
        "[....................] products",
        "[....................] products 2",
        "[....................] products: 3 mirrored, 0 failed",
        "[####################] done",
    ]
    assert drawn.count("\n") == 2


def errors() -> dict[Any, str]:
    return dict(GatewayLetter.objects.exclude(mirror_error="").values_list("pk", "mirror_error"))
