"""Endpoints of other servers: added, changed, rotated, disabled, enabled, deleted, and told again what they missed."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from events import addresses, signing
from events.errors import EndpointDisabled, TooManyEndpoints
from events.models import Delivery, DisabledReason, Endpoint, EndpointSecret

logger = logging.getLogger(__name__)
MOST_ENDPOINTS = 50

_TELL_AGAIN = """
INSERT INTO events_delivery AS d (endpoint_id, event_id)
SELECT %(endpoint)s, v.id FROM events_event v
 WHERE v.id >= %(first)s AND v.id < %(last)s AND (%(types)s::text[] = '{}' OR v.type = ANY (%(types)s))
   AND (v.id >= %(known)s
        OR EXISTS (SELECT FROM events_delivery k WHERE k.endpoint_id = %(endpoint)s AND k.event_id = v.id))
 ORDER BY v.id
    ON CONFLICT (endpoint_id, event_id) DO UPDATE
   SET state = 'pending', attempts = 0, first_sent_at = NULL, due_at = now()
 WHERE d.state = 'dead' OR (%(delivered)s AND d.state = 'delivered')
"""


@transaction.atomic
def add(
    *, url: str, types: Sequence[str] = (), description: str = "", contact_email: str = "", by: str
) -> tuple[Endpoint, str]:
    """The endpoint, and its secret, which is shown this once. Hears what happens from now on."""
    addresses.check(url)
    if Endpoint.objects.count() >= MOST_ENDPOINTS:
        raise TooManyEndpoints(MOST_ENDPOINTS)
    endpoint = Endpoint.objects.create(
        url=url,
        types=sorted(set(types)),
        description=description,
        contact_email=contact_email,
        created_by=by,
    )
    secret = signing.new_secret()
    EndpointSecret.objects.create(endpoint=endpoint, sealed=signing.sealed(secret))
    logger.info("endpoint.added", extra={"endpoint": str(endpoint.pk), "by": by})
    return endpoint, secret


@transaction.atomic
def rotate(*, endpoint: Endpoint, by: str) -> str:
    """A new secret; the one until now signs too for WEBHOOKS_SECRET_OVERLAP_HOURS, an older one no more."""
    Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    now = timezone.now()
    until = now + timedelta(hours=settings.WEBHOOKS_SECRET_OVERLAP_HOURS)
    endpoint.secrets.filter(expires_at__isnull=False).delete()
    endpoint.secrets.filter(expires_at__isnull=True).update(expires_at=until)
    secret = signing.new_secret()
    EndpointSecret.objects.create(endpoint=endpoint, sealed=signing.sealed(secret))
    logger.info("endpoint.rotated", extra={"endpoint": str(endpoint.pk), "by": by})
    return secret


@transaction.atomic
def reseal() -> tuple[int, list[str]]:
    """Seal with today's SECRET_KEY what it or a fallback opens: how many, and whose secret nothing opens."""
    done, lost = 0, []
    live = EndpointSecret.objects.live().select_for_update(of=("self",), no_key=True).order_by("pk")
    for each in live.select_related("endpoint"):
        secret = signing.unsealed(bytes(each.sealed))
        if secret is None:
            lost.append(each.endpoint.url)
            continue
        EndpointSecret.objects.filter(pk=each.pk).update(sealed=signing.sealed(secret))
        done += 1
    return done, lost


@transaction.atomic
def delete(*, endpoint: Endpoint, by: str) -> None:
    """With its deliveries: nobody is there any more to whom they could go."""
    Delivery.objects.filter(endpoint=endpoint).delete()
    endpoint.delete()
    logger.info("endpoint.deleted", extra={"endpoint": str(endpoint.pk), "by": by})


def disable(*, endpoint: Endpoint, reason: DisabledReason, at: datetime | None = None) -> bool:
    """Nothing more is sent, and nothing new is put aside; what is pending waits. False when it was disabled before."""
    changes = {"disabled_at": at or timezone.now(), "disabled_reason": reason}
    won = Endpoint.objects.live().filter(pk=endpoint.pk).update(**changes)
    if won:
        logger.warning("endpoint.disabled", extra={"endpoint": str(endpoint.pk), "reason": str(reason)})
    return bool(won)


def enable(*, endpoint: Endpoint, by: str) -> bool:
    """Send again what waits. What happened meanwhile is told by `tell_again`."""
    addresses.check(endpoint.url)
    won = Endpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=False).update(
        disabled_at=None, disabled_reason="", failing_since=None
    )
    if won:
        logger.info("endpoint.enabled", extra={"endpoint": str(endpoint.pk), "by": by})
    return bool(won)


def tell_again(*, endpoint: Endpoint, since: datetime, until: datetime, also_delivered: bool = False) -> int:
    """Queue what happened in this time and never arrived, once more; returns how many events that are. Of what is older
    than deliveries are kept nobody knows whether it arrived: it is sent only with what did."""
    if endpoint.disabled_at is not None:
        raise EndpointDisabled
    known_since = since if also_delivered else timezone.now() - timedelta(days=settings.WEBHOOKS_KEEP_DAYS)
    values: dict[str, Any] = {
        "endpoint": endpoint.pk,
        "first": smallest_id(since),
        "last": smallest_id(until),
        "known": smallest_id(known_since),
        "types": list(endpoint.types),
        "delivered": also_delivered,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TELL_AGAIN, values)
        return int(cursor.rowcount)


def smallest_id(at: datetime) -> UUID:
    """The first UUIDv7 of an instant: ranges of time are ranges of ids, which the primary key has in order."""
    milliseconds = max(0, int(at.timestamp() * 1_000))
    return UUID(int=milliseconds << 80)


def note_success(endpoint_id: UUID) -> None:
    """Written only when something changes: a row that every delivery touched would be a queue of its own."""
    Endpoint.objects.filter(pk=endpoint_id, failing_since__isnull=False).update(failing_since=None)


def note_failure(endpoint_id: UUID, at: datetime) -> bool:
    """True when it has failed for so long that it should be disabled."""
    Endpoint.objects.filter(pk=endpoint_id, failing_since__isnull=True).update(failing_since=at)
    too_long = at - timedelta(hours=settings.WEBHOOKS_DISABLE_HOURS)
    return Endpoint.objects.live().filter(pk=endpoint_id, failing_since__lte=too_long).exists()
