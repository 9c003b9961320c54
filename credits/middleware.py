"""Credits by address: whoever calls a path that the cost table names pays for it (mission C4)."""

import functools
import re
from collections.abc import Callable

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from rest_framework.exceptions import APIException, NotAuthenticated, PermissionDenied
from rest_framework.request import Request

from credits import costs, decorators
from credits.errors import CreditsError
from credits.models import Cost, CostKind
from rest import callers
from rest.authentication import CallerAuthentication
from rest.callers import Kind
from rest.errors import RestError
from rest.views import ApiView

FREE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # they ask, and make nothing
NEEDED = "credits.spend_credits"


class CreditsMiddleware:
    """Put `credits.middleware.CreditsMiddleware` last in MIDDLEWARE to charge by the `url_pattern` of each cost.

    A pattern is a path; `*` stands for one part of it, and `**` at the end for all that follows. The most exact of
    several wins. The caller is found by the API's own credentials; the view behind sees `request.credits_payer` and
    `request.credits_hold`. Off unless installed: a house that charges in its views does not need it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        cost = None if request.method in FREE_METHODS else cost_of(request.path)
        if cost is None:
            return self.get_response(request)
        seen = Request(request)
        try:
            user = _customer(request, seen)
            # Django has made an answer of whatever the view raised by the time that get_response returns.
            return decorators.charge(
                request,
                user,
                lambda: self.get_response(request),
                action=cost.action,
                quantity=1 if cost.kind == CostKind.PER_UNIT else None,
            )
        except (CreditsError, RestError, APIException) as refusal:
            problem = ApiView().get_exception_handler()(refusal, {"request": seen})
            assert isinstance(problem, HttpResponseBase)  # noqa: S101 - our own handler answers every exception
            return problem


def cost_of(path: str) -> Cost | None:
    """The cost whose pattern fits a path best: the longest, and plain rather than with stars."""
    fitting = [cost for cost in costs.current() if cost.url_pattern and _pattern(cost.url_pattern).fullmatch(path)]
    return max(fitting, key=lambda cost: (-cost.url_pattern.count("*"), len(cost.url_pattern)), default=None)


@functools.lru_cache(maxsize=1_000)
def _pattern(text: str) -> re.Pattern[str]:
    parts = (re.escape(part).replace(r"\*", "[^/]*") for part in text.removesuffix("**").split("**"))
    return re.compile(".*".join(parts) + (".*" if text.endswith("**") else ""), re.DOTALL)


def _customer(request: HttpRequest, seen: Request) -> User:
    """Who pays: somebody signed in, or whoever the API's credentials speak for."""
    signed_in = getattr(request, "user", None)
    if isinstance(signed_in, User):
        return signed_in
    found = CallerAuthentication().authenticate(seen)
    if found is None:
        raise NotAuthenticated("Send a bearer token in the Authorization header.")
    seen.user, seen.auth = found
    caller = callers.of(seen)
    if caller.kind is Kind.SERVICE and NEEDED not in caller.permissions:
        raise PermissionDenied(f"This needs a service token with the permission {NEEDED}.", "permission_missing")
    return callers.customer(seen)
