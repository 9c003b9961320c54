"""The sandbox's own interface, for tests and people: play the buyer, turn the dials, read the books, move the clock."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from sandbox import pages
from sandbox.box import Sandbox
from sandbox.dials import UnknownDial
from sandbox.gateway import CannotPlay, Gateway
from sandbox.wire import Reply, Request, html_reply, json_reply

ACTS = ("pay", "decline", "challenge", "abandon")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
LONGEST_WAIT_SECONDS = 60
LONGEST_ADVANCE_SECONDS = 20 * 366 * 86_400


def answer(sandbox: Sandbox, request: Request) -> Reply:
    if not _is_from_here(request):
        return _refusal(403, "The sandbox is for this machine: call it by a loopback name, and not from other pages.")
    _, section, name = [*request.path.split("/", 2), ""][:3]
    if act := SECTIONS.get((request.method, section)):
        return act(sandbox, request, name)
    return _refusal(404, "No such page here. The index is at /.")


def _is_from_here(request: Request) -> bool:
    """A name of this machine, and no page of another site behind it (a browser tells where a request comes from)."""
    addresses = [f"http://{request.header('Host')}", request.header("Origin")]
    return all(urlsplit(address).hostname in LOOPBACK for address in addresses if address)


def _refusal(status: int, detail: str) -> Reply:
    return json_reply({"detail": detail}, status)


def _play(sandbox: Sandbox, request: Request, _: str) -> Reply:
    asked = request.json()
    next_action, act = asked.get("next_action"), asked.get("act")
    if not isinstance(next_action, dict) or act not in ACTS:
        return _refusal(400, f"Send next_action, as the API returned it, and act: one of {', '.join(ACTS)}.")
    for gateway in sandbox.gateways.values():
        try:
            with gateway.lock:
                gateway.tick()
                played = gateway.play(next_action, act)
        except CannotPlay as error:
            return _refusal(409, str(error))
        if played is not None:
            return json_reply(played.as_json(gateway.name))
    return _refusal(404, "No gateway here knows that next action.")


def _index(sandbox: Sandbox, _: Request, __: str) -> Reply:
    return html_reply(pages.index(sandbox.gateways, sandbox.clock.seconds()))


def _named(sandbox: Sandbox, name: str) -> Gateway | None:
    return sandbox.gateways.get(name)


def _unknown_gateway(sandbox: Sandbox) -> Reply:
    return _refusal(404, f"No such gateway; there are: {', '.join(sandbox.gateways)}.")


def _dials(sandbox: Sandbox, request: Request, name: str) -> Reply:
    if not name and request.method == "GET":
        return json_reply({each.name: each.panel.show() for each in sandbox.gateways.values()})
    if (gateway := _named(sandbox, name)) is None:
        return _unknown_gateway(sandbox)
    if request.method == "PUT":
        try:
            gateway.panel.turn(request.json())
        except UnknownDial as error:
            return _refusal(400, str(error))
    elif request.method == "DELETE":
        gateway.panel.reset()
    return json_reply(gateway.panel.show())


def _settings(sandbox: Sandbox, request: Request, name: str) -> Reply:
    """Credentials that the gateway takes, and the address that it writes to."""
    if (gateway := _named(sandbox, name)) is None:
        return _unknown_gateway(sandbox)
    if request.method == "PUT":
        changes = request.json()
        unknown = set(changes) - set(gateway.settings)
        if unknown or not all(isinstance(value, str) for value in changes.values()):
            return _refusal(400, f"Settings are texts; there are: {', '.join(gateway.settings)}.")
        with gateway.lock:
            gateway.settings |= changes
    return json_reply(gateway.settings)


def _books(sandbox: Sandbox, _: Request, name: str) -> Reply:
    if (gateway := _named(sandbox, name)) is None:
        return _unknown_gateway(sandbox)
    with gateway.lock:
        gateway.tick()
        entries = gateway.books()
    lists: dict[str, list[dict[str, Any]]] = {"payments": [], "refunds": [], "payouts": []}
    for entry in entries:
        lists[f"{entry.kind}s"].append(entry.as_json())
    return json_reply({"gateway": name, **lists})


def _clock(sandbox: Sandbox, request: Request, _: str) -> Reply:
    if request.method == "POST":
        seconds = request.json().get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            return _refusal(400, "advance_seconds is a number.")
        if not 0 <= seconds <= LONGEST_ADVANCE_SECONDS:
            return _refusal(400, "Time only goes forward, and at most twenty years at once.")
        sandbox.clock.advance(seconds)
        sandbox.tick()
    clock = sandbox.clock
    return json_reply({"now": clock.now().isoformat(), "offset_seconds": clock.offset_seconds})


def _requests(sandbox: Sandbox, request: Request, _: str) -> Reply:
    return json_reply({"requests": sandbox.remembered(request.query.get("gateway", ""))})


def _letters(sandbox: Sandbox, request: Request, _: str) -> Reply:
    name, patience = request.query.get("gateway", ""), request.query.get("wait_seconds", "0")
    if not patience.isdecimal() or int(patience) > LONGEST_WAIT_SECONDS:
        return _refusal(400, f"wait_seconds is a whole number, at most {LONGEST_WAIT_SECONDS}.")
    chosen = [each for each in sandbox.gateways.values() if name in ("", each.name)]
    until = time.monotonic() + int(patience)
    for each in chosen:
        each.postman.wait_for_none(max(until - time.monotonic(), 0))
    letters = [{"gateway": each.name, **line} for each in chosen for line in each.postman.history()]
    return json_reply({"waiting": sum(each.postman.waiting() for each in chosen), "letters": letters})


def _reset(sandbox: Sandbox, request: Request, _: str) -> Reply:
    """Forget payments, letters, calls and settings; the dials and the clock go back as well."""
    name = request.json().get("gateway", "")
    if name and _named(sandbox, name) is None:
        return _unknown_gateway(sandbox)
    for gateway in sandbox.gateways.values():
        if name in ("", gateway.name):
            with gateway.lock:
                gateway.panel.reset()
                gateway.reset()
    sandbox.forget_requests(name)
    if not name:
        sandbox.clock.reset()
    return json_reply({"reset": name or "everything"})


SECTIONS: dict[tuple[str, str], Callable[[Sandbox, Request, str], Reply]] = {
    ("GET", ""): _index,
    ("POST", "_play"): _play,
    ("GET", "_dials"): _dials,
    ("PUT", "_dials"): _dials,
    ("DELETE", "_dials"): _dials,
    ("GET", "_settings"): _settings,
    ("PUT", "_settings"): _settings,
    ("GET", "_books"): _books,
    ("GET", "_clock"): _clock,
    ("POST", "_clock"): _clock,
    ("GET", "_requests"): _requests,
    ("GET", "_letters"): _letters,
    ("POST", "_reset"): _reset,
}
