"""The three ways in: pages by all of the middleware, the API by less of it, notifications of gateways by least.

A call of the API has no session, no form and no operator behind it, and a letter no origin and no limit either; they
come thousands of times an hour. Their answers are the same, with the same headers.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

API, LETTERS = "/api/", "/webhooks/"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def opened() -> Application:
    pages = get_wsgi_application()  # which sets Django up
    api = _handler(without(settings.MIDDLEWARE_FOR_PEOPLE))
    letters = _handler(without(settings.MIDDLEWARE_FOR_PEOPLE | settings.MIDDLEWARE_FOR_CALLERS))

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        door = api if path.startswith(API) else letters if path.startswith(LETTERS) else pages
        return door(environ, start_response)

    return application


def without(some: Set[str]) -> list[str]:
    """What a project adds to MIDDLEWARE stands behind every door."""
    return [each for each in settings.MIDDLEWARE if each not in some]


def _handler(middleware: Sequence[str]) -> Application:
    """A handler reads the setting once, while it is made; nothing else runs yet."""
    usual = settings.MIDDLEWARE
    settings.MIDDLEWARE = middleware
    try:
        return WSGIHandler()
    finally:
        settings.MIDDLEWARE = usual
