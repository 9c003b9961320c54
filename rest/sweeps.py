"""What the sweeps share: how rows are claimed, and that each stands alone."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import Model, QuerySet

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)


def free(due: QuerySet[M], *, by: str, most: int) -> list[M]:
    """The first of the due that no other worker has, locked until the transaction ends."""
    return list(due.select_for_update(of=("self",), skip_locked=True, no_key=True).order_by(by)[:most])


@transaction.atomic
def claim(due: QuerySet[M], *, by: str, most: int, then: Callable[[M], object], writes: Sequence[str]) -> list[M]:
    """Some of the due, each with what `then` says of it written down, its next time above all: a worker that dies now
    delays them, and loses none."""
    found = free(due, by=by, most=most)
    for each in found:
        then(each)
    due.model._default_manager.bulk_update(found, writes)
    return found


@dataclass(slots=True)
class Row:
    """What was wrong with it, for a sweep that writes it down."""

    fault: Exception | None = None


@contextmanager
def alone(trouble: str, **facts: str) -> Iterator[Row]:
    """Whatever fails with one row must not keep those behind it waiting; it comes up again. The time limit of the task
    is no row's trouble: it ends the sweep."""
    row = Row()
    try:
        yield row
    except SoftTimeLimitExceeded:
        raise
    except Exception as fault:
        row.fault = fault
        logger.exception(trouble, extra=facts)
