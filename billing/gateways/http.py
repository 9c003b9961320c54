"""How we speak HTTP with a gateway: one session each, bounded in time and size, every failure sorted."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from http.cookiejar import DefaultCookiePolicy
from json import JSONDecodeError
from json import loads as read_json
from typing import Any, NoReturn, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.poolmanager import PoolManager

from billing.gateways.errors import FailureCategory, GatewayError, Unavailable, Uncertain
from billing.gateways.redaction import redacted_path
from ledger.errors import LedgerError

logger = logging.getLogger(__name__)
Told = TypeVar("Told", bound=GatewayError)

CHUNK_BYTES = 65_536
SERVER_ERROR = 500
TOO_MANY_REQUESTS = 429
UNAUTHORIZED = 401
LONGEST_WAIT_SECONDS = 86_400
TRACE_HEADERS = ("paypal-debug-id", "request-id", "x-reference-id", "x-request-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long we wait and how much we read."""

    connect_seconds: float = 5.0
    read_seconds: float = 30.0  # between two pieces of the reply, and for the reply as a whole
    slow_read_seconds: float = 60.0  # of calls that wait for a bank or an operator
    reply_bytes: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, whole: the status says nothing yet about whether money moved."""

    gateway: str
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def trace(self) -> str:
        """The gateway's own name of this request, which its support asks for."""
        return next((self.headers[name] for name in TRACE_HEADERS if name in self.headers), "")

    @property
    def retry_after_seconds(self) -> int | None:
        text = self.headers.get("retry-after", "")
        return min(int(text), LONGEST_WAIT_SECONDS) if text.isascii() and text.isdigit() else None

    def fields(self) -> dict[str, Any]:
        """The JSON object in the body, numbers exact. What is none is `Uncertain`: it was maybe a front's page of HTML
        for something that went through behind it."""
        try:
            found = read_json(self.body, parse_float=Decimal, parse_constant=_refuse_constant)
        except (JSONDecodeError, UnicodeDecodeError, ValueError, RecursionError) as broken:
            raise self.uncertain("The reply is not JSON.", code="unreadable") from broken
        if not isinstance(found, dict):
            raise self.uncertain("The reply is not a JSON object.", code="unreadable")
        return found

    def fields_or_none(self) -> dict[str, Any]:
        """For error bodies, which some fronts write in HTML: what cannot be read has no fields."""
        try:
            return self.fields()
        except Uncertain:
            return {}

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Around whatever reads the fields: a reply that is not shaped as documented is `Uncertain` too."""
        try:
            yield
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, LedgerError) as broken:
            raise self.uncertain("The reply is not shaped as documented.", code="unreadable") from broken

    def uncertain(
        self, message: str, *, code: str = "", category: FailureCategory = FailureCategory.UNKNOWN
    ) -> Uncertain:
        return self._error(Uncertain, message, code, category)

    def unavailable(
        self, message: str, *, code: str = "", category: FailureCategory = FailureCategory.PROVIDER_DOWN
    ) -> Unavailable:
        return self._error(Unavailable, message, code, category)

    def _error(self, kind: type[Told], message: str, code: str, category: FailureCategory) -> Told:
        return kind(
            message,
            gateway=self.gateway,
            category=category,
            code=code or str(self.status),
            trace=self.trace,
            retry_after_seconds=self.retry_after_seconds,
        )


class Channel:
    """The one way to a gateway. Nothing is retried here, redirects are not followed, TLS is always checked."""

    def __init__(self, *, gateway: str, base_url: str, limits: Limits) -> None:
        self.gateway = gateway
        self.base_url = base_url.rstrip("/")
        self.limits = limits
        self._session = session()

    def call(
        self,
        method: str,
        path: str,
        *,
        moves: bool,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        is_slow: bool = False,
    ) -> Reply:
        """`moves` says whether the call may change something there: only then is a lost reply `Uncertain`."""
        started = time.monotonic()
        progress.begin()
        read_seconds = self.limits.slow_read_seconds if is_slow else self.limits.read_seconds
        try:
            with self._session.request(
                method,
                self.base_url + path,
                json=json,
                data=content if content is not None else form,
                params=query,
                headers={"Accept": "application/json", "User-Agent": "Tirelire", **(headers or {})},
                auth=login,
                timeout=(self.limits.connect_seconds, read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = self._read(response, deadline=time.monotonic() + read_seconds)
                reply = Reply(
                    gateway=self.gateway,
                    status=response.status_code,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=body,
                )
        except (requests.RequestException, HTTPError, OSError, ValueError) as failure:
            self._log(method, path, started, status=0, error=type(failure).__name__)
            self._sort(failure, moves=moves)
        self._log(method, path, started, status=reply.status, trace=reply.trace)
        self._refuse_faults(reply, moves=moves)
        return reply

    def _read(self, response: requests.Response, *, deadline: float) -> bytes:
        """Piece by piece as they come: a whole chunk of a reply that drips would be waited for beyond the deadline."""
        pieces = bytearray()
        while piece := response.raw.read1(CHUNK_BYTES, decode_content=True):
            pieces += piece
            if len(pieces) > self.limits.reply_bytes:
                raise _TooLong(f"The reply is longer than {self.limits.reply_bytes} bytes.")
            if time.monotonic() > deadline:
                raise requests.ReadTimeout("The reply took too long to come in.")
        return bytes(pieces)

    def _sort(self, failure: Exception, *, moves: bool) -> NoReturn:
        kind = type(failure).__name__
        sent = progress.sent
        error: type[GatewayError] = Uncertain if moves and sent else Unavailable
        said = "after the request was sent" if sent else "before anything was sent"
        raise error(
            f"{self.gateway} could not be heard ({kind}), {said}.",
            gateway=self.gateway,
            category=FailureCategory.PROVIDER_DOWN,
            code=_word(failure, sent=sent),
        ) from failure

    def _refuse_faults(self, reply: Reply, *, moves: bool) -> None:
        """What means the same at every gateway. An adapter whose gateway says more with a 500 reads it itself."""
        if reply.status == TOO_MANY_REQUESTS:
            raise reply.unavailable("Too many requests.")
        if reply.status >= SERVER_ERROR:
            fault = ServerFault if moves else UnavailableFault
            raise fault(reply)

    def _log(self, method: str, path: str, started: float, **facts: object) -> None:
        milliseconds = round((time.monotonic() - started) * 1000)
        logger.info(
            "gateway.call",
            extra={"gateway": self.gateway, "method": method, "path": redacted_path(path), "ms": milliseconds, **facts},
        )


class ServerFault(Uncertain):
    """A 5xx to a call that may have moved something."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(**_of_fault(reply))
        self.reply = reply


