"""How many requests an identity may make in a window of time, counted by all processes together in Redis."""

import functools
import logging
import math
import re
import threading
import time
from dataclasses import dataclass

import redis
from django.conf import settings
from prometheus_client import Counter

from rest.connections import connected

logger = logging.getLogger(__name__)

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
WRITTEN = re.compile(r"([1-9]\d{0,11})/([1-9]\d{0,5})([smhd])")
LEASES_PER_WINDOW = 100
LARGEST_LEASE = 1_000
MOST_IDENTITIES = 50_000
KEPT_AFTER_WINDOW_SECONDS = 60  # clocks of several machines differ a little

uncounted = Counter(
    "tirelire_throttle_uncounted_requests", "Requests let through without being counted, because Redis was away."
)


@dataclass(frozen=True, slots=True)
class Limit:
    count: int
    seconds: int

    @property
    def lease(self) -> int:
        """How many a process takes at once: one by one for small limits, so that those are exact for everyone."""
        return min(max(1, self.count // LEASES_PER_WINDOW), LARGEST_LEASE)


@functools.lru_cache(maxsize=64)
def parse(text: str) -> Limit:
    """ "100/15m" is a hundred in fifteen minutes; s, m, h and d are the units."""
    match = WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError(f"A limit is written like 100/15m (units s, m, h, d), not {text!r}.")
    count, number, unit = match.groups()
    return Limit(int(count), int(number) * UNITS[unit])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One request, counted. `remaining` is None when Redis was away and nobody knows."""

    limit: Limit
    allowed: bool
    remaining: int | None
    reset_seconds: int


@dataclass(slots=True)
class Share:
    """What this process holds of an identity's window."""

    window: int
    leased: int = 0  # taken from Redis and not used yet
    beyond: int = 0  # what was free in Redis at the last trip
    known: bool = False  # Redis has its key, with an end
    exhausted: bool = False  # nothing is left anywhere: no trip until the window ends


class Meter:
    """Takes leases of a window's budget from Redis, so that most requests of a busy caller make no trip.

    More than the limit is never let through. A lease that a process does not use up is lost to the others,
    at most a hundredth of the limit each.
    """

    def __init__(self) -> None:
        self._shares: dict[str, Share] = {}
        self._lock = threading.Lock()
        self._paused_until = 0.0

    def take(self, identity: str, limit: Limit) -> Outcome:
        now = time.time()
        window = int(now // limit.seconds) * limit.seconds
        reset_seconds = max(1, math.ceil(window + limit.seconds - now))
        with self._lock:
            share = self._share(identity, window)
            if share.leased or share.exhausted:
                return self._used(share, limit, reset_seconds)
        total = self._lease(identity, share, limit)
        if total is None:
            uncounted.inc()
            return Outcome(limit=limit, allowed=True, remaining=None, reset_seconds=reset_seconds)
        with self._lock:
            granted = min(max(0, limit.count - (total - limit.lease)), limit.lease)
            share.known = True
            share.leased += granted
            share.beyond = max(0, limit.count - total)
            share.exhausted = granted == 0
            return self._used(share, limit, reset_seconds)

    def _share(self, identity: str, window: int) -> Share:
        share = self._shares.get(identity)
        if share is None or share.window != window:
            if share is None and len(self._shares) >= MOST_IDENTITIES:
                self._shares.clear()  # the unused leases are lost, which errs on the strict side
            share = self._shares[identity] = Share(window)
        return share

    def _used(self, share: Share, limit: Limit, reset_seconds: int) -> Outcome:
        allowed = share.leased > 0
        if allowed:
            share.leased -= 1
        remaining = share.leased + share.beyond if allowed else 0
        return Outcome(limit=limit, allowed=allowed, remaining=remaining, reset_seconds=reset_seconds)

    def _lease(self, identity: str, share: Share, limit: Limit) -> int | None:
        """How much of the window is taken, this lease included; None when Redis is away."""
        if time.monotonic() < self._paused_until:
            return None
        key = f"{settings.REDIS_PREFIX}throttle:{identity}:{share.window}"
        try:
            client = connected(settings.REDIS_URL, settings.THROTTLE_REDIS_TIMEOUT_SECONDS)
            if share.known:
                return int(client.incrby(key, limit.lease))
            pipeline = client.pipeline(transaction=False)
            pipeline.incrby(key, limit.lease)
            pipeline.expire(key, limit.seconds + KEPT_AFTER_WINDOW_SECONDS)
            return int(pipeline.execute()[0])
        except redis.RedisError as error:
            # Not every request shall wait for the timeout in turn.
            self._paused_until = time.monotonic() + settings.THROTTLE_REDIS_PAUSE_SECONDS
            logger.warning("throttle.redis_away", extra={"reason": f"{type(error).__name__}: {error}"})
            return None

    def forget(self) -> None:
        """For tests: as if the process had just started."""
        with self._lock:
            self._shares.clear()
            self._paused_until = 0.0
