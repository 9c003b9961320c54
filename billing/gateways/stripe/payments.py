"""Money in: the hosted page, the payment intent for a page of our own, and charges of a saved card."""

import time
from collections.abc import Mapping
from typing import Any

from billing.gateways import amounts
from billing.gateways.base import (
    Buyer,
    ChargeRequest,
    CheckoutRequest,
    Flow,
    Line,
    NextAction,
    PaymentRef,
    PaymentResult,
    PaymentState,
)
from billing.gateways.errors import Declined, Uncertain
from billing.gateways.stripe import payment_states as states
from billing.gateways.stripe import tax_states
from billing.gateways.stripe.client import Connected, Fields, checked, id_of, reference_of
from billing.gateways.stripe.currencies import to_wire
from billing.gateways.tax_figures import TaxBehavior

SHORTEST_PAGE_SECONDS = 30 * 60
LONGEST_PAGE_SECONDS = 24 * 3600
LOCALES = frozenset({"en", "fr"})
WITH_FEE = "latest_charge.balance_transaction"
MISSING = "resource_missing"


class Payments(Connected):
    # ------------------------------------------------------------ opening

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        amounts.require(request.amount, self.capabilities.currencies, gateway=self.name)
        if request.flow is Flow.CLIENT_SECRET:
            return self._open_intent(request)
        params = _session(request, self.configuration.tax_code)
        found = self.move(
            lambda: self.api.checkout.sessions.create(params, {"idempotency_key": f"{request.reference}:create"})
        )
        return states.of_session(checked(found, "checkout.session"))

    def _open_intent(self, request: CheckoutRequest) -> PaymentResult:
        params: Any = {
            "amount": to_wire(request.amount),
            "currency": request.amount.unit.lower(),
            "automatic_payment_methods": {"enabled": True},
            "capture_method": "automatic",
            "description": request.description,
            "metadata": _metadata(request.reference, request.metadata),
            **_payer(request.buyer, page=False),
            **({"setup_future_usage": "off_session"} if request.save_method else {}),
        }
        found = self.move(
            lambda: self.api.payment_intents.create(params, {"idempotency_key": f"{request.reference}:create"})
        )
        result = states.of_intent(checked(found, "payment_intent"))
        secret = NextAction(
            type=Flow.CLIENT_SECRET,
            client_secret=str(found.get("client_secret") or ""),
            publishable_key=self.configuration.publishable_key,
        )
        return states.with_action(result, secret)

    def charge(self, request: ChargeRequest) -> PaymentResult:
        amounts.require(request.amount, self.capabilities.currencies, gateway=self.name)
        flow = states.ON_SESSION if request.return_url else states.OFF_SESSION
        params: Any = {
            "amount": to_wire(request.amount),
            "currency": request.amount.unit.lower(),
            "customer": request.buyer.gateway_customer,
            "payment_method": request.method,
            "confirm": True,
            # With an address to come back to, Stripe leads whom the bank asks to a page; without, the card is declined.
            **({"return_url": request.return_url} if request.return_url else {"off_session": True}),
            "description": request.description,
            "metadata": _metadata(request.reference, {**request.metadata, "flow": flow}),
            "expand": [WITH_FEE],
        }
        found = self.move(
            lambda: self.api.payment_intents.create(params, {"idempotency_key": f"{request.reference}:charge"})
        )
        return states.of_intent(checked(found, "payment_intent"))

    # ------------------------------------------------------------ asking

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        session, intent = payment.ids.get("session", ""), payment.ids.get("payment_intent", "")
        if not session and not intent:
            session, intent = self._look_up(payment)
        try:
            if session:
                return self._fetch_session(session)
            if intent:
                return self._fetch_intent(intent)
        except Declined as error:
            if error.code != MISSING:
                raise
        return PaymentResult(state=PaymentState.NOT_FOUND)

    def _fetch_session(self, session: str) -> PaymentResult:
        found = self.ask(
            lambda: self.api.checkout.sessions.retrieve(
                session, {"expand": [f"payment_intent.{WITH_FEE}", tax_states.BREAKDOWN]}
            )
        )
        return states.of_session(checked(found, "checkout.session"))

    def _fetch_intent(self, intent: str) -> PaymentResult:
        found = self.ask(lambda: self.api.payment_intents.retrieve(intent, {"expand": [WITH_FEE]}))
        return states.of_intent(checked(found, "payment_intent"))

    def _look_up(self, payment: PaymentRef) -> tuple[str, str]:
        """The ids of an attempt whose first reply was lost. Stripe's search lags behind; its lists do not."""

        def is_ours(found: Fields) -> bool:
            return reference_of(found) == payment.reference

        window = self.window(payment.created_at)
        session = self.search(lambda params: self.api.checkout.sessions.list(_any(params)), is_ours, **window)
        if session:
            return str(session["id"]), id_of(session.get("payment_intent"))
        intent = self.search(lambda params: self.api.payment_intents.list(_any(params)), is_ours, **window)
        return "", str(intent["id"]) if intent else ""

    # ------------------------------------------------------------ ending

    def cancel_checkout(self, payment: PaymentRef) -> PaymentResult:
        known = self.fetch_payment(payment)
        session, intent = known.ids.get("session", ""), known.ids.get("payment_intent", "")
        match known.state:
            case PaymentState.REQUIRES_ACTION | PaymentState.CREATED if session:
                return self._end(known, lambda: self._expire(session, payment.reference))
            case PaymentState.REQUIRES_ACTION | PaymentState.CREATED | PaymentState.AUTHORIZED if intent:
                return self._end(known, lambda: self._cancel_intent(intent, payment.reference))
            case _:
                return known  # over already, or on its way: what it is, it says

    def _end(self, known: PaymentResult, act: Any) -> PaymentResult:
        try:
            act()
        except Declined:  # the buyer was quicker
            return self.fetch_payment(_remembered(known))
        return states.cancelled(known)

    def _expire(self, session: str, reference: str) -> Fields:
        return self.move(
            lambda: self.api.checkout.sessions.expire(session, {}, {"idempotency_key": f"{reference}:expire"})
        )

    def _cancel_intent(self, intent: str, reference: str) -> Fields:
        return self.move(
            lambda: self.api.payment_intents.cancel(
                intent,
                {"cancellation_reason": "requested_by_customer"},
                {"idempotency_key": f"{reference}:cancel"},
            )
        )


