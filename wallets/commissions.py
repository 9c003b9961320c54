"""Commissions: what we keep of a price. Pure functions over Money; the rules come in as frozen terms."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from ledger.money import Money
from wallets.models import CommissionRule, Seller, WhenWithdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a rule says, apart from whom it says it about. `tiers` are (from this monthly volume on, basis points)."""

    basis_points: int
    fixed_minor: int = 0
    minimum_minor: int | None = None
    maximum_minor: int | None = None
    tiers: tuple[tuple[int, int], ...] = ()
    clearing_days: int = 0
    when_withdrawn: str = WhenWithdrawn.REFUSE.value
    debt_limit_minor: int = 0

    def basis_points_at(self, volume_minor: int) -> int:
        """The percentage of the highest tier that the volume has reached."""
        reached = [(least, points) for least, points in self.tiers if least <= volume_minor]
        return max(reached)[1] if reached else self.basis_points

    def as_facts(self) -> dict[str, Any]:
        return asdict(self) | {"tiers": [list(tier) for tier in self.tiers]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A price in its two parts. The net is what the commission leaves, so they always sum to the price."""

    price: Money
    commission: Money
    basis_points: int

    @property
    def net(self) -> Money:
        return self.price - self.commission


def split(price: Money, terms: Terms, *, volume_minor: int = 0) -> Split:
    """Percentage plus fixed part, within minimum and maximum, and never more than the price itself."""
    points = terms.basis_points_at(volume_minor)
    wanted = price.share(points).minor + terms.fixed_minor
    if terms.minimum_minor is not None:
        wanted = max(wanted, terms.minimum_minor)
    if terms.maximum_minor is not None:
        wanted = min(wanted, terms.maximum_minor)
    return Split(price=price, commission=Money(min(wanted, price.minor), price.unit), basis_points=points)


def returned(*, price: int, commission: int, taken_price: int, taken_commission: int, amount: int) -> int:
    """How much of a refund of `amount` is commission, in minor units.

    Cumulative: what all refunds together took is the sale's own share of what they gave back, so that no rounding
    adds up and the last refund takes exactly the remainder. An earlier share may stand that was computed beside a
    refund which is no more, hence the bounds. What is left of both parts needs none: the share of a part is never more
    than the commission, nor less than what the net cannot cover, since commission x together / price is at least
    commission - (price - together), a whole number that no rounding goes below.
    """
    share = (2 * commission * (taken_price + amount) + price) // (2 * price)  # a half rounds up, as in the split
    return min(max(share - taken_commission, 0), amount)


# ---------------------------------------------------------------- which rule counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a rule is looked up for. A hypothetical sale may have a kind of seller and no seller."""

    sale_type: str
    currency: str
    at: datetime
    seller: Seller | None = None
    seller_kind: str | None = None

    @property
    def kind(self) -> str | None:
        if self.seller_kind is not None or self.seller is None or self.seller.kind is None:
            return self.seller_kind
        return self.seller.kind.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The rule that counts, its terms, and why: the facts that it names, and the rules that it goes before."""

    rule: CommissionRule | None
    terms: Terms
    because: tuple[str, ...]
    before: tuple[str, ...]

    @property
    def needs_volume(self) -> bool:
        return bool(self.terms.tiers)

    def as_facts(self, *, volume_minor: int, basis_points: int) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "rule": self.rule.code if self.rule else None,
            "because": list(self.because),
            "before": list(self.before),
            "basis_points": basis_points,
        }
        return facts | ({"monthly_volume": volume_minor} if self.needs_volume else {})


def default_terms() -> Terms:
    """What counts where no rule does: a payment that has succeeded must not fail for want of a rule."""
    return Terms(basis_points=settings.WALLETS_COMMISSION_BASIS_POINTS, clearing_days=settings.WALLETS_CLEARING_DAYS)


def terms_of(rule: CommissionRule) -> Terms:
    return Terms(
        basis_points=rule.basis_points,
        fixed_minor=rule.fixed_minor,
        minimum_minor=rule.minimum_minor,
        maximum_minor=rule.maximum_minor,
        tiers=tuple((tier.from_volume_minor, tier.basis_points) for tier in rule.tiers.all()),
        clearing_days=settings.WALLETS_CLEARING_DAYS if rule.clearing_days is None else rule.clearing_days,
        when_withdrawn=rule.when_withdrawn,
        debt_limit_minor=rule.debt_limit_minor,
    )


def candidates(at: datetime) -> list[CommissionRule]:
    """The rules valid at an instant, with what choosing among them reads."""
    found = CommissionRule.objects.valid_at(at).select_related("sale_type", "seller_kind")
    return list(found.prefetch_related("tiers"))


def choose(question: Question, rules: Iterable[CommissionRule]) -> Choice:
    """The most specific rule that fits: one for this seller goes before one for a type of sale, that before one for a
    kind of seller, that before one for a currency; among equals the one that began last."""
    fitting = sorted((rule for rule in rules if _fits(rule, question)), key=_rank, reverse=True)
    if not fitting:
        return Choice(rule=None, terms=default_terms(), because=(), before=())
    first, *others = fitting
    return Choice(
        rule=first,
        terms=terms_of(first),
        because=tuple(names_of(first)),
        before=tuple(other.code for other in others),
    )


def names_of(rule: CommissionRule) -> Sequence[str]:
    """The facts that a rule asks for, the most specific first."""
    asks = {
        "seller": rule.seller_id is not None,
        "type": rule.sale_type_id is not None,
        "seller_kind": rule.seller_kind_id is not None,
        "currency": rule.currency != "",
    }
    return [name for name, is_asked in asks.items() if is_asked]


def _fits(rule: CommissionRule, question: Question) -> bool:
    return (
        (rule.seller_id is None or (question.seller is not None and rule.seller_id == question.seller.pk))
        and (rule.sale_type is None or rule.sale_type.code == question.sale_type)
        and (rule.seller_kind is None or rule.seller_kind.code == question.kind)
        and rule.currency in ("", question.currency)
    )


def _rank(rule: CommissionRule) -> tuple[tuple[bool, ...], datetime, int]:
    asked = names_of(rule)
    order = ("seller", "type", "seller_kind", "currency")
    return tuple(name in asked for name in order), rule.valid_from, rule.pk


def rates_for(seller: Seller | None, at: datetime) -> list[CommissionRule]:
    """The rules that can touch this seller: those for nobody in particular, and their own."""
    own = Q(seller__isnull=True) if seller is None else Q(seller__isnull=True) | Q(seller=seller)
    kind = None if seller is None else seller.kind_id
    found = CommissionRule.objects.valid_at(at).filter(own)
    found = found.filter(Q(seller_kind__isnull=True) | Q(seller_kind=kind)) if seller else found
    found = found.select_related("sale_type", "seller_kind").prefetch_related("tiers")
    return sorted(found, key=_rank, reverse=True)
