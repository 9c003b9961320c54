"""The gate: who waited in vain for the database spares the others their wait."""

from collections.abc import Callable

import pytest
from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase
from django.test import RequestFactory
from psycopg_pool import PoolTimeout

from config import problems
from config.gate import DatabaseGate

PATH = "/api/v1/customer"


def wrapped(cause: Exception) -> OperationalError:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


class Views:
    """Behind the gate: remembers who came, and fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.seen: list[str] = []

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        self.seen.append(request.path)
        return problems.answer(self.error)


@pytest.fixture
def get(rf: RequestFactory, settings) -> Callable[[DatabaseGate, str], int]:
    settings.DATABASE_WAIT_SECONDS = 1_000
    return lambda gate, path: gate(rf.get(path)).status_code


@pytest.mark.parametrize("error", [PoolTimeout("none came"), wrapped(PoolTimeout("none came"))])
def test_after_one_who_waited_in_vain_the_next_are_refused_at_once(get, error: Exception) -> None:
    views = Views(error)
    gate = DatabaseGate(views)
    assert [get(gate, PATH) for _ in range(3)] == [503, 503, 503]
    assert views.seen == [PATH]
    gate.shut_until = 0.0
    assert get(gate, PATH) == 503
    assert views.seen == [PATH, PATH]


def test_a_connection_that_broke_shuts_nothing(get) -> None:
    views = Views(wrapped(Exception("terminated")))
    gate = DatabaseGate(views)
    assert [get(gate, PATH) for _ in range(2)] == [503, 503]
    assert len(views.seen) == 2


@pytest.mark.parametrize("path", ["/health/ready", "/metrics", "/pricing"])
def test_probes_and_pages_pass_a_shut_gate(get, path: str) -> None:
    views = Views(PoolTimeout("none came"))
    gate = DatabaseGate(views)
    get(gate, PATH)
    get(gate, path)
    assert views.seen == [PATH, path]
