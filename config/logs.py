"""Logs: one line per event, request and task; JSON for machines, colours for people, and never a secret."""

import copy
import functools
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from celery.signals import task_postrun, task_prerun
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject
from structlog.typing import EventDict, Processor

from config.masking import masked
from rest import requestid

logger = logging.getLogger("tirelire.request")
task_logger = logging.getLogger("tirelire.task")

# Asked every few seconds by machines; their lines would bury the others.
QUIET_ROUTES = frozenset({"health", "health-live", "health-ready", "health-database", "metrics"})
LONGEST_PATH = 60  # of one that we do not have


def configuration(*, level: str, form: str) -> dict[str, Any]:
    """What Django's LOGGING is set to. The standard library's loggers and structlog's end in the same lines."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_request_id,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # the text of an exception is masked like everything else
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    is_json = form == "json"
    renderer: Processor = as_json if is_json else structlog.dev.ConsoleRenderer(colors=_wants_colours(), pad_event_to=0)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": JsonLines if is_json else Lines,
                "foreign_pre_chain": [*shared, drop_what_formatters_left],
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask, renderer],
            }
        },
        "handlers": {"console": {"()": Console, "formatter": "lines"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Django hangs handlers of its own on these; ours is at the root.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            # The line per request says that it was a 404; the traceback of a 500 is still wanted.
            "django.request": {"level": "ERROR"},
            # Scanners ask for hosts of all names; the line per request says 400, a traceback says no more.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            # Ours are the lines per task.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            # Ours are the lines per call of a gateway; its own carry whole queries and what Stripe says of people.
            "stripe": {"level": "WARNING"},
            # Four lines for each document that it makes.
            "factur-x": {"level": "WARNING"},
            # A line every few seconds that says no more than that time goes by.
            "celery.beat": {"level": "WARNING"},
        },
    }


def _wants_colours() -> bool:
    """On a terminal, unless told otherwise; `manage.py up` reads us through a pipe and says what its terminal can."""
    return "FORCE_COLOR" in os.environ or ("NO_COLOR" not in os.environ and sys.stderr.isatty())


def add_request_id(_: Any, __: str, event: EventDict) -> EventDict:
    if request_id := requestid.current():
        event.setdefault("request_id", request_id)
    return event


def drop_what_formatters_left(_: Any, __: str, event: EventDict) -> EventDict:
    """Another handler's formatter leaves the text and time that it made on the record, unmasked."""
    event.pop("message", None)
    event.pop("asctime", None)
    return event


def mask(_: Any, __: str, event: EventDict) -> EventDict:
    """The last step before the line is written, so that nothing gets in behind it."""
    hidden: EventDict = masked(event)
    return hidden


def as_json(_: Any, __: str, event: EventDict) -> str:
    """What orjson refuses (a number beyond 64 bits, half a surrogate), the slower writer still writes."""
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:
        return json.dumps(event, default=str, ensure_ascii=False)


# No line says by which thread or process it was written, and each record would ask for them.
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False

