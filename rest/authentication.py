"""From the headers of a request to its Caller.

There is no session authentication here: operators work in the admin, so a cookie opens nothing in the API
and no endpoint of it needs a CSRF token. The schema and its pages are public instead.
"""

import hmac
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from prometheus_client import Counter
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from rest import customer_tokens, customers, throttles, tokens
from rest.callers import AmbiguousCredentials, Caller, CredentialRefused, InvalidUserId, Kind

ACT_FOR_CUSTOMERS = "rest.act_for_customers"
CHALLENGE = "Bearer"

refusals = Counter("tirelire_refused_credentials", "Credentials that were refused.", ["code"])


class CallerAuthentication(BaseAuthentication):
    """A bearer token (of a customer or a service), or the headers of a trusted proxy; never two of them."""

    def authenticate(self, request: Request) -> tuple[User | AnonymousUser, Caller] | None:
        try:
            caller = _caller(request._request)
        except CredentialRefused as refusal:
            refusals.labels(refusal.code).inc()
            request._request.challenge = (  # type: ignore[attr-defined]
                f'{CHALLENGE} error="invalid_token", error_description="{refusal.sentence}"'
            )
            throttles.count_stranger(request._request)
            raise AuthenticationFailed(refusal.sentence, refusal.code) from refusal
        if caller is None:
            return None
        return caller.user or AnonymousUser(), caller

    def authenticate_header(self, request: Request) -> str:
        return getattr(request._request, "challenge", CHALLENGE)


def _caller(request: HttpRequest) -> Caller | None:
    token = _bearer_token(request.META.get("HTTP_AUTHORIZATION"))
    proxied = settings.TRUST_PROXY_HEADERS and ("HTTP_X_INTERNAL_KEY" in request.META)
    if token is None:
        return _proxied(request) if settings.TRUST_PROXY_HEADERS else None
    if proxied:
        raise AmbiguousCredentials
    if token.startswith(tokens.PREFIX):
        return _service(request, token)
    return _customer(request, token)


def _bearer_token(header: str | None) -> str | None:
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise CredentialRefused("unsupported_scheme", "The Authorization header must start with the word Bearer.")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialRefused(
            "malformed_authorization", "The Authorization header must be the word Bearer, one space and the token."
        )
    return token


# ---------------------------------------------------------------- the three kinds


def _customer(request: HttpRequest, token: str) -> Caller:
    verified = customer_tokens.verify(token)
    user = _account(verified.user_id)
    named = _named_user(request)
    if named is not None and named != verified.user_id:
        raise PermissionDenied("The token speaks for another user than X-User-ID.", "user_mismatch")
    return _person(Kind.CUSTOMER, user, verified.expires_at)


def _service(request: HttpRequest, secret: str) -> Caller:
    token = tokens.verify(secret)
    named = _named_user(request)
    if named is not None and ACT_FOR_CUSTOMERS not in token.permissions:
        raise PermissionDenied(
            f"To act for a customer the service token needs the permission {ACT_FOR_CUSTOMERS}.", "permission_missing"
        )
    return Caller(
        kind=Kind.SERVICE,
        identity=f"service:{token.id}",
        user=_spoken_for(named) if named is not None else None,
        name=token.name,
        token_id=token.id,
        permissions=token.permissions,
        expires_at=token.expires_at,
    )


def _proxied(request: HttpRequest) -> Caller | None:
    """A customer for whom our own gateway vouches: it has checked who they are, and shows that it is our gateway."""
    named = _named_user(request)
    key = request.META.get("HTTP_X_INTERNAL_KEY")
    if key is None and named is None:
        return None
    if not _is_internal_key(key or ""):
        raise CredentialRefused("invalid_internal_key", "X-Internal-Key is missing or wrong.")
    if named is None:
        raise InvalidUserId
    return _person(Kind.PROXY, _spoken_for(named), None)


def _is_internal_key(key: str) -> bool:
    known = [each for each in (settings.INTERNAL_API_KEY, settings.INTERNAL_PREVIOUS_API_KEY) if each]
    given = key.encode(errors="surrogateescape")
    # All of them are compared, each in constant time: how long this takes tells nothing.
    return sum(hmac.compare_digest(given, each.encode()) for each in known) > 0


def _person(kind: Kind, user: User, expires_at: datetime | None) -> Caller:
    return Caller(kind=kind, identity=f"customer:{user.pk}", user=user, name=user.get_username(), expires_at=expires_at)


# ---------------------------------------------------------------- the user behind an id


def _named_user(request: HttpRequest) -> str | None:
    value = request.META.get("HTTP_X_USER_ID")
    if value is None:
        return None
    try:
        user_id = str(value).encode("latin-1").decode("utf-8")  # WSGI hands over bytes in the clothes of Latin-1
    except UnicodeError as error:
        raise InvalidUserId from error
    if not customers.is_user_id(user_id) or "," in user_id:  # a header that was sent twice arrives joined by a comma
        raise InvalidUserId
    return user_id


def _account(user_id: str) -> User:
    """The account behind a token's subject. Operators sign in at the admin, so that no token can wear their rights."""
    user = customers.account(user_id)
    if user.is_staff or user.is_superuser:
        raise CredentialRefused("operator_account", "This user is an operator: operators work in the admin.")
    if not user.is_active:
        raise CredentialRefused("user_inactive", "This user was deactivated.")
    return user


def _spoken_for(user_id: str) -> User:
    """The account behind X-User-ID: here the credential is good, and the user is not."""
    try:
        return _account(user_id)
    except CredentialRefused as refusal:
        raise PermissionDenied(refusal.sentence, refusal.code) from refusal


class CallerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The ways to call, as the schema tells them: any one of the three is enough."""

    target_class = CallerAuthentication
    name = ["customerToken", "serviceToken", "proxyKey", "proxyUser"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[str]]]:
        ways: list[dict[str, list[str]]] = [{"customerToken": []}, {"serviceToken": []}]
        if settings.TRUST_PROXY_HEADERS:
            ways.append({"proxyKey": [], "proxyUser": []})
        return ways

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        customer = {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A customer's token from your own auth service; sub is the user.",
        }
        service = {
            "type": "http",
            "scheme": "bearer",
            "description": "A service token (tl_…). X-User-ID says for which customer the service acts.",
        }
        key = {"type": "apiKey", "in": "header", "name": "X-Internal-Key", "description": "Only from a trusted proxy."}
        user = {"type": "apiKey", "in": "header", "name": "X-User-ID", "description": "The customer it vouches for."}
        return [customer, service, key, user]
