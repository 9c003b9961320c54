"""What reading a gateway's notifications has in common."""

import hmac
from collections.abc import Mapping
from json import loads
from typing import Any, Protocol, runtime_checkable

from billing.gateways.base import NOT_KEPT, Hint, Letter
from billing.gateways.errors import InvalidLetter
from billing.gateways.references import fingerprint


@runtime_checkable
class AsksToProve(Protocol):
    """A gateway that proves some letters by a call to it, for which their reader waits: anybody can make it wait."""

    def must_ask(self, letter: Letter) -> bool: ...


def fields(letter: Letter) -> dict[str, Any]:
    """The JSON object in a letter's body."""
    try:
        found = loads(letter.body)
    except (ValueError, RecursionError) as broken:  # not JSON, not UTF-8, a number of thousands of digits, too deep
        raise InvalidLetter("The body is not JSON.") from broken
    if not isinstance(found, dict):
        raise InvalidLetter("The body is not a JSON object.")
    return found


def made_up_id(letter: Letter) -> str:
    """For gateways whose letters have no id: the same words on the same path are the same letter."""
    return fingerprint(letter.token, letter.body)


def text(value: object) -> str:
    found = value if isinstance(value, str) else ""
    if NOT_KEPT.search(found):
        raise InvalidLetter("The letter has characters that nobody can keep.")
    return found


def fits(hint: Hint, ids: Mapping[str, str]) -> bool:
    """Whether a letter can be about this attempt: whatever both name must be the same. For gateways that sign nothing
    and repeat a secret of the payment instead, this is the check of that secret."""
    return all(hmac.compare_digest(value, ids[name]) for name, value in hint.ids.items() if name in ids)
