"""MTN MoMo in the box: collections, disbursements, a page that plays the phone, and MTN's own test numbers."""

import json
from typing import Any

from sandbox.books import Entry
from sandbox.gateway import CannotPlay, Gateway, Played
from sandbox.letters import Envelope, Letter
from sandbox.mtn_momo import access, collections, disbursements, phone
from sandbox.wire import Reply, Request, json_reply


class MtnMomo(Gateway):
    name = "mtn_momo"
    title = "MTN MoMo"
    colour = "#0a4a6b"
    desk = "/phone"
    desk_title = "phones that ring"
    tables = ("tokens", "users", "collections", "disbursements")
    default_settings = {
        "collection_subscription_key": "sandbox-collection-key",
        "disbursement_subscription_key": "sandbox-disbursement-key",
        "api_user": "5b2c2a6e-7a1e-4a53-9b0e-3b1c6f0d8a11",
        "api_key": "sandbox-api-key",
        "callback_host": "",  # what X-Callback-Url must name; empty takes any
        "callback_method": "PUT",
        "balance": "10000000",
        "shop": "Tirelire",
    }
    retry_after_seconds = (60, 300)

    def lay_routes(self) -> None:
        access.lay_routes(self)
        collections.lay_routes(self)
        disbursements.lay_routes(self)
        phone.lay_routes(self)

    def tick(self) -> None:
        collections.conclude_due(self)
        disbursements.conclude_due(self)

    def play(self, next_action: dict[str, Any], act: str) -> Played | None:
        if next_action.get("type") != "phone_prompt":
            return None
        reference = str(next_action.get("reference", ""))
        payment = collections.by_reference(self, reference)
        if payment is None:
            raise CannotPlay(f"No phone was asked for {reference or 'nothing'}.")
        collections.act_of_payer(self, payment, act)
        return Played(payment_id=payment["id"], state=payment["status"])

    def books(self) -> list[Entry]:
        return [*collections.books(self), *disbursements.books(self)]

    def seal(self, letter: Letter, content: dict[str, Any], *, is_genuine: bool) -> Envelope:
        """MTN signs nothing: a forger's letter looks like any other."""
        return Envelope(headers={"Content-Type": "application/json"}, body=json.dumps(content).encode())

    def with_wrong_amount(self, content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "amount": content["amount"] + "0"}

    def claiming_success(self, content: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in content.items() if name != "reason"}
        return {**kept, "status": "SUCCESSFUL", "financialTransactionId": "666666666"}

    def failure(self) -> Reply:
        return json_reply({"code": "INTERNAL_PROCESSING_ERROR", "message": "An internal error occurred."}, 500)

    def malformed(self, detail: str) -> Reply:
        return access.bad_request(detail)

    def unknown_path(self, request: Request) -> Reply:
        return json_reply({"statusCode": 404, "message": "Resource not found"}, 404)
