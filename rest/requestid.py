"""The id of the request being served; it comes back in the answer, in every log line and in tasks that were sent."""

import random
import re
from contextvars import ContextVar, Token

HEADER = "X-Request-ID"
IN_META = "HTTP_X_REQUEST_ID"
ACCEPTED = re.compile(r"[A-Za-z0-9._-]{1,64}")

_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """The id of this request or task; empty outside of any."""
    return _current.get()


def bind(value: str) -> Token[str]:
    return _current.set(value)


def reset(token: Token[str]) -> None:
    _current.reset(token)


def new() -> str:
    return f"{random.getrandbits(128):032x}"  # no secret, and no call of the kernel each time


def accepted(value: str | None) -> str:
    """What the caller sent when it is harmless in logs and headers; an id of our own otherwise."""
    return value if value and ACCEPTED.fullmatch(value) else new()
