"""Fifty clients over HTTP at once, through two server processes: what there is can be spent, and nothing more."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from config.tests.processes import free_port
from config.tests.streams import LONG, call, token_of, web
from credits import balances
from credits.models import Grant, GrantSource, Spend
from credits.tests.people import give, make_user
from ledger.models import Transfer

CLIENTS = 50


@pytest.fixture
def servers(transactional_db: None, tmp_path: Path) -> Iterator[list[int]]:
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        yield list(pool.map(stack.enter_context, [web(tmp_path, port=free_port()) for _ in range(2)]))


def spend_at_once(servers: list[int], user: User) -> list[tuple[int, Any]]:
    """What each client is told, who asks for one credit under a key of its own."""
    barrier, token = threading.Barrier(CLIENTS), token_of(user.get_username())

    def client(number: int) -> tuple[int, Any]:
        barrier.wait(LONG)
        port = servers[number % len(servers)]
        return call(port, "POST", "credits/spend", token, {"amount": 1}, Idempotency_Key=f"client-{number}")

    with ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(client, range(CLIENTS)))


def test_fifty_clients_over_http_spend_exactly_what_there_is(servers: list[int]) -> None:
    user, other = make_user(), make_user()
    lots = [
        give(user, 11),
        give(user, 3, expires_at=timezone.now() + timedelta(days=1)),
        give(user, 5, expires_at=timezone.now() + timedelta(days=9)),
        give(user, 4, source=GrantSource.PROMOTION),
    ]
    over = give(user, 9, expires_at=timezone.now() + timedelta(days=1))
    Grant.objects.filter(pk=over.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    give(other, 100)
    there_is = 11 + 3 + 5 + 4

    told = spend_at_once(servers, user)
    assert Counter((status, body.get("code")) for status, body in told) == {
        (201, None): there_is,
        (402, "insufficient_credits"): CLIENTS - there_is,
    }
    spent = {body["spend"]: body["available"] for status, body in told if status == 201}
    assert sorted(spent.values()) == list(range(there_is))  # one after the other, each from what the last one left
    assert {str(each) for each in Spend.objects.values_list("pk", flat=True)} == set(spent)
    taken = Counter(Transfer.objects.filter(entry__spend__isnull=False).values_list("source_id", flat=True))
    assert taken == {lot.pk: lot.amount for lot in lots}
    assert (balances.of(user).available, balances.of(other).available) == (0, 100)

    again = spend_at_once(servers, user)  # the line was bad, and each asks once more under its key
    assert [(status, body.get("spend")) for status, body in again] == [
        (status, body.get("spend")) for status, body in told
    ]
    assert Spend.objects.count() == there_is
    call_command("check_ledger", json=True)
