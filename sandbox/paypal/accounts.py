"""Who calls: OAuth tokens, the guard before every call, and replies to a repeated PayPal-Request-Id."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.clock import text
from sandbox.paypal import errors
from sandbox.wire import Handler, Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.paypal import PayPal

TOKEN_SECONDS = 32_400
LONGEST_REQUEST_ID = 108
SCOPES = "https://uri.paypal.com/services/payments/payment https://uri.paypal.com/payments/payouts"

Guard = Callable[[Handler], Handler]


def token(gateway: "PayPal", request: Request) -> Reply:
    expected = (gateway.settings["client_id"], gateway.settings["client_secret"])
    if request.basic() != expected:
        return _oauth_error(401, "invalid_client", "Client Authentication failed")
    if request.form().get("grant_type") != "client_credentials":
        return _oauth_error(400, "unsupported_grant_type", "Grant Type is NULL or unsupported")
    made = "A21AA" + secrets.token_urlsafe(48)
    gateway.state["tokens"][made] = gateway.now() + TOKEN_SECONDS
    return json_reply(
        {
            "scope": SCOPES,
            "access_token": made,
            "token_type": "Bearer",
            "app_id": "APP-80W284485P519543T",
            "expires_in": TOKEN_SECONDS,
            "nonce": text(gateway.now()) + secrets.token_urlsafe(24),
        }
    )


def _oauth_error(status: int, error: str, description: str) -> Reply:
    return json_reply({"error": error, "error_description": description}, status)


def guard(gateway: "PayPal") -> Guard:
    """A decorator for handlers: a valid token first, and a debug id on whatever is answered."""

    def guarded(handler: Handler) -> Handler:
        def handle(request: Request, **names: str) -> Reply:
            gateway.remember_address(request)
            if gateway.state["tokens"].get(request.bearer(), 0) <= gateway.now():
                return errors.not_authenticated()
            if request.body and "json" not in request.header("Content-Type"):
                return errors.reply(415, "UNSUPPORTED_MEDIA_TYPE", "The server does not support the media type.")
            try:
                reply = handler(gateway, request, **names)
            except errors.Refusal as refusal:
                reply = refusal.reply
            headers = {"Paypal-Debug-Id": errors.debug_id(), **reply.headers}
            return Reply(status=reply.status, body=reply.body, headers=headers)

        return handle

    return guarded


def repeated(gateway: "PayPal", request: Request, operation: str, *, kept_seconds: int) -> str | None:
    """The id of what the same PayPal-Request-Id made before."""
    known = gateway.state["requests"].get(f"{operation} {request.header('PayPal-Request-Id')}")
    if known is None or known["at"] + kept_seconds < gateway.now():
        return None
    return str(known["made"])


def remember(gateway: "PayPal", request: Request, operation: str, made: str) -> None:
    if key := request.header("PayPal-Request-Id"):
        if len(key) > LONGEST_REQUEST_ID:
            raise errors.Refusal(
                errors.invalid_request(
                    "INVALID_STRING_LENGTH", field="PayPal-Request-Id", description="It is too long."
                )
            )
        gateway.state["requests"][f"{operation} {key}"] = {"made": made, "at": gateway.now()}


def wants_representation(request: Request) -> bool:
    return "return=representation" in request.header("Prefer").replace(" ", "")


def mocked_issue(request: Request) -> str:
    """PayPal-Mock-Response, which PayPal's own sandbox obeys: the issue that the caller wants to see."""
    wanted: dict[str, Any] = {}
    if header := request.header("PayPal-Mock-Response"):
        wanted = Request(method="", path="", query={}, headers={}, body=header.encode(), base_url="").json()
    return str(wanted.get("mock_application_codes", ""))
