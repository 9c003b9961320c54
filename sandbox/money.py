"""Amounts of the wire and amounts of the books: whole minor units of ISO 4217."""

from decimal import Decimal, InvalidOperation

ZERO_DECIMALS = {
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF"),
    *("XPF", "OUV"),  # OUV is the toy currency of Orange's own sandbox
}
THREE_DECIMALS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}


class NotAnAmount(Exception):
    """No number, or one with more decimals than the currency has."""


def exponent(currency: str) -> int:
    if currency in ZERO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2


def minor(amount: object, currency: str) -> int:
    """An amount in major units, as text or number, in minor units."""
    if isinstance(amount, bool | float) or not isinstance(amount, str | int | Decimal):
        raise NotAnAmount(f"{amount!r} is no amount.")
    try:
        scaled = Decimal(amount).scaleb(exponent(currency))
    except InvalidOperation as error:
        raise NotAnAmount(f"{amount!r} is no amount.") from error
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise NotAnAmount(f"{amount!r} has more decimals than {currency} has.")
    return int(scaled)


def major(amount_minor: int, currency: str) -> str:
    """Minor units as the plain text of major units: 1050 EUR is "10.50", 500 XOF is "500"."""
    return str(Decimal(amount_minor).scaleb(-exponent(currency)))


def shown(amount_minor: int, currency: str) -> str:
    """For people: "12 500 XOF", "10.50 EUR"."""
    return f"{Decimal(major(amount_minor, currency)):,}".replace(",", "\u00a0") + f"\u00a0{currency}"
