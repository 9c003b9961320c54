"""Which gateways there are: by name, made once in each process from the settings."""

import os
import threading
from collections.abc import Callable, Mapping

from django.conf import settings

from billing.gateways import stripe
from billing.gateways.base import Gateway
from billing.gateways.http import Limits

NAMES = ("stripe", "paypal", "cinetpay", "mtn_momo", "orange_money")


class UnknownGateway(LookupError):
    """No gateway has this name, or it is not built in."""


BUILDERS: dict[str, Callable[[], Gateway]] = {
    "stripe": lambda: stripe.from_settings(limits()),
}

_made: dict[str, Gateway] = {}
_lock = threading.Lock()


def get(name: str) -> Gateway:
    if name not in BUILDERS:
        raise UnknownGateway(name)
    with _lock:
        if name not in _made:
            _made[name] = BUILDERS[name]()
        return _made[name]


def all() -> Mapping[str, Gateway]:  # noqa: A001 - read as registry.all()
    """Every gateway, configured or not, in the order in which we show them."""
    return {name: get(name) for name in NAMES if name in BUILDERS}


def configured() -> Mapping[str, Gateway]:
    """Those that have their credentials; what one lacks stops no other."""
    return {name: gateway for name, gateway in all().items() if not gateway.missing_settings()}


def forget() -> None:
    """Made again at the next use: after settings changed in a test, and in a forked process, whose connections would
    be its parent's."""
    with _lock:
        _made.clear()


def limits() -> Limits:
    return Limits(
        connect_seconds=settings.GATEWAY_CONNECT_TIMEOUT_SECONDS,
        read_seconds=settings.GATEWAY_READ_TIMEOUT_SECONDS,
        slow_read_seconds=settings.GATEWAY_SLOW_READ_TIMEOUT_SECONDS,
        reply_bytes=settings.GATEWAY_REPLY_MAX_BYTES,
    )


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the parent's lock may have been held while it forked
    _lock = threading.Lock()
    _made.clear()


os.register_at_fork(after_in_child=_after_fork)
