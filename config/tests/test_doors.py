"""Letters of gateways and calls of the API pass other doors than pages do; what comes out must be the same."""

import gzip
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest
from django.test import Client, RequestFactory

from billing.models import GatewayLetter
from config import doors
from config.wsgi import application
from rest import tokens
from rest.limits import Limit, Outcome

ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("get", "/webhooks/cinetpay", {}),
    ("get", "/webhooks/nobody", {}),
    ("post", "/webhooks/nobody", {}),
    ("delete", "/webhooks/stripe", {}),
    ("post", "/webhooks/stripe", {"data": b"{", "content_type": "application/json"}),
    ("post", "/webhooks/stripe", {"data": b"x" * 3_000_000, "content_type": "application/json"}),
    ("get", "/webhooks/", {}),
    ("get", "/webhooks/stripe/token/more", {}),
    ("get", "/api/v1/me", {}),
    ("get", "/api/v1/nothing", {}),
    ("get", "/api/v2/me", {}),
    ("get", "/api/", {}),
    ("get", "/api/schema", {"HTTP_ACCEPT_ENCODING": "gzip", "HTTP_ACCEPT_LANGUAGE": "fr"}),
    ("get", "/api/v1/plans", {"HTTP_ORIGIN": "https://shop.example"}),
    ("get", "/api/v1/plans", {"HTTP_ORIGIN": "https://nobody.example"}),
    ("get", "/api/v1/plans", {"HTTP_HOST": "elsewhere.example"}),
    ("get", "/api/v1/me", {"HTTP_AUTHORIZATION": "Bearer tir_wrong"}),
    ("options", "/api/v1/me", {"HTTP_ORIGIN": "https://shop.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}),
    ("options", "/api/v1/me", {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}),
    ("post", "/api/v1/credits/spend", {"data": b"{", "content_type": "application/json"}),
    ("delete", "/api/v1/plans", {}),
    ("get", "/api/schema", {}),
    ("get", "/api/docs", {"HTTP_COOKIE": "sessionid=somebodys; tirelire_language=fr"}),
]


@pytest.fixture(autouse=True)
def connections_stay() -> Iterator[None]:
    """As the test client sees to: the end of a request would close the connection that this test's rows are on."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def answer_of(door: Any, request: HttpRequest) -> tuple[str, dict[str, str], bytes]:
    began: list[Any] = []
    parts: Iterable[bytes] = door(request.environ, lambda status, headers, *_: began.append((status, dict(headers))))  # type: ignore[attr-defined]
    body = b"".join(parts)
    parts.close()  # type: ignore[attr-defined]
    [(status, headers)] = began
    return status, headers, body


def read(body: bytes, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """What was compressed is padded by chance."""
    if headers.get("Content-Encoding") == "gzip":
        return gzip.decompress(body), headers | {"Content-Length": "some"}
    return body, headers


def counted(_: str, limit: Limit) -> Outcome:
    """Each request as the first of its caller."""
    return Outcome(limit=limit, allowed=True, remaining=limit.count - 1, reset_seconds=60)


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "more"), ASKED)
def test_machines_are_answered_as_behind_all_of_the_middleware(
    method: str, path: str, more: dict[str, Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    monkeypatch.setattr("rest.throttles.meter.take", counted)
    client = Client(enforce_csrf_checks=True)  # as in production
    sent = {"HTTP_X_REQUEST_ID": "the-same", "HTTP_HOST": "localhost", **more}
    status, headers, body = answer_of(application, getattr(RequestFactory(), method)(path, **sent))
    usual = getattr(client, method)(path, **sent)
    assert (int(status[:3]), *read(body, headers)) == (usual.status_code, *read(usual.content, dict(usual.headers)))
    assert headers["X-Request-ID"] == "the-same"
    assert not GatewayLetter.objects.exists()


def test_pages_pass_by_the_widest_door(db) -> None:
    status, headers, _ = answer_of(application, RequestFactory().get("/admin/", HTTP_HOST="localhost"))
    assert (status, headers["Location"]) == ("302 Found", "/admin/login/?next=/admin/")


def test_the_first_call_of_a_customer_is_no_operators_act(db) -> None:
    """Who was never seen is made; no line about it comes into the audit log."""
    _, secret = tokens.issue(
        name="shop",
        permissions=Permission.objects.filter(codename__in=["view_purse", "act_for_customers"]),
        expires_at=None,
        by=None,
    )
    called = RequestFactory().get(
        "/api/v1/credits/balance",
        HTTP_HOST="localhost",
        HTTP_AUTHORIZATION=f"Bearer {secret}",
        HTTP_X_USER_ID="new-here",
    )
    before = LogEntry.objects.count()
    status, _, _ = answer_of(application, called)
    assert status == "200 OK"
    assert User.objects.filter(username="new-here").exists()
    assert LogEntry.objects.count() == before


def test_each_door_is_narrower_and_what_a_project_adds_stands_behind_all(settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "credits.middleware.CreditsMiddleware"]
    api = doors.without(settings.MIDDLEWARE_FOR_PEOPLE)
    letters = doors.without(settings.MIDDLEWARE_FOR_PEOPLE | settings.MIDDLEWARE_FOR_CALLERS)
    assert api[-1] == letters[-1] == settings.MIDDLEWARE[-1]
    assert set(letters) < set(api) < set(settings.MIDDLEWARE)
    assert set(settings.MIDDLEWARE) - set(api) == settings.MIDDLEWARE_FOR_PEOPLE  # no name is misspelt
    assert set(api) - set(letters) == settings.MIDDLEWARE_FOR_CALLERS


def test_making_the_door_leaves_the_setting_as_it_was(settings) -> None:
    before = list(settings.MIDDLEWARE)
    doors._handler(["rest.middleware.RequestId"])
    assert before == settings.MIDDLEWARE
