"""The two ways in: pages and the API by all of the middleware, letters of gateways by half of it.

A letter has no session, no origin and no operator behind it, and comes thousands of times an hour. Its answer is the
same, with the same headers.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application

LETTERS = "/webhooks/"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def opened() -> Application:
    pages = get_wsgi_application()  # which sets Django up
    letters = _handler(settings.MIDDLEWARE_OF_LETTERS)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        door = letters if environ.get("PATH_INFO", "").startswith(LETTERS) else pages
        return door(environ, start_response)

    return application


def _handler(middleware: Sequence[str]) -> Application:
    """A handler reads the setting once, while it is made; nothing else runs yet."""
    usual = settings.MIDDLEWARE
    settings.MIDDLEWARE = middleware
    try:
        return WSGIHandler()
    finally:
        settings.MIDDLEWARE = usual
