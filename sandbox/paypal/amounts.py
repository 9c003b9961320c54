"""PayPal's money: texts in major units, and the currencies it takes."""

import re
from typing import Any

from sandbox import money
from sandbox.paypal import errors

CURRENCIES = {
    *("AUD", "BRL", "CAD", "CNY", "CZK", "DKK", "EUR", "HKD", "HUF", "ILS", "JPY", "MYR", "MXN", "TWD", "NZD", "NOK"),
    *("PHP", "PLN", "GBP", "SGD", "SEK", "CHF", "THB", "USD"),
}
WITHOUT_DECIMALS = {"HUF", "JPY", "TWD"}
NUMBER = re.compile(r"\d{1,15}(\.\d+)?")
PLACES = 2


def minor(
    amount: Any, *, field: str, currency_name: str = "currency_code", whole_issue: str = "DECIMALS_NOT_SUPPORTED"
) -> tuple[int, str]:
    """Minor units and currency of an amount object, or the refusal that PayPal would give.

    Orders and refunds have different names for decimals where a currency has none.
    """
    if not isinstance(amount, dict):
        raise _invalid("MISSING_REQUIRED_PARAMETER", field, "A required field is missing.")
    currency, value = amount.get(currency_name), amount.get("value")
    if not isinstance(currency, str) or not isinstance(value, str):
        raise _invalid("MISSING_REQUIRED_PARAMETER", field, "Currency and value are required, both as texts.")
    if currency not in CURRENCIES:
        raise _unprocessable("INVALID_CURRENCY_CODE", f"{field}/{currency_name}", "Currency code is invalid.")
    if not NUMBER.fullmatch(value):
        raise _invalid("INVALID_PARAMETER_SYNTAX", f"{field}/value", "The value is not an amount.")
    decimals = len(value.partition(".")[2])
    if currency in WITHOUT_DECIMALS and decimals:
        raise _unprocessable(whole_issue, f"{field}/value", "Currency does not support decimals.")
    if decimals > PLACES:
        raise _unprocessable("DECIMAL_PRECISION", f"{field}/value", "The value has more than two decimals.")
    return money.minor(value, currency), currency


def wire(amount_minor: int, currency: str) -> dict[str, str]:
    return {"currency_code": currency, "value": text(amount_minor, currency)}


def text(amount_minor: int, currency: str) -> str:
    value = money.major(amount_minor, currency)
    return value.partition(".")[0] if currency in WITHOUT_DECIMALS else value


def fee(amount_minor: int) -> int:
    """Close to what PayPal keeps: 2.9 % and 35 cents, never more than the amount."""
    return min(amount_minor, -(-amount_minor * 29 // 1000) + 35)


def _invalid(issue: str, field: str, description: str) -> errors.Refusal:
    return errors.Refusal(errors.invalid_request(issue, field=field, description=description))


def _unprocessable(issue: str, field: str, description: str) -> errors.Refusal:
    return errors.Refusal(errors.unprocessable(issue, description, field=field))
