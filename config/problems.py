"""Every refusal and fault as an RFC 9457 problem: one table of exception classes, and the handlers that read it."""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import psycopg
from django.conf import settings
from django.contrib.auth.models import User
from django.core import exceptions as django_errors
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from psycopg_pool import PoolTimeout
from rest_framework import exceptions as drf
from rest_framework.settings import api_settings

from billing import errors as billing
from billing.gateways import errors as gateway_errors
from config import connections, offers
from config.billing_problems import OF_BILLING
from config.floor_problems import OF_THE_FLOORS
from config.problem_kinds import AWAY, BUSY, FAULT, FORBIDDEN, INVALID, NOT_FOUND, Problem
from credits import errors as credit
from rest import callers, requestid
from wallets import errors as wallet

logger = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"
PROBLEMS: dict[type[BaseException], Problem] = {
    **OF_THE_FLOORS,
    **OF_BILLING,
    drf.APIException: FAULT,
    drf.ValidationError: INVALID,
    drf.ParseError: Problem(status=400, title="Unreadable request", meaning="The request cannot be read."),
    drf.NotAuthenticated: Problem(
        status=401, title="Credentials needed", meaning="Send a bearer token in the Authorization header."
    ),
    drf.AuthenticationFailed: Problem(
        status=401, title="Credentials refused", meaning="The credentials are wrong, expired or revoked."
    ),
    drf.PermissionDenied: FORBIDDEN,
    drf.NotFound: NOT_FOUND,
    drf.MethodNotAllowed: Problem(
        status=405, title="Method not allowed", meaning="The address exists; the Allow header says what it takes."
    ),
    drf.NotAcceptable: Problem(status=406, title="Not acceptable", meaning="We answer in JSON only."),
    drf.UnsupportedMediaType: Problem(
        status=415, title="Unsupported media type", meaning="Bodies are application/json in UTF-8, not compressed."
    ),
    drf.Throttled: Problem(
        status=429, title="Too many requests", meaning="The limit is reached; wait for Retry-After seconds.", retry=True
    ),
    Http404: NOT_FOUND,
    django_errors.ObjectDoesNotExist: NOT_FOUND,
    django_errors.PermissionDenied: FORBIDDEN,
    django_errors.ValidationError: INVALID,
    django_errors.BadRequest: Problem(
        status=400, title="Bad request", meaning="The request cannot be read.", detail="The request cannot be read."
    ),
    django_errors.SuspiciousOperation: Problem(
        status=400, title="Bad request", meaning="The request looks forged.", detail="The request cannot be served."
    ),
    django_errors.RequestDataTooBig: Problem(
        status=413, title="Body too large", meaning="The body is over the limit.", detail="The body is too large."
    ),
    MultiPartParserError: Problem(
        status=400, title="Bad request", meaning="The form cannot be read.", detail="The form cannot be read."
    ),
    UnreadablePostError: Problem(
        status=400, title="Bad request", meaning="The body broke off.", detail="The body broke off before its end."
    ),
    OperationalError: AWAY,
    InterfaceError: AWAY,
    psycopg.OperationalError: AWAY,
    psycopg.InterfaceError: AWAY,
    psycopg.errors.LockNotAvailable: BUSY,
    psycopg.errors.QueryCanceled: BUSY,
    psycopg.errors.DeadlockDetected: BUSY,
    psycopg.errors.SerializationFailure: BUSY,
    Exception: FAULT,
}
# Kinds that are no name of their own class: what callers see must not tell which library we use.
CODES: dict[type[BaseException], str] = {
    Exception: "internal_error",
    drf.APIException: "internal_error",
    drf.ValidationError: "validation_error",
    credit.NotYours: "not_found",
    wallet.NotYours: "not_found",
    wallet.KeyReused: "idempotency_key_reused",
    billing.NotYours: "not_found",
    gateway_errors.GatewayError: "gateway_unclear",
    gateway_errors.Declined: "gateway_refused",
    credit.KeyReused: "idempotency_key_reused",
    Http404: "not_found",
    django_errors.ObjectDoesNotExist: "not_found",
    django_errors.SuspiciousOperation: "bad_request",
    django_errors.RequestDataTooBig: "body_too_large",
    MultiPartParserError: "bad_request",
    UnreadablePostError: "bad_request",
    OperationalError: "service_unavailable",
    InterfaceError: "service_unavailable",
    psycopg.OperationalError: "service_unavailable",
    psycopg.InterfaceError: "service_unavailable",
    psycopg.errors.LockNotAvailable: "database_busy",
    psycopg.errors.QueryCanceled: "database_busy",
    psycopg.errors.DeadlockDetected: "database_busy",
    psycopg.errors.SerializationFailure: "database_busy",
}


def kinds() -> list[tuple[str, Problem]]:
    """Each documented kind of problem once, by its name; what /problems lists and `type` points at."""
    found = {_name_of(known): problem for known, problem in PROBLEMS.items()}
    return sorted(found.items())


# ---------------------------------------------------------------- from an exception to an answer


IN_VAIN = (PoolTimeout, psycopg.errors.ConnectionTimeout)


