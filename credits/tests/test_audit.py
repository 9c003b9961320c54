import json
from fractions import Fraction
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from credits import audit, catalogue_files
from credits.audit import Finding, Tolerance
from credits.catalogue_files import Catalogue


def shop(text: str) -> Catalogue:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shop.yaml"
        path.write_text(f"catalogue: shop\ntitle: {{en: Shop}}\n{text}", encoding="utf-8")
        return catalogue_files.load(path)


def pack(code: str, credits_: int, prices: str, more: str = "") -> str:
    return f"  {code}: {{name: {{en: {code}}}, credits: {credits_}, prices: {{{prices}}}{more}}}\n"


def found(text: str, **tolerance: Any) -> list[tuple[str, str]]:
    return [(each.kind, each.subject) for each in audit.audit(shop(text), Tolerance(**tolerance))]


def one(findings: list[Finding], kind: str, currency: str) -> Finding:
    (only,) = [each for each in findings if each.kind == kind and currency in str(each.figures)]
    return only


CLEAN = """\
rates: {EUR/XOF: 655.957}
packs:
  small: {name: {en: Small}, credits: 100, prices: {EUR: 5, XOF: 3300}}
  large: {name: {en: Large}, credits: 500, bonus: 50, prices: {EUR: 20, XOF: 13100}}
costs:
  photo: {label: {en: Photo}, fixed: 5, real_cost: 0.04 EUR}
  level: {label: {en: Level}, between: [10, 50], real_cost: 0.001 EUR}
grant_rules:
  weekly: {amount: 90, every: week}
plans:
  premium: {name: {en: Premium}, grants: [weekly], prices: {month: {EUR: 9.99, XOF: 6550}}}
  elite: {name: {en: Elite}, unlimited: true, fair_use: 2000, prices: {month: {EUR: 19.99, XOF: 13100}}}
sale_types:
  ticket: {label: {en: Ticket}, minimum: {EUR: 1, XOF: 650}}
"""


# ---------------------------------------------------------------- the five systems


def test_premium_is_4_8_times_cheaper_than_the_best_pack() -> None:
    findings = audit.audit(catalogue_files.named("companion-tokens"))
    figures = one(findings, "cheap_path", "EUR").figures
    assert figures == {
        "currency": "EUR",
        "price_of_a_credit": "0.0046",
        "best_pack": "mega",
        "price_of_a_credit_in_pack": "0.0222",
        "times_cheaper": "4.8",
        "paid": "9.99",
        "credits": "2166.67",
    }


def test_premium_earns_minus_42_percent_on_a_generation() -> None:
    findings = audit.audit(catalogue_files.named("companion-tokens"))
    finding = one(findings, "plan_below_cost", "EUR")
    assert finding.subject == "premium by the month"
    assert finding.figures["action"] == "photo.generate"
    assert (finding.figures["revenue"], finding.figures["real_cost"]) == ("0.0231", "0.0400")
    assert "a mark-up of −42 %" in finding.text  # noqa: RUF001 - the true minus sign
    assert finding.figures["markup_percent"] == "-42.4"


def test_five_systems_have_these_findings_and_no_others() -> None:
    findings = [each for catalogue in catalogue_files.every() for each in audit.audit(catalogue)]
    assert sorted((each.catalogue, each.kind) for each in findings) == [
        ("companion-tokens", "cheap_path"),
        ("companion-tokens", "cheap_path"),
        ("companion-tokens", "plan_below_cost"),
        ("companion-tokens", "plan_below_cost"),
        ("companion-tokens", "plan_without_limit"),
        ("companion-tokens", "plan_without_limit"),
    ]


def test_as_one_shop_the_dearer_systems_are_dominated() -> None:
    (whole,) = audit.together(catalogue_files.every())
    dominated = {each.subject: each.figures["instead"] for each in audit.audit(whole) if each.kind == "dominated_pack"}
    assert dominated == {
        "ai-100": "small",
        "ai-500": "2 times medium",
        "ai-1000": "large + 3 times small",
        "image-100": "small",
    }


def test_catalogues_of_different_units_are_different_shops() -> None:
    shops = audit.together([shop(CLEAN), shop("unit: SPARK\n"), shop(CLEAN)])
    assert [(each.code, each.unit) for each in shops] == [("shop+shop", "CREDIT"), ("shop", "SPARK")]


# ---------------------------------------------------------------- a clean one, and each mistake in it


def test_clean_catalogue_gives_nothing() -> None:
    assert audit.audit(shop(CLEAN)) == []
    assert audit.notes(shop(CLEAN)) == []


@pytest.mark.parametrize(
    ("old", "new", "findings"),
    [
        ("{EUR: 20, XOF: 13100}", "{EUR: 30, XOF: 19700}", [("dominated_pack", "large")]),
        ("weekly: {amount: 90", "weekly: {amount: 150", [("cheap_path", "subscribe to premium by the month, wait a month")]),  # noqa: E501
        ("0.04 EUR", "0.13 EUR", [("plan_below_cost", "premium by the month"), ("plan_below_cost", "elite by the month")]),  # noqa: E501
        ("0.04 EUR", "26 XOF", []),
        ("fair_use: 2000", "fair_use: 3000", [("plan_below_cost", "elite by the month")]),
        (", fair_use: 2000", "", [("plan_without_limit", "elite by the month")]),
        ("XOF: 3300", "XOF: 3200", [("price_inversion", "small")]),
        ("XOF: 3300", "XOF: 3301", [("amount_not_payable", "packs.small.prices.XOF")]),
        ("EUR: 1,", "EUR: 0.49,", [("amount_not_payable", "sale_types.ticket.minimum.EUR")]),
        ("rates", "refunds: full\nrates", [("cheap_path", "buy large, refund")]),
    ],
)  # fmt: skip
def test_each_mistake_is_found_alone(old: str, new: str, findings: list[tuple[str, str]]) -> None:
    assert old in CLEAN
    assert sorted(set(found(CLEAN.replace(old, new)))) == sorted(set(findings))


