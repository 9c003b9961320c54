from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from events.models import Event
from ledger.checks import faults
from ledger.errors import KeyReused as LedgerKeyReused
from ledger.errors import UnknownUnit
from ledger.money import Money
from ledger.tests.books import on
from wallets import sales, sellers, tasks, transactions
from wallets.errors import BelowMinimum, InvalidValue, UnknownSaleType, UnknownSellerKind, WrongGateway
from wallets.models import Sale
from wallets.sales import Line
from wallets.tests.people import (
    FAR_AWAY,
    LONG_AGO,
    everything,
    make_kind,
    make_rule,
    make_type,
    make_user,
    parts,
    sell,
    sell_cleared,
    wallet_of,
)
from wallets.transactions import Wanted

pytestmark = pytest.mark.django_db
MAY = datetime(2026, 5, 20, 12, tzinfo=UTC)


def line(user: Any, minor: int, currency: str = "EUR", **changes: Any) -> Line:
    return Line(**{"seller": user, "type": "ticket_sale", "amount": Money(minor, currency)} | changes)


def test_a_sale_gives_the_net_to_the_seller_and_the_commission_to_us() -> None:
    user = make_user()
    rule = make_rule(basis_points=3_000, clearing_days=14)
    sale = sell(user, 645, fee=Money(30, "EUR"), key="payment:7", at=MAY)
    assert (sale.price_minor, sale.commission_minor, sale.net_minor) == (645, 194, 451)
    assert (sale.rule, sale.releases_at) == (rule, MAY + timedelta(days=14))
    assert everything() == {
        f"wallet:{user.pk}:EUR:pending": 451,
        "commission:EUR": 194,
        "fees:stripe:EUR": -30,
        "gateway:stripe:EUR": -615,
    }
    assert faults() == {}


def test_the_seller_is_told_of_the_sale() -> None:
    user = make_user()
    make_rule(basis_points=1_000, clearing_days=7)
    sale = sell(user, 1_000, at=MAY, reference="order-9")
    event = Event.objects.get()
    assert (event.type, event.user) == ("sale.recorded", user)
    assert event.data == {
        "sale": str(sale.pk),
        "type": "ticket_sale",
        "reference": "order-9",
        "currency": "EUR",
        "amount": 1_000,
        "commission": 100,
        "net": 900,
        "clears_at": "2026-05-27T12:00:00Z",
    }


def test_several_sellers_in_one_checkout_are_one_entry_split_line_by_line() -> None:
    ann, bob = make_user(), make_user()
    make_type()
    make_rule(basis_points=1_000)
    make_rule(code="bob", seller=sellers.of(bob), basis_points=500)
    made = sales.record(key="payment:1", gateway="paypal", lines=[line(ann, 1_000), line(bob, 2_000), line(ann, 33)])
    assert [(sale.number, sale.commission_minor) for sale in made] == [(0, 100), (1, 100), (2, 3)]
    assert len({sale.entry_id for sale in made}) == 1
    assert (parts(ann)["pending"], parts(bob)["pending"]) == (930, 1_900)
    assert (on("commission:EUR"), on("gateway:paypal:EUR")) == (203, -3_033)


def test_the_same_payment_is_recorded_once() -> None:
    user = make_user()
    first = sell(user, 1_000, key="payment:1")
    again = sell(user, 1_000, key="payment:1")
    assert (again.pk, again.is_replay, first.is_replay) == (first.pk, True, False)
    assert Sale.objects.count() == 1
    with pytest.raises(LedgerKeyReused):
        sell(user, 1_001, key="payment:1")
    assert parts(user)["pending"] == 900


def test_the_rule_is_frozen_on_the_sale() -> None:
    user = make_user()
    rule = make_rule(code="house", basis_points=1_000)
    make_rule(code="older", valid_from=LONG_AGO - timedelta(days=1))
    sale = sell(user, 1_000)
    rule.basis_points = 5_000
    rule.save()
    sale.refresh_from_db()
    assert sale.terms["basis_points"] == 1_000
    assert sale.choice == {"rule": "house", "because": [], "before": ["older"], "basis_points": 1_000}


def test_tiers_follow_what_was_sold_this_month() -> None:
    user = make_user()
    rule = make_rule(basis_points=1_000, currency="EUR")
    rule.tiers.create(from_volume_minor=1_000, basis_points=500)
    make_type()
    lines = [line(user, 600), line(user, 600), line(user, 600)]
    made = sales.record(key="payment:1", gateway="stripe", lines=lines)
    assert [sale.commission_minor for sale in made] == [60, 60, 30]
    later = sell(user, 600)
    assert (later.commission_minor, later.choice["monthly_volume"]) == (30, 1_800)


def test_tiers_count_earlier_lines_of_the_checkout_whose_own_rule_has_none() -> None:
    user, other = make_user(), make_user()
    make_rule(code="plain", basis_points=1_000, currency="EUR")
    rule = make_rule(code="tiered", basis_points=1_000, currency="EUR", sale_type=make_type("course"))
    rule.tiers.create(from_volume_minor=100_000, basis_points=800)
    sell(user, 95_000, at=MAY)
    courses = [line(user, 10_000, type="course"), line(other, 10_000, type="course")]
    made = sales.record(key="payment:of three", gateway="stripe", lines=[line(user, 10_000), *courses], at=MAY)
    assert [sale.commission_minor for sale in made] == [1_000, 800, 1_000]
    assert made[1].choice["monthly_volume"] == 105_000


