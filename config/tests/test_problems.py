"""Whatever is raised becomes one exact problem, and never shows a vendor's words."""

import importlib.util
import inspect
import json
import logging
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.core import exceptions as django_errors
from django.db import OperationalError, connection
from django.http import Http404
from django.test import Client
from psycopg_pool import PoolTimeout
from rest_framework import exceptions as drf

from config import problems
from rest import errors as rest
from rest import requestid


def told(error: BaseException) -> dict[str, Any]:
    answer = problems.answer(error)
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.content)
    assert body["status"] == answer.status_code
    return body


def caused_by(error: Exception) -> OperationalError:
    wrapped = OperationalError("connection to server at 10.0.0.5 failed: password of tirelire")
    wrapped.__cause__ = error
    return wrapped


class ShelfIsEmpty(rest.RestError):
    """An app's own refusal, which nobody has put in the table."""


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "detail"),
    [
        (ShelfIsEmpty("No more."), 400, "rest_error", "shelf_is_empty", "No more."),
        (rest.MalformedBody("Not JSON."), 400, "malformed_body", "malformed_body", "Not JSON."),
        (
            rest.IdempotencyKeyReused(),
            422,
            "idempotency_key_reused",
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request. Take a new key.",
        ),
        (drf.ParseError("Broken."), 400, "parse_error", "parse_error", "Broken."),
        (
            drf.AuthenticationFailed("The token expired.", code="token_expired"),
            401,
            "authentication_failed",
            "token_expired",
            "The token expired.",
        ),
        (drf.NotFound(), 404, "not_found", "not_found", "Not found."),
        (Http404("No Customer matches the query."), 404, "not_found", "not_found", "There is nothing here."),
        (
            django_errors.PermissionDenied("secret"),
            403,
            "permission_denied",
            "permission_denied",
            "You may not do this.",
        ),
        (
            django_errors.SuspiciousOperation("x"),
            400,
            "bad_request",
            "bad_request",
            "The request cannot be served.",
        ),
        (django_errors.RequestDataTooBig("x"), 413, "body_too_large", "body_too_large", "The body is too large."),
        (drf.MethodNotAllowed("PUT"), 405, "method_not_allowed", "method_not_allowed", 'Method "PUT" not allowed.'),
        (
            KeyError("password"),
            500,
            "internal_error",
            "internal_error",
            "Something went wrong on our side. Please quote the request id when you report it.",
        ),
        (
            drf.APIException("vendor said no"),
            500,
            "internal_error",
            "internal_error",
            "Something went wrong on our side. Please quote the request id when you report it.",
        ),
    ],
)
def test_each_exception_is_one_exact_problem(error, status, kind, code, detail) -> None:
    body = told(error)
    assert body == {
        "type": f"/problems#{kind}",
        "title": problems.PROBLEMS[problems._nearest(error)].title,
        "status": status,
        "detail": detail,
        "code": code,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("server closed the connection"), "service_unavailable"),
        (caused_by(psycopg.OperationalError("refused")), "service_unavailable"),
        (caused_by(PoolTimeout("no connection in 1 s")), "service_unavailable"),
        (PoolTimeout("no connection in 1 s"), "service_unavailable"),
        (caused_by(psycopg.errors.AdminShutdown("terminated")), "service_unavailable"),
        (caused_by(psycopg.errors.LockNotAvailable("lock timeout")), "database_busy"),
        (caused_by(psycopg.errors.QueryCanceled("statement timeout")), "database_busy"),
        (caused_by(psycopg.errors.DeadlockDetected("deadlock")), "database_busy"),
    ],
)
def test_a_database_that_cannot_serve_is_503_with_retry_after(error, code) -> None:
    answer = problems.answer(error)
    body = json.loads(answer.content)
    assert (answer.status_code, answer["Retry-After"]) == (503, str(settings.UNAVAILABLE_RETRY_AFTER_SECONDS))
    assert (body["code"], body["retry_after_seconds"]) == (code, settings.UNAVAILABLE_RETRY_AFTER_SECONDS)
    assert "10.0.0.5" not in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_real_lock_timeout_is_told_as_busy() -> None:
    with (
        psycopg.connect(**{**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}) as other,
        connection.cursor() as cursor,
    ):
        other.execute("SELECT pg_advisory_lock(5)")
        cursor.execute("SET lock_timeout = '1ms'")
        with pytest.raises(OperationalError) as caught:
            cursor.execute("SELECT pg_advisory_lock(5)")
        cursor.execute("RESET lock_timeout")
    assert told(caught.value)["code"] == "database_busy"


