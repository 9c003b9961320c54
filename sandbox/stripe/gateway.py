"""Stripe among the five: its routes, its post, its books, and the buyer that tests play."""

import copy
import json
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from sandbox.books import Entry
from sandbox.gateway import RETRY_AFTER_SECONDS, CannotPlay, Gateway, Played
from sandbox.letters import Envelope, Letter
from sandbox.stripe import (
    api,
    bookkeeping,
    buyer,
    by_hand,
    collection,
    connect,
    events,
    paying,
    refunds,
    renewals,
    sessions,
    visits,
)
from sandbox.stripe.state import Answerer, State, Thing
from sandbox.wire import Reply, Request, json_reply

WAKERS = {
    "checkout.session": sessions.expire,
    "invoice": collection.wake,
    "payment_intent": paying.wake,
    "payout": connect.wake,
    "refund": refunds.wake,
    "subscription": renewals.wake,
}
# What a forger or a bad day changes in an event.
AMOUNTS = (
    *("amount", "amount_total", "amount_received", "amount_paid", "amount_due", "amount_captured", "amount_refunded"),
    "total",
)
WRONG_TIMES = 10


class Stripe(Gateway):
    name = "stripe"
    title = "Stripe"
    colour = "#5851df"
    tables = ("objects", "hidden", "replays", "due")
    default_settings = {
        "secret_key": "",  # empty: any key that begins as a test key does
        "webhook_url": "",  # an endpoint beside those that the API makes
        "webhook_secret": "whsec_sandbox",
        "after_retries": "cancel",  # what becomes of a subscription then: cancel, unpaid, past_due
        "retry_days": "3,5,7",
        "buyer_country": "",  # what buyers tell a page that reckons tax; empty: what is known of them, else France
        "buyer_vat_number": "",
        "float_minor": "100000000",  # of each currency, lent to the platform's balance
    }
    retry_after_seconds = (3_600, 7_200)

    def lay_routes(self) -> None:
        for method, path, answerer in api.ROUTES:
            self.router.add(method, path, partial(self._answer, answerer))
        for method, path, act in by_hand.ROUTES:
            self.router.add(method, path, partial(self._act_by_hand, act), is_page=True)
        for method, path, page in visits.ROUTES:
            self.router.add(method, path, partial(self._show, page), is_page=True)

    def known(self) -> State:
        """The state as the machinery sees it, at this time."""
        return State(now=self.now, send=self._send, tables=self.state, settings=self.settings)

    def _reached(self, request: Request) -> State:
        self.state["hidden"]["base_url"] = {"value": request.base_url}
        return self.known()

    def _answer(self, answerer: Answerer, request: Request, **names: str) -> Reply:
        state = self._reached(request)
        reply = api.answer(state, request, answerer, names)
        if request.path in ("/v1/checkout/sessions", "/v1/payment_intents") and request.method == "POST":
            self._lead_into_temptation(json.loads(reply.body))
        return reply

    def _act_by_hand(self, act: Answerer, request: Request, **names: str) -> Reply:
        return by_hand.answer(self._reached(request), request, act, names)

    def _show(self, page: visits.Page, request: Request, **names: str) -> Reply:
        return page(self, self._reached(request), request, **names)

    # ------------------------------------------------------------ time

    def tick(self) -> None:
        """Catch up, one thing after the other in the order in which they were due."""
        due, now, reached = self.state["due"], int(self.now()), 0
        while due:
            name, (moment, kind) = min(due.items(), key=lambda entry: entry[1][0])
            if moment > now:
                return
            reached = max(reached, moment)
            del due[name]
            state = self.known()
            state.moment = reached
            if thing := state.find(kind, name):
                WAKERS[kind](state, thing)

    # ------------------------------------------------------------ the post

    def _send(self, event: Thing) -> None:
        state = self.known()
        takers = [endpoint["url"] for endpoint in events.endpoints(state) if events.wants(endpoint, event)]
        state.private(event)["waiting"] = list(takers)
        event["pending_webhooks"] = len(takers)
        for url in takers:
            self.notify(url, subject=f"{event['type']} {event['id']}", content=dict(event))

    def _lead_into_temptation(self, made: Thing) -> None:
        """Whoever knows of a payment might claim that it is paid."""
        if "error" in made:
            return
        state = self.known()
        event: Thing = {"object": "event", "type": "payment_intent.succeeded", "data": {"object": made}}
        for endpoint in events.endpoints(state):
            self.tempt(endpoint["url"], subject="forged", content=event)

    def seal(self, letter: Letter, content: dict[str, Any], *, is_genuine: bool) -> Envelope:
        body = json.dumps(content, indent=2).encode()
        secret = events.secret_of(self.known(), letter.url) if is_genuine else "whsec_forged"
        signature = events.signature(body, secret, int(self.now()))
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": signature}
        return Envelope(headers={**headers, "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)"}, body=body)

    def with_wrong_amount(self, content: dict[str, Any]) -> dict[str, Any]:
        wrong = copy.deepcopy(content)
        thing = wrong["data"]["object"]
        thing.update({name: thing[name] * WRONG_TIMES for name in AMOUNTS if isinstance(thing.get(name), int)})
        return wrong

    def claiming_success(self, content: dict[str, Any]) -> dict[str, Any]:
        claim = copy.deepcopy(content)
        thing = claim["data"]["object"]
        claim |= {"id": "evt_" + "0" * 24, "created": int(self.now()), "livemode": False, "pending_webhooks": 1}
        claim |= {"api_version": "2026-08-26.dahlia", "request": {"id": None, "idempotency_key": None}}
        if thing["object"] == "checkout.session":
            claim["type"] = "checkout.session.completed"
            thing.update(status="complete", payment_status="paid")
        elif thing["object"] == "payment_intent":
            claim["type"] = "payment_intent.succeeded"
            thing.update(status="succeeded", amount_received=thing["amount"])
        return claim

    def delivered(self, letter: Letter, status: int) -> None:
        if 200 <= status < 300:  # noqa: PLR2004
            events.delivered(self.known(), letter.content.get("id", ""), letter.url)

    # ------------------------------------------------------------ what the control asks

    def play(self, next_action: dict[str, Any], act: str) -> Played | None:
        state = self.known()
        found = buyer.found(state, _named_in(next_action, state.base_url))
        if found is None:
            return None
        kind, thing = found
        try:
            visit = buyer.act(state, kind, thing, act)
        except buyer.NoLonger as error:
            raise CannotPlay(str(error)) from error
        return Played(payment_id=thing["id"], state=visit.state, redirect_to=visit.redirect_to)

    def books(self) -> list[Entry]:
        return bookkeeping.entries(self.known())

    # ------------------------------------------------------------ its own way of failing

    def failure(self) -> Reply:
        error = {"message": "An unknown error occurred.", "type": "api_error"}
        return json_reply({"error": error}, 500)

    def too_many(self) -> Reply:
        error = {"message": "Too many requests.", "type": "invalid_request_error", "code": "rate_limit"}
        return json_reply({"error": error}, 429, {"Retry-After": RETRY_AFTER_SECONDS})

    def malformed(self, detail: str) -> Reply:
        return json_reply({"error": {"message": detail, "type": "invalid_request_error"}}, 400)

    def unknown_path(self, request: Request) -> Reply:
        return api.unknown(request)


def _named_in(next_action: dict[str, Any], base_url: str) -> str:
    """The id in a page's address, or before the secret of a client secret."""
    if secret := next_action.get("client_secret"):
        return str(secret).partition("_secret_")[0]
    address = urlsplit(str(next_action.get("url", "")))
    ours = urlsplit(base_url)
    if not base_url or address.netloc != ours.netloc or not address.path.startswith(f"{ours.path}/pages/"):
        return ""
    return address.path.rstrip("/").rpartition("/")[2]
