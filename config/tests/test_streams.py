"""Streams over real processes: two web servers, two stream processes and a worker, told apart by nobody."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from config.tests.processes import WORKER, running
from config.tests.streams import SentEvents, WebSocket, call, database_url, stream, token_of, web
from rest import tokens

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
        stack.enter_context(running(WORKER, tmp_path / "worker.log", DATABASE_URL=database_url()))
        ann_sse = stack.enter_context(SentEvents(left, token_of("ann")))
        ann_ws = stack.enter_context(WebSocket(right, token_of("ann")))
        ben = stack.enter_context(SentEvents(left, token_of("ben")))
        for client in (ann_sse, ann_ws, ben):
            assert client.next() == {
                "id": "00000000-0000-0000-0000-000000000000",
                "type": "stream.ready",
                "version": 1,
                "data": {"resumed": False, "status": "ok"},
            }
        grant(one, shop, "ann", 100, "g1")
        heard = [client.until("credits.balance") for client in (ann_sse, ann_ws)]
        spend(two, "ann", 85, "s1")
        for client, before in zip((ann_sse, ann_ws), heard, strict=True):
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
