"""What is wrong with a catalogue as business: findings, each with the figures that prove it."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import reduce

from credits import cheapest_paths, margins, payable
from credits.catalogue_files import Catalogue, PackEntry
from credits.cheapest_paths import Choice
from credits.models import Cost
from ledger.money import Money, exponent

FOREVER = 10**9  # days


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What is still good business."""

    currency_percent: Fraction = Fraction(2)  # rounding prices to what people like to see
    times_cheaper: Fraction = Fraction(2)  # a plan may be cheaper than the best pack, up to so many times


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a team should change or knowingly accept. Figures are exact decimal texts or whole numbers."""

    kind: str
    catalogue: str
    subject: str
    text: str
    figures: dict[str, str | int] = field(default_factory=dict)


def audit(catalogue: Catalogue, tolerance: Tolerance | None = None) -> list[Finding]:
    """Everything found in one shop, in the order of the docs."""
    within = tolerance or Tolerance()
    return [
        *_dominated_packs(catalogue),
        *_below_cost(catalogue),
        *_unlimited(catalogue),
        *_cheap_paths(catalogue, within),
        *_inversions(catalogue, within),
        *_not_payable(catalogue),
    ]


def together(catalogues: Iterable[Catalogue]) -> list[Catalogue]:
    """Catalogues that share a unit as one shop: what is bought in one can be spent in another."""
    shops: dict[str, list[Catalogue]] = {}
    for catalogue in catalogues:
        shops.setdefault(catalogue.unit, []).append(catalogue)
    return [reduce(_merged, shop) for shop in shops.values()]


def notes(catalogue: Catalogue) -> list[str]:
    """What could not be judged, so that silence is not taken for health."""
    blind = [action for action, terms in catalogue.costs.items() if terms.real_cost_micros is None]
    sold_in = sorted({price.unit for _, price in catalogue.amounts()})
    pairs = [
        f"{base}/{quote}"
        for number, base in enumerate(sold_in)
        for quote in sold_in[number + 1 :]
        if margins.rate_between(base, quote, catalogue.rates) is None
    ]
    said = [f"no real cost is known for {', '.join(blind)}: no margin was computed"] if blind else []
    return said + ([f"no rate is known for {', '.join(pairs)}: prices were not compared"] if pairs else [])


def _merged(one: Catalogue, other: Catalogue) -> Catalogue:
    # The later a policy stands in the list, the more it gives away.
    order = ["none", "unspent", "proportional", "full"]
    return replace(
        one,
        code=f"{one.code}+{other.code}",
        refunds=max(one.refunds, other.refunds, key=order.index),
        rates=one.rates | other.rates,
        packs=one.packs | other.packs,
        costs=one.costs | other.costs,
        grant_rules=one.grant_rules | other.grant_rules,
        plans=one.plans | other.plans,
        sale_types=one.sale_types | other.sale_types,
        seller_kinds=one.seller_kinds | other.seller_kinds,
        lines={},
    )


# ---------------------------------------------------------------- packs against packs


def _dominated_packs(catalogue: Catalogue) -> Iterator[Finding]:
    for currency in _currencies(catalogue):
        sold = {code: pack for code, pack in catalogue.packs.items() if currency in pack.prices}
        for code, pack in sold.items():
            price = pack.prices[currency]
            rivals = [
                Choice(code=other, credits=each.total, price_minor=each.prices[currency].minor)
                for other, each in sold.items()
                if other != code and _lasts(each) >= _promises(pack)
            ]
            best = cheapest_paths.cheapest_combination(rivals, pack.total, price.minor)
            if best is None:
                continue
            if (best.price_minor, best.credits) == (price.minor, pack.total) and _is_earlier_twin(
                code, best.counts, sold
            ):
                continue  # of two equal packs only the later one is superfluous
            instead = Money(best.price_minor, currency)
            yield Finding(
                kind="dominated_pack",
                catalogue=catalogue.code,
                subject=code,
                text=f"{pack.total} credits for {price}, but {best} gives {best.credits} for {instead}",
                figures={"credits": pack.total, "price": str(price), "instead": str(best),
                         "instead_credits": best.credits, "instead_price": str(instead)},
            )  # fmt: skip


def _is_earlier_twin(code: str, counts: dict[str, int], sold: dict[str, PackEntry]) -> bool:
    (other, count), *more = counts.items()
    order = list(sold)
    return count == 1 and not more and order.index(code) < order.index(other)


def _lasts(pack: PackEntry) -> int:
    """The shortest life of what it gives."""
    lives = [pack.expires_after_days, pack.bonus_expires_after_days if pack.bonus else None]
    return min(life or FOREVER for life in lives)


def _promises(pack: PackEntry) -> int:
    return pack.expires_after_days or FOREVER


# ---------------------------------------------------------------- prices against real costs


def _below_cost(catalogue: Catalogue) -> Iterator[Finding]:
    for kind, subject, price, bought in _offers(catalogue):
        for action, cost in _costs(catalogue):
            found = margins.margin(price, bought, cost, rates=catalogue.rates)
            if found is None or found.revenue >= found.real_cost:
                continue
            revenue, real = (_figure(each, 4) for each in (found.revenue, found.real_cost))
            yield Finding(
                kind=f"{kind}_below_cost",
                catalogue=catalogue.code,
                subject=subject,
                text=f"{action} earns {revenue} {price.unit} and costs {real}: a mark-up of "
                f"{margins.percent(found.markup)}",
                figures={"action": action, "price": str(price), "credits": _figure(Fraction(bought), 0),
                         "revenue": revenue, "real_cost": real, "currency": price.unit,
                         "markup_percent": _figure((found.markup or 0) * 100, 1),
                         "margin_percent": _figure((found.rate or 0) * 100, 1)},
            )  # fmt: skip


def _offers(catalogue: Catalogue) -> Iterator[tuple[str, str, Money, int | Fraction]]:
    """All that gives a known number of credits for a price. An unlimited plan gives its fair use."""
    for code, pack in catalogue.packs.items():
        for price in pack.prices.values():
            yield "pack", code, price, pack.total
    for code, plan in catalogue.plans.items():
        for interval, prices in plan.prices.items():
            bought = cheapest_paths.credits_of_period(catalogue, plan, interval)
            if plan.unlimited:
                bought = Fraction((plan.fair_use or 0) * cheapest_paths.MONTHS[interval])
            if bought:
                yield from (("plan", f"{code} by the {interval}", price, bought) for price in prices.values())


def _unlimited(catalogue: Catalogue) -> Iterator[Finding]:
    for code, plan in catalogue.plans.items():
        if not plan.unlimited or plan.fair_use is not None:
            continue
        for interval, prices in plan.prices.items():
            for price in prices.values():
                covered = [
                    (margins.major(price) / found.real_cost / cheapest_paths.MONTHS[interval], action)
                    for action, cost in _costs(catalogue)
                    if (found := margins.margin(price, 1, cost, rates=catalogue.rates)) and found.real_cost
                ]
                if covered:
                    uses, action = min(covered)
                    yield Finding(
                        kind="plan_without_limit",
                        catalogue=catalogue.code,
                        subject=f"{code} by the {interval}",
                        text=f"unlimited for {price}, which pays for {int(uses)} times {action} a month; "
                        "say fair_use, or accept it",
                        figures={"price": str(price), "action": action, "uses_a_month": int(uses)},
                    )


def _costs(catalogue: Catalogue) -> Iterator[tuple[str, Cost]]:
    for action, terms in catalogue.costs.items():
        yield action, Cost(action=action, **asdict(terms))


# ---------------------------------------------------------------- the cheapest path to a credit


def _cheap_paths(catalogue: Catalogue, tolerance: Tolerance) -> Iterator[Finding]:
    for currency in _currencies(catalogue):
        sold = {code: pack for code, pack in catalogue.packs.items() if currency in pack.prices}
        path = cheapest_paths.cheapest_path(catalogue, currency)
        if path is None or not sold:
            continue
        best, rate = min(
            ((code, Fraction(pack.prices[currency].minor, pack.total)) for code, pack in sold.items()),
            key=lambda each: each[1],
        )
        if path.price_of_a_credit * tolerance.times_cheaper >= rate:
            continue
        scale = 10 ** exponent(currency)
        a_credit, of_pack = (_figure(each / scale, 4) for each in (path.price_of_a_credit, rate))
        free = path.paid_minor <= 0
        times = "free" if free else _figure(rate / path.price_of_a_credit, 1)
        how = "for nothing" if free else f"{times} times cheaper than the best pack"
        yield Finding(
            kind="cheap_path",
            catalogue=catalogue.code,
            subject=", ".join(path.acts),
            text=f"a credit for {a_credit} {currency}, {how} ({best}, {of_pack})",
            figures={"currency": currency, "price_of_a_credit": a_credit, "best_pack": best,
                     "price_of_a_credit_in_pack": of_pack, "times_cheaper": times,
                     "paid": _figure(path.paid_minor / scale, 2), "credits": _figure(path.credits, 2)},
        )  # fmt: skip


# ---------------------------------------------------------------- currencies and gateways


def _inversions(catalogue: Catalogue, tolerance: Tolerance) -> Iterator[Finding]:
    for subject, prices in _priced(catalogue):
        for number, base in enumerate(prices):
            for other in prices[number + 1 :]:
                rate = margins.rate_between(base.unit, other.unit, catalogue.rates)
                if rate is None:
                    continue
                expected = margins.major(base) * rate
                percent = (margins.major(other) - expected) / expected * 100
                if abs(percent) <= tolerance.currency_percent:
                    continue
                word = "cheaper" if percent < 0 else "dearer"
                digits = exponent(other.unit)
                yield Finding(
                    kind="price_inversion",
                    catalogue=catalogue.code,
                    subject=subject,
                    text=f"{other} is {_figure(abs(percent), 1)} % {word} than {base}, "
                    f"which is {_figure(expected, digits)} {other.unit}",
                    figures={"price": str(other), "base_price": str(base), "expected": _figure(expected, digits),
                             "percent": _figure(percent, 1)},
                )  # fmt: skip


def _priced(catalogue: Catalogue) -> Iterator[tuple[str, list[Money]]]:
    for code, pack in catalogue.packs.items():
        yield code, list(pack.prices.values())
    for code, plan in catalogue.plans.items():
        for interval, prices in plan.prices.items():
            yield f"{code} by the {interval}", list(prices.values())


def _not_payable(catalogue: Catalogue) -> Iterator[Finding]:
    for path, amount in catalogue.amounts():
        if reasons := payable.refusals(amount):
            nearest = " or ".join(str(each) for each in payable.nearest(amount))
            yield Finding(
                kind="amount_not_payable",
                catalogue=catalogue.code,
                subject=path,
                text=f"{amount}: {'; '.join(reasons)}; nearest {nearest}",
                figures={"amount": str(amount), "nearest": nearest},
            )


# ---------------------------------------------------------------- what they share


def _currencies(catalogue: Catalogue) -> list[str]:
    return sorted({price.unit for _, price in catalogue.amounts()})


def _figure(value: Fraction | int, places: int) -> str:
    """A decimal text, rounded half away from zero."""
    scaled = (2 * abs(Fraction(value)) * 10**places + 1) // 2
    digits = str(scaled).rjust(places + 1, "0")
    sign = "-" if value < 0 and scaled else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
