"""Limits per kind of credential: strangers by address, customers by account, services by token."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from prometheus_client import Counter
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from rest import addresses, limits
from rest.callers import Caller, Kind

if TYPE_CHECKING:  # these classes are loaded while rest_framework.views itself is
    from rest_framework.views import APIView

throttled = Counter("tirelire_throttled_requests", "Requests refused with 429.", ["kind"])
meter = limits.Meter()


class CallerThrottle(BaseThrottle):
    """The usual limit of an endpoint: who is known is not limited by address, so a shop behind one IP can work."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        count(request)
        return True


def count(request: Request) -> None:
    """Count a request against whoever made it; above the limit it ends here."""
    caller = request.auth
    if not isinstance(caller, Caller):
        count_stranger(request._request)
    elif caller.kind is Kind.SERVICE:
        _count(request._request, "service", caller.identity, settings.THROTTLE_SERVICE)
    else:
        _count(request._request, "customer", caller.identity, settings.THROTTLE_CUSTOMER)


def count_stranger(request: HttpRequest) -> None:
    """Count a request without credentials, or with wrong ones, against its address.

    Wrong credentials end in 429 in this way. Right ones from the same address still pass, since a whole
    office may share it; what protects a token from guessing is its length.
    """
    _count(request, "anonymous", f"anonymous:{addresses.network_of(request)}", settings.THROTTLE_ANONYMOUS)


def count_letter(request: HttpRequest) -> None:
    """Count what somebody writes to us without proving who they are, against their address. No gateway reads where it
    stands, so its answers do not say."""
    if not hasattr(request, "is_counted_letter"):
        request.is_counted_letter = True  # type: ignore[attr-defined]
        outcome = meter.take(f"letter:{addresses.network_of(request)}", limits.parse(settings.THROTTLE_LETTERS))
        _refuse_excess(outcome, "letter")


def _count(request: HttpRequest, kind: str, identity: str, limit: str) -> None:
    if hasattr(request, "rate_limit"):
        return  # a request counts once, though several permissions and a throttle may look at it
    outcome = meter.take(identity, limits.parse(limit))
    request.rate_limit = outcome  # type: ignore[attr-defined]  # read by the middleware below
    _refuse_excess(outcome, kind)


def _refuse_excess(outcome: limits.Outcome, kind: str) -> None:
    if not outcome.allowed:
        throttled.labels(kind).inc()
        allowed = f"Only {outcome.limit.count} requests in {outcome.limit.seconds} seconds are allowed."
        raise Throttled(wait=outcome.reset_seconds, detail=allowed)


class RateLimitHeaders:
    """Tell every counted caller where they stand, on refusals and errors too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        outcome: limits.Outcome | None = getattr(request, "rate_limit", None)
        if outcome is not None:
            response.headers["RateLimit-Limit"] = str(outcome.limit.count)
            response.headers["RateLimit-Policy"] = f"{outcome.limit.count};w={outcome.limit.seconds}"
            response.headers["RateLimit-Reset"] = str(outcome.reset_seconds)
            if outcome.remaining is not None:
                response.headers["RateLimit-Remaining"] = str(outcome.remaining)
        return response
