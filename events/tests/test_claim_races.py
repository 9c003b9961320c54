"""Whoever comes second passes over what the first is just taking; a rotation waits. Canaries take the locks away."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from events import deliveries, dispatching, endpoints, mail, signing
from events.models import Endpoint, Event, Message
from events.tests.receivers import Receiver
from rest.tests.rivals import Met, second_while_the_first_is_open

pytestmark = pytest.mark.django_db(transaction=True)
LOCK = " FOR NO KEY UPDATE SKIP LOCKED"
TAKE_LOCK = " FOR UPDATE SKIP LOCKED"
EACH = 2
T = TypeVar("T")


@pytest.fixture(autouse=True)
def waiting(user: User, receiver: Receiver, tell: Callable[..., Event], settings: Any) -> None:
    settings.WEBHOOKS_CONCURRENCY_PER_ENDPOINT = EACH
    endpoints.add(url=receiver.url, by="shop")
    for _ in range(2 * EACH):
        tell(user)
    dispatching.tell_new()


def at_once(act: Callable[[], T]) -> Met[T, T]:
    return second_while_the_first_is_open(act, act)


def claims_of_two() -> Met[set[UUID], set[UUID]]:
    return at_once(lambda: {letter.delivery for letter in deliveries.claim(EACH)})


def test_two_senders_claim_different_deliveries() -> None:
    first, second, _ = claims_of_two()
    assert (len(first), len(second), first & second) == (EACH, EACH, set())


def test_canary_without_the_lock_both_claim_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LOCK in deliveries._CLAIM
    monkeypatch.setattr(deliveries, "_CLAIM", deliveries._CLAIM.replace(LOCK, ""))
    first, second, _ = claims_of_two()
    assert len(first) == EACH
    assert first == second


def letters_of_two(user: User, reach: Callable[..., Any], tell: Callable[..., Event]) -> Met[set[UUID], set[UUID]]:
    """The same for letters to customers."""
    reach(user)
    tell(user, "payment.succeeded")
    dispatching.tell_new()
    return at_once(lambda: {letter.pk for letter in mail._claim(timezone.now())})


def test_letter_to_a_customer_is_claimed_once(user: User, reach: Any, tell: Any) -> None:
    first, second, _ = letters_of_two(user, reach, tell)
    assert (len(first), second) == (1, set())


def test_canary_without_the_lock_the_letter_is_claimed_twice(
    user: User, reach: Any, tell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(Message.objects.all()), "select_for_update", lambda self, **how: self)
    first, second, _ = letters_of_two(user, reach, tell)
    assert first == second != set()


def rotate() -> str:
    return endpoints.rotate(endpoint=Endpoint.objects.get(), by="shop")


def test_of_two_rotations_the_later_secret_is_the_current_one() -> None:
    _, later, _ = at_once(rotate)
    current = Endpoint.objects.get().secrets.get(expires_at__isnull=True)
    assert signing.unsealed(bytes(current.sealed)) == later


def test_canary_without_the_lock_the_second_rotation_is_refused_by_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(type(Endpoint.objects.all()), "select_for_update", lambda self, **how: self)
    with pytest.raises(IntegrityError, match="endpoint_has_one_current_secret"):
        at_once(rotate)


# ---------------------------------------------------------------- events that nobody was told of yet


def told_by_two(user: User, tell: Callable[..., Event], settings: Any) -> Met[int, int]:
    """Two batches wait; how many events each of two tellers takes in one."""
    settings.EVENTS_BATCH = EACH
    for _ in range(2 * EACH):
        tell(user)
    return at_once(lambda: dispatching._tell_some(dispatching.Told()))


def test_two_tellers_share_the_events(user: User, tell: Any, settings: Any) -> None:
    assert told_by_two(user, tell, settings) == (EACH, EACH, False)
    assert dispatching.tell_new().events == 0


def test_canary_without_the_lock_the_second_waits_and_believes_that_nothing_is_left(
    user: User, tell: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert TAKE_LOCK in dispatching._TAKE
    monkeypatch.setattr(dispatching, "_TAKE", dispatching._TAKE.replace(TAKE_LOCK, ""))
    assert told_by_two(user, tell, settings) == (EACH, 0, True)
    assert dispatching.tell_new().events == EACH
