"""Which gateway pays a withdrawal out, and why the others do not. Pure: it reads nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from billing.gateways.base import Destination, DestinationKind
from billing.routing import SICKNESS, Candidate, Decision, Health, Rule, RuledOut, wrong_amount
from ledger.money import Money
from wallets.models import Destination as Goal
from wallets.models import DestinationKind as GoalKind

# A PayPal address is reached by PayPal alone, and a connected account by Stripe; PayPal has accounts of its own kind.
ONLY: Mapping[str, str] = {GoalKind.PAYPAL: "paypal", GoalKind.STRIPE: "stripe"}
KINDS: Mapping[str, DestinationKind] = {
    GoalKind.PAYPAL: DestinationKind.EMAIL,
    GoalKind.MOBILE_MONEY: DestinationKind.PHONE,
    GoalKind.STRIPE: DestinationKind.ACCOUNT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    amount: Money
    destination: Destination
    only: str = ""  # the one gateway that reaches such a destination


def wanted(amount: Money, goal: Goal, name: str) -> Wanted:
    """What gateways are asked for: the seller's destination in their words."""
    kind = KINDS[goal.kind]
    country = country_of(goal.value) if kind is DestinationKind.PHONE else ""
    known = Destination(kind=kind, value=goal.value, country=country, operator=goal.operator, name=name)
    return Wanted(amount=amount, destination=known, only=ONLY.get(goal.kind, ""))


def country_of(number: str) -> str:
    """Of a number in E.164; it was parsed when it was asked for."""
    import phonenumbers  # see wallets.destinations

    return str(phonenumbers.region_code_for_number(phonenumbers.parse(number, None)) or "")


def decide(wish: Wanted, candidates: Iterable[Candidate]) -> Decision:
    possible, ruled_out = [], []
    for candidate in candidates:
        objection = _objection(wish, candidate)
        if objection is None:
            possible.append(candidate)
        else:
            ruled_out.append(objection)
    possible.sort(key=lambda each: (each.priority, SICKNESS[each.health], each.name))
    return Decision(possible=tuple(each.name for each in possible), ruled_out=tuple(ruled_out))


def _objection(wish: Wanted, candidate: Candidate) -> RuledOut | None:
    able, goal, name = candidate.capabilities, wish.destination, candidate.name
    rule = able.payout_currencies.get(wish.amount.unit)
    wrong_country = bool(goal.country and able.countries and goal.country not in able.countries)
    wrong_operator = bool(goal.operator and able.payout_operators and goal.operator not in able.payout_operators)
    tests: list[tuple[bool, Rule, str]] = [
        (not candidate.is_enabled, Rule.DISABLED, ""),
        (not candidate.is_configured, Rule.NOT_CONFIGURED, ""),
        (goal.kind not in able.payout or wish.only not in ("", name), Rule.DESTINATION, goal.kind.value),
        (rule is None, Rule.CURRENCY, wish.amount.unit),
        (wrong_country, Rule.COUNTRY, goal.country),
        (wrong_operator, Rule.OPERATOR, goal.operator),
    ]
    for applies, why, detail in tests:
        if applies:
            return RuledOut(gateway=name, rule=why, detail=detail)
    if rule is not None and (wrong := wrong_amount(name, wish.amount, rule)):
        return wrong
    return RuledOut(gateway=name, rule=Rule.BREAKER_OPEN) if candidate.health is Health.OPEN else None
