import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test import Client, override_settings
from psycopg_pool import ConnectionPool

from config import broker, metrics, tasks

BEARER = {"HTTP_AUTHORIZATION": "Bearer a-token-of-the-tests"}
FAR: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.9"}


def value(text: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def scrape(client: Client) -> str:
    return client.get("/metrics").content.decode()


def test_request_is_counted_by_route_method_and_status(client: Client, db) -> None:
    sample = 'tirelire_requests_total{method="GET",route="home",status="200"}'
    before = value(scrape(client), sample)
    client.get("/")
    after = scrape(client)
    assert value(after, sample) == before + 1
    assert value(after, 'tirelire_request_seconds_count{method="GET",route="home"}') >= 1


def test_paths_and_methods_that_we_do_not_have_share_one_name(client: Client) -> None:
    for path in ("/wp-login.php", "/.env", "/a/b/c"):
        client.generic("BREW", path)
    text = scrape(client)
    assert value(text, 'tirelire_requests_total{method="other",route="unmatched",status="404"}') >= 3
    assert "wp-login" not in text
    assert "BREW" not in text


def test_only_the_scrape_itself_is_in_flight(client: Client) -> None:
    assert value(scrape(client), "tirelire_requests_in_flight") == 1


def test_queues_heartbeats_and_build_are_read_when_asked(client: Client, settings) -> None:
    tasks.heartbeat.delay("upkeep")
    broker.note_heartbeat("worker:upkeep")
    text = scrape(client)
    assert value(text, 'tirelire_queue_depth{queue="upkeep"}') == 1
    assert value(text, 'tirelire_queue_depth{queue="default"}') == 0
    assert 0 <= value(text, 'tirelire_heartbeat_age_seconds{of="worker:upkeep"}') < 60
    assert value(text, 'tirelire_heartbeat_age_seconds{of="worker:default"}') == float("inf")
    assert f'tirelire_build_info{{revision="",version="{settings.VERSION}"}} 1.0' in text
    assert value(text, "tirelire_broker_up") == 1


def test_scrape_goes_on_without_redis(client: Client, settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    text = scrape(client)
    assert value(text, "tirelire_broker_up") == 0
    assert "tirelire_requests_total" in text


def test_task_that_is_not_sent_is_counted(client: Client) -> None:
    assert "# TYPE tirelire_tasks_not_sent_total counter" in scrape(client)


@pytest.mark.parametrize("path", ["/metrics", "/health/detailed"])
@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "::ffff:127.0.0.1"}, 200),
        (FAR, 404),
        ({"REMOTE_ADDR": ""}, 404),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}, 404),  # a front on this machine
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 404),  # anybody can write that
        (FAR | BEARER, 200),
        (FAR | BEARER | {"HTTP_X_FORWARDED_FOR": "198.51.100.7"}, 200),
        (FAR | {"HTTP_AUTHORIZATION": "Bearer a-token-of-the-test"}, 404),
        (FAR | {"HTTP_AUTHORIZATION": "Bearer "}, 404),
        (FAR | {"HTTP_AUTHORIZATION": "Bearer tökén"}, 404),
        (FAR | {"HTTP_AUTHORIZATION": "Basic a-token-of-the-tests"}, 404),
    ],
)
def test_figures_are_for_monitors(client: Client, db, path: str, given: dict[str, Any], status: int) -> None:
    with override_settings(METRICS_TOKEN="a-token-of-the-tests"):
        assert client.get(path, **given).status_code == status


@pytest.mark.parametrize("path", ["/metrics", "/health/detailed"])
def test_monitor_with_the_token_asks_by_any_address(client: Client, db, settings, path: str) -> None:
    """A scraper names what it asks: `stream:8001`, or the address of a pod, which ALLOWED_HOSTS cannot list."""
    settings.METRICS_TOKEN = "a-token-of-the-tests"
    asked: dict[str, Any] = {"HTTP_HOST": "10.42.0.7:8001", "REMOTE_ADDR": "10.42.0.2"}
    assert client.get(path, HTTP_AUTHORIZATION="Bearer a-token-of-the-tests", **asked).status_code == 200
    assert client.get(path, HTTP_AUTHORIZATION="Bearer another", **asked).status_code == 400
    assert client.get(path, HTTP_HOST="rebound.example.com", REMOTE_ADDR="127.0.0.1").status_code == 400
    assert client.get("/health", HTTP_AUTHORIZATION="Bearer a-token-of-the-tests", **asked).status_code == 400


def test_without_a_token_no_token_fits(client: Client, settings) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", **FAR, HTTP_AUTHORIZATION="Bearer ").status_code == 404


def test_allow_list_takes_networks(client: Client, settings) -> None:
    settings.METRICS_ALLOWED_IPS = ["10.1.0.0/16"]
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="10.2.2.3").status_code == 404


# ---------------------------------------------------------------- several processes

PROCESS = """
import sys, django
django.setup()
from config import metrics
metrics.REQUESTS.labels("planted", "GET", "200").inc()
metrics.IN_FLIGHT.inc()
print("ready", flush=True)
sys.stdin.readline()
"""


def start(folder: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: "subprocess.Popen[str]", number: int) -> None:
    process.send_signal(number)
    process.communicate()


def test_processes_are_summed_and_the_dead_have_nothing_in_flight(client: Client, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "made-when-needed"
    first, second = start(folder), start(folder)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
    counted = 'tirelire_requests_total{method="GET",route="planted",status="200"}'
    try:
        text = scrape(client)
        assert value(text, counted) == 2
        assert value(text, "tirelire_requests_in_flight") == 2
        end(first, signal.SIGKILL)
        text = scrape(client)
        assert value(text, counted) == 2  # what was counted stays counted
        assert value(text, "tirelire_requests_in_flight") == 1
    finally:
        end(first, signal.SIGKILL)
        end(second, signal.SIGKILL)


def test_pool_of_this_process_is_shown(client: Client, db, monkeypatch) -> None:
    known = connection.get_connection_params()
    known.pop("context")
    with ConnectionPool(kwargs=known, min_size=2, max_size=3) as pool:
        pool.wait()
        monkeypatch.setitem(vars(DatabaseWrapper)["_connection_pools"], "default", pool)
        with pool.connection():
            metrics.note_pool()
        text = scrape(client)
    assert value(text, 'tirelire_database_pool{state="open"}') == 2
    assert value(text, 'tirelire_database_pool{state="idle"}') == 1
    assert value(text, 'tirelire_database_pool{state="most"}') == 3
    assert value(text, 'tirelire_database_pool{state="awaited"}') == 0


@pytest.mark.parametrize("ends", ["SUCCESS", "FAILURE"])
def test_task_is_counted_by_how_it_ended(client: Client, ends: str) -> None:
    sample = f'tirelire_tasks_total{{state="{ends.lower()}",task="config.tasks.heartbeat"}}'
    before = value(scrape(client), sample)
    metrics.task_starts()
    metrics.task_ended(tasks.heartbeat, state=ends)
    assert value(scrape(client), sample) == before + 1
    assert value(scrape(client), 'tirelire_task_seconds_count{task="config.tasks.heartbeat"}') >= 1
