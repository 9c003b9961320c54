"""The JWT of a customer: signed by the team's auth service, verified once, remembered for a short while."""

import hashlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings
from jwt import PyJWS, PyJWTError
from jwt.utils import base64url_decode

from rest import customers, signing_keys
from rest.callers import CredentialRefused
from rest.memory import Memory

LONGEST_TOKEN = 8_192
LAST_MOMENT = 253_402_300_800  # the year 10000; whoever sends more has sent milliseconds
PART = re.compile(r"[A-Za-z0-9_-]+")
HEADER_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# Auth services say in one of these claims what a token is for. A refresh or ID token is no key to an API.
KIND_CLAIMS = ("token_type", "token_use", "typ")
ACCESS_KINDS = frozenset({"access", "bearer", "access_token", *HEADER_TYPES})
ID_TOKEN_MARKS = ("at_hash", "c_hash")

_jws = PyJWS()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    user_id: str
    expires_at: datetime


_verified: Memory[bytes, Verified] = Memory(size=20_000)


def verify(token: str) -> Verified:
    """What the token says, if it is good now. Remembered for JWT_CACHE_SECONDS, and never beyond its `exp`."""
    fingerprint = hashlib.sha256(token.encode()).digest()
    known = _verified.get(fingerprint)
    if known is not None:
        return known
    claims = _signed_claims(token)
    _check_purpose(claims)
    expires_at = _check_times(claims)
    _check_audience(claims)
    _check_issuer(claims)
    verified = Verified(user_id=_user_id(claims), expires_at=datetime.fromtimestamp(expires_at, UTC))
    _verified.put(fingerprint, verified, until=min(time.time() + settings.JWT_CACHE_SECONDS, expires_at))
    return verified


def _refused(code: str, sentence: str) -> CredentialRefused:
    return CredentialRefused(code, sentence)


# ---------------------------------------------------------------- the signature


def _signed_claims(token: str) -> dict[str, Any]:
    if len(token) > LONGEST_TOKEN:
        raise _refused("token_too_long", f"The token is longer than {LONGEST_TOKEN} characters.")
    parts = token.split(".")
    if len(parts) != 3 or not all(map(PART.fullmatch, parts)):  # noqa: PLR2004
        raise _refused("malformed_token", "The token is not three base64url parts with dots between them.")
    header = _json_object(parts[0], "header")
    algorithm = _check_header(header)
    kid = header.get("kid")
    keys = signing_keys.candidates(algorithm=algorithm, kid=kid)
    if not keys:
        raise _refused("unknown_key", "The token is signed with a key that we do not know.")
    for key in keys:
        try:
            _jws.decode_complete(token, key, algorithms=[algorithm])
        except PyJWTError:
            continue
        return _json_object(parts[1], "payload")
    raise _refused("invalid_signature", "The signature of the token is wrong.")


def _json_object(part: str, name: str) -> dict[str, Any]:
    try:
        value = orjson.loads(base64url_decode(part))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _refused("malformed_token", f"The {name} of the token is not a JSON object.")
    return value


def _check_header(header: dict[str, Any]) -> str:
    """The algorithm. Keys that travel inside the token (jwk, jku, x5c, x5u) prove nothing and are not looked at."""
    allowed = signing_keys.allowed_algorithms()
    algorithm = header.get("alg")
    if not allowed:
        raise _refused("no_customer_keys", "No key for the tokens of customers is configured here.")
    if not isinstance(algorithm, str) or algorithm not in allowed:
        raise _refused("algorithm_refused", f"The token must be signed with {' or '.join(allowed)}.")
    if "crit" in header or header.get("b64", True) is not True:
        raise _refused("unknown_extension", "The token demands an extension of JWS that is not understood here.")
    if not isinstance(header.get("kid", ""), str):
        raise _refused("malformed_token", "The kid in the header of the token is not a string.")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in HEADER_TYPES:
        raise _refused("wrong_token_kind", "This is not an access token.")
    return algorithm


# ---------------------------------------------------------------- the claims


def _check_purpose(claims: dict[str, Any]) -> None:
    for name in KIND_CLAIMS:
        kind = claims.get(name, "access")
        if not isinstance(kind, str) or kind.lower() not in ACCESS_KINDS:
            raise _refused("wrong_token_kind", "This is not an access token.")
    if any(name in claims for name in ID_TOKEN_MARKS):
        raise _refused("wrong_token_kind", "This is an ID token, not an access token.")


def _check_times(claims: dict[str, Any]) -> float:
    now = time.time()
    leeway = settings.JWT_LEEWAY_SECONDS
    expires_at = _moment(claims, "exp")
    if expires_at is None:
        raise _refused("missing_claim", "The token has no exp: it must say when it ends.")
    if expires_at + leeway <= now:
        raise _refused("token_expired", "The token has expired.")
    starts_at = _moment(claims, "nbf")
    if starts_at is not None and starts_at - leeway > now:
        raise _refused("token_not_yet_valid", "The token is not valid yet.")
    issued_at = _moment(claims, "iat")
    if issued_at is not None and issued_at - leeway > now:
        raise _refused("token_from_the_future", "The token says that it was issued in the future.")
    return expires_at


def _moment(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    # Fractions are allowed (RFC 7519, section 2); True is an int to Python but not to us.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LAST_MOMENT:
        raise _refused("invalid_claim", f"The claim {name} is not a time in seconds since 1970.")
    return value


def _check_audience(claims: dict[str, Any]) -> None:
    if not settings.JWT_AUDIENCE:
        return
    meant_for = claims.get("aud")
    meant_for = meant_for if isinstance(meant_for, list) else [meant_for]
    if not any(isinstance(audience, str) and audience in settings.JWT_AUDIENCE for audience in meant_for):
        raise _refused("wrong_audience", "The token is meant for another audience.")


def _check_issuer(claims: dict[str, Any]) -> None:
    if not settings.JWT_ISSUER:
        return
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or issuer not in settings.JWT_ISSUER:
        raise _refused("wrong_issuer", "The token comes from another issuer.")


def _user_id(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if subject is None:
        raise _refused("missing_claim", "The token has no sub: it must say who its user is.")
    if not customers.is_user_id(subject):
        raise _refused(
            "invalid_subject", "The claim sub is not a string of 1 to 150 visible characters without surrounding space."
        )
    return str(subject)
