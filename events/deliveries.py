"""Deliveries: claimed in batches, sent side by side, noted one by one, tried again, given up, replayed, forgotten."""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from prometheus_client import Counter, Gauge

from events import endpoints, mail, signing
from events.errors import DeliveryUnderWay, EndpointDisabled
from events.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    DisabledReason,
    Endpoint,
    EndpointSecret,
    Event,
)
from events.posting import Answer

logger = logging.getLogger(__name__)
GONE = 410  # the receiver says itself that it will never listen again
CANNOT_SIGN = "not sent: no key opens this endpoint's secret; SECRET_KEY was changed without its fallback"
RETRY_FACTOR = 3
JITTER = 0.2

DELIVERIES = Counter("tirelire_webhook_deliveries", "Attempts to deliver, by how they ended.", ["outcome"])
OLDEST = Gauge(
    "tirelire_webhook_oldest_due_seconds", "How late the oldest due delivery is.", multiprocess_mode="mostrecent"
)

# An endpoint gets as many as it may have under way; one that fails gets one, so that it cannot fill the sender.
_CLAIM = """
WITH room AS (
    SELECT e.id, CASE WHEN e.failing_since IS NULL THEN %(most)s ELSE 1 END - (
               SELECT count(*) FROM events_delivery d
                WHERE d.endpoint_id = e.id AND d.state = 'sending' AND d.due_at > %(at)s) AS free
      FROM events_endpoint e WHERE e.disabled_at IS NULL
), due AS MATERIALIZED (
    SELECT d.id FROM room CROSS JOIN LATERAL (
        SELECT id, due_at FROM events_delivery
         WHERE endpoint_id = room.id AND state IN ('pending', 'sending') AND due_at <= %(at)s
         ORDER BY due_at LIMIT greatest(room.free, 0) FOR NO KEY UPDATE SKIP LOCKED
    ) d ORDER BY d.due_at LIMIT %(room)s
)
UPDATE events_delivery d
   SET state = 'sending', attempts = d.attempts + 1, due_at = %(lease)s, last_sent_at = %(at)s,
       first_sent_at = coalesce(d.first_sent_at, %(at)s)
  FROM due WHERE d.id = due.id
RETURNING d.id
"""
_PURGE = """
DELETE FROM events_delivery WHERE id = ANY (ARRAY(
    SELECT id FROM events_delivery WHERE state IN ('delivered', 'dead') AND id < %s
     ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED))
"""
_PURGE_LOG = """
DELETE FROM events_deliveryattempt WHERE delivery_id = ANY (ARRAY(
    SELECT id FROM events_delivery WHERE state IN ('delivered', 'dead') AND id < %s
     ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A claimed delivery, with all that sending it takes. The lease is its claim: whoever comes later has another.

    One that has a fault cannot be sent at all; it has failed, and says why.
    """

    delivery: UUID
    endpoint: UUID
    url: str
    headers: dict[str, str]
    body: bytes
    attempts: int
    first_sent_at: datetime
    lease: datetime
    fault: str = ""


