"""Margins of what was really used: by the lots that the credits came from."""

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from credits import costs, margin_reports, margins, usage
from credits.margin_reports import Line, Worth
from credits.models import GrantSource
from credits.tests.factories import make_between, make_cost
from credits.tests.people import give, make_user
from rest.tests.operators import printed

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 6, 15, tzinfo=UTC)
MONTH = {"since": datetime(2026, 6, 1, tzinfo=UTC), "until": datetime(2026, 7, 1, tzinfo=UTC)}
EURO = {"real_cost_micros": 40_000, "real_cost_currency": "EUR"}  # 0.04 €


@pytest.fixture(autouse=True)
def on_sale() -> None:
    born = DAY - timedelta(days=30)
    make_cost(amount=5, valid_from=born, **EURO)
    make_cost(action="words", kind="per_unit", amount=2, valid_from=born, **EURO)
    make_between(10, 50, action="skip", valid_from=born, **EURO)
    make_cost(action="free.of.cost", amount=3, valid_from=born)
    costs.forget()


def buy(user: Any, amount: int = 100, paid: int = 1_900, currency: str = "EUR", **changes: Any) -> Any:
    return give(user, amount, paid_minor=paid, paid_currency=currency, **changes)


def use(user: Any, key: str = "use", at: datetime = DAY, **said: Any) -> Any:
    known: dict[str, Any] = {"action": "ai.generate"}
    return usage.spend(
        user=user, key=key, at=at, **(said if "amount" in said and "action" not in said else known | said)
    )


def lines() -> list[Line]:
    return margin_reports.report(**MONTH)


def told(line: Line) -> tuple[Any, ...]:
    return (line.action, line.source, line.lot, line.price and line.price.minor, line.uses, line.credits)


def test_generation_out_of_the_pack_of_100_is_marked_up_as_the_system_said() -> None:
    user = make_user()
    buy(user)
    use(user)
    [line] = lines()
    assert told(line) == ("ai.generate", "pack", 100, 1_900, 1, 5)
    found = line.margin({})
    assert found is not None
    assert (found.revenue, found.real_cost) == (Fraction(95, 100), Fraction(4, 100))
    assert (margins.percent(found.markup), margins.percent(found.rate)) == ("2275 %", "96 %")


def test_each_lot_has_the_price_at_which_it_was_bought_and_equal_ones_are_one() -> None:
    for number, (amount, paid) in enumerate([(100, 1_900), (100, 1_900), (500, 7_900)]):
        user = make_user()
        buy(user, amount, paid)
        use(user, f"use-{number}")
    assert [told(line) for line in lines()] == [
        ("ai.generate", "pack", 100, 1_900, 2, 10),
        ("ai.generate", "pack", 500, 7_900, 1, 5),
    ]
    assert [margins.percent(line.margin({}).markup) for line in lines()] == ["2275 %", "1875 %"]  # type: ignore[union-attr]


def test_use_that_empties_one_lot_and_begins_another_is_split_as_its_credits_were() -> None:
    user = make_user()
    buy(user, 3, 300)
    buy(user, 100, 1_000)
    use(user)
    first, second = lines()
    assert (told(first)[2:], told(second)[2:]) == ((3, 300, 1, 3), (100, 1_000, 1, 2))
    assert (first.revenue, second.revenue) == (Fraction(3), Fraction(20, 100))
    assert (first.real_cost, second.real_cost) == (Fraction(24, 1_000), Fraction(16, 1_000))


def test_quantities_and_ranges_cost_as_often_as_they_were_done() -> None:
    user = make_user()
    buy(user)
    use(user, "a", quantity=3)
    use(user, "b", action="words", quantity=7)
    use(user, "c", action="skip", amount=20)
    use(user, "d", action="skip", amount=40)
    found = {line.action: (line.credits, line.real_cost) for line in lines()}
    assert found == {
        "ai.generate": (15, Fraction(12, 100)),
        "words": (14, Fraction(28, 100)),
        "skip": (60, Fraction(8, 100)),
    }


def test_what_was_given_for_nothing_earns_nothing_and_costs_all_the_same() -> None:
    user = make_user()
    give(user, 25, source=GrantSource.BONUS)
    use(user)
    [line] = lines()
    assert (line.worth, line.revenue, line.real_cost) == (Worth.GIVEN, Fraction(0), Fraction(4, 100))
    found = line.margin({})
    assert found is not None
    assert (found.rate, margins.percent(found.markup)) == (None, "\N{MINUS SIGN}100 %")


def test_credits_of_a_plan_and_unlimited_use_have_no_price_of_their_own() -> None:
    user, other = make_user(), make_user()
    give(user, 500, source=GrantSource.PLAN)
    use(user)
    purse = give(other, 1).purse
    purse.unlimited_until = DAY + timedelta(days=1)
    purse.save()
    use(other, "free")
    assert [(line.source, line.worth, line.credits, line.margin({})) for line in lines()] == [
        ("plan", Worth.UNKNOWN, 5, None),
        ("unlimited", Worth.UNKNOWN, 5, None),
    ]
    assert [line.real_cost for line in lines()] == [Fraction(4, 100)] * 2


