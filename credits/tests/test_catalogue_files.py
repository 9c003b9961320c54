from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from credits import catalogue_files
from credits.catalogue_files import Catalogue, PackEntry, PlanEntry, RuleEntry, SaleTypeEntry, UnitName, Words
from credits.costs import Terms
from credits.errors import CatalogueMistake
from ledger import money
from ledger.money import Money


def written(tmp_path: Path, text: str, name: str = "shop") -> Path:
    path = tmp_path / f"{name}.yaml"
    path.write_text(f"catalogue: {name}\ntitle: {{en: Shop}}\n{text}", encoding="utf-8")
    return path


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(CatalogueMistake) as refusal:
        catalogue_files.load(written(tmp_path, text))
    return refusal.value.mistakes


# ---------------------------------------------------------------- the five shipped files


def test_five_systems_are_shipped() -> None:
    assert catalogue_files.names() == [
        "ai-credits",
        "companion-tokens",
        "dating-premium",
        "event-planner",
        "image-credits",
    ]


@pytest.mark.parametrize(
    ("catalogue", "code", "paid", "bonus", "prices"),
    [
        ("image-credits", "image-100", 100, 0, {"EUR": 999}),
        ("ai-credits", "ai-100", 100, 0, {"EUR": 1900}),
        ("ai-credits", "ai-500", 500, 0, {"EUR": 7900}),
        ("ai-credits", "ai-1000", 1000, 0, {"EUR": 13900}),
        ("companion-tokens", "small", 100, 0, {"EUR": 499, "XOF": 3250}),
        ("companion-tokens", "medium", 250, 25, {"EUR": 999, "XOF": 6550}),
        ("companion-tokens", "large", 600, 100, {"EUR": 1999, "XOF": 13100}),
        ("companion-tokens", "mega", 1500, 300, {"EUR": 3999, "XOF": 26250}),
    ],
)
def test_packs_are_those_of_the_five_systems(
    catalogue: str, code: str, paid: int, bonus: int, prices: dict[str, int]
) -> None:
    pack = catalogue_files.named(catalogue).packs[code]
    assert (pack.credits, pack.bonus) == (paid, bonus)
    assert {currency: price.minor for currency, price in pack.prices.items()} == prices


def test_actions_cost_what_the_five_systems_say() -> None:
    found = {
        action: (terms.amount or (terms.minimum, terms.maximum), terms.real_cost_micros, terms.url_pattern)
        for catalogue in catalogue_files.every()
        for action, terms in catalogue.costs.items()
    }
    assert found == {
        "image.generate": (1, None, ""),
        "ai.generate": (5, 40_000, "/api/ai/generate"),
        "3d.render_highres": (8, 20_000, "/api/3d/render-highres"),
        "photo.generate": (5, 40_000, ""),
        "video.generate": (15, None, ""),
        "game.skip_level": ((10, 50), None, ""),
        "scenario.unlock": (20, None, ""),
    }


def test_francs_are_euros_at_the_parity_rounded_to_fifty() -> None:
    companion = catalogue_files.named("companion-tokens")
    priced = [pack.prices for pack in companion.packs.values()]
    priced += [prices for plan in companion.plans.values() for prices in plan.prices.values()]
    for prices in priced:
        exact = Fraction(prices["EUR"].minor, 100) * companion.rates["EUR", "XOF"]
        assert prices["XOF"].minor == round(exact / 50) * 50


def test_plans_and_marketplace_are_those_of_the_five_systems() -> None:
    companion = catalogue_files.named("companion-tokens")
    premium, elite = companion.plans["premium"], companion.plans["elite"]
    assert (premium.prices["month"]["EUR"], premium.grants) == (Money(999, "EUR"), ("premium-weekly",))
    assert (elite.prices["month"]["EUR"], elite.unlimited) == (Money(1999, "EUR"), True)
    assert (premium.entitlements["active_companions"], elite.entitlements["active_companions"]) == (3, "unlimited")
    rule = companion.grant_rules["premium-weekly"]
    assert (rule.amount, rule.every) == (500, "week")
    assert list(catalogue_files.named("dating-premium").plans["dating-premium"].prices) == ["month", "year"]
    event = catalogue_files.named("event-planner")
    assert (list(event.sale_types), list(event.seller_kinds)) == (
        ["ticket_sale", "template_sale"],
        ["organizer", "designer"],
    )


