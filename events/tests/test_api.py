"""Endpoints and preferences over the API."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings as configured
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from events import deliveries, dispatching, endpoints, preferences, sending
from events.models import Delivery, Endpoint, Event
from events.tests.receivers import Receiver
from rest import tokens

pytestmark = pytest.mark.django_db
Tell = Callable[..., Event]


def service(*codenames: str, acts_for: User | None = None) -> dict[str, str]:
    permissions = list(Permission.objects.filter(codename__in=["act_for_customers", *codenames]))
    assert len(permissions) == len(codenames) + 1
    _, secret = tokens.issue(name="shop", permissions=permissions, expires_at=None, by=None)
    return {"authorization": f"Bearer {secret}"} | ({"x-user-id": acts_for.get_username()} if acts_for else {})


def customer(user: User) -> dict[str, str]:
    token = jwt.encode({"sub": user.get_username(), "exp": 4_000_000_000}, configured.JWT_SECRET, "HS256")
    return {"authorization": f"Bearer {token}"}


def call(method: str, path: str, who: dict[str, str], body: Any = None) -> Any:
    sent = b"" if body is None else json.dumps(body)
    return Client().generic(method, f"/api/v1/{path}", sent, content_type="application/json", headers=who)


@pytest.fixture
def shop() -> dict[str, str]:
    return service("manage_endpoints")


def test_endpoint_is_added_with_a_secret_that_is_shown_once(shop, receiver: Receiver) -> None:
    answer = call("POST", "webhook-endpoints", shop, {"url": receiver.url, "types": ["credits.low"]})
    assert answer.status_code == 201
    made = answer.json()
    assert made["secret"].startswith("whsec_")
    shown = call("GET", f"webhook-endpoints/{made['id']}", shop).json()
    assert "secret" not in shown
    assert (shown["url"], shown["types"], shown["disabled_at"]) == (receiver.url, ["credits.low"], None)
    assert [each["id"] for each in call("GET", "webhook-endpoints", shop).json()["results"]] == [made["id"]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "http://127.0.0.1/"}, "address_refused"),
        ({"url": "nowhere"}, "address_refused"),
        ({"types": ["credits.lost"]}, "validation_error"),
        ({"types": "credits.low"}, "validation_error"),
        ({"secret": "whsec_mine"}, "validation_error"),
        ({"contact_email": "nobody"}, "validation_error"),
    ],
)
def test_bad_wish_is_refused_and_nothing_is_made(shop, change: dict[str, Any], code: str) -> None:
    answer = call("POST", "webhook-endpoints", shop, {"url": "http://127.0.0.1/"} | change)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize("path", ["webhook-endpoints", "deliveries/0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f"])
def test_only_services_with_the_permission_manage_endpoints(user: User, path: str) -> None:
    for who in (customer(user), service("issue_grant")):
        answer = call("GET", path, who)
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


def test_deleted_endpoint_is_gone(shop, receiver: Receiver) -> None:
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    assert call("DELETE", f"webhook-endpoints/{endpoint.pk}", shop).status_code == 204
    assert call("GET", f"webhook-endpoints/{endpoint.pk}", shop).status_code == 404
    assert not Endpoint.objects.exists()


def test_rotation_over_the_api_gives_a_secret_that_signs(shop, receiver: Receiver, user: User, tell: Tell) -> None:
    endpoint, first = endpoints.add(url=receiver.url, by="shop")
    answer = call("POST", f"webhook-endpoints/{endpoint.pk}/rotate", shop)
    assert answer.status_code == 201
    tell(user)
    dispatching.tell_new()
    sending.run()
    assert len(receiver.verified(first)) == len(receiver.verified(answer.json()["secret"])) == 1


def test_deliveries_are_listed_with_their_log(shop, receiver: Receiver, user: User, tell: Tell) -> None:
    receiver.reply = lambda *_: 500
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    event = tell(user)
    dispatching.tell_new()
    sending.run()
    path = f"webhook-endpoints/{endpoint.pk}/deliveries"
    [row] = call("GET", path, shop).json()["results"]
    assert (row["event"], row["type"], row["state"], row["last_status"]) == (str(event.pk), event.type, "pending", 500)
    assert [(line["status"], line["excerpt"]) for line in row["log"]] == [(500, "noted")]
    assert call("GET", f"{path}?state=dead", shop).json()["results"] == []
    assert call("GET", f"{path}?state=lost", shop).status_code == 400


def test_replay_over_the_api(shop, receiver: Receiver, user: User, tell: Tell) -> None:
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    sending.run()
    row = Delivery.objects.get()
    answer = call("POST", f"deliveries/{row.pk}/replay", shop)
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    sending.run()
    assert len(receiver.requests) == 2
    endpoints.disable(endpoint=endpoint, reason="by_hand")  # type: ignore[arg-type]  # its value
    refused = call("POST", f"deliveries/{row.pk}/replay", shop)
    assert (refused.status_code, refused.json()["code"]) == (409, "endpoint_disabled")
    assert call("POST", f"webhook-endpoints/{endpoint.pk}/enable", shop).json()["disabled_at"] is None


def test_range_is_replayed_over_the_api(shop, receiver: Receiver, user: User, tell: Tell) -> None:
    tell(user)
    dispatching.tell_new()
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    path = f"webhook-endpoints/{endpoint.pk}/replay"
    answer = call("POST", path, shop, {"since": since, "until": (timezone.now() + timedelta(minutes=1)).isoformat()})
    assert (answer.status_code, answer.json()) == (202, {"queued": 1})
    backwards = call("POST", path, shop, {"since": since, "until": since})
    assert (backwards.status_code, backwards.json()["errors"][0]["field"]) == (400, "until")
    end = "9999-12-31T23:59:59Z"
    never = call("POST", path, shop, {"since": end, "until": end})
    assert (never.status_code, [each["code"] for each in never.json()["errors"]]) == (400, ["too_late", "too_late"])
    assert deliveries.claim(10)


def test_customer_chooses_which_letters_come(user: User) -> None:
    who = customer(user)
    assert call("GET", "mail-preferences", who).json() == {
        "receipts": True,
        "payment_problems": True,
        "renewals": True,
        "credits": True,
        "weekly_grants": False,
        "withdrawals": True,
    }
    changed = call("PATCH", "mail-preferences", who, {"weekly_grants": True, "credits": False}).json()
    assert (changed["weekly_grants"], changed["credits"], changed["receipts"]) == (True, False, True)
    assert preferences.of(user) == changed
    refused = call("PATCH", "mail-preferences", who, {"gossip": True})
    assert refused.status_code == 400
    assert preferences.of(user) == changed


def test_one_customers_preferences_are_no_others(user: User) -> None:
    other = User.objects.create(username="other")
    call("PATCH", "mail-preferences", customer(user), {"credits": False})
    assert preferences.of(other)["credits"] is True
