"""Tickets open one stream, soon, and nothing else."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.conf import settings as project
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from events import tickets
from events.models import StreamTicket
from rest import tokens
from rest.tests.rivals import second_while_the_first_is_open


@pytest.fixture
def user(db) -> User:
    return User.objects.create(username="ann")


def test_a_ticket_is_good_once(user: User) -> None:
    ends_at = timezone.now() + timedelta(hours=1)
    ticket, _ = tickets.issue(user=user, stream_ends_at=ends_at)
    assert tickets.redeem(ticket) == tickets.Admitted(user_id=user.pk, ends_at=ends_at)
    assert tickets.redeem(ticket) is None


def test_a_ticket_expires(user: User, settings) -> None:
    ticket, expires_at = tickets.issue(user=user, stream_ends_at=None)
    with time_machine.travel(expires_at + timedelta(milliseconds=1), tick=False):
        assert tickets.redeem(ticket) is None


def test_a_ticket_does_not_outlive_the_credential(user: User) -> None:
    ends_at = timezone.now() + timedelta(seconds=1)
    _, expires_at = tickets.issue(user=user, stream_ends_at=ends_at)
    assert expires_at == ends_at


@pytest.mark.parametrize("ticket", ["", "x", "x" * 101, "é", "\udcff"])
def test_what_is_no_ticket_opens_nothing(user: User, ticket: str) -> None:
    tickets.issue(user=user, stream_ends_at=None)
    assert tickets.redeem(ticket) is None
    assert StreamTicket.objects.count() == 1


def test_a_deactivated_customer_does_not_come_in(user: User) -> None:
    ticket, _ = tickets.issue(user=user, stream_ends_at=None)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert tickets.redeem(ticket) is None


def test_the_secret_is_not_stored(user: User) -> None:
    ticket, _ = tickets.issue(user=user, stream_ends_at=None)
    stored = StreamTicket.objects.values_list().get()
    assert ticket not in str(stored)


def test_unused_tickets_go_when_others_are_issued(user: User) -> None:
    _, expires_at = tickets.issue(user=user, stream_ends_at=None)
    with time_machine.travel(expires_at + timedelta(seconds=1), tick=False):
        tickets.issue(user=user, stream_ends_at=None)
    assert StreamTicket.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_come_at_once_one_gets_in(transactional_db) -> None:
    ticket, _ = tickets.issue(user=User.objects.create(username="ann"), stream_ends_at=None)
    met = second_while_the_first_is_open(lambda: tickets.redeem(ticket), lambda: tickets.redeem(ticket))
    assert (met.first is not None, met.second, met.second_waited) == (True, None, True)


# ---------------------------------------------------------------- the endpoints of the web process


def ask(client: Client, path: str, token: str, *, post: bool = False, **headers: str) -> Any:
    sent = {"Authorization": f"Bearer {token}", **headers} if token else headers
    return client.post(path, content_type="application/json", headers=sent) if post else client.get(path, headers=sent)


def token_of(user_id: str) -> str:
    return jwt.encode({"sub": user_id, "exp": 4_000_000_000}, project.JWT_SECRET, "HS256")


def test_a_customer_gets_a_ticket(client: Client, db) -> None:
    reply = ask(client, "/api/v1/events/ticket", token_of("ann"), post=True)
    assert reply.status_code == 201
    assert reply.json()["stream_url"].endswith("/api/v1/events")
    assert reply.json()["websocket_url"].startswith("ws")
    admitted = tickets.redeem(reply.json()["ticket"])
    assert admitted is not None
    assert User.objects.get(pk=admitted.user_id).username == "ann"


def test_a_stranger_gets_none(client: Client, db) -> None:
    assert ask(client, "/api/v1/events/ticket", "", post=True).status_code == 401
    assert StreamTicket.objects.count() == 0


def test_a_service_needs_the_permission_and_a_customer(client: Client, db) -> None:
    _, secret = tokens.issue(name="Shop", permissions=[], expires_at=None, by=None)
    reply = ask(client, "/api/v1/events/ticket", secret, post=True)
    assert (reply.status_code, reply.json()["code"]) == (403, "permission_missing")
    assert StreamTicket.objects.count() == 0


def test_on_a_laptop_the_web_sends_listeners_on_with_a_ticket(client: Client, db, settings) -> None:
    settings.STREAM_URL = "http://127.0.0.1:8001"
    reply = ask(client, "/api/v1/events?last_event_id=7", token_of("ann"))
    assert reply.status_code == 307
    address, _, ticket = reply["Location"].partition("&ticket=")
    assert address == "http://127.0.0.1:8001/api/v1/events?last_event_id=7"
    assert tickets.redeem(ticket) is not None


def test_a_ticket_is_handed_on_unused(client: Client, db, settings) -> None:
    settings.STREAM_URL = "http://127.0.0.1:8001"
    reply = ask(client, "/api/v1/events?ticket=abc", "")
    assert (reply.status_code, reply["Location"]) == (307, "http://127.0.0.1:8001/api/v1/events?ticket=abc")


def test_strangers_are_not_sent_on(client: Client, db, settings) -> None:
    settings.STREAM_URL = "http://127.0.0.1:8001"
    reply = ask(client, "/api/v1/events", "")
    assert reply.status_code == 401
    assert reply["WWW-Authenticate"] == "Bearer"


def test_without_a_stream_url_there_is_nothing_here(client: Client, db) -> None:
    assert ask(client, "/api/v1/events", token_of("ann")).status_code == 404
