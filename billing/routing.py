"""Which gateways may take a payment, in which order, and why the others may not. Pure: it reads nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from billing.gateways import amounts
from billing.gateways.base import AmountRule, Capabilities, Flow
from ledger.money import BASIS_POINTS, Money


class Rule(StrEnum):
    """Why a gateway is out. The first one that applies is told."""

    UNKNOWN = "unknown"
    DISABLED = "disabled"
    NOT_CONFIGURED = "not_configured"
    NOT_ASKED_FOR = "not_asked_for"
    CURRENCY = "currency"
    COUNTRY = "country"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    STEP = "step"
    CAPABILITY = "capability"
    FLOW = "flow"
    PHONE = "phone"
    DESTINATION = "destination"
    OPERATOR = "operator"
    BREAKER_OPEN = "breaker_open"


class Health(StrEnum):
    """How the circuit breaker stands, best first."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


SICKNESS = {Health.CLOSED: 0, Health.HALF_OPEN: 1, Health.OPEN: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The shop's own limits in one currency, and what a payment costs besides the share."""

    minimum_minor: int | None = None
    maximum_minor: int | None = None
    fixed_cost_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A gateway as it stands now: what it can do, what operators chose, how it is."""

    name: str
    capabilities: Capabilities
    is_enabled: bool = True
    is_configured: bool = True
    priority: int = 100
    currencies: frozenset[str] = frozenset()  # empty: all of the gateway's
    countries: frozenset[str] = frozenset()
    terms: Mapping[str, Terms] = field(default_factory=dict)  # by currency
    cost_basis_points: int = 0
    health: Health = Health.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The payment that looks for a gateway. An empty country means that nobody told us, and rules nobody out."""

    amount: Money
    country: str = ""
    saves_method: bool = False  # a card is to be saved, or a saved one is charged
    preferred: Sequence[str] = ()  # the caller's, in their order; empty: any
    flow: Flow | None = None
    has_phone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledOut:
    gateway: str
    rule: Rule
    detail: str = ""
    nearest_minor: tuple[int, ...] = ()  # the closest amounts that it would take, where only the amount is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`possible` is in the order in which to try them."""

    possible: tuple[str, ...]
    ruled_out: tuple[RuledOut, ...]

    @property
    def best(self) -> str | None:
        return self.possible[0] if self.possible else None

    def as_json(self) -> dict[str, Any]:
        """As it is kept with the payment and told to the caller."""
        return {
            "possible": list(self.possible),
            "ruled_out": [
                {
                    "gateway": each.gateway,
                    "rule": each.rule.value,
                    **({"detail": each.detail} if each.detail else {}),
                    **({"nearest_amounts": list(each.nearest_minor)} if each.nearest_minor else {}),
                }
                for each in self.ruled_out
            ],
        }


def decide(wish: Wish, candidates: Iterable[Candidate]) -> Decision:
    known = {candidate.name: candidate for candidate in candidates}
    ruled_out = [RuledOut(gateway=name, rule=Rule.UNKNOWN) for name in wish.preferred if name not in known]
    possible = []
    for candidate in known.values():
        objection = _objection(wish, candidate)
        if objection is None:
            possible.append(candidate)
        else:
            ruled_out.append(objection)
    possible.sort(key=lambda candidate: _rank(wish, candidate))
    return Decision(possible=tuple(candidate.name for candidate in possible), ruled_out=tuple(ruled_out))


def _rank(wish: Wish, candidate: Candidate) -> tuple[int, int, int, int, str]:
    asked = list(wish.preferred)
    place = asked.index(candidate.name) if candidate.name in asked else 0
    return (place, candidate.priority, SICKNESS[candidate.health], cost_minor(wish.amount, candidate), candidate.name)


def cost_minor(amount: Money, candidate: Candidate) -> int:
    """What the gateway keeps, rounded up; only for putting them in order."""
    terms = candidate.terms.get(amount.unit, Terms())
    share = -(-amount.minor * candidate.cost_basis_points // BASIS_POINTS)
    return share + terms.fixed_cost_minor


def rule_of(candidate: Candidate, currency: str) -> AmountRule | None:
    """The gateway's rule for amounts of this currency, narrowed by the shop's own limits; None: it takes none."""
    rule = candidate.capabilities.currencies.get(currency)
    if rule is None or (candidate.currencies and currency not in candidate.currencies):
        return None
    terms = candidate.terms.get(currency, Terms())
    maxima = [limit for limit in (rule.maximum_minor, terms.maximum_minor) if limit is not None]
    return AmountRule(
        minimum_minor=max(rule.minimum_minor, terms.minimum_minor or 0),
        maximum_minor=min(maxima) if maxima else None,
        step_minor=rule.step_minor,
        wire_exponent=rule.wire_exponent,
    )


# ---------------------------------------------------------------- the rules


def _objection(wish: Wish, candidate: Candidate) -> RuledOut | None:
    name, able = candidate.name, candidate.capabilities
    rule = rule_of(candidate, wish.amount.unit)
    where = countries_of(candidate)
    tests: list[tuple[bool, Rule, str]] = [
        (bool(wish.preferred) and name not in wish.preferred, Rule.NOT_ASKED_FOR, ""),
        (not candidate.is_enabled, Rule.DISABLED, ""),
        (not candidate.is_configured, Rule.NOT_CONFIGURED, ""),
        (rule is None, Rule.CURRENCY, wish.amount.unit),
        (bool(wish.country and where is not None and wish.country not in where), Rule.COUNTRY, wish.country),
        (wish.saves_method and not able.saved_methods, Rule.CAPABILITY, "saved_methods"),
        (wish.flow is not None and wish.flow not in able.flows, Rule.FLOW, str(wish.flow or "")),
        (able.needs_phone and not wish.has_phone, Rule.PHONE, ""),
    ]
    for applies, why, detail in tests:
        if applies:
            return RuledOut(gateway=name, rule=why, detail=detail)
    if rule is not None and (wrong := wrong_amount(name, wish.amount, rule)):
        return wrong
    return RuledOut(gateway=name, rule=Rule.BREAKER_OPEN) if candidate.health is Health.OPEN else None


def countries_of(candidate: Candidate) -> frozenset[str] | None:
    """Where its buyers may be; None: everywhere."""
    able, chosen = candidate.capabilities.countries, candidate.countries
    if able and chosen:
        return able & chosen
    return (able or chosen) or None


def wrong_amount(name: str, amount: Money, rule: AmountRule) -> RuledOut | None:
    """The objection to an amount that the rule does not allow, with the nearest that it does."""
    step = amounts.step(rule, amount.unit)
    if amount.minor < rule.minimum_minor:
        why, limit = Rule.MINIMUM, rule.minimum_minor
    elif rule.maximum_minor is not None and amount.minor > rule.maximum_minor:
        why, limit = Rule.MAXIMUM, rule.maximum_minor
    elif amount.minor % step:
        why, limit = Rule.STEP, step
    else:
        return None
    closest = tuple(each.minor for each in amounts.nearest(amount, rule))
    return RuledOut(gateway=name, rule=why, detail=f"{limit} {amount.unit}", nearest_minor=closest)
