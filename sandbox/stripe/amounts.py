"""What Stripe takes as an amount: whole numbers of the wire's smallest unit, with limits per currency."""

from fractions import Fraction

from sandbox.money import exponent
from sandbox.stripe import errors

# Stripe's zero-decimal currencies; UGX and ISK are written as if they had two.
ZERO_DECIMALS = {
    *("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"),
}
TENS = {"bhd", "jod", "kwd", "omr", "tnd"}  # three decimals of which the last is 0
HUNDREDS = {"ugx", "isk"}
# Half a dollar or its like; the CFA francs follow the euro at 655.957.
LEAST = {"usd": 50, "eur": 50, "cad": 50, "aud": 50, "chf": 50, "gbp": 30, "jpy": 50, "xof": 328, "xaf": 328}
DIGITS_MAXIMUM = 8
FEE_SHARE = Fraction(29, 1_000)


def currency_of(text: str, param: str = "currency") -> str:
    currency = text.lower()
    if len(currency) != 3 or not currency.isalpha():  # noqa: PLR2004
        raise errors.parameter_invalid(param, f"Invalid currency: {text}.")
    return currency


def check(amount: int, currency: str, param: str = "amount") -> None:
    """Refuse what a charge cannot be of."""
    if amount < LEAST.get(currency, 1):
        message = f"Amount must be at least {LEAST.get(currency, 1)} {currency}"
        raise errors.parameter_invalid(param, message, "amount_too_small")
    if len(str(amount)) > DIGITS_MAXIMUM:
        message = f"Amount must be no more than {'9' * DIGITS_MAXIMUM} {currency}"
        raise errors.parameter_invalid(param, message, "amount_too_large")
    step = 100 if currency in HUNDREDS else 10 if currency in TENS else 1
    if amount % step:
        message = f"Invalid amount: the amount in {currency} must be evenly divisible by {step}."
        raise errors.parameter_invalid(param, message)


def fee_of(amount: int, currency: str) -> int:
    """2.9 % and 30 cents, or the like of 30 cents."""
    return min(amount, round(amount * FEE_SHARE) + LEAST.get(currency, 0) * 3 // 5)


def books_minor(amount: int, currency: str) -> int:
    """An amount of Stripe's wire in the minor units of ISO 4217, which our books use."""
    decimals = 0 if currency in ZERO_DECIMALS else 3 if currency in TENS else 2
    difference = exponent(currency.upper()) - decimals
    return int(amount * 10**difference) if difference >= 0 else int(amount // 10**-difference)
