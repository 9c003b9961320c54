"""What a job that costs credits tells of its pay. With real workers: config/tests/test_charged_jobs.py."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from celery import shared_task
from django.contrib.auth.models import User
from django.utils import timezone

from credits import balances, holds, purses, usage
from credits.jobs import HEADER, ChargedTask
from credits.tests.people import give

pytestmark = pytest.mark.django_db
UNPAID = ("job.unpaid", logging.ERROR)


@shared_task(base=ChargedTask, bind=True)
def work(self: ChargedTask, meanwhile: Any) -> None:
    meanwhile()


def told(caplog: Any) -> list[Any]:
    return [each for each in caplog.records if each.name == "credits.jobs"]


def run(hold: Any, meanwhile: Any) -> None:
    work.apply(args=(meanwhile,), headers={HEADER: str(hold)}, throw=True)


def late_hold(user: User, amount: int) -> Any:
    held = holds.reserve(user=user, amount=amount, key="late", seconds=1, at=timezone.now() - timedelta(seconds=9))
    assert holds.expire_due() == 1
    return held.id


def test_a_job_whose_hold_expired_is_paid_from_what_there_is(user: User, caplog: Any) -> None:
    give(user, 10)
    run(late_hold(user, 5), lambda: None)
    assert (balances.of(user).available, told(caplog)) == (5, [])


def test_a_job_whose_hold_expired_and_that_a_limit_forbids_is_told(user: User, caplog: Any) -> None:
    give(user, 10)
    hold = late_hold(user, 5)
    purses.set_limits(user=user, daily=5, monthly=None)
    usage.spend(user=user, amount=1, key="other")
    run(hold, lambda: None)
    (line,) = told(caplog)
    assert (line.message, line.levelno) == UNPAID
    assert (line.reason, line.kind) == ("LimitReached", "daily")
    assert balances.of(user).available == 9


def test_a_job_whose_hold_expired_and_that_cannot_be_paid_is_told(user: User, caplog: Any) -> None:
    give(user, 10)
    hold = late_hold(user, 5)
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
