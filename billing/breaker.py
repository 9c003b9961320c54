"""A circuit breaker per gateway, shared by all processes: an open one stops new attempts and nothing else.

It stands in Redis, and in the database for as long as Redis is away. What counts are failures one after the other: a
connection, a timeout, a 5xx, a 429. A refusal is an answer, and closes it.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import ClassVar, Protocol, TypeVar

import redis
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.gateways.errors import FailureCategory, GatewayError, Unavailable
from billing.models import BreakerState
from billing.routing import Health
from rest import limits

logger = logging.getLogger(__name__)

TRIPPED_KEPT_SECONDS = 86_400  # a breaker that nobody tried for a day is closed again
CODE = "breaker_open"
Answer = TypeVar("Answer")


class CircuitOpen(Unavailable):
    """Nothing was sent: the gateway failed too often just now."""

    def __init__(self, gateway: str, retry_after_seconds: int) -> None:
        super().__init__(
            f"{gateway} failed too often just now.",
            gateway=gateway,
            category=FailureCategory.PROVIDER_DOWN,
            code=CODE,
            retry_after_seconds=max(1, retry_after_seconds),
        )


def admit(gateway: str) -> None:
    """Before a new attempt. Half open, one caller may try; the others are refused until it is known how that went."""
    wait = _store().admit(gateway)
    if wait is not None:
        raise CircuitOpen(gateway, wait)


def note(gateway: str, failure: GatewayError | None) -> None:
    """How a call ended, of a status query too."""
    if failure is None or not counts(failure):
        _store().note_success(gateway)
    elif _store().note_failure(gateway):
        logger.warning("gateway.breaker_opened", extra={"gateway": gateway, "code": failure.code})


def counts(failure: GatewayError) -> bool:
    return failure.category is FailureCategory.PROVIDER_DOWN and not isinstance(failure, CircuitOpen)


def states(gateways: Iterable[str]) -> Mapping[str, Health]:
    return _store().states(list(gateways))


# ---------------------------------------------------------------- where it stands


class Store(Protocol):
    def admit(self, gateway: str) -> int | None: ...  # None: go on; else how many seconds to wait
    def note_success(self, gateway: str) -> None: ...
    def note_failure(self, gateway: str) -> bool: ...  # whether this one opened it
    def states(self, gateways: list[str]) -> dict[str, Health]: ...


class RedisStore:
    # Keys with an end, and no clock but that of Redis. `tripped` outlives `open`: between them it is half open.
    FAILURE = """
        if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
        if redis.call('EXISTS', KEYS[3]) == 0 then
            local failures = redis.call('INCR', KEYS[1])
            if failures == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
            if failures < tonumber(ARGV[1]) then return 0 end
        end
        redis.call('SET', KEYS[2], 1, 'EX', ARGV[3])
        redis.call('SET', KEYS[3], 1, 'EX', ARGV[4])
        redis.call('DEL', KEYS[1], KEYS[4])
        return 1
    """
    ADMIT = """
        local left = redis.call('TTL', KEYS[2])
        if left >= 0 then return left end
        if redis.call('EXISTS', KEYS[3]) == 0 then return -1 end
        if redis.call('SET', KEYS[4], 1, 'NX', 'EX', ARGV[1]) then return -1 end
        return redis.call('TTL', KEYS[4])
    """

    def __init__(self, client: "redis.Redis") -> None:
        self.client = client

    def admit(self, gateway: str) -> int | None:
        left = int(self.client.eval(self.ADMIT, 4, *_keys(gateway), settings.GATEWAY_BREAKER_PROBE_SECONDS))
        return None if left < 0 else left

    def note_success(self, gateway: str) -> None:
        self.client.delete(*_keys(gateway))

    def note_failure(self, gateway: str) -> bool:
        opened = self.client.eval(
            self.FAILURE,
            4,
            *_keys(gateway),
            settings.GATEWAY_BREAKER_FAILURES,
            settings.GATEWAY_BREAKER_WINDOW_SECONDS,
            settings.GATEWAY_BREAKER_OPEN_SECONDS,
            TRIPPED_KEPT_SECONDS,
        )
        return bool(opened)

    def states(self, gateways: list[str]) -> dict[str, Health]:
        with self.client.pipeline(transaction=False) as pipe:
            for gateway in gateways:
                _failures, is_open, tripped, _probe = _keys(gateway)
                pipe.exists(is_open)
                pipe.exists(tripped)
            found = pipe.execute()
        pairs = zip(found[::2], found[1::2], strict=True)
        return {gateway: _health(*pair) for gateway, pair in zip(gateways, pairs, strict=True)}


def _keys(gateway: str) -> list[str]:
    return [f"{settings.REDIS_PREFIX}breaker:{gateway}:{part}" for part in ("failures", "open", "tripped", "probe")]


def _health(is_open: object, tripped: object) -> Health:
    if is_open:
        return Health.OPEN
    return Health.HALF_OPEN if tripped else Health.CLOSED


class DatabaseStore:
    @transaction.atomic
    def admit(self, gateway: str) -> int | None:
        state = BreakerState.objects.select_for_update(no_key=True).filter(pk=gateway).first()
        if state is None or state.open_until is None:
            return None
        now = timezone.now()
        waits = [until for until in (state.open_until, state.probe_until) if until is not None and until > now]
        if waits:
            return int((max(waits) - now).total_seconds())
        state.probe_until = now + timedelta(seconds=settings.GATEWAY_BREAKER_PROBE_SECONDS)
        state.save(update_fields=["probe_until"])
        return None

    def note_success(self, gateway: str) -> None:
        BreakerState.objects.filter(pk=gateway).delete()

    @transaction.atomic
    def note_failure(self, gateway: str) -> bool:
        now = timezone.now()
        BreakerState.objects.bulk_create([BreakerState(gateway=gateway)], ignore_conflicts=True)
        state = BreakerState.objects.select_for_update(no_key=True).get(pk=gateway)
        if state.open_until is not None and state.open_until > now:
            return False
        if state.open_until is None:
            if state.window_until is None or state.window_until <= now:
                state.failures = 0
                state.window_until = now + timedelta(seconds=settings.GATEWAY_BREAKER_WINDOW_SECONDS)
            state.failures += 1
        opens = state.open_until is not None or state.failures >= settings.GATEWAY_BREAKER_FAILURES
        if opens:
            state.open_until = now + timedelta(seconds=settings.GATEWAY_BREAKER_OPEN_SECONDS)
            state.probe_until = None
        state.save()
        return opens

    def states(self, gateways: list[str]) -> dict[str, Health]:
        now = timezone.now()
        found = dict(BreakerState.objects.filter(pk__in=gateways).values_list("gateway", "open_until"))
        return {
            gateway: _health((until := found.get(gateway)) is not None and until > now, until) for gateway in gateways
        }


class SteadyStore:
    """Redis, and the database while Redis is away; a process leaves it alone for some seconds after a failure."""

    away_until: ClassVar[float] = 0.0

    def admit(self, gateway: str) -> int | None:
        return self._steadily(lambda store: store.admit(gateway))

    def note_success(self, gateway: str) -> None:
        self._steadily(lambda store: store.note_success(gateway))

    def note_failure(self, gateway: str) -> bool:
        return self._steadily(lambda store: store.note_failure(gateway))

    def states(self, gateways: list[str]) -> dict[str, Health]:
        return self._steadily(lambda store: store.states(gateways))

    def _steadily(self, act: Callable[[Store], Answer]) -> Answer:
        if settings.REDIS_URL and time.monotonic() >= SteadyStore.away_until:
            client = limits.connected(settings.REDIS_URL, settings.GATEWAY_BREAKER_REDIS_TIMEOUT_SECONDS)
            try:
                return act(RedisStore(client))
            except redis.RedisError as error:
                SteadyStore.away_until = time.monotonic() + settings.GATEWAY_BREAKER_REDIS_PAUSE_SECONDS
                logger.warning("gateway.breaker_without_redis", extra={"reason": type(error).__name__})
        return act(DatabaseStore())


def _store() -> Store:
    return SteadyStore()
