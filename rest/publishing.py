"""How tasks are sent: with the request's id, never far into the future, and never at the cost of the caller."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from celery.contrib.django.task import DjangoTask
from celery.result import AsyncResult
from django.conf import settings
from kombu.exceptions import OperationalError
from prometheus_client import Counter
from redis.exceptions import RedisError

from rest import requestid

logger = logging.getLogger(__name__)

NOT_SENT = Counter(
    "tirelire_tasks_not_sent", "Tasks that the broker did not take; a sweep does their work later.", ["task"]
)


class TooFarAhead(Exception):
    """A task may not wait longer than the broker keeps it for one worker: it would be given to a second one."""

    def __init__(self, task: str, wait_seconds: float) -> None:
        limit = settings.TASK_LONGEST_DELAY_SECONDS
        super().__init__(f"{task} would wait {wait_seconds:.0f} s and may wait {limit} s. Let a sweep find it instead.")


class Task(DjangoTask):  # type: ignore[type-arg]  # generic in the stubs only
    """What every task of Tirelire is, also those made by @shared_task."""

    def apply_async(  # type: ignore[override]  # nothing comes back when nothing was sent
        self, args: Any = None, kwargs: Any = None, *positional: Any, **options: Any
    ) -> "AsyncResult[Any] | None":
        """Send the task; when the broker is away say so and go on, since a sweep will find what was left undone."""
        if (wait_seconds := _wait_seconds(options)) > settings.TASK_LONGEST_DELAY_SECONDS:
            raise TooFarAhead(self.name, wait_seconds)
        options["headers"] = {"request_id": requestid.current(), **(options.get("headers") or {})}
        options.setdefault("retry", False)
        try:
            return super().apply_async(args, kwargs, *positional, **options)
        except (OperationalError, RedisError, OSError) as error:
            NOT_SENT.labels(self.name).inc()
            logger.warning("task.not_sent", extra={"task": self.name, "reason": str(error)})
            return None


def _wait_seconds(options: Mapping[str, Any]) -> float:
    match options.get("eta"):
        case datetime() as eta:
            aware = eta if eta.tzinfo else eta.replace(tzinfo=UTC)
            return (aware - datetime.now(UTC)).total_seconds()
        case str() as eta:
            return _wait_seconds({"eta": datetime.fromisoformat(eta)})
    return float(options.get("countdown") or 0)
