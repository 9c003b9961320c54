"""Tickets: a browser cannot set headers on a stream, and a JWT in a URL would end up in logs.

A ticket opens one stream, within seconds, and only its digest is stored.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from events.models import StreamTicket

LONGEST = 100
FORGOTTEN_AT_ONCE = 100

Listener = tuple[int, UUID | None]  # a customer, and the service token by which somebody listens for them

# What the API refuses, who listens already is refused as well: one statement, however many they are.
_LAPSED = """
    SELECT listener.user_id, listener.token_id
      FROM unnest(%s::bigint[], %s::uuid[]) AS listener (user_id, token_id)
      LEFT JOIN auth_user account
             ON account.id = listener.user_id AND account.is_active
                AND NOT account.is_staff AND NOT account.is_superuser
      LEFT JOIN rest_servicetoken token
             ON token.id = listener.token_id AND token.revoked_at IS NULL
                AND (token.expires_at IS NULL OR token.expires_at > %s)
     WHERE account.id IS NULL OR (listener.token_id IS NOT NULL AND token.id IS NULL)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Whose stream may be opened, and until when it may stay open."""

    user_id: int
    ends_at: datetime | None
    token_id: UUID | None = None  # of a service that listens for them


def issue(*, user: User, stream_ends_at: datetime | None, token_id: UUID | None = None) -> tuple[str, datetime]:
    """A ticket and when it expires. The stream that it opens ends with the credential that asked for it."""
    now = timezone.now()
    _forget_old(now)
    ticket = secrets.token_urlsafe(32)
    expires_at = now + timedelta(seconds=settings.STREAM_TICKET_SECONDS)
    if stream_ends_at is not None:
        expires_at = min(expires_at, stream_ends_at)
    StreamTicket.objects.create(
        digest=_digest(ticket), user=user, token_id=token_id, expires_at=expires_at, stream_ends_at=stream_ends_at
    )
    return ticket, expires_at


def redeem(ticket: str) -> Admitted | None:
    """Use a ticket up; None when it is unknown, used or expired, or what asked for it opens nothing any more.
    Of two who come at once, one gets in."""
    if not 0 < len(ticket) <= LONGEST:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM events_streamticket WHERE digest = %s RETURNING user_id, token_id, expires_at, stream_ends_at",
            [_digest(ticket)],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    user_id, token_id, expires_at, ends_at = row
    if expires_at <= timezone.now() or lapsed([(user_id, token_id)]):
        return None
    return Admitted(user_id=user_id, ends_at=ends_at, token_id=token_id)


def lapsed(listeners: Collection[Listener]) -> set[Listener]:
    """Those who may not listen any more: the account was deactivated, or the token revoked."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LAPSED, [[user_id for user_id, _ in listeners], [token_id for _, token_id in listeners], timezone.now()]
        )
        return set(cursor.fetchall())


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode(errors="replace")).hexdigest()


def _forget_old(now: datetime) -> None:
    """Tickets that nobody used go a few at a time with every new one, so there are never more than lately issued."""
    old = StreamTicket.objects.filter(expires_at__lt=now).values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]
    StreamTicket.objects.filter(pk__in=list(old)).delete()
