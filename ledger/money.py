"""Money: an exact amount of one unit, in that unit's smallest part."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from babel import Locale
from babel.numbers import format_decimal, parse_pattern
from django.utils.translation import get_language

from ledger.errors import InvalidAmount, NotDecimal, TooManyDecimals, UnitMismatch, UnknownUnit

LARGEST_MINOR = 10**15
BASIS_POINTS = 10_000

# ISO 4217 in full. Babel's own figures are CLDR's and differ (it shows IQD, ALL or LBP without decimals).
_DECIMALS: dict[int, str] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR "
    "MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK "
    "SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD "
    "XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: dict[str, int] = {code: digits for digits, codes in _DECIMALS.items() for code in codes.split()}

CREDIT = "CREDIT"
# Three letters are always a currency: a mistyped EUR must not become a credit unit.
_CREDIT_UNIT = re.compile(r"(?![A-Z]{3}\Z)[A-Z][A-Z0-9_]{2,11}", re.ASCII)
_DECIMAL = re.compile(r"([0-9]{1,16})(?:\.([0-9]{1,4}))?", re.ASCII)


def is_currency(unit: str) -> bool:
    return unit in EXPONENTS


def exponent(unit: str) -> int:
    """How many decimals the unit has: 2 for EUR, 0 for XOF and for credits, 3 for KWD."""
    known = EXPONENTS.get(unit)
    if known is not None:
        return known
    if not isinstance(unit, str) or not _CREDIT_UNIT.fullmatch(unit):
        raise UnknownUnit(f"{unit!r} is neither a currency nor a credit unit.")
    return 0


@dataclass(frozen=True, slots=True)
class Money:
    """`Money(999, "EUR")` is 9.99 €, `Money(999, "XOF")` is 999 francs, `Money(5, "CREDIT")` five credits."""

    minor: int
    unit: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:  # a boolean is an int to Python, and never an amount
            raise InvalidAmount(f"An amount is a whole number of the smallest unit, not {self.minor!r}.")
        exponent(self.unit)

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same_unit(other).minor, self.unit)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same_unit(other).minor, self.unit)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.unit)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same_unit(other).minor

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same_unit(other).minor

    def __gt__(self, other: Money) -> bool:
        return self.minor > self._same_unit(other).minor

    def __ge__(self, other: Money) -> bool:
        return self.minor >= self._same_unit(other).minor

    def __str__(self) -> str:
        return f"{plain(self)} {self.unit}"

    def _same_unit(self, other: Money) -> Money:
        if not isinstance(other, Money):
            raise TypeError(f"Money goes with Money, not with {type(other).__name__}.")
        if other.unit != self.unit:
            raise UnitMismatch(f"{self.unit} and {other.unit} do not mix.")
        return other

    def share(self, basis_points: int) -> Money:
        """So many ten-thousandths, a half rounded away from zero: a refund's share is exactly minus the sale's.

        The other part is `whole - share`, never a second share.
        """
        if type(basis_points) is not int:
            raise InvalidAmount(f"Basis points are a whole number, not {basis_points!r}.")
        product = self.minor * basis_points
        rounded = (2 * abs(product) + BASIS_POINTS) // (2 * BASIS_POINTS)
        return Money(rounded if product >= 0 else -rounded, self.unit)

    def split(self, weights: Sequence[int]) -> list[Money]:
        """Parts in proportion to whole-number weights, which sum to the whole; what is left over goes to the largest
        remainders, then to the earliest parts."""
        total = sum(weights)
        if total <= 0 or any(type(weight) is not int or weight < 0 for weight in weights):
            raise InvalidAmount("Weights are whole numbers, none below zero and not all zero.")
        size = abs(self.minor)
        parts = [size * weight // total for weight in weights]
        by_remainder = sorted(range(len(parts)), key=lambda index: -(size * weights[index] % total))
        for index in by_remainder[: size - sum(parts)]:
            parts[index] += 1
        sign = -1 if self.minor < 0 else 1
        return [Money(sign * part, self.unit) for part in parts]

    def parts(self, count: int) -> list[Money]:
        """Equal parts that sum to the whole; the first ones carry what does not divide."""
        return self.split([1] * count)


def zero(unit: str) -> Money:
    return Money(0, unit)


def total(amounts: Iterable[Money], unit: str) -> Money:
    result = zero(unit)
    for amount in amounts:
        result += amount
    return result


def parse(text: str, unit: str) -> Money:
    """From a decimal string like "9.99": digits and at most one point; too many decimals are refused, not rounded."""
    digits = exponent(unit)
    match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise NotDecimal(text)
    whole, decimals = match[1], match[2] or ""
    if len(decimals) > digits:
        raise TooManyDecimals(text, decimals=len(decimals), unit=unit, digits=digits)
    return Money(int(whole + decimals.ljust(digits, "0")), unit)


def as_written(text: str, unit: str) -> Money:
    """As people write it, "9,99" as well."""
    return parse(text.strip().replace(",", "."), unit)


def plain(amount: Money) -> str:
    """To a decimal string for machines, "9.99": what `parse` reads."""
    digits = exponent(amount.unit)
    text = str(abs(amount.minor)).rjust(digits + 1, "0")
    sign = "-" if amount.minor < 0 else ""
    return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)


def for_reader(amount: Money) -> str:
    """In the language of the page, letter or paper that is being made."""
    return format_money(amount, get_language() or "en")


def format_money(amount: Money, locale: str) -> str:
    """For people: "9,99 €" in French, "€9.99" in English; a credit unit is a number and its name."""
    if not is_currency(amount.unit):
        return f"{format_decimal(amount.minor, locale=locale)} {amount.unit}"
    known = Locale.parse(locale, sep="-" if "-" in locale else "_")
    pattern = parse_pattern(known.currency_formats["standard"].pattern)
    digits = exponent(amount.unit)
    pattern.frac_prec = (digits, digits)
    text: str = pattern.apply(Decimal(plain(amount)), known, currency=amount.unit, currency_digits=False)
    return re.sub(r"(?<=[A-Z])(?=\d)", "\xa0", text)  # CLDR: a code stands apart from the figures, "KWD 1.234"
