"""CinetPay: a payment page for the mobile wallets of West and Central Africa, and transfers to them.

CinetPay has two generations of accounts, whose addresses, credentials and words differ. A setting says which it is.
"""

from collections.abc import Mapping, Sequence

from billing.gateways import amounts
from billing.gateways.base import (
    AmountRule,
    Capabilities,
    CheckoutRequest,
    DestinationKind,
    Flow,
    Hint,
    Letter,
    PaymentRef,
    PaymentResult,
    PayoutRef,
    PayoutRequest,
    PayoutResult,
    Trust,
)
from billing.gateways.cinetpay import letters
from billing.gateways.cinetpay.api_v1 import ApiV1
from billing.gateways.cinetpay.checkout_v2 import CheckoutV2
from billing.gateways.cinetpay.configuration import NAME, V1, Configuration
from billing.gateways.cinetpay.transfers import Transfers
from billing.gateways.errors import Declined, FailureCategory
from billing.gateways.http import Limits
from billing.gateways.phones import CODES
from ledger.money import exponent

LEAST = {"XOF": 100, "XAF": 100, "GNF": 100, "CDF": 400}  # whole units
STEP = 5


class CinetPay:
    name = NAME

    def __init__(self, configuration: Configuration, limits: Limits) -> None:
        self.configuration = configuration
        self.capabilities = _capabilities(configuration)
        v1 = ApiV1(configuration, limits)
        is_v1 = configuration.generation == V1
        self._checkout: CheckoutV2 | ApiV1 = v1 if is_v1 else CheckoutV2(configuration, limits)
        self._transfers: Transfers | ApiV1 = v1 if is_v1 else Transfers(configuration, limits)

    def missing_settings(self) -> Sequence[str]:
        return self.configuration.missing()

    def check_health(self) -> None:
        self._checkout.check_health()

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        amounts.require(request.amount, self.capabilities.currencies, gateway=NAME)
        return self._checkout.open_checkout(request)

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        return self._checkout.fetch_payment(payment)

    def send_payout(self, request: PayoutRequest) -> PayoutResult:
        if request.destination.kind not in self.capabilities.payout:
            raise Declined(
                "This CinetPay account pays out to telephones, if at all.",
                gateway=NAME,
                category=FailureCategory.NOT_SUPPORTED,
            )
        amounts.require(request.amount, self.capabilities.payout_currencies, gateway=NAME)
        return self._transfers.send_payout(request)

    def fetch_payout(self, payout: PayoutRef) -> PayoutResult:
        return self._transfers.fetch_payout(payout)

    def read_letter(self, letter: Letter) -> Sequence[Hint]:
        if letter.method == "GET":
            return []  # the ping before the first letter: is anybody there?
        if self.configuration.generation == V1:
            return letters.with_token(letter)
        return letters.signed_or_about_transfer(letter, self.configuration)


def _capabilities(configuration: Configuration) -> Capabilities:
    payout = configuration.pays_out
    return Capabilities(
        flows=frozenset({Flow.REDIRECT}),
        currencies=_rules(configuration.currencies, LEAST, configuration.maximum),
        countries=frozenset(CODES.values()),
        payout=frozenset({DestinationKind.PHONE} if payout else ()),
        payout_currencies=_rules(
            configuration.currencies,
            dict.fromkeys(LEAST, configuration.payout_minimum),
            configuration.payout_maximum,
        )
        if payout
        else {},
        webhook_trust=Trust.SHARED_SECRET if configuration.generation == V1 else Trust.SIGNED,
        pending_lifetime=configuration.link_lifetime,
    )


def _rules(currencies: Sequence[str], least: Mapping[str, int], most: int) -> dict[str, AmountRule]:
    """Whole units in steps of five, also of the Congolese franc, which has cents by ISO."""
    found = {}
    for unit in currencies:
        if unit in LEAST:
            whole = 10 ** exponent(unit)
            found[unit] = AmountRule(
                minimum_minor=least[unit] * whole,
                maximum_minor=most * whole,
                step_minor=STEP * whole,
                wire_exponent=0,
            )
    return found
