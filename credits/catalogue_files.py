"""A catalogue as a team writes it: one YAML file that says what is sold, what it costs, and what plans give.

Packs, costs and grant rules are seeded by credits.seeding. Plans, sale types and seller kinds are checked here and
seeded by the apps that own them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from django.conf import settings

from credits import commission_files, coupon_files, payable
from credits.commission_files import CommissionEntry
from credits.costs import Terms
from credits.coupon_files import CouponEntry
from credits.errors import CatalogueMistake
from credits.models import CatchUp, CostKind, Every
from credits.models.catalogue import CODE, UNIT
from credits.yaml_sections import Section, open_file
from ledger import money
from ledger.money import CREDIT, Money

INTERVALS = ["week", "month", "year"]
REFUNDS = ["unspent", "none", "proportional", "full"]
UNLIMITED = "unlimited"
DAYS = 36_500  # a century; longer means never
TRIAL_DAYS = 730  # as long as Stripe allows
KINDS = {"packs": "pack", "costs": "action", "grant_rules": "grant rule", "plans": "plan", "sale_types": "sale type",
         "seller_kinds": "seller kind", "commission_rules": "commission rule", "coupons": "coupon"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A text in both languages; French may be empty and falls back to English."""

    en: str
    fr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitName:
    """What one credit of a catalogue is called, and many: `jeton`, `jetons`."""

    one: Words
    many: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class PackEntry:
    name: Words
    description: Words
    credits: int
    bonus: int
    expires_after_days: int | None
    bonus_expires_after_days: int | None
    position: int
    prices: dict[str, Money]

    @property
    def total(self) -> int:
        return self.credits + self.bonus


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEntry:
    amount: int
    every: str
    expires_after_days: int | None
    expires_at_next: bool
    rollover_cap: int | None
    catch_up: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEntry:
    """`prices` by interval and currency; `fair_use` is how many credits a month an unlimited plan may really take."""

    name: Words
    description: Words
    position: int
    prices: dict[str, dict[str, Money]]
    grants: tuple[str, ...]
    unlimited: bool
    fair_use: int | None
    trial_days: int
    features: tuple[Words, ...]
    entitlements: dict[str, int | bool | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleTypeEntry:
    label: Words
    minimum: dict[str, Money]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A whole file, checked. `rates` are used by audits only: (EUR, XOF) is how many francs a euro is."""

    code: str
    title: Words
    unit: str
    unit_name: UnitName | None = None
    refunds: str
    rates: dict[tuple[str, str], Fraction]
    packs: dict[str, PackEntry]
    costs: dict[str, Terms]
    grant_rules: dict[str, RuleEntry]
    plans: dict[str, PlanEntry]
    sale_types: dict[str, SaleTypeEntry]
    seller_kinds: dict[str, Words]
    commission_rules: dict[str, CommissionEntry]
    coupons: dict[str, CouponEntry]
    file: str = field(compare=False)
    lines: dict[str, int] = field(compare=False, repr=False)

    def place(self, path: str) -> str:
        return f"{self.file}:{self.lines.get(path, 1)}: {path}"

    def amounts(self) -> Iterable[tuple[str, Money]]:
        """Every amount that somebody will be asked to pay, with its path in the file."""
        for code, pack in self.packs.items():
            for currency, price in pack.prices.items():
                yield f"packs.{code}.prices.{currency}", price
        for code, plan in self.plans.items():
            for interval, prices in plan.prices.items():
                for currency, price in prices.items():
                    yield f"plans.{code}.prices.{interval}.{currency}", price
        for code, sale_type in self.sale_types.items():
            for currency, price in sale_type.minimum.items():
                yield f"sale_types.{code}.minimum.{currency}", price


# ---------------------------------------------------------------- from files


def names() -> list[str]:
    """The catalogues there are, by name."""
    return sorted(path.stem for path in Path(settings.CATALOGUES_DIR).glob("*.yaml"))


def named(name: str) -> Catalogue:
    if name not in names():
        raise CatalogueMistake([f"There is no catalogue {name!r}. There are: {', '.join(names()) or 'none'}."])
    return load(Path(settings.CATALOGUES_DIR) / f"{name}.yaml")


def read(name_or_path: str) -> Catalogue:
    """For commands: a file when it looks like one, else one of the catalogues by its name."""
    return load(Path(name_or_path)) if name_or_path.endswith((".yaml", ".yml")) else named(name_or_path)


def every() -> list[Catalogue]:
    return [named(name) for name in names()]


def load(path: Path) -> Catalogue:
    """Read one file; every mistake in it is told at once."""
    top = open_file(path, wanted="`catalogue: name` and the sections packs, costs and so on")
    catalogue = _catalogue(top, path)
    top.close()
    top.report.raise_if_any()
    return catalogue


def refuse_shared_codes(catalogues: Iterable[Catalogue]) -> None:
    """A code is said without its catalogue, so it may stand in one file only."""
    owner: dict[tuple[str, str], Catalogue] = {}
    mistakes = []
    for catalogue in catalogues:
        for section, kind in KINDS.items():
            for code in getattr(catalogue, section):
                first = owner.setdefault((section, code), catalogue)
                if first is not catalogue:
                    mistakes.append(
                        f"{catalogue.place(f'{section}.{code}')}: the {kind} {code!r} stands in "
                        f"{first.file} already; write another code, for example {catalogue.code}-{code}"
                    )
    if mistakes:
        raise CatalogueMistake(mistakes)


def refuse_unpayable_amounts(catalogue: Catalogue) -> None:
    """An amount that a gateway cannot take is refused before it is on sale, with the nearest it can take."""
    mistakes = []
    for path, amount in catalogue.amounts():
        if reasons := payable.refusals(amount):
            legal = " or ".join(money.plain(each) for each in payable.nearest(amount))
            mistakes.append(f"{catalogue.place(path)}: {amount} cannot be paid: {'; '.join(reasons)}; write {legal}")
    if mistakes:
        raise CatalogueMistake(mistakes)


# ---------------------------------------------------------------- section by section


def _catalogue(top: Section, path: Path) -> Catalogue:
    code = top.text("catalogue", pattern=CODE, example=path.stem)
    if code != path.stem:
        top.refuse("catalogue", f"the file is called {path.name}; write {path.stem}")
    unit = top.text("unit", default=CREDIT, pattern=UNIT, example=CREDIT)
    rules = {name: _rule(each) for name, each in top.sections("grant_rules", CODE, "premium-weekly")}
    sale_types = {
        name: SaleTypeEntry(label=_words(each.section("label")), minimum=_prices(each.section("minimum")))
        for name, each in top.sections("sale_types", CODE, "ticket_sale")
    }
    seller_kinds = {
        name: _words(each.section("label")) for name, each in top.sections("seller_kinds", CODE, "organizer")
    }
    packs = {
        name: _pack(each, position)
        for position, (name, each) in enumerate(top.sections("packs", CODE, "small"), start=1)
    }
    plans = {
        name: _plan(each, position, rules)
        for position, (name, each) in enumerate(top.sections("plans", CODE, "premium"), start=1)
    }
    return Catalogue(
        code=code,
        title=_words(top.section("title")),
        unit=unit,
        unit_name=_unit_name(top.section("unit_name")) if top.has("unit_name") else None,
        refunds=top.choice("refunds", REFUNDS, default=REFUNDS[0]),
        rates=_rates(top.section("rates")),
        packs=packs,
        costs={name: _terms(each, code, unit) for name, each in top.sections("costs", CODE, "image.generate")},
        grant_rules=rules,
        plans=plans,
        sale_types=sale_types,
        seller_kinds=seller_kinds,
        commission_rules={
            name: commission_files.read(each, list(sale_types), list(seller_kinds))
            for name, each in top.sections("commission_rules", CODE, "ticket-sales")
        },
        coupons={
            name: coupon_files.read(each, list(packs), list(plans))
            for name, each in top.sections("coupons", coupon_files.CODE, "WELCOME10")
        },
        file=path.name,
        lines=top.report.lines,
    )


def _words(section: Section, *, required: bool = True, longest: int = 100) -> Words:
    found = Words(
        en=section.text("en", default=None if required else "", example="Small pack", longest=longest),
        fr=section.text("fr", default="", longest=longest),
    )
    section.close()
    return found


def _unit_name(section: Section) -> UnitName:
    found = UnitName(one=_words(section.section("one"), longest=30), many=_words(section.section("many"), longest=30))
    section.close()
    return found


def _prices(section: Section, *, required: bool = False) -> dict[str, Money]:
    found = {}
    for currency in section.names():
        if money.is_currency(currency):
            found[currency] = section.amount(currency, currency)
        else:
            section.refuse(currency, "is no currency of ISO 4217; write for example EUR")
    if required and not section.nodes:
        section.refuse("", "says no price; write for example `EUR: 9.99`")
    return found


def _rates(section: Section) -> dict[tuple[str, str], Fraction]:
    found: dict[tuple[str, str], Fraction] = {}
    for pair in section.names():
        base, _, quote = pair.partition("/")
        if not (money.is_currency(base) and money.is_currency(quote)):
            section.refuse(pair, "is no pair of currencies; write for example `EUR/XOF: 655.957`")
            continue
        found[base, quote] = Fraction(section.decimal(pair))
    return found


def _pack(section: Section, position: int) -> PackEntry:
    return PackEntry(
        name=_words(section.section("name")),
        description=_words(section.section("description"), required=False, longest=300),
        credits=section.count("credits"),
        bonus=section.count("bonus", default=0, minimum=0),
        expires_after_days=section.whole("expires_after_days", maximum=DAYS),
        bonus_expires_after_days=section.whole("bonus_expires_after_days", maximum=DAYS),
        position=position,
        prices=_prices(section.section("prices"), required=True),
    )


def _terms(section: Section, catalogue: str, unit: str) -> Terms:
    label = _words(section.section("label"))
    said = [kind for kind in CostKind.values if section.has(kind)]
    amounts: dict[str, Any] = {}
    if len(said) != 1:
        section.refuse("", "say exactly one of `fixed: 5`, `per_unit: 2` or `between: [10, 50]`")
        said = [CostKind.FIXED.value]
    elif said == [CostKind.BETWEEN]:
        amounts["minimum"], amounts["maximum"] = section.two_wholes("between")
    else:
        amounts["amount"] = section.count(said[0])
    micros, currency = _real_cost(section)
    return Terms(
        catalogue=catalogue,
        kind=said[0],
        unit=unit,
        real_cost_micros=micros,
        real_cost_currency=currency,
        label_en=label.en,
        label_fr=label.fr,
        url_pattern=section.text("url", default="", pattern=r"/[\x21-\x7e]*", example="/api/ai/generate", longest=200),
        **amounts,
    )


def _real_cost(section: Section) -> tuple[int | None, str]:
    """What one use (or one unit) costs us, to the millionth."""
    found = section.text("real_cost", default="", pattern=r"[0-9]{1,9}(\.[0-9]{1,6})? [A-Z]{3}", example="0.04 EUR")
    if not found:
        return None, ""
    number, _, currency = found.partition(" ")
    if not money.is_currency(currency):
        section.refuse("real_cost", f"{currency!r} is no currency of ISO 4217; write for example 0.04 EUR")
        return None, ""
    whole, _, decimals = number.partition(".")
    return int(whole + decimals.ljust(6, "0")[:6]), currency


def _rule(section: Section) -> RuleEntry:
    amount = section.count("amount")
    days = section.whole("expires_after_days", maximum=DAYS)
    at_next = section.flag("expires_at_next")
    if days is not None and at_next:
        section.refuse("expires_at_next", "contradicts expires_after_days; remove one")
    cap = section.whole("rollover_cap")
    if cap is not None and cap < amount:
        section.refuse("rollover_cap", f"is below one grant; write at least {amount}")
    return RuleEntry(
        amount=amount,
        every=section.choice("every", Every.values),
        expires_after_days=days,
        expires_at_next=at_next,
        rollover_cap=cap,
        catch_up=section.choice("catch_up", CatchUp.values, default=CatchUp.ALL),
    )


def _plan(section: Section, position: int, rules: dict[str, RuleEntry]) -> PlanEntry:
    grants = section.words("grants")
    for unknown in sorted(set(grants) - rules.keys()):
        known = ", ".join(rules) or "none"
        section.refuse("grants", f"{unknown!r} is no grant rule of this file; there are: {known}")
    unlimited = section.flag("unlimited")
    fair_use = section.whole("fair_use")
    if fair_use is not None and not unlimited:
        section.refuse("fair_use", "limits an unlimited plan; write `unlimited: true` too, or remove it")
    prices = section.section("prices")
    by_interval = {}
    for interval in prices.names():
        if interval not in INTERVALS:
            prices.refuse(interval, f"is no interval; write {' or '.join(INTERVALS)}")
        by_interval[interval] = _prices(prices.section(interval), required=True)
    if not by_interval:
        prices.refuse("", "says no price; write for example `month: {EUR: 9.99}`")
    return PlanEntry(
        name=_words(section.section("name")),
        description=_words(section.section("description"), required=False, longest=300),
        position=position,
        prices=by_interval,
        grants=tuple(grant for grant in grants if grant in rules),
        unlimited=unlimited,
        fair_use=fair_use,
        trial_days=section.whole("trial_days", maximum=TRIAL_DAYS) or 0,
        features=tuple(_words(each) for _, each in section.sections("features", CODE, "hd-photos")),
        entitlements=_entitlements(section.section("entitlements")),
    )


def _entitlements(section: Section) -> dict[str, int | bool | str]:
    found: dict[str, int | bool | str] = {}
    for name in section.names(CODE, "active_companions"):
        said = section.text(name, pattern=rf"true|false|{UNLIMITED}|[0-9]{{1,9}}", example=f"3, true or {UNLIMITED}")
        found[name] = int(said) if said.isdigit() else said == "true" if said in ("true", "false") else said
    return found
