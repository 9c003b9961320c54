"""Positions: in the order of commits, without a gap, by one process at a time."""

import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection

import events
from events.models import Event
from rest.tests.rivals import Met, second_while_the_first_is_open

pytestmark = pytest.mark.django_db(transaction=True)

WRITE = "INSERT INTO events_event (type, user_id, data) VALUES ('credits.granted', %s, '{}') RETURNING id"
HEAD_LOCK = " FOR UPDATE SKIP LOCKED"


def another() -> "psycopg.Connection[Any]":
    known = connection.get_connection_params().items()
    return psycopg.connect(**{name: value for name, value in known if name not in {"context", "cursor_factory"}})


@pytest.fixture
def user() -> User:
    user = User.objects.create(username="ann")
    assert place() == []  # the first call makes the head
    return user


def place(most: int = 100) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT position FROM events_place(%s) ORDER BY position", [most])
        return [position for (position,) in cursor.fetchall()]


def written(link: "psycopg.Connection[Any]", user: User) -> Any:
    found = link.execute(WRITE, [user.pk]).fetchone()
    assert found is not None
    return found[0]


def order() -> list[Any]:
    return list(Event.objects.exclude(position=None).order_by("position").values_list("id", flat=True))


def test_what_was_written_early_and_committed_late_comes_behind_what_readers_have_passed(user: User) -> None:
    with another() as slow, another() as quick:
        early = written(slow, user)
        late = written(quick, user)
        assert early < late
        quick.commit()
        assert place() == [1]
        slow.commit()
        assert place() == [2]
    assert order() == [late, early]
    # Going by ids instead, a reader who has seen `late` would never be given `early`.
    assert list(Event.objects.filter(id__gt=late)) == []


def test_what_is_not_committed_gets_no_position(user: User) -> None:
    with another() as writer:
        written(writer, user)
        assert place() == []
        writer.rollback()
    assert place() == []


def test_positions_go_on_where_they_were_in_the_order_of_writing(user: User) -> None:
    with another() as writer:
        ids = [written(writer, user) for _ in range(5)]
    assert [place(2), place(2), place(2), place(2)] == [[1, 2], [3, 4], [5], []]
    assert order() == ids


def test_one_at_a_time_gives_positions_and_the_other_does_not_wait(user: User) -> None:
    with another() as writer:
        written(writer, user)
    with another() as holder:
        assert holder.execute("SELECT count(*) FROM events_place(10)").fetchone() == (1,)
        with another() as writer:
            written(writer, user)
        assert place() == []  # the holder has not committed
    assert place() == [2]


def placed_by_two(user: User) -> tuple[Met[list[int], list[int]], list[str]]:
    """What was written early is committed once the first has given its position, and before the second looks."""
    names = {}
    with another() as slow, another() as quick:
        names[written(slow, user)], names[written(quick, user)] = "early", "late"
        quick.commit()

        def place_after_the_slow_one() -> list[int]:
            slow.commit()
            return place()

        met = second_while_the_first_is_open(place, place_after_the_slow_one)
    place()
    return met, [names[pk] for pk in order()]


def test_of_two_placers_the_second_leaves_at_once(user: User) -> None:
    assert placed_by_two(user) == (([1], [], False), ["late", "early"])


def test_canary_without_the_lock_of_the_head_an_event_moves_behind_readers(user: User) -> None:
    """The early one gets the position that readers have passed, and the late one is given to them again."""
    text = (Path(events.__file__).parent / "sql" / "place.sql").read_text()
    assert HEAD_LOCK in text
    with connection.cursor() as cursor:
        cursor.execute(text.replace(HEAD_LOCK, ""))
        try:
            found = placed_by_two(user)
        finally:
            cursor.execute(text)
    assert found == (([1], [1, 2], True), ["early", "late"])


def test_a_pass_that_fails_gives_no_position_away(user: User) -> None:
    with another() as writer:
        written(writer, user)
    with another() as holder:
        holder.execute("SELECT count(*) FROM events_place(10)")
        holder.rollback()
    assert place() == [1]


def test_writers_and_placers_in_threads_leave_no_gap_and_no_double(user: User) -> None:
    together = threading.Barrier(6)
    faults: list[BaseException] = []

    def write() -> None:
        with another() as writer:
            together.wait()
            for _ in range(20):
                written(writer, user)
                writer.commit()

    def give() -> None:
        with another() as placer:
            together.wait()
            for _ in range(40):
                placer.execute("SELECT count(*) FROM events_place(7)")
                placer.commit()

    def run(act: Any) -> None:
        try:
            act()
        except BaseException as fault:  # noqa: BLE001 - shown by the test
            faults.append(fault)

    threads = [threading.Thread(target=run, args=[act]) for act in [write, give] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while place():
        pass
    assert faults == []
    assert list(Event.objects.order_by("position").values_list("position", flat=True)) == list(range(1, 61))


def test_the_head_is_one_row(user: User) -> None:
    with another() as link, pytest.raises(psycopg.errors.CheckViolation, match="stream_head_is_one_row"):
        link.execute("INSERT INTO events_streamhead (id, position) VALUES (2, 0)")
