"""What we and a gateway say to each other: requests, results, and the roles that a gateway can play."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from billing.gateways.errors import FailureCategory, InvalidLetter
from billing.gateways.subjects import Subject
from billing.gateways.tax_figures import TaxBehavior, TaxFigures
from ledger.money import Money

# ---------------------------------------------------------------- words


class PaymentState(StrEnum):
    """How a payment stands at its gateway."""

    CREATED = "created"
    REQUIRES_ACTION = "requires_action"
    PENDING = "pending"
    AUTHORIZED = "authorized"  # the buyer has agreed and the money is ours to `capture`
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NOT_FOUND = "not_found"  # the gateway does not know it; proof of nothing until some time has passed


class RefundState(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"


NOTHING_WENT = (RefundState.FAILED, RefundState.CANCELLED)


class PayoutState(StrEnum):
    PENDING = "pending"
    NEEDS_APPROVAL = "needs_approval"  # somebody must confirm it at the gateway
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    UNCLAIMED = "unclaimed"
    RETURNED = "returned"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NOT_FOUND = "not_found"


class Flow(StrEnum):
    """What a buyer does next."""

    REDIRECT = "redirect"
    PHONE_PROMPT = "phone_prompt"
    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a flow
    NONE = "none"


class Trust(StrEnum):
    """How sure we are who wrote a letter."""

    SIGNED = "signed"
    SHARED_SECRET = "shared_secret"  # noqa: S105 - a word for trust
    UNSIGNED = "unsigned"


class DestinationKind(StrEnum):
    EMAIL = "email"
    PHONE = "phone"
    ACCOUNT = "account"


# ---------------------------------------------------------------- what we ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Who pays. Empty means that nobody told us."""

    id: str  # the outside user id
    name: str = ""
    email: str = ""
    phone: str = ""  # E.164
    country: str = ""
    locale: str = "en"
    gateway_customer: str = ""  # this buyer's id at this gateway, if it has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    quantity: int
    unit_price: Money
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutRequest:
    """Money that a buyer is to pay us. The reference was committed before the call and is the idempotency key."""

    reference: str  # 32 hexadecimal digits of a UUID; an adapter makes of it what its gateway accepts
    amount: Money
    description: str
    buyer: Buyer
    success_url: str
    cancel_url: str
    notify_url: str  # where the gateway is to write to us
    flow: Flow = Flow.REDIRECT
    lines: Sequence[Line] = ()
    save_method: bool = False  # save the card for later charges, where the gateway can
    tax: TaxBehavior | None = None  # of a gateway that reckons it: how the amount stands to it
    expires_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRequest:
    """A charge of a saved method: while its owner is away, or is there and can be led to their bank and back."""

    reference: str
    amount: Money
    description: str
    buyer: Buyer
    method: str  # the gateway's id of the saved method
    return_url: str = ""  # where its owner comes back to; empty: they are away
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRef:
    """An attempt as we know it: enough to ask its gateway about it."""

    reference: str
    amount: Money
    ids: Mapping[str, str] = field(default_factory=dict)  # what earlier results gave us to remember
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    reference: str
    payment: PaymentRef
    amount: Money
    reason: str = ""
    notify_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRef:
    reference: str
    payment: PaymentRef
    amount: Money
    ids: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    kind: DestinationKind
    value: str  # an e-mail address, a number in E.164, an account's id
    country: str = ""
    operator: str = ""  # of a telephone number: MTN, ORANGE, MOOV, WAVE, …
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRequest:
    reference: str
    amount: Money
    destination: Destination
    description: str = ""
    notify_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRef:
    reference: str
    amount: Money
    ids: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    request: PayoutRequest | None = None  # for PayPal, which answers for a lost batch only when it is sent again


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A webhook as it came in, to the byte."""

    method: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)
    token: str = ""  # of the path /webhooks/{gateway}/{token}


# ---------------------------------------------------------------- what we hear


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAction:
    """What the buyer does now; what is empty does not apply."""

    type: Flow
    url: str = ""
    phone: str = ""
    reference: str = ""
    client_secret: str = ""
    publishable_key: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    category: FailureCategory
    code: str = ""  # the gateway's own word
    message: str = ""  # for operators, never for buyers


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMethod:
    """A card or wallet kept at the gateway; we hold its id and what its owner recognises it by."""

    id: str
    kind: str = ""
    brand: str = ""
    last4: str = ""
    expires: str = ""  # MM/YYYY


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentResult:
    state: PaymentState
    ids: Mapping[str, str] = field(default_factory=dict)  # to be remembered: they go into later `PaymentRef`s
    amount: Money | None = None  # as the gateway says it, to be compared with ours
    fee: Money | None = None
    next_action: NextAction | None = None
    failure: Failure | None = None
    method: SavedMethod | None = None
    gateway_customer: str = ""
    paid_at: datetime | None = None
    tax: TaxFigures | None = None  # None: the gateway reckoned none
    raw: Mapping[str, object] = field(default_factory=dict)  # its last reply without secrets and personal data


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundResult:
    state: RefundState
    ids: Mapping[str, str] = field(default_factory=dict)
    amount: Money | None = None
    failure: Failure | None = None
    reference: str = ""  # ours, where it bears one
    raw: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutResult:
    state: PayoutState
    ids: Mapping[str, str] = field(default_factory=dict)
    amount: Money | None = None
    fee: Money | None = None
    failure: Failure | None = None
    raw: Mapping[str, object] = field(default_factory=dict)


# What no database keeps: NUL, and half of a character. JSON can write both, and a form the first.
NOT_KEPT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One thing that a letter says. It says where to look; what is true, `fetch_…` says."""

    event_id: str  # unique at this gateway; where it gives none, made of what the letter says
    kind: str  # the gateway's own word for it
    subject: Subject
    trust: Trust
    reference: str = ""  # ours, if the letter names it
    ids: Mapping[str, str] = field(default_factory=dict)
    amount: Money | None = None
    occurred_at: datetime | None = None
    object: Mapping[str, object] = field(default_factory=dict)  # what a signed letter carries, for those who need it

    def __post_init__(self) -> None:
        """Of what it carries, only the inbox knows whether it is kept."""
        if any(map(NOT_KEPT.search, (self.event_id, self.kind, self.reference, *self.ids, *self.ids.values()))):
            raise InvalidLetter("The letter has characters that nobody can keep.")


