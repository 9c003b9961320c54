"""What is refused of invoices, their drafts, tax and the accounting file."""

from uuid import UUID

from billing.errors.base import BillingError


class NotInvoiced(BillingError):
    """What is not paid, or not ours to invoice, has no invoice."""

    def __init__(self, subject: UUID) -> None:
        self.subject = subject
        super().__init__("Only what was paid to us is invoiced, and only a refund that has arrived is credited.")


class DraftInvalid(BillingError):
    """What is to be invoiced makes no sense; the sentence says what would."""


class DraftIssued(BillingError):
    def __init__(self, draft: UUID) -> None:
        self.draft = draft
        super().__init__("The invoice of this draft is issued already.")


class DraftChanged(BillingError):
    """What was looked at is not what would be issued any more."""

    def __init__(self, draft: UUID) -> None:
        self.draft = draft
        super().__init__("What would be issued has changed meanwhile. Look at the preview again.")


class NotCancellable(BillingError):
    """Only what was issued to be paid, and nobody has paid, is cancelled; what was paid is refunded."""

    def __init__(self, invoice: UUID, status: str) -> None:
        self.invoice = invoice
        self.state = status
        super().__init__(f"The invoice is {status}: only an unpaid one is cancelled, and a paid one is refunded.")


class TaxRateUnknown(BillingError):
    """To sell without the tax that is due would be at our cost."""

    def __init__(self, country: str) -> None:
        self.country = country
        super().__init__(f"The tax rate of {country} is not known. An operator adds it under Tax rates.")


class TaxNotAdded(BillingError):
    """Prices before tax, at a gateway that renews them and would charge them without it."""

    def __init__(self, catalogue: str, gateway: str) -> None:
        self.catalogue, self.gateway = catalogue, gateway
        super().__init__(
            f"The prices of {catalogue} are before tax, and what {gateway} renews gets the tax on top from Stripe Tax "
            "alone. Set STRIPE_TAX=true, or take the catalogue out of TAX_EXCLUSIVE_CATALOGUES, or sell its plans "
            "through gateways that we renew."
        )


class AccountingMistake(BillingError):
    """The accounting file would be wrong; it is not written."""


class NoMailAddress(BillingError):
    def __init__(self, invoice: object) -> None:
        self.invoice = invoice
        super().__init__("Nobody told us an e-mail address of the buyer.")


class NotRendered(BillingError):
    def __init__(self, invoice: UUID) -> None:
        self.invoice = invoice
        super().__init__("The document is being made. Ask again in a moment.")
