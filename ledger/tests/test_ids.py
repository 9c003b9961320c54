import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_

import time_machine
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from ledger.ids import TICKS_PER_MS, first_at, uuid7

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
RANDOM = 2**62 - 1  # the last bits of an id


def test_ids_are_version_7_and_rise() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == 10_000
    assert {(each.version, each.variant) for each in made} == {(7, "specified in RFC 4122")}
    assert reduce(or_, (each.int for each in made)) & RANDOM == RANDOM  # each bit of chance is used


def test_ids_rise_while_the_clock_stands_still() -> None:
    seven_past = NOON + timedelta(minutes=7)
    with time_machine.travel(seven_past, tick=False):
        made = [uuid7() for _ in range(TICKS_PER_MS)]
    assert made == sorted(made)
    assert made[-1] < first_at(seven_past + timedelta(milliseconds=1))  # tick by tick, no faster


def test_ids_follow_a_clock_that_was_set_back() -> None:
    with time_machine.travel(NOON, tick=False):
        later = uuid7()
    with time_machine.travel(NOON - timedelta(days=1), tick=False):
        assert uuid7() < later


FORKING = """
import os
from ledger.ids import uuid7
uuid7()  # draws for the next ones as well
child = os.fork()
told = "".join(f"{uuid7().int & (1 << 62) - 1} " for _ in range(60))
os.write(1, told.encode())  # in one piece, which print is not where nothing is buffered: both write to one pipe
if child:
    os.waitpid(child, 0)
"""


def test_a_forked_process_draws_for_itself() -> None:
    told = subprocess.check_output([sys.executable, "-c", FORKING], cwd=settings.BASE_DIR, text=True)
    assert len(set(told.split())) == 120


@given(st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_is_neither_before_its_own_instant_nor_after_the_next_millisecond(instant: datetime) -> None:
    with time_machine.travel(instant, tick=False):
        made = uuid7()
    assert first_at(instant - timedelta(microseconds=1)) <= made < first_at(instant + timedelta(milliseconds=2))


def test_no_id_is_of_a_time_before_1970() -> None:
    lowest = first_at(datetime(1970, 1, 1, tzinfo=UTC))
    assert [first_at(datetime(year, 12, 31, tzinfo=UTC)) for year in (1, 1969)] == [lowest] * 2
    assert lowest < uuid7()


def test_the_first_id_of_an_instant_is_the_lowest_that_it_can_have() -> None:
    assert first_at(NOON).int & RANDOM == 0


def test_the_database_reads_the_same_time_from_an_id(db) -> None:
    from django.db import connection

    with time_machine.travel(NOON, tick=False):
        made = uuid7()
    with connection.cursor() as cursor:
        cursor.execute("SELECT uuid_extract_timestamp(%s), uuidv7() > %s", [made, first_at(NOON)])
        assert cursor.fetchone() == (NOON, True)
