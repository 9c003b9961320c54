"""Amounts between us and a gateway: what it takes, how it writes them, and nothing ever rounded."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from billing.gateways.base import AmountRule
from billing.gateways.errors import AmountRefused
from ledger.money import LARGEST_MINOR, Money, exponent

MOST_DIGITS = 18


class Unreadable(ValueError):
    """A gateway wrote an amount that is none, or that our unit cannot hold."""


def require(amount: Money, rules: Mapping[str, AmountRule], *, gateway: str) -> None:
    """Refuse before any call what the gateway would refuse, and say which amounts next to it are legal."""
    rule = rules.get(amount.unit)
    if rule is None:
        raise AmountRefused(gateway=gateway, amount=amount, reason=f"{gateway} takes no {amount.unit}.", nearest=())
    if reason := broken_rule(amount, rule):
        said = f"{gateway} takes {reason}, not {amount}."
        raise AmountRefused(gateway=gateway, amount=amount, reason=said, nearest=nearest(amount, rule))


def broken_rule(amount: Money, rule: AmountRule) -> str:
    """The rule in words, empty when the amount keeps it."""
    if amount.minor < rule.minimum_minor:
        return f"at least {Money(rule.minimum_minor, amount.unit)}"
    if rule.maximum_minor is not None and amount.minor > rule.maximum_minor:
        return f"at most {Money(rule.maximum_minor, amount.unit)}"
    if amount.minor % step(rule, amount.unit):
        return f"multiples of {Money(step(rule, amount.unit), amount.unit)}"
    return ""


def nearest(amount: Money, rule: AmountRule) -> list[Money]:
    """The legal amounts next to this one, the lower first; at the ends there is only one."""
    size = step(rule, amount.unit)
    lowest = -(-rule.minimum_minor // size) * size
    highest = (LARGEST_MINOR if rule.maximum_minor is None else rule.maximum_minor) // size * size
    below = min(amount.minor // size * size, highest)
    above = max(-(-amount.minor // size) * size, lowest)
    return [Money(each, amount.unit) for each in sorted({below, above}) if lowest <= each <= highest]


def any_size(rules: Mapping[str, AmountRule]) -> dict[str, AmountRule]:
    """The same rules for money that goes back: what can be written, however little or much."""
    return {unit: replace(rule, minimum_minor=1, maximum_minor=None) for unit, rule in rules.items()}


def step(rule: AmountRule, unit: str) -> int:
    """The declared step, or one unit of the gateway's wire where that is coarser."""
    coarser: int = 10 ** max(exponent(unit) - wire_exponent(rule, unit), 0)
    return max(rule.step_minor, coarser)


def wire_exponent(rule: AmountRule, unit: str) -> int:
    return exponent(unit) if rule.wire_exponent is None else rule.wire_exponent


# ---------------------------------------------------------------- writing


def to_text(amount: Money, rule: AmountRule) -> str:
    """ "10.50" where the wire has two decimals, "10" where it has none."""
    digits = wire_exponent(rule, amount.unit)
    minor = _on_the_wire(amount, digits)
    text = str(minor).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}" if digits else text


def to_whole(amount: Money, rule: AmountRule) -> int:
    """For gateways that take whole numbers of the currency."""
    if wire_exponent(rule, amount.unit):
        raise ValueError(f"{amount.unit} has decimals there.")
    return _on_the_wire(amount, 0)


def _on_the_wire(amount: Money, digits: int) -> int:
    shift = digits - exponent(amount.unit)
    factor: int = 10 ** abs(shift)
    if shift >= 0:
        return amount.minor * factor
    whole, rest = divmod(amount.minor, factor)
    if rest:
        raise ValueError(f"{amount} cannot be written with {digits} decimals.")
    return whole


# ---------------------------------------------------------------- reading


def read(value: object, unit: object) -> Money:
    """What a gateway wrote, in any of the ways in which they write: "5000", "5000.0", 5000, 10.5."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal) or not isinstance(unit, str):
        raise Unreadable(f"{value!r} {unit!r} is no amount.")
    try:
        scaled = Decimal(value).scaleb(exponent(unit))
        if scaled.adjusted() > MOST_DIGITS:  # before a short text becomes a very long number
            raise Unreadable(f"{value!r} is too much.")
        minor = int(scaled)
    except (ArithmeticError, ValueError) as broken:
        raise Unreadable(f"{value!r} is no number.") from broken
    if minor != scaled or abs(minor) > LARGEST_MINOR:
        raise Unreadable(f"{value!r} is no amount of {unit}.")
    return Money(minor, unit)
