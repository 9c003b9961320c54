"""A sender passes over what another is just claiming. The canary takes the lock of the rows away."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from events import deliveries, dispatching, endpoints
from events.models import Event
from events.tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
LOCK = " FOR NO KEY UPDATE SKIP LOCKED"
EACH = 2
PATIENCE_SECONDS = 60  # only a rival that hangs meets this


@pytest.fixture(autouse=True)
def waiting(user: User, receiver: Receiver, tell: Callable[..., Event], settings: Any) -> None:
    settings.WEBHOOKS_CONCURRENCY_PER_ENDPOINT = EACH
    endpoints.add(url=receiver.url, by="shop")
    for _ in range(2 * EACH):
        tell(user)
    dispatching.tell_new()


def claims_of_two() -> tuple[set[UUID], set[UUID]]:
    """The first has claimed and not yet committed; the second is done by then, or waits for it."""

    def claim() -> set[UUID]:
        try:
            return {letter.delivery for letter in deliveries.claim(EACH)}
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            first = {letter.delivery for letter in deliveries.claim(EACH)}
            later = threads.submit(claim)
            while not later.done() and not _somebody_waits_for_me():
                pass
        return first, later.result(PATIENCE_SECONDS)


def _somebody_waits_for_me() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])


def test_two_senders_claim_different_deliveries() -> None:
    first, second = claims_of_two()
    assert (len(first), len(second), first & second) == (EACH, EACH, set())


def test_canary_without_the_lock_both_claim_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LOCK in deliveries._CLAIM
    monkeypatch.setattr(deliveries, "_CLAIM", deliveries._CLAIM.replace(LOCK, ""))
    first, second = claims_of_two()
    assert len(first) == EACH
    assert first == second
