"""What Redis knows about the workers: who was alive when, and how much waits in each queue."""

import redis
from django.conf import settings

from config.celery import QUEUES
from rest.connections import connected

# Nothing older than this is worth knowing.
HEARTBEAT_KEPT_MS = 24 * 3600 * 1000


def client() -> "redis.Redis":
    return connected(settings.REDIS_URL, settings.BROKER_TIMEOUT_SECONDS, decodes=True)


def version() -> str:
    server = client().info("server")
    return str(server.get("valkey_version") or server["redis_version"])


def queue_depths() -> dict[str, int]:
    """How many tasks wait, by queue; those that a worker has taken already are not counted."""
    with client().pipeline(transaction=False) as pipe:
        for queue in QUEUES:
            pipe.llen(settings.REDIS_PREFIX + queue)
        return dict(zip(QUEUES, pipe.execute(), strict=True))


def note_heartbeat(name: str) -> None:
    client().set(_heartbeat(name), "1", px=HEARTBEAT_KEPT_MS)


def note_stream() -> None:
    note_heartbeat("stream")


def stream_age() -> float | None:
    """Seconds since a stream process was last seen; None for never."""
    left_ms = client().pttl(_heartbeat("stream"))
    return (HEARTBEAT_KEPT_MS - left_ms) / 1000 if left_ms >= 0 else None


def heartbeat_ages() -> dict[str, float | None]:
    """Seconds since the beat and a worker of each queue were last seen; None for never.

    The age is read from what is left of the key's life, so that only the clock of Redis counts.
    """
    names = ["beat", *(f"worker:{queue}" for queue in QUEUES)]
    with client().pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pttl(_heartbeat(name))
        left = pipe.execute()
    return {
        name: (HEARTBEAT_KEPT_MS - left_ms) / 1000 if left_ms >= 0 else None
        for name, left_ms in zip(names, left, strict=True)
    }


def _heartbeat(name: str) -> str:
    return f"{settings.REDIS_PREFIX}heartbeat:{name}"