def test_shipped_files_may_stand_together_and_can_be_paid() -> None:
    catalogue_files.refuse_shared_codes(catalogue_files.every())
    for catalogue in catalogue_files.every():
        catalogue_files.refuse_unpayable_amounts(catalogue)


# ---------------------------------------------------------------- mistakes


PACK = "packs:\n  small:\n    name: {en: Small}\n    credits: 100\n    prices: {EUR: 4.99}\n"
COST = "costs:\n  photo:\n    label: {en: Photo}\n    fixed: 5\n"
RULE = "grant_rules:\n  weekly:\n    amount: 500\n    every: week\n"
PLAN = "plans:\n  premium:\n    name: {en: Premium}\n    prices:\n      month: {EUR: 9.99}\n"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (PACK.replace("100", "lots"), "shop.yaml:6: packs.small.credits: 'lots' does not fit; write a whole number"),
        (PACK.replace("100", "0"), "shop.yaml:6: packs.small.credits: '0' does not fit"),
        (PACK.replace("100", "-5"), "shop.yaml:6: packs.small.credits: '-5' does not fit"),
        (PACK.replace("100", "1.5"), "shop.yaml:6: packs.small.credits: '1.5' does not fit"),
        (PACK.replace("100", "1e3"), "shop.yaml:6: packs.small.credits: '1e3' does not fit"),
        (PACK.replace("100", "9" * 17), "shop.yaml:6: packs.small.credits"),
        (PACK.replace("    credits: 100\n", ""), "packs.small.credits: is missing; write for example `credits: 100`"),
        (PACK.replace("4.99", "9.995"), "shop.yaml:7: packs.small.prices.EUR: 9.995 has 3 decimals; EUR has 2. Write 9.99 or 10.00."),  # noqa: E501
        (PACK.replace("EUR: 4.99", "XOF: 999.5"), "Write 999 or 1000."),
        (PACK.replace("4.99", "0"), "packs.small.prices.EUR: 0 is out of range"),
        (PACK.replace("4.99", ".nan"), "packs.small.prices.EUR: '.nan' is not a decimal number"),
        (PACK.replace("EUR", "EURO"), "packs.small.prices.EURO: is no currency of ISO 4217; write for example EUR"),
        (PACK.replace("    prices: {EUR: 4.99}\n", ""), "packs.small.prices: says no price"),
        (PACK.replace("{EUR: 4.99}", "[4.99]"), "packs.small.prices: write `key: value` lines here"),
        (PACK + "    colour: blue\n", "shop.yaml:8: packs.small.colour: is not known; known here: bonus"),
        (PACK + "    credits: 5\n", "shop.yaml:8: packs.small.credits: stands here twice"),
        (PACK + "    expires_after_days: 99999\n", "shop.yaml:8: packs.small.expires_after_days"),
        (PACK.replace("small", "Small!"), "packs.Small!: 'Small!' is not a good name here; write for example small"),
        (PACK.replace("{en: Small}", "{fr: Petit}"), "packs.small.name.en: is missing"),
        (PACK.replace("{en: Small}", "{en: " + "x" * 101 + "}"), "has 101 characters; write at most 100"),
        ("refunds: maybe\n", "shop.yaml:3: refunds: 'maybe' is not known; write unspent or none"),
        ("unit: EUR\n", "shop.yaml:3: unit: 'EUR' does not fit; write for example CREDIT"),
        ("unit: [a]\n", "shop.yaml:3: unit: write one value here"),
        ("rates: {EUR-XOF: 655.957}\n", "rates.EUR-XOF: is no pair of currencies; write for example `EUR/XOF"),
        ("rates: {EUR/XOF: 0}\n", "rates.EUR/XOF: '0' is not a positive decimal number"),
        ("prices: {}\n", "shop.yaml:3: prices: is not known; known here: catalogue, commission_rules"),
        (COST + "    per_unit: 2\n", "costs.photo: say exactly one of `fixed: 5`"),
        (COST.replace("    fixed: 5\n", ""), "costs.photo: say exactly one of `fixed: 5`"),
        (COST.replace("fixed: 5", "between: [50, 10]"), "costs.photo.between: the minimum comes first; write [10, 50]"),
        (COST.replace("fixed: 5", "between: [10]"), "costs.photo.between: write the minimum and the maximum"),
        (COST.replace("fixed: 5", "between: 10"), "costs.photo.between: write a list"),
        (COST + "    real_cost: 0.04\n", "costs.photo.real_cost: '0.04' does not fit; write for example 0.04 EUR"),
        (COST + "    real_cost: 0.04 ABC\n", "costs.photo.real_cost: 'ABC' is no currency"),
        (COST + "    url: api/photo\n", "costs.photo.url: 'api/photo' does not fit; write for example /api/"),
        (RULE.replace("week\n", "fortnight\n"), "grant_rules.weekly.every: 'fortnight' is not known; write week or month"),  # noqa: E501
        (RULE + "    rollover_cap: 499\n", "grant_rules.weekly.rollover_cap: is below one grant; write at least 500"),
        (RULE + "    expires_after_days: 7\n    expires_at_next: true\n", "contradicts expires_after_days; remove one"),
        (RULE + "    expires_at_next: yes\n", "grant_rules.weekly.expires_at_next: 'yes' is neither true nor false"),
        (PLAN + "    grants: [weekly]\n", "plans.premium.grants: 'weekly' is no grant rule of this file"),
        (PLAN.replace("month", "fortnight"), "plans.premium.prices.fortnight: is no interval; write week or month"),
        (PLAN.replace("      month: {EUR: 9.99}\n", ""), "plans.premium.prices: says no price"),
        (PLAN + "    fair_use: 100\n", "plans.premium.fair_use: limits an unlimited plan"),
        (PLAN + "    entitlements: {hd: maybe}\n", "plans.premium.entitlements.hd: 'maybe' does not fit"),
    ],
)  # fmt: skip
def test_mistake_names_file_line_path_and_what_to_write(tmp_path: Path, text: str, mistake: str) -> None:
    found = mistakes(tmp_path, text)
    assert len(found) == 1, found
    assert mistake in found[0]
    assert found[0].startswith("shop.yaml:")


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    found = mistakes(tmp_path, PACK.replace("100", "lots").replace("4.99", "9.995") + "colour: blue\n")
    assert [each.split(": ")[0] for each in found] == ["shop.yaml:6", "shop.yaml:7", "shop.yaml:8"]


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        (b"catalogue: [", "shop.yaml:1: is not YAML"),
        (b"", "shop.yaml:1: write `catalogue: name`"),
        (b"- one\n", "shop.yaml:1: write `catalogue: name`"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"a: \x00\n", "is not YAML"),
        (b"catalogue: other\ntitle: {en: Shop}\n", "shop.yaml:1: catalogue: the file is called shop.yaml; write shop"),
    ],
)
def test_what_is_no_catalogue_at_all_is_refused(tmp_path: Path, content: bytes, mistake: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes(content)
    with pytest.raises(CatalogueMistake) as refusal:
        catalogue_files.load(path)
    assert mistake in refusal.value.mistakes[0]


def test_missing_file_and_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogueMistake, match="cannot be read"):
        catalogue_files.load(tmp_path / "none.yaml")
    with pytest.raises(CatalogueMistake, match="There are: ai-credits, companion-tokens"):
        catalogue_files.named("../conftest")


