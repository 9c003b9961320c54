"""What the sweeps over money share: each row stands alone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from celery.exceptions import SoftTimeLimitExceeded

logger = logging.getLogger(__name__)


@contextmanager
def alone(trouble: str, **row: str) -> Iterator[None]:
    """Whatever fails with one row must not keep those behind it waiting; it comes up again. The time limit of the task
    is no row's trouble: it ends the sweep."""
    try:
        yield
    except SoftTimeLimitExceeded:
        raise
    except Exception:
        logger.exception(trouble, extra=row)
