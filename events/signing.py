"""Secrets of endpoints: made here, sealed in the database, and used to sign as Standard Webhooks says."""

import base64
import functools
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sealed(secret: str) -> bytes:
    """A copy of the database alone cannot sign in our name."""
    return _seal(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS).encrypt(secret.encode())


def unsealed(token: bytes) -> str | None:
    """None when neither SECRET_KEY nor a fallback has sealed it: the key was changed, and the old one is gone."""
    try:
        return _seal(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS).decrypt(token).decode()
    except InvalidToken:
        return None


@functools.cache
def _seal(*keys: str) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])


def _derived(key: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"tirelire secrets of webhook endpoints").derive(key.encode())


def headers(*, message_id: str, body: bytes, secrets_now: Iterable[str], at: datetime) -> dict[str, str]:
    """Signed with every live secret, so that a receiver may change over whenever it likes."""
    # The library reads the clock's figures as UTC whatever zone they carry.
    moment = at.astimezone(UTC)
    signatures = [Webhook(secret).sign(message_id, moment, body.decode()) for secret in secrets_now]
    return {
        "content-type": "application/json",
        "user-agent": "Tirelire",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
