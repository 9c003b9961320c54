"""Limits as callers meet them, and what an address is."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory

from rest import addresses, tokens
from rest.tests.signing import SECRET, bearer, token

START = 1_800_000_000


@pytest.fixture(autouse=True)
def clock(settings) -> Iterator[Any]:
    settings.JWT_SECRET = SECRET
    settings.THROTTLE_ANONYMOUS = "3/15m"
    settings.THROTTLE_CUSTOMER = "4/1m"
    settings.THROTTLE_SERVICE = "5/1m"
    with time_machine.travel(START + 10, tick=False) as traveller:
        yield traveller


def statuses(client: Client, count: int, **request: Any) -> list[int]:
    return [client.get("/api/v1/me", **request).status_code for _ in range(count)]


def rate_headers(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("RateLimit")}


def test_a_customer_has_a_limit_of_their_own(db, client: Client, clock) -> None:
    first = client.get("/api/v1/me", headers=bearer(token()))
    assert rate_headers(first) == {
        "RateLimit-Limit": "4",
        "RateLimit-Remaining": "3",
        "RateLimit-Reset": "50",
        "RateLimit-Policy": "4;w=60",
    }
    assert statuses(client, 4, headers=bearer(token(jti="another token of hers"))) == [200, 200, 200, 429]
    assert statuses(client, 1, headers=bearer(token(sub="bob"))) == [200]
    clock.shift(50)
    assert statuses(client, 1, headers=bearer(token())) == [200]


def test_the_refusal_says_when_to_come_back(db, client: Client) -> None:
    signed = token()
    assert statuses(client, 4, headers=bearer(signed)) == [200] * 4
    response = client.get("/api/v1/me", headers=bearer(signed))
    problem = response.json()
    problem.pop("request_id", None)
    assert problem == {
        "type": "/problems#throttled",
        "title": "Too many requests",
        "status": 429,
        "detail": "Only 4 requests in 60 seconds are allowed. Expected available in 50 seconds.",
        "code": "throttled",
        "retry_after_seconds": 50,
    }
    assert response["Retry-After"] == "50"
    assert rate_headers(response) == {
        "RateLimit-Limit": "4",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "50",
        "RateLimit-Policy": "4;w=60",
    }


def test_a_service_is_limited_by_its_token_whatever_its_address(db, client: Client) -> None:
    permission = Permission.objects.get(codename="act_for_customers")
    _, one = tokens.issue(name="one", permissions=[permission], expires_at=None, by=None)
    _, two = tokens.issue(name="two", permissions=[permission], expires_at=None, by=None)
    for number in range(5):
        headers = bearer(one, **{"X-User-ID": f"customer {number}"})
        assert statuses(client, 1, headers=headers, REMOTE_ADDR=f"192.0.2.{number}") == [200]
    assert statuses(client, 1, headers=bearer(one)) == [429]
    assert statuses(client, 5, headers=bearer(two)) == [200] * 5


def test_strangers_are_limited_by_address(db, client: Client) -> None:
    assert statuses(client, 4, REMOTE_ADDR="192.0.2.1") == [401, 401, 401, 429]
    assert statuses(client, 1, REMOTE_ADDR="192.0.2.2") == [401]


def test_wrong_tokens_count_against_the_address_and_good_ones_pass(db, client: Client) -> None:
    guesses = [
        client.get("/api/v1/me", headers=bearer(guess)).status_code
        for guess in ("tl_" + "a" * 43, token("x" * 32), "nonsense", "tl_" + "b" * 43, token("y" * 32))
    ]
    assert guesses == [401, 401, 401, 429, 429]
    assert statuses(client, 1) == [429]
    assert statuses(client, 4, headers=bearer(token())) == [200] * 4


def test_a_request_counts_once(db, client: Client) -> None:
    first = client.get("/api/v1/me", headers=bearer("nonsense"))
    assert rate_headers(first)["RateLimit-Remaining"] == "2"


def test_answers_go_on_while_redis_is_away(db, client: Client, settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    signed = token()
    assert statuses(client, 10, headers=bearer(signed)) == [200] * 10
    response = client.get("/api/v1/me", headers=bearer(signed))
    assert rate_headers(response) == {"RateLimit-Limit": "4", "RateLimit-Reset": "50", "RateLimit-Policy": "4;w=60"}


@pytest.mark.parametrize(
    ("proxies", "remote", "forwarded", "network"),
    [
        (0, "192.0.2.1", None, "192.0.2.1"),
        (0, "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        (1, "192.0.2.1", "203.0.113.9", "203.0.113.9"),
        (1, "192.0.2.1", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "192.0.2.1", "6.6.6.6, 203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (2, "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        (1, "192.0.2.1", None, "192.0.2.1"),
        (1, "192.0.2.1", "not an address", "192.0.2.1"),
        (1, "192.0.2.1", "203.0.113.9:4711", "203.0.113.9"),
        (1, "192.0.2.1", "[2001:db8::1]:4711", "2001:db8::/64"),
        (0, "2001:db8:0:1:aaaa::1", None, "2001:db8:0:1::/64"),
        (0, "2001:db8:0:1:bbbb::2", None, "2001:db8:0:1::/64"),
        (0, "::ffff:192.0.2.1", None, "192.0.2.1"),
        (0, "fe80::1%eth0", None, "fe80::/64"),
        (0, "", None, "unknown"),
    ],
)
def test_where_a_request_comes_from(settings, proxies: int, remote: str, forwarded: str | None, network: str) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR=remote, headers=headers)
    assert addresses.network_of(request) == network
