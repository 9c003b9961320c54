"""Callers of the API for tests: customers by a JWT, services by a token."""

import itertools
import json
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client

from rest import tokens

FAR_AWAY = 4_000_000_000  # seconds since 1970: no clock of a test gets there
_numbers = itertools.count(1)


def customer(user: User) -> dict[str, str]:
    token = jwt.encode({"sub": user.get_username(), "exp": FAR_AWAY}, settings.JWT_SECRET, "HS256")
    return {"authorization": f"Bearer {token}"}


def _permission(name: str) -> Permission:
    app, _, codename = name.rpartition(".")
    found = Permission.objects.filter(codename=codename)
    return (found.filter(content_type__app_label=app) if app else found).get()


def service(*codenames: str, acts_for: User | None = None) -> dict[str, str]:
    """A codename that the mirror of Stripe has too comes with its app: `billing.view_refund`."""
    permissions = [_permission(name) for name in ("act_for_customers", *codenames)]
    _, secret = tokens.issue(name="shop", permissions=permissions, expires_at=None, by=None)
    return {"authorization": f"Bearer {secret}"} | ({"x-user-id": acts_for.get_username()} if acts_for else {})


def post(path: str, who: dict[str, str], body: Any = None, key: str | None = "", **headers: str) -> Any:
    """A fresh key unless one is given; None for no key. A string is sent as it stands."""
    if key is not None:
        headers["idempotency-key"] = key or f"key-{next(_numbers)}"
    sent = body if isinstance(body, str | bytes) else json.dumps({} if body is None else body)
    return Client().post(f"/api/v1/{path}", sent, content_type="application/json", headers=who | headers, follow=False)


def get(path: str, who: dict[str, str], **headers: str) -> Any:
    return Client().get(f"/api/v1/{path}", headers=who | headers)


def put(path: str, who: dict[str, str], body: Any) -> Any:
    return Client().put(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=who)


def delete(path: str, who: dict[str, str]) -> Any:
    return Client().delete(f"/api/v1/{path}", headers=who)
