"""What is refused of payments, and of the money that goes back: refunds and disputes."""

from uuid import UUID

from billing.errors.base import BillingError
from ledger.money import Money


class PaymentOver(BillingError):
    def __init__(self, payment: UUID, status: str) -> None:
        self.payment = payment
        self.state = status
        super().__init__(f"The payment is {status}.")


class AttemptLive(BillingError):
    """Another attempt of this payment could still be paid."""

    def __init__(self, payment: UUID) -> None:
        self.payment = payment
        super().__init__("The payment is under way at a gateway; a second one could be paid as well.")


class PaymentOfInvoice(BillingError):
    """An invoice asks for it: as long as that stands, so does the payment."""

    def __init__(self, payment: UUID) -> None:
        self.payment = payment
        super().__init__("An invoice asks for this payment; cancel the invoice instead.")


class CannotCancel(BillingError):
    """The gateway knows no way back, or the buyer may be paying just now."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        super().__init__("This payment cannot be cancelled at its gateway; left unpaid, it ends by itself.")


class GatewaySilent(BillingError):
    """The gateway did not answer the question; nothing has changed here."""

    def __init__(self, gateway: str, retry_after_seconds: int | None = None) -> None:
        self.gateway = gateway
        self.retry_after_seconds = retry_after_seconds
        super().__init__("The gateway does not answer at the moment. Nothing was changed.")


class GatewayUnsure(GatewaySilent):
    """The answer was lost: it may have done what it was asked for."""

    def __init__(self, gateway: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(gateway, retry_after_seconds)
        self.args = ("The gateway's answer was lost. It may have acted, and is asked again by itself.",)


class NotRefundable(BillingError):
    """Nothing has been paid, or all of it has gone back already."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"There is nothing to refund: the payment is {state}.")


class RefundTooLarge(BillingError):
    """More than is left to refund, refunds under way included."""

    def __init__(self, refundable: int, currency: str) -> None:
        self.refundable = refundable
        self.currency = currency
        super().__init__(f"At most {Money(refundable, currency)} can still be refunded.")


class RefundBetweenSteps(BillingError):
    """The gateway sends back whole steps of a currency only; the nearest that are left to refund."""

    def __init__(self, amount: int, currency: str, step: int, refundable: int) -> None:
        self.amount = amount
        self.currency = currency
        below = amount - amount % step
        self.nearest_amounts = [each for each in (below, below + step) if 0 < each <= refundable]
        near = " or ".join(str(Money(each, currency)) for each in self.nearest_amounts) or "none"
        super().__init__(
            f"The gateway sends back multiples of {Money(step, currency)}, not {Money(amount, currency)}. "
            f"The nearest: {near}."
        )


class CreditsSpent(BillingError):
    """The policy wants credits back that are spent or expired; `refundable` is what it allows."""

    def __init__(self, missing: int, refundable: int) -> None:
        self.missing = missing
        self.refundable = refundable
        super().__init__(
            f"{missing} of the credits are spent or expired. Under this policy {refundable} can be refunded."
        )


class DisputeOpen(BillingError):
    """The buyer's bank decides about this money: a refund now could be paid twice."""

    def __init__(self, dispute: UUID) -> None:
        self.dispute = dispute
        super().__init__("A dispute about this payment is open. Refund it, if need be, when the dispute is over.")


class RefundPlanChanged(BillingError):
    """What was agreed to is not what would happen any more."""

    def __init__(self) -> None:
        super().__init__("What the refund would do has changed meanwhile. Look at the preview again.")


class PartialNotPossible(BillingError):
    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        super().__init__("The gateway can only refund this payment as a whole.")


class ReasonMissing(BillingError):
    def __init__(self) -> None:
        super().__init__("Say why the money goes back.")


class RefundOver(BillingError):
    def __init__(self, refund: UUID, state: str) -> None:
        self.refund = refund
        self.state = state
        super().__init__(f"The refund is {state}.")


class RefundEndedMeanwhile(BillingError):
    """What was asked for before it ended may be older than its end: whoever asked, asks again."""

    def __init__(self, refund: UUID, state: str) -> None:
        self.refund = refund
        self.state = state
        super().__init__(f"The refund is {state} since that was asked.")


class RefundBeingSent(BillingError):
    """Its worker may be in the middle of the call, and will say itself how it ended."""

    def __init__(self) -> None:
        super().__init__("It is being sent right now. Look again in five minutes.")


class SettledWithDispute(BillingError):
    """The gateway has said how it ended; what comes back to us for it waits for the bank."""

    def __init__(self) -> None:
        super().__init__("It has gone already, and is settled with the dispute about its payment.")


class SecondOperatorNeeded(BillingError):
    """Above the limit, whoever asked for a refund by hand does not confirm it too."""

    def __init__(self) -> None:
        super().__init__("A refund of this size is confirmed by somebody else than who asked for it.")


class RefundBeyondYours(BillingError):
    """Above the limit, a refund is asked for by somebody who may confirm refunds."""

    def __init__(self, limit: Money) -> None:
        self.limit = limit
        super().__init__(f"Refunds above {limit} are asked for by somebody who may confirm refunds.")


class CannotAnswer(BillingError):
    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        super().__init__("This gateway takes evidence in its own dashboard only.")


class DisputeOver(BillingError):
    def __init__(self, dispute: UUID, state: str) -> None:
        self.dispute = dispute
        self.state = state
        super().__init__("The dispute is over, or was answered already.")


class EvidenceUnsure(BillingError):
    """The bank's side may have it; sending it again is refused there if so."""

    def __init__(self, dispute: UUID) -> None:
        self.dispute = dispute
        super().__init__("The gateway's answer was lost. Look whether the evidence is there, and send it again if not.")


class EvidenceFileRefused(BillingError):
    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        megabytes = most_bytes // 1_000_000
        super().__init__(f"The bank reads a PDF, a PNG or a JPEG of at most {megabytes} MB.")