def test_a_free_or_whole_commission_moves_no_zero() -> None:
    user = make_user()
    make_rule(code="free", basis_points=0)
    sell(user, 500)
    make_rule(code="all", basis_points=10_000, currency="XOF")
    sell(user, 500, "XOF")
    assert (parts(user)["pending"], parts(user, "XOF")["pending"], on("commission:XOF")) == (500, 0, 500)
    assert faults() == {}


def test_a_fee_that_is_heard_of_later_is_booked_once() -> None:
    user = make_user()
    sell(user, 1_000, key="payment:1")
    for _ in range(2):
        sales.record_fee(key="payment:1", gateway="stripe", fee=Money(45, "EUR"))
    assert (on("fees:stripe:EUR"), on("gateway:stripe:EUR"), parts(user)["pending"]) == (-45, -955, 900)
    with pytest.raises(InvalidValue):
        sales.record_fee(key="payment:2", gateway="stripe", fee=Money(45, "EUR"))


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"amount": Money(0, "EUR")}, InvalidValue),
        ({"amount": Money(-5, "EUR")}, InvalidValue),
        ({"amount": Money(10**15 + 1, "EUR")}, InvalidValue),
        ({"amount": Money(5, "CREDIT")}, InvalidValue),
        ({"amount": Money(99, "EUR")}, BelowMinimum),
        ({"type": "nonsense"}, UnknownSaleType),
        ({"type": "gone"}, UnknownSaleType),
        ({"reference": "x" * 201}, InvalidValue),
        ({"reference": "a\x00b"}, InvalidValue),
        ({"description": "x" * 301}, InvalidValue),
    ],
)
def test_what_could_not_be_recorded_is_refused_before_the_buyer_pays(changes: dict[str, Any], refusal: type) -> None:
    make_type(minimum={"EUR": 100})
    make_type("gone", is_active=False)
    with pytest.raises(refusal):
        sales.check([line(make_user(), 1_000, **changes)])


def test_lines_of_two_currencies_and_no_lines_are_refused() -> None:
    make_type()
    user = make_user()
    with pytest.raises(InvalidValue):
        sales.check([line(user, 1_000), line(user, 1_000, "XOF")])
    with pytest.raises(InvalidValue):
        sales.check([])


def test_what_may_be_sold_is_let_through() -> None:
    make_type(minimum={"EUR": 100})
    assert set(sales.check([line(make_user(), 100), line(make_user(), 5_000)])) == {"ticket_sale"}


def test_a_gateway_without_a_proper_name_is_refused_and_nothing_moves() -> None:
    with pytest.raises(WrongGateway):
        sell(make_user(), 1_000, gateway="Pay Pal")
    assert everything() == {}


@pytest.mark.parametrize("key", ["", "k" * 201, "line\n"])
def test_a_payment_without_a_proper_key_is_refused_and_nothing_moves(key: str) -> None:
    with pytest.raises(InvalidValue):
        sell(make_user(), 1_000, key=key)
    assert everything() == {}


def test_a_type_that_nobody_knows_is_refused_when_it_is_recorded_too() -> None:
    make_type()
    with pytest.raises(UnknownSaleType) as refused:
        sell(make_user(), 1_000, type="nonsense")
    assert refused.value.known_types == ["ticket_sale"]
    assert everything() == {}


# ---------------------------------------------------------------- clearing


def test_a_sale_clears_after_its_delay_and_once() -> None:
    user = make_user()
    make_rule(basis_points=1_000, clearing_days=7)
    sale = sell(user, 1_000, at=MAY)
    assert sales.release_due(MAY + timedelta(days=7, seconds=-1)) == 0
    assert parts(user) == {"pending": 900, "available": 0, "reserve": 0, "debt": 0}
    assert sales.release_due(MAY + timedelta(days=7)) == 1
    assert sales.release_due(MAY + timedelta(days=8)) == 0
    assert parts(user) == {"pending": 0, "available": 900, "reserve": 0, "debt": 0}
    sale.refresh_from_db()
    assert sale.released_at == MAY + timedelta(days=7)
    released = Event.objects.get(type="sale.released")
    assert (released.user, released.data["net"]) == (user, 900)
    assert faults() == {}


def test_the_sweep_clears_every_wallet_in_batches(settings: Any) -> None:
    settings.WALLETS_SWEEP_BATCH = 2
    make_rule(basis_points=0, clearing_days=0)
    users = [make_user() for _ in range(3)]
    for user in users * 3:
        sell(user, 100, at=LONG_AGO)
    tasks.release_sales()
    assert [parts(user)["available"] for user in users] == [300, 300, 300]
    assert faults() == {}


