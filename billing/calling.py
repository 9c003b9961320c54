"""Every call of a gateway: the breaker is asked, the time measured, and what surely did nothing is tried again.

Asked without it are only a probe of the health, which has a deadline of its own, the proof of a letter, whose writer
waits for our answer, and Stripe's catalogue, which an operator seeds and looks at.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from prometheus_client import Counter, Histogram

from billing import breaker
from billing.gateways.errors import FailureCategory, GatewayError, Unavailable

MOST_TRIES = 3

RESPONSE_SECONDS = Histogram(
    "payment_gateway_response_time",
    "Seconds until a gateway answered, or failed.",
    ["gateway", "operation"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
ERRORS = Counter(
    "payment_errors", "Calls of gateways that did not do what was asked.", ["gateway", "operation", "error", "category"]
)
RETRIES = Counter("payment_gateway_retries", "Calls of gateways that were tried again.", ["gateway", "operation"])

Answer = TypeVar("Answer")


def call(
    gateway: str,
    operation: str,
    act: Callable[[], Answer],
    *,
    is_new_attempt: bool = False,
    wait: Callable[[float], None] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> Answer:
    """`act` is one call of the adapter, under one reference however often it is tried. Only a new attempt is stopped by
    an open breaker: what is under way must be finished, asked about and given back."""
    with transaction.atomic(durable=True):
        pass  # refused inside a transaction, where nobody may wait for another company's server; sends no statement
    tries = max(1, min(settings.GATEWAY_TRIES, MOST_TRIES))
    for number in range(1, tries + 1):
        if is_new_attempt:
            breaker.admit(gateway)
        try:
            return _measured(gateway, operation, act)
        except Unavailable as error:
            pause = pause_seconds(error, number, chance())
            if number == tries or pause is None:
                raise
        RETRIES.labels(gateway, operation).inc()
        wait(pause)
    raise AssertionError("A call ends with an answer or an error.")


def pause_seconds(error: Unavailable, number: int, chance: float) -> float | None:
    """How long to wait after the `number`th try. None: again would be the same, or the gateway wants to be left alone
    for longer than a caller waits."""
    if error.category is not FailureCategory.PROVIDER_DOWN or isinstance(error, breaker.CircuitOpen):
        return None
    longest = settings.GATEWAY_RETRY_LONGEST_SECONDS
    most = min(longest, settings.GATEWAY_RETRY_FIRST_SECONDS * 2 ** (number - 1))
    asked = error.retry_after_seconds or 0
    # Between half and all of it, so that callers who failed together do not come back together.
    return max(most / 2 * (1 + chance), asked) if asked <= longest else None


def _measured(gateway: str, operation: str, act: Callable[[], Answer]) -> Answer:
    started = time.perf_counter()
    try:
        answer = act()
    except GatewayError as error:
        breaker.note(gateway, error)
        kind = next(each.__name__ for each in type(error).__mro__ if each.__base__ is GatewayError)
        ERRORS.labels(gateway, operation, kind, error.category.value).inc()
        raise
    finally:
        RESPONSE_SECONDS.labels(gateway, operation).observe(time.perf_counter() - started)
    breaker.note(gateway, None)
    return answer
