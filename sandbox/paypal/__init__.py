"""PayPal in the box: OAuth, Orders v2, refunds of captures, Payouts v1 and signed webhooks."""

from typing import Any

from sandbox.books import Entry
from sandbox.gateway import CannotPlay, Gateway, Played
from sandbox.letters import Envelope, Letter
from sandbox.paypal import accounts, errors, orders, payouts, refunds, signatures, webhooks
from sandbox.wire import Reply, Request

RETRIES = (10, 60, 300, 900, 3_600, *[12_960] * 20)  # 25 times in 3 days


class PayPal(Gateway):
    name = "paypal"
    title = "PayPal"
    colour = "#003087"
    tables = ("tokens", "requests", "orders", "captures", "refunds", "batches", "webhooks", "events", "keys", "seen")
    default_settings = {
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "webhook_id": "WHSANDBOX",  # the listener that stands from the start, when it has an address
        "webhook_url": "",
        "shop": "Tirelire",
    }
    retry_after_seconds = RETRIES

    def lay_routes(self) -> None:
        self.router.add("POST", "/v1/oauth2/token", self.token)
        accounts_only = accounts.guard(self)
        orders.lay_routes(self, accounts_only)
        refunds.lay_routes(self, accounts_only)
        payouts.lay_routes(self, accounts_only)
        webhooks.lay_routes(self, accounts_only)

    def token(self, request: Request) -> Reply:
        self.remember_address(request)
        return accounts.token(self, request)

    def tick(self) -> None:
        orders.settle_pending_captures(self)
        payouts.process_due(self)

    def play(self, next_action: dict[str, Any], act: str) -> Played | None:
        if (found := self.own_path(next_action)) is None:
            return None
        order = orders.standing(self, found[1].get("token", ""))
        if order is None:
            raise CannotPlay("PayPal knows no such order (any more).")
        redirect_to = orders.act_of_payer(self, order, act)
        return Played(payment_id=order["id"], state=order["status"], redirect_to=redirect_to)

    def books(self) -> list[Entry]:
        return [*orders.books(self), *refunds.books(self), *payouts.books(self)]

    # ------------------------------------------------------------ notifications

    def seal(self, letter: Letter, content: dict[str, Any], *, is_genuine: bool) -> Envelope:
        return signatures.seal(self, content, is_genuine=is_genuine)

    def with_wrong_amount(self, content: dict[str, Any]) -> dict[str, Any]:
        return webhooks.with_wrong_amount(content)

    def claiming_success(self, content: dict[str, Any]) -> dict[str, Any]:
        return webhooks.claiming_success(content)

    # ------------------------------------------------------------ replies that belong to nobody else

    def failure(self) -> Reply:
        return errors.reply(500, "INTERNAL_SERVER_ERROR", "An internal server error has occurred.")

    def malformed(self, detail: str) -> Reply:
        return errors.invalid_request("MALFORMED_REQUEST_JSON", field="/", description=detail)

    def unknown_path(self, request: Request) -> Reply:
        return errors.not_found()

    # ------------------------------------------------------------ what the parts share

    def remember_address(self, request: Request) -> None:
        """Links of later notifications start with the address that we were called by."""
        self.state["seen"]["base_url"] = request.base_url

    def base_url(self) -> str:
        return str(self.state["seen"].get("base_url", ""))