@pytest.mark.parametrize(("text", "kind"), [(PACK, "pack 'small'"), (COST, "action 'photo'"), (PLAN, "plan 'premium'")])
def test_code_in_two_files_is_refused(tmp_path: Path, text: str, kind: str) -> None:
    both = [catalogue_files.load(written(tmp_path, text, name)) for name in ("shop", "stall")]
    with pytest.raises(CatalogueMistake) as refusal:
        catalogue_files.refuse_shared_codes(both)
    assert refusal.value.mistakes[0].startswith("stall.yaml:4: ")
    assert f"the {kind} stands in shop.yaml already; write another code, for example stall-" in str(refusal.value)


def test_amounts_no_gateway_could_take_are_refused_with_the_nearest(tmp_path: Path) -> None:
    text = PACK.replace("EUR: 4.99", "XOF: 999") + PLAN.replace("9.99", "0.49")
    with pytest.raises(CatalogueMistake) as refusal:
        catalogue_files.refuse_unpayable_amounts(catalogue_files.load(written(tmp_path, text)))
    assert refusal.value.mistakes == [
        "shop.yaml:7: packs.small.prices.XOF: 999 XOF cannot be paid: cinetpay takes multiples of 5 XOF; "
        "write 995 or 1000",
        "shop.yaml:12: plans.premium.prices.month.EUR: 0.49 EUR cannot be paid: stripe takes at least 0.50 EUR; "
        "write 0.50",
    ]


