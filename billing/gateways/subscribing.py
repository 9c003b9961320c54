"""What a gateway that renews by itself can do besides: subscriptions, invoices, the portal, its catalogue, disputes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from billing.gateways.base import Buyer, Failure, Hint, NextAction, PaymentRef, RefundResult, SavedMethod
from billing.gateways.tax_figures import TaxFigures
from ledger.money import Money

# ---------------------------------------------------------------- words


class SubscriptionState(StrEnum):
    INCOMPLETE = "incomplete"  # the first payment is not made
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # the first payment was never made
    NOT_FOUND = "not_found"


class InvoiceState(StrEnum):
    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"
    NOT_FOUND = "not_found"


class SetupState(StrEnum):
    """How the keeping of a method stands."""

    REQUIRES_ACTION = "requires_action"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NOT_FOUND = "not_found"


class Proration(StrEnum):
    """What becomes of the time that is paid already when a plan changes."""

    CHARGE_NOW = "charge_now"
    NONE = "none"


class Interval(StrEnum):
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class DisputeState(StrEnum):
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WARNING = "warning"  # an enquiry: no money has moved
    WARNING_CLOSED = "warning_closed"  # and none will
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"


# ---------------------------------------------------------------- what we ask


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupRequest:
    """A method to be saved for later charges, without charging it now."""

    reference: str
    buyer: Buyer  # with its id at the gateway
    success_url: str
    cancel_url: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """A plan that a buyer is to begin on the gateway's page."""

    reference: str
    buyer: Buyer
    price: str  # the gateway's id
    success_url: str = ""
    cancel_url: str = ""
    coupon: str = ""
    automatic_tax: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRef:
    reference: str
    id: str = ""
    session: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """Another price for a running subscription. With the preview's date, the change costs what the preview said."""

    reference: str  # of this change
    subscription: str
    item: str
    price: str
    customer: str = ""  # only a preview names it
    proration: Proration = Proration.CHARGE_NOW
    prorated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalRequest:
    customer: str
    return_url: str
    locale: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRequest:
    id: str  # ours, and fixed
    name: str
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRequest:
    """A price is never changed at a gateway: the key passes to a new one, and the old one is archived."""

    lookup_key: str
    product: str
    amount: Money
    interval: Interval | None = None  # None: paid once
    tax_behavior: str = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponRequest:
    """Either a share or an amount; for one invoice, for some months, or for good."""

    id: str
    name: str = ""
    percent_off: Decimal | int | None = None
    amount_off: Money | None = None
    months: int | None = None
    is_forever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFile:
    """A document of ours: a PDF or a picture."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRequest:
    """What we say against a dispute; the names are the gateway's."""

    reference: str
    dispute: str
    texts: Mapping[str, str]
    files: Mapping[str, EvidenceFile] = field(default_factory=dict)
    submit: bool = False  # then nothing can be added


# ---------------------------------------------------------------- what we hear


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupResult:
    state: SetupState
    ids: Mapping[str, str] = field(default_factory=dict)
    next_action: NextAction | None = None
    method: SavedMethod | None = None
    gateway_customer: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedMethod:
    method: SavedMethod
    customer: str = ""  # whom it hangs on
    is_for_one_purpose: bool = False  # given for a plan, say, and for nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionResult:
    state: SubscriptionState
    id: str = ""
    session: str = ""  # of the page on which it begins
    customer: str = ""
    item: str = ""
    price: str = ""
    period_start: datetime | None = None
    period_end: datetime | None = None
    trial_end: datetime | None = None
    cancel_at_period_end: bool = False  # or before, at a date that is set already
    is_paused: bool = False  # runs on, and charges nothing
    has_pending_change: bool = False  # waits for its payment
    latest_invoice: str = ""
    method: str = ""
    next_action: NextAction | None = None
    raw: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePreview:
    due: Money  # what the buyer would pay with the next invoice; with CHARGE_NOW that is now
    discount: Money  # what coupons take off, of what is given back as well


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceResult:
    state: InvoiceState
    id: str = ""
    subscription: str = ""
    reference: str = ""  # of the subscription
    price: str = ""  # of what it was for, by the gateway's id
    total: Money | None = None
    paid: Money | None = None
    tax: TaxFigures | None = None  # None: the gateway reckoned none
    discount: Money | None = None  # all that coupons took off
    period_start: datetime | None = None
    period_end: datetime | None = None
    payment_intent: str = ""
    paid_at: datetime | None = None

    @property
    def is_given(self) -> bool:
        """Nothing was to be paid, because coupons took all of it off; an invoice of a trial is of nothing as well."""
        is_free = self.total is not None and self.total.minor == 0
        return is_free and self.discount is not None and self.discount.minor > 0

    @property
    def is_settled_by_balance(self) -> bool:
        """It was paid and nobody was charged: the customer's balance there has paid all of it, or carries what is too
        little to be charged until a later invoice."""
        is_due = self.total is not None and self.total.minor > 0
        return self.state is InvoiceState.PAID and is_due and self.paid is not None and self.paid.minor <= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceResult:
    id: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeResult:
    id: str
    state: DisputeState
    amount: Money
    charge: str = ""
    payment_intent: str = ""
    reason: str = ""
    due_by: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeTold:
    """What a letter says of a dispute, where nobody can be asked about it; the letter's own parts say the rest."""

    state: DisputeState
    reason: str = ""
    amount: Money | None = None  # what the buyer has got in the end; None: it says no more than what they asked for


