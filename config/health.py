"""Health: what load balancers, orchestrators and people on call ask; nothing here needs a login."""

import platform
import shutil
from functools import cache
from importlib.metadata import version as installed
from typing import Any

from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from billing.gateways import registry
from config import broker, probes
from config.monitoring import monitors_only
from config.probes import DEGRADED, DOWN, OK, Answer, Probe

DATABASE = Probe(probes.database, when_silent=DOWN)
MIGRATIONS = Probe(probes.migrations, when_silent=DOWN)

# Without the database nothing works; without the rest the API still answers and sweeps catch up later.
CHECKS = {
    "database": DATABASE,
    "migrations": MIGRATIONS,
    "broker": Probe(probes.redis_broker, when_silent=DEGRADED),
    "workers": Probe(probes.workers, when_silent=DEGRADED),
    "beat": Probe(probes.beat, when_silent=DEGRADED),
    "streams": Probe(probes.streams, when_silent=DEGRADED),
}

# One probe per gateway, by its name. The questions are asked with patience, and the answers kept for some seconds.
GATEWAYS: dict[str, Probe] = {name: Probe(probes.gateway(name), when_silent=DOWN) for name in registry.BUILDERS}


@never_cache
@require_safe
def overall(request: HttpRequest) -> HttpResponse:
    answers, gateways = _ask_all()
    if gateways:  # a gateway that is down is a degraded shop, since there are others
        answers["gateways"] = Answer(status=OK if _worst(gateways) == OK else DEGRADED)
    return _reply(_worst(answers), checks=_as_json(answers))


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """This process answers. It asks nobody: restarting us would not mend a database."""
    return _reply(OK)


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Whether requests should be sent here: the database answers and has our tables."""
    answers = _ask({"database": DATABASE, "migrations": MIGRATIONS})
    reasons = [f"{name}: {answer.detail}" for name, answer in answers.items() if answer.status != OK]
    return _reply(DOWN if reasons else OK, reasons=reasons)


@never_cache
@require_safe
def database(request: HttpRequest) -> HttpResponse:
    answers = _ask({"database": DATABASE})
    return _reply(_worst(answers), checks=_as_json(answers))


@never_cache
@require_safe
def gateways(request: HttpRequest) -> HttpResponse:
    """The gateways one by one. A gateway that is away is news, not an outage of ours: the answer stays 200."""
    answers = _ask(GATEWAYS)
    listed = [{"name": name, **answer.as_json()} for name, answer in sorted(answers.items())]
    return _reply(OK if _worst(answers) == OK else DEGRADED, gateways=listed)


@never_cache
@require_safe
@monitors_only
def detailed(request: HttpRequest) -> HttpResponse:
    answers, gateways = _ask_all()
    disk = shutil.disk_usage(settings.BASE_DIR)
    return _reply(
        _worst(answers),
        checks={name: answer.as_json() | answer.facts for name, answer in answers.items()},
        gateways={name: answer.as_json() | answer.facts for name, answer in gateways.items()},
        versions=_versions(),
        queues=_queue_depths() if answers["broker"].status == OK else None,
        pool=pool_figures(),
        disk={"free_bytes": disk.free, "total_bytes": disk.total},
    )


def pool_figures() -> dict[str, int] | None:
    """The figures of this process's pool of connections; None where there is no pool, or none was needed yet."""
    pool = getattr(connections["default"], "_connection_pools", {}).get("default")
    return dict(pool.get_stats()) if pool is not None else None


def _queue_depths() -> dict[str, int] | None:
    try:
        return broker.queue_depths()
    except RedisError:
        return None


@cache
def _versions() -> dict[str, str]:
    return {
        "tirelire": settings.VERSION,
        "revision": settings.BUILD_REVISION,
        "python": platform.python_version(),
        **{name: installed(name) for name in ("django", "djangorestframework", "celery", "psycopg", "granian")},
    }


def _ask_all() -> tuple[dict[str, Answer], dict[str, Answer]]:
    """The house's and the gateways' answers, within the time of one question."""
    answers = _ask(CHECKS | GATEWAYS)
    return {name: answers[name] for name in CHECKS}, {name: answers[name] for name in GATEWAYS}


def _ask(checks: dict[str, Probe]) -> dict[str, Answer]:
    return probes.ask_all(checks, within_seconds=settings.HEALTH_TIMEOUT_SECONDS)


def _as_json(answers: dict[str, Answer]) -> dict[str, Any]:
    return {name: answer.as_json() for name, answer in answers.items()}


def _worst(answers: dict[str, Answer]) -> str:
    found = {answer.status for answer in answers.values()}
    return next((status for status in (DOWN, DEGRADED) if status in found), OK)


def _reply(status: str, **more: Any) -> HttpResponse:
    if status != DOWN:
        return JsonResponse({"status": status, **more})
    reply = JsonResponse({"status": status, **more}, status=503)
    reply["Retry-After"] = str(settings.HEALTH_RETRY_AFTER_SECONDS)
    return reply