# ---------------------------------------------------------------- there and back


CODES = st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,2}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=60).filter(
    lambda text: text == text.strip()
)
WORDS = st.builds(Words, en=TEXTS, fr=st.just("") | TEXTS)
SHORT_WORDS = st.builds(Words, en=TEXTS.map(lambda text: text[:30].strip() or "a"), fr=st.just(""))
AMOUNTS = st.integers(1, 10**15)
PRICES = st.dictionaries(st.sampled_from(["EUR", "XOF", "KWD", "JPY"]), AMOUNTS, min_size=1).map(
    lambda found: {currency: Money(minor, currency) for currency, minor in found.items()}
)
DAYS = st.none() | st.integers(1, 36_500)


@st.composite
def catalogues(draw: Any) -> Catalogue:
    unit = draw(st.sampled_from(["CREDIT", "TOKENS", "SPARK_2"]))
    packs = {
        code: PackEntry(
            name=draw(WORDS),
            description=draw(WORDS),
            credits=draw(AMOUNTS),
            bonus=draw(st.integers(0, 10**15)),
            expires_after_days=draw(DAYS),
            bonus_expires_after_days=draw(DAYS),
            position=position,
            prices=draw(PRICES),
        )
        for position, code in enumerate(draw(st.lists(CODES, unique=True, max_size=3)), start=1)
    }
    rules = {code: draw(rule_entries()) for code in draw(st.lists(CODES, unique=True, max_size=2))}
    plans = {
        code: PlanEntry(
            name=draw(WORDS),
            description=draw(WORDS),
            position=position,
            prices=draw(st.dictionaries(st.sampled_from(["week", "month", "year"]), PRICES, min_size=1)),
            grants=tuple(rules),
            unlimited=True,
            fair_use=draw(st.none() | AMOUNTS),
            trial_days=draw(st.integers(0, catalogue_files.TRIAL_DAYS)),
            features=tuple(draw(st.lists(WORDS, max_size=2))),
            entitlements=draw(
                st.dictionaries(CODES, st.booleans() | st.integers(0, 10**9 - 1) | st.just("unlimited"), max_size=3)
            ),
        )
        for position, code in enumerate(draw(st.lists(CODES, unique=True, max_size=2)), start=1)
    }
    return Catalogue(
        code="shop",
        title=draw(WORDS),
        unit=unit,
        unit_name=draw(st.none() | st.builds(UnitName, one=SHORT_WORDS, many=SHORT_WORDS)),
        refunds=draw(st.sampled_from(catalogue_files.REFUNDS)),
        rates={("EUR", "XOF"): Fraction(655_957, 1000)},
        packs=packs,
        costs={code: draw(terms(unit)) for code in draw(st.lists(CODES, unique=True, max_size=3))},
        grant_rules=rules,
        plans=plans,
        sale_types={"ticket": SaleTypeEntry(label=draw(WORDS), minimum=draw(PRICES))},
        seller_kinds={"organizer": draw(WORDS)},
        commission_rules={},
        coupons={},
        file="shop.yaml",
        lines={},
    )


@st.composite
def rule_entries(draw: Any) -> RuleEntry:
    amount, days = draw(AMOUNTS), draw(DAYS)
    return RuleEntry(
        amount=amount,
        every=draw(st.sampled_from(["week", "month"])),
        expires_after_days=days,
        expires_at_next=draw(st.booleans()) if days is None else False,
        rollover_cap=draw(st.none() | st.integers(amount, 10**15)),
        catch_up=draw(st.sampled_from(["all", "last", "none"])),
    )


