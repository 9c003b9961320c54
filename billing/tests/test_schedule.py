"""When a gateway is asked again, and when its "not found" is believed."""

from datetime import UTC, datetime, timedelta

import pytest

from billing import schedule
from billing.schedule import Sent, late_ask_at, next_ask_at, proves_absence

SENT_AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return SENT_AT + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("age", "at"),
    [
        (0, 2),
        (2, 5),
        (4.9, 5),
        (5, 15),
        (15, 60),
        (60, 300),
        (300, 600),
        (3_599, 3_600),
        (3_600, 7_200),
        (10_000, 10_800),
        (86_399, 86_400),
    ],
)
def test_an_unknown_outcome_is_asked_about_ever_more_seldom(age: float, at: int) -> None:
    assert next_ask_at(SENT_AT, now=after(age)) == after(at)


def test_after_a_day_it_stands_before_operators() -> None:
    assert next_ask_at(SENT_AT, now=after(86_400)) is None


def test_a_day_takes_thirty_nine_questions() -> None:
    asked, now = 0, SENT_AT
    while (at := next_ask_at(SENT_AT, now=now)) is not None:
        asked, now = asked + 1, at
    assert asked == 4 + 12 + 23


@pytest.mark.parametrize(
    ("age", "at"), [(0, 900), (900, 3_600), (3_600, 86_400), (86_400, 259_200), (259_199, 259_200)]
)
def test_an_ended_attempt_is_asked_about_four_times_more(age: int, at: int) -> None:
    assert late_ask_at(SENT_AT, now=after(age)) == after(at)


def test_after_three_days_an_ended_attempt_rests() -> None:
    assert late_ask_at(SENT_AT, now=after(259_200)) is None


@pytest.mark.parametrize(
    ("kind", "age", "answers", "proof"),
    [
        (Sent.PAYMENT, 120, 3, True),
        (Sent.PAYMENT, 119, 3, False),
        (Sent.PAYMENT, 120, 2, False),
        (Sent.REFUND, 120, 3, True),
        (Sent.PAGE, 120, 1, True),
        (Sent.PAGE, 119, 1, False),
        (Sent.PAYOUT, 120, 3, False),
        (Sent.PAYOUT, 899, 9, False),
        (Sent.PAYOUT, 900, 3, True),
    ],
)
def test_not_found_is_believed_late_and_when_said_often(kind: Sent, age: int, answers: int, proof: bool) -> None:
    assert proves_absence(kind, SENT_AT, now=after(age), answers=answers) is proof


def test_pauses_are_longer_each_time_and_then_as_long_as_the_last() -> None:
    assert [schedule.after([60, 300, 900], number).total_seconds() for number in range(5)] == [60, 300, 900, 900, 900]
