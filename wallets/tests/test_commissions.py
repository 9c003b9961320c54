from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import Money
from wallets import commissions, sellers
from wallets.commissions import Question, Terms
from wallets.tests.people import LONG_AGO, make_kind, make_rule, make_type, make_user

NOW = datetime(2026, 6, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("price", "terms", "volume", "commission"),
    [
        (Money(645, "EUR"), Terms(basis_points=3_000), 0, 194),  # 193.5, a half rounds up
        (Money(645, "XOF"), Terms(basis_points=3_000), 0, 194),
        (Money(1_000, "EUR"), Terms(basis_points=1_000, fixed_minor=25), 0, 125),
        (Money(1_000, "EUR"), Terms(basis_points=100, minimum_minor=50), 0, 50),
        (Money(100_000, "EUR"), Terms(basis_points=1_000, maximum_minor=5_000), 0, 5_000),
        (Money(10, "EUR"), Terms(basis_points=1_000, minimum_minor=50), 0, 10),  # never more than the price
        (Money(1, "KWD"), Terms(basis_points=0), 0, 0),
        (Money(1_000, "EUR"), Terms(basis_points=1_000, tiers=((5_000, 800), (10_000, 500))), 4_999, 100),
        (Money(1_000, "EUR"), Terms(basis_points=1_000, tiers=((5_000, 800), (10_000, 500))), 5_000, 80),
        (Money(1_000, "EUR"), Terms(basis_points=1_000, tiers=((10_000, 500), (5_000, 800))), 10_000, 50),
    ],
)
def test_commission_of_a_price(price: Money, terms: Terms, volume: int, commission: int) -> None:
    found = commissions.split(price, terms, volume_minor=volume)
    assert found.commission == Money(commission, price.unit)
    assert found.net == price - found.commission


AMOUNTS = st.integers(1, 10**12)
TERMS = st.builds(
    Terms,
    basis_points=st.integers(0, 10_000),
    fixed_minor=st.integers(0, 10**6),
    minimum_minor=st.none() | st.integers(0, 10**6),
    maximum_minor=st.none() | st.integers(0, 10**6),
)


@given(AMOUNTS, TERMS)
def test_the_parts_always_sum_to_the_price_and_none_is_below_zero(minor: int, terms: Terms) -> None:
    found = commissions.split(Money(minor, "XOF"), terms)
    assert found.net + found.commission == found.price
    assert min(found.net.minor, found.commission.minor) >= 0


@given(st.integers(1, 10**6), st.data())
def test_partial_refunds_come_back_at_the_sales_own_share_and_end_at_nothing(price: int, data: st.DataObject) -> None:
    commission = data.draw(st.integers(0, price))
    taken = taken_commission = 0
    for number in range(6):
        if taken == price:
            break
        amount = price - taken if number == 5 else data.draw(st.integers(1, price - taken))
        part = commissions.returned(
            price=price, commission=commission, taken_price=taken, taken_commission=taken_commission, amount=amount
        )
        taken, taken_commission = taken + amount, taken_commission + part
        assert 0 <= part <= amount
        assert 2 * abs(taken_commission * price - commission * taken) <= price  # within half a unit of the exact share
    assert (taken, taken_commission) == (price, commission)


@given(st.integers(1, 10**4), st.data())
def test_a_share_stays_within_what_is_left_also_when_an_earlier_one_was_given_back(
    price: int, data: st.DataObject
) -> None:
    """A refund that the gateway refused leaves the others with shares computed beside it."""
    commission = data.draw(st.integers(0, price))
    taken = data.draw(st.integers(0, price - 1))
    low, high = max(0, taken - (price - commission)), min(commission, taken)
    taken_commission = data.draw(st.integers(low, high))
    amount = data.draw(st.integers(1, price - taken))
    part = commissions.returned(
        price=price, commission=commission, taken_price=taken, taken_commission=taken_commission, amount=amount
    )
    assert 0 <= part <= min(amount, commission - taken_commission)
    assert amount - part <= (price - commission) - (taken - taken_commission)


# ---------------------------------------------------------------- which rule counts


@pytest.fixture
def seller(db: None) -> Any:
    user = make_user()
    make_kind("organizer")
    return sellers.set_kind(user=user, kind="organizer")


def chosen(seller: Any, sale_type: str = "ticket_sale", currency: str = "EUR", at: datetime = NOW) -> Any:
    question = Question(sale_type=sale_type, currency=currency, at=at, seller=seller)
    return commissions.choose(question, commissions.candidates(at))


