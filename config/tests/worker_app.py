"""The application as workers run it, with tasks that tell the tests what happens to them."""

import json
import os
from typing import Any

from celery.signals import task_postrun, worker_ready
from django.conf import settings

from config import broker
from config.celery import app
from rest import requestid
from rest.connections import connected

LONG = 90  # seconds after which a blocking read gives up; nothing here takes so long unless it is broken


def tell(name: str, **facts: Any) -> None:
    broker.client().rpush(settings.REDIS_PREFIX + name, json.dumps(facts))


def wait_for(name: str) -> dict[str, Any]:
    """Block until somebody tells it."""
    with connected(settings.REDIS_URL, LONG + 5, decodes=True) as patient:
        told = patient.blpop([settings.REDIS_PREFIX + name], timeout=LONG)
    assert told is not None, f"nobody told {name}"
    facts: dict[str, Any] = json.loads(told[1])
    return facts


@worker_ready.connect
def say_ready(**_: Any) -> None:
    tell("test:ready")


@task_postrun.connect
def say_what_ran(task: Any, state: str, **_: Any) -> None:
    tell("test:ran", task=task.name, state=state)


@app.task
def say_request_id() -> None:
    tell("test:request-id", request_id=requestid.current())


@app.task
def fail(secret: str) -> None:
    raise ValueError(f"cannot use token={secret}")


# Limits of its own: a test that shortens everybody's, so that a lost task comes back soon, must not hit this one.
@app.task(time_limit=LONG, soft_time_limit=LONG)
def act_once(key: str) -> None:
    """Safe to run twice, as every task of ours is; the test decides when it may go on."""
    tell("test:started", child=os.getpid(), worker=os.getppid())
    wait_for("test:go")
    tell("test:done", is_first=bool(broker.client().set(f"{settings.REDIS_PREFIX}test:effect:{key}", "1", nx=True)))