def answer(error: BaseException, user: User | None = None) -> HttpResponse:
    """The problem that tells the caller about this exception; faults of ours are logged here, with their trace.

    With `user`, the customer, a lack of credits names a pack in their own currency.
    """
    known = _nearest(error)
    problem = PROBLEMS[known]
    status = error.status_code if isinstance(error, drf.APIException) else problem.status
    body: dict[str, Any] = {
        "type": f"/problems#{_name_of(known)}",
        "title": problem.title,
        "status": status,
        "detail": _detail(error, problem),
        "code": _code(error, known),
    }
    if request_id := requestid.current():
        body["request_id"] = request_id
    if problem is INVALID:
        body["errors"] = list(_field_errors(error))
    body |= {name: getattr(error, name) for name in problem.facts}
    if isinstance(error, credit.InsufficientCredits):
        body |= offers.for_lack(error, user)
    headers = _headers(error, problem)
    if "Retry-After" in headers:
        body["retry_after_seconds"] = int(headers["Retry-After"])
    response = HttpResponse(orjson.dumps(body, default=str), CONTENT_TYPE, status, headers=headers)
    if problem is AWAY and (isinstance(error, IN_VAIN) or isinstance(error.__cause__, IN_VAIN)):
        response.waited_in_vain = True  # type: ignore[attr-defined]  # for the gate: who comes next need not wait too
    elif problem is AWAY:
        connections.replace_broken()
    if status >= 500:  # noqa: PLR2004 - the first status that is our fault
        _log(error, response)
    return response


def _nearest(error: BaseException) -> type[BaseException]:
    # Django wraps the driver's exception, which alone tells a lock timeout from a server that is gone.
    driver = error.__cause__
    if isinstance(error, DatabaseError | InterfaceError) and isinstance(driver, psycopg.Error):
        for ancestor in type(driver).__mro__:
            if ancestor in PROBLEMS and ancestor is not Exception:
                return ancestor
    return next(ancestor for ancestor in type(error).__mro__ if ancestor in PROBLEMS or ancestor is Exception)


def _name_of(known: type[BaseException]) -> str:
    return CODES.get(known) or _snake_case(known.__name__)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _code(error: BaseException, known: type[BaseException]) -> str:
    if isinstance(error, drf.APIException) and not isinstance(error, drf.ValidationError):
        code = error.get_codes()
        return code if isinstance(code, str) and known is not drf.APIException else _name_of(known)
    if known in CODES:
        return CODES[known]
    return _snake_case(type(error).__name__)


def _detail(error: BaseException, problem: Problem) -> str:
    if problem is INVALID:
        number = sum(1 for _ in _field_errors(error))
        return "One value is wrong; see errors." if number == 1 else f"{number} values are wrong; see errors."
    if isinstance(error, drf.APIException) and type(error) is not drf.APIException:
        return str(error.detail)
    return problem.detail or str(error) or problem.meaning


def _headers(error: BaseException, problem: Problem) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if problem.retry:
        wait = getattr(error, "retry_after_seconds", None) or getattr(error, "wait", None)
        headers["Retry-After"] = str(max(1, math.ceil(wait or settings.UNAVAILABLE_RETRY_AFTER_SECONDS)))
    return headers


def _field_errors(error: BaseException) -> Iterator[dict[str, str]]:
    if isinstance(error, drf.ValidationError):
        yield from _flattened(error.get_full_details(), ())
    elif isinstance(error, django_errors.ValidationError):
        found = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
        for field, mistakes in found.items():
            for mistake in mistakes:
                path = () if field in ("", django_errors.NON_FIELD_ERRORS) else (field,)
                yield _field_error(path, " ".join(mistake.messages), mistake.code or "invalid")


def _flattened(details: Any, path: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """DRF's nested details as a flat list; an empty path means the body as a whole."""
    if isinstance(details, Mapping) and details.keys() == {"message", "code"} and isinstance(details["code"], str):
        yield _field_error(path, str(details["message"]), details["code"])
    elif isinstance(details, Mapping):
        for name, inner in details.items():
            own = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _flattened(inner, path if own else (*path, str(name)))
    else:
        for position, inner in enumerate(details):
            nested = isinstance(inner, Mapping) and inner.keys() != {"message", "code"}
            yield from _flattened(inner, (*path, str(position)) if nested else path)


def _field_error(path: tuple[str, ...], message: str, code: str) -> dict[str, str]:
    return {"field": ".".join(path), "message": message, "code": code}


def _log(error: BaseException, response: HttpResponse) -> None:
    if response.status_code == FAULT.status:
        logger.error("request.failed", exc_info=error)
    else:
        logger.warning("request.unavailable", extra={"reason": type(error.__cause__ or error).__name__})
    response._has_been_logged = True  # type: ignore[attr-defined]  # else Django logs it again, without the trace


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's EXCEPTION_HANDLER: everything that a view of the API raises ends here."""
    # Not request.auth: asking for it would authenticate again a request whose credentials were just refused.
    caller = getattr(context.get("request"), "_auth", None)
    return answer(error, caller.user if isinstance(caller, callers.Caller) else None)
