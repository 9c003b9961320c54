"""Margin rate and mark-up: what an action earns over its real cost, at the price that was paid for the credits."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from credits.models import Cost
from ledger.money import Money, exponent

MICROS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """Both rates of one use, exactly, in major units of the currency that the credits were paid in."""

    revenue: Fraction
    real_cost: Fraction

    @property
    def rate(self) -> Fraction | None:
        """The share of the revenue that is left: 0.25 is 25 %. None when there was no revenue."""
        return (self.revenue - self.real_cost) / self.revenue if self.revenue else None

    @property
    def markup(self) -> Fraction | None:
        """What is earned over the real cost, as a multiple of it: 22.75 is 2275 %. None when it costs us nothing."""
        return (self.revenue - self.real_cost) / self.real_cost if self.real_cost else None


def margin(
    price: Money,
    bought: int | Fraction,
    cost: Cost,
    quantity: int | None = None,
    rates: Mapping[tuple[str, str], Fraction] | None = None,
) -> Margin | None:
    """The margin of one use (or of `quantity`), paid with credits of which so many were bought for this price.

    A range is taken at its minimum, the worst case. None when the real cost is not known, or is in another currency
    than the price and no rate between the two is given: nothing is guessed.
    """
    rate = rate_between(cost.real_cost_currency, price.unit, rates or {})
    if cost.real_cost_micros is None or rate is None:
        return None
    times = 1 if quantity is None else quantity
    return Margin(
        revenue=major(price) * cost.least * times / bought,
        real_cost=Fraction(cost.real_cost_micros, MICROS) * rate * times,
    )


def rate_between(base: str, quote: str, rates: Mapping[tuple[str, str], Fraction]) -> Fraction | None:
    """How many of `quote` one of `base` is, by a rate given in either direction."""
    if base == quote:
        return Fraction(1)
    if (base, quote) in rates:
        return rates[base, quote]
    return 1 / rates[quote, base] if (quote, base) in rates else None


def major(price: Money) -> Fraction:
    """In major units, exactly: 9.99 € is 999/100."""
    return Fraction(price.minor, 10 ** exponent(price.unit))


def percent(rate: Fraction | None) -> str:
    """For people: rounded half up to a whole percent, with a true minus sign as the catalogue's reports print it."""
    if rate is None:
        return "\N{EN DASH}"
    whole = (2 * abs(rate) * 100 + 1) // 2
    sign = "\N{MINUS SIGN}" if rate < 0 and whole else ""
    return f"{sign}{whole} %"
