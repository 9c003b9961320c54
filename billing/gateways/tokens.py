"""Bearer tokens of gateways: fetched once in each process, kept while they live, renewed once when refused."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from billing.gateways.errors import FailureCategory, Unavailable, Uncertain
from billing.gateways.http import UNAUTHORIZED, Reply

SHORTEST_LIFE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Token:
    value: str
    expires_at: float  # of the monotonic clock


class Tokens:
    """The token of one gateway's product; whoever comes while it is being fetched waits for it."""

    def __init__(self, fetch: Callable[[], tuple[str, float]], *, margin_seconds: float = 60.0) -> None:
        self._fetch = fetch
        self._margin_seconds = margin_seconds
        self._known: Token | None = None
        self._lock = threading.Lock()

    def get(self) -> str:
        with self._lock:
            if self._known is None or self._known.expires_at <= time.monotonic():
                value, lives_seconds = self._fetch()
                usable = max(lives_seconds - self._margin_seconds, SHORTEST_LIFE_SECONDS)
                self._known = Token(value, time.monotonic() + usable)
            return self._known.value

    def drop(self, value: str) -> None:
        """This one was refused; another thread may have a new one already, which stays."""
        with self._lock:
            if self._known is not None and self._known.value == value:
                self._known = None

    def call(self, ask: Callable[[str], Reply], *, is_refused: Callable[[Reply], bool] | None = None) -> Reply:
        """Ask with the token; when it is refused, once more with a new one. A refused token moved nothing."""
        refused = is_refused or (lambda reply: reply.status == UNAUTHORIZED)
        token = self.get()
        reply = ask(token)
        if not refused(reply):
            return reply
        self.drop(token)
        reply = ask(self.get())
        if refused(reply):
            raise misconfigured(reply, "The gateway refuses a token that it has just made.")
        return reply


def misconfigured(reply: Reply, message: str, *, code: str = "") -> Unavailable:
    """Credentials or rights are missing: nothing was done, and nothing will be until an operator acts."""
    return reply.unavailable(message, code=code, category=FailureCategory.CONFIGURATION)


def read_token(reply: Reply, *, default_seconds: float = 3_600.0) -> tuple[str, float]:
    """The usual OAuth reply. A token that we cannot read leaves us as we were: nothing was sent yet."""
    try:
        fields = reply.fields()
    except Uncertain as broken:
        raise reply.unavailable("The token cannot be read.", code="unreadable") from broken
    value, seconds = fields.get("access_token"), fields.get("expires_in", default_seconds)
    if not isinstance(value, str) or not value:
        raise reply.unavailable("There is no token in the reply.", code="unreadable")
    try:
        return value, float(seconds)
    except (TypeError, ValueError):
        return value, default_seconds
