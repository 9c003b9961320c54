"""Events, the endpoints that want them, and the signature that proves where they come from."""

import hashlib
import hmac

from sandbox.stripe import errors, lists, shapes
from sandbox.stripe.state import Call, Routes, State, Thing, letters

SECRET_LENGTH = 32
KEPT_SECONDS = 30 * 86_400


def signature(body: bytes, secret: str, moment: int) -> str:
    signed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={signed}"


def endpoints(state: State) -> list[Thing]:
    """Those made by the API, and the one of the sandbox's settings."""
    made = [each for each in state.all("webhook_endpoint") if each["status"] == "enabled"]
    if url := state.settings["webhook_url"]:
        standing = {"url": url, "enabled_events": ["*"], "id": "we_settings", "object": "webhook_endpoint"}
        made.append(standing)
    return made


def secret_of(state: State, url: str) -> str:
    for each in state.all("webhook_endpoint"):
        if each["url"] == url:
            return str(state.private(each)["secret"])
    return state.settings["webhook_secret"]


def wants(endpoint: Thing, event: Thing) -> bool:
    return "*" in endpoint["enabled_events"] or event["type"] in endpoint["enabled_events"]


def delivered(state: State, name: str, url: str) -> None:
    """An endpoint took an event: one fewer is waited for."""
    event = state.find("event", name)
    if event is None:
        return
    waiting = state.private(event).setdefault("waiting", [])
    if url in waiting:
        waiting.remove(url)
    event["pending_webhooks"] = len(waiting)


# ---------------------------------------------------------------- the API


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("event", name)


def listed(call: Call) -> Thing:
    state, params = call.state, call.params
    oldest = state.time() - KEPT_SECONDS
    chosen = [event for event in state.all("event") if event["created"] >= oldest]
    chosen = [event for event in chosen if event.get("account", "") == call.account]
    if kind := params.text("type"):
        chosen = [event for event in chosen if _is_of(event["type"], kind)]
    if kinds := params.texts("types"):
        chosen = [event for event in chosen if any(_is_of(event["type"], kind) for kind in kinds)]
    if params.has("delivery_success"):
        wanted = params.flag("delivery_success")
        chosen = [event for event in chosen if (event["pending_webhooks"] == 0) == wanted]
    return lists.page(call, chosen, "/v1/events")


def _is_of(happened: str, kind: str) -> bool:
    """charge.* is of all that happens to charges."""
    return happened.startswith(kind[:-1]) if kind.endswith("*") else happened == kind


def create_endpoint(call: Call) -> Thing:
    state, params = call.state, call.params
    wanted = params.texts("enabled_events")
    if not wanted:
        raise errors.parameter_missing("enabled_events")
    endpoint = shapes.base(
        state,
        "webhook_endpoint",
        api_version=params.text("api_version"),
        application=None,
        description=params.text("description"),
        enabled_events=wanted,
        metadata=params.metadata(),
        status="enabled",
        url=params.needed("url"),
    )
    state.add(endpoint)
    secret = f"whsec_{letters(SECRET_LENGTH)}"
    state.private(endpoint)["secret"] = secret
    return {**endpoint, "secret": secret}  # shown this once


def retrieve_endpoint(call: Call, name: str) -> Thing:
    return call.state.get("webhook_endpoint", name)


def update_endpoint(call: Call, name: str) -> Thing:
    endpoint, params = call.state.get("webhook_endpoint", name), call.params
    if params.has("enabled_events"):
        endpoint["enabled_events"] = params.texts("enabled_events")
    if params.has("disabled"):
        endpoint["status"] = "disabled" if params.flag("disabled") else "enabled"
    if params.has("url"):
        endpoint["url"] = params.needed("url")
    if params.has("description"):
        endpoint["description"] = params.text("description")
    endpoint["metadata"] = params.metadata(endpoint["metadata"])
    return endpoint


def delete_endpoint(call: Call, name: str) -> Thing:
    call.state.get("webhook_endpoint", name)
    del call.state.table("webhook_endpoint")[name]
    return {"id": name, "object": "webhook_endpoint", "deleted": True}


def list_endpoints(call: Call) -> Thing:
    return lists.page(call, call.state.all("webhook_endpoint"), "/v1/webhook_endpoints")


ROUTES: Routes = [
    ("GET", "/v1/events", listed),
    ("GET", "/v1/events/{name}", retrieve),
    ("POST", "/v1/webhook_endpoints", create_endpoint),
    ("GET", "/v1/webhook_endpoints", list_endpoints),
    ("GET", "/v1/webhook_endpoints/{name}", retrieve_endpoint),
    ("POST", "/v1/webhook_endpoints/{name}", update_endpoint),
    ("DELETE", "/v1/webhook_endpoints/{name}", delete_endpoint),
]
