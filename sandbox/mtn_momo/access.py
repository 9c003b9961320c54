"""Keys, users and tokens of MTN: each product has a subscription key and tokens of its own."""

import secrets
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sandbox.wire import Handler, Reply, Request, html_reply, json_reply

if TYPE_CHECKING:
    from sandbox.mtn_momo import MtnMomo

TOKEN_SECONDS = 3_600
PRODUCTS = ("collection", "disbursement")
REJECTED = "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected.</body></html>"
# In its own sandbox MTN takes euros only; each market takes its own money.
CURRENCIES = {
    "sandbox": "EUR",
    "mtnuganda": "UGX",
    "mtnghana": "GHS",
    "mtnivorycoast": "XOF",
    "mtnzambia": "ZMW",
    "mtncameroon": "XAF",
    "mtnbenin": "XOF",
    "mtncongo": "XAF",
    "mtnswaziland": "SZL",
    "mtnguineaconakry": "GNF",
    "mtnsouthafrica": "ZAR",
    "mtnliberia": "LRD",
    "mtnsouthsudan": "SSP",
    "mtnnigeria": "NGN",
    "mtnrwanda": "RWF",
}


def lay_routes(gateway: "MtnMomo") -> None:
    router = gateway.router
    for product in PRODUCTS:
        router.add("POST", f"/{product}/token", _token_of(gateway, product))
    router.add("POST", "/v1_0/apiuser", lambda request: make_user(gateway, request))
    router.add("GET", "/v1_0/apiuser/{user}", lambda request, user: read_user(gateway, request, user))
    router.add("POST", "/v1_0/apiuser/{user}/apikey", lambda request, user: make_key(gateway, request, user))


def refusal(status: int, code: str, message: str) -> Reply:
    return json_reply({"code": code, "message": message}, status)


def bad_request(message: str) -> Reply:
    return json_reply({"statusCode": 400, "message": message}, 400)


def rejected_by_filter() -> Reply:
    return html_reply(REJECTED)


def _wrong_key(gateway: "MtnMomo", request: Request, *products: str) -> Reply | None:
    keys = {gateway.settings[f"{product}_subscription_key"] for product in products}
    if request.header("Ocp-Apim-Subscription-Key") in keys:
        return None
    message = (
        "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."
    )
    return json_reply({"statusCode": 401, "message": message}, 401)


def guard(gateway: "MtnMomo", product: str, handler: Any) -> Handler:
    """Key, token and target environment first; the handler then gets the currency of that environment."""

    def handle(request: Request, **names: str) -> Reply:
        if refused := _wrong_key(gateway, request, product):
            return refused
        known = gateway.state["tokens"].get(request.bearer())
        if known is None or known["product"] != product or known["expires_at"] <= gateway.now():
            return json_reply({"statusCode": 401, "message": "Unauthorized. Token is invalid or expired."}, 401)
        currency = CURRENCIES.get(request.header("X-Target-Environment"))
        if currency is None:
            return refusal(500, "NOT_ALLOWED_TARGET_ENVIRONMENT", "Access to target environment is forbidden.")
        reply: Reply = handler(gateway, request, currency=currency, **names)
        return reply

    return handle


def _token_of(gateway: "MtnMomo", product: str) -> Handler:
    def token(request: Request) -> Reply:
        if "content-length" not in request.headers:
            return html_reply("<html><body>Length Required</body></html>", 411)
        if request.body and "json" not in request.header("Content-Type"):
            return rejected_by_filter()
        if refused := _wrong_key(gateway, request, product):
            return refused
        user, key = request.basic()
        made = gateway.state["users"].get(user)
        is_known = (user, key) == (gateway.settings["api_user"], gateway.settings["api_key"])
        if not is_known and (not key or made is None or made["key"] != key):
            return json_reply({"error": "login_failed"}, 401)
        text = "eyJ" + secrets.token_urlsafe(60)
        gateway.state["tokens"][text] = {"product": product, "expires_at": gateway.now() + TOKEN_SECONDS}
        return json_reply({"access_token": text, "token_type": "access_token", "expires_in": TOKEN_SECONDS})

    return token


# ---------------------------------------------------------------- users, which MTN's own sandbox lets anybody make


def make_user(gateway: "MtnMomo", request: Request) -> Reply:
    if refused := _wrong_key(gateway, request, *PRODUCTS):
        return refused
    reference, host = request.header("X-Reference-Id"), request.json().get("providerCallbackHost")
    if not is_uuid(reference) or not isinstance(host, str) or "/" in host:
        return bad_request("X-Reference-Id is a UUID and providerCallbackHost a host name.")
    if reference in gateway.state["users"]:
        return refusal(409, "RESOURCE_ALREADY_EXIST", "Duplicated reference id. Creation of resource failed.")
    gateway.state["users"][reference] = {"host": host, "key": ""}
    return Reply(status=201)


def read_user(gateway: "MtnMomo", request: Request, user: str) -> Reply:
    known = gateway.state["users"].get(user)
    if known is None:
        return refusal(404, "RESOURCE_NOT_FOUND", "Requested resource was not found.")
    return json_reply({"providerCallbackHost": known["host"], "targetEnvironment": "sandbox"})


def make_key(gateway: "MtnMomo", request: Request, user: str) -> Reply:
    known = gateway.state["users"].get(user)
    if known is None:
        return refusal(404, "RESOURCE_NOT_FOUND", "Requested resource was not found.")
    known["key"] = secrets.token_hex(16)
    return json_reply({"apiKey": known["key"]}, 201)


def is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def is_wrong_callback(gateway: "MtnMomo", url: str) -> bool:
    wanted = gateway.settings["callback_host"]
    return bool(url and wanted and urlsplit(url).hostname != wanted)