def test_a_throttle_says_how_long_to_wait() -> None:
    answer = problems.answer(drf.Throttled(wait=41.2))
    assert (answer.status_code, answer["Retry-After"]) == (429, "42")
    assert json.loads(answer.content)["retry_after_seconds"] == 42


def test_a_challenge_is_passed_on() -> None:
    error = drf.NotAuthenticated()
    setattr(error, "auth_header", 'Bearer error="invalid_token"')  # noqa: B010 - as DRF's views set it
    assert problems.answer(error)["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_facts_of_the_exception_are_in_the_body() -> None:
    assert told(rest.BodyTooLarge(limit_bytes=10))["limit_bytes"] == 10


def test_field_errors_are_flat_with_dotted_paths() -> None:
    error = drf.ValidationError(
        {
            "sale": {"seller": [drf.ErrorDetail("Unknown seller.", code="unknown")]},
            "items": [{}, {"amount": [drf.ErrorDetail("Too much.", code="max_value")]}],
            "tags": {"2": [drf.ErrorDetail("Not a string.", code="invalid")]},
            "message": [drf.ErrorDetail("Say more.", code="blank")],
            "non_field_errors": [drf.ErrorDetail("Choose one.", code="ambiguous")],
        }
    )
    body = told(error)
    assert (body["status"], body["code"], body["detail"]) == (
        400,
        "validation_error",
        "5 values are wrong; see errors.",
    )
    assert body["errors"] == [
        {"field": "sale.seller", "message": "Unknown seller.", "code": "unknown"},
        {"field": "items.1.amount", "message": "Too much.", "code": "max_value"},
        {"field": "tags.2", "message": "Not a string.", "code": "invalid"},
        {"field": "message", "message": "Say more.", "code": "blank"},
        {"field": "", "message": "Choose one.", "code": "ambiguous"},
    ]


def test_a_model_s_own_validation_is_told_alike() -> None:
    error = django_errors.ValidationError(
        {"country": [django_errors.ValidationError("Unknown %(what)s.", code="unknown", params={"what": "country"})]}
    )
    assert told(error)["errors"] == [{"field": "country", "message": "Unknown country.", "code": "unknown"}]


def test_the_request_id_is_in_the_body() -> None:
    token = requestid.bind("abc-1")
    try:
        assert told(Http404())["request_id"] == "abc-1"
    finally:
        requestid.reset(token)


def test_a_fault_is_logged_with_its_trace_and_shown_without(caplog) -> None:
    with caplog.at_level(logging.ERROR, logger="config.problems"):
        try:
            raise ZeroDivisionError("secret figures")
        except ZeroDivisionError as error:
            answer = problems.answer(error)
    assert "secret figures" not in answer.content.decode()
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


def roots_of_errors() -> list[type]:
    found: list[type] = []
    for app in apps.get_app_configs():
        name = f"{app.name}.errors"
        if not str(app.path).startswith(str(settings.BASE_DIR / app.name)) or not importlib.util.find_spec(name):
            continue
        module = importlib.import_module(name)
        own = [each for _, each in inspect.getmembers(module, inspect.isclass) if each.__module__ == name]
        found += [each for each in own if each.__bases__ == (Exception,)]
    return found


def test_every_app_has_one_root_of_errors_and_it_is_in_the_table() -> None:
    roots = roots_of_errors()
    assert rest.RestError in roots
    assert [root for root in roots if root not in problems.PROBLEMS] == []
    assert len({root.__module__ for root in roots}) == len(roots)


def test_the_page_of_problems_explains_every_kind_once(client: Client) -> None:
    page = client.get("/problems").content.decode()
    for name, problem in problems.kinds():
        assert page.count(f'id="{name}"') == 1
        assert problem.title in page


@pytest.mark.parametrize(
    "path", ["/api", "/api/v1/nothing", "/webhooks/nobody", "/health/nothing", "/metrics/x", "/ws/x"]
)
@pytest.mark.parametrize("debug", [False, True])
def test_machines_get_problems_where_nothing_is(client: Client, settings, path: str, debug: bool) -> None:
    settings.DEBUG = debug
    answer = client.post(path, b"{", content_type="text/plain")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"


def test_people_get_a_page_where_nothing_is(client: Client) -> None:
    answer = client.get("/apinothing")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "There is nothing here" in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/v1/x", "application/problem+json"), ("/", "text/html; charset=utf-8")]
)
def test_a_forged_host_is_refused_in_the_form_its_caller_reads(client: Client, settings, path: str, kind: str) -> None:
    answer = client.get(path, headers={"host": "evil.example"})
    assert (answer.status_code, answer["Content-Type"]) == (400, kind)