# ---------------------------------------------------------------- roles


@runtime_checkable
class KeepsMethods(Protocol):
    def create_customer(self, *, buyer: Buyer, reference: str) -> str: ...  # its id at the gateway
    def open_setup(self, request: SetupRequest) -> SetupResult: ...
    def fetch_setup(
        self, *, ids: Mapping[str, str], reference: str = "", created_at: datetime | None = None
    ) -> SetupResult: ...
    def fetch_method(self, *, method: str) -> AttachedMethod | None: ...
    def forget_method(self, *, method: str) -> None: ...  # it is kept no more; once more is the same


@runtime_checkable
class Subscribes(Protocol):
    def open_subscription(self, request: SubscriptionRequest) -> SubscriptionResult: ...
    def fetch_subscription(self, subscription: SubscriptionRef) -> SubscriptionResult: ...
    def close_page(self, subscription: SubscriptionRef) -> SubscriptionResult: ...  # what was begun on it, or its end
    def preview_change(self, request: ChangeRequest) -> ChangePreview: ...
    def change_subscription(self, request: ChangeRequest) -> SubscriptionResult: ...
    def end_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult: ...  # at once
    def end_subscription_later(self, *, subscription: str, reference: str) -> SubscriptionResult: ...  # with its period
    def keep_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult: ...  # no end after all
    def pause_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult: ...
    def resume_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult: ...
    def open_portal(self, request: PortalRequest) -> str: ...  # its address
    def fetch_invoice(self, *, invoice: str) -> InvoiceResult: ...
    def paid_invoices(self, *, subscription: str) -> Sequence[str]: ...  # their ids, the oldest first
    def find_invoice(self, *, payment_intent: str) -> InvoiceResult: ...  # that asked for this payment


@runtime_checkable
class KeepsCatalogue(Protocol):
    def put_product(self, request: ProductRequest) -> None: ...
    def put_price(self, request: PriceRequest) -> PriceResult: ...
    def archive_price(self, *, price: str) -> None: ...
    def put_coupon(self, request: CouponRequest) -> None: ...


@runtime_checkable
class AnswersDisputes(Protocol):
    def fetch_dispute(self, *, dispute: str) -> DisputeResult: ...
    def send_evidence(self, request: EvidenceRequest) -> DisputeResult: ...


@runtime_checkable
class ListsRefunds(Protocol):
    def list_refunds(self, payment: PaymentRef) -> Sequence[RefundResult]: ...  # whoever made them


@runtime_checkable
class TellsDisputes(Protocol):
    """Its signed letters are all that is heard of a dispute."""

    def dispute_told(self, *, kind: str, event: Mapping[str, object]) -> DisputeTold: ...  # asks nobody


@runtime_checkable
class ListsEvents(Protocol):
    def undelivered(self, *, since: datetime) -> Sequence[Hint]: ...  # letters that never reached us
