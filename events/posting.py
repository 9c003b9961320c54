"""One POST to somebody else's server, which may be slow, large or hostile, and never costs more than its deadline."""

import contextlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from events import addresses
from events.addresses import Target
from events.errors import AddressRefused

EXCERPT_BYTES = 1_000
LONGEST_RETRY_AFTER = 12 * 3_600
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of it; no status means that there was no answer, and error says why."""

    status: int | None = None
    error: str = ""
    excerpt: str = ""
    milliseconds: int = 0
    retry_after_seconds: int | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - the successes of HTTP


def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send it once, follow no redirect, and come back within the deadline whatever the other side does."""
    started_at = time.monotonic()
    try:
        goal = addresses.target(url)
        line = _Line(goal, addresses.resolve(goal))
    except AddressRefused as refusal:
        return Answer(error=refusal.reason, milliseconds=_since(started_at))
    watchdog = threading.Timer(settings.WEBHOOKS_DEADLINE_SECONDS, line.cut)
    watchdog.daemon = True
    watchdog.start()
    try:
        return _exchange(line, goal, headers, body, started_at)
    except (OSError, http.client.HTTPException, ValueError) as fault:
        return Answer(error=line.reason(fault), milliseconds=_since(started_at))
    finally:
        watchdog.cancel()
        line.close()


def _exchange(line: "_Line", goal: Target, headers: Mapping[str, str], body: bytes, started_at: float) -> Answer:
    line.request("POST", goal.path, body, dict(headers))
    answer = line.getresponse()
    beginning = b""
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):  # the status is known, and enough
        beginning = answer.read1(EXCERPT_BYTES)
    return Answer(
        status=answer.status,
        error="" if 200 <= answer.status < 300 else f"answered {answer.status}",  # noqa: PLR2004
        excerpt=UNPRINTABLE.sub("", beginning.decode(errors="replace")),
        milliseconds=_since(started_at),
        retry_after_seconds=_seconds(answer.headers.get("Retry-After", "")),
    )


class _Line(http.client.HTTPConnection):
    """Goes to the address that was judged, whatever the name leads to by now; the name is for TLS and Host."""

    def __init__(self, goal: Target, address: str) -> None:
        super().__init__(goal.host, goal.port, timeout=settings.WEBHOOKS_CONNECT_SECONDS)
        self.default_port = addresses.PORTS[goal.scheme]
        self.is_tls = goal.scheme == "https"
        self.address = address
        self.was_cut = False

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        self.sock.settimeout(settings.WEBHOOKS_DEADLINE_SECONDS)
        if self.is_tls:
            self.sock = _context().wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )  # known to the watchdog before the handshake, which may take for ever too
            self.sock.do_handshake()

    def cut(self) -> None:
        """Called from the watchdog's thread: a socket that is shut down wakes whoever waits for it."""
        self.was_cut = True
        with contextlib.suppress(OSError):
            if self.sock is not None:
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # past the method of TLS, which is not for threads

    def reason(self, fault: Exception) -> str:
        is_overdue = (
            isinstance(fault, TimeoutError) and self.sock is not None
        )  # connected, and as patient as the watchdog
        if self.was_cut or is_overdue:
            return f"no answer within {settings.WEBHOOKS_DEADLINE_SECONDS:g} s"
        if isinstance(fault, ssl.SSLCertVerificationError):
            return f"certificate refused: {fault.verify_message}"[:200]
        words = fault.strerror if isinstance(fault, OSError) else None
        return UNPRINTABLE.sub("", words or type(fault).__name__)[:200]


def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _since(started_at: float) -> int:
    return round((time.monotonic() - started_at) * 1_000)


def _seconds(text: str) -> int | None:
    """Retry-After in seconds; its other form, a date, is not worth trusting their clock for."""
    return min(int(text), LONGEST_RETRY_AFTER) if re.fullmatch(r"[0-9]{1,9}", text) else None
