"""The lines of the log that a payment can be followed by: begun, how it ended, refunded.

Each is written when what it tells of is committed. Of the person there is the number only.
"""

import logging
from functools import partial
from typing import Any

from django.db import transaction

from billing.models import Attempt, Payment, Refund
from billing.models.payments import PaymentStatus

logger = logging.getLogger(__name__)

_WORDS = {PaymentStatus.SUCCEEDED: "paid"}
# Somebody looks at what is in quarantine; what failed is the customer's everyday life.
_LEVELS = {PaymentStatus.QUARANTINED: logging.WARNING}


def begun(attempt: Attempt) -> None:
    """It goes to a gateway; once more when it goes to another one."""
    _write(logging.INFO, "begun", attempt.payment, attempt, {})


def ended(payment: Payment, attempt: Attempt | None) -> None:
    status = PaymentStatus(payment.status)
    failed = attempt is not None and status == PaymentStatus.FAILED
    why = {"category": attempt.failure_category, "code": attempt.failure_code} if attempt and failed else {}
    _write(_LEVELS.get(status, logging.INFO), _WORDS.get(status, status.value), payment, attempt, why)


def refunded(refund: Refund) -> None:
    """The amount is what went back."""
    facts = {"refund": str(refund.pk), "amount": refund.amount_minor}
    _write(logging.INFO, "refunded", refund.payment, refund.attempt, facts)


def _write(level: int, what: str, payment: Payment, attempt: Attempt | None, facts: dict[str, Any]) -> None:
    said = {
        "payment": str(payment.pk),
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "gateway": attempt.gateway if attempt else None,
        "attempt": str(attempt.pk) if attempt else None,
        "user": payment.user_id,
    }
    transaction.on_commit(partial(logger.log, level, f"payment.{what}", extra=said | facts))
