"""Jobs that cost credits, in real workers: paid for once, whatever happens to the worker."""

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from config.tests.charged_app import draw
from config.tests.processes import running
from config.tests.worker_app import tell, wait_for
from credits import balances, errors, holds
from credits.jobs import NothingHeld
from credits.models import Hold, Spend

WORKER = [sys.executable, "-m", "celery", "-A", "config.tests.charged_app", "worker", "-c", "1"]
QUIET = ["--without-gossip", "--without-mingle"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Any]:
    """One worker for all tests, on their database."""
    name = connection.settings_dict["NAME"]
    base, _, query = os.environ["DATABASE_URL"].partition("?")
    url = f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    with running([*WORKER, *QUIET], tmp_path_factory.mktemp("charged") / "worker.log", DATABASE_URL=url) as process:
        yield process


def standing(user: User) -> tuple[int, int, str]:
    balance = balances.of(user)
    return balance.available, balance.held, Hold.objects.get().state


@pytest.mark.parametrize(("then", "cost"), [("end", 8), ("3", 3), ("retry", 8)])
def test_a_job_that_is_done_is_paid_once(payer: User, worker: Any, then: str, cost: int) -> None:
    draw.charge(user=payer, amount=8, reference="picture 7", args=[then])
    wait_for("test:started")
    assert standing(payer) == (12, 8, "open")
    for _ in range(2 if then == "retry" else 1):
        tell("test:go")
        state = wait_for("test:ran")["state"]
    assert (state, standing(payer)) == ("SUCCESS", (20 - cost, 0, "settled"))
    assert Spend.objects.get().reference == "picture 7"


@pytest.mark.parametrize(("then", "state"), [("fail", "FAILURE"), ("0", "SUCCESS")])
def test_a_job_that_fails_or_uses_nothing_is_given_back(payer: User, worker: Any, then: str, state: str) -> None:
    draw.charge(user=payer, amount=8, args=[then])
    tell("test:go")
    assert (wait_for("test:ran")["state"], standing(payer)) == (state, (20, 0, "released"))


def test_a_killed_worker_neither_pays_nor_loses_the_job(payer: User, worker: Any) -> None:
    draw.charge(user=payer, amount=8, args=("end",))
    first = wait_for("test:started")
    os.kill(first["child"], signal.SIGKILL)
    second = wait_for("test:started")
    assert second["child"] != first["child"]
    assert standing(payer) == (12, 8, "open")
    tell("test:go")
    assert wait_for("test:ran")["state"] == "SUCCESS"
    assert (standing(payer), Spend.objects.count()) == ((12, 0, "settled"), 1)


def test_a_job_that_was_given_back_before_it_began_is_skipped(payer: User, worker: Any) -> None:
    with transaction.atomic():  # it is sent when this is committed
        held = draw.charge(user=payer, amount=8, args=("end",))
        holds.release(hold=held.id)
    assert wait_for("test:ran")["state"] == "SUCCESS"  # without having waited for the test to let it go on
    assert standing(payer) == (20, 0, "released")


def test_a_job_that_nobody_holds_credits_for_does_not_run(payer: User) -> None:
    with pytest.raises(NothingHeld):
        draw.apply(args=("end",), throw=True)


def test_a_job_is_sent_when_its_hold_is_committed(payer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(draw, "apply_async", lambda *args, **kwargs: sent.append(kwargs))
    with transaction.atomic():
        draw.charge(user=payer, amount=8, args=("end",))
        assert sent == []
        transaction.set_rollback(True)
    assert (sent, Hold.objects.count()) == ([], 0)
    with pytest.raises(errors.InsufficientCredits):
        draw.charge(user=payer, amount=21, args=("end",))
    assert sent == []
    first, again = [draw.charge(user=payer, amount=8, key="picture 7", args=("end",)) for _ in range(2)]
    assert (first.id, len(sent)) == (again.id, 1)
