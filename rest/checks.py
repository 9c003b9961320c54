"""Settings of callers and limits that cannot work, or that let in more people than meant: told before the start."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured

from rest import limits, signing_keys

SHORTEST_INTERNAL_KEY = 32
THROTTLES = (
    "THROTTLE_ANONYMOUS",
    "THROTTLE_CUSTOMER",
    "THROTTLE_SERVICE",
    "THROTTLE_COUPON",
    "THROTTLE_GUEST_CHECKOUT",
    "THROTTLE_LETTERS",
)


@register(Tags.security)
def callers_are_configured(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [*_keys(), *_proxy(), *_limits()]


@register(Tags.security, deploy=True)
def callers_are_safe_in_production(app_configs: Sequence[Any] | None, **kwargs: Any) -> Iterator[CheckMessage]:
    url = urlsplit(settings.JWT_JWKS_URL)
    if url.scheme == "http":
        yield Error("JWT_JWKS_URL is not https: whoever is on the way could publish keys.", id="rest.E010")
    if settings.JWT_JWKS_URL and not settings.JWT_AUDIENCE:
        yield checks.Warning(
            "JWT_AUDIENCE is not set: tokens that the auth service made for other applications are good here too.",
            id="rest.W010",
        )
    if not signing_keys.allowed_algorithms():
        yield checks.Warning(
            "No customer can call: set JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS_URL.",
            id="rest.W011",
        )


def _keys() -> Iterator[CheckMessage]:
    unknown = sorted(set(settings.JWT_ALGORITHMS) - signing_keys.KNOWN_ALGORITHMS)
    if unknown:
        known = ", ".join(sorted(signing_keys.KNOWN_ALGORITHMS))
        yield Error(f"JWT_ALGORITHMS knows {known}; not {', '.join(unknown)}.", id="rest.E001")
        return
    algorithms = tuple(settings.JWT_ALGORITHMS)
    try:
        signing_keys.configured(settings.JWT_SECRET, settings.JWT_PREVIOUS_SECRET, settings.JWT_PUBLIC_KEY, algorithms)
    except ImproperlyConfigured as error:
        yield Error(str(error), id="rest.E002")
    url = urlsplit(settings.JWT_JWKS_URL)
    if settings.JWT_JWKS_URL and not (url.scheme in {"http", "https"} and url.netloc):
        yield Error("JWT_JWKS_URL is not an http or https address.", id="rest.E003")


def _proxy() -> Iterator[CheckMessage]:
    keys = [settings.INTERNAL_API_KEY, settings.INTERNAL_PREVIOUS_API_KEY]
    if settings.TRUST_PROXY_HEADERS and not settings.INTERNAL_API_KEY:
        yield Error("TRUST_PROXY_HEADERS needs INTERNAL_API_KEY.", id="rest.E004")
    if any(key and len(key) < SHORTEST_INTERNAL_KEY for key in keys):
        yield Error(f"INTERNAL_API_KEY has less than {SHORTEST_INTERNAL_KEY} characters.", id="rest.E005")
    if settings.TRUSTED_PROXY_COUNT < 0:
        yield Error("TRUSTED_PROXY_COUNT cannot be negative.", id="rest.E006")


def _limits() -> Iterator[CheckMessage]:
    for name in THROTTLES:
        try:
            limits.parse(getattr(settings, name))
        except ValueError as error:
            yield Error(f"{name}: {error}", id="rest.E007")
