"""What a job that costs credits tells of its pay. With real workers: config/tests/test_charged_jobs.py."""

import logging
from contextlib import suppress
from typing import Any

import pytest
from celery import shared_task
from celery.exceptions import Ignore, Reject, Retry
from django.contrib.auth.models import User

from credits import balances, holds, purses, usage
from credits.jobs import HEADER, ChargedTask, NothingHeld
from credits.tests.people import expired_hold, give

pytestmark = pytest.mark.django_db
UNPAID = ("job.unpaid", logging.ERROR)


@shared_task(base=ChargedTask, bind=True)
def work(self: ChargedTask, meanwhile: Any) -> None:
    meanwhile()


def told(caplog: Any) -> list[Any]:
    return [each for each in caplog.records if each.name == "credits.jobs"]


def run(hold: Any, meanwhile: Any) -> None:
    work.apply(args=(meanwhile,), headers={HEADER: str(hold)}, throw=True)


def test_a_job_whose_hold_expired_is_paid_from_what_there_is(user: User, caplog: Any) -> None:
    give(user, 10)
    run(expired_hold(user, 5), lambda: None)
    assert (balances.of(user).available, told(caplog)) == (5, [])


def test_a_job_whose_hold_expired_and_that_a_limit_forbids_is_told(user: User, caplog: Any) -> None:
    give(user, 10)
    hold = expired_hold(user, 5)
    purses.set_limits(user=user, daily=5, monthly=None)
    usage.spend(user=user, amount=1, key="other")
    run(hold, lambda: None)
    (line,) = told(caplog)
    assert (line.message, line.levelno) == UNPAID
    assert (line.reason, line.kind) == ("LimitReached", "daily")
    assert balances.of(user).available == 9


def test_a_job_whose_hold_expired_and_that_cannot_be_paid_is_told(user: User, caplog: Any) -> None:
    give(user, 10)
    hold = expired_hold(user, 5)
    usage.spend(user=user, amount=6, key="other")
    run(hold, lambda: None)
    (line,) = told(caplog)
    assert (line.message, line.levelno) == UNPAID
    assert (line.reason, line.missing) == ("InsufficientCredits", 1)
    assert balances.of(user).available == 4


def test_a_job_whose_hold_was_given_back_while_it_ran_is_told(user: User, caplog: Any) -> None:
    give(user, 10)
    hold = holds.reserve(user=user, amount=5, key="job").id
    run(hold, lambda: holds.release(hold=hold))
    (line,) = told(caplog)
    assert (line.message, line.levelno) == UNPAID
    assert (line.reason, line.state) == ("HoldResolved", "released")


def test_a_job_that_a_second_delivery_has_paid_is_no_trouble(user: User, caplog: Any) -> None:
    give(user, 10)
    hold = holds.reserve(user=user, amount=5, key="job").id
    run(hold, lambda: holds.settle(hold=hold))
    (line,) = told(caplog)
    assert (line.message, line.levelno) == ("job.settled_before", logging.INFO)


@pytest.mark.parametrize(("end", "state", "left"), [(holds.settle, "settled", 5), (holds.release, "released", 10)])
def test_a_job_whose_hold_is_over_before_it_begins_does_not_run(
    user: User, caplog: Any, end: Any, state: str, left: int
) -> None:
    caplog.set_level(logging.INFO)
    give(user, 10)
    hold = holds.reserve(user=user, amount=5, key="job").id
    end(hold=hold)
    run(hold, pytest.fail)
    (line,) = told(caplog)
    assert (line.message, line.levelno, line.state) == ("job.skipped", logging.INFO, state)
    assert balances.of(user).available == left


def test_a_job_that_fails_after_its_hold_was_given_back_fails_as_itself(user: User, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    give(user, 10)
    hold = holds.reserve(user=user, amount=5, key="job").id

    def fail() -> None:
        holds.release(hold=hold)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(hold, fail)
    (line,) = told(caplog)
    assert (line.message, line.state) == ("job.released_before", "released")
    assert balances.of(user).available == 10


@pytest.mark.parametrize("signal", [Retry(), Ignore(), Reject()])
def test_a_job_that_is_not_over_keeps_its_hold(user: User, signal: Exception) -> None:
    give(user, 10)
    hold = holds.reserve(user=user, amount=5, key="job").id

    def interrupt() -> None:
        raise signal

    with suppress(Retry):
        run(hold, interrupt)
    assert (balances.of(user).available, balances.of(user).held) == (5, 5)


def test_a_job_pays_what_it_used_and_nothing_when_it_used_nothing(user: User) -> None:
    give(user, 10)
    for used, left in ((2, 8), (0, 8)):
        work.apply(
            args=(lambda used=used: work.use(used),),
            headers={HEADER: str(holds.reserve(user=user, amount=5, key=f"job {used}").id)},
            throw=True,
        )
        assert (balances.of(user).available, balances.of(user).held) == (left, 0)


def test_a_job_sent_without_a_hold_is_refused(user: User) -> None:
    with pytest.raises(NothingHeld, match="send it by charge"):
        work.apply(args=(pytest.fail,), throw=True)
