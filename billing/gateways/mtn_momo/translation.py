"""Between our dataclasses and MTN's JSON: pure, nothing is asked here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing.gateways import amounts
from billing.gateways.base import (
    AmountRule,
    Failure,
    PaymentResult,
    PaymentState,
    PayoutResult,
    PayoutState,
    RefundResult,
    RefundState,
)
from billing.gateways.errors import Declined, FailureCategory, GatewayError
from billing.gateways.http import Reply
from billing.gateways.redaction import redacted, redacted_text
from billing.gateways.references import checked
from billing.gateways.tokens import misconfigured
from ledger.money import Money

NAME = "mtn_momo"
BAD_REQUEST, FORBIDDEN = 400, 403
LONGEST_TEXT = 160
# A filter in front of MTN rejects texts with these.
_UNWANTED = re.compile(r"[\"'&<>]+")
# MTN says some refusals with status 500; what became of the order is asked nevertheless.
REFUSED_BY_FAULT = {
    "NOT_ALLOWED": FailureCategory.NOT_SUPPORTED,
    "NOT_ALLOWED_TARGET_ENVIRONMENT": FailureCategory.CONFIGURATION,
    "INVALID_CALLBACK_URL_HOST": FailureCategory.CONFIGURATION,
    "INVALID_CURRENCY": FailureCategory.CONFIGURATION,
}


# ---------------------------------------------------------------- to them


def order_to_them(reference: str, amount: Money, text: str) -> dict[str, Any]:
    said = _UNWANTED.sub(" ", text).strip()[:LONGEST_TEXT] or "Payment"
    return {
        "amount": amounts.to_text(amount, AmountRule()),
        "currency": amount.unit,
        "externalId": reference,
        "payerMessage": said,
        "payeeNote": said,
    }


# ---------------------------------------------------------------- from them

REASONS = {
    "APPROVAL_REJECTED": FailureCategory.PAYER_CANCELLED,
    "TRANSACTION_CANCELED": FailureCategory.PAYER_CANCELLED,
    "PAYMENT_NOT_APPROVED": FailureCategory.PAYER_DECLINED,
    "EXPIRED": FailureCategory.EXPIRED,
    "COULD_NOT_PERFORM_TRANSACTION": FailureCategory.EXPIRED,
    "NOT_ENOUGH_FUNDS": FailureCategory.INSUFFICIENT_FUNDS,
    "LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED": FailureCategory.INSUFFICIENT_FUNDS,
    "PAYER_LIMIT_REACHED": FailureCategory.LIMIT,
    "PAYER_NOT_FOUND": FailureCategory.INVALID_PAYER,
    "PAYEE_NOT_FOUND": FailureCategory.INVALID_PAYER,
    "PAYEE_NOT_ALLOWED_TO_RECEIVE": FailureCategory.INVALID_PAYER,
    "SERVICE_UNAVAILABLE": FailureCategory.PROVIDER_DOWN,
    "INTERNAL_PROCESSING_ERROR": FailureCategory.PROVIDER_DOWN,
    "RESOURCE_NOT_FOUND": FailureCategory.INVALID_REQUEST,
    **REFUSED_BY_FAULT,
}
PENDING = ("PENDING", "CREATED")
SUCCESSFUL, FAILED = "SUCCESSFUL", "FAILED"


def code(reply: Reply) -> str:
    return str(reply.fields_or_none().get("code", ""))


def refusal(reply: Reply) -> GatewayError:
    fields = reply.fields_or_none()
    word = code(reply) or str(reply.status)
    if reply.status == FORBIDDEN:
        return misconfigured(reply, "MTN does not know our address.", code=word)
    if reply.status == BAD_REQUEST and fields:
        said = redacted_text(str(fields.get("message", "MTN says no.")))
        return Declined(said, gateway=NAME, category=FailureCategory.INVALID_REQUEST, code=word)
    return reply.uncertain("MTN's answer means nothing to us.", code=word)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What the three kinds of status replies have in common."""

    status: str
    reason: str
    amount: Money
    ids: Mapping[str, str]
    raw: Mapping[str, object]

    @property
    def failure(self) -> Failure | None:
        if self.status != FAILED:
            return None
        return Failure(category=REASONS.get(self.reason, FailureCategory.UNKNOWN), code=self.reason)


def _order_from_them(reply: Reply, reference: str) -> _Order:
    fields = reply.fields()
    with reply.understood():
        status = fields["status"]
        if status not in (*PENDING, SUCCESSFUL, FAILED):
            raise ValueError(status)
        if checked(fields.get("externalId")) not in ("", reference):
            raise reply.uncertain("MTN answered with another order.", code="reference_mismatch")
        reason = fields.get("reason") or ""
        if isinstance(reason, dict):  # a word in some versions, an object in others
            reason = reason.get("code", "")
        transaction = fields.get("financialTransactionId")
        return _Order(
            status="PENDING" if status in PENDING else status,
            reason=str(reason),
            amount=amounts.read(fields["amount"], fields["currency"]),
            ids={"transaction": str(transaction)} if transaction else {},
            raw=redacted(fields),
        )


def payment_from_them(reply: Reply, reference: str) -> PaymentResult:
    order = _order_from_them(reply, reference)
    states = {"PENDING": PaymentState.PENDING, SUCCESSFUL: PaymentState.SUCCEEDED, FAILED: PaymentState.FAILED}
    state = states[order.status]
    if order.failure and order.failure.category is FailureCategory.PAYER_CANCELLED:
        state = PaymentState.CANCELLED
    if order.failure and order.failure.category is FailureCategory.EXPIRED:
        state = PaymentState.EXPIRED
    return PaymentResult(state=state, ids=order.ids, amount=order.amount, failure=order.failure, raw=order.raw)


def refund_from_them(reply: Reply, reference: str) -> RefundResult:
    order = _order_from_them(reply, reference)
    states = {"PENDING": RefundState.PENDING, SUCCESSFUL: RefundState.SUCCEEDED, FAILED: RefundState.FAILED}
    return RefundResult(
        state=states[order.status], ids=order.ids, amount=order.amount, failure=order.failure, raw=order.raw
    )


def payout_from_them(reply: Reply, reference: str) -> PayoutResult:
    order = _order_from_them(reply, reference)
    states = {"PENDING": PayoutState.PENDING, SUCCESSFUL: PayoutState.PAID, FAILED: PayoutState.FAILED}
    return PayoutResult(
        state=states[order.status], ids=order.ids, amount=order.amount, failure=order.failure, raw=order.raw
    )
