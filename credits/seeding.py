"""From a catalogue file to the database: what differs, and making it so.

A new price or cost is a new version from now on; what left the file is taken off sale, never deleted. A second run
finds nothing to change. Plans and marketplaces belong to other apps; `config.seeding` does all of it.
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from django.utils import timezone

from credits import catalogue_files, costs, packs
from credits.catalogue_files import Catalogue, PackEntry, RuleEntry
from credits.costs import Terms
from credits.errors import CatalogueMistake
from credits.models import Cost, GrantRule, Pack, PackPrice
from ledger import money
from ledger.money import Money
from rest.seeding import Change, changed, shown, update


def checked(catalogues: list[Catalogue]) -> list[Catalogue]:
    """The catalogues again, once they are fit to be on sale together with all others that there are."""
    given = {catalogue.code: catalogue for catalogue in catalogues}
    others = [each for each in catalogue_files.names() if each not in given]
    catalogue_files.refuse_shared_codes([*catalogues, *(catalogue_files.named(name) for name in others)])
    for catalogue in catalogues:
        catalogue_files.refuse_unpayable_amounts(catalogue)
        _refuse_codes_of_others(catalogue)
    return catalogues


def differences(catalogue: Catalogue) -> Iterator[Change]:
    """What seeding would change, without changing it."""
    yield from _pack_changes(catalogue)
    yield from _cost_changes(catalogue)
    yield from _rule_changes(catalogue)


# ---------------------------------------------------------------- packs and their prices


def _pack_changes(catalogue: Catalogue) -> Iterator[Change]:
    stored = {pack.code: pack for pack in Pack.objects.filter(catalogue=catalogue.code)}
    prices: dict[str, dict[str, Money]] = {}
    valid = PackPrice.objects.valid_at(timezone.now()).filter(pack__in=stored.values()).select_related("pack")
    for price in valid:
        if price.is_active:
            prices.setdefault(price.pack.code, {})[price.currency] = Money(price.amount_minor, price.currency)
    for code, entry in catalogue.packs.items():
        if code not in stored:
            yield _new_pack(catalogue, code, entry)
            continue
        yield from changed(stored[code], f"pack {code}", _pack_fields(entry, catalogue.unit))
        yield from _price_changes(stored[code], entry.prices, prices.get(code, {}))
    for code, pack in stored.items():
        if code not in catalogue.packs and pack.is_active:
            yield Change(sign="-", text=f"pack {code}: off sale", act=partial(update, pack, {"is_active": False}))


def _pack_fields(entry: PackEntry, unit: str) -> dict[str, Any]:
    return {
        "name_en": entry.name.en,
        "name_fr": entry.name.fr,
        "description_en": entry.description.en,
        "description_fr": entry.description.fr,
        "unit": unit,
        "credits": entry.credits,
        "bonus": entry.bonus,
        "expires_after_days": entry.expires_after_days,
        "bonus_expires_after_days": entry.bonus_expires_after_days,
        "position": entry.position,
        "is_active": True,
    }


def _new_pack(catalogue: Catalogue, code: str, entry: PackEntry) -> Change:
    def create() -> None:
        pack = Pack.objects.create(code=code, catalogue=catalogue.code, **_pack_fields(entry, catalogue.unit))
        for price in entry.prices.values():
            packs.set_price(pack=pack, price=price)

    priced = ", ".join(str(price) for price in entry.prices.values())
    bonus = f" + {entry.bonus}" if entry.bonus else ""
    return Change(sign="+", text=f"pack {code}: {entry.credits}{bonus} {catalogue.unit} for {priced}", act=create)


def _price_changes(pack: Pack, wanted: dict[str, Money], stored: dict[str, Money]) -> Iterator[Change]:
    for currency, price in wanted.items():
        if currency not in stored:
            act = partial(packs.set_price, pack=pack, price=price)
            yield Change(sign="+", text=f"price of {pack.code}: {price}", act=act)
        elif stored[currency] != price:
            act = partial(packs.set_price, pack=pack, price=price)
            before = money.plain(stored[currency])
            yield Change(sign="~", text=f"price of {pack.code}: {before} -> {price}", act=act)
    for currency in sorted(stored.keys() - wanted.keys()):
        yield Change(
            sign="-",
            text=f"price of {pack.code}: no longer in {currency}",
            act=partial(packs.withdraw_price, pack=pack, currency=currency),
        )


# ---------------------------------------------------------------- costs


def _cost_changes(catalogue: Catalogue) -> Iterator[Change]:
    valid = Cost.objects.valid_at(timezone.now()).filter(catalogue=catalogue.code)
    stored = {cost.action: costs.terms_of(cost) for cost in valid if cost.is_active}
    for action, terms in catalogue.costs.items():
        act = partial(costs.revise, action=action, terms=terms)
        if action not in stored:
            yield Change(sign="+", text=f"cost of {action}: {_said(terms)}", act=act)
        elif stored[action] != terms:
            yield Change(sign="~", text=f"cost of {action}: {_terms_difference(stored[action], terms)}", act=act)
    for action in sorted(stored.keys() - catalogue.costs.keys()):
        act = partial(costs.revise, action=action, terms=replace(stored[action], is_active=False))
        yield Change(sign="-", text=f"cost of {action}: no longer offered", act=act)


def _said(terms: Terms) -> str:
    if terms.amount is None:
        return f"between {terms.minimum} and {terms.maximum} {terms.unit}"
    return f"{terms.kind.replace('_', ' ')} {terms.amount} {terms.unit}"


def _terms_difference(before: Terms, after: Terms) -> str:
    new = asdict(after)
    differing = [(name, old) for name, old in asdict(before).items() if old != new[name]]
    return ", ".join(f"{name} {shown(old)} -> {shown(new[name])}" for name, old in differing)


# ---------------------------------------------------------------- grant rules


def _rule_changes(catalogue: Catalogue) -> Iterator[Change]:
    stored = {rule.code: rule for rule in GrantRule.objects.filter(catalogue=catalogue.code)}
    for code, entry in catalogue.grant_rules.items():
        wanted = asdict(entry) | {"unit": catalogue.unit, "is_active": True}
        if code in stored:
            yield from changed(stored[code], f"grant rule {code}", wanted)
        else:
            create = partial(GrantRule.objects.create, code=code, catalogue=catalogue.code, **wanted)
            yield Change(sign="+", text=f"grant rule {code}: {_rule_said(entry, catalogue.unit)}", act=create)
    for code, rule in stored.items():
        if code not in catalogue.grant_rules and rule.is_active:
            act = partial(update, rule, {"is_active": False})
            yield Change(sign="-", text=f"grant rule {code}: no longer active", act=act)


def _rule_said(entry: RuleEntry, unit: str) -> str:
    return f"{entry.amount} {unit} every {entry.every}"


# ---------------------------------------------------------------- codes of other catalogues


def _refuse_codes_of_others(catalogue: Catalogue) -> None:
    """A code may live on in the database from a catalogue whose file is gone or renamed."""
    taken = [
        *_taken(catalogue, "packs", Pack.objects.values_list("code", "catalogue")),
        *_taken(catalogue, "costs", Cost.objects.values_list("action", "catalogue").distinct()),
        *_taken(catalogue, "grant_rules", GrantRule.objects.values_list("code", "catalogue")),
    ]
    if taken:
        raise CatalogueMistake(taken)


def _taken(catalogue: Catalogue, section: str, rows: Any) -> Iterator[str]:
    for code, owner in rows:
        if owner != catalogue.code and code in getattr(catalogue, section):
            kind = catalogue_files.KINDS[section]
            place = catalogue.place(f"{section}.{code}")
            yield f"{place}: the {kind} {code!r} belongs to the catalogue {owner!r}; write another code"