class UnavailableFault(Unavailable):
    """A 5xx to a question."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(**_of_fault(reply))
        self.reply = reply


def _of_fault(reply: Reply) -> dict[str, Any]:
    return {
        "message": f"{reply.gateway} answered {reply.status}.",
        "gateway": reply.gateway,
        "category": FailureCategory.PROVIDER_DOWN,
        "code": str(reply.status),
        "trace": reply.trace,
        "retry_after_seconds": reply.retry_after_seconds,
    }


class _TooLong(requests.RequestException):
    pass


def _word(failure: Exception, *, sent: bool) -> str:
    if isinstance(failure, _TooLong):
        return "reply_too_long"
    if isinstance(failure, requests.ConnectTimeout):
        return "connect_timeout"
    if isinstance(failure, requests.Timeout | ReadTimeoutError):
        return "read_timeout"
    if isinstance(failure, requests.exceptions.SSLError):
        return "tls"
    return "connection_lost" if sent else "no_connection"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON.")


# ---------------------------------------------------------------- were bytes sent?


class _Progress(threading.local):
    """Whether the call of this thread has sent a byte of its request: before that, nothing can have happened there."""

    sent = False

    def begin(self) -> None:
        self.sent = False


progress = _Progress()


class _Connection(HTTPConnection):
    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        progress.sent = True
        super().send(data)


class _SecureConnection(HTTPSConnection):
    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        progress.sent = True
        super().send(data)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """requests over connections that say when they have begun to send."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def session() -> requests.Session:
    """A session that takes nothing from its surroundings: no proxies, no .netrc (which would replace our credentials),
    no cookies; and that repeats nothing on its own."""
    made = requests.Session()
    made.trust_env = False
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = _Adapter(max_retries=0, pool_maxsize=20)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    return made
