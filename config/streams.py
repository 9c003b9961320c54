"""What the stream process needs of the rest of Tirelire: who comes in, how refusals read, and how balances stand."""

import io
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpResponse
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.request import Request

from config import broker, problems
from credits import balances
from events import tickets
from events.stream.api import MayListen
from events.stream.endpoints import Application, House, Scope, query
from events.tickets import Admitted
from rest import callers, requestid, throttles
from rest.authentication import CHALLENGE, CallerAuthentication

Result = TypeVar("Result")


def house(others: Application) -> House:
    return House(
        admit=with_connection(admit),
        refuse=with_connection(refuse),
        lapsed=with_connection(tickets.lapsed),
        figures=with_connection(balances.figures),
        pulse=broker.note_stream,
        others=others,
    )


def with_connection(act: Callable[..., Result]) -> Callable[..., Result]:
    """As a request does it: a connection that broke, or that is too old, is not used again."""

    def acted(*arguments: Any) -> Result:
        close_old_connections()
        try:
            return act(*arguments)
        finally:
            close_old_connections()

    return acted


def admit(scope: Scope) -> Admitted:
    """Whose stream this may be, by a ticket or as everywhere in the API; DRF's exceptions say why not."""
    request = ASGIRequest({**scope, "method": "GET"}, io.BytesIO())
    try:
        if ticket := query(scope, "ticket"):
            return _by_ticket(request, ticket)
        return _by_credentials(Request(request, authenticators=[CallerAuthentication()]))
    except AuthenticationFailed as error:
        error.auth_header = getattr(request, "challenge", CHALLENGE)  # type: ignore[attr-defined]  # as DRF's views do
        raise
    except NotAuthenticated as error:
        error.auth_header = CHALLENGE  # type: ignore[attr-defined]
        raise


def _by_ticket(request: ASGIRequest, ticket: str) -> Admitted:
    admitted = tickets.redeem(ticket)
    if admitted is None:
        throttles.count_stranger(request)
        raise AuthenticationFailed("The ticket is unknown, used or expired. Ask for another.", "ticket_refused")
    return admitted


def _by_credentials(request: Request) -> Admitted:
    may_listen = MayListen()
    if not may_listen.has_permission(request, None):  # type: ignore[arg-type]  # it looks at the request only
        if not isinstance(request.auth, callers.Caller):
            raise NotAuthenticated("Send a bearer token in the Authorization header, or a ticket.")
        raise PermissionDenied(getattr(may_listen, "message", None), getattr(may_listen, "code", None))
    throttles.count(request)
    caller = callers.of(request)
    return Admitted(user_id=callers.customer(request).pk, ends_at=caller.expires_at, token_id=caller.token_id)


def refuse(scope: Scope, error: BaseException) -> HttpResponse:
    """The same problem that a view of the API would have answered with."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), None)
    token = requestid.bind(requestid.accepted(given))
    try:
        answer = problems.answer(error)
        answer[requestid.HEADER] = requestid.current()
        answer["Cache-Control"] = "no-store"
        return answer
    finally:
        requestid.reset(token)
