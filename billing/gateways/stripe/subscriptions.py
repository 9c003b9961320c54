"""Plans that Stripe renews by itself: begun on its page, changed, paused, ended; and its portal."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from billing.gateways.base import Buyer
from billing.gateways.errors import Declined, Uncertain
from billing.gateways.stripe import subscription_states as states
from billing.gateways.stripe.client import NAME, PAGE, Connected, Fields, checked, id_of, reference_of
from billing.gateways.stripe.payments import LOCALES, MISSING, taxed
from billing.gateways.subscribing import (
    AttachedMethod,
    ChangePreview,
    ChangeRequest,
    InvoiceResult,
    InvoiceState,
    PortalRequest,
    Proration,
    SetupRequest,
    SetupResult,
    SetupState,
    SubscriptionRef,
    SubscriptionRequest,
    SubscriptionResult,
    SubscriptionState,
)

PRORATIONS = {
    Proration.CHARGE_NOW: "always_invoice",
    Proration.NONE: "none",
}
NOTHING_TO_CANCEL = (SubscriptionState.CANCELLED, SubscriptionState.EXPIRED, SubscriptionState.NOT_FOUND)
WITH_SECRET = "latest_invoice.confirmation_secret"  # noqa: S105 - the name of a field


class Subscribing(Connected):
    # ------------------------------------------------------------ customers and their cards

    def create_customer(self, *, buyer: Buyer, reference: str) -> str:
        params: Any = {"metadata": {"user": buyer.id, "reference": reference}}
        params |= {name: said for name in ("name", "email", "phone") if (said := getattr(buyer, name))}
        if buyer.country:
            params["address"] = {"country": buyer.country}
        if buyer.locale in LOCALES:
            params["preferred_locales"] = [buyer.locale]
        key = f"{reference}:customer"
        found = self.move(lambda: self.api.customers.create(params, {"idempotency_key": key}))
        return str(checked(found, "customer")["id"])

    def open_setup(self, request: SetupRequest) -> SetupResult:
        params: Any = {
            "mode": "setup",
            "customer": request.buyer.gateway_customer,
            "client_reference_id": request.reference,
            "currency": request.currency.lower(),
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
            "metadata": {"reference": request.reference},
            "setup_intent_data": {"metadata": {"reference": request.reference}},
        }
        key = f"{request.reference}:setup"
        found = self.move(lambda: self.api.checkout.sessions.create(params, {"idempotency_key": key}))
        return states.setup_of_session(checked(found, "checkout.session"))

    def fetch_setup(
        self, *, ids: Mapping[str, str], reference: str = "", created_at: datetime | None = None
    ) -> SetupResult:
        """By its ids; where the first reply was lost, by our reference."""
        session, intent = ids.get("session", ""), ids.get("setup_intent", "")
        if not session and not intent:
            session = self._find_session(reference, created_at)
            if not session:
                return SetupResult(state=SetupState.NOT_FOUND)
        try:
            if session:
                expand: Any = {"expand": ["setup_intent.payment_method"]}
                found = self.ask(lambda: self.api.checkout.sessions.retrieve(session, expand))
                return states.setup_of_session(checked(found, "checkout.session"))
            found = self.ask(lambda: self.api.setup_intents.retrieve(intent, {"expand": ["payment_method"]}))
            return states.setup_of_intent(checked(found, "setup_intent"))
        except Declined as error:
            if error.code != MISSING:
                raise
            return SetupResult(state=SetupState.NOT_FOUND)

    def fetch_method(self, *, method: str) -> AttachedMethod | None:
        try:
            found = self.ask(lambda: self.api.payment_methods.retrieve(method))
        except Declined as error:
            if error.code != MISSING:
                raise
            return None
        return states.of_method(checked(found, "payment_method"))

    def forget_method(self, *, method: str) -> None:
        try:
            self.move(lambda: self.api.payment_methods.detach(method, {}, {"idempotency_key": f"{method}:forget"}))
        except Declined:
            return  # it hangs on nobody any more, or never did

    # ------------------------------------------------------------ beginning

    def open_subscription(self, request: SubscriptionRequest) -> SubscriptionResult:
        metadata = {**request.metadata, "reference": request.reference}
        params: Any = {
            "mode": "subscription",
            "client_reference_id": request.reference,
            "line_items": [{"price": request.price, "quantity": 1}],
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
            "locale": request.buyer.locale if request.buyer.locale in LOCALES else "auto",
            "metadata": metadata,
            "subscription_data": {"metadata": metadata},
            **_subscriber(request.buyer),
            **({"discounts": [{"coupon": request.coupon}]} if request.coupon else {}),
        }
        if request.automatic_tax:
            params |= taxed(request.buyer)
        key = f"{request.reference}:subscribe"
        found = self.move(lambda: self.api.checkout.sessions.create(params, {"idempotency_key": key}))
        return states.of_session(checked(found, "checkout.session"))

    # ------------------------------------------------------------ asking

    def fetch_subscription(self, subscription: SubscriptionRef) -> SubscriptionResult:
        try:
            if subscription.id:
                return self._fetch_subscription(subscription.id)
            session = self._session_of(subscription)
        except Declined as error:
            if error.code != MISSING:
                raise
            return SubscriptionResult(state=SubscriptionState.NOT_FOUND)
        if session is None:
            return self._look_up_subscription(subscription)
        begun = id_of(session.get("subscription"))
        return self._fetch_subscription(begun) if begun else states.of_session(session)

    def _fetch_subscription(self, found_id: str) -> SubscriptionResult:
        found = self.ask(lambda: self.api.subscriptions.retrieve(found_id, {"expand": ["latest_invoice"]}))
        return states.of_subscription(checked(found, "subscription"))

    def _session_of(self, subscription: SubscriptionRef) -> Fields | None:
        if subscription.session:
            found = self.ask(lambda: self.api.checkout.sessions.retrieve(subscription.session))
            return checked(found, "checkout.session")
        return self._search_sessions(subscription.reference, subscription.created_at)

    def _find_session(self, reference: str, created_at: datetime | None) -> str:
        found = self._search_sessions(reference, created_at) if reference else None
        return str(found["id"]) if found else ""

    def _search_sessions(self, reference: str, created_at: datetime | None) -> Fields | None:
        def page(params: Any) -> Any:
            return self.api.checkout.sessions.list(params)

        return self.search(page, lambda each: reference_of(each) == reference, **self.window(created_at))

    def _look_up_subscription(self, subscription: SubscriptionRef) -> SubscriptionResult:
        def page(params: Any) -> Any:
            return self.api.subscriptions.list(params)

        window = self.window(subscription.created_at)
        found = self.search(page, lambda each: reference_of(each) == subscription.reference, status="all", **window)
        return states.of_subscription(found) if found else SubscriptionResult(state=SubscriptionState.NOT_FOUND)

    def close_page(self, subscription: SubscriptionRef) -> SubscriptionResult:
        """Nobody can begin on it any more. Who was quicker has begun, and then that is the answer."""
        known = self.fetch_subscription(subscription)
        if known.id or known.state is not SubscriptionState.INCOMPLETE:
            return known
        key: Any = {"idempotency_key": f"{subscription.reference}:expire"}
        try:
            self.move(lambda: self.api.checkout.sessions.expire(known.session, {}, key))
        except Declined:
            return self.fetch_subscription(replace(subscription, session=known.session))
        return replace(known, state=SubscriptionState.EXPIRED, next_action=None)

    def fetch_invoice(self, *, invoice: str) -> InvoiceResult:
        try:
            found = self.ask(lambda: self.api.invoices.retrieve(invoice, {"expand": ["payments"]}))
        except Declined as error:
            if error.code != MISSING:
                raise
            return InvoiceResult(state=InvoiceState.NOT_FOUND)
        return states.of_invoice(checked(found, "invoice"))

    def paid_invoices(self, *, subscription: str) -> Sequence[str]:
        """As many as one page has: whoever has not asked for that long has other worries."""
        params: Any = {"subscription": subscription, "status": "paid", "limit": PAGE}
        page = self.ask(lambda: self.api.invoices.list(params))
        found: list[Fields] = page.get("data") or []
        return [str(each["id"]) for each in reversed(found)]

    def find_invoice(self, *, payment_intent: str) -> InvoiceResult:
        """Since 2025 an intent does not name its invoice; what ties them is an object of its own."""
        params: Any = {"payment": {"type": "payment_intent", "payment_intent": payment_intent}, "limit": 1}
        page = self.ask(lambda: self.api.invoice_payments.list(params))
        found: list[Fields] = page.get("data") or []
        if not found:
            return InvoiceResult(state=InvoiceState.NOT_FOUND)
        return self.fetch_invoice(invoice=id_of(found[0].get("invoice")))

    # ------------------------------------------------------------ changing

    def preview_change(self, request: ChangeRequest) -> ChangePreview:
        details: Fields = {
            "items": [{"id": request.item, "price": request.price}],
            "proration_behavior": PRORATIONS[request.proration],
        }
        if request.prorated_at is not None:
            details["proration_date"] = int(request.prorated_at.timestamp())
        params: Any = {
            "customer": request.customer,
            "subscription": request.subscription,
            "subscription_details": details,
        }
        found = self.move(lambda: self.api.invoices.create_preview(params))
        return states.of_preview(found)

    def change_subscription(self, request: ChangeRequest) -> SubscriptionResult:
        params: Any = {
            "items": [{"id": request.item, "price": request.price}],  # without its id a second item would be added
            "proration_behavior": PRORATIONS[request.proration],
            "expand": [WITH_SECRET],
        }
        if request.proration is Proration.CHARGE_NOW:
            params["payment_behavior"] = "pending_if_incomplete"  # the old plan stays until the new one is paid
        if request.prorated_at is not None:
            params["proration_date"] = int(request.prorated_at.timestamp())
        return self._update(request.subscription, params, f"{request.reference}:change")

    def end_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult:
        key: Any = {"idempotency_key": f"{reference}:cancel_now"}
        try:
            found = self.move(lambda: self.api.subscriptions.cancel(subscription, {}, key))
        except Declined:
            known = self.fetch_subscription(SubscriptionRef(reference=reference, id=subscription))
            if known.state in NOTHING_TO_CANCEL:
                return known
            raise
        return states.of_subscription(checked(found, "subscription"))

    def end_subscription_later(self, *, subscription: str, reference: str) -> SubscriptionResult:
        return self._update(subscription, {"cancel_at_period_end": True}, f"{reference}:cancel_later")

    def keep_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult:
        """Announced by its portal, the end may be a date, which the flag leaves; Stripe takes one of both in a call."""
        told = self._update(subscription, {"cancel_at_period_end": False}, f"{reference}:keep")
        if not told.cancel_at_period_end:
            return told
        return self._update(subscription, {"cancel_at": ""}, f"{reference}:keep_undated")

    def pause_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult:
        """It runs on and charges nothing: invoices of a pause are void, so nothing is owed afterwards."""
        return self._update(subscription, {"pause_collection": {"behavior": "void"}}, f"{reference}:pause")

    def resume_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult:
        known = self.fetch_subscription(SubscriptionRef(reference=reference, id=subscription))
        if known.state is not SubscriptionState.PAUSED:
            return self._update(subscription, {"pause_collection": ""}, f"{reference}:resume")
        # Paused by Stripe: a trial ended without a card.
        params: Any = {"billing_cycle_anchor": "now", "proration_behavior": "none"}
        key: Any = {"idempotency_key": f"{reference}:resume"}
        found = self.move(lambda: self.api.subscriptions.resume(subscription, params, key))
        return states.of_subscription(checked(found, "subscription"))

    def _update(self, subscription: str, params: Any, key: str) -> SubscriptionResult:
        found = self.move(lambda: self.api.subscriptions.update(subscription, params, {"idempotency_key": key}))
        return states.of_subscription(checked(found, "subscription"))

    # ------------------------------------------------------------ the portal

    def open_portal(self, request: PortalRequest) -> str:
        params: Any = {"customer": request.customer, "return_url": request.return_url}
        if request.locale in LOCALES:
            params["locale"] = request.locale
        found = checked(self.move(lambda: self.api.billing_portal.sessions.create(params)), "billing_portal.session")
        url = found.get("url")
        if not isinstance(url, str) or not url:
            raise Uncertain("Stripe's portal has no address.", gateway=NAME, code="unreadable")
        return url


# ---------------------------------------------------------------- to them


def _subscriber(buyer: Buyer) -> Fields:
    if buyer.gateway_customer:
        return {"customer": buyer.gateway_customer}
    return {"customer_email": buyer.email} if buyer.email else {}
