"""From a catalogue to the rows of a marketplace: types of sales, kinds of sellers, commission rules.

The file is read and checked by whoever calls; here is what differs, and making it so. What left the file is switched
off, never deleted: sales refer to it. Rules that people made in the admin are left alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from rest.seeding import Change, changed, shown, update
from wallets.models import CommissionRule, CommissionTier, SaleType, SellerKind, WhenWithdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    en: str
    fr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeEntry:
    label: Label
    minimum: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEntry:
    basis_points: int
    sale_type: str | None = None
    seller_kind: str | None = None
    currency: str = ""
    fixed_minor: int = 0
    minimum_minor: int | None = None
    maximum_minor: int | None = None
    tiers: tuple[tuple[int, int], ...] = ()
    clearing_days: int | None = None
    when_withdrawn: str = WhenWithdrawn.REFUSE.value
    debt_limit_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What one catalogue says of a marketplace."""

    catalogue: str
    seller_kinds: Mapping[str, Label] = field(default_factory=dict)
    sale_types: Mapping[str, TypeEntry] = field(default_factory=dict)
    rules: Mapping[str, RuleEntry] = field(default_factory=dict)


def differences(market: Market) -> Iterator[Change]:
    """What seeding would change, without changing it. The acts are done in this order: rules name the rest."""
    kinds = {code: _label(label) for code, label in market.seller_kinds.items()}
    yield from _labelled(SellerKind, "seller kind", market.catalogue, kinds)
    types = {code: _label(entry.label) | {"minimum": dict(entry.minimum)} for code, entry in market.sale_types.items()}
    yield from _labelled(SaleType, "sale type", market.catalogue, types)
    yield from _rules(market)


def owners(market: Market) -> Iterator[tuple[str, str, str]]:
    """Codes of this catalogue that belong to another one, or to the admin: (section, code, owner)."""
    sections: tuple[tuple[str, Any, Mapping[str, Any]], ...] = (
        ("seller_kinds", SellerKind, market.seller_kinds),
        ("sale_types", SaleType, market.sale_types),
        ("commission_rules", CommissionRule, market.rules),
    )
    for section, model, entries in sections:
        taken = model.objects.filter(code__in=list(entries)).exclude(catalogue=market.catalogue)
        for code, owner in taken.values_list("code", "catalogue"):
            yield section, code, owner or "the admin"


def _label(label: Label) -> dict[str, Any]:
    return {"label_en": label.en, "label_fr": label.fr}


def _labelled(
    model: type[SaleType] | type[SellerKind], what: str, catalogue: str, entries: Mapping[str, dict[str, Any]]
) -> Iterator[Change]:
    stored = {row.code: row for row in model._default_manager.filter(catalogue=catalogue)}
    for code, facts in entries.items():
        wanted = facts | {"is_active": True}
        if code not in stored:
            make = partial(model._default_manager.create, code=code, catalogue=catalogue, **wanted)
            yield Change(sign="+", text=f"{what} {code}: {facts['label_en']}", act=make)
        else:
            yield from changed(stored[code], f"{what} {code}", wanted)
    yield from _gone(stored, entries, what)


def _rules(market: Market) -> Iterator[Change]:
    found = CommissionRule.objects.filter(catalogue=market.catalogue).select_related("sale_type", "seller_kind")
    stored = {rule.code: rule for rule in found.prefetch_related("tiers")}
    for code, entry in market.rules.items():
        if code not in stored:
            said = f"commission rule {code}: {entry.basis_points} basis points"
            yield Change(sign="+", text=said, act=partial(_write_rule, None, code, market.catalogue, entry))
        elif not stored[code].is_active or _entry_of(stored[code]) != entry:
            act = partial(_write_rule, stored[code], code, market.catalogue, entry)
            yield Change(
                sign="~", text=f"commission rule {code}: {_difference(_entry_of(stored[code]), entry)}", act=act
            )
    yield from _gone(stored, market.rules, "commission rule")


def _entry_of(rule: CommissionRule) -> RuleEntry:
    return RuleEntry(
        basis_points=rule.basis_points,
        sale_type=rule.sale_type.code if rule.sale_type else None,
        seller_kind=rule.seller_kind.code if rule.seller_kind else None,
        currency=rule.currency,
        fixed_minor=rule.fixed_minor,
        minimum_minor=rule.minimum_minor,
        maximum_minor=rule.maximum_minor,
        tiers=tuple((tier.from_volume_minor, tier.basis_points) for tier in rule.tiers.all()),
        clearing_days=rule.clearing_days,
        when_withdrawn=rule.when_withdrawn,
        debt_limit_minor=rule.debt_limit_minor,
    )


def _difference(before: RuleEntry, after: RuleEntry) -> str:
    names = [name for name in RuleEntry.__slots__ if getattr(before, name) != getattr(after, name)]
    said = [f"{name} {shown(getattr(before, name))} -> {shown(getattr(after, name))}" for name in names]
    return ", ".join(said) or "active again"


@transaction.atomic
def _write_rule(rule: CommissionRule | None, code: str, catalogue: str, entry: RuleEntry) -> None:
    row = rule or CommissionRule(code=code, catalogue=catalogue, valid_from=timezone.now())
    for name in RuleEntry.__slots__:
        if name not in ("sale_type", "seller_kind", "tiers"):
            setattr(row, name, getattr(entry, name))
    row.sale_type = SaleType.objects.get(code=entry.sale_type) if entry.sale_type else None
    row.seller_kind = SellerKind.objects.get(code=entry.seller_kind) if entry.seller_kind else None
    row.is_active = True
    row.save()
    row.tiers.all().delete()
    CommissionTier.objects.bulk_create(
        CommissionTier(rule=row, from_volume_minor=volume, basis_points=points) for volume, points in entry.tiers
    )


def _gone(stored: Mapping[str, Any], wanted: Mapping[str, Any], what: str) -> Iterator[Change]:
    for code, row in stored.items():
        if code not in wanted and row.is_active:
            yield Change(sign="-", text=f"{what} {code}: switched off", act=partial(update, row, {"is_active": False}))
