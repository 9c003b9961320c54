"""Tickets: a browser cannot set headers on a stream, and a JWT in a URL would end up in logs.

A ticket opens one stream, within seconds, and only its digest is stored.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from events.models import StreamTicket

LONGEST = 100
FORGOTTEN_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Whose stream may be opened, and until when it may stay open."""

    user_id: int
    ends_at: datetime | None


def issue(*, user: User, stream_ends_at: datetime | None) -> tuple[str, datetime]:
    """A ticket and when it expires. The stream that it opens ends with the credential that asked for it."""
    now = timezone.now()
    _forget_old(now)
    ticket = secrets.token_urlsafe(32)
    expires_at = now + timedelta(seconds=settings.STREAM_TICKET_SECONDS)
    if stream_ends_at is not None:
        expires_at = min(expires_at, stream_ends_at)
    StreamTicket.objects.create(digest=_digest(ticket), user=user, expires_at=expires_at, stream_ends_at=stream_ends_at)
    return ticket, expires_at


def redeem(ticket: str) -> Admitted | None:
    """Use a ticket up; None when it is unknown, used or expired. Of two who come at once, one gets in."""
    if not 0 < len(ticket) <= LONGEST:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM events_streamticket t USING auth_user u WHERE t.digest = %s AND u.id = t.user_id"
            " RETURNING t.user_id, t.expires_at, t.stream_ends_at, u.is_active",
            [_digest(ticket)],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    user_id, expires_at, ends_at, is_active = row
    return Admitted(user_id=user_id, ends_at=ends_at) if is_active and expires_at > timezone.now() else None


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode(errors="replace")).hexdigest()


def _forget_old(now: datetime) -> None:
    """Tickets that nobody used go a few at a time with every new one, so there are never more than lately issued."""
    old = StreamTicket.objects.filter(expires_at__lt=now).values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]
    StreamTicket.objects.filter(pk__in=list(old)).delete()
