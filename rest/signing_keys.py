"""The keys that may have signed a customer's token: a shared secret, public keys in PEM, a JWKS address."""

import functools
import logging
import re
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import urllib3
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from jwt import PyJWK, PyJWTError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode

from rest.errors import RestError

logger = logging.getLogger(__name__)

SHORTEST_SECRET_BYTES = 32  # RFC 7518, section 3.2
MOST_KEYS = 100
MOST_BYTES = 262_144
FIRST_FETCH_PAUSE_SECONDS = 5  # while there is no key at all, everybody waits for this
PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
# Which algorithms a key is good for depends on the key, never on what a token says: so a public key is no secret.
FIT = {
    "oct": ("HS256", "HS384", "HS512"),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
}
SYMMETRIC = frozenset(FIT["oct"])
KNOWN_ALGORITHMS = frozenset(name for names in FIT.values() for name in names)

Keys = dict[str, PyJWK]  # one key, ready for each algorithm that it may verify


class KeysUnavailable(RestError):
    """The auth service has not told us its keys yet, so nobody can say whether a token is good."""

    retry_after_seconds = FIRST_FETCH_PAUSE_SECONDS

    def __init__(self) -> None:
        super().__init__("The keys of the auth service cannot be fetched at the moment. Try again shortly.")


def allowed_algorithms() -> list[str]:
    """The algorithms of the allow-list for which a key is configured."""
    symmetric = bool(settings.JWT_SECRET)
    asymmetric = bool(settings.JWT_PUBLIC_KEY or settings.JWT_JWKS_URL)
    return [name for name in settings.JWT_ALGORITHMS if (symmetric if name in SYMMETRIC else asymmetric)]


def candidates(*, algorithm: str, kid: str | None) -> list[PyJWK]:
    """The keys that can have signed a token with this header; empty when it names a key that nobody knows."""
    local = configured(
        settings.JWT_SECRET, settings.JWT_PREVIOUS_SECRET, settings.JWT_PUBLIC_KEY, tuple(settings.JWT_ALGORITHMS)
    )
    found = [key[algorithm] for key in local if algorithm in key]
    if settings.JWT_JWKS_URL and algorithm not in SYMMETRIC:
        found += [key[algorithm] for key in published(settings.JWT_JWKS_URL).keys_for(kid) if algorithm in key]
    return found


# ---------------------------------------------------------------- what stands in the settings


@functools.lru_cache(maxsize=16)
def configured(secret: str, previous_secret: str, public_key: str, algorithms: tuple[str, ...]) -> list[Keys]:
    """The keys of the settings; several public keys, and the secret before this one, serve while keys are rotated."""
    keys = [_secret(value, algorithms) for value in (secret, previous_secret) if value]
    for pem in _pems(public_key) if public_key else []:
        keys.append(_ready(_jwk_of(pem), algorithms))
    return keys


def _secret(secret: str, algorithms: tuple[str, ...]) -> Keys:
    if "-----BEGIN" in secret:
        raise ImproperlyConfigured("JWT_SECRET holds a PEM key: public keys belong in JWT_PUBLIC_KEY.")
    if len(secret.encode()) < SHORTEST_SECRET_BYTES:
        raise ImproperlyConfigured(f"JWT_SECRET has less than {SHORTEST_SECRET_BYTES} bytes: it can be guessed.")
    return _ready({"kty": "oct", "k": base64url_encode(secret.encode()).decode()}, algorithms)


def _pems(setting: str) -> list[str]:
    """The setting is the PEM text itself (line breaks may be written as \\n), or the path of a file with it."""
    text = setting
    if "-----BEGIN" not in setting:
        try:
            text = Path(setting).read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise ImproperlyConfigured(f"JWT_PUBLIC_KEY is neither PEM text nor a readable file: {error}") from error
    pems = PEM.findall(text.replace("\\n", "\n"))
    if not pems or "PRIVATE KEY" in text:
        raise ImproperlyConfigured("JWT_PUBLIC_KEY must hold public keys in PEM (BEGIN PUBLIC KEY) and nothing else.")
    return pems


def _jwk_of(pem: str) -> dict[str, Any]:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ImproperlyConfigured(f"JWT_PUBLIC_KEY cannot be read: {error}") from error
    if isinstance(key, RSAPublicKey):
        return RSAAlgorithm.to_jwk(key, as_dict=True)
    if isinstance(key, EllipticCurvePublicKey):
        return ECAlgorithm.to_jwk(key, as_dict=True)
    raise ImproperlyConfigured("JWT_PUBLIC_KEY must hold RSA or EC keys.")


