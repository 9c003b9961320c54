"""Who calls the API, whichever way they proved it. `request.auth` is a Caller, or None for a stranger."""

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from rest.errors import RestError


class Kind(enum.StrEnum):
    CUSTOMER = "customer"  # a person, by a JWT of the team's own auth service
    SERVICE = "service"  # a machine, by a service token; may speak for a customer
    PROXY = "proxy"  # a person for whom our own gateway vouches


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What a caller may do stands here alone: the groups and permissions of `user` count in the admin only."""

    kind: Kind
    identity: str  # one short word for keys and logs: a service is itself, whomever it speaks for
    user: User | None  # the customer who is spoken for
    name: str
    token_id: uuid.UUID | None = None
    permissions: frozenset[str] = frozenset()
    expires_at: datetime | None = None

    @property
    def is_customer(self) -> bool:
        """Whether the customer themselves calls, whoever vouches for them."""
        return self.kind is not Kind.SERVICE


class CredentialRefused(Exception):
    """A credential that is wrong, expired or revoked. Its words go into a header: plain ASCII without quotes."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class AmbiguousCredentials(RestError):
    def __init__(self) -> None:
        super().__init__("Send either a bearer token or X-Internal-Key, not both.")


class InvalidUserId(RestError):
    def __init__(self) -> None:
        super().__init__("A user id in X-User-ID is 1 to 150 visible characters, without surrounding space and commas.")


class CustomerRequired(RestError):
    def __init__(self) -> None:
        super().__init__("This is about one customer: say which one in the X-User-ID header.")


def of(request: Request) -> Caller:
    """Who calls; strangers are asked for credentials."""
    caller = request.auth
    if not isinstance(caller, Caller):
        raise NotAuthenticated("Send a bearer token in the Authorization header.")
    return caller


def customer(request: Request) -> User:
    """The customer that this request is about: the caller, or the one for whom a service speaks."""
    user = of(request).user
    if user is None:
        raise CustomerRequired
    return user
