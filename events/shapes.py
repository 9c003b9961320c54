"""The data of each type of event: a JSON schema and an example, by type and version.

A field may be added to a version when it is optional; anything else is a new version beside the old one, and
receivers are told to ignore fields that they do not know.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from events.types import EventType

Field = Mapping[str, Any]

ID: Field = {"type": "string", "format": "uuid"}
AMOUNT: Field = {"type": "integer", "minimum": 0, "description": "In the smallest unit of the currency."}
SIGNED: Field = {"type": "integer", "description": "Below zero where something was taken."}
CURRENCY: Field = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217"}
UNIT: Field = {"type": "string", "minLength": 1, "description": "The credit unit, CREDIT unless the catalogue says."}
TEXT: Field = {"type": "string"}
WORD: Field = {"type": "string", "pattern": "^[A-Za-z0-9_.:-]+$"}
TIME: Field = {"type": "string", "format": "date-time"}
LINK: Field = {"type": "string", "pattern": "^https?://[^ ]+$"}
FLAG: Field = {"type": "boolean"}
NOTES: Field = {"type": "object", "description": "The caller's own, from the checkout."}
COUNT: Field = {"type": "integer", "minimum": 0}


def one_of(*words: str) -> Field:
    return {"type": "string", "enum": list(words)}


def maybe(known: Field) -> Field:
    return {**known, "type": [known["type"], "null"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What one version of a type carries."""

    says: str
    data: Mapping[str, Field]
    optional: Mapping[str, Field] = field(default_factory=dict)
    example: Mapping[str, Any]
    is_streamed_only: bool = False
    private: frozenset[str] = frozenset()  # between the shop and its own servers: the customer's streams leave them out

    def schema(self, name: str, version: int) -> dict[str, Any]:
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": f"{name}, version {version}",
            "description": self.says,
            "type": "object",
            "properties": {**self.data, **self.optional},
            "required": list(self.data),
            "additionalProperties": False,
        }


class UnknownShape(Exception):
    """Nobody has said what this type, or this version of it, carries."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(f"There is no event type {name!r} in version {version}; see events/shapes.py.")
        self.name = name
        self.version = version


class WrongData(Exception):
    """The data of an event is not what its type promises to those who hear it."""

    def __init__(self, name: str, version: int, faults: list[str]) -> None:
        super().__init__(f"{name}, version {version}: {'; '.join(faults)}")
        self.name = name
        self.version = version
        self.faults = faults


def check(name: str, data: Mapping[str, Any], version: int = 1) -> None:
    """Raise UnknownShape or WrongData, which names what is wrong by paths and never quotes the data itself."""
    faults = sorted(
        f"{error.json_path} breaks {error.validator}"
        for error in _validator(name, version).iter_errors(json.loads(json.dumps(data, cls=DjangoJSONEncoder)))
    )
    if faults:
        raise WrongData(name, version, faults)


def _is_time(value: object) -> bool:
    """RFC 3339 with its offset. The checker of jsonschema wants a package of its own for it, and is silent without."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@functools.cache
def _validator(name: str, version: int) -> Any:
    from jsonschema import Draft202012Validator, FormatChecker  # a twelfth of a start; who records nothing needs none

    shape = SHAPES.get((name, version))
    if shape is None:
        raise UnknownShape(name, version)
    formats = FormatChecker(formats=["uuid"])
    formats.checks("date-time", raises=ValueError)(_is_time)
    return Draft202012Validator(shape.schema(name, version), format_checker=formats)


# ---------------------------------------------------------------- what more than one type carries

_PAYMENT = {"payment": ID, "amount": AMOUNT, "currency": CURRENCY, "gateway": maybe(WORD)}
_BOUGHT = {"kind": one_of("pack", "plan", "sale", "amount", "bill"), "item": maybe(TEXT)}
_OWN_WORDS = {"reference": TEXT, "metadata": NOTES}
_DISPUTE = {"dispute": ID, "payment": ID, "amount": AMOUNT, "currency": CURRENCY}
_SUBSCRIPTION = {
    "subscription": ID,
    "plan": WORD,
    "interval": one_of("week", "month", "year"),
    "status": one_of("incomplete", "trialing", "active", "past_due", "paused", "cancelled", "expired"),
}
_SALE = {"sale": ID, "type": WORD, "reference": TEXT, "currency": CURRENCY}
_WITHDRAWAL = {
    "withdrawal": ID,
    "amount": AMOUNT,
    "currency": CURRENCY,
    "destination": one_of("paypal", "mobile_money", "stripe"),
}
_FEE = {"fee": AMOUNT}  # of the amount; the rest is what arrives
_STANDING = {"unit": UNIT, "available": SIGNED, "version": COUNT}
_GRANTED = {"grant": ID, "unit": UNIT, "amount": COUNT}