def test_packs_below_their_real_cost_are_found() -> None:
    text = (
        "packs:\n" + pack("small", 100, "EUR: 0.99") + "costs:\n  a: {label: {en: A}, fixed: 1, real_cost: 0.01 EUR}\n"
    )
    (finding,) = audit.audit(shop(text))
    assert (finding.kind, finding.figures["markup_percent"], finding.figures["margin_percent"]) == (
        "pack_below_cost",
        "-1.0",
        "-1.0",
    )


@pytest.mark.parametrize(
    ("other", "dominated"),
    [
        (("other", 100, "EUR: 5"), ["other"]),  # a twin: the later one is superfluous
        (("other", 101, "EUR: 5"), ["small"]),
        (("other", 100, "EUR: 4.99"), ["small"]),
        (("other", 50, "EUR: 2.50"), ["small"]),  # twice the half, for no more money
        (("other", 50, "EUR: 2.51"), []),
        (("other", 100, "XOF: 100"), []),
        (("other", 300, "EUR: 15.01"), ["other"]),
        (("other", 300, "EUR: 14.99"), []),
    ],
)
def test_domination_is_at_least_as_much_for_no_more(other: tuple[str, int, str], dominated: list[str]) -> None:
    text = "packs:\n" + pack("small", 100, "EUR: 5") + pack(*other)
    assert [each.subject for each in audit.audit(shop(text))] == dominated


def test_pack_that_expires_sooner_dominates_nothing_that_lasts() -> None:
    lasting, fleeting = pack("lasting", 100, "EUR: 5"), pack("fleeting", 100, "EUR: 4", ", expires_after_days: 30")
    assert found("packs:\n" + lasting + fleeting) == []
    lasting = pack("lasting", 100, "EUR: 5", ", expires_after_days: 30")
    assert found("packs:\n" + lasting + fleeting) == [("dominated_pack", "lasting")]


def test_tolerances_say_what_is_still_good_business() -> None:
    dearer = CLEAN.replace("XOF: 3300", "XOF: 3200")
    assert found(dearer, currency_percent=Fraction(3)) == []
    cheap = CLEAN.replace("amount: 90", "amount: 150")
    assert found(cheap, times_cheaper=Fraction(3)) == []
    assert found(CLEAN, currency_percent=Fraction(0)) != []


def test_what_cannot_be_judged_is_said() -> None:
    text = CLEAN.replace("rates: {EUR/XOF: 655.957}\n", "").replace(", real_cost: 0.001 EUR", "")
    assert audit.notes(shop(text)) == [
        "no real cost is known for level: no margin was computed",
        "no rate is known for EUR/XOF: prices were not compared",
    ]


def test_what_cannot_be_judged_is_no_finding() -> None:
    text = CLEAN.replace("rates: {EUR/XOF: 655.957}\n", "").replace(", fair_use: 2000", "")
    for cost in ("0.04", "0.001"):
        text = text.replace(f", real_cost: {cost} EUR", "")
    assert list(audit.audit(shop(text))) == []


# ---------------------------------------------------------------- the command


def run(*arguments: str) -> tuple[str, str]:
    out = StringIO()
    try:
        call_command("audit_catalogue", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


def test_command_prints_findings_and_fails() -> None:
    out, error = run("companion-tokens")
    assert "4.8 times cheaper than the best pack (mega, 0.0222)" in out
    assert "a mark-up of −42 %" in out  # noqa: RUF001 - the true minus sign
    assert error == "6 findings."


def test_command_passes_a_clean_file(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("catalogue: shop\ntitle: {en: Shop}\n" + CLEAN, encoding="utf-8")
    assert run(str(path)) == ("shop: nothing found\n", "")


def test_command_counts_a_single_finding(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    dominated = "packs:\n" + pack("small", 100, "EUR: 5") + pack("other", 100, "EUR: 4.99")
    path.write_text("catalogue: shop\ntitle: {en: Shop}\n" + dominated, encoding="utf-8")
    out, error = run(str(path))
    assert (out.splitlines()[0], error) == ("shop: 1 found", "1 finding.")


def test_command_tells_json(tmp_path: Path) -> None:
    out, error = run("--json", "companion-tokens", "image-credits")
    told = json.loads(out)
    assert {each["kind"] for each in told["findings"]} == {"plan_below_cost", "plan_without_limit", "cheap_path"}
    assert told["notes"]["image-credits"] == ["no real cost is known for image.generate: no margin was computed"]
    assert error == "6 findings."


def test_command_takes_tolerances_and_the_whole_house() -> None:
    out, error = run("--times-cheaper", "5", "companion-tokens")
    assert ("cheap_path" in out, error) == (False, "4 findings.")
    out, error = run("--together")
    assert ("dominated_pack: ai-1000" in out, error) == (True, "12 findings.")


@pytest.mark.parametrize("arguments", [["nowhere"], ["nowhere.yaml"], ["--times-cheaper", "x"], ["--times-cheaper=-1"]])
def test_command_refuses_what_it_cannot_read(arguments: list[str]) -> None:
    out, error = run(*arguments)
    assert (out, bool(error)) == ("", True)
