from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from credits import costs, packs
from credits.models import Cost, GrantRule, Pack, PackPrice
from credits.tests.factories import make_cost, make_pack
from ledger.money import Money
from rest.tests.operators import printed

pytestmark = pytest.mark.django_db

SHOP = """\
catalogue: shop
title: {en: Shop, fr: Boutique}
packs:
  small:
    name: {en: Small, fr: Petit}
    credits: 100
    prices: {EUR: 4.99, XOF: 3250}
  large:
    name: {en: Large}
    credits: 600
    bonus: 100
    prices: {EUR: 19.99}
costs:
  photo:
    label: {en: Photo}
    fixed: 5
    real_cost: 0.04 EUR
  level:
    label: {en: Level}
    between: [10, 50]
grant_rules:
  weekly:
    amount: 500
    every: week
    expires_after_days: 30
"""


@pytest.fixture
def write(tmp_path: Path, settings: Any) -> Callable[..., None]:
    """Writes a catalogue of the shop, with replacements."""
    settings.CATALOGUES_DIR = tmp_path

    def write(*replacements: tuple[str, str], name: str = "shop", text: str = SHOP) -> None:
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    return write


def run(*arguments: str) -> list[str]:
    return printed("seed_catalogue", *arguments).splitlines()


def check_fails(*arguments: str) -> list[str]:
    out = StringIO()
    with pytest.raises(CommandError, match="difference"):
        call_command("seed_catalogue", *arguments, "--check", stdout=out)
    return out.getvalue().splitlines()


def rows() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Pack, PackPrice, Cost, GrantRule))


def test_first_run_makes_everything_and_the_second_nothing(write: Callable[..., None]) -> None:
    write()
    assert run("shop") == [
        "shop: + pack small: 100 CREDIT for 4.99 EUR, 3250 XOF",
        "shop: + pack large: 600 + 100 CREDIT for 19.99 EUR",
        "shop: + cost of photo: fixed 5 CREDIT",
        "shop: + cost of level: between 10 and 50 CREDIT",
        "shop: + grant rule weekly: 500 CREDIT every week",
    ]
    before = rows()
    assert run("shop") == ["shop: nothing to change"]
    assert rows() == before == (2, 3, 2, 1)


def test_rows_say_what_the_file_says(write: Callable[..., None]) -> None:
    write()
    run("--all")
    large = packs.find("large")
    assert (large.catalogue, large.name_en, large.credits, large.bonus, large.position) == (
        "shop",
        "Large",
        600,
        100,
        2,
    )
    assert packs.current_price(packs.find("small"), "XOF").amount_minor == 3250
    photo = costs.find("photo")
    assert (photo.amount, photo.real_cost_micros, photo.real_cost_currency) == (5, 40_000, "EUR")
    assert costs.ceiling(costs.find("level")) == Money(50, "CREDIT")
    weekly = GrantRule.objects.get()
    assert (weekly.amount, weekly.every, weekly.expires_after_days, weekly.catch_up) == (500, "week", 30, "all")


def test_check_prints_the_difference_changes_nothing_and_fails(write: Callable[..., None]) -> None:
    write()
    assert len(check_fails("shop")) == 5
    assert rows() == (0, 0, 0, 0)
    run("shop")
    assert run("shop", "--check") == ["shop: nothing to change"]


def test_new_price_and_cost_are_new_versions_from_now_on(write: Callable[..., None]) -> None:
    write()
    run("shop")
    first = packs.current_price(packs.find("small"), "EUR")
    write(("EUR: 4.99", "EUR: 5.99"), ("fixed: 5", "fixed: 6"), ("0.04 EUR", "0.05 EUR"))
    expected = [
        "shop: ~ price of small: 4.99 -> 5.99 EUR",
        "shop: ~ cost of photo: amount 5 -> 6, real_cost_micros 40000 -> 50000",
    ]
    assert check_fails("shop") == expected
    assert run("shop") == expected
    assert run("shop") == ["shop: nothing to change"]
    costs.forget()
    now = packs.current_price(packs.find("small"), "EUR")
    assert (now.amount_minor, packs.current_price(packs.find("small"), "EUR", at=first.valid_from)) == (599, first)
    assert [(cost.version, cost.amount) for cost in Cost.objects.filter(action="photo")] == [(2, 6), (1, 5)]


