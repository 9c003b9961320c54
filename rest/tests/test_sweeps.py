"""How a sweep takes what is due: the first of it, what no other worker has, and each row with its next time."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from rest import sweeps
from rest.tests.rivals import second_while_the_first_is_open

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def waiting(transactional_db: None) -> None:
    """a is due first; d is not due."""
    for hour, name in enumerate("abcd"):
        User.objects.create_user(name, last_login=NOON + timedelta(hours=hour))


def claim(most: int) -> list[str]:
    def put_off(user: User) -> None:
        user.last_login = NOON + timedelta(days=1)

    due = User.objects.filter(last_login__lte=NOON + timedelta(hours=2))
    return [
        each.username for each in sweeps.claim(due, by="last_login", most=most, then=put_off, writes=["last_login"])
    ]


@pytest.mark.usefixtures("waiting")
def test_the_first_of_the_due_are_claimed_and_not_again() -> None:
    assert [claim(2), claim(2), claim(2)] == [["a", "b"], ["c"], []]
    assert set(User.objects.filter(last_login=NOON + timedelta(days=1)).values_list("username", flat=True)) == set(
        "abc"
    )


@pytest.mark.usefixtures("waiting")
def test_two_workers_claim_different_rows_and_neither_waits() -> None:
    met = second_while_the_first_is_open(lambda: claim(2), lambda: claim(2))
    assert (met.first, met.second, met.second_waited) == (["a", "b"], ["c"], False)


@pytest.mark.usefixtures("waiting")
def test_what_another_works_on_is_left_to_it() -> None:
    def free() -> list[str]:
        return [each.username for each in sweeps.free(User.objects.exclude(username="d"), by="last_login", most=2)]

    assert second_while_the_first_is_open(free, lambda: claim(9))[:2] == (["a", "b"], ["c"])


@pytest.mark.usefixtures("waiting")
def test_nothing_is_written_where_one_cannot_be() -> None:
    def fail(user: User) -> None:
        if user.username == "b":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sweeps.claim(User.objects.all(), by="last_login", most=9, then=fail, writes=["last_login"])
    assert claim(9) == ["a", "b", "c"]
