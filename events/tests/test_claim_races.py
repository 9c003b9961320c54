"""A sender passes over what another is just claiming; a rotation waits for another. Canaries take the locks away."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from events import deliveries, dispatching, endpoints, mail, signing
from events.models import Endpoint, Event, Message
from events.tests.receivers import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
LOCK = " FOR NO KEY UPDATE SKIP LOCKED"
EACH = 2
T = TypeVar("T")
PATIENCE_SECONDS = 60  # only a rival that hangs meets this


@pytest.fixture(autouse=True)
def waiting(user: User, receiver: Receiver, tell: Callable[..., Event], settings: Any) -> None:
    settings.WEBHOOKS_CONCURRENCY_PER_ENDPOINT = EACH
    endpoints.add(url=receiver.url, by="shop")
    for _ in range(2 * EACH):
        tell(user)
    dispatching.tell_new()


def second_while_the_first_is_open(act: Callable[[], T]) -> tuple[T, T]:
    """The first has acted and not yet committed; the second is done by then, or waits for it."""

    def act_apart() -> T:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            first = act()
            later = threads.submit(act_apart)
            while not later.done() and not _somebody_waits_for_me():
                pass
        return first, later.result(PATIENCE_SECONDS)


def claims_of_two() -> tuple[set[UUID], set[UUID]]:
    return second_while_the_first_is_open(lambda: {letter.delivery for letter in deliveries.claim(EACH)})


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


def letters_of_two(user: User, reach: Callable[..., Any], tell: Callable[..., Event]) -> tuple[set[UUID], set[UUID]]:
    """The same for letters to customers."""
    reach(user)
    tell(user, "payment.succeeded")
    dispatching.tell_new()
    return second_while_the_first_is_open(lambda: {letter.pk for letter in mail._claim(timezone.now())})


def test_letter_to_a_customer_is_claimed_once(user: User, reach: Any, tell: Any) -> None:
    first, second = letters_of_two(user, reach, tell)
    assert (len(first), second) == (1, set())


def test_canary_without_the_lock_the_letter_is_claimed_twice(
    user: User, reach: Any, tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(Message.objects.all()), "select_for_update", lambda self, **how: self)
    first, second = letters_of_two(user, reach, tell)
    assert first == second != set()


def rotate() -> str:
    return endpoints.rotate(endpoint=Endpoint.objects.get(), by="shop")


def test_of_two_rotations_the_later_secret_is_the_current_one() -> None:
    _, later = second_while_the_first_is_open(rotate)
    current = Endpoint.objects.get().secrets.get(expires_at__isnull=True)
    assert signing.unsealed(bytes(current.sealed)) == later


def test_canary_without_the_lock_the_second_rotation_is_refused_by_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(Endpoint.objects.all()), "select_for_update", lambda self, **how: self)
    with pytest.raises(IntegrityError, match="endpoint_has_one_current_secret"):
        second_while_the_first_is_open(rotate)
