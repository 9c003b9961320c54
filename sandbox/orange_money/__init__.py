"""Orange Money Web Payment in the box: token, payment, status, and a page; it neither refunds nor pays out."""

import json
import secrets
from typing import Any

from sandbox.books import Entry
from sandbox.gateway import Gateway, Played
from sandbox.letters import Envelope, Letter
from sandbox.orange_money import payments
from sandbox.wire import Reply, Request, json_reply

TOKEN_SECONDS = 3_600
PAGE = "/payment/pay_token/"


class OrangeMoney(Gateway):
    name = "orange_money"
    title = "Orange Money"
    colour = "#a84300"
    tables = ("tokens", "payments")
    default_settings = {
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "merchant_key": "sandbox-merchant-key",
        "shop": "Tirelire",
    }
    retry_after_seconds = ()  # Orange tells once, or not at all

    def lay_routes(self) -> None:
        self.router.add("POST", "/oauth/v3/token", self.token)
        self.router.add("POST", "/oauth/v2/token", self.token)
        payments.lay_routes(self)

    def token(self, request: Request) -> Reply:
        expected = (self.settings["client_id"], self.settings["client_secret"])
        if request.basic() != expected:
            return _oauth_error("invalid_client", "The client credentials are wrong.", 401)
        if request.form().get("grant_type") != "client_credentials":
            return _oauth_error("unsupported_grant_type", "grant_type must be client_credentials.", 400)
        made = secrets.token_urlsafe(32)
        self.state["tokens"][made] = self.now() + TOKEN_SECONDS
        return json_reply({"token_type": "Bearer", "access_token": made, "expires_in": TOKEN_SECONDS})

    def tick(self) -> None:
        payments.conclude_due(self)

    def play(self, next_action: dict[str, Any], act: str) -> Played | None:
        payment = self.payment_of_page(next_action, PAGE)
        if payment is None:
            return None
        redirect_to = payments.act_of_payer(self, payment, act)
        return Played(payment_id=payment["order_id"], state=payment["status"], redirect_to=redirect_to)

    def books(self) -> list[Entry]:
        return payments.books(self)

    def seal(self, letter: Letter, content: dict[str, Any], *, is_genuine: bool) -> Envelope:
        body = content if is_genuine else {**content, "notif_token": secrets.token_hex(16)}
        return Envelope(headers={"Content-Type": "application/json"}, body=json.dumps(body).encode())

    def claiming_success(self, content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "status": "SUCCESS"}

    def failure(self) -> Reply:
        return payments.refusal(500, 1, "Internal error", "Something went wrong inside.")

    def malformed(self, detail: str) -> Reply:
        return payments.refusal(400, 22, "Invalid body", detail)

    def unknown_path(self, request: Request) -> Reply:
        return payments.refusal(404, 60, "Resource not found", "No such address.")


def _oauth_error(error: str, description: str, status: int) -> Reply:
    return json_reply({"error": error, "error_description": description}, status)
