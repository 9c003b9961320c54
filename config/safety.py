"""What keeps a laptop's convenience out of production: demo secrets, and the refusal to start with them."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

DEMO_PREFIX = "demo-"
FROM_FILE = "file:"
SHORTEST_SECRET = 32
SECRETS = (
    "SECRET_KEY",
    "JWT_SECRET",
    "JWT_PREVIOUS_SECRET",
    "METRICS_TOKEN",
    "INTERNAL_API_KEY",
    "INTERNAL_PREVIOUS_API_KEY",
)
GATEWAY_ADDRESSES = (
    "STRIPE_API_BASE",
    "STRIPE_FILES_BASE",
    "PAYPAL_API_BASE",
    "CINETPAY_API_BASE",
    "CINETPAY_TRANSFER_API_BASE",
    "CINETPAY_V1_API_BASE",
    "MTN_MOMO_API_BASE",
    "ORANGE_MONEY_API_BASE",
)
JWT_SOURCES = ("JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL")
TEST_SECRET = DEMO_PREFIX + "secret-of-the-tests-0123456789abcdef"


class WithFiles(Mapping[str, str]):
    """The environment, in which a value may be a file's: `file:/run/secrets/name` stands for what is in there."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value = self._environ[name]
        if not value.startswith(FROM_FILE):
            return value
        try:
            return Path(value.removeprefix(FROM_FILE)).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name} is to be read from {value}: {error}") from error

    def __contains__(self, name: object) -> bool:
        return name in self._environ

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)


def secret(name: str, *, production: bool, var_dir: Path) -> str:
    """The secret from the environment; outside production one is made up and kept in var/secrets.json."""
    if value := WithFiles(os.environ).get(name):
        return value
    if production:
        return ""  # refused below, together with everything else that is missing
    if os.environ.get("APP_ENV") == "test":
        return TEST_SECRET
    return _made_up(name, var_dir / "secrets.json")


def _made_up(name: str, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = DEMO_PREFIX + secrets.token_urlsafe(40)
        new = path.with_suffix(".new")
        new.touch(0o600)
        new.write_text(json.dumps(known, indent=2))
        new.rename(path)
    return known[name]


# ---------------------------------------------------------------- the refusal to start


def refuse_unsafe(settings: Mapping[str, Any]) -> None:
    """Stop a production that is not safe to run, and say everything that is wrong at once."""
    if problems := list(unsafe(settings)):
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise ImproperlyConfigured(f"Tirelire does not start in production like this:\n{listed}")


def unsafe(settings: Mapping[str, Any]) -> Iterator[str]:
    yield from _missing(settings)
    yield from _secrets(settings)
    yield from _addresses(settings)
    yield from _gateways(settings)
    yield from _stripe(settings)


def _missing(settings: Mapping[str, Any]) -> Iterator[str]:
    for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS"):
        if not settings.get(name):
            yield f"{name} is missing."
    if not any(settings.get(name) for name in JWT_SOURCES):
        yield f"One of {', '.join(JWT_SOURCES)} must say whose tokens count."
    if settings.get("TRUST_PROXY_HEADERS") and not settings.get("INTERNAL_API_KEY"):
        yield "INTERNAL_API_KEY is missing, and TRUST_PROXY_HEADERS is on: anybody could speak for any customer."
    if settings.get("DEBUG"):
        yield "DEBUG is on."


def _secrets(settings: Mapping[str, Any]) -> Iterator[str]:
    for name in SECRETS:
        value = settings.get(name) or ""
        if DEMO_PREFIX in value[: len(DEMO_PREFIX) + 1]:
            yield f"{name} is a demo secret."
        elif value and len(value) < SHORTEST_SECRET:
            yield f"{name} has less than {SHORTEST_SECRET} characters."
    known = [settings[name] for name in SECRETS if settings.get(name)]
    if len(known) != len(set(known)):
        yield "Two secrets are the same; each must be a secret of its own."
    for name in ("DATABASE_URL", "REDIS_URL"):
        if DEMO_PREFIX in str(settings.get(name) or ""):
            yield f"{name} holds a demo secret."


def _addresses(settings: Mapping[str, Any]) -> Iterator[str]:
    if any("*" in host for host in settings.get("ALLOWED_HOSTS") or []):
        yield "ALLOWED_HOSTS holds a *; name the hosts."
    base = urlsplit(settings.get("BASE_URL") or "")
    if base.scheme != "https" or not base.hostname:
        yield "BASE_URL is not an https address; links, payment pages and webhooks are made from it."
    elif base.hostname not in (settings.get("ALLOWED_HOSTS") or []) and not _is_under(base.hostname, settings):
        yield "The host of BASE_URL is not among ALLOWED_HOSTS."
    if "*" in (settings.get("METRICS_ALLOWED_IPS") or []) or any(
        network.endswith("/0") for network in settings.get("METRICS_ALLOWED_IPS") or []
    ):
        yield "METRICS_ALLOWED_IPS lets everybody in."


def _is_under(host: str, settings: Mapping[str, Any]) -> bool:
    """A name that starts with a dot allows whatever is under it."""
    return any(allowed.startswith(".") and f".{host}".endswith(allowed) for allowed in settings["ALLOWED_HOSTS"])


def _gateways(settings: Mapping[str, Any]) -> Iterator[str]:
    """Credentials and amounts travel there; a sandbox would say that everything is paid."""
    for name in GATEWAY_ADDRESSES:
        if (address := settings.get(name)) and urlsplit(address).scheme != "https":
            yield f"{name} is not an https address."


def _stripe(settings: Mapping[str, Any]) -> Iterator[str]:
    """A live shop with a test key takes no money; a test shop with a live key takes real money."""
    is_live = bool(settings.get("STRIPE_LIVE_MODE"))
    key = settings.get("STRIPE_SECRET_KEY") or settings.get(f"STRIPE_{'LIVE' if is_live else 'TEST'}_SECRET_KEY") or ""
    if is_live and "_test_" in key:
        yield "STRIPE_LIVE_MODE is on with a test key."
    if not is_live and "_live_" in key:
        yield "STRIPE_LIVE_MODE is off with a live key."
