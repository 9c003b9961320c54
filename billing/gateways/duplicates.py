"""A reference that a gateway knows already: never an error of its own, always a reason to ask what became of it."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from billing.gateways.errors import FailureCategory, GatewayError
from billing.gateways.http import Reply


class _Result(Protocol):
    @property
    def state(self) -> str: ...


Result = TypeVar("Result", bound=_Result)


def converge(reply: Reply, fetch: Callable[[], Result], *, code: str = "") -> Result:
    """The gateway says that it has our reference: what the first call made is the truth. If it will not tell that now,
    we do not know, whatever kind of failure asking was."""
    message = "The gateway knows our reference already, and does not say what became of it."
    try:
        found = fetch()
    except GatewayError as failure:
        raise reply.uncertain(message, code=code, category=FailureCategory.DUPLICATE) from failure
    if found.state == "not_found":
        raise reply.uncertain(message, code=code, category=FailureCategory.DUPLICATE)
    return found
