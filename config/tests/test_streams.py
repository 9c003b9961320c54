"""Streams over real processes: two web servers, two stream processes and a worker, told apart by nobody."""

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection, connections, transaction
from django.utils import timezone
from websockets.exceptions import InvalidStatus

from config import broker
from config.asgi import application
from config.tests.processes import WORKER, running
from config.tests.streams import (
    FAR_AWAY,
    SentEvents,
    WebSocket,
    call,
    database_url,
    served,
    stream,
    token_of,
    wait_until_well,
    web,
)
from config.tests.test_server import Proxy
from credits import grants, holds, usage
from credits.models import GrantSource
from events import outbox, shapes, tickets
from events.models import Event
from events.types import EventType
from rest import tokens
from rest.models import ServiceToken

pytestmark = pytest.mark.django_db(transaction=True)


def types(messages: list[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


@pytest.fixture
def shop(transactional_db) -> str:
    """The secret of a service that may grant, spend and listen."""
    wanted = ["add_grant", "issue_grant", "spend_credits", "act_for_customers", "view_event"]
    _, secret = tokens.issue(
        name="Shop", permissions=Permission.objects.filter(codename__in=wanted), expires_at=None, by=None
    )
    return secret


def grant(port: int, shop: str, user: str, amount: int, key: str) -> None:
    body = {"amount": amount, "reason": "test"}
    status, told = call(port, "POST", "credits/grants", shop, body, X_User_ID=user, Idempotency_Key=key)
    assert status == 201, told


def spend(port: int, user: str, amount: int, key: str) -> None:
    status, told = call(port, "POST", "credits/spend", token_of(user), {"amount": amount}, Idempotency_Key=key)
    assert status == 201, told


def test_both_doors_of_two_processes_tell_the_same_in_order(shop: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(web(tmp_path)) for _ in range(2))
        left, right = (stack.enter_context(stream(tmp_path)) for _ in range(2))
        wait_until_well(left)
        wait_until_well(right)
        stack.enter_context(running(WORKER, tmp_path / "worker.log", DATABASE_URL=database_url()))
        ann_sse = stack.enter_context(SentEvents(left, token_of("ann")))
        ann_ws = stack.enter_context(WebSocket(right, token_of("ann")))
        ben = stack.enter_context(SentEvents(left, token_of("ben")))
        listeners: list[SentEvents | WebSocket] = [ann_sse, ann_ws, ben]
        for client in listeners:
            assert client.next() == {
                "id": "00000000-0000-0000-0000-000000000000",
                "type": "stream.ready",
                "version": 1,
                "data": {"resumed": False, "status": "ok"},
            }
        grant(one, shop, "ann", 100, "g1")
        heard = [client.until("credits.balance") for client in listeners[:2]]
        spend(two, "ann", 85, "s1")
        for client, before in zip(listeners[:2], heard, strict=True):
            after = client.until("credits.low")
            if "credits.balance" not in types(after):
                after += client.until("credits.balance")
            assert types(before) == ["credits.granted", "credits.balance"]
            assert before[0]["data"]["amount"] == 100
            assert before[1]["data"] == {"unit": "CREDIT", "available": 100, "held": 0, "state": "ok", "version": 1}
            assert sorted(types(after)) == ["credits.balance", "credits.low"]
            low, balance = sorted(after, key=lambda message: message["type"], reverse=True)
            assert low["data"] == {"unit": "CREDIT", "available": 15, "version": 2}
            assert balance["data"] == {"unit": "CREDIT", "available": 15, "held": 0, "state": "low", "version": 2}
        grant(two, shop, "ben", 7, "g2")
        assert ben.until("credits.granted")[0]["data"]["amount"] == 7


# ---------------------------------------------------------------- one process, in this one


@pytest.fixture
def port(request, transactional_db, settings) -> Iterator[int]:
    """Parametrized by settings that the process reads as it starts."""
    settings.STREAM_POLL_SECONDS = 0.1
    for name, value in getattr(request, "param", {}).items():
        setattr(settings, name, value)
    with served() as port:
        yield port


@pytest.fixture
def ann(transactional_db) -> User:
    return User.objects.create(username="ann")


def low(user: User, available: int) -> Event:
    data = {"unit": "CREDIT", "available": available, "version": 1}
    return outbox.record(user=user, type=EventType.CREDITS_LOW, data=data)


def figures(messages: list[dict[str, Any]]) -> list[int]:
    return [message["data"]["available"] for message in messages]


def hear(client: SentEvents | WebSocket, count: int) -> list[dict[str, Any]]:
    """The next so many events; what is told and not written is passed over."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = client.next()
        assert message is not None
        if message["id"] and message["type"] != "stream.ready":
            found.append(message)
    return found


def test_who_was_away_gets_exactly_what_was_missed(port: int, ann: User) -> None:
    with SentEvents(port, token_of("ann")) as client:
        low(ann, 9)
        assert figures(hear(client, 1)) == [9]
    for left in (8, 7, 6):
        low(ann, left)
    with SentEvents(port, token_of("ann"), last_event_id=client.last_id) as again:
        ready = again.next()
        assert ready is not None
        assert (ready["id"], ready["data"]["resumed"]) == (client.last_id, True)
        low(ann, 5)
        assert figures(hear(again, 4)) == [8, 7, 6, 5]
    with WebSocket(port, token_of("ann"), last_event_id=client.last_id) as other_door:
        assert figures(hear(other_door, 4)) == [8, 7, 6, 5]


def test_who_left_before_the_first_event_resumes_there(port: int, ann: User) -> None:
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
    low(ann, 9)
    with SentEvents(port, token_of("ann"), last_event_id=client.last_id) as again:
        assert figures(hear(again, 1)) == [9]


def test_a_stream_that_is_opened_anew_tells_nothing_old(port: int, ann: User) -> None:
    with SentEvents(port, token_of("ann")) as first:
        low(ann, 9)
        low(ann, 8)
        hear(first, 2)  # until then an event has no position yet, and is not old
    with SentEvents(port, token_of("ann")) as second:
        ready = second.next()
        assert ready is not None
        assert (ready["id"], ready["data"]["resumed"]) == (first.last_id, False)
        low(ann, 7)
        assert figures(hear(second, 1)) == [7]


@pytest.mark.parametrize("given", ["of another", "00000000-0000-7000-8000-000000000001", "broken", "1", "é"])
def test_an_id_that_is_not_one_of_theirs_resumes_nothing(port: int, ann: User, given: str) -> None:
    if given == "of another":
        with SentEvents(port, token_of("ben")) as ben:
            ben.until("stream.ready")
            given = str(low(User.objects.get(username="ben"), 3).id)
            hear(ben, 1)
    with WebSocket(port, token_of("ann"), last_event_id=given) as client:
        ready = client.next()
        assert ready is not None
        assert ready["data"]["resumed"] is False
        low(ann, 9)
        assert figures(hear(client, 1)) == [9]


def test_nobody_hears_of_another(port: int, ann: User) -> None:
    ben = User.objects.create(username="ben")
    with SentEvents(port, token_of("ann")) as client, WebSocket(port, token_of("ben")) as other:
        client.until("stream.ready")
        other.until("stream.ready")
        for left in (5, 4):
            low(ben, left)
        low(ann, 9)
        assert figures(hear(client, 1)) == [9]
        assert figures(hear(other, 2)) == [5, 4]


def test_what_committed_late_reaches_open_streams_and_those_who_were_away(port: int, ann: User) -> None:
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
        with contextlib.closing(connections.create_connection("default")) as slow:
            slow.set_autocommit(False)
            with slow.cursor() as cursor:
                data = '{"unit": "CREDIT", "available": 1, "version": 1}'
                cursor.execute(
                    "INSERT INTO events_event (type, user_id, data) VALUES ('credits.low', %s, %s)", [ann.pk, data]
                )
            low(ann, 9)
            assert figures(hear(client, 1)) == [9]
            at = client.last_id
            slow.commit()  # nobody sends a hint for it
        assert figures(hear(client, 1)) == [1]
    with SentEvents(port, token_of("ann"), last_event_id=at) as again:
        assert figures(hear(again, 1)) == [1]


def test_what_got_its_position_and_was_never_published_is_found(port: int, ann: User) -> None:
    """As when a process dies between the two."""
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO events_event (type, user_id, data) VALUES"
                ' (\'credits.low\', %s, \'{"unit": "CREDIT", "available": 4, "version": 1}\')',
                [ann.pk],
            )
            cursor.execute("SELECT FROM events_streamhead FOR UPDATE")
            cursor.execute("SELECT count(*) FROM events_place(10)")
            assert cursor.fetchone() == (1,)
        assert figures(hear(client, 1)) == [4]


def test_what_operators_write_about_a_customer_is_not_streamed_to_them(port: int, ann: User) -> None:
    grant = grants.issue(user=ann, amount=10, source=GrantSource.MANUAL, key="g")
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
        grants.freeze(grant=grant, reason="looks like a thief", by=ann)
        *_, told = client.until("credits.adjusted")
    assert told["data"] == {"grant": str(grant.entry_id), "unit": "CREDIT", "amount": 0, "change": "frozen"}
    kept = Event.objects.get(pk=told["id"]).data
    assert (kept["reason"], kept["by"]) == ("looks like a thief", ann.pk)


def test_front_ends_of_old_hear_the_names_they_know(port: int, ann: User) -> None:
    example = shapes.SHAPES[EventType.SUBSCRIPTION_ACTIVATED, 1].example
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
        event = outbox.record(user=ann, type=EventType.SUBSCRIPTION_ACTIVATED, data=example)
        alias, told = client.until("subscription.activated")
        assert (alias["type"], alias["alias_of"]) == ("premium_activated", "subscription.activated")
        assert alias["id"] == told["id"] == client.last_id == str(event.id)
        assert alias["data"] == told["data"] == example


def test_a_slow_reader_is_bounded_and_misses_nothing(port: int, ann: User, settings) -> None:
    application.hub.queue = 5
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
        [known] = application.hub.everyone()
        example = shapes.SHAPES[EventType.CREDITS_ADJUSTED, 1].example
        most = 0
        for number in range(400):
            data = {**example, "amount": -number - 1, "change": "x" * 30_000}
            outbox.record(user=ann, type=EventType.CREDITS_ADJUSTED, data=data)
            most = max(most, len(known.rows))
        heard = hear(client, 400)
        assert [message["data"]["amount"] for message in heard] == [-number - 1 for number in range(400)]
        assert most <= 5


# ---------------------------------------------------------------- balances


def let_all_be_told() -> None:
    application.relay.balance_told_at.clear()  # as it is in the loop's own thread: each turn makes another
    application.relay.due_awake.set()


@pytest.mark.parametrize("port", [{"STREAM_BALANCE_SECONDS": 3_600}], indirect=True)
def test_a_balance_is_told_at_most_once_a_while_and_then_it_is_the_latest(port: int, ann: User, settings) -> None:
    assert settings.STREAM_BALANCE_SECONDS == 3_600
    grants.issue(user=ann, amount=100, source=GrantSource.MANUAL, key="g")
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
        usage.spend(user=ann, amount=1, key="s0")
        assert figures(client.until("credits.balance")) == [99]
        for number in range(5):
            usage.spend(user=ann, amount=1, key=f"s{number + 1}")
        low(ann, 0)
        assert "credits.balance" not in types(client.until("credits.low"))
        application.relay.loop.call_soon_threadsafe(let_all_be_told)
        assert figures(client.until("credits.balance")) == [94]


def test_holds_show_in_the_balance(port: int, ann: User) -> None:
    grants.issue(user=ann, amount=100, source=GrantSource.MANUAL, key="g")
    with WebSocket(port, token_of("ann")) as client:
        client.until("stream.ready")
        holds.reserve(user=ann, amount=30, key="h")
        told = client.until("credits.balance")[-1]["data"]
        assert (told["available"], told["held"]) == (70, 30)
        shapes.check("credits.balance", told)


# ---------------------------------------------------------------- Redis goes away


def test_while_redis_is_away_streams_say_so_and_lose_nothing(transactional_db, ann: User, settings) -> None:
    settings.STREAM_POLL_SECONDS = 0.1
    address = urlsplit(settings.REDIS_URL)
    proxy = Proxy((address.hostname or "127.0.0.1", address.port or 6379))
    try:
        settings.REDIS_URL = f"redis://{address.netloc.rpartition(':')[0] or '127.0.0.1'}:{proxy.port}{address.path}"
        with served() as port, SentEvents(port, token_of("ann")) as client:
            low(ann, 9)
            assert figures(hear(client, 1)) == [9]
            proxy.close()
            [status] = [each for each in client.until("stream.status") if each["type"] == "stream.status"]
            assert status["data"] == {"status": "degraded"}
            low(ann, 8)
            assert figures(hear(client, 1)) == [8]
            with SentEvents(port, token_of("ann")) as newcomer:
                ready = newcomer.next()
                assert ready is not None
                assert ready["data"]["status"] == "degraded"
            proxy.open()
            assert client.until("stream.status")[-1]["data"] == {"status": "ok"}
            low(ann, 7)
            assert figures(hear(client, 1)) == [7]
    finally:
        proxy.close()


# ---------------------------------------------------------------- who comes in


def refused(port: int, token: str = "", *, query: dict[str, str] | None = None) -> tuple[int, str, dict[str, str]]:
    client = SentEvents(port, token, query=query)
    body = json.loads(client.answer.read())
    headers = {name.lower(): value for name, value in client.answer.headers.items()}
    client.close()
    return client.answer.status, body["code"], headers


def test_strangers_and_bad_tokens_are_refused_as_in_the_api(port: int) -> None:
    status, code, headers = refused(port)
    assert (status, code, headers["www-authenticate"]) == (401, "not_authenticated", "Bearer")
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"]
    status, code, headers = refused(port, token_of("ann", exp=1))
    assert (status, code) == (401, "token_expired")
    assert 'error="invalid_token"' in headers["www-authenticate"]
    assert refused(port, jwt.encode({"sub": "ann", "exp": FAR_AWAY}, "k" * 40, "HS256"))[:2] == (
        401,
        "invalid_signature",
    )


def test_a_jwt_in_the_address_opens_nothing(port: int) -> None:
    for name in ("token", "access_token", "ticket"):
        assert refused(port, query={name: token_of("ann")})[0] == 401


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_a_websocket_without_good_credentials_is_refused(port: int, token: str) -> None:
    with pytest.raises(InvalidStatus) as refusal, WebSocket(port, token):
        pass
    assert refusal.value.response.status_code == 401


def test_a_ticket_opens_one_stream(port: int, ann: User) -> None:
    ticket, _ = tickets.issue(user=ann, stream_ends_at=None)
    with SentEvents(port, query={"ticket": ticket}) as client:
        client.until("stream.ready")
        low(ann, 9)
        assert figures(hear(client, 1)) == [9]
        assert refused(port, query={"ticket": ticket})[:2] == (401, "ticket_refused")


def test_a_stream_ends_with_its_credential(port: int, ann: User) -> None:
    # The clock stands still, so that however long the way to it takes the stream has the same time before it.
    with time_machine.travel(timezone.now(), tick=False):
        ticket, _ = tickets.issue(user=ann, stream_ends_at=timezone.now() + timedelta(seconds=0.5))
        with SentEvents(port, query={"ticket": ticket}) as client:
            client.until("stream.ready")
            assert client.next() is None


def hear_its_end(answer: HTTPResponse) -> None:
    """It is told ten times a second that it is alive, so that waiting for an end alone would never end."""
    assert any(not answer.readline() for _ in range(600)), "The stream goes on."


@pytest.mark.parametrize("port", [{"STREAM_HEARTBEAT_SECONDS": 0.1}], indirect=True)
def test_a_stream_ends_when_its_token_is_revoked_and_no_other_does(port: int, ann: User, shop: str) -> None:
    by_service = HTTPConnection("127.0.0.1", port, timeout=60)
    by_service.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {shop}", "X-User-ID": "ann"})
    with SentEvents(port, token_of("ann")) as own, by_service.getresponse() as answer:
        assert answer.status == 200
        own.until("stream.ready")
        tokens.revoke(token=ServiceToken.objects.get(), by=None)
        hear_its_end(answer)
        low(ann, 9)
        assert figures(hear(own, 1)) == [9]
    by_service.close()


@pytest.mark.parametrize("port", [{"STREAM_HEARTBEAT_SECONDS": 0.1}], indirect=True)
def test_streams_of_who_was_deactivated_end(port: int, ann: User) -> None:
    User.objects.create(username="ben")
    ticket, _ = tickets.issue(user=ann, stream_ends_at=None)
    with (
        SentEvents(port, token_of("ann")) as client,
        SentEvents(port, query={"ticket": ticket}) as another,
        SentEvents(port, token_of("ben")) as ben,
    ):
        for each in (client, another, ben):
            each.until("stream.ready")
        User.objects.filter(pk=ann.pk).update(is_active=False)
        hear_its_end(client.answer)
        hear_its_end(another.answer)
        low(User.objects.get(username="ben"), 9)
        assert figures(hear(ben, 1)) == [9]


def test_a_service_listens_for_the_customer_it_names(port: int, ann: User, shop: str) -> None:
    assert refused(port, shop)[:2] == (400, "customer_required")
    client = HTTPConnection("127.0.0.1", port, timeout=60)
    client.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {shop}", "X-User-ID": "ann"})
    answer = client.getresponse()
    assert answer.status == 200
    low(ann, 9)
    while b'"available":9' not in answer.readline():
        pass
    answer.close()
    client.close()


def test_a_customer_has_so_many_streams_at_most(port: int, ann: User) -> None:
    application.hub.streams_per_user = 1
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
        assert refused(port, token_of("ann"))[:2] == (429, "too_many_streams")


def test_a_page_of_an_allowed_origin_may_listen_and_no_other(port: int, ann: User, settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    said = {}
    for origin in ("https://shop.example", "https://evil.example", "null"):
        for method in ("OPTIONS", "GET"):
            client = HTTPConnection("127.0.0.1", port, timeout=60)
            client.request(method, "/api/v1/events", headers={"Origin": origin})
            answer = client.getresponse()
            said[origin, method] = answer.status, answer.headers["Access-Control-Allow-Origin"]
            allowed = answer.headers["Access-Control-Allow-Headers"] or ""
            assert ("last-event-id" in allowed) is (origin == "https://shop.example" and method == "OPTIONS")
            client.close()
    assert said == {
        ("https://shop.example", "OPTIONS"): (204, "https://shop.example"),
        ("https://shop.example", "GET"): (401, "https://shop.example"),
        ("https://evil.example", "OPTIONS"): (204, None),
        ("https://evil.example", "GET"): (401, None),
        ("null", "OPTIONS"): (204, None),
        ("null", "GET"): (401, None),
    }


def test_other_addresses_and_methods_are_refused(port: int) -> None:
    for method, path, status in (("GET", "/api/v1/me", 404), ("GET", "/admin/", 404), ("POST", "/api/v1/events", 405)):
        client = HTTPConnection("127.0.0.1", port, timeout=60)
        client.request(method, path)
        assert client.getresponse().status == status
        client.close()


# ---------------------------------------------------------------- what operators see


def test_a_quiet_stream_shows_that_it_lives(transactional_db, settings) -> None:
    settings.STREAM_HEARTBEAT_SECONDS = 0.01
    with served() as port:
        with SentEvents(port, token_of("ann")) as client:
            while client.answer.readline() != b": heartbeat\n":
                pass
        with WebSocket(port, token_of("ann")) as other:
            other.until("stream.heartbeat")


def test_the_process_says_how_it_is(port: int) -> None:
    wait_until_well(port)
    with SentEvents(port, token_of("ann")) as client:
        client.until("stream.ready")
        assert get(port, "/health/stream") == b'{"status":"ok","streams":1}'
        assert b'tirelire_stream_connections{kind="sse"}' in get(port, "/metrics")
        assert b"tirelire_stream_lag_seconds_bucket" in get(port, "/metrics")
        assert broker.stream_age() is not None


def get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return bytes(answer.read())
