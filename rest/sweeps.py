"""What the sweeps share: each row stands alone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from celery.exceptions import SoftTimeLimitExceeded

logger = logging.getLogger(__name__)


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
