"""A bad day at every gateway, repeatable by its seed: whatever the wire does, an adapter never says what is not so."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from billing.gateways.base import (
    CheckoutRequest,
    PaymentRef,
    PaymentResult,
    PaymentState,
    PayoutRef,
    PayoutState,
    RefundRef,
    RefundRequest,
    RefundState,
)
from billing.gateways.errors import Declined, GatewayError, Unavailable, Uncertain
from billing.gateways.mtn_momo import MtnMomo
from billing.tests.gateways import contenders
from billing.tests.gateways.contenders import CONTENDERS, Contender
from sandbox.testing import Sandbox

SEED = 5
CALLS_A_DAY = 50  # on nine days, of each entry: over two thousand with the five of them
BAD_DAYS: tuple[dict[str, Any], ...] = (
    {"drop_before": 0.3},
    {"drop_after": 0.3},
    {"http500_before": 0.3},
    {"http500_after": 0.3},
    {"html": 0.3},
    {"latency_ms": 3, "drop_after": 0.2, "http500_after": 0.2, "html": 0.2},
    {"drop_before": 0.1, "drop_after": 0.1, "http500_before": 0.1, "http500_after": 0.1, "html": 0.1},
    {"outage": True},
    {"notify": {"duplicate": 1.0, "forge": 1.0, "wrong_amount": 1.0}, "drop_after": 0.2},
)
CALM = {"latency_ms": 0, "drop_before": 0.0, "drop_after": 0.0, "http500_before": 0.0, "http500_after": 0.0,
        "html": 0.0, "outage": False}  # fmt: skip
A_MOMENT = 60

SUCCESSES = {PaymentState.SUCCEEDED, RefundState.SUCCEEDED, PayoutState.PAID}
FAILURES = {
    *(PaymentState.FAILED, PaymentState.CANCELLED, PaymentState.EXPIRED),
    *(RefundState.FAILED, RefundState.CANCELLED),
    *(PayoutState.FAILED, PayoutState.CANCELLED, PayoutState.RETURNED),
}
MONEY_MOVED_OR_MAY = ("paid", "pending", "authorized")


class Day:
    """One gateway on one bad day; every call is held against the gateway's books at once."""

    def __init__(self, sandbox: Sandbox, contender: Contender, adapter: Any, seed: int) -> None:
        self.sandbox = sandbox
        self.contender = contender
        self.adapter = adapter
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.calls = 0
        self.uncertain = 0

    def line(self, kind: str, ours: str) -> dict[str, Any] | None:
        """What the gateway has under our reference: at most one thing, however often it was sent."""
        written = ours if kind == "refunds" else self.contender.written(ours)
        found = [each for each in self.sandbox.books(self.contender.gateway)[kind] if each["reference"] == written]
        assert len(found) <= 1, f"{self.contender}: {kind} acted twice under one reference"
        return found[0] if found else None

    def ask(self, kind: str, ours: str, act: Callable[[], Any], *, is_first_order: bool = False) -> Any:
        """Do it, and check what was said; the result, or the error."""
        self.calls += 1
        try:
            said = act()
        except GatewayError as failure:
            said = failure
        found = self.line(kind, ours)
        state = str(found["state"]) if found else ""
        if isinstance(said, Unavailable):
            assert not is_first_order or state == "", f"said that nothing was sent, but it is {state}"
        elif isinstance(said, Declined):
            assert state not in MONEY_MOVED_OR_MAY, f"said no, but it is {state}"
        elif isinstance(said, Uncertain):
            self.uncertain += 1
        else:
            self._check(said.state, state)
        return said

    def _check(self, said: str, state: str) -> None:
        if said in SUCCESSES:
            assert state == "paid", f"said {said}, but it is {state!r}"
        if said in FAILURES:
            assert state not in MONEY_MOVED_OR_MAY, f"said {said}, but it is {state!r}"
        if said == PaymentState.NOT_FOUND:
            assert state in ("", "open"), f"said {said}, but it is {state!r}"

    def order(self, kind: str, ours: str, send: Callable[[], Any]) -> Any:
        """Send, and after a failure send again under the same reference, as a worker that was killed would."""
        said = self.ask(kind, ours, send, is_first_order=True)
        for _ in range(2):
            if isinstance(said, Unavailable | Uncertain):
                said = self.ask(kind, ours, send)
        return said

    def weather(self, dials: dict[str, Any]) -> None:
        self.sandbox.turn(self.contender.gateway, **dials)

    # ------------------------------------------------------------ one buyer's story

    def payment(self, dials: dict[str, Any]) -> PaymentRef | None:
        request = contenders.checkout(self.contender)
        ours = request.reference
        self.weather(dials)
        opened = self.order("payments", ours, lambda: self.adapter.open_checkout(request))
        payment = contenders.remembered(request)
        if not isinstance(opened, GatewayError):
            payment = contenders.remembered(request, opened)
            if opened.next_action is not None:
                act = self.random.choice(["pay", "pay", "pay", "decline"])
                self.sandbox.play(contenders.shown(opened.next_action), act)
        for _ in range(3):
            said = self.ask("payments", ours, lambda: self.adapter.fetch_payment(payment))
            if not isinstance(said, GatewayError) and said.state is PaymentState.AUTHORIZED:
                self.ask("payments", ours, lambda: self.adapter.capture(payment))
        self.weather(CALM)
        said = self.ask("payments", ours, lambda: self.adapter.fetch_payment(payment))
        if not isinstance(said, GatewayError) and said.state is PaymentState.AUTHORIZED:
            said = self.ask("payments", ours, lambda: self.adapter.capture(payment))
        assert not isinstance(said, GatewayError), f"{self.contender}: a calm gateway did not resolve it"
        return contenders.learned(payment, said) if said.state is PaymentState.SUCCEEDED else None

    def refund(self, payment: PaymentRef, dials: dict[str, Any]) -> None:
        request = RefundRequest(reference=contenders.reference(), payment=payment, amount=self.contender.part)
        known = RefundRef(reference=request.reference, payment=payment, amount=request.amount)
        self.weather(dials)
        self.order("refunds", request.reference, lambda: self.adapter.send_refund(request))
        self.ask("refunds", request.reference, lambda: self.adapter.fetch_refund(known))
        self.weather(CALM)
        self.sandbox.advance(A_MOMENT)
        said = self.ask("refunds", request.reference, lambda: self.adapter.fetch_refund(known))
        assert not isinstance(said, GatewayError)
        has_acted = self.line("refunds", request.reference) is not None
        assert said.state is (RefundState.SUCCEEDED if has_acted else RefundState.NOT_FOUND)

    def payout(self, dials: dict[str, Any]) -> None:
        request = contenders.payout(self.contender)
        known = PayoutRef(reference=request.reference, amount=request.amount, request=request)
        self.weather(dials)
        sent = self.order("payouts", request.reference, lambda: self.adapter.send_payout(request))
        if not isinstance(sent, GatewayError):
            known = replace(known, ids=sent.ids)
        self.ask("payouts", request.reference, lambda: self.adapter.fetch_payout(known))
        self.weather(CALM)
        said = self.ask("payouts", request.reference, lambda: self.adapter.fetch_payout(known))
        self.sandbox.advance(A_MOMENT)
        said = self.ask("payouts", request.reference, lambda: self.adapter.fetch_payout(replace(known, ids=_ids(said))))
        assert not isinstance(said, GatewayError)
        has_acted = self.line("payouts", request.reference) is not None
        assert said.state is (PayoutState.PAID if has_acted else PayoutState.NOT_FOUND)


