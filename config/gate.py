"""While no connection to the database can be had, requests are refused at once instead of each waiting for one.

A few threads serve everybody: if each request waited its second, the fortieth of forty would be answered after ten.
Whoever waited in vain shuts the gate for as long again; then the next few try for all.
"""

import time
from collections.abc import Callable

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase

from config import problems
from rest import paths

WITHOUT_DATABASE = ("/health", "/metrics")  # they probe it themselves, and say more


class DatabaseGate:
    """Stands before everything that asks the database. Each process learns by itself that it is away."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.shut_until = 0.0  # of time.monotonic; threads write it without a lock, since any of theirs will do

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not paths.is_for_machines(request.path) or request.path.startswith(WITHOUT_DATABASE):
            return self.get_response(request)
        if time.monotonic() < self.shut_until:
            return problems.answer(OperationalError("no connection a moment ago"))
        response = self.get_response(request)
        if getattr(response, "waited_in_vain", False):
            self.shut_until = time.monotonic() + settings.DATABASE_WAIT_SECONDS
        return response
