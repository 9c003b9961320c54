"""What CinetPay's interfaces share: whole amounts, and replies that are judged by a code in their body."""

from collections.abc import Callable, Collection

from billing.gateways.base import AmountRule
from billing.gateways.http import Reply

WHOLE = AmountRule(wire_exponent=0)


def code_of(reply: Reply) -> str:
    """Of any reply; a body that is no JSON object is `Uncertain` here already."""
    return str(reply.fields().get("code", ""))


def says(codes: Collection[str]) -> Callable[[Reply], bool]:
    """Whether a reply has one of these codes; one that cannot be read has none."""
    return lambda reply: str(reply.fields_or_none().get("code", "")) in codes
