"""Letters of gateways pass another door than pages do; what comes out must be the same."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest
from django.test import Client, RequestFactory

from billing.models import GatewayLetter
from config import doors
from config.wsgi import application

ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("get", "/webhooks/cinetpay", {}),
    ("get", "/webhooks/nobody", {}),
    ("post", "/webhooks/nobody", {}),
    ("delete", "/webhooks/stripe", {}),
    ("post", "/webhooks/stripe", {"data": b"{", "content_type": "application/json"}),
    ("post", "/webhooks/stripe", {"data": b"x" * 3_000_000, "content_type": "application/json"}),
    ("get", "/webhooks/", {}),
    ("get", "/webhooks/stripe/token/more", {}),
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


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "more"), ASKED)
def test_letters_are_answered_as_behind_all_of_the_middleware(method: str, path: str, more: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)  # as in production
    sent = {"HTTP_X_REQUEST_ID": "the-same", "HTTP_HOST": "localhost"}
    status, headers, body = answer_of(application, getattr(RequestFactory(), method)(path, **more, **sent))
    usual = getattr(client, method)(path, **more, **sent)
    assert (int(status[:3]), body, headers) == (usual.status_code, usual.content, dict(usual.headers))
    assert headers["X-Request-ID"] == "the-same"
    assert not GatewayLetter.objects.exists()


def test_pages_and_the_api_pass_by_the_other_door(db) -> None:
    _, headers, _ = answer_of(application, RequestFactory().get("/api/v1/me", HTTP_HOST="localhost"))
    assert "Content-Security-Policy" in headers


def test_making_the_door_leaves_the_setting_as_it_was(settings) -> None:
    before = list(settings.MIDDLEWARE)
    doors._handler(["rest.middleware.RequestId"])
    assert before == settings.MIDDLEWARE
