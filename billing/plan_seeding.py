"""The plans of a catalogue file, in the database: what differs, and making it so."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.utils import timezone

from billing import plans
from billing.models import Plan, PlanPrice
from credits.catalogue_files import Catalogue, PlanEntry
from ledger import money
from ledger.money import Money
from rest.seeding import Change, update

Prices = dict[tuple[str, str], Money]  # by interval and currency


def owners(catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    """Codes of this file that belong to another catalogue already, and to which."""
    taken = Plan.objects.filter(code__in=catalogue.plans).exclude(catalogue=catalogue.code)
    for code, owner in taken.values_list("code", "catalogue"):
        yield "plans", code, owner


def differences(catalogue: Catalogue) -> Iterator[Change]:
    stored = {plan.code: plan for plan in Plan.objects.filter(catalogue=catalogue.code)}
    prices: dict[int, Prices] = {}
    for price in PlanPrice.objects.valid_at(timezone.now()).filter(plan__in=stored.values()):
        if price.is_active:
            prices.setdefault(price.plan_id, {})[price.interval, price.currency] = price.money
    for code, entry in catalogue.plans.items():
        wanted = _fields(catalogue, entry)
        if code not in stored:
            yield _new(catalogue, code, entry, wanted)
            continue
        plan = stored[code]
        different = {name: value for name, value in wanted.items() if getattr(plan, name) != value}
        if different:
            yield Change(sign="~", text=f"plan {code}: {', '.join(different)}", act=partial(update, plan, different))
        yield from _price_changes(plan, _prices(entry), prices.get(plan.pk, {}))
    for code, plan in stored.items():
        if code not in catalogue.plans and plan.is_active:
            act = partial(update, plan, {"is_active": False})
            yield Change(sign="-", text=f"plan {code}: off sale; whoever has it keeps it", act=act)


def _fields(catalogue: Catalogue, entry: PlanEntry) -> dict[str, Any]:
    return {
        "name_en": entry.name.en,
        "name_fr": entry.name.fr,
        "description_en": entry.description.en,
        "description_fr": entry.description.fr,
        "features": [{"en": each.en, "fr": each.fr} for each in entry.features],
        "entitlements": entry.entitlements,
        "grant_rules": list(entry.grants),
        "unit": catalogue.unit,
        "is_unlimited": entry.unlimited,
        "fair_use_per_month": entry.fair_use,
        "trial_days": entry.trial_days,
        "position": entry.position,
        "is_active": True,
    }


def _prices(entry: PlanEntry) -> Prices:
    return {(interval, unit): price for interval, named in entry.prices.items() for unit, price in named.items()}


def _new(catalogue: Catalogue, code: str, entry: PlanEntry, wanted: dict[str, Any]) -> Change:
    def create() -> None:
        plan = Plan.objects.create(code=code, catalogue=catalogue.code, **wanted)
        for (interval, _currency), price in _prices(entry).items():
            plans.set_price(plan=plan, interval=interval, price=price)

    priced = ", ".join(f"{price} a {interval}" for (interval, _unit), price in _prices(entry).items())
    return Change(sign="+", text=f"plan {code}: {priced}", act=create)


def _price_changes(plan: Plan, wanted: Prices, stored: Prices) -> Iterator[Change]:
    for (interval, unit), price in wanted.items():
        before = stored.get((interval, unit))
        act = partial(plans.set_price, plan=plan, interval=interval, price=price)
        if before is None:
            yield Change(sign="+", text=f"price of {plan.code}: {price} a {interval}", act=act)
        elif before != price:
            text = f"price of {plan.code} a {interval}: {money.plain(before)} -> {price}"
            yield Change(sign="~", text=text, act=act)
    for interval, unit in sorted(stored.keys() - wanted.keys()):
        act = partial(plans.withdraw_price, plan=plan, interval=interval, currency=unit)
        yield Change(sign="-", text=f"price of {plan.code}: no longer {unit} a {interval}", act=act)