def _ids(said: Any) -> dict[str, str]:
    return {} if isinstance(said, GatewayError) else dict(said.ids)


def bad_days(sandbox: Sandbox, contender: Contender, adapter: Any) -> int:
    """Live through all of them; how often the adapter did not know."""
    uncertain = 0
    for number, dials in enumerate(BAD_DAYS):
        sandbox.control("POST", "/_reset", {"gateway": contender.gateway})
        sandbox.turn(contender.gateway, seed=SEED + number)
        day = Day(sandbox, contender, adapter, seed=SEED + number)
        while day.calls < CALLS_A_DAY:
            payment = day.payment(dials)
            if payment is not None and contender.refunds:
                day.refund(payment, dials)
            if contender.payout_to is not None:
                day.payout(dials)
        uncertain += day.uncertain
    return uncertain


@pytest.mark.parametrize("contender", CONTENDERS, ids=str)
def test_no_bad_day_makes_an_adapter_say_what_is_not_so(sandbox: Sandbox, contender: Contender) -> None:
    uncertain = bad_days(sandbox, contender, contender.make(sandbox, contenders.LIMITS))
    assert uncertain >= 20, "the days were not bad enough to show anything"


# ---------------------------------------------------------------- would the bad days notice?


class Hasty(MtnMomo):
    """Takes a lost reply for a refusal, as plugins for shops do."""

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        try:
            return super().open_checkout(request)
        except Uncertain as lost:
            raise Unavailable("It failed.", gateway=self.name) from lost


class Hopeful(MtnMomo):
    """Takes whatever it cannot read for a success."""

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        try:
            return super().fetch_payment(payment)
        except GatewayError:
            return PaymentResult(state=PaymentState.SUCCEEDED)


@pytest.mark.parametrize(("wrong", "said"), [(Hasty, "said that nothing was sent"), (Hopeful, "said succeeded")])
def test_adapter_that_lies_is_found_out(sandbox: Sandbox, wrong: type[MtnMomo], said: str) -> None:
    contender = next(each for each in CONTENDERS if each.name == "mtn_momo")
    with pytest.raises(AssertionError, match=said):
        bad_days(sandbox, contender, _built(wrong, sandbox))


def _built(kind: type[MtnMomo], sandbox: Sandbox) -> MtnMomo:
    return kind(contenders.mtn_momo_in(sandbox).configuration, contenders.LIMITS)
