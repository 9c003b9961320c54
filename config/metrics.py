"""Figures for Prometheus, summed over all processes that share PROMETHEUS_MULTIPROC_DIR.

Payments bring their own names with them (billing/metrics.py); whatever is made with prometheus_client anywhere in the
code is shown here. The middleware is ours because it costs a request 8 µs where django-prometheus' two cost 58.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from celery.signals import task_postrun, task_prerun, worker_init, worker_process_shutdown
from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from config import broker
from config.monitoring import monitors_only

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each series, that nobody reads
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NOT_FOUND = "unmatched"  # one name for all paths that we do not have, or a scanner would fill the memory

REQUESTS = Counter("tirelire_requests", "Requests answered.", ["route", "method", "status"])
REQUEST_SECONDS = Histogram(
    "tirelire_request_seconds",
    "Time until the answer was made.",
    ["route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
IN_FLIGHT = Gauge("tirelire_requests_in_flight", "Requests being answered now.", multiprocess_mode="livesum")
TASKS = Counter("tirelire_tasks", "Tasks that ended, by how they ended.", ["task", "state"])
TASK_SECONDS = Histogram(
    "tirelire_task_seconds",
    "Time that tasks took.",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300),
)
POOL = Gauge("tirelire_database_pool", "Connections of the pools, by state.", ["state"], multiprocess_mode="livesum")
POOL_STATES = {"pool_size": "open", "pool_available": "idle", "requests_waiting": "awaited", "pool_max": "most"}


# ---------------------------------------------------------------- requests


class RequestMetrics:
    """Counts and times every request; outermost, so that the time of all middleware is in it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.pool_noted_at = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started_at = time.perf_counter()
        IN_FLIGHT.inc()
        try:
            response = self.get_response(request)
        finally:
            IN_FLIGHT.dec()
        now = time.perf_counter()
        method = request.method if request.method in METHODS else "other"
        counter, histogram = _of_route(route_name(request), method or "other", response.status_code)
        counter.inc()
        histogram.observe(now - started_at)
        if now - self.pool_noted_at > settings.METRICS_POOL_SECONDS:
            self.pool_noted_at = now
            note_pool()
        return response


def route_name(request: HttpRequest) -> str:
    match = request.resolver_match
    return match.view_name or match.route if match is not None else NOT_FOUND


@cache
def _of_route(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """Looking labels up costs more than counting; routes are few, so each is looked up once."""
    return REQUESTS.labels(route, method, str(status)), REQUEST_SECONDS.labels(route, method)


def note_pool() -> None:
    """Every process sees its own pool only, so each writes its figures down from time to time."""
    pool = getattr(connections["default"], "_connection_pools", {}).get("default")
    if pool is None:
        return
    figures = pool.get_stats()
    for name, state in POOL_STATES.items():
        POOL.labels(state).set(figures.get(name, 0))


# ---------------------------------------------------------------- tasks

_started = threading.local()


@task_prerun.connect
def task_starts(**_: Any) -> None:
    _started.at = time.perf_counter()


@task_postrun.connect
def task_ended(task: Any, state: str | None = None, **_: Any) -> None:
    TASKS.labels(task.name, (state or "unknown").lower()).inc()
    if (started_at := getattr(_started, "at", None)) is not None:
        TASK_SECONDS.labels(task.name).observe(time.perf_counter() - started_at)


@worker_process_shutdown.connect
def worker_process_ends(pid: int, **_: Any) -> None:
    if folder := _shared_folder():
        multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


@worker_init.connect
def worker_starts(**_: Any) -> None:
    """A worker without a web server beside it (a container of its own) shows its figures on a port of its own."""
    if settings.WORKER_METRICS_PORT:
        start_http_server(settings.WORKER_METRICS_PORT, settings.WORKER_METRICS_HOST, registry())


# ---------------------------------------------------------------- what is looked up when somebody asks


class Now(Collector):
    """What Redis and the build know at this moment."""

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("tirelire_build_info", "What runs here.", labels=["version", "revision"])
        build.add_metric([settings.VERSION, settings.BUILD_REVISION], 1)
        yield build
        is_up = GaugeMetricFamily("tirelire_broker_up", "Whether Redis answers.")
        try:
            depths, ages = broker.queue_depths(), broker.heartbeat_ages()
        except RedisError:
            is_up.add_metric([], 0)
            yield is_up
            return
        is_up.add_metric([], 1)
        yield is_up
        waiting = GaugeMetricFamily("tirelire_queue_depth", "Tasks waiting, by queue.", labels=["queue"])
        for queue, depth in depths.items():
            waiting.add_metric([queue], depth)
        yield waiting
        age = GaugeMetricFamily("tirelire_heartbeat_age_seconds", "Since a process was last seen.", labels=["of"])
        for name, seconds in ages.items():
            age.add_metric([name], float("inf") if seconds is None else seconds)
        yield age


def registry() -> CollectorRegistry:
    """Everything there is to show, from all processes when they share a folder."""
    shown = CollectorRegistry(auto_describe=False)
    shown.register(Now())
    if folder := _shared_folder():
        forget_dead_processes(folder)
        multiprocess.MultiProcessCollector(shown, str(folder))  # type: ignore[no-untyped-call]
    else:
        shown.register(REGISTRY)  # a registry collects like any collector
    return shown


def forget_dead_processes(folder: Path) -> None:
    """A process that was killed leaves its gauges behind: what it had in flight is nowhere any more."""
    for pid in {file.stem.rpartition("_")[2] for file in folder.glob("gauge_live*.db")}:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                multiprocess.mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]
        except (PermissionError, ValueError):
            continue


def _shared_folder() -> Path | None:
    named = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(named) if named else None


@never_cache
@require_safe
@monitors_only
def exposition(request: HttpRequest) -> HttpResponse:
    return HttpResponse(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)
