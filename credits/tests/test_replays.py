import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from credits import costs, usage
from credits.catalogue_files import Catalogue
from credits.models import Purse, Spend
from credits.replays import Line, replay, totals
from credits.tests.factories import make_between, make_cost
from credits.tests.people import give, make_user
from credits.tests.test_audit import shop
from rest.tests.operators import printed

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 6, 15, tzinfo=UTC)
MONTH = {"since": datetime(2026, 6, 1, tzinfo=UTC), "until": datetime(2026, 7, 1, tzinfo=UTC)}
FILE = """\
costs:
  ai.generate: {label: {en: Generate}, fixed: 6}
  game.skip_level: {label: {en: Skip}, between: [20, 30]}
  words: {label: {en: Words}, per_unit: 3}
"""


@pytest.fixture
def customer() -> Any:
    born = DAY - timedelta(days=30)
    make_cost(amount=5, valid_from=born)
    make_cost(action="words", kind="per_unit", amount=2, valid_from=born)
    make_cost(action="video", amount=15, valid_from=born)
    make_between(10, 50, action="game.skip_level", valid_from=born)
    costs.forget()
    someone = make_user()
    give(someone, 10_000)
    return someone


def spend(customer: Any, key: str, at: datetime = DAY, **said: Any) -> Spend:
    return Spend.objects.get(pk=usage.spend(user=customer, key=key, at=at, **said).id)


def figures(catalogue: Catalogue) -> dict[str, tuple[int, int, int]]:
    return {line.action: (line.uses, line.before, line.after) for line in replay(catalogue, **MONTH)}


def test_each_use_is_priced_again_by_its_kind(customer: Any) -> None:
    spend(customer, "a", action="ai.generate")
    spend(customer, "b", action="ai.generate", quantity=3)
    spend(customer, "c", action="words", quantity=7)
    for key, amount in (("d", 10), ("e", 25), ("f", 50)):
        spend(customer, key, action="game.skip_level", amount=amount)
    spend(customer, "g", action="video")
    spend(customer, "h", amount=40)
    assert figures(shop(FILE)) == {
        "": (1, 40, 40),
        "ai.generate": (2, 20, 24),
        "game.skip_level": (3, 85, 20 + 25 + 30),
        "video": (1, 15, 15),
        "words": (1, 14, 21),
    }
    repriced = {line.action for line in replay(shop(FILE), **MONTH) if line.is_repriced}
    assert repriced == {"ai.generate", "game.skip_level", "words"}


def test_the_same_costs_change_nothing(customer: Any) -> None:
    spend(customer, "a", action="ai.generate", quantity=2)
    spend(customer, "b", action="game.skip_level", amount=17)
    same = FILE.replace("fixed: 6", "fixed: 5").replace("[20, 30]", "[10, 50]")
    assert [line.difference for line in replay(shop(same), **MONTH)] == [0, 0]


def test_period_includes_its_first_instant_and_not_its_end(customer: Any) -> None:
    for key, at in enumerate(
        (
            MONTH["since"] - timedelta(milliseconds=1),
            MONTH["since"],
            MONTH["until"] - timedelta(milliseconds=1),
            MONTH["until"],
        )
    ):
        spend(customer, str(key), at=at, action="ai.generate")
    assert figures(shop(FILE)) == {"ai.generate": (2, 10, 12)}


def test_what_was_given_back_stays_given_back(customer: Any) -> None:
    whole = spend(customer, "whole", action="ai.generate")
    part = spend(customer, "part", action="ai.generate")
    usage.reverse(spend=whole.pk, key="back-whole", reason="failed")
    usage.reverse(spend=part.pk, key="back-part", amount=2, reason="late")
    assert figures(shop(FILE)) == {"ai.generate": (2, 3, 4)}


def test_unlimited_use_is_told_apart(customer: Any) -> None:
    Purse.objects.filter(user=customer).update(unlimited_until=DAY + timedelta(days=365_00))
    spend(customer, "a", action="ai.generate")
    (line,) = replay(shop(FILE), **MONTH)
    assert (line.before, line.after, line.metered_before, line.metered_after) == (0, 0, 5, 6)


def test_costs_in_another_unit_are_not_compared(customer: Any) -> None:
    spend(customer, "a", action="ai.generate")
    (line,) = replay(shop("unit: SPARK\n" + FILE), **MONTH)
    assert (line.before, line.after, line.is_repriced) == (5, 5, False)


def test_totals_never_add_different_units() -> None:
    figures = {"uses": 1, "before": 5, "after": 6, "metered_before": 1, "metered_after": 2}
    known: dict[str, Any] = figures | {"is_repriced": True}
    lines = [Line(action=name, unit=unit, **known) for name, unit in (("a", "CREDIT"), ("b", "CREDIT"), ("c", "SPARK"))]
    assert [(line.action, line.unit, line.uses, line.difference) for line in totals(lines)] == [
        ("total", "CREDIT", 2, 2),
        ("total", "SPARK", 1, 1),
    ]


def run(path: Path, *arguments: str) -> str:
    days = ("--from", "2026-06-01", "--to", "2026-07-01")
    return printed("replay_tariff", *days, "--costs", str(path), *arguments)


def test_command_prints_a_table_and_json(customer: Any, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("catalogue: shop\ntitle: {en: Shop}\n" + FILE, encoding="utf-8")
    spend(customer, "a", action="ai.generate")
    spend(customer, "b", amount=40)
    assert [line.split() for line in run(path).splitlines()][1:] == [
        ["(by", "amount)", "CREDIT", "1", "40", "40", "0", "0", "0"],
        ["ai.generate", "CREDIT", "1", "5", "6", "1", "0", "0"],
        ["total", "CREDIT", "2", "45", "46", "1", "0", "0"],
        ["not", "in", "the", "file,", "as", "it", "was:", "(by", "amount)"],
    ]
    told = json.loads(run(path, "--json"))
    assert [line["difference"] for line in told["lines"]] == [0, 1]
    assert (told["totals"][0]["before"], told["totals"][0]["after"]) == (45, 46)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "yesterday", "--to", "2026-07-01", "--costs", "ai-credits"],
        ["--from", "2026-07-01", "--to", "2026-07-01", "--costs", "ai-credits"],
        ["--from", "2026-06-01", "--to", "2026-07-01", "--costs", "nowhere"],
        ["--from", "2026-06-01", "--to", "2026-07-01"],
    ],
)
def test_command_refuses_what_makes_no_sense(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("replay_tariff", *arguments, stdout=StringIO())


def test_command_names_nothing_that_stayed_as_it_was_where_the_file_has_it_all(customer: Any, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("catalogue: shop\ntitle: {en: Shop}\n" + FILE, encoding="utf-8")
    spend(customer, "a", action="ai.generate")
    assert [line.split() for line in run(path).splitlines()][1:] == [
        ["ai.generate", "CREDIT", "1", "5", "6", "1", "0", "0"],
        ["total", "CREDIT", "1", "5", "6", "1", "0", "0"],
    ]
