"""Why a gateway did not do it, as it is kept with what failed: a category of ours, and the gateway's own word."""

from billing.gateways.base import Failure
from billing.gateways.errors import GatewayError
from billing.models import Attempt, Payout, Refund

LONGEST_CODE, LONGEST_MESSAGE = 100, 500


def of(error: GatewayError) -> Failure:
    return Failure(category=error.category, code=error.code, message=str(error))


def remember(row: Attempt | Payout | Refund, failure: Failure | None) -> None:
    """None: it did not fail, or not any more. Whoever calls saves the row."""
    row.failure_category = failure.category if failure else ""
    row.failure_code = failure.code[:LONGEST_CODE] if failure else ""
    if isinstance(row, Attempt):
        row.failure_message = failure.message[:LONGEST_MESSAGE] if failure else ""