_ID = "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f"
_OTHER_ID = "0190c6a4-6b1d-7e02-8a44-77d0c9e1f3ab"
_TIME = "2026-12-01T09:00:00Z"
_PAID = {"payment": _ID, "amount": 999, "currency": "EUR", "gateway": "stripe", "kind": "pack", "item": "medium"}
_DISPUTED = {"dispute": _OTHER_ID, "payment": _ID, "amount": 999, "currency": "EUR"}
_SUBSCRIBED = {"subscription": _ID, "plan": "premium", "interval": "month", "status": "active"}
_SOLD = {"sale": _ID, "type": "ticket_sale", "reference": "order-1881", "currency": "XOF"}
_WITHDRAWN = {"withdrawal": _ID, "amount": 25_000, "currency": "XOF", "destination": "mobile_money"}
_STOOD = {"unit": "CREDIT", "available": 12, "version": 41}
_GIVEN = {"grant": _ID, "unit": "CREDIT", "amount": 500}

_OF_PAYMENTS = {
    EventType.PAYMENT_SUCCEEDED: Shape(
        says="A customer has paid; what was bought is delivered in the same transaction.",
        data=_PAYMENT | _BOUGHT,
        optional={"receipt_url": maybe(LINK), "is_renewal": FLAG} | _OWN_WORDS,
        example=_PAID | {"receipt_url": "https://pay.example.com/receipts/1881"},
    ),
    EventType.PAYMENT_FAILED: Shape(
        says="A payment came to nothing; retry_url is where the customer can mend it.",
        data=_PAYMENT | _BOUGHT | {"reason": WORD, "retry_url": maybe(LINK)},
        optional={"is_renewal": FLAG} | _OWN_WORDS,
        example=_PAID | {"reason": "card_declined", "retry_url": "https://pay.example.com/pay/1881"},
    ),
    EventType.PAYMENT_REFUNDED: Shape(
        says="Money has gone back to the customer, all of it or a part.",
        data=_PAYMENT | {"refund": ID, "refunded_total": AMOUNT, "is_full": FLAG},
        optional={"reason": TEXT} | _OWN_WORDS,
        private=frozenset({"reason"}),
        example={
            "payment": _ID,
            "refund": _OTHER_ID,
            "amount": 500,
            "refunded_total": 500,
            "is_full": False,
            "currency": "EUR",
            "gateway": "stripe",
        },
    ),
    EventType.REFUND_FAILED: Shape(
        says="A refund did not arrive; the books are open again.",
        data={"payment": ID, "refund": ID, "amount": AMOUNT, "currency": CURRENCY, "reason": WORD},
        example={"payment": _ID, "refund": _OTHER_ID, "amount": 500, "currency": "EUR", "reason": "account_closed"},
    ),
    EventType.PAYMENT_DISPUTED: Shape(
        says="The customer's bank has opened a dispute; what was granted is frozen.",
        data=_DISPUTE | {"reason": WORD, "evidence_due_at": maybe(TIME)},
        example=_DISPUTED | {"reason": "fraudulent", "evidence_due_at": _TIME},
    ),
    EventType.DISPUTE_WON: Shape(
        says="A dispute was decided for us; what was frozen is free again.", data=_DISPUTE, example=_DISPUTED
    ),
    EventType.DISPUTE_LOST: Shape(
        says="A dispute was decided against us; what was frozen is gone.", data=_DISPUTE, example=_DISPUTED
    ),
}
_OF_SUBSCRIPTIONS = {
    EventType.SUBSCRIPTION_ACTIVATED: Shape(
        says="A subscription is in force: paid for, or on trial.",
        data=_SUBSCRIPTION | {"current_period_end": maybe(TIME)},
        example=_SUBSCRIBED | {"current_period_end": _TIME},
    ),
    EventType.SUBSCRIPTION_UPDATED: Shape(
        says="Something about a subscription has changed; `changed` names it.",
        data=_SUBSCRIPTION
        | {
            "current_period_end": maybe(TIME),
            "cancel_at_period_end": FLAG,
            "changed": {"type": "array", "items": WORD},
        },
        example=_SUBSCRIBED
        | {"current_period_end": _TIME, "cancel_at_period_end": True, "changed": ["cancel_at_period_end"]},
    ),
    EventType.SUBSCRIPTION_PAST_DUE: Shape(
        says="A renewal was not paid; retry_url is where the customer can mend it before grace_until.",
        data=_SUBSCRIPTION
        | {"amount": AMOUNT, "currency": CURRENCY, "grace_until": maybe(TIME), "retry_url": maybe(LINK)},
        example=_SUBSCRIBED
        | {
            "status": "past_due",
            "amount": 999,
            "currency": "EUR",
            "grace_until": _TIME,
            "retry_url": "https://pay.example.com/pay/1881",
        },
    ),
    EventType.SUBSCRIPTION_CANCELLED: Shape(
        says="A subscription is over.",
        data=_SUBSCRIPTION | {"ended_at": TIME, "reason": WORD},
        example=_SUBSCRIBED | {"status": "cancelled", "ended_at": _TIME, "reason": "asked"},
    ),
    EventType.RENEWAL_REMINDER: Shape(
        says="A renewal is near; payment_url is null where it is paid by itself.",
        data={
            "subscription": ID,
            "plan": WORD,
            "amount": AMOUNT,
            "currency": CURRENCY,
            "due_at": TIME,
            "payment_url": maybe(LINK),
        },
        example={
            "subscription": _ID,
            "plan": "premium",
            "amount": 6_500,
            "currency": "XOF",
            "due_at": _TIME,
            "payment_url": "https://pay.example.com/renew/1881",
        },
    ),
    EventType.TOP_UP_SUSPENDED: Shape(
        says="The automatic top-up has stopped, until the customer adds another means of payment, or agrees anew.",
        data={"pack": WORD, "reason": WORD, "mend_url": maybe(LINK)},
        example={"pack": "medium", "reason": "card_declined", "mend_url": "https://pay.example.com/methods"},
    ),
}
_OF_CREDITS = {
    EventType.CREDITS_GRANTED: Shape(
        says="Credits were given: bought, by a plan, or by hand.",
        data=_GRANTED
        | {
            "source": one_of("pack", "bonus", "plan", "promotion", "manual", "referral", "reversal"),
            "expires_at": maybe(TIME),
        },
        example=_GIVEN | {"source": "plan", "expires_at": _TIME},
    ),
    EventType.CREDITS_LOW: Shape(
        says="What is available has fallen below the threshold; once on the way down.", data=_STANDING, example=_STOOD
    ),
    EventType.CREDITS_EMPTY: Shape(
        says="Nothing is available any more.", data=_STANDING, example=_STOOD | {"available": 0}
    ),
    EventType.CREDITS_EXPIRING: Shape(
        says="A grant ends soon, and some of it is left.",
        data=_GRANTED | {"expires_at": TIME},
        example=_GIVEN | {"expires_at": _TIME},
    ),
    EventType.CREDITS_EXPIRED: Shape(
        says="A grant is over; the amount is what went with it, below zero.",
        data={"grant": ID, "unit": UNIT, "amount": SIGNED},
        example=_GIVEN | {"amount": -120},
    ),
    EventType.CREDITS_ADJUSTED: Shape(
        says="Credits were corrected or taken back, or a grant was changed (then the amount is 0).",
        data={"unit": UNIT, "amount": SIGNED},
        optional={"grant": ID, "change": WORD, "reason": TEXT, "by": maybe(COUNT)},
        private=frozenset({"reason", "by"}),
        example=_GIVEN | {"amount": -50},
    ),
    EventType.HOLD_EXPIRED: Shape(
        says="A hold was neither settled nor released in time; what it held is free again.",
        data={"hold": ID, "unit": UNIT, "amount": COUNT, "reference": TEXT},
        example={"hold": _ID, "unit": "CREDIT", "amount": 40, "reference": "job-77"},
    ),
}
_OF_SELLERS = {
    EventType.SALE_RECORDED: Shape(
        says="Something of a seller was sold; the net is theirs once it has cleared.",
        data=_SALE | {"amount": AMOUNT, "commission": AMOUNT, "net": AMOUNT, "clears_at": TIME},
        example=_SOLD | {"amount": 10_000, "commission": 1_000, "net": 9_000, "clears_at": _TIME},
    ),
    EventType.SALE_RELEASED: Shape(
        says="What a sale brought has cleared: the seller may withdraw it.",
        data=_SALE | {"net": AMOUNT},
        example=_SOLD | {"net": 9_000},
    ),
    EventType.SALE_REFUNDED: Shape(
        says="A sale was given back, all or a part; the net is what the seller gave.",
        data=_SALE | {"amount": AMOUNT, "net": AMOUNT},
        example=_SOLD | {"amount": 10_000, "net": 9_000},
    ),
    EventType.WITHDRAWAL_REQUESTED: Shape(
        says="A seller wants their money; it is held.",
        data=_WITHDRAWAL | _FEE,
        example=_WITHDRAWN | {"fee": 250},
    ),
    EventType.WITHDRAWAL_APPROVED: Shape(
        says="A withdrawal may be sent.", data=_WITHDRAWAL, optional=_FEE | {"is_automatic": FLAG}, example=_WITHDRAWN
    ),
    EventType.WITHDRAWAL_REJECTED: Shape(
        says="An operator has refused a withdrawal; the money is available again.",
        data=_WITHDRAWAL | {"reason": TEXT},
        optional=_FEE,
        example=_WITHDRAWN | {"reason": "The number belongs to somebody else."},
    ),
    EventType.WITHDRAWAL_PAID: Shape(
        says="The money has left us.",
        data=_WITHDRAWAL | {"gateway": maybe(WORD)},
        optional=_FEE,
        example=_WITHDRAWN | {"gateway": "mtn_momo"},
    ),
    EventType.WITHDRAWAL_FAILED: Shape(
        says="The gateway refused to pay out, or sent the money back later; it is available again.",
        data=_WITHDRAWAL | {"reason": TEXT},
        optional=_FEE,
        example=_WITHDRAWN | {"reason": "payee_not_found"},
    ),
    EventType.WITHDRAWAL_CANCELLED: Shape(
        says="The seller has taken a withdrawal back before it was sent.",
        data=_WITHDRAWAL,
        optional=_FEE,
        example=_WITHDRAWN,
    ),
}
_OF_PAPERS = {
    EventType.INVOICE_ISSUED: Shape(
        says="An invoice was issued: of what was paid, or to be paid by due_on at payment_url. "
        "One that takes a credit note back, since its refund came back, names it in takes_back.",
        data={"invoice": ID, "number": TEXT, "amount": AMOUNT, "currency": CURRENCY, "payment": maybe(ID)},
        optional={"pdf_url": maybe(LINK), "due_on": TEXT, "payment_url": LINK, "takes_back": TEXT},
        example={"invoice": _OTHER_ID, "number": "2026-000123", "amount": 999, "currency": "EUR", "payment": _ID},
    ),
    EventType.CREDIT_NOTE_ISSUED: Shape(
        says="A credit note was issued for an invoice.",
        data={
            "credit_note": ID,
            "number": TEXT,
            "invoice": ID,
            "amount": AMOUNT,
            "currency": CURRENCY,
            "refund": maybe(ID),
        },
        optional={"pdf_url": maybe(LINK)},
        example={
            "credit_note": _OTHER_ID,
            "number": "CN-2026-000007",
            "invoice": _ID,
            "amount": 500,
            "currency": "EUR",
            "refund": None,
        },
    ),
}
# Open streams get the latest figure without a row of the outbox; it has a shape, and no type in the database.
BALANCE = "credits.balance"
_OF_STREAMS = {
    BALANCE: Shape(
        says="The latest balance, at most once a second; to open streams only, and never replayed.",
        data=_STANDING,
        optional={"state": one_of("ok", "low", "empty"), "held": COUNT},
        example=_STOOD,
        is_streamed_only=True,
    )
}

SHAPES: dict[tuple[str, int], Shape] = {
    (str(name), 1): shape
    for group in (_OF_PAYMENTS, _OF_SUBSCRIPTIONS, _OF_CREDITS, _OF_SELLERS, _OF_PAPERS, _OF_STREAMS)
    for name, shape in group.items()
}


def for_customer(name: str, version: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """What the customer themself may read of an event: an operator's words about them, and who that was, are not it."""
    shape = SHAPES.get((name, version))
    return {known: value for known, value in data.items() if shape is None or known not in shape.private}
