"""The three ways in which a call to a gateway fails, and why it may have said no."""

from collections.abc import Sequence
from enum import StrEnum

from ledger.money import Money


class FailureCategory(StrEnum):
    """Why a gateway said no, in words that are the same for all of them."""

    PAYER_DECLINED = "payer_declined"
    PAYER_CANCELLED = "payer_cancelled"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    AUTHENTICATION_REQUIRED = "authentication_required"
    EXPIRED = "expired"
    INVALID_PAYER = "invalid_payer"
    LIMIT = "limit"
    RISK = "risk"
    CONFIGURATION = "configuration"
    PROVIDER_DOWN = "provider_down"
    INVALID_REQUEST = "invalid_request"
    DUPLICATE = "duplicate"
    NOT_SUPPORTED = "not_supported"
    UNKNOWN = "unknown"


class GatewayError(Exception):
    """A call that did not do what was asked. Exactly one of the three below is raised."""

    def __init__(
        self,
        message: str,
        *,
        gateway: str,
        category: FailureCategory = FailureCategory.UNKNOWN,
        code: str = "",
        trace: str = "",
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.gateway = gateway
        self.category = category
        self.code = code  # the gateway's own word
        self.trace = trace  # its id of the request, for its support
        self.retry_after_seconds = retry_after_seconds


class Declined(GatewayError):
    """It said no. Nothing moved, and asking again would change nothing."""


class AmountRefused(Declined):
    """An amount that the gateway cannot represent or does not take: nothing was sent."""

    def __init__(self, *, gateway: str, amount: Money, reason: str, nearest: Sequence[Money]) -> None:
        category = FailureCategory.INVALID_REQUEST if nearest else FailureCategory.NOT_SUPPORTED
        super().__init__(reason, gateway=gateway, category=category, code="amount")
        self.amount = amount
        self.reason = reason
        self.nearest = tuple(nearest)


class Unavailable(GatewayError):
    """It surely never acted: another gateway, or the same one later, may be asked."""


class Uncertain(GatewayError):
    """It may have acted. Ask `fetch_…`, never send under another reference, never fall back."""


class InvalidLetter(Exception):
    """A webhook whose signature, secret or age is wrong: refused and counted, not stored."""
