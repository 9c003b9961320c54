"""Where money can be sent: read strictly, remembered, and usable after a while when it is not a seller's first."""

import re
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from wallets.errors import InvalidValue
from wallets.models import Destination, DestinationKind, Seller

# As billing's gateways name them; which of them a gateway reaches is that gateway's business.
OPERATORS = (
    "AFRICELL", "AIRTEL", "EXPRESSO", "FREE", "MOOV", "MPESA", "MTN", "ORANGE", "TMONEY", "WAVE", "ZAMANI",
)  # fmt: skip
ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{8,64}")
LONGEST_EMAIL = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    kind: DestinationKind
    value: str
    operator: str = ""


def parse(*, kind: str, value: str, operator: str = "") -> Asked:
    """A destination as it will be used; what does not parse is refused with the field that is wrong."""
    known = {each.value: each for each in DestinationKind}
    if kind not in known:
        raise InvalidValue("destination.type", f"Choose one of: {', '.join(known)}.")
    if kind == DestinationKind.MOBILE_MONEY:
        return Asked(kind=known[kind], value=_number(value), operator=_operator(operator))
    if operator:
        raise InvalidValue("destination.operator", "Only a mobile-money number has an operator.")
    return Asked(kind=known[kind], value=_email(value) if kind == DestinationKind.PAYPAL else _account(value))


def remember(seller: Seller, asked: Asked) -> Destination:
    """The seller's destination, made if it is new. Their first one is usable at once: no change, nothing to notice."""
    now = timezone.now()
    is_first = not Destination.objects.filter(seller=seller).exists()
    wait = timedelta() if is_first else timedelta(hours=settings.WALLETS_DESTINATION_COOLING_HOURS)
    found, _ = Destination.objects.get_or_create(
        seller=seller,
        kind=asked.kind,
        value=asked.value,
        operator=asked.operator,
        defaults={"usable_from": now + wait},
    )
    return found


def _number(value: str) -> str:
    import phonenumbers  # slow to load, and few processes hear of a telephone

    example = "Send the number as E.164 writes it, such as +2250700000000."
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException as error:
        raise InvalidValue("destination.phone", example) from error
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if written != value:
        raise InvalidValue("destination.phone", example)
    if not phonenumbers.is_valid_number(number):
        raise InvalidValue("destination.phone", "No telephone has this number.")
    return str(written)


def _operator(value: str) -> str:
    if value not in OPERATORS:
        raise InvalidValue("destination.operator", f"Choose one of: {', '.join(OPERATORS)}.")
    return value


def _email(value: str) -> str:
    try:
        validate_email(value)
    except ValidationError as error:
        raise InvalidValue("destination.email", "This is no e-mail address.") from error
    if len(value) > LONGEST_EMAIL:
        raise InvalidValue("destination.email", f"An address has at most {LONGEST_EMAIL} characters.")
    return value.lower()


def _account(value: str) -> str:
    if not ACCOUNT.fullmatch(value):
        raise InvalidValue("destination.account", "Send the id of a connected account, such as acct_1NkV2zLkdIwHu7ix.")
    return value
