"""One call of Stripe's API: who calls, whether it was called before, what is answered."""

import copy
from typing import Any

from sandbox.stripe import (
    catalogue,
    changing,
    charges,
    collection,
    connect,
    customers,
    disputes,
    errors,
    events,
    files,
    forms,
    intent_calls,
    invoices,
    lists,
    methods,
    portal,
    refunds,
    sessions,
    setups,
    subscriptions,
)
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import API_VERSION, PLATFORM, Answerer, Call, Routes, State, Thing, new_id
from sandbox.wire import Reply, Request, json_reply

# The first that fits answers: words stand before names.
ROUTES: Routes = [
    *changing.ROUTES[1:],
    *collection.ROUTES,
    *catalogue.ROUTES,
    *charges.ROUTES,
    *connect.ROUTES,
    *customers.ROUTES,
    *disputes.ROUTES,
    *events.ROUTES,
    *files.ROUTES,
    *intent_calls.ROUTES,
    *invoices.ROUTES,
    *methods.ROUTES,
    *portal.ROUTES,
    *refunds.ROUTES,
    *sessions.ROUTES,
    *setups.ROUTES,
    *subscriptions.ROUTES,
    *changing.ROUTES[:1],
]
KEPT_SECONDS = 24 * 3_600
KEY_LENGTH_MAXIMUM = 255


def answer(state: State, request: Request, answerer: Answerer, names: dict[str, str]) -> Reply:
    """The reply, with the headers that Stripe sends along."""
    state.request_id = new_id("request")
    headers = {"Request-Id": state.request_id, "Stripe-Version": API_VERSION}
    try:
        check_key(state, request)
        state.account = _account(state, request)
        content, status, more = _once(state, request, answerer, names)
    except StripeError as error:
        content, status, more = error.body(), error.status, {}
    return json_reply(content, status, {**headers, **more})


def check_key(state: State, request: Request) -> None:
    key = request.bearer() or request.basic()[0]
    if not key:
        raise errors.unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer"
            " auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    wanted = state.settings["secret_key"]
    if (wanted and key != wanted) or not key.startswith(("sk_test_", "rk_test_")):
        raise errors.unauthorized(f"Invalid API Key provided: {key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}")


def _account(state: State, request: Request) -> str:
    name = request.header("Stripe-Account")
    if name == PLATFORM:  # our own, said aloud
        return ""
    if name and state.find("account", name) is None:
        message = f"The provided key does not have access to account '{name}' (or that account does not exist)."
        raise StripeError(message, status=403, code="account_invalid")
    return name


def _once(state: State, request: Request, answerer: Answerer, names: dict[str, str]) -> tuple[Any, int, dict[str, str]]:
    """Answer; a POST with a key that was answered before gets that answer again."""
    pairs = list(request.query.items())
    if request.method != "GET":
        is_upload = request.header("Content-Type").startswith("multipart/")
        pairs += files.pairs(request) if is_upload else request.form_pairs()
    values = forms.parse(pairs)
    key = request.header("Idempotency-Key") if request.method == "POST" else ""
    if len(key) > KEY_LENGTH_MAXIMUM:
        raise errors.parameter_invalid("", "Idempotency keys are at most 255 characters.")
    state.request_key = key or None
    if known := _known(state, key):
        if known["path"] != request.path or known["values"] != values:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. Try"
                f" using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return known["content"], known["status"], {"Idempotency-Key": key, "Idempotent-Replayed": "true"}
    content, status, is_kept = _execute(state, values, answerer, names)
    if key and is_kept:
        kept = {"path": request.path, "values": values, "content": content, "status": status, "at": state.time()}
        state.tables["replays"][f"{state.account} {key}"] = kept
    return content, status, {"Idempotency-Key": key} if key else {}


def _known(state: State, key: str) -> Thing | None:
    known: Thing | None = state.tables["replays"].get(f"{state.account} {key}") if key else None
    return known if known and known["at"] > state.time() - KEPT_SECONDS else None


def _execute(state: State, values: dict[str, Any], answerer: Answerer, names: dict[str, str]) -> tuple[Any, int, bool]:
    """Content and status, and whether they are kept: what was refused before anything was done is not."""
    params = Params({name: value for name, value in values.items() if name != "expand"})
    state.begin()
    try:
        found = answerer(Call(state=state, params=params), **names)
        content = lists.expand(state, found, Params(values).texts("expand"))
    except CardDeclined as declined:
        state.keep()
        return copy.deepcopy(declined.body()), declined.status, True
    except StripeError as error:
        state.undo()
        return error.body(), error.status, False
    state.keep()
    return content, 200, True


def unknown(request: Request) -> Reply:
    message = f"Unrecognized request URL ({request.method}: {request.path}). Please see https://stripe.com/docs."
    return json_reply(StripeError(message, status=404).body(), 404)