def claim(room: int, *, at: datetime | None = None) -> list[Letter]:
    """Take up to so many due deliveries. A sender that dies after this leaves them to the next, when the lease ends."""
    if room < 1:
        return []
    now = at or timezone.now()
    values: dict[str, Any] = {
        "at": now,
        "lease": now + timedelta(seconds=settings.WEBHOOKS_LEASE_SECONDS),
        "most": settings.WEBHOOKS_CONCURRENCY_PER_ENDPOINT,
        "room": room,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        taken = [row[0] for row in cursor.fetchall()]
    if not taken:
        return []
    rows = list(Delivery.objects.filter(pk__in=taken).select_related("endpoint", "event__user").order_by("pk"))
    live = _secrets({row.endpoint_id for row in rows})
    return [_letter(row, live[row.endpoint_id], now) for row in rows]


def _secrets(wanted: set[UUID]) -> dict[UUID, list[str]]:
    """Those that can be opened: one that no key opens stops neither the other endpoints nor its own successor."""
    found: dict[UUID, list[str]] = {endpoint: [] for endpoint in wanted}
    for each in EndpointSecret.objects.live().filter(endpoint_id__in=wanted):
        secret = signing.unsealed(bytes(each.sealed))
        if secret is None:
            logger.error("endpoint.secret_cannot_be_opened", extra={"endpoint": str(each.endpoint_id)})
        else:
            found[each.endpoint_id].append(secret)
    return found


def _letter(row: Delivery, secrets: list[str], now: datetime) -> Letter:
    body = body_of(row.event)
    return Letter(
        delivery=row.pk,
        endpoint=row.endpoint_id,
        url=row.endpoint.url,
        headers=signing.headers(message_id=str(row.event_id), body=body, secrets_now=secrets, at=now),
        body=body,
        attempts=row.attempts,
        first_sent_at=row.first_sent_at or now,
        lease=row.due_at,
        fault="" if secrets else CANNOT_SIGN,
    )


def body_of(event: Event) -> bytes:
    """The same bytes at every attempt: an event never changes."""
    told = {
        "id": event.pk,
        "type": event.type,
        "version": event.version,
        "time": event.created_at,
        "user": event.user.get_username(),
        "data": event.data,
    }
    return orjson.dumps(told, option=orjson.OPT_UTC_Z)


# ---------------------------------------------------------------- what came of it


@transaction.atomic
def note(letter: Letter, answer: Answer, *, at: datetime | None = None) -> None:
    """Write down how it ended. Whoever lost the claim meanwhile changes nothing but the log."""
    now = at or timezone.now()
    claimed = Delivery.objects.filter(pk=letter.delivery, state=DeliveryState.SENDING, due_at=letter.lease)
    changes = {"last_status": answer.status, "last_error": answer.error, **_verdict(letter, answer, now)}
    won = claimed.update(**changes)
    if not won and not Delivery.objects.filter(pk=letter.delivery).exists():
        return  # its endpoint was deleted while it was under way
    DeliveryAttempt.objects.create(
        delivery_id=letter.delivery,
        status=answer.status,
        error=answer.error,
        milliseconds=answer.milliseconds,
        excerpt=answer.excerpt,
    )
    DELIVERIES.labels(changes["state"] if changes["state"] != DeliveryState.PENDING else "failed").inc()
    if answer.is_success:
        endpoints.note_success(letter.endpoint)
    else:
        _note_failure(letter, answer, now)


def _verdict(letter: Letter, answer: Answer, now: datetime) -> dict[str, object]:
    if answer.is_success:
        return {"state": DeliveryState.DELIVERED, "due_at": now}
    due_at = now + timedelta(seconds=wait_seconds(letter.attempts, answer.retry_after_seconds))
    give_up_at = letter.first_sent_at + timedelta(hours=settings.WEBHOOKS_GIVE_UP_HOURS)
    if answer.status == GONE or due_at > give_up_at:
        return {"state": DeliveryState.DEAD, "due_at": now}
    return {"state": DeliveryState.PENDING, "due_at": due_at}


def wait_seconds(attempts: int, asked: int | None = None) -> float:
    """Three times as long each time, up to a limit, a fifth more or less so that a crowd does not return as a crowd."""
    usual: int = settings.WEBHOOKS_FIRST_RETRY_SECONDS * RETRY_FACTOR ** min(attempts - 1, 20)
    limited = min(usual, settings.WEBHOOKS_LONGEST_RETRY_SECONDS)
    spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - nothing is secret about it
    return float(max(limited * spread, asked or 0))


def _note_failure(letter: Letter, answer: Answer, now: datetime) -> None:
    is_hopeless = endpoints.note_failure(letter.endpoint, now)
    if not (is_hopeless or answer.status == GONE):
        return
    reason = DisabledReason.GONE if answer.status == GONE else DisabledReason.FAILING
    endpoint = Endpoint.objects.get(pk=letter.endpoint)
    if endpoints.disable(endpoint=endpoint, reason=reason, at=now):
        mail.tell_of_disabled(endpoint, reason=reason, at=now)


# ---------------------------------------------------------------- again, and over


def replay(delivery: Delivery) -> Delivery:
    """Send it once more, whatever came of it: a dead letter, or one that the receiver has lost."""
    if delivery.endpoint.disabled_at is not None:
        raise EndpointDisabled
    changes = {"state": DeliveryState.PENDING, "attempts": 0, "first_sent_at": None, "due_at": timezone.now()}
    if not Delivery.objects.filter(pk=delivery.pk).exclude(state=DeliveryState.SENDING).update(**changes):
        raise DeliveryUnderWay
    delivery.refresh_from_db()
    return delivery


def purge(*, before: datetime | None = None) -> int:
    """Forget deliveries that are over, in batches that each commit alone."""
    limit = before or timezone.now() - timedelta(days=settings.WEBHOOKS_KEEP_DAYS)
    values: list[Any] = [endpoints.smallest_id(limit), settings.WEBHOOKS_PURGE_BATCH]
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_PURGE_LOG, values)
            cursor.execute(_PURGE, values)
            gone = int(cursor.rowcount)
        total += gone
        if gone < settings.WEBHOOKS_PURGE_BATCH:
            return total


def note_lateness(*, at: datetime | None = None) -> float:
    """How long the oldest due delivery of a live endpoint has been waiting."""
    now = at or timezone.now()
    due = Delivery.objects.filter(
        endpoint__disabled_at__isnull=True, state__in=[DeliveryState.PENDING, DeliveryState.SENDING], due_at__lte=now
    )
    oldest = due.order_by("due_at").values_list("due_at", flat=True).first()
    late = (now - oldest).total_seconds() if oldest else 0.0
    OLDEST.set(late)
    return late
