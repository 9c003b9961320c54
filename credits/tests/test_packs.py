from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from credits import errors, packs
from credits.models import Pack, PackPrice
from credits.tests.factories import make_pack, make_price
from ledger.money import Money

COMPANION = {"small": (100, 0, 499), "medium": (250, 25, 999), "large": (600, 100, 1999), "mega": (1500, 300, 3999)}


@pytest.fixture
def companion(db: None) -> None:
    for position, (code, (credits_, bonus, price)) in enumerate(COMPANION.items()):
        make_pack({"EUR": price}, code=code, credits=credits_, bonus=bonus, position=position)


@pytest.mark.parametrize(
    ("missing", "code", "count", "price"),
    [
        (1, "small", 1, 499),
        (100, "small", 1, 499),
        (101, "medium", 1, 999),
        (275, "medium", 1, 999),  # its bonus counts
        (276, "large", 1, 1999),
        (1800, "mega", 1, 3999),
        (1801, "mega", 2, 7998),
    ],
)
@pytest.mark.usefixtures("companion")
def test_cheapest_for_what_is_missing(missing: int, code: str, count: int, price: int) -> None:
    found = packs.choose(missing, "EUR", packs.on_sale(currency="EUR"))
    assert found is not None
    assert (found.pack.code, found.count, found.price) == (code, count, Money(price, "EUR"))
    assert found.credits >= missing


@pytest.mark.usefixtures("companion")
def test_nothing_is_suggested_in_a_currency_or_unit_nobody_sells() -> None:
    assert packs.choose(1, "XOF", packs.on_sale(currency="XOF")) is None
    assert packs.choose(1, "XOF", packs.on_sale(currency="EUR")) is None
    assert packs.choose(1, "EUR", packs.on_sale(currency="EUR", unit="SPARK")) is None


@given(
    missing=st.integers(1, 60),
    sold=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 10), st.integers(1, 500)), min_size=1, max_size=5),
)
def test_choice_agrees_with_trying_everything(missing: int, sold: list[tuple[int, int, int]]) -> None:
    offers = [
        packs.Offer(pack=Pack(code=f"p{n}", credits=paid, bonus=bonus), prices={"EUR": Money(price, "EUR")})
        for n, (paid, bonus, price) in enumerate(sold)
    ]
    tried = [
        (count, price * count)
        for count in range(1, missing + 1)
        for paid, bonus, price in sold
        if (paid + bonus) * count >= missing
    ]
    found = packs.choose(missing, "EUR", offers)
    assert found is not None
    assert (found.count, found.price.minor) == min(tried)


def test_on_sale_shows_active_packs_with_their_current_prices(db: None) -> None:
    sold = make_pack({"EUR": 999, "XOF": 6550}, code="sold")
    make_price(sold, amount_minor=899, valid_from=timezone.now() - timedelta(hours=1))
    make_price(sold, amount_minor=799, valid_from=timezone.now() + timedelta(hours=1))
    make_pack({"EUR": 1}, code="off", is_active=False)
    make_pack(code="priceless")
    shown = [(offer.pack.code, offer.prices) for offer in packs.on_sale()]
    assert shown == [("sold", {"EUR": Money(899, "EUR"), "XOF": Money(6550, "XOF")})]


def test_on_sale_filters_by_currency_unit_and_catalogue(db: None) -> None:
    make_pack({"EUR": 999, "XOF": 6550}, code="both")
    make_pack({"EUR": 999}, code="euros", catalogue="ai-credits")
    make_pack({"XOF": 6550}, code="sparks", unit="SPARK")
    assert [offer.pack.code for offer in packs.on_sale(currency="XOF")] == ["both", "sparks"]
    assert packs.on_sale(currency="XOF")[0].prices == {"XOF": Money(6550, "XOF")}
    assert [offer.pack.code for offer in packs.on_sale(unit="SPARK")] == ["sparks"]
    assert [offer.pack.code for offer in packs.on_sale(catalogue="ai-credits")] == ["euros"]


def test_current_price_is_the_version_of_that_instant(db: None) -> None:
    now = timezone.now()
    sold = make_pack({"EUR": 999})
    later = make_price(sold, amount_minor=899, valid_from=now - timedelta(hours=1))
    assert packs.current_price(sold, "EUR") == later
    assert packs.current_price(sold, "EUR", at=now - timedelta(hours=2)).amount_minor == 999


def test_missing_price_names_the_currencies_there_are(db: None) -> None:
    sold = make_pack({"EUR": 999, "XOF": 6550})
    packs.withdraw_price(pack=sold, currency="XOF")
    with pytest.raises(errors.PriceMissing) as refusal:
        packs.current_price(sold, "XOF")
    assert refusal.value.known_currencies == ["EUR"]
    assert packs.on_sale(currency="XOF") == []


def test_pack_off_sale_is_unknown(db: None) -> None:
    make_pack(code="sold")
    make_pack(code="off", is_active=False)
    assert packs.find("sold").code == "sold"
    for code in ("off", "never"):
        with pytest.raises(errors.UnknownPack):
            packs.find(code)


def test_new_price_is_refused_in_the_past_and_where_no_gateway_takes_it(db: None) -> None:
    sold = make_pack({"EUR": 999})
    with pytest.raises(errors.VersionInThePast):
        packs.set_price(pack=sold, price=Money(899, "EUR"), valid_from=timezone.now() - timedelta(seconds=1))
    with pytest.raises(errors.AmountNotPayable) as refusal:
        packs.set_price(pack=sold, price=Money(999, "XOF"))
    assert refusal.value.nearest == ["995 XOF", "1000 XOF"]
    assert PackPrice.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_prices_set_at_once_are_all_kept(run_together) -> None:
    sold = make_pack()
    run_together(6, lambda: packs.set_price(pack=sold, price=Money(999, "EUR")).pk)
    assert PackPrice.objects.count() == 6
