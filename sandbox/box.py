"""The box: the gateways, their clock, the dials around every call, and what is remembered of the callers."""

import threading
import time
from collections import deque
from typing import Any

from sandbox.clock import Clock, text
from sandbox.gateway import Gateway
from sandbox.wire import Malformed, Reply, Request, html_reply

REMEMBERED_REQUESTS = 10_000
OUTAGE_HTML = "<html><head><title>503 Service Unavailable</title></head><body>Service Unavailable</body></html>"
FILTER_HTML = "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected.</body></html>"
BEFORE_ACTING = {"outage": html_reply(OUTAGE_HTML, 503), "drop_before": None}


class Sandbox:
    """The gateways, their clock, and what they remember of their callers."""

    def __init__(self, clock: Clock, gateways: dict[str, Gateway]) -> None:
        self.clock = clock
        self.gateways = gateways
        self.requests: deque[dict[str, Any]] = deque(maxlen=REMEMBERED_REQUESTS)
        self.log_lock = threading.Lock()

    def call(self, gateway: Gateway, request: Request) -> Reply | None:
        route, names, path_is_known = gateway.router.find(request.method, request.path)
        if route is not None and route.is_page:
            with gateway.lock:
                return route.handler(request, **names)
        life = gateway.state  # a reset begins another one
        line = self._note(gateway, request)
        fate = gateway.panel.fate_of_call()
        if fate.latency_ms:
            time.sleep(fate.latency_ms / 1000)
        line["dial"] = fate.before or fate.after
        if fate.before:
            reply = _refused(gateway, fate.before)
            line["status"] = reply.status if reply else 0
            return reply
        try:
            with gateway.lock:
                if gateway.state is not life:
                    return None  # it was reset while this call waited: whom it was for is no more
                gateway.tick()
                if route is None:
                    reply = html_reply("Method Not Allowed", 405) if path_is_known else gateway.unknown_path(request)
                else:
                    reply = route.handler(request, **names)
        except Malformed as error:
            reply = gateway.malformed(str(error))
        line["acted_with_status"] = reply.status
        reply = _spoilt(gateway, reply, fate.after)
        line["status"] = reply.status if reply else 0
        return reply

    def tick(self) -> None:
        for gateway in self.gateways.values():
            with gateway.lock:
                gateway.tick()
            gateway.postman.wake()

    def remembered(self, gateway: str) -> list[dict[str, Any]]:
        with self.log_lock:
            return [dict(line) for line in self.requests if not gateway or line["gateway"] == gateway]

    def forget_requests(self, gateway: str) -> None:
        with self.log_lock:
            kept = [line for line in self.requests if gateway and line["gateway"] != gateway]
            self.requests.clear()
            self.requests.extend(kept)

    def _note(self, gateway: Gateway, request: Request) -> dict[str, Any]:
        secret = ("authorization", "ocp-apim-subscription-key")
        line: dict[str, Any] = {
            "at": text(self.clock.seconds()),
            "gateway": gateway.name,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": {name: value for name, value in request.headers.items() if name not in secret},
            "body": request.body.decode(errors="replace"),
        }
        with self.log_lock:
            self.requests.append(line)
        return line


def _refused(gateway: Gateway, dial: str) -> Reply | None:
    """What the caller gets when the gateway does not act."""
    if dial == "too_many":
        return gateway.too_many()
    return gateway.failure() if dial == "http500_before" else BEFORE_ACTING[dial]


def _spoilt(gateway: Gateway, reply: Reply, dial: str) -> Reply | None:
    """What the caller gets instead of the reply, after the gateway has acted."""
    if dial == "drop_after":
        return None
    if dial == "http500_after":
        return gateway.failure()
    return html_reply(FILTER_HTML) if dial == "html" else reply