# What every record has; the rest is what its caller said.
_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class Lines(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return super().format(_without_its_path(record))


def _without_its_path(record: logging.LogRecord) -> logging.LogRecord:
    """Django's own lines of a request that failed, or that it refused, name its whole path twice."""
    request = getattr(record, "request", None)
    if not isinstance(request, HttpRequest):
        return record
    told = copy.copy(record)
    del told.__dict__["request"]
    if isinstance(record.args, tuple):
        told.args = tuple(_place_of(request) if each == request.path else each for each in record.args)
    return told


class JsonLines(Lines):
    """Plain records are written without structlog's chain: a line then costs a third, and there is one per request."""

    def format(self, record: logging.LogRecord) -> str:
        record = _without_its_path(record)
        if record.exc_info or record.exc_text or record.stack_info or isinstance(record.msg, dict):
            return super().format(record)
        event: EventDict = {name: value for name, value in record.__dict__.items() if name not in _OF_EVERY_RECORD}
        event.update(event=record.getMessage(), level=record.levelname.lower(), logger=record.name)
        event = mask(None, "", add_request_id(None, "", event))
        event["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
        return as_json(None, "", event)


class Console(logging.StreamHandler[Any]):
    """Each line is one write of its own, without a lock: to wait for another thread's line costs more than the line."""

    def handle(self, record: logging.LogRecord) -> bool:
        try:
            descriptor = self.stream.fileno()
        except (AttributeError, OSError, ValueError):
            return bool(
                super().handle(record)
            )  # a stream of the interpreter's own, as Celery and tests put in its place
        passed = self.filter(record)
        if passed:
            try:
                _write(descriptor, self.format(record).encode(errors="backslashreplace") + b"\n")
            except Exception:  # noqa: BLE001 - as the standard library's own handlers: no act fails for its line
                self.handleError(record)
        return bool(passed)


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


# ---------------------------------------------------------------- one line per request


class RequestLog:
    """Says what was asked, by whom, what came of it and how long it took. Routes, not paths: a path may be a secret."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started_at = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        quiet = match is not None and match.url_name in QUIET_ROUTES and response.status_code == 200  # noqa: PLR2004
        level = logging.DEBUG if quiet else logging.WARNING if response.status_code >= 500 else logging.INFO  # noqa: PLR2004
        if logger.isEnabledFor(level):
            said = {
                "method": request.method,
                "route": "/" + match.route if match is not None else None,
                "status": response.status_code,
                "ms": round((time.perf_counter() - started_at) * 1000, 1),
                **_caller(request),
            }
            if match is None:
                said["path"] = _place_of(request)
            if request_id := response.headers.get(requestid.HEADER):
                said["request_id"] = request_id  # the middleware that binds it has unbound it by now
            logger.log(level, "request", extra=said)
        return response


def _place_of(request: HttpRequest) -> str:
    """What a line may say of an address: a slash too many behind a signed link leads nowhere, and is the link still."""
    if request.resolver_match is not None:
        return "/" + request.resolver_match.route
    first, *others = [*filter(None, request.path.split("/")), ""]
    return "/" + first[:LONGEST_PATH] + ("/…" if any(others) else "")


def _caller(request: HttpRequest) -> dict[str, Any]:
    """Who asked, when that is known already: a line in a log is no reason to ask the database."""
    caller = request.__dict__.get("auth")  # the API's; the rest of the house has sessions
    user = request.__dict__.get("_cached_user") or request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):  # nobody has looked yet
        user = None
    kind = getattr(caller, "kind", None) or (user and ("operator" if user.is_authenticated else "anonymous"))
    said = {"caller": kind and str(kind), "user": user and user.pk}
    if identity := getattr(caller, "identity", None):
        said["identity"] = identity
    return said


# ---------------------------------------------------------------- one line per task


@task_prerun.connect
def task_starts(task: Any, **_: Any) -> None:
    request = task.request
    # A task that the beat started has no request; its own id ties its lines together.
    request.requestid_before = requestid.bind(getattr(request, "request_id", "") or request.id or requestid.new())
    request.started_at = time.perf_counter()


@task_postrun.connect
def task_ended(task: Any, task_id: str | None = None, state: str | None = None, **_: Any) -> None:
    request = task.request
    level = logging.INFO if state == "SUCCESS" else logging.WARNING
    if state == "SUCCESS" and task.name in _sweeps():
        level = logging.DEBUG  # every few seconds, mostly to find nothing; what they do has lines of its own
    extra = {"task": task.name, "task_id": task_id, "state": state, "retries": request.retries}
    if (started_at := getattr(request, "started_at", None)) is not None:
        extra["ms"] = round((time.perf_counter() - started_at) * 1000, 1)
    task_logger.log(level, "task", extra=extra)
    if (before := getattr(request, "requestid_before", None)) is not None:
        requestid.reset(before)


@functools.cache
def _sweeps() -> frozenset[str]:
    from config.celery import SWEEPS  # which is set up by whoever reads the settings, and they read this module

    return frozenset(sweep.task for sweep in SWEEPS.values())
