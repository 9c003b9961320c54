"""Where keys come from: PEM in the settings, and a JWKS address served by a real server on loopback."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from rest import signing_keys
from rest.memory import forget_everything
from rest.tests.rivals import PATIENCE_SECONDS
from rest.tests.signing import (
    EC_KEY,
    OTHER_EC_KEY,
    OTHER_RSA_KEY,
    RSA_KEY,
    SECRET,
    bearer,
    jwk_of,
    pem_of,
    private_pem_of,
    raw_token,
    token,
)


class AuthService:
    """Publishes keys, counts who asks, and can be told to fail."""

    def __init__(self) -> None:
        self.body: bytes = b""
        self.status = 200
        self.fetches = 0
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.server: ThreadingHTTPServer | None = None
        self.port = 0

    def publish(self, *keys: dict[str, Any]) -> None:
        self.body = json.dumps({"keys": keys}).encode()

    def start(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.fetches += 1
                service.asked.set()
                service.may_answer.wait()
                self.send_response(service.status)
                self.send_header("Content-Length", str(len(service.body)))
                self.end_headers()
                self.wfile.write(service.body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self.may_answer.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@pytest.fixture
def auth_service(settings) -> Iterator[AuthService]:
    service = AuthService()
    service.start()
    settings.JWT_JWKS_URL = f"http://127.0.0.1:{service.port}/jwks.json"
    settings.JWT_SECRET = settings.JWT_PUBLIC_KEY = ""
    signing_keys.published.cache_clear()
    yield service
    service.stop()


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(1_800_000_000, tick=False) as traveller:
        yield traveller


def signed(kid: str | None = "one", key: Any = RSA_KEY, algorithm: str = "RS256", **changes: Any) -> str:
    return token(key, algorithm, {"kid": kid} if kid else None, **changes)


def answer(client: Client, credential: str) -> tuple[int, str]:
    response = client.get("/api/v1/me", headers=bearer(credential))
    return response.status_code, response.json().get("code", response.json().get("user"))


def test_published_keys_verify_tokens_and_are_fetched_once(db, client: Client, auth_service) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"), jwk_of(EC_KEY, "two", use="sig", alg="ES256"))
    assert answer(client, signed()) == (200, "alice")
    assert answer(client, signed("two", EC_KEY, "ES256")) == (200, "alice")
    assert answer(client, signed(None)) == (200, "alice")
    assert auth_service.fetches == 1


def test_a_key_verifies_only_the_tokens_that_name_it(db, client: Client, auth_service) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"), jwk_of(OTHER_RSA_KEY, "two"))
    assert answer(client, signed("two")) == (401, "invalid_signature")


def test_a_rotated_key_is_fetched_when_a_token_names_it(db, client: Client, auth_service, clock) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"))
    assert answer(client, signed()) == (200, "alice")
    auth_service.publish(jwk_of(OTHER_RSA_KEY, "two"))
    clock.shift(30)
    assert answer(client, signed("two", OTHER_RSA_KEY)) == (200, "alice")
    assert auth_service.fetches == 2


def test_a_withdrawn_key_is_refused_when_the_memory_ends(db, client: Client, auth_service, clock) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"))
    assert answer(client, signed(exp=1_900_000_000)) == (200, "alice")
    auth_service.publish(jwk_of(OTHER_RSA_KEY, "two"))
    clock.shift(599)
    assert answer(client, signed(exp=1_900_000_000)) == (200, "alice")
    clock.shift(61)
    assert answer(client, signed(exp=1_900_000_000)) == (401, "unknown_key")


def test_a_flood_of_junk_kids_fetches_once_in_a_pause(db, client: Client, auth_service, clock) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"))
    assert answer(client, signed()) == (200, "alice")
    for number in range(20):
        assert answer(client, signed(f"junk-{number}")) == (401, "unknown_key")
    assert auth_service.fetches == 1
    clock.shift(30)
    for number in range(20):
        assert answer(client, signed(f"junk-{number}")) == (401, "unknown_key")
    assert auth_service.fetches == 2


def test_rivals_for_the_first_key_fetch_once(auth_service) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"))
    auth_service.may_answer.clear()
    everybody_asks = threading.Barrier(5)

    def ask() -> int:
        everybody_asks.wait(PATIENCE_SECONDS)
        return len(signing_keys.candidates(algorithm="RS256", kid="one"))

    with ThreadPoolExecutor(4) as threads:
        rivals = [threads.submit(ask) for _ in range(4)]
        everybody_asks.wait(PATIENCE_SECONDS)
        assert auth_service.asked.wait(PATIENCE_SECONDS)
        auth_service.may_answer.set()
        found = [rival.result() for rival in rivals]
    assert found == [1, 1, 1, 1]
    assert auth_service.fetches == 1


def test_a_dead_server_leaves_known_keys_in_force(db, client: Client, auth_service, clock) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"))
    assert answer(client, signed(exp=1_900_000_000)) == (200, "alice")
    auth_service.stop()
    clock.shift(100_000)
    assert answer(client, signed(exp=1_900_000_000)) == (200, "alice")
    assert answer(client, signed("two", OTHER_RSA_KEY, exp=1_900_000_000)) == (401, "unknown_key")


def test_without_any_key_yet_the_answer_is_try_again(db, client: Client, auth_service, clock) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"))
    auth_service.stop()
    refused = client.get("/api/v1/me", headers=bearer(signed()))
    problem = refused.json()
    problem.pop("request_id", None)
    assert problem == {
        "type": "/problems#keys_unavailable",
        "title": "Keys unavailable",
        "status": 503,
        "detail": "The keys of the auth service cannot be fetched at the moment. Try again shortly.",
        "code": "keys_unavailable",
        "retry_after_seconds": 5,
    }
    assert refused["Retry-After"] == "5"
    auth_service.start()
    assert answer(client, signed()) == (503, "keys_unavailable")  # nobody is asked again within the pause
    assert auth_service.fetches == 0
    clock.shift(5)
    assert answer(client, signed()) == (200, "alice")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"keys": []}'),
        (302, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": {}}'),
        (200, b'{"keys": [' + b" " * 300_000 + b"]}"),
    ],
)
def test_an_answer_that_is_no_key_set_changes_nothing(auth_service, clock, status: int, body: bytes) -> None:
    auth_service.publish(jwk_of(RSA_KEY, "one"))
    assert len(signing_keys.candidates(algorithm="RS256", kid="one")) == 1
    auth_service.status, auth_service.body = status, body
    clock.shift(10_000)
    assert len(signing_keys.candidates(algorithm="RS256", kid="one")) == 1
    assert auth_service.fetches == 2


def test_odd_keys_are_skipped_and_the_others_serve(auth_service) -> None:
    odd: list[Any] = [
        None, [], "key", {}, {"kty": []}, {"kty": "oct", "k": "c2VjcmV0", "kid": "one"}, {"kty": "RSA", "kid": "one"},
        {"kty": "EC", "crv": [], "kid": "one"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "one"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "one"}, jwk_of(OTHER_RSA_KEY, "one", use="enc"),
        jwk_of(OTHER_RSA_KEY, "one", key_ops=["encrypt"]), jwk_of(OTHER_RSA_KEY, "one", key_ops=7),
    ]  # fmt: skip
    auth_service.publish(*odd, jwk_of(RSA_KEY, "one"))
    [key] = signing_keys.candidates(algorithm="RS256", kid="one")
    assert key.key.public_numbers() == RSA_KEY.public_key().public_numbers()


def test_a_published_key_is_no_shared_secret(db, client: Client, auth_service) -> None:
    auth_service.publish({"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "one"}, jwk_of(RSA_KEY, "two"))
    forged = raw_token(
        {"alg": "HS256", "kid": "one"}, {"sub": "mallory", "exp": 4_000_000_000}, "secretsecretsecretsecret"
    )
    assert answer(client, forged) == (401, "algorithm_refused")


def test_all_three_sources_serve_at_once(db, client: Client, auth_service, settings) -> None:
    auth_service.publish(jwk_of(OTHER_RSA_KEY, "one"))
    settings.JWT_SECRET = SECRET
    settings.JWT_PUBLIC_KEY = pem_of(EC_KEY)
    assert answer(client, token(SECRET)) == (200, "alice")
    assert answer(client, token(EC_KEY, "ES256")) == (200, "alice")
    assert auth_service.fetches == 1  # it was asked for ES256 as well, and has no such key
    assert answer(client, signed("one", OTHER_RSA_KEY)) == (200, "alice")
    assert answer(client, signed("one", OTHER_EC_KEY, "ES256")) == (401, "invalid_signature")


def test_the_public_key_may_be_a_file_or_one_line(db, client: Client, settings, tmp_path: Path) -> None:
    path = tmp_path / "auth.pem"
    path.write_text(pem_of(RSA_KEY))
    for setting in (str(path), pem_of(RSA_KEY).replace("\n", "\\n")):
        settings.JWT_PUBLIC_KEY = setting
        forget_everything()
        assert answer(client, token(RSA_KEY, "RS256")) == (200, "alice")


@pytest.mark.parametrize(
    "public_key",
    ["/nowhere/auth.pem", private_pem_of(RSA_KEY), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"],
)
def test_what_is_no_public_key_is_refused_with_the_setting_named(public_key: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="JWT_PUBLIC_KEY"):
        signing_keys.configured("", "", public_key, ("RS256",))


@pytest.mark.parametrize("secret", ["short", pem_of(RSA_KEY)])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="JWT_SECRET"):
        signing_keys.configured(secret, "", "", ("HS256",))
