"""What of a gateway's words may be kept and logged: everything but secrets and what names a person."""

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
DEEPEST = 8
LONGEST_TEXT = 500
MOST_ITEMS = 50

_HIDDEN = re.compile(
    r"(?:^|_)(?:token|secret|password|apikey|api_key|merchant_key|authorization|signature|otp|pin"
    r"|mail|email|email_address|phone|phone_number|msisdn|partyid|receiver|receiver_e164|receiver_name|cel_phone_num"
    r"|cpm_phone_prefixe|prefix|payer_id|given_name|first_name|full_name|last_name|surname|customer_name|address"
    r"|national_number|birth_date|iban|last_digits)$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w-])\+?\d{9,15}(?![\w-])")
_ADDRESS = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_TOKEN_IN_QUERY = re.compile(r"([?&](?:token|pay_token|payment_token)=)[^&\s\"]+", re.IGNORECASE)


def redacted(fields: Mapping[str, Any]) -> dict[str, object]:
    """A reply as it may be stored: names stay, the values of secrets and of people go."""
    return {str(name): MASK if _hides(str(name), value) else _kept(value, 1) for name, value in fields.items()}


def _hides(name: str, value: object) -> bool:
    return bool(value) and value is not True and _HIDDEN.search(name) is not None


def _kept(value: object, depth: int) -> object:
    if depth > DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {str(name): MASK if _hides(str(name), each) else _kept(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(each, depth + 1) for each in value[:MOST_ITEMS]]
    if isinstance(value, str):
        return redacted_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    return str(value)


def redacted_text(text: str) -> str:
    """A sentence of a gateway without telephone numbers, mail addresses and tokens, and not too long."""
    text = _TOKEN_IN_QUERY.sub(rf"\1{MASK}", text)
    text = _ADDRESS.sub(MASK, text)
    return _NUMBER.sub(MASK, text)[:LONGEST_TEXT]


def redacted_path(path: str) -> str:
    """A path as it may be logged. The query never is: CinetPay wants its token there."""
    return _NUMBER.sub(MASK, path.partition("?")[0])
