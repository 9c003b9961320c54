"""What is refused of the work of operators: payouts, cases, statements."""

from uuid import UUID

from billing.errors.base import BillingError


class PayoutNotOpen(BillingError):
    """Only of what nobody knows can people say how it ended."""

    def __init__(self, status: str) -> None:
        self.withdrawal_status = status
        super().__init__(f"The withdrawal is {status}: there is nothing to find out.")


class PayoutNotSent(BillingError):
    def __init__(self) -> None:
        super().__init__("It has not been sent to any gateway yet.")


class CaseClosed(BillingError):
    def __init__(self, case: UUID) -> None:
        self.case = case
        super().__init__("The case is closed already.")


class RefundWaits(BillingError):
    """The case is about a refund that nobody has sent yet; the case closes with it."""

    def __init__(self, refund: UUID) -> None:
        self.refund = refund
        super().__init__("The refund of this case still waits to be sent and confirmed.")


class ResolutionMissing(BillingError):
    def __init__(self) -> None:
        super().__init__("Say how the case ended.")


class DiscrepancyClosed(BillingError):
    def __init__(self, discrepancy: UUID) -> None:
        self.discrepancy = discrepancy
        super().__init__("This exception is resolved already.")


class StatementUnreadable(BillingError):
    """Of a file that somebody gave us: which line, and what would be right."""
