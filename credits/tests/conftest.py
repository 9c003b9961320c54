"""What the tests of the credits share."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from credits.tests.people import make_user


@pytest.fixture
def user(db: None) -> User:
    return make_user()


@pytest.fixture
def run_together() -> Callable[[int, Callable[[], Any]], list[Any]]:
    """Start an act in so many threads behind a barrier; their results, sorted. Needs a transactional test."""

    def run(times: int, act: Callable[[], Any]) -> list[Any]:
        barrier = threading.Barrier(times)

        def one() -> Any:
            try:
                connections["default"].ensure_connection()
                barrier.wait(timeout=30)
                return act()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(times) as pool:
            return sorted(each.result() for each in [pool.submit(one) for _ in range(times)])

    return run
