"""Service tokens: issued once, shown once, looked up by their digest, revoked."""

import hashlib
import re
import secrets
import string
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.utils import timezone

from rest.callers import CredentialRefused
from rest.errors import RestError
from rest.memory import Memory
from rest.models import ServiceToken

PREFIX = "tl_"
ALPHABET = string.ascii_letters + string.digits
RANDOM_LENGTH = 43  # 256 bits in base 62
VISIBLE_LENGTH = len(PREFIX) + 8
WELL_FORMED = re.compile(rf"{PREFIX}[A-Za-z0-9]{{{RANDOM_LENGTH}}}")
STAMP_EVERY = timedelta(minutes=1)


class PermissionNotHeld(RestError):
    """Who makes a token can give it no more than they may do themselves."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        super().__init__(f"You cannot give what you may not do yourself: {', '.join(self.names)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a request needs to know of a token."""

    id: uuid.UUID
    name: str
    permissions: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None


_known: Memory[str, Known] = Memory(size=1_000)


def digest_of(secret: str) -> str:
    # Plain SHA-256: the secret is 256 random bits, so there is nothing for a slow hash to protect.
    return hashlib.sha256(secret.encode()).hexdigest()


def permission_name(permission: Permission) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"


@transaction.atomic
def issue(
    *, name: str, permissions: Iterable[Permission], expires_at: datetime | None, by: User | None
) -> tuple[ServiceToken, str]:
    """A new token and its secret, which nobody will see again. `by` is None for the command line only."""
    permissions = list(permissions)
    if by is not None:
        missing = [name for name in map(permission_name, permissions) if not by.has_perm(name)]
        if missing:
            raise PermissionNotHeld(missing)
    secret = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    token = ServiceToken.objects.create(
        name=name,
        prefix=secret[:VISIBLE_LENGTH],
        digest=digest_of(secret),
        created_by=by,
        created_at=timezone.now(),
        expires_at=expires_at,
    )
    token.permissions.set(permissions)
    return token, secret


def revoke(*, token: ServiceToken, by: User | None) -> bool:
    """End a token for good; False if it was revoked before. Each process notices when its memory of it ends."""
    revoked_at = timezone.now()
    won = ServiceToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=revoked_at, revoked_by=by)
    if won:
        token.revoked_at, token.revoked_by = revoked_at, by
    return bool(won)


def verify(secret: str) -> Known:
    """The token that this secret opens. Read at most once per SERVICE_TOKEN_CACHE_SECONDS in a process."""
    if not WELL_FORMED.fullmatch(secret):
        raise CredentialRefused("malformed_service_token", "This is not a service token: it is cut or mistyped.")
    digest = digest_of(secret)
    token = _known.get(digest)
    if token is None:
        token = _look_up(digest)
        if token is None:
            raise CredentialRefused("unknown_service_token", "This service token is not known.")
        _known.put(digest, token, until=time.time() + settings.SERVICE_TOKEN_CACHE_SECONDS)
    if token.revoked_at is not None:
        raise CredentialRefused("service_token_revoked", "This service token was revoked.")
    if token.expires_at is not None and token.expires_at <= timezone.now():
        raise CredentialRefused("service_token_expired", "This service token has expired.")
    return token


# One trip: reads the token with its permissions and stamps its use, unless it was stamped within the minute.
LOOK_UP = """
WITH stamped AS (
    UPDATE rest_servicetoken SET last_used_at = %(now)s
    WHERE digest = %(digest)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)
      AND (last_used_at IS NULL OR last_used_at <= %(stale)s)
)
SELECT token.id, token.name, token.expires_at, token.revoked_at, ARRAY(
    SELECT type.app_label || '.' || permission.codename
    FROM rest_servicetoken_permissions given
    JOIN auth_permission permission ON permission.id = given.permission_id
    JOIN django_content_type type ON type.id = permission.content_type_id
    WHERE given.servicetoken_id = token.id
)
FROM rest_servicetoken token WHERE token.digest = %(digest)s
"""


def _look_up(digest: str) -> Known | None:
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(LOOK_UP, {"digest": digest, "now": now, "stale": now - STAMP_EVERY})
        row = cursor.fetchone()
    if row is None:
        return None
    token_id, name, expires_at, revoked_at, permissions = row
    return Known(
        id=token_id, name=name, permissions=frozenset(permissions), expires_at=expires_at, revoked_at=revoked_at
    )
