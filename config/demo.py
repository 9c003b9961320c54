"""The demo people of a laptop: an operator, a service and a customer, with their credentials in var/demo.json.

Nobody signs up at Tirelire: customers come with a token of the shop's own site, or with a password that an operator
gave. The demo customer has both.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.models import Permission, User

from billing.models import GatewaySetting
from config.safety import DEMO_PREFIX
from rest import tokens
from rest.models import ServiceToken

OPERATOR = DEMO_PREFIX + "admin"  # the checks of production know demo people by this prefix
CUSTOMER = DEMO_PREFIX + "customer"
SERVICE = "Demo service"
TOKEN_DAYS = 30
RENEW_DAYS = 7
AFTER_STRIPE = 110


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Who can use this installation at once, and where."""

    base_url: str
    sandbox_url: str
    stream_url: str
    operator_password: str
    customer_password: str
    service_token: str
    customer_token: str

    def banner(self, *, seconds: float) -> str:
        lines = [
            "",
            f"  Tirelire is ready ({seconds:.0f} s).",
            "",
            f"  Shop       {self.base_url}/pricing   user {CUSTOMER}   password {self.customer_password}",
            f"  Admin      {self.base_url}/admin/   user {OPERATOR}   password {self.operator_password}",
            f"  Widgets    {self.base_url}/demo/widgets   a badge of credits to embed, with the same user",
            f"  API        {self.base_url}/api/docs",
            f"  Sandbox    {self.sandbox_url}/   the payment gateways in a box: no money moves",
            f"  Streams    {self.stream_url}/api/v1/events",
            f"  Tokens     {_path()}",
            "",
            f"  Try        curl -H 'Authorization: Bearer {self.service_token}' {self.base_url}/api/v1/me",
            "  Stop       Ctrl-C",
            "",
        ]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        return {
            "base_url": self.base_url,
            "sandbox_url": self.sandbox_url,
            "stream_url": self.stream_url,
            "admin": {
                "url": f"{self.base_url}/admin/",
                "username": OPERATOR,
                "password": self.operator_password,
            },
            "service_token": self.service_token,
            "customer": {"id": CUSTOMER, "password": self.customer_password, "token": self.customer_token},
            "jwt_secret": settings.JWT_SECRET,
        }


def seed(base_url: str, *, stream_url: str, sandbox_url: str) -> People:
    """Make the demo people, or keep those of last time; the same logins work after every start."""
    last = _last_time()
    people = People(
        base_url=base_url,
        sandbox_url=sandbox_url,
        stream_url=stream_url,
        operator_password=_operator(last.get("admin", {}).get("password")),
        customer_password=_password(_customer_account(), last.get("customer", {}).get("password")),
        service_token=_service(last.get("service_token", "")),
        customer_token=_customer_token(last.get("customer", {}).get("token", "")),
    )
    # What a card pays goes to Stripe; with nothing chosen, gateways of equal cost come by their names.
    GatewaySetting.objects.get_or_create(name="paypal", defaults={"priority": AFTER_STRIPE})
    _write(people.as_json())
    return people


def _operator(password: str | None) -> str:
    user, _ = User.objects.get_or_create(
        username=OPERATOR, defaults={"is_staff": True, "is_superuser": True, "email": "admin@example.com"}
    )
    return _password(user, password)


def _customer_account() -> User:
    """The same account that the first request with the customer's token would make."""
    user, _ = User.objects.get_or_create(username=CUSTOMER, defaults={"email": "customer@example.com"})
    return user


def _password(user: User, password: str | None) -> str:
    """The one of last time, if it still opens the account; else a new one."""
    if password and user.check_password(password):
        return password
    password = DEMO_PREFIX + secrets.token_hex(4)
    user.set_password(password)
    user.save(update_fields=["password"])
    return password


def _service(secret: str) -> str:
    everything = Permission.objects.all()
    known = ServiceToken.objects.filter(digest=tokens.digest_of(secret), revoked_at=None).first()
    if known is None:
        known, secret = tokens.issue(name=SERVICE, permissions=everything, expires_at=None, by=None)
    else:
        known.permissions.set(everything)  # migrations may have brought new ones
    return secret


def _customer_token(token: str) -> str:
    now = datetime.now(UTC)
    try:
        claims = jwt.decode(token, settings.JWT_SECRET, algorithms=["HS256"], options={"verify_aud": False})
        if datetime.fromtimestamp(claims["exp"], UTC) > now + timedelta(days=RENEW_DAYS):
            return token
    except jwt.InvalidTokenError:
        pass
    return sign(CUSTOMER, now=now, life=timedelta(days=TOKEN_DAYS))


def sign(user_id: str, *, now: datetime, life: timedelta) -> str:
    """A token as the auth service of a shop gives it to its customer."""
    claims: dict[str, Any] = {"sub": user_id, "iat": now, "exp": now + life}
    if getattr(settings, "JWT_AUDIENCE", ""):
        claims["aud"] = getattr(settings, "JWT_AUDIENCE", "")
    if getattr(settings, "JWT_ISSUER", ""):
        claims["iss"] = getattr(settings, "JWT_ISSUER", "")
    return jwt.encode(claims, settings.JWT_SECRET, algorithm="HS256")


def _path() -> Path:
    return settings.VAR_DIR / "demo.json"


def _last_time() -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(_path().read_text())
    except (OSError, ValueError):
        return {}
    return known


def _write(known: dict[str, Any]) -> None:
    new = _path().with_suffix(".new")
    new.touch(0o600)
    new.write_text(json.dumps(known, indent=2) + "\n")
    new.rename(_path())
