"""The worker application of the tests, whose processes stop in the middle of a letter, where the test says."""

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

import django

django.setup()  # the worker loads this module before it sets Django up

from celery.signals import task_prerun  # noqa: E402

from billing import asking, fulfilment, inbox, readers  # noqa: E402
from billing.models import GatewayLetter  # noqa: E402
from billing.models.inbox import LetterState  # noqa: E402
from config.celery import app  # noqa: E402
from config.tests.worker_app import tell, wait_for  # noqa: E402

__all__ = ["app"]

_of_this_process: dict[str, Any] = {}


@task_prerun.connect
def be_told_where_to_stop(task: Any, **_: Any) -> None:
    if task.name == "billing.tasks.drain_inbox":
        _of_this_process.update(place=wait_for("test:stop")["place"], letters=[])


def stop_at(place: str) -> None:
    if place == _of_this_process["place"]:
        tell("test:stopped", child=os.getpid(), in_hand=_of_this_process["letters"])
        wait_for("test:death")


def stopping(module: Any, name: str, *, before: str = "", behind: str = "") -> None:
    real: Callable[..., Any] = getattr(module, name)

    def act(*args: Any, **facts: Any) -> Any:
        if before:
            stop_at(before)
        done = real(*args, **facts)
        if behind:
            stop_at(behind)
        return done

    setattr(module, name, act)


def claim(now: datetime) -> list[GatewayLetter]:
    found = _claim(now)
    _of_this_process["letters"] = [str(letter.pk) for letter in found]
    return found


def read(letter: GatewayLetter, batch: readers.Batch) -> LetterState:
    state = _read(letter, batch)
    _of_this_process["letters"].remove(str(letter.pk))
    return state


_claim, inbox._claim = inbox._claim, claim
_read, readers.read = readers.read, read
# Each is one more step: nothing is done, the answer is heard, it is written down, that is committed.
stopping(asking, "_answer", before="unasked", behind="unwritten")
stopping(fulfilment, "deliver", behind="uncommitted")
stopping(asking, "ask", behind="unclosed")
