"""What must never reach a log: secrets, tokens, telephone and card numbers, at any depth and inside any text.

A value is masked for its name (`password`, `msisdn`) or for its looks (`sk_live_…`, `+237…`). What has no look of its
own is left alone: order numbers, UUIDs, amounts and times survive, and so does a telephone number without its country
code, which therefore must be logged under its name or, better, not at all.
"""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

MASK = "***"
DEEPEST = 8

_SENSITIVE = (
    r"pass(?:word|wd|phrase)?|pwd|secret|(?:access|refresh|auth|api|id|session|csrf|bearer|service)?[_-]?token"
    r"|api[_-]?key|private[_-]?key|internal[_-]?key|signing[_-]?key|client[_-]?secret|secret[_-]?key"
    r"|authorization|proxy[_-]authorization|x[_-]internal[_-]key|set[_-]cookie|cookie|sessionid|csrftoken"
    r"|signature|credentials?|otp|pin|cvc|cvv|card|card[_-]?number|pan|iban"
    r"|phone|phone[_-]?number|msisdn|telephone|mobile"
)
_SECRET_NAME = re.compile(rf"(?:\w+[_-])?(?:{_SENSITIVE})(?:[_-](?:hash|value|number))?", re.IGNORECASE)

# `password=…`, `"api_key": "…"`: a secret's name inside a text takes what follows with it.
_NAMED = re.compile(
    rf"""(?P<name>(?<![A-Za-z])(?:[A-Za-z]+[_-])?(?:{_SENSITIVE}))(?P<is>["']?\s*[=:]\s*)"""
    r"""(?P<value>"[^"]*"|'[^']*'|(?:Bearer|Basic)\s+[^\s,;&"')}\]]+|[^\s,;&"')}\]]+)""",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_TOKEN = re.compile(
    r"\beyJ[\w-]{5,}\.[\w-]{2,}(?:\.[\w-]*)?"  # a JWT
    r"|\btl_[A-Za-z0-9_-]{8,}"  # a service token of ours
    r"|\b[spr]k_(?:live|test)_[A-Za-z0-9]{8,}|\bwhsec_[A-Za-z0-9+/=]{8,}"  # Stripe
    r"|\b\w+_secret_[A-Za-z0-9]{8,}"  # Stripe's client secrets
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):([^\s@]+)@")
_INTERNATIONAL = re.compile(r"(?<![\w+])(?:\+|00)[1-9](?:[ ().-]{0,2}\d){7,14}(?![\w-]|\.\d)")
# African numbers as the gateways write them: country code, then eight to ten digits, and nothing else around.
_BARE_MSISDN = re.compile(r"(?<![\w.+-])2[1-6]\d(?:\d{8,10}|(?: \d{2,3}){3,5})(?![\w-]|\.\d)")
_CARD = re.compile(r"(?<![\w.+-])(?:[3-6]\d(?:[ -]?\d){11,17}|2[2-7](?:[ -]?\d){14})(?![\w-]|\.\d)")

# Most texts of a log are one of these or hold nothing that could be meant; seven searches through each would cost more
# than the rest of the line.
_HARMLESS = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"
    r"|[0-9a-f]{32}|(?:service:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_SUSPICIOUS = re.compile(r"[=:]|\d{5}|\d[ ().-]{1,2}\d|earer|asic|eyJ|tl_|k_|whsec_|_secret_|-----", re.IGNORECASE)

_PLAIN = (bool, int, float, type(None), Decimal, uuid.UUID, dt.date, dt.time, dt.timedelta)
_PLAIN_EXACTLY = frozenset(_PLAIN)


def masked(value: Any, depth: int = 0) -> Any:
    """The same value without what must not be read; anything that is not plain data becomes its text first."""
    if isinstance(value, str):
        return masked_text(value)
    # Looked up first: a walk along them would cost most of what a line's members cost.
    if type(value) in _PLAIN_EXACTLY or isinstance(value, _PLAIN):
        return value
    if depth >= DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return _members(value, depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(item, depth + 1) for item in value]
    return masked_text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


# Texts that were looked at and found plain: routes, kinds, names of events. The same few come with every line.
_found_plain: set[str] = set()
MOST_FOUND_PLAIN, LONGEST_FOUND_PLAIN = 4_096, 200


def masked_text(text: str) -> str:
    if text in _found_plain or _HARMLESS.fullmatch(text):
        return text
    hidden = _hidden(text) if _SUSPICIOUS.search(text) else text
    if hidden == text and len(text) <= LONGEST_FOUND_PLAIN:
        if len(_found_plain) >= MOST_FOUND_PLAIN:
            _found_plain.clear()
        _found_plain.add(text)
    return hidden


def _hidden(text: str) -> str:
    text = _NAMED.sub(rf"\g<name>\g<is>{MASK}", text)
    text = _SCHEME.sub(rf"\1 {MASK}", text)
    text = _TOKEN.sub(MASK, text)
    text = _IN_URL.sub(rf"\1:{MASK}@", text)
    text = _CARD.sub(_mask_card, text)
    text = _INTERNATIONAL.sub(_keep_last_two, text)
    return _BARE_MSISDN.sub(_keep_last_two, text)


def _members(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        name, is_secret = _judged(key if isinstance(key, str) else str(key))
        # A flag or nothing tells nothing: `has_password: true`, `token: null`.
        if is_secret and value is not None and not isinstance(value, bool):
            found[name] = MASK
        else:
            found[name] = masked(value, depth)
    return found


@lru_cache(maxsize=2048)
def _judged(name: str) -> tuple[str, bool]:
    """A name as it may be written, and whether it is a secret's."""
    return masked_text(name), _SECRET_NAME.fullmatch(name) is not None


def _keep_last_two(found: "re.Match[str]") -> str:
    """Two digits let support tell one telephone from another, and nobody call it."""
    return MASK + found.group()[-2:]


def _mask_card(found: "re.Match[str]") -> str:
    digits = [int(digit) for digit in found.group() if digit.isdigit()]
    doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits[::-1])]  # noqa: PLR2004
    return MASK + found.group()[-4:] if sum(doubled) % 10 == 0 else found.group()
