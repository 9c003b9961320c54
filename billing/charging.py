"""A saved card is charged, under an attempt that is committed: for a buyer who is there, and by top-ups for one who is
not."""

from billing import asking, calling, errors, failures, payments
from billing.gateways import errors as gateway_errors
from billing.gateways import registry
from billing.gateways.base import Buyer, ChargeRequest, ChargesSavedMethods, PaymentResult, PaymentState
from billing.gateways.errors import FailureCategory
from billing.models import Attempt, Payment, SavedMethod
from billing.models.payments import ENDED, AttemptState


def call(*, attempt: Attempt, method: SavedMethod, buyer: Buyer, return_url: str = "") -> PaymentResult:
    """Ask the card's gateway for the money. An address to come back to says that the buyer is there."""
    adapter = registry.get(attempt.gateway)
    assert isinstance(adapter, ChargesSavedMethods)  # noqa: S101 - routing chose it for that
    request = ChargeRequest(
        reference=attempt.reference,
        amount=attempt.payment.money,
        description=attempt.payment.description,
        buyer=buyer,
        method=method.gateway_id,
        return_url=return_url,
        metadata={"payment": str(attempt.payment_id)},
    )
    return calling.call(attempt.gateway, "charge", lambda: adapter.charge(request), is_new_attempt=True)


def pay(*, attempt: Attempt, method: SavedMethod, buyer: Buyer, return_url: str) -> Payment:
    """For a buyer who is there: paid at once, under way, or on a page of their bank's. A card that is not charged is a
    refusal, and the payment is over; `Unavailable` is passed on, since the same may be asked again."""
    try:
        result = call(attempt=attempt, method=method, buyer=buyer, return_url=return_url)
    except gateway_errors.Uncertain as doubt:
        payments.doubt(attempt=attempt, error=doubt)
        return attempt.payment
    except gateway_errors.Unavailable as refusal:
        payments.refuse(attempt=attempt, error=refusal)
        payments.give_up(payment=attempt.payment)
        raise
    except gateway_errors.Declined as refusal:
        # Noted as a letter of it would be, which may come before this answer.
        result = PaymentResult(state=PaymentState.FAILED, failure=failures.of(refusal))
    payment = payments.note(attempt=attempt, result=result)
    attempt.refresh_from_db()
    if attempt.state == AttemptState.REQUIRES_ACTION and not attempt.next_action:
        return _without_a_page(payment, attempt)
    if attempt.state in ENDED:
        raise errors.MethodRefused(payment.pk, attempt.gateway, attempt.failure_category or FailureCategory.UNKNOWN)
    return payment


def _without_a_page(payment: Payment, attempt: Attempt) -> Payment:
    """The bank wants to see the buyer, and there is no page to lead them to: taken back, where its gateway can."""
    try:
        payment = asking.cancel(payment)
    except errors.BillingError:
        return payment  # paid meanwhile, or not to be taken back: it stands, and is asked about
    raise errors.MethodRefused(payment.pk, attempt.gateway, FailureCategory.AUTHENTICATION_REQUIRED)
