import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction
from kombu import pools

from config import broker, tasks
from config.celery import QUEUES, SWEEPS, Sweep, app, route
from rest import publishing


@pytest.fixture
def closed_broker(monkeypatch) -> Iterator[None]:
    """The application, sending to a port where nobody listens; waiting for it to come back is not allowed."""

    def no_waiting(seconds: float) -> None:
        raise AssertionError(f"the caller would wait {seconds} s")

    monkeypatch.setattr("kombu.utils.functional.sleep", no_waiting)
    monkeypatch.setattr("kombu.connection.sleep", no_waiting, raising=False)
    usual = app.conf.broker_url
    _send_to("redis://127.0.0.1:1/0")
    yield
    _send_to(usual)


def _send_to(url: str) -> None:
    app.conf.update(broker_url=url, broker_write_url=url)
    pools.reset()
    vars(app)["_pool"] = vars(app.amqp)["_producer_pool"] = None


def test_task_goes_to_the_queue_of_its_app() -> None:
    tasks.heartbeat.delay("upkeep")
    assert broker.queue_depths() == {"default": 0, "upkeep": 1}
    assert route("billing.tasks.send_refund") == {"queue": "default"}


def test_misspelt_queue_is_an_error() -> None:
    with pytest.raises(Exception, match="missing from task_queues"):
        tasks.heartbeat.apply_async(("upkeep",), queue="upkep")
    assert sum(broker.queue_depths().values()) == 0


def test_keys_of_the_broker_carry_our_prefix() -> None:
    of_all_workers = settings.REDIS_PREFIX.removesuffix(os.environ.get("PYTEST_XDIST_WORKER", ""))
    tasks.heartbeat.delay("upkeep")
    keys = [str(key) for key in broker.client().keys("*upkeep*")]
    assert settings.REDIS_PREFIX + "upkeep" in keys
    assert all(key.startswith(of_all_workers) for key in keys)


def test_sending_while_the_broker_is_away_costs_neither_the_caller_nor_its_time(closed_broker, caplog) -> None:
    before = publishing.NOT_SENT.labels("config.tasks.heartbeat")._value.get()
    assert tasks.heartbeat.delay("upkeep") is None
    assert publishing.NOT_SENT.labels("config.tasks.heartbeat")._value.get() == before + 1
    [record] = [record for record in caplog.records if record.msg == "task.not_sent"]
    assert record.task == "config.tasks.heartbeat"


def test_commit_stands_when_the_broker_is_away(closed_broker, transactional_db, django_user_model) -> None:
    with transaction.atomic():
        django_user_model.objects.create(username="buyer")
        tasks.heartbeat.delay_on_commit("upkeep")  # type: ignore[attr-defined]  # unknown to celery-types
    assert django_user_model.objects.filter(username="buyer").exists()


@pytest.mark.parametrize(
    "when",
    [
        {"countdown": settings.TASK_LONGEST_DELAY_SECONDS + 1},
        {"eta": datetime.now(UTC) + timedelta(days=1)},
        {"eta": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    ],
)
def test_task_may_not_wait_longer_than_the_broker_keeps_it(when) -> None:
    with pytest.raises(publishing.TooFarAhead):
        tasks.heartbeat.apply_async(("upkeep",), **when)
    assert sum(broker.queue_depths().values()) == 0


def test_task_may_wait_for_as_long_as_allowed() -> None:
    assert tasks.heartbeat.apply_async(("upkeep",), countdown=settings.TASK_LONGEST_DELAY_SECONDS - 1)
    assert settings.TASK_LONGEST_DELAY_SECONDS < settings.TASK_VISIBILITY_TIMEOUT_SECONDS


def test_work_is_safe_against_lost_workers() -> None:
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.accept_content == ["json"]
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.task_ignore_result
    assert 0 < app.conf.task_soft_time_limit < app.conf.task_time_limit
    assert app.conf.broker_transport_options["visibility_timeout"] >= 2 * app.conf.task_time_limit


def test_beat_schedule_is_the_table() -> None:
    schedule = app.conf.beat_schedule
    assert set(schedule) == set(SWEEPS)
    assert schedule["heartbeat of upkeep"] == {
        "task": "config.tasks.heartbeat",
        "schedule": settings.HEARTBEAT_SECONDS,
        "args": ("upkeep",),
        "options": {"queue": "upkeep", "expires": settings.HEARTBEAT_SECONDS},
    }


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_is_a_task_that_a_test_names(name: str, db) -> None:
    sweep: Sweep = SWEEPS[name]
    app.loader.import_default_modules()  # runs Django's checks too, and dj-stripe's ask the database
    assert sweep.task in app.tasks
    folder, called = sweep.task.split(".")[0], ".".join(sweep.task.split(".")[-2:])
    naming = [path for path in Path(settings.BASE_DIR, folder).glob("tests/**/test_*.py") if called in path.read_text()]
    assert [path for path in naming if path != Path(__file__)], f"no test of {folder} runs {called}"


@pytest.mark.parametrize("queue", QUEUES)
def test_heartbeat_is_young_once_it_ran(queue: str) -> None:
    assert broker.heartbeat_ages()[f"worker:{queue}"] is None
    tasks.heartbeat(queue)
    age = broker.heartbeat_ages()[f"worker:{queue}"]
    assert age is not None
    assert 0 <= age < settings.HEARTBEAT_STALE_SECONDS
