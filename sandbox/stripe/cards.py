"""Stripe's test cards: https://docs.stripe.com/testing, and what each does."""

import hashlib
from dataclasses import dataclass

MESSAGES = {
    "card_declined": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "incorrect_number": "Your card number is incorrect.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """One test card: its face and its temper."""

    number: str
    alias: str  # what the API takes: pm_card_visa
    brand: str = "visa"
    funding: str = "credit"
    code: str = ""  # of the decline: card_declined, expired_card …
    decline_code: str = ""
    attaches: bool = True  # a card that declines is refused by a customer's wallet too, except 0341
    challenge: str = ""  # always, unless_set_up, or never for cards whose bank does not ask
    refund: str = ""  # later, or bounces
    dispute: str = ""  # the reason it is disputed for as soon as it is charged

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.number.encode()).hexdigest()[:16]

    @property
    def message(self) -> str:
        if self.decline_code == "insufficient_funds":
            return "Your card has insufficient funds."
        return MESSAGES[self.code]


def _declines(number: str, alias: str, code: str, decline_code: str, *, attaches: bool = False) -> Card:
    return Card(number=number, alias=alias, code=code, decline_code=decline_code, attaches=attaches)


CARDS = (
    Card(number="4242424242424242", alias="pm_card_visa"),
    Card(number="4000056655665556", alias="pm_card_visa_debit", funding="debit"),
    Card(number="5555555555554444", alias="pm_card_mastercard", brand="mastercard"),
    Card(number="378282246310005", alias="pm_card_amex", brand="amex"),
    Card(number="4000000000000077", alias="pm_card_bypassPending"),
    _declines("4000000000000002", "pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    _declines(
        "4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"
    ),
    _declines("4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    _declines("4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    _declines(
        "4000000000006975",
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        "card_declined",
        "card_velocity_exceeded",
    ),
    _declines("4100000000000019", "pm_card_radarBlock", "card_declined", "fraudulent"),
    _declines("4000000000000069", "pm_card_chargeDeclinedExpiredCard", "expired_card", ""),
    _declines("4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", ""),
    _declines("4000000000000119", "pm_card_chargeDeclinedProcessingError", "processing_error", ""),
    _declines("4000000000000341", "pm_card_chargeCustomerFail", "card_declined", "generic_decline", attaches=True),
    Card(number="4000002500003155", alias="pm_card_authenticationRequiredOnSetup", challenge="unless_set_up"),
    Card(number="4000002760003184", alias="pm_card_authenticationRequired", challenge="always"),
    Card(number="4000000000003220", alias="pm_card_threeDSecure2Required", challenge="always"),
    Card(
        number="4000008400001629",
        alias="pm_card_threeDSecureRequiredChargeDeclined",
        challenge="always",
        code="card_declined",
        decline_code="generic_decline",
    ),
    Card(
        number="4000008260003178",
        alias="pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        challenge="always",
        code="card_declined",
        decline_code="insufficient_funds",
    ),
    Card(number="4000000000007726", alias="pm_card_pendingRefund", refund="later"),
    Card(number="4000000000005126", alias="pm_card_refundFail", refund="bounces"),
    Card(number="4000000000000259", alias="pm_card_createDispute", dispute="fraudulent"),
    Card(number="4000000000002685", alias="pm_card_createDisputeProductNotReceived", dispute="product_not_received"),
)
BY_NUMBER = {card.number: card for card in CARDS}
# The short names of the declining cards are of Stripe's too.
BY_TOKEN = {card.alias: card for card in CARDS} | {
    card.alias.replace("pm_card_visa_charge", "pm_card_charge"): card
    for card in CARDS
    if card.alias.startswith("pm_card_visa_charge")
}


def by_number(typed: str) -> Card | None:
    """The card of a number as people type it; nothing when it is none of the test cards."""
    return BY_NUMBER.get("".join(typed.split()).replace("-", ""))