def test_the_most_specific_rule_wins_and_says_why(seller: Any) -> None:
    make_rule(code="house")
    make_rule(code="in-euro", currency="EUR")
    make_rule(code="organizers", seller_kind=make_kind("organizer"))
    make_rule(code="tickets", sale_type=make_type())
    make_rule(code="tickets-in-euro", sale_type=make_type(), currency="EUR")
    make_rule(code="this-seller", seller=seller, basis_points=500)
    make_rule(code="another-seller", seller=sellers.of(make_user()))
    found = chosen(seller)
    assert found.rule.code == "this-seller"
    assert found.because == ("seller",)
    assert found.before == ("tickets-in-euro", "tickets", "organizers", "in-euro", "house")
    assert found.terms.basis_points == 500


def test_among_equals_the_one_that_began_last_wins(seller: Any) -> None:
    make_rule(code="old")
    make_rule(code="new", valid_from=LONG_AGO + timedelta(days=1))
    assert chosen(seller).rule.code == "new"


@pytest.mark.parametrize(
    "changes",
    [
        {"is_active": False},
        {"valid_from": NOW + timedelta(seconds=1)},
        {"valid_until": NOW},
        {"currency": "XOF"},
    ],
)
def test_a_rule_that_does_not_fit_is_passed_over(seller: Any, changes: dict[str, Any]) -> None:
    make_rule(code="no", **changes)
    make_rule(code="template", sale_type=make_type("template_sale"))
    make_rule(code="designers", seller_kind=make_kind("designer"))
    assert chosen(seller).rule is None


def test_where_no_rule_fits_the_setting_counts(seller: Any, settings: Any) -> None:
    settings.WALLETS_COMMISSION_BASIS_POINTS, settings.WALLETS_CLEARING_DAYS = 1_234, 9
    found = chosen(seller)
    assert (found.rule, found.terms.basis_points, found.terms.clearing_days) == (None, 1_234, 9)
    assert found.as_facts(volume_minor=0, basis_points=1_234) == {
        "rule": None,
        "because": [],
        "before": [],
        "basis_points": 1_234,
    }


def test_rates_show_a_seller_only_the_rules_that_can_touch_them(seller: Any) -> None:
    make_rule(code="house")
    make_rule(code="own", seller=seller)
    make_rule(code="anothers", seller=sellers.of(make_user()))
    make_rule(code="designers", seller_kind=make_kind("designer"))
    assert [rule.code for rule in commissions.rates_for(seller, NOW)] == ["own", "house"]


def test_rates_for_nobody_in_particular_are_those_of_no_seller(seller: Any) -> None:
    make_rule(code="own", seller=seller)
    make_rule(code="designers", seller_kind=make_kind("designer"))
    make_rule(code="house")
    assert [rule.code for rule in commissions.rates_for(None, NOW)] == ["designers", "house"]


@pytest.mark.parametrize(("kind", "expected"), [("designer", "designers"), ("organizer", None), (None, None)])
def test_a_hypothetical_sale_may_have_a_kind_and_no_seller(db: None, kind: str | None, expected: str | None) -> None:
    make_rule(code="designers", seller_kind=make_kind("designer"))
    question = Question(sale_type="ticket_sale", currency="EUR", at=NOW, seller_kind=kind)
    rule = commissions.choose(question, commissions.candidates(NOW)).rule
    assert (rule and rule.code) == expected


def test_the_kind_that_is_asked_about_goes_before_the_sellers_own(seller: Any) -> None:
    question = Question(sale_type="ticket_sale", currency="EUR", at=NOW, seller=seller, seller_kind="designer")
    assert (question.kind, Question(sale_type="x", currency="EUR", at=NOW, seller=seller).kind) == (
        "designer",
        "organizer",
    )


def test_terms_are_those_of_the_rule_with_its_tiers(seller: Any) -> None:
    rule = make_rule(code="tiered", currency="EUR", clearing_days=0, fixed_minor=3, minimum_minor=5, maximum_minor=90)
    rule.tiers.create(from_volume_minor=5_000, basis_points=800)
    found = chosen(seller)
    assert found.terms == Terms(
        basis_points=1_000, fixed_minor=3, minimum_minor=5, maximum_minor=90, tiers=((5_000, 800),), clearing_days=0
    )
    assert found.terms.as_facts()["tiers"] == [[5_000, 800]]
    assert found.as_facts(volume_minor=5_000, basis_points=800) == {
        "rule": "tiered",
        "because": ["currency"],
        "before": [],
        "basis_points": 800,
        "monthly_volume": 5_000,
    }