@st.composite
def terms(draw: Any, unit: str) -> Terms:
    words = draw(WORDS)
    known: dict[str, Any] = {"catalogue": "shop", "unit": unit, "label_en": words.en, "label_fr": words.fr}
    if draw(st.booleans()):
        known |= {"real_cost_micros": draw(st.integers(0, 10**12)), "real_cost_currency": "EUR"}
    low, high = sorted((draw(AMOUNTS), draw(AMOUNTS)))
    kind = draw(st.sampled_from(["fixed", "per_unit", "between"]))
    known |= {"minimum": low, "maximum": high} if kind == "between" else {"amount": low}
    return Terms(kind=kind, url_pattern=draw(st.sampled_from(["", "/api/ai/*"])), **known)


def as_data(catalogue: Catalogue) -> dict[str, Any]:
    """The file that says this catalogue, as plain data; all numbers as text, as a careful author may quote them."""

    def words(known: Words) -> dict[str, str]:
        return {language: text for language, text in (("en", known.en), ("fr", known.fr)) if text}

    def prices(known: dict[str, Money]) -> dict[str, str]:
        return {currency: money.plain(price) for currency, price in known.items()}

    def facts(entry: Any, *names: str) -> dict[str, str]:
        said = {name: getattr(entry, name) for name in names}
        return {name: str(value).lower() for name, value in said.items() if value not in (None, False)}

    def cost(known: Terms) -> dict[str, Any]:
        data: dict[str, Any] = {"label": words(Words(en=known.label_en, fr=known.label_fr))}
        data[known.kind] = known.amount or [known.minimum, known.maximum]
        if known.real_cost_micros is not None:
            whole, micros = divmod(known.real_cost_micros, 10**6)
            data["real_cost"] = f"{whole}.{micros:06} {known.real_cost_currency}"
        return data | ({"url": known.url_pattern} if known.url_pattern else {})

    named = catalogue.unit_name
    name = {"unit_name": {"one": words(named.one), "many": words(named.many)}} if named else {}
    return {
        "catalogue": catalogue.code,
        "title": words(catalogue.title),
        "unit": catalogue.unit,
        **name,
        "refunds": catalogue.refunds,
        "rates": {"/".join(pair): str(float(rate)) for pair, rate in catalogue.rates.items()},
        "packs": {
            code: facts(pack, "credits", "bonus", "expires_after_days", "bonus_expires_after_days")
            | {"name": words(pack.name), "description": words(pack.description), "prices": prices(pack.prices)}
            for code, pack in catalogue.packs.items()
        },
        "costs": {code: cost(known) for code, known in catalogue.costs.items()},
        "grant_rules": {
            code: facts(rule, "amount", "every", "expires_after_days", "expires_at_next", "rollover_cap", "catch_up")
            for code, rule in catalogue.grant_rules.items()
        },
        "plans": {
            code: facts(plan, "unlimited", "fair_use", "trial_days")
            | {"name": words(plan.name), "description": words(plan.description), "grants": list(plan.grants)}
            | {"prices": {interval: prices(each) for interval, each in plan.prices.items()}}
            | {"features": {f"f{number}": words(each) for number, each in enumerate(plan.features)}}
            | {"entitlements": {name: str(value).lower() for name, value in plan.entitlements.items()}}
            for code, plan in catalogue.plans.items()
        },
        "sale_types": {
            code: {"label": words(each.label), "minimum": prices(each.minimum)}
            for code, each in catalogue.sale_types.items()
        },
        "seller_kinds": {code: {"label": words(each)} for code, each in catalogue.seller_kinds.items()},
    }


@given(catalogue=catalogues())
def test_whatever_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> None:
    path = tmp_path_factory.mktemp("round") / "shop.yaml"
    path.write_text(yaml.safe_dump(as_data(catalogue), allow_unicode=True, sort_keys=False), encoding="utf-8")
    assert catalogue_files.load(path) == catalogue