def test_what_left_the_file_goes_off_sale_and_stays_in_the_database(write: Callable[..., None]) -> None:
    write()
    run("shop")
    write(text="catalogue: shop\ntitle: {en: Shop}\n")
    assert run("shop") == [
        "shop: - pack small: off sale",
        "shop: - pack large: off sale",
        "shop: - cost of level: no longer offered",
        "shop: - cost of photo: no longer offered",
        "shop: - grant rule weekly: no longer active",
    ]
    assert packs.on_sale() == []
    costs.forget()
    assert costs.current() == []
    assert rows() == (2, 3, 4, 1)
    assert run("shop") == ["shop: nothing to change"]


def test_what_comes_back_is_on_sale_again(write: Callable[..., None]) -> None:
    write()
    run("shop")
    write(text="catalogue: shop\ntitle: {en: Shop}\n")
    run("shop")
    write()
    assert "shop: ~ pack small: is_active False -> True" in run("shop")
    assert [offer.pack.code for offer in packs.on_sale()] == ["small", "large"]
    costs.forget()
    assert [(cost.action, cost.version) for cost in costs.current()] == [("level", 3), ("photo", 3)]


def test_currency_that_left_the_file_is_no_longer_sold_in(write: Callable[..., None]) -> None:
    write()
    run("shop")
    write((", XOF: 3250", ""))
    assert run("shop") == ["shop: - price of small: no longer in XOF"]
    assert packs.on_sale(currency="XOF") == []
    assert run("shop") == ["shop: nothing to change"]
    write()
    assert run("shop") == ["shop: + price of small: 3250 XOF"]


def test_pack_itself_is_updated_in_place(write: Callable[..., None]) -> None:
    write()
    run("shop")
    write(("credits: 100", "credits: 120"), ("fr: Petit", "fr: Mini"))
    assert run("shop") == ["shop: ~ pack small: name_fr Petit -> Mini, credits 100 -> 120"]
    assert packs.find("small").credits == 120


def test_amount_no_gateway_takes_is_refused_before_anything_is_written(write: Callable[..., None]) -> None:
    write(("XOF: 3250", "XOF: 999"))
    with pytest.raises(CommandError, match=r"shop.yaml:7: packs.small.prices.XOF: 999 XOF .* write 995 or 1000"):
        run("shop")
    assert rows() == (0, 0, 0, 0)


def test_mistake_in_one_file_keeps_all_from_being_seeded(write: Callable[..., None]) -> None:
    write()
    write(name="stall", text="catalogue: stall\ntitle: {en: Stall}\npacks: {small: {}}\n")
    with pytest.raises(CommandError, match=r"stall\.yaml"):
        run("--all")
    assert rows() == (0, 0, 0, 0)


def test_code_of_another_file_is_refused_even_when_only_one_is_seeded(write: Callable[..., None]) -> None:
    write()
    write(("catalogue: shop", "catalogue: stall"), name="stall")
    with pytest.raises(CommandError, match=r"the pack 'small' stands in stall.yaml already"):
        run("stall", "shop")
    with pytest.raises(CommandError, match=r"stands in shop.yaml already"):
        run("shop")
    assert rows() == (0, 0, 0, 0)


@pytest.mark.parametrize("row", ["pack", "cost"])
def test_code_that_lives_on_from_another_catalogue_is_refused(write: Callable[..., None], row: str) -> None:
    if row == "pack":
        make_pack(code="small", catalogue="gone")
    else:
        make_cost(action="photo", catalogue="gone")
    write()
    with pytest.raises(CommandError, match="belongs to the catalogue 'gone'; write another code"):
        run("shop")


def test_command_needs_names_or_all(write: Callable[..., None]) -> None:
    write()
    for arguments in ([], ["shop", "--all"]):
        with pytest.raises(CommandError, match=r"Name the catalogues to seed, or say --all. There are: shop."):
            run(*arguments)
    with pytest.raises(CommandError, match="no catalogue 'shoe'"):
        run("shoe")
