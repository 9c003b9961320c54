"""What this Stripe knows: its objects, its time, the events it has to tell."""

import copy
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.stripe import errors
from sandbox.stripe.forms import Params

Thing = dict[str, Any]
Answerer = Callable[..., Thing]  # a Call, and the names in its address
Routes = list[tuple[str, str, Answerer]]

API_VERSION = "2026-08-26.dahlia"
PLATFORM = "acct_sandbox000000001"
ID_ALPHABET = string.ascii_letters + string.digits
PREFIXES = {
    "account": "acct",
    "balance_transaction": "txn",
    "billing_portal.configuration": "bpc",
    "billing_portal.session": "bps",
    "charge": "ch",
    "checkout.session": "cs_test",
    "coupon": "",
    "credit_note": "cn",
    "customer": "cus",
    "customer_balance_transaction": "cbtxn",
    "discount": "di",
    "dispute": "du",
    "event": "evt",
    "file": "file",
    "invoice": "in",
    "invoice_payment": "inpay",
    "invoiceitem": "ii",
    "item": "li",
    "line_item": "il",
    "payment_intent": "pi",
    "payment_method": "pm",
    "payout": "po",
    "price": "price",
    "product": "prod",
    "promotion_code": "promo",
    "refund": "re",
    "request": "req",
    "setup_intent": "seti",
    "subscription": "sub",
    "subscription_item": "si",
    "subscription_schedule": "sub_sched",
    "transfer": "tr",
    "transfer_reversal": "trr",
    "webhook_endpoint": "we",
}


def letters(count: int) -> str:
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(count))


def new_id(kind: str) -> str:
    prefix = PREFIXES[kind]
    return f"{prefix}_{letters(24)}" if prefix else letters(8)


@dataclass
class State:
    """Everything is plain dictionaries, so that it can be kept in a file; what Stripe shows nobody is in `hidden`."""

    now: Callable[[], float]
    send: Callable[[Thing], None]  # takes an event that has just happened
    tables: dict[str, dict[str, Any]]  # objects, hidden, replays, due
    settings: dict[str, str]
    moment: int | None = None  # while the past is caught up with, the time of what is being done
    request_id: str | None = None
    request_key: str | None = None
    account: str = ""  # the connected account that is acted for
    added: list[Thing] = field(default_factory=list)
    unsent: list[Thing] | None = None  # events that wait for a call to succeed

    def time(self) -> int:
        return int(self.now()) if self.moment is None else self.moment

    def table(self, kind: str) -> dict[str, Thing]:
        tables: dict[str, dict[str, Thing]] = self.tables["objects"]
        return tables.setdefault(kind, {})

    def all(self, kind: str) -> list[Thing]:
        return list(self.table(kind).values())

    def add(self, thing: Thing) -> Thing:
        self.table(thing["object"])[thing["id"]] = thing
        self.added.append(thing)
        return thing

    def begin(self) -> None:
        """A call begins: what it tells is held back until it is known how it ends."""
        self.added, self.unsent = [], []

    def keep(self) -> None:
        """The call did something: tell the world."""
        for event in self.unsent or []:
            self.send(event)
        self.unsent = None

    def undo(self) -> None:
        """The call is refused: what it had made already was never there."""
        for thing in self.added:
            self.table(thing["object"]).pop(thing["id"], None)
            self.tables["hidden"].pop(thing["id"], None)
            self.tables["due"].pop(thing["id"], None)
        self.unsent = None

    def private(self, thing: Thing) -> Thing:
        hidden: dict[str, Thing] = self.tables["hidden"]
        return hidden.setdefault(thing["id"], {})

    def wake_at(self, thing: Thing, moment: int | None) -> None:
        """Ask to be looked at again at that time; an object has one such time at most."""
        if moment is None:
            self.tables["due"].pop(thing["id"], None)
        else:
            self.tables["due"][thing["id"]] = [moment, thing["object"]]

    @property
    def base_url(self) -> str:
        """Where this Stripe was last reached: the beginning of its pages' addresses."""
        return str(self.tables["hidden"].get("base_url", {}).get("value", ""))

    def find(self, kind: str, name: str | None) -> Thing | None:
        return self.table(kind).get(name or "")

    def get(self, kind: str, name: str) -> Thing:
        """The object that an address names."""
        found = self.find(kind, name)
        if found is None:
            raise errors.missing(kind, name)
        return found

    def named(self, kind: str, params: Params, name: str) -> Thing | None:
        """The object that a parameter names."""
        value = params.text(name)
        if value is None:
            return None
        found = self.find(kind, value)
        if found is None:
            raise errors.missing_inside(kind, value, params.name(name))
        return found

    def tell(self, happened: str, thing: Thing, before: Thing | None = None) -> Thing:
        """Make an event, with the object as it stands now."""
        data: Thing = {"object": copy.deepcopy(thing)}
        if before is not None:
            data["previous_attributes"] = before
        event: Thing = {
            "id": new_id("event"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.time(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self.request_id, "idempotency_key": self.request_key},
            "type": happened,
        }
        if self.account:
            event["account"] = self.account
        self.add(event)
        if self.unsent is None:
            self.send(event)
        else:
            self.unsent.append(event)
        return event

    def change(self, thing: Thing, happened: str, **changes: Any) -> None:
        """Change an object and tell what it was before; nothing is told when nothing changes."""
        before = {name: copy.deepcopy(thing.get(name)) for name, value in changes.items() if thing.get(name) != value}
        thing.update(changes)
        if before:
            self.tell(happened, thing, before)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the API, as the handlers see it."""

    state: State
    params: Params

    @property
    def account(self) -> str:
        """The connected account that is acted for, empty for the platform."""
        return self.state.account