def _ready(jwk: dict[str, Any], algorithms: tuple[str, ...]) -> Keys:
    fit = FIT.get(jwk["crv"] if jwk["kty"] == "EC" else jwk["kty"], ())
    keys = {name: PyJWK.from_dict(jwk, name) for name in fit if name in algorithms}
    for name, key in keys.items():
        if weakness := key.Algorithm.check_key_length(key.key):
            raise ImproperlyConfigured(f"The key for {name} is too weak: {weakness}")
    return keys


# ---------------------------------------------------------------- what the auth service publishes


@functools.lru_cache(maxsize=16)
def published(url: str) -> "PublishedKeys":
    return PublishedKeys(url)


class PublishedKeys:
    """The keys at a JWKS address, fetched when first needed, when old, and when a token names an unknown one.

    However many tokens name unknown keys, there is one fetch in JWT_JWKS_PAUSE_SECONDS. A server that does
    not answer leaves the keys that we have in force.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._keys: list[tuple[str | None, Keys]] | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = threading.Lock()

    def keys_for(self, kid: str | None) -> list[Keys]:
        if self._keys is None:
            self._fetch_again(wait=True)
        elif not _within(settings.JWT_JWKS_CACHE_SECONDS, self._fetched_at):
            self._fetch_again(wait=False)  # one thread fetches, the others go on with what is there
        found = self._find(kid)
        if not found:
            self._fetch_again(wait=True)
            found = self._find(kid)
        if self._keys is None:
            raise KeysUnavailable
        return found

    def _find(self, kid: str | None) -> list[Keys]:
        return [key for known, key in self._keys or [] if kid is None or known == kid]

    def _fetch_again(self, *, wait: bool) -> None:
        if not self._fetching.acquire(blocking=wait):
            return
        try:
            pause = settings.JWT_JWKS_PAUSE_SECONDS
            if self._keys is None:
                pause = min(pause, FIRST_FETCH_PAUSE_SECONDS)
            if _within(pause, self._tried_at):  # whoever held the lock before us has just fetched
                return
            self._tried_at = time.time()
            self._keys = _usable(_fetch(self._url))
            self._fetched_at = time.time()
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            logger.warning("jwks.not_fetched", extra={"reason": f"{type(error).__name__}: {error}"})
        finally:
            self._fetching.release()


def _within(seconds: float, since: float) -> bool:
    return 0 <= time.time() - since < seconds


_http = urllib3.PoolManager(num_pools=2, retries=False, headers={"Accept": "application/json"})


def _fetch(url: str) -> list[object]:
    seconds = settings.JWT_JWKS_TIMEOUT_SECONDS
    deadline = time.monotonic() + seconds
    response = _http.request("GET", url, timeout=seconds, redirect=False, preload_content=False)
    try:
        if response.status != 200:  # noqa: PLR2004
            raise ValueError(f"status {response.status}")
        body = b""
        for part in response.stream(8_192):
            body += part
            # The timeout above is for each read alone: without this, a server could drip for ever.
            if len(body) > MOST_BYTES or time.monotonic() > deadline:
                raise ValueError("the answer is too long or too slow")
    finally:
        response.close()
    document = orjson.loads(body)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError("the answer is no key set")
    return keys[:MOST_KEYS]


def _usable(keys: list[object]) -> list[tuple[str | None, Keys]]:
    found = []
    for jwk in keys:
        try:
            found.append(_read(jwk))
        except (PyJWTError, ImproperlyConfigured, ValueError, TypeError, KeyError) as error:
            # One odd key, of a new type or for encryption, must not cost us the others.
            logger.info("jwks.key_skipped", extra={"reason": f"{type(error).__name__}: {error}"})
    return found


def _read(jwk: object) -> tuple[str | None, Keys]:
    if not isinstance(jwk, dict) or jwk.get("kty") not in {"RSA", "EC"}:
        raise ValueError("not an RSA or EC key")
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        raise ValueError("not a key for signatures")
    algorithms = tuple(settings.JWT_ALGORITHMS)
    if "alg" in jwk:
        algorithms = tuple(name for name in algorithms if name == jwk["alg"])
    kid = jwk.get("kid")
    public = {name: value for name, value in jwk.items() if name not in {"d", "p", "q", "dp", "dq", "qi", "oth"}}
    return (kid if isinstance(kid, str) else None), _ready(public, algorithms)
