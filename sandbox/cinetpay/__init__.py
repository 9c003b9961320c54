"""CinetPay in the box: checkout v2 and the transfer API of its older accounts, and the newer API v1."""

from typing import Any

from sandbox.books import Entry
from sandbox.cinetpay import api_v1, checkout_v2, notices, payments, transfers
from sandbox.gateway import Gateway, Played
from sandbox.letters import Envelope, Letter
from sandbox.wire import Reply, Request, json_reply

PAGE = "/payment/"


class CinetPay(Gateway):
    name = "cinetpay"
    title = "CinetPay"
    colour = "#0b7a4b"
    tables = ("tokens", "payments", "contacts", "transfers")
    default_settings = {
        "apikey": "sandbox-apikey",
        "site_id": "123456",
        "secret_key": "sandbox-secret-key",  # signs notifications
        "transfer_password": "sandbox-transfer-password",
        "api_key": "sk_test_sandbox",  # of the newer API
        "api_password": "sandbox-api-password",
        "balance": "5000000",  # of the account that transfers are paid from
        "shop": "Tirelire",
    }
    retry_after_seconds = (60, 300, 900)

    def lay_routes(self) -> None:
        checkout_v2.lay_routes(self)
        transfers.lay_routes(self)
        api_v1.lay_routes(self)
        payments.lay_routes(self)

    def tick(self) -> None:
        payments.conclude_due(self)
        transfers.conclude_due(self)

    def play(self, next_action: dict[str, Any], act: str) -> Played | None:
        payment = self.payment_of_page(next_action, PAGE)
        if payment is None:
            return None
        redirect_to = payments.act_of_payer(self, payment, act)
        return Played(payment_id=payment["transaction_id"], state=payment["state"], redirect_to=redirect_to)

    def books(self) -> list[Entry]:
        return [*payments.books(self), *transfers.books(self)]

    def seal(self, letter: Letter, content: dict[str, Any], *, is_genuine: bool) -> Envelope:
        return notices.seal(self, letter, content, is_genuine=is_genuine)

    def with_wrong_amount(self, content: dict[str, Any]) -> dict[str, Any]:
        return notices.with_wrong_amount(content)

    def claiming_success(self, content: dict[str, Any]) -> dict[str, Any]:
        return notices.claiming_success(content)

    def malformed(self, detail: str) -> Reply:
        return json_reply({"code": "608", "message": "MINIMUM_REQUIRED_FIELDS", "description": detail}, 400)

    def unknown_path(self, request: Request) -> Reply:
        return json_reply({"code": "404", "message": "NOT_FOUND", "description": "No such address."}, 404)
