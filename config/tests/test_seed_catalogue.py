"""What `seed_catalogue` does when, and what it makes at Stripe, against the sandbox over HTTP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError

from billing import gateway_prices
from billing.gateways import registry
from billing.gateways.stripe import Stripe
from billing.models import GatewayPrice, PlanPrice
from credits import packs
from credits.models import Pack
from rest.tests.operators import printed
from sandbox.testing import Sandbox

SHOP = """
catalogue: shop
title: {en: Shop}
packs:
  small:
    name: {en: Small}
    credits: 100
    prices: {EUR: 4.99, XOF: 3250}
plans:
  gold:
    name: {en: Gold}
    prices:
      month: {EUR: 9.99}
"""
EMPTY = "catalogue: shop\ntitle: {en: Shop}\n"
AT_STRIPE = [
    "shop: + stripe product pack_small: Small",
    "shop: + stripe price pack_small_eur: 4.99 EUR",
    "shop: + stripe price pack_small_xof: 3250 XOF",
    "shop: + stripe product plan_gold: Gold",
    "shop: + stripe price plan:gold:{row}: 9.99 EUR a month",
]
NEW_PLAN = "shop: + plan gold: 9.99 EUR a month"
NEW_PACK = "shop: + pack small: 100 CREDIT for 4.99 EUR, 3250 XOF"


@pytest.fixture
def stripe(sandbox: Sandbox, settings: Any) -> Iterator[Stripe]:
    settings.STRIPE_API_BASE = sandbox.base("stripe")
    registry.forget()
    found = registry.get("stripe")
    assert isinstance(found, Stripe)
    yield found
    registry.forget()


def run(*arguments: str) -> list[str]:
    return printed("seed_catalogue", "shop", *arguments).splitlines()


def at_stripe() -> list[str]:
    return [line.format(row=PlanPrice.objects.get().pk) for line in AT_STRIPE]


def price(stripe: Stripe, key: str) -> tuple[int, str]:
    found = stripe.find_price(key)
    assert found is not None
    return found.amount.minor, found.id


def test_plans_before_tax_are_not_put_at_stripe_without_stripe_tax(
    write: Callable[[str], None], stripe: Stripe, settings: Any
) -> None:
    settings.TAX_SCHEME, settings.TAX_EXCLUSIVE_CATALOGUES = "standard", ["shop"]
    with pytest.raises(CommandError, match=r"Nothing was changed:\nshop\.yaml: .*STRIPE_TAX=true"):
        run("--stripe")
    assert stripe.active_products() == []
    assert Pack.objects.count() == 0
    settings.TAX_SCHEME = "franchise"  # then no tax is due
    assert len(run("--stripe")) == len([NEW_PACK, NEW_PLAN, *AT_STRIPE])


def test_production_only_shows_until_it_is_told(write: Callable[[str], None], settings: Any) -> None:
    settings.PRODUCTION = True
    assert run() == [NEW_PACK, NEW_PLAN, "2 left as they are: --apply or --prune."]
    assert Pack.objects.count() == 0
    assert run("--apply") == [NEW_PACK, NEW_PLAN]
    assert Pack.objects.count() == 1


def test_apply_leaves_on_sale_what_left_the_file_and_prune_does_not(write: Callable[[str], None]) -> None:
    run()
    write(EMPTY)
    gone = ["shop: - pack small: off sale", "shop: - plan gold: off sale; whoever has it keeps it"]
    assert run("--apply") == [*(f"{line} (left as it is)" for line in gone), "2 left as they are: --prune."]
    assert [offer.pack.code for offer in packs.on_sale()] == ["small"]
    assert run("--prune") == gone
    assert packs.on_sale() == []
    assert Pack.objects.count() == 1


def test_only_one_way_may_be_said(write: Callable[[str], None]) -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        run("--check", "--apply")


def test_stripe_gets_products_by_id_and_prices_by_key_once(write: Callable[[str], None], stripe: Stripe) -> None:
    assert run("--stripe") == [NEW_PACK, NEW_PLAN, *at_stripe()]
    assert price(stripe, "pack_small_eur")[0] == 499
    before = stripe.active_products()
    assert run("--stripe") == ["shop: nothing to change"]
    assert stripe.active_products() == before


def test_check_says_what_stripe_lacks_and_moves_nothing_there(
    write: Callable[[str], None], stripe: Stripe, sandbox: Sandbox
) -> None:
    run()
    with pytest.raises(CommandError, match=r"5 differences\."):
        run("--check", "--stripe")
    assert {each["method"] for each in sandbox.requests("stripe")} == {"GET"}
    assert stripe.active_products() == []


def test_changed_price_takes_the_key_over_and_the_old_one_is_archived(
    write: Callable[[str], None], stripe: Stripe
) -> None:
    run("--stripe")
    _, old = price(stripe, "pack_small_eur")
    write(SHOP.replace("4.99", "5.99"))
    expected = ["shop: ~ price of small: 4.99 -> 5.99 EUR", "shop: ~ stripe price pack_small_eur: 4.99 -> 5.99 EUR"]
    assert run("--stripe") == expected
    amount, new = price(stripe, "pack_small_eur")
    assert (amount, new == old) == (599, False)
    assert stripe.api.prices.retrieve(old).active is False
    assert old not in dict(stripe.active_prices(product="pack_small"))


def test_other_words_are_told_and_currencies_that_stripe_does_not_take_are_not(
    write: Callable[[str], None], stripe: Stripe
) -> None:
    run("--stripe")
    write(SHOP.replace("en: Small", "en: Tiny").replace("XOF: 3250", "XOF: 3250, CUP: 120.00"))
    told = run("--stripe")
    assert [line for line in told if "stripe" in line] == ["shop: ~ stripe product pack_small: name"]
    assert {each.id: each.name for each in stripe.active_products()} == {"pack_small": "Tiny", "plan_gold": "Gold"}
    assert stripe.find_price("pack_small_cup") is None
    assert run("--stripe") == ["shop: nothing to change"]


def test_what_left_the_file_is_archived_at_stripe_and_never_deleted(
    write: Callable[[str], None], stripe: Stripe, sandbox: Sandbox
) -> None:
    run("--stripe")
    write(EMPTY)
    assert len(run("--apply", "--stripe")) == 8
    assert len(stripe.active_products()) == 2
    row = PlanPrice.objects.get().pk
    assert set(run("--prune", "--stripe")) == {
        "shop: - pack small: off sale",
        "shop: - plan gold: off sale; whoever has it keeps it",
        f"shop: - stripe price plan:gold:{row}: archived",
        "shop: - stripe price pack_small_eur: archived",
        "shop: - stripe price pack_small_xof: archived",
        "shop: - stripe product pack_small: archived",
        "shop: - stripe product plan_gold: archived",
    }
    assert stripe.active_products() == []
    assert stripe.api.products.retrieve("pack_small").active is False
    assert "DELETE" not in {each["method"] for each in sandbox.requests("stripe")}


def test_products_of_others_are_left_alone(write: Callable[[str], None], stripe: Stripe) -> None:
    stripe.api.products.create({"id": "mug", "name": "Mug"})
    run("--prune", "--stripe")
    assert stripe.api.products.retrieve("mug").active is True


def test_stripe_without_a_key_is_refused_before_anything_is_seeded(
    write: Callable[[str], None], stripe: Stripe, settings: Any
) -> None:
    settings.STRIPE_SECRET_KEY = ""
    registry.forget()
    with pytest.raises(CommandError, match=r"^Stripe is not configured: STRIPE_SECRET_KEY"):
        run("--stripe")
    assert Pack.objects.count() == 0


def test_stripe_that_is_away_is_said_and_the_next_run_goes_on(
    write: Callable[[str], None], stripe: Stripe, sandbox: Sandbox
) -> None:
    sandbox.turn("stripe", http500_before=1.0)
    with pytest.raises(CommandError, match="Run it again"):
        run("--stripe")
    sandbox.turn("stripe", http500_before=0.0)
    assert run("--stripe") == at_stripe()


def test_subscription_sells_the_price_that_the_command_made(write: Callable[[str], None], stripe: Stripe) -> None:
    run("--stripe")
    row = PlanPrice.objects.get()
    made = price(stripe, f"plan:gold:{row.pk}")[1]
    assert gateway_prices.price_at("stripe", row) == made
    assert GatewayPrice.objects.get().gateway_id == made
    assert len(stripe.active_prices(product="plan_gold")) == 1
    assert run("--stripe") == ["shop: nothing to change"]
