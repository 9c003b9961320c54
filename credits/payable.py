"""Which amounts the gateways can take: minimum, maximum and step by currency, as data in one place.

A price must be payable through every gateway that takes its currency, since the buyer chooses the gateway last. Amounts
are in our minor units (ISO 4217), whatever the gateway writes on its wire.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from credits.errors import AmountNotPayable
from ledger.money import LARGEST_MINOR, Money

EIGHT_DIGITS = 99_999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What one gateway takes in one currency."""

    minimum: int = 1
    maximum: int = LARGEST_MINOR
    step: int = 1


def _stripe(minimum: int = 1, step: int = 1) -> Limit:
    return Limit(minimum=max(minimum, step), maximum=EIGHT_DIGITS, step=step)


# Stripe: docs.stripe.com/currencies. It names no minimum for the francs CFA. The last digit of a three-decimal
# amount is zero; the ariary has no decimals there.
STRIPE = {
    "EUR": _stripe(50), "USD": _stripe(50), "GBP": _stripe(30), "CHF": _stripe(50), "CAD": _stripe(50),
    "AUD": _stripe(50), "NZD": _stripe(50), "SGD": _stripe(50), "BRL": _stripe(50), "INR": _stripe(50),
    "BGN": _stripe(100), "AED": _stripe(200), "MYR": _stripe(200), "PLN": _stripe(200), "RON": _stripe(200),
    "DKK": _stripe(250), "SEK": _stripe(300), "NOK": _stripe(300), "HKD": _stripe(400), "MXN": _stripe(1_000),
    "THB": _stripe(1_000), "CZK": _stripe(1_500), "HUF": _stripe(17_500), "JPY": _stripe(50),
    "XOF": _stripe(), "XAF": _stripe(), "GNF": _stripe(), "RWF": _stripe(), "UGX": _stripe(), "ISK": _stripe(),
    "MGA": _stripe(step=100), "CDF": _stripe(),
    "BHD": _stripe(step=10), "JOD": _stripe(step=10), "KWD": _stripe(step=10), "OMR": _stripe(step=10),
    "TND": _stripe(step=10),
}  # fmt: skip
# PayPal takes no decimals of the forint and of the Taiwan dollar.
PAYPAL = {"EUR": Limit(), "USD": Limit(), "GBP": Limit(), "HUF": Limit(step=100), "TWD": Limit(step=100)}
# CinetPay: docs.cinetpay.com, checkout initialisation: multiples of 5 in whole units, at least 100 francs.
CINETPAY = {
    "XOF": Limit(minimum=100, step=5),
    "XAF": Limit(minimum=100, step=5),
    "GNF": Limit(minimum=5, step=5),
    "CDF": Limit(minimum=40_000, step=500),
}
# The mobile operators take whole units; what they take at most is the wallet's business, not the currency's.
ORANGE_MONEY = {"XOF": Limit(), "XAF": Limit(), "GNF": Limit(), "MGA": Limit(step=100), "CDF": Limit(step=100)}

LIMITS: Mapping[str, Mapping[str, Limit]] = {
    "stripe": STRIPE,
    "paypal": PAYPAL,
    "cinetpay": CINETPAY,
    "orange_money": ORANGE_MONEY,
}


def refusals(amount: Money) -> list[str]:
    """Why gateways would refuse this amount, one sentence each; empty when each one takes it."""
    return _sentences(_refused(amount))


def _sentences(refused: Mapping[str, str]) -> list[str]:
    return [f"{gateway} takes {what}" for gateway, what in refused.items()]


def _refused(amount: Money) -> dict[str, str]:
    """What they take instead, by gateway."""
    found = {}
    for gateway, limits in LIMITS.items():
        limit = limits.get(amount.unit)
        if limit is None:
            continue
        if amount.minor < limit.minimum:
            found[gateway] = f"at least {Money(limit.minimum, amount.unit)}"
        elif amount.minor > limit.maximum:
            found[gateway] = f"at most {Money(limit.maximum, amount.unit)}"
        elif amount.minor % limit.step:
            found[gateway] = f"multiples of {Money(limit.step, amount.unit)}"
    return found


def step(currency: str) -> int:
    """The smallest step that every gateway of this currency takes."""
    return math.lcm(*(each[currency].step for each in LIMITS.values() if currency in each))


def nearest(amount: Money) -> list[Money]:
    """The legal amounts next to this one, the lower first: itself alone when it is legal, at the ends only one."""
    limits = [each[amount.unit] for each in LIMITS.values() if amount.unit in each]
    size = step(amount.unit)
    lowest = -(-max((limit.minimum for limit in limits), default=1) // size) * size
    highest = min((limit.maximum for limit in limits), default=LARGEST_MINOR) // size * size
    below = min(amount.minor // size * size, highest)
    above = max(-(-amount.minor // size) * size, lowest)
    return [Money(each, amount.unit) for each in sorted({below, above}) if lowest <= each <= highest]


def require(amount: Money) -> None:
    if refused := _refused(amount):
        raise AmountNotPayable(
            amount=str(amount),
            gateways=list(refused),
            reasons=_sentences(refused),
            nearest=[str(each) for each in nearest(amount)],
        )