def test_what_was_given_back_is_not_there() -> None:
    user = make_user()
    buy(user)
    spend = use(user, quantity=2)
    usage.reverse(user=user, spend=spend.id, amount=4, key="some")
    [line] = lines()
    assert (line.credits, line.revenue, line.real_cost) == (6, Fraction(114, 100), Fraction(48, 1_000))
    usage.reverse(user=user, spend=spend.id, key="rest")
    assert lines() == []


def test_credits_that_came_back_after_their_end_keep_the_price_of_their_lot() -> None:
    user = make_user()
    buy(user, expires_at=DAY + timedelta(days=1))
    spend = use(user, "first")
    usage.reverse(user=user, spend=spend.id, key="back")  # long after its end: they come back as a lot of their own
    use(user, "second", at=DAY + timedelta(days=2))
    assert [told(line) for line in lines()] == [("ai.generate", "pack", 100, 1_900, 1, 5)]


def test_real_cost_that_nobody_knows_is_not_guessed() -> None:
    user = make_user()
    buy(user)
    use(user, "a", action="free.of.cost")
    use(user, "b", amount=10)
    assert [(line.action, line.real_cost, line.margin({})) for line in lines()] == [
        ("", None, None), ("free.of.cost", None, None),
    ]  # fmt: skip


def test_cost_in_another_currency_needs_a_rate() -> None:
    user = make_user()
    buy(user, 100, 6_500, "XOF")
    use(user)
    [line] = lines()
    assert line.margin({}) is None
    found = line.margin({("EUR", "XOF"): Fraction(656)})
    assert found is not None
    assert (found.revenue, found.real_cost) == (Fraction(325), Fraction(656 * 4, 100))


def test_period_has_its_first_instant_and_not_its_last() -> None:
    user = make_user()
    buy(user)
    for key, at in (("a", MONTH["since"]), ("b", MONTH["until"]), ("c", MONTH["since"] - timedelta(milliseconds=1))):
        use(user, key, at=at)
    assert [line.uses for line in lines()] == [1]


def test_totals_keep_units_and_currencies_apart_and_say_what_they_leave_out() -> None:
    user, other = make_user(), make_user()
    buy(user)
    give(user, 25, source=GrantSource.BONUS)
    use(user, "a", quantity=21)  # 105 credits: the bonus first, and 80 of the pack
    use(user, "b", action="free.of.cost")
    buy(other, 100, 6_500, "XOF")
    use(other, "c")
    [euro] = margin_reports.totals(lines(), {})
    assert (euro.unit, euro.currency, euro.credits, euro.others) == ("CREDIT", "EUR", 105, 3 + 5)
    assert (euro.margin.revenue, euro.margin.real_cost) == (Fraction(1_520, 100), Fraction(84, 100))
    both = margin_reports.totals(lines(), {("EUR", "XOF"): Fraction(656)})
    assert [(each.currency, each.credits) for each in both] == [("EUR", 105), ("XOF", 5)]


# ---------------------------------------------------------------- the command


def run(*more: str) -> str:
    return printed("margins", "--from", "2026-06-01", "--to", "2026-07-01", *more)


def test_command_prints_each_lot_and_the_totals() -> None:
    user = make_user()
    buy(user)
    use(user)
    first, second = [row.split() for row in run().splitlines()[1:]]
    assert first == [
        "ai.generate",
        "CREDIT",
        "pack",
        "100",
        "19.00",
        "EUR",
        "1",
        "5",
        "0.95",
        "0.04",
        "EUR",
        "96",
        "%",
        "2275",
        "%",
    ]
    assert second == ["total", "CREDIT", "5", "0.95", "0.04", "EUR", "96", "%", "2275", "%"]


def test_command_takes_rates_and_says_what_it_leaves_out() -> None:
    user = make_user()
    buy(user, 100, 6_500, "XOF")
    use(user)
    assert "5 credits have no margin" in run()
    told = json.loads(run("--rate", "EUR/XOF=656", "--json"))
    assert told["totals"] == [
        {
            "unit": "CREDIT", "currency": "XOF", "credits": 5, "without_margin": 0, "revenue": "325.0000",
            "real_cost": "26.2400", "margin": "0.9193", "markup": "11.3857",
        }
    ]  # fmt: skip
    assert told["lines"][0]["price_minor"] == 6_500


@pytest.mark.parametrize("rate", ["EUR=1", "EUR/XOF", "EUR/XOF=0", "EUR/XOF=much"])
def test_command_refuses_what_is_no_rate(rate: str) -> None:
    with pytest.raises(CommandError, match="is no rate like EUR/USD"):
        run("--rate", rate)


def test_command_refuses_a_period_without_time() -> None:
    with pytest.raises(CommandError, match="--from must be before --to"):
        call_command("margins", "--from", "2026-07-01", "--to", "2026-06-01")