# ---------------------------------------------------------------- to them


def _session(request: CheckoutRequest, tax_code: str) -> Any:
    metadata = _metadata(request.reference, request.metadata)
    intent: Fields = {
        "metadata": metadata,  # Stripe does not copy the session's
        "description": request.description,
        "capture_method": "automatic",
    }
    if request.save_method:
        intent["setup_future_usage"] = "off_session"
    params: Fields = {
        "mode": "payment",
        "client_reference_id": request.reference,
        "line_items": [_line(line, request.tax, tax_code) for line in _lines(request)],
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "locale": request.buyer.locale if request.buyer.locale in LOCALES else "auto",
        "metadata": metadata,
        "payment_intent_data": intent,
        **_payer(request.buyer, page=True),
        **(taxed(request.buyer) if request.tax else {}),
    }
    if request.save_method and not request.buyer.gateway_customer:
        params["customer_creation"] = "always"  # a saved card belongs to somebody
    if request.expires_at is not None:
        at = int(request.expires_at.timestamp())
        # Beyond these Stripe refuses the page; it then lives its 24 hours, and we expire it ourselves.
        if SHORTEST_PAGE_SECONDS <= at - time.time() <= LONGEST_PAGE_SECONDS:
            params["expires_at"] = at
    return params


def _lines(request: CheckoutRequest) -> list[Line]:
    """The lines, where they sum up to what is asked for; with a discount or a balance used they do not."""
    lines = list(request.lines)
    is_one_currency = all(line.unit_price.unit == request.amount.unit for line in lines)
    if is_one_currency and sum(line.quantity * line.unit_price.minor for line in lines) == request.amount.minor:
        return lines
    return [Line(name=request.description, quantity=1, unit_price=request.amount)]


def taxed(buyer: Buyer) -> Fields:
    """Stripe reckons the tax by the address that the page asks for, and a company's number frees from it. What is told
    there must be let into the customer that Stripe knows already."""
    asked: Fields = {
        "automatic_tax": {"enabled": True},
        "billing_address_collection": "required",
        "tax_id_collection": {"enabled": True},
    }
    return asked | ({"customer_update": {"address": "auto", "name": "auto"}} if buyer.gateway_customer else {})


def _line(line: Line, tax: TaxBehavior | None, tax_code: str) -> Fields:
    product = {"name": line.name} | ({"description": line.description} if line.description else {})
    if tax and tax_code:
        product["tax_code"] = tax_code
    return {
        "quantity": line.quantity,
        "price_data": {
            "currency": line.unit_price.unit.lower(),
            "unit_amount": to_wire(line.unit_price),
            "product_data": product,
            **({"tax_behavior": tax.value} if tax else {}),
        },
    }


def _payer(buyer: Buyer, *, page: bool) -> Fields:
    if buyer.gateway_customer:
        return {"customer": buyer.gateway_customer}
    return {"customer_email" if page else "receipt_email": buyer.email} if buyer.email else {}


def _metadata(reference: str, more: Mapping[str, str]) -> dict[str, str]:
    return {**more, "reference": reference}


def _remembered(known: PaymentResult) -> PaymentRef:
    if known.amount is None:
        raise Uncertain("Stripe's reply names no amount.", gateway="stripe", code="unreadable")
    return PaymentRef(reference="", amount=known.amount, ids=known.ids)


def _any(params: Fields) -> Any:
    """The library types each list's filters apart; ours are built once."""
    return params
