"""Real workers on the real broker: what arrives, what survives a kill -9, and what the log says about it."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config import broker, tasks
from config.tests import worker_app
from config.tests.processes import BEAT, WORKER, kill_group, running
from config.tests.worker_app import wait_for
from rest import requestid


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def worker(log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """One that is ready. What were sent before could be handed to the worker of another test, killed a moment ago: the
    broker gives whatever comes first to a reader whose end it has not heard of yet."""
    with running(WORKER, log) as process:
        wait_for("test:ready")
        yield process


def test_request_id_reaches_the_worker_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with worker(log) as process:
        token = requestid.bind("req-of-the-web")
        try:
            worker_app.say_request_id.delay()
        finally:
            requestid.reset(token)
        assert wait_for("test:request-id") == {"request_id": "req-of-the-web"}
        process.terminate()  # a warm stop: everything is written
        process.wait()
    [line] = [line for line in lines(log) if line["event"] == "task"]
    assert line["task"] == "config.tests.worker_app.say_request_id"
    assert (line["state"], line["request_id"], line["level"]) == ("SUCCESS", "req-of-the-web", "info")
    assert line["ms"] > 0


def test_failure_is_logged_with_its_traceback_and_without_the_secret(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with worker(log) as process:
        worker_app.fail.delay("tl_0123456789abcdef")
        assert wait_for("test:ran")["state"] == "FAILURE"
        process.terminate()
        process.wait()
    text = log.read_text()
    assert "ValueError: cannot use token=***" in text
    assert "tl_0123456789abcdef" not in text
    assert {line["state"] for line in lines(log) if line["event"] == "task"} == {"FAILURE"}


def test_task_of_a_killed_child_is_done_once_in_effect(tmp_path: Path) -> None:
    with worker(tmp_path / "worker.log"):
        worker_app.act_once.delay("order-1")
        first = wait_for("test:started")
        os.kill(first["child"], signal.SIGKILL)
        second = wait_for("test:started")
        assert second["child"] != first["child"]
        worker_app.tell("test:go")
        assert wait_for("test:done") == {"is_first": True}


def test_task_of_a_killed_worker_is_done_once_in_effect(tmp_path: Path) -> None:
    short = {
        "TASK_VISIBILITY_TIMEOUT_SECONDS": "2",
        "TASK_TIME_LIMIT_SECONDS": "1",
        "TASK_SOFT_TIME_LIMIT_SECONDS": "1",
    }
    with worker(tmp_path / "first.log") as process:
        worker_app.act_once.delay("order-2")
        first = wait_for("test:started")
        assert first["worker"] == process.pid
        kill_group(process)
    with running(WORKER, tmp_path / "second.log", **short) as process:
        assert wait_for("test:started")["worker"] == process.pid
        worker_app.tell("test:go")  # not before: who was killed may still stand in line for it
        assert wait_for("test:done") == {"is_first": True}


def test_beat_and_worker_show_that_they_live(tmp_path: Path) -> None:
    assert set(broker.heartbeat_ages().values()) == {None}
    schedule = str(tmp_path / "beat")
    with (
        running(WORKER, tmp_path / "worker.log"),
        running([*BEAT, "-s", schedule], tmp_path / "beat.log", HEARTBEAT_SECONDS="1"),
    ):
        seen: set[str] = set()
        while len(seen) < 2:
            ran = wait_for("test:ran")
            if ran["task"] != tasks.heartbeat.name:
                continue  # a sweep whose time has come; there is no database for it here
            assert ran["state"] == "SUCCESS"
            ages = broker.heartbeat_ages()
            seen = {name for name, age in ages.items() if name.startswith("worker:") and age is not None}
        assert None not in broker.heartbeat_ages().values()
