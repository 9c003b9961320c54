"""Gateways at the Protocol for tests: small shops of their own, which do what the test tells them and keep books."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import orjson
from django.test import Client

from billing.gateways.base import (
    AmountRule,
    Capabilities,
    ChargeRequest,
    CheckoutRequest,
    Failure,
    Flow,
    Hint,
    Letter,
    NextAction,
    PaymentRef,
    PaymentResult,
    PaymentState,
    RefundRef,
    RefundRequest,
    RefundResult,
    RefundState,
    SavedMethod,
    Trust,
)
from billing.gateways.errors import Declined, FailureCategory, GatewayError, InvalidLetter, Unavailable, Uncertain
from billing.gateways.subjects import Subject
from billing.gateways.subscribing import SetupResult, SetupState
from ledger.money import Money

SECRET = "right"


@dataclass
class Sold:
    """What the gateway itself knows of a payment."""

    amount: Money
    state: PaymentState = PaymentState.REQUIRES_ACTION
    fee: Money | None = None
    category: FailureCategory = FailureCategory.PAYER_DECLINED
    refunded: dict[str, Money] = field(default_factory=dict)


class FakeGateway:
    """Opens pages and remembers them. `refuses` is raised before it acts, `loses` after it has acted."""

    def __init__(self, name: str, **changes: Any) -> None:
        self.name = name
        known: dict[str, Any] = {
            "flows": frozenset({Flow.REDIRECT}),
            "currencies": {"EUR": AmountRule(minimum_minor=50), "XOF": AmountRule(minimum_minor=100, step_minor=5)},
            "refund": True,
            "partial_refund": True,
            "cancel": True,
            "webhook_trust": Trust.SIGNED,
        }
        self.capabilities = Capabilities(**known | changes)
        self.sold: dict[str, Sold] = {}
        self.asked: list[str] = []
        self.refuses: GatewayError | None = None
        self.loses = False
        self.silent = False
        self.refund_state = RefundState.SUCCEEDED
        self.refund_states: dict[str, RefundState] = {}
        self.loses_refund = False
        self.refuses_refund: GatewayError | None = None

    def missing_settings(self) -> Sequence[str]:
        return ()

    def check_health(self) -> None:
        self._speak("health")

    # ------------------------------------------------------------ payments

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        self._speak(f"open {request.reference}")
        if self.refuses:
            raise self.refuses
        self.sold.setdefault(request.reference, Sold(amount=request.amount))
        if self.loses:
            raise Uncertain("the reply was lost", gateway=self.name)
        return self._answer(request.reference)

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        self._speak(f"fetch {payment.reference}")
        if payment.reference not in self.sold:
            return PaymentResult(state=PaymentState.NOT_FOUND)
        return self._answer(payment.reference)

    def _answer(self, reference: str) -> PaymentResult:
        sold = self.sold[reference]
        waits = sold.state is PaymentState.REQUIRES_ACTION
        page = NextAction(type=Flow.REDIRECT, url=f"https://{self.name}.example/pay/{reference}")
        return PaymentResult(
            state=sold.state,
            ids={"order": f"ord_{reference[-8:]}"},
            amount=sold.amount,
            fee=sold.fee,
            next_action=page if waits else None,
            failure=Failure(category=sold.category, code="no") if sold.state is PaymentState.FAILED else None,
            raw={"state": sold.state.value},
        )

    def _speak(self, what: str) -> None:
        self.asked.append(what)
        if self.silent:
            raise Unavailable("down", gateway=self.name, category=FailureCategory.PROVIDER_DOWN, retry_after_seconds=7)

    # ------------------------------------------------------------ what the test does at the gateway

    @property
    def only(self) -> str:
        [reference] = self.sold
        return reference

    def pays(self, reference: str = "", **changes: Any) -> str:
        return self.becomes(PaymentState.SUCCEEDED, reference, **changes)

    def becomes(self, state: PaymentState, reference: str = "", **changes: Any) -> str:
        known = reference or self.only
        self.sold[known] = replace(self.sold[known], state=state, **changes)
        return known

    # ------------------------------------------------------------ letters

    def letter(self, reference: str = "", **changes: Any) -> bytes:
        known = {"id": f"evt_{reference or self.only}", "kind": "payment.changed", "reference": reference or self.only}
        return orjson.dumps(known | changes)

    def read_letter(self, letter: Letter) -> Sequence[Hint]:
        if letter.headers.get("x-signature") != SECRET:
            raise InvalidLetter("The signature is wrong.")
        said = orjson.loads(letter.body)
        return [
            Hint(
                event_id=said["id"],
                kind=said["kind"],
                subject=Subject(said.get("subject", "payment")),
                trust=Trust(said.get("trust", "signed")),
                reference=said.get("reference", ""),
                ids=said.get("ids", {}),
                object=said.get("object", {}),
            )
        ]


class CancellableGateway(FakeGateway):
    def cancel_checkout(self, payment: PaymentRef) -> PaymentResult:
        self._speak(f"cancel {payment.reference}")
        if self.sold[payment.reference].state is PaymentState.SUCCEEDED:
            raise Declined("paid already", gateway=self.name)
        self.becomes(PaymentState.CANCELLED, payment.reference)
        return self._answer(payment.reference)


class RefundingGateway(CancellableGateway):
    def send_refund(self, request: RefundRequest) -> RefundResult:
        self._speak(f"refund {request.reference}")
        if self.refuses_refund:
            raise self.refuses_refund
        sold = self.sold[request.payment.reference]
        before = sum(amount.minor for ref, amount in sold.refunded.items() if ref != request.reference)
        if before + request.amount.minor > sold.amount.minor:
            raise Declined("more than was paid", gateway=self.name, category=FailureCategory.INVALID_REQUEST)
        sold.refunded[request.reference] = request.amount
        self.refund_states.setdefault(request.reference, self.refund_state)
        if self.loses_refund:
            raise Uncertain("the reply was lost", gateway=self.name)
        return self._refund(request.reference, request.amount)

    def fetch_refund(self, refund: RefundRef) -> RefundResult:
        self._speak(f"fetch refund {refund.reference}")
        if refund.reference not in self.refund_states:
            return RefundResult(state=RefundState.NOT_FOUND)
        return self._refund(refund.reference, refund.amount)

    def _refund(self, reference: str, amount: Money) -> RefundResult:
        return RefundResult(state=self.refund_states[reference], ids={"refund": f"re_{reference[-8:]}"}, amount=amount)


class CapturingGateway(FakeGateway):
    """Like PayPal: the buyer agrees, and the money moves when we capture."""

    def capture(self, payment: PaymentRef) -> PaymentResult:
        self._speak(f"capture {payment.reference}")
        self.becomes(PaymentState.SUCCEEDED, payment.reference)
        return self._answer(payment.reference)


class ChargingGateway(RefundingGateway):
    """Saves a card when asked to, and charges it later. `answers` is what a charge becomes."""

    def __init__(self, name: str) -> None:
        super().__init__(name, saved_methods=True)
        self.card = "pm_1"
        self.keeps: set[str] = set()
        self.answers = PaymentState.SUCCEEDED
        self.refuses_charge: Exception | None = None
        self.charged: list[ChargeRequest] = []

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        if request.save_method:
            self.keeps.add(request.reference)
        return super().open_checkout(request)

    def charge(self, request: ChargeRequest) -> PaymentResult:
        self._speak(f"charge {request.reference}")
        self.charged.append(request)
        if self.refuses_charge:
            raise self.refuses_charge
        self.sold[request.reference] = Sold(amount=request.amount, state=self.answers)
        return self._answer(request.reference)

    def _answer(self, reference: str) -> PaymentResult:
        told = super()._answer(reference)
        method = SavedMethod(id=self.card, kind="card", brand="visa", last4="4242", expires="12/2031")
        return replace(told, method=method, gateway_customer="cus_1")


class KeepingGateway(ChargingGateway):
    """Saves a card without a payment too, on a page of its own, and forgets it again."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.setup = SetupState.REQUIRES_ACTION
        self.forgot: list[str] = []

    def create_customer(self, *, buyer: Any, reference: str) -> str:
        return "cus_1"

    def open_setup(self, request: Any) -> SetupResult:
        page = NextAction(type=Flow.REDIRECT, url="https://stripe.example/setup")
        return SetupResult(state=SetupState.REQUIRES_ACTION, ids={"session": "cs_1"}, next_action=page)

    def fetch_setup(self, *, ids: Any, reference: str = "", created_at: Any = None) -> SetupResult:
        return SetupResult(state=self.setup, ids=ids, method=SavedMethod(id="pm_2", brand="visa", last4="4242"))

    def fetch_method(self, *, method: str) -> None:
        """It knows none but those of its pages."""

    def forget_method(self, *, method: str) -> None:
        self.forgot.append(method)


class AskingGateway(FakeGateway):
    """Asks its own API whether it wrote a letter, as PayPal's may."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asks = True
        self.proofs = 0
        self.while_asking: Callable[[], None] = lambda: None

    def must_ask(self, letter: Letter) -> bool:
        return self.asks

    def read_letter(self, letter: Letter) -> Sequence[Hint]:
        if self.asks:
            self.proofs += 1
            self.while_asking()
        return super().read_letter(letter)


Fake = TypeVar("Fake", bound=FakeGateway)


class StandIn(Protocol):
    def __call__(self, fake: Fake) -> Fake: ...


def send(body: bytes, *, gateway: str = "stripe", token: str = "", method: str = "post", **headers: str) -> Any:
    """A letter of theirs, brought to our door."""
    path = f"/webhooks/{gateway}" + (f"/{token}" if token else "")
    known = {"x-signature": SECRET} | headers
    return getattr(Client(), method)(path, body, content_type="application/json", headers=known)
