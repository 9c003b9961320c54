"""Notifications of gateways come in: proven, stored once, and answered before anybody thinks about them."""

import ipaddress
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import View
from prometheus_client import Counter
from rest_framework.exceptions import Throttled

from billing import inbox, tasks
from billing.gateways import registry
from billing.gateways.base import Gateway, Hint, Letter, ReceivesWebhooks, Trust
from billing.gateways.errors import GatewayError, InvalidLetter
from billing.gateways.letters import AsksToProve
from billing.waking import Waker
from rest import addresses, throttles

logger = logging.getLogger(__name__)

RECEIVED = Counter("payment_webhooks_total", "Notifications of gateways that came in.", ["gateway", "outcome"])
_received = cache(RECEIVED.labels)  # few, and looking one up costs more than counting

waker = Waker("inbox", tasks.drain_inbox.delay)


class WebhookView(View):
    """No DRF, no session and no query but the insert: a gateway waits for this answer, and many come at once."""

    http_method_names = ["get", "post", "put"]

    def get(self, request: HttpRequest, gateway: str, token: str = "") -> HttpResponse:
        """CinetPay asks whether anybody is there before it writes."""
        if _receiver(gateway) is None:
            raise Http404
        return _answer(200)

    def post(self, request: HttpRequest, gateway: str, token: str = "") -> HttpResponse:
        receiver = _receiver(gateway)
        if receiver is None:
            raise Http404
        try:
            hints = _proven(receiver, request, gateway, token)
            if not all(hint.trust is Trust.SIGNED for hint in hints):
                _count(request)  # each is a row and a question
        except _Refused as refusal:
            _received(gateway, refusal.outcome).inc()
            return _answer(refusal.status)
        new = inbox.store(gateway, hints, token=token)
        _received(gateway, "stored" if new else "known").inc()
        if new:
            waker.wake()
        return _answer(200)

    put = post


class _Refused(Exception):
    def __init__(self, status: int, outcome: str) -> None:
        super().__init__(outcome)
        self.status = status
        self.outcome = outcome


def _proven(receiver: ReceivesWebhooks, request: HttpRequest, gateway: str, token: str) -> Sequence[Hint]:
    """What the letter says, once it is certain that the gateway wrote it."""
    if not _may_write(request, gateway):
        raise _Refused(403, "address")
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise _Refused(413, "too_large") from error
    if len(body) > settings.INBOX_MAX_BODY_BYTES:
        raise _Refused(413, "too_large")
    letter = _letter(request, body, token)
    try:
        if not _must_ask(receiver, letter):
            return receiver.read_letter(letter)
        _count(request)
        with _turn_to_ask():
            return receiver.read_letter(letter)
    except InvalidLetter as wrong:
        _count(request)
        logger.warning("webhook.refused", extra={"gateway": gateway, "reason": str(wrong)})
        raise _Refused(400, "invalid") from wrong
    except GatewayError as error:
        raise _Refused(503, "unverified") from error  # it could not be proven just now; it is sent again


def _count(request: HttpRequest) -> None:
    """Anybody can write what no signature proves, what is refused, and what only a call to the gateway proves."""
    try:
        throttles.count_letter(request)
    except Throttled as excess:
        raise _Refused(429, "throttled") from excess


_asking: list[None] = []  # one for each thread that is on its way to a gateway
_asking_lock = threading.Lock()


@contextmanager
def _turn_to_ask() -> Iterator[None]:
    """However many addresses write, most threads of the web stay free. Who finds no turn sends the letter again."""
    with _asking_lock:
        if len(_asking) >= settings.INBOX_PROOFS_AT_ONCE:
            raise _Refused(503, "busy")
        _asking.append(None)
    try:
        yield
    finally:
        with _asking_lock:
            _asking.pop()


# What an adapter can do does not change while it lives, and asking a protocol costs more than storing the letter's ids.
@dataclass(frozen=True, slots=True, kw_only=True)
class _Can:
    receive: bool
    ask: bool


_abilities: "WeakKeyDictionary[Gateway, _Can]" = WeakKeyDictionary()


def _receiver(name: str) -> ReceivesWebhooks | None:
    try:
        adapter = registry.get(name)
    except registry.UnknownGateway:
        return None
    return cast("ReceivesWebhooks", adapter) if _can(adapter).receive else None


def _must_ask(receiver: ReceivesWebhooks, letter: Letter) -> bool:
    return _can(cast("Gateway", receiver)).ask and cast("AsksToProve", receiver).must_ask(letter)


def _can(adapter: Gateway) -> _Can:
    can = _abilities.get(adapter)
    if can is None:
        receives = isinstance(adapter, ReceivesWebhooks) and not adapter.missing_settings()
        can = _abilities[adapter] = _Can(receive=receives, ask=isinstance(adapter, AsksToProve))
    return can


def _letter(request: HttpRequest, body: bytes, token: str) -> Letter:
    return Letter(
        method=request.method or "",
        headers=_headers(request.META),
        body=body,
        query=request.GET.dict() if request.META.get("QUERY_STRING") else {},
        token=token,
    )


def _headers(meta: Mapping[str, Any]) -> dict[str, str]:
    """As `request.headers` has them, with names in lower case, for less of its cost."""
    found = {name[5:].replace("_", "-").lower(): value for name, value in meta.items() if name.startswith("HTTP_")}
    found["content-type"] = meta.get("CONTENT_TYPE", "")
    return found


def _may_write(request: HttpRequest, gateway: str) -> bool:
    networks = settings.INBOX_ALLOWED_NETWORKS.get(gateway)
    if not networks:
        return True
    try:
        address = ipaddress.ip_address(addresses.address_of(request))
    except ValueError:
        return False
    return any(address in network for network in map(ipaddress.ip_network, networks))


def _answer(status: int) -> HttpResponse:
    return HttpResponse(b"", status=status) if status == 200 else JsonResponse({"status": status}, status=status)  # noqa: PLR2004
