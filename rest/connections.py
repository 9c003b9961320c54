"""Connections to Redis for short questions, with a patience of their own: whoever asks waits no longer than that."""

import functools

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


@functools.lru_cache(maxsize=16)
def connected(url: str, timeout_seconds: float, *, decodes: bool = False) -> "redis.Redis":
    """A client that says at once when Redis is away: the library's own retries would take seconds. One retry, without
    a pause and never after a timeout, replaces a connection that Redis has dropped meanwhile."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        decode_responses=decodes,
    )