def test_a_rolling_reserve_is_kept_for_its_days() -> None:
    user = make_user()
    make_rule(basis_points=0, clearing_days=1)
    sellers.set_reserve(seller=sellers.of(user), basis_points=1_000, days=30)
    sell(user, 1_005, at=MAY)
    sales.release_due(MAY + timedelta(days=1))
    assert parts(user) == {"pending": 0, "available": 904, "reserve": 101, "debt": 0}
    assert sales.free_due(MAY + timedelta(days=31, seconds=-1)) == 0
    assert sales.free_due(MAY + timedelta(days=31)) == 1
    assert parts(user) == {"pending": 0, "available": 1_005, "reserve": 0, "debt": 0}
    assert faults() == {}


def test_what_is_freed_is_called_by_its_sales(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sales, "MOST_REFERENCES", 2)
    user = make_user()
    make_rule(basis_points=0, clearing_days=1)
    sellers.set_reserve(seller=sellers.of(user), basis_points=1_000, days=30)
    for reference in ("seat 1", "", "seat 2", "seat 3"):
        sell(user, 1_000, at=MAY, reference=reference)
    sales.release_due(MAY + timedelta(days=1))
    sales.free_due(MAY + timedelta(days=31))
    freed, *_others = transactions.page(Wanted(wallets=[wallet_of(user)]), 5)
    assert (freed.kind, freed.about) == ("sale.free", "seat 1, seat 2 (+1)")


def test_the_sweep_of_reserves_frees_them() -> None:
    user = make_user()
    make_rule(basis_points=0, clearing_days=0)
    sellers.set_reserve(seller=sellers.of(user), basis_points=5_000, days=1)
    sell(user, 1_000, at=LONG_AGO)
    sales.release_due(LONG_AGO + timedelta(days=1))
    assert parts(user)["reserve"] == 500
    tasks.free_reserves()
    assert parts(user) == {"pending": 0, "available": 1_000, "reserve": 0, "debt": 0}


def test_the_command_says_what_is_due_and_releases_it_once() -> None:
    user = make_user()
    make_rule(basis_points=1_000, clearing_days=7)
    sellers.set_reserve(seller=sellers.of(user), basis_points=1_000, days=1)
    sell(user, 1_000, at=LONG_AGO)
    sell(user, 2_000)
    said = StringIO()
    call_command("release_sales", "--dry-run", stdout=said)
    assert said.getvalue() == "1 sales to clear: €9.00\nNothing was released.\n"
    assert parts(user)["pending"] == 2_700
    call_command("release_sales", stdout=said)
    assert parts(user) == {"pending": 1_800, "available": 810, "reserve": 90, "debt": 0}
    call_command("release_sales", "--ahead-days", "8", stdout=said)
    assert parts(user) == {"pending": 0, "available": 2_520, "reserve": 180, "debt": 0}
    assert said.getvalue().splitlines()[-3:] == [
        "1 sales to clear: €18.00",
        "1 sales in reserve to free: €0.90",
        "Sales cleared: 1. Reserves freed: 1.",
    ]
    assert faults() == {}


def test_in_production_the_command_does_not_run_ahead(settings: Any) -> None:
    settings.PRODUCTION = True
    user = make_user()
    sell(user, 1_000)
    with pytest.raises(CommandError, match="In production"):
        call_command("release_sales", "--ahead-days", "8")
    assert parts(user)["available"] == 0


@pytest.mark.parametrize("days", ["-1", "100000"])
def test_the_command_runs_ahead_by_a_sensible_time(days: str) -> None:
    with pytest.raises(CommandError, match="--ahead-days goes from 0 to"):
        call_command("release_sales", "--ahead-days", days)


@pytest.mark.parametrize(("points", "days"), [(1, 0), (0, 1), (10_001, 5), (-1, 5), (100, 366)])
def test_half_a_reserve_is_refused(points: int, days: int) -> None:
    with pytest.raises(InvalidValue):
        sellers.set_reserve(seller=sellers.of(make_user()), basis_points=points, days=days)


def test_the_database_refuses_a_split_that_does_not_sum() -> None:
    sale = sell_cleared(make_user(), 1_000)
    for change in ({"net_minor": 901}, {"taken_net_minor": 1}, {"taken_price_minor": 1}, {"reserved_minor": 901}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Sale.objects.filter(pk=sale.pk).update(**change)
    sale.refresh_from_db()
    assert (sale.net_minor, sale.taken_net_minor, sale.released_at) == (900, 0, FAR_AWAY)


def test_a_kind_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    make_kind("designer")
    with pytest.raises(UnknownSellerKind) as refused:
        sellers.set_kind(user=make_user(), kind="painter")
    assert refused.value.known_kinds == ["designer"]


def test_a_wallet_is_of_a_currency() -> None:
    with pytest.raises(UnknownUnit):
        sellers.open(make_user(), "CREDIT")


def test_a_kind_of_seller_decides_the_rule() -> None:
    user = make_user()
    make_rule(code="designers", seller_kind=make_kind("designer"), basis_points=3_000)
    make_rule(code="house", basis_points=1_000)
    assert sell(user, 100).commission_minor == 10
    sellers.set_kind(user=user, kind="designer")
    assert sell(user, 100).commission_minor == 30