class MovementKind(StrEnum):
    PAYMENT = "payment"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A line of a gateway's own list of what moved. Either our reference or an id tells which of ours it is."""

    kind: MovementKind
    amount: Money
    reference: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    at: datetime | None = None
    fee: Money | None = None  # what the gateway kept of it, if the list says so


# ---------------------------------------------------------------- what a gateway can do


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountRule:
    """What amounts of one currency a gateway takes, all in our minor units."""

    minimum_minor: int = 1
    maximum_minor: int | None = None
    step_minor: int = 1
    wire_exponent: int | None = None  # decimals on its wire, where they are not ISO's


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a gateway declares of itself; routing, the API and the admin read it."""

    flows: frozenset[Flow]
    currencies: Mapping[str, AmountRule]
    countries: frozenset[str] = frozenset()  # of the buyer; empty: all
    refund: bool = False
    partial_refund: bool = False
    cancel: bool = False
    saved_methods: bool = False
    takes_cards: bool = False
    recurring: bool = False
    tells_fees: bool = False  # of payments, though it may be a while after they were paid
    reckons_tax: bool = False  # on its pages, as it is set up now
    payout: frozenset[DestinationKind] = frozenset()
    payout_currencies: Mapping[str, AmountRule] = field(default_factory=dict)
    payout_operators: frozenset[str] = frozenset()  # of the telephone numbers that it reaches; empty: all
    webhook_trust: Trust = Trust.UNSIGNED
    pending_lifetime: timedelta = timedelta(hours=24)
    needs_phone: bool = False


class Gateway(Protocol):
    """What every adapter is. What more it can do, the roles below say; `isinstance(adapter, Refunds)` asks."""

    name: str
    capabilities: Capabilities

    def missing_settings(self) -> Sequence[str]: ...  # names of what is not configured; empty: ready
    def check_health(self) -> None: ...  # a cheap call that moves nothing; raises an errors.GatewayError


@runtime_checkable
class OpensCheckout(Protocol):
    def open_checkout(self, request: CheckoutRequest) -> PaymentResult: ...
    def fetch_payment(self, payment: PaymentRef) -> PaymentResult: ...


@runtime_checkable
class Captures(Protocol):
    def capture(self, payment: PaymentRef) -> PaymentResult: ...


@runtime_checkable
class Cancels(Protocol):
    def cancel_checkout(self, payment: PaymentRef) -> PaymentResult: ...


@runtime_checkable
class ChargesSavedMethods(Protocol):
    def charge(self, request: ChargeRequest) -> PaymentResult: ...


@runtime_checkable
class Refunds(Protocol):
    def send_refund(self, request: RefundRequest) -> RefundResult: ...
    def fetch_refund(self, refund: RefundRef) -> RefundResult: ...


@runtime_checkable
class PaysOut(Protocol):
    def send_payout(self, request: PayoutRequest) -> PayoutResult: ...
    def fetch_payout(self, payout: PayoutRef) -> PayoutResult: ...


@runtime_checkable
class ReceivesWebhooks(Protocol):
    def read_letter(self, letter: Letter) -> Sequence[Hint]: ...  # raises errors.InvalidLetter


@runtime_checkable
class ListsMovements(Protocol):
    def movements(self, *, since: datetime, until: datetime) -> Sequence[Movement]: ...  # until is not in it
