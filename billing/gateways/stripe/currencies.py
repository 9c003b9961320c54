"""The currencies that Stripe charges, and how it writes their amounts."""

from collections.abc import Mapping

from billing.gateways.base import AmountRule
from billing.gateways.errors import Declined, FailureCategory, Uncertain
from billing.gateways.stripe.client import NAME
from ledger.money import EXPONENTS, Money, exponent

LARGEST_ON_WIRE = 99_999_999  # eight digits
_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP "
    "CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS "
    "INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK "
    "MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP "
    "SLE SOS SRD STN SZL THB TJS TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XOF XPF YER ZAR ZMW"
)
CHARGED = frozenset(_CODES.split())
# Where Stripe's wire differs from ISO 4217: UGX and ISK keep two decimals that must be 00, MGA has none.
THREE_DECIMALS = 3
WIRE_EXPONENTS = {"UGX": 2, "ISK": 2, "MGA": 0}


def rules(minimums_minor: Mapping[str, int]) -> dict[str, AmountRule]:
    return {
        currency: _rule(currency, minimums_minor.get(currency, 1))
        for currency in sorted(CHARGED)
        if currency in EXPONENTS
    }


def _rule(currency: str, minimum_minor: int) -> AmountRule:
    wire, own, step = wire_exponent(currency), exponent(currency), _step(currency)
    largest = LARGEST_ON_WIRE // 10 ** max(0, wire - own) * 10 ** max(0, own - wire)
    return AmountRule(
        minimum_minor=max(minimum_minor, step),
        maximum_minor=largest - largest % step,
        step_minor=step,
        wire_exponent=wire if wire != own else None,
    )


def _step(currency: str) -> int:
    """Of three decimals the last must be 0; what Stripe's wire has no decimals for is whole."""
    own = exponent(currency)
    return 10 if own == THREE_DECIMALS else int(10 ** max(0, own - wire_exponent(currency)))


def wire_exponent(currency: str) -> int:
    return WIRE_EXPONENTS.get(currency, exponent(currency))


def to_wire(amount: Money) -> int:
    """Our minor units as Stripe counts them; what it cannot write is refused, never rounded."""
    if amount.unit not in CHARGED:
        raise Declined(
            f"Stripe does not charge {amount.unit}.",
            gateway=NAME,
            category=FailureCategory.NOT_SUPPORTED,
            code="currency_not_supported",
        )
    step = _step(amount.unit)
    if amount.minor % step:
        raise Declined(
            f"Stripe takes {amount.unit} in steps of {step} minor units.",
            gateway=NAME,
            category=FailureCategory.INVALID_REQUEST,
            code="amount_not_representable",
        )
    more = wire_exponent(amount.unit) - exponent(amount.unit)
    return amount.minor * int(10**more) if more >= 0 else amount.minor // int(10**-more)


def from_wire(minor: object, currency: object) -> Money:
    """An amount of Stripe's in our minor units. What we cannot read is no success."""
    unit = str(currency).upper()
    if not isinstance(minor, int) or isinstance(minor, bool) or unit not in EXPONENTS:
        raise Uncertain("Stripe's amount cannot be read.", gateway=NAME, code="unreadable")
    less = wire_exponent(unit) - exponent(unit)
    if less <= 0:
        return Money(minor * int(10**-less), unit)
    whole, rest = divmod(minor, int(10**less))
    if rest:
        raise Uncertain("Stripe's amount has decimals that its currency lacks.", gateway=NAME, code="unreadable")
    return Money(whole, unit)


def from_wire_or_none(minor: object, currency: object) -> Money | None:
    return None if minor is None or not currency else from_wire(minor, currency)
