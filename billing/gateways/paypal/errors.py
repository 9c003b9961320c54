"""PayPal's refusals: by status and issue, never by their texts, which change."""

from billing.gateways.errors import Declined, FailureCategory, GatewayError, Unavailable
from billing.gateways.http import Reply
from billing.gateways.redaction import redacted_text
from billing.gateways.tokens import misconfigured

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT = 401, 403, 404, 409
REFUSED = (400, 404, 405, 406, 415, 422)

CONVERGE = frozenset(
    {
        "ORDER_ALREADY_CAPTURED",
        "ORDER_ALREADY_AUTHORIZED",
        "ORDER_ALREADY_COMPLETED",
        "ORDER_COMPLETE_ON_PAYMENT_APPROVAL",
        "ORDER_NOT_APPROVED",  # it still waits for its payer, and the order says so
    }
)
IN_PROGRESS = frozenset({"ORDER_COMPLETION_IN_PROGRESS", "PREVIOUS_REQUEST_IN_PROGRESS", "ORDER_IS_PENDING_APPROVAL"})
PAYER_MUST_ACT = frozenset({"INSTRUMENT_DECLINED", "PAYER_ACTION_REQUIRED", "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING"})
# Not now, and no fault of PayPal's: neither asked again in a breath nor counted as if it were down.
LATER = {
    "REFUND_FAILED_INSUFFICIENT_FUNDS": FailureCategory.INSUFFICIENT_FUNDS,
    "PENDING_CAPTURE": FailureCategory.NOT_SUPPORTED,
}
OUR_ACCOUNT = frozenset(
    {
        "PAYEE_ACCOUNT_RESTRICTED",
        "PAYEE_ACCOUNT_LOCKED_OR_CLOSED",
        "PAYEE_ACCOUNT_INVALID",
        "TRANSACTION_RECEIVING_LIMIT_EXCEEDED",
        "AUTH_CAPTURE_NOT_ENABLED",
        "PERMISSION_DENIED",
        "CONSENT_NEEDED",
        "INVALID_ACCOUNT_STATUS",
    }
)
CATEGORIES = {
    "TRANSACTION_REFUSED": FailureCategory.PAYER_DECLINED,
    "PAYER_CANNOT_PAY": FailureCategory.PAYER_DECLINED,
    "CARD_EXPIRED": FailureCategory.PAYER_DECLINED,
    "PAYMENT_SOURCE_DECLINED_BY_PROCESSOR": FailureCategory.PAYER_DECLINED,
    "PAYER_ACCOUNT_RESTRICTED": FailureCategory.INVALID_PAYER,
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": FailureCategory.INVALID_PAYER,
    "COMPLIANCE_VIOLATION": FailureCategory.RISK,
    "PAYEE_BLOCKED_TRANSACTION": FailureCategory.RISK,
    "TRANSACTION_BLOCKED_BY_PAYEE": FailureCategory.RISK,
    "DECLINED_DUE_TO_RELATED_TXN": FailureCategory.RISK,
    "TRANSACTION_LIMIT_EXCEEDED": FailureCategory.LIMIT,
    "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED": FailureCategory.LIMIT,
    "ORDER_EXPIRED": FailureCategory.EXPIRED,
    "ORDER_COMPLETED_OR_VOIDED": FailureCategory.EXPIRED,
    "REFUND_AMOUNT_EXCEEDED": FailureCategory.LIMIT,
    "CAPTURE_FULLY_REFUNDED": FailureCategory.LIMIT,
    "REFUND_TIME_LIMIT_EXCEEDED": FailureCategory.EXPIRED,
    "INSUFFICIENT_FUNDS": FailureCategory.INSUFFICIENT_FUNDS,
}
ITEM_CATEGORIES = {
    "INSUFFICIENT_FUNDS": FailureCategory.INSUFFICIENT_FUNDS,
    "RECEIVER_UNREGISTERED": FailureCategory.INVALID_PAYER,
    "RECEIVER_ACCOUNT_LOCKED": FailureCategory.INVALID_PAYER,
    "SPENDING_LIMIT_EXCEEDED": FailureCategory.LIMIT,
    "SENDER_ACCOUNT_LOCKED": FailureCategory.CONFIGURATION,
    "SENDER_ACCOUNT_UNVERIFIED": FailureCategory.CONFIGURATION,
}


def issue(reply: Reply) -> str:
    """The most exact word that PayPal gives: the issue of the first detail, else the error's name."""
    fields = reply.fields_or_none()
    details = fields.get("details")
    if isinstance(details, list) and details and isinstance(details[0], dict) and details[0].get("issue"):
        return str(details[0]["issue"])
    return str(fields.get("name") or fields.get("error") or reply.status)


def refusal(reply: Reply) -> GatewayError:
    """The error that a reply without success means."""
    word = issue(reply)
    if reply.status in (UNAUTHORIZED, FORBIDDEN) or word in OUR_ACCOUNT:
        return misconfigured(reply, "PayPal refuses our account.", code=word)
    if reply.status == CONFLICT or word in IN_PROGRESS:
        return reply.uncertain("PayPal is still at work on the same request.", code=word)
    if word == "DUPLICATE_INVOICE_ID":
        return reply.uncertain("An earlier try may have been paid.", code=word, category=FailureCategory.DUPLICATE)
    if word in LATER:
        return reply.unavailable("PayPal cannot do this yet.", code=word, category=LATER[word])
    if reply.status in REFUSED and reply.fields_or_none():
        gone = FailureCategory.EXPIRED if reply.status == NOT_FOUND else FailureCategory.INVALID_REQUEST
        return Declined(
            redacted_text(str(reply.fields_or_none().get("message", "PayPal says no."))),
            gateway=reply.gateway,
            category=CATEGORIES.get(word, gone),
            code=word,
            trace=reply.trace,
        )
    return reply.uncertain("PayPal's answer means nothing to us.", code=word)


def refused_credentials(reply: Reply) -> Unavailable:
    """Nothing was asked yet, so nothing can have happened; only an operator can mend a refused secret."""
    if reply.status in (400, UNAUTHORIZED, FORBIDDEN):
        return misconfigured(reply, "PayPal refuses our credentials.", code=issue(reply))
    return reply.unavailable("PayPal gives no token.")


def is_known_batch(reply: Reply) -> bool:
    fields = reply.fields_or_none()
    details = fields.get("details")
    named = [each.get("field") for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    return fields.get("name") == "USER_BUSINESS_ERROR" and "SENDER_BATCH_ID" in named


def linked_batch(reply: Reply) -> str:
    """The id at the end of the link to the batch that was sent first."""
    links = reply.fields_or_none().get("links")
    found = [str(each.get("href", "")) for each in links if isinstance(each, dict)] if isinstance(links, list) else []
    batches = [href.rstrip("/").rpartition("/")[2] for href in found if "/v1/payments/payouts/" in href]
    return batches[0] if batches else ""


def category_of_item(name: str) -> FailureCategory:
    return ITEM_CATEGORIES.get(name, FailureCategory.UNKNOWN)
