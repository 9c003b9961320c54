import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client

from billing import breaker
from billing.gateways import registry
from billing.gateways.errors import FailureCategory, GatewayError, Unavailable
from config import broker, health, probes
from config.celery import QUEUES
from config.probes import DEGRADED, DOWN, OK, Answer, Probe

PLAIN = ["/health", "/health/live", "/health/ready", "/health/database", "/health/gateways", "/health/providers"]


@pytest.fixture(autouse=True)
def no_gateways(monkeypatch) -> None:
    """Their sandbox does not run here; tests of gateways bring their own."""
    monkeypatch.setattr(health, "GATEWAYS", {})


@pytest.fixture
def alive() -> None:
    broker.note_heartbeat("beat")
    broker.note_stream()
    for queue in QUEUES:
        broker.note_heartbeat(f"worker:{queue}")


@pytest.fixture
def database_at(monkeypatch):
    """Send the probes, and nobody else, to another address."""

    def send(host: str, port: int) -> None:
        for name, value in {"HOST": host, "PORT": str(port)}.items():
            monkeypatch.setitem(connection.settings_dict, name, value)

    return send


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """Takes connections and never says a word: a database that hangs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_all_is_well(client: Client, db, alive) -> None:
    reply = client.get("/health")
    assert reply.status_code == 200
    body = reply.json()
    assert body["status"] == "ok", body
    assert {name: check["status"] for name, check in body["checks"].items()} == dict.fromkeys(health.CHECKS, "ok")
    assert client.get("/health/ready").json() == {"status": "ok", "reasons": []}


@pytest.mark.parametrize("path", PLAIN)
def test_plain_answers_are_fresh_json_for_everybody(client: Client, db, path: str) -> None:
    reply = client.get(path, REMOTE_ADDR="203.0.113.9")
    assert reply.status_code == 200
    assert reply["Content-Type"] == "application/json"
    assert "no-store" in reply["Cache-Control"]
    assert client.post(path).status_code == 405


def test_plain_answers_tell_no_versions(client: Client, db, alive) -> None:
    assert "version" not in client.get("/health").content.decode()


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/database"])
def test_database_that_refuses_is_down(client: Client, database_at, path: str) -> None:
    database_at("127.0.0.1", 1)
    reply = client.get(path)
    assert reply.status_code == 503
    assert reply.json()["status"] == "down"
    assert reply["Retry-After"] == str(django_settings.HEALTH_RETRY_AFTER_SECONDS)


def test_database_that_hangs_is_down_and_the_answer_does_not_wait_for_it(client, database_at, settings) -> None:
    settings.HEALTH_TIMEOUT_SECONDS = 0.2
    with silent_server() as port:
        database_at("127.0.0.1", port)
        reply = client.get("/health/ready")  # would never come back if it waited
        assert reply.status_code == 503
        assert "no answer in time" in reply.json()["reasons"][0]
    for left_behind in (health.DATABASE.asked, health.MIGRATIONS.asked):
        assert left_behind is not None
        assert left_behind.result(timeout=30).status == "down"  # and its thread ends


def test_database_that_comes_back_is_noticed(client: Client, db, alive, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        patch.setitem(connection.settings_dict, "PORT", "1")
        assert client.get("/health").status_code == 503
    assert client.get("/health").json()["status"] == "ok"


def test_nobody_asks_the_database_whether_the_process_lives(client: Client, database_at) -> None:
    database_at("127.0.0.1", 1)
    assert client.get("/health/live").json() == {"status": "ok"}


def test_migration_that_was_not_run_makes_it_unready(client: Client, db, monkeypatch) -> None:
    known = probes._known_migrations() | {("billing", "0099_tomorrow")}
    monkeypatch.setattr(probes, "_known_migrations", lambda: known)
    reply = client.get("/health/ready")
    assert reply.status_code == 503
    assert reply.json()["reasons"] == ["migrations: 1 not applied"]
    assert client.get("/health").json()["status"] == "degraded"


def test_redis_away_is_degraded_and_still_200(client: Client, db, settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    reply = client.get("/health")
    assert reply.status_code == 200
    assert reply.json()["status"] == "degraded"
    assert reply.json()["checks"]["broker"] == {
        "status": "degraded",
        "detail": "ConnectionError",
        "ms": reply.json()["checks"]["broker"]["ms"],
    }
    assert client.get("/health/ready").status_code == 200


def test_redis_that_hangs_is_degraded(client: Client, db, settings) -> None:
    settings.BROKER_TIMEOUT_SECONDS = 0.2
    with silent_server() as port:
        settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
        assert client.get("/health").json()["checks"]["broker"]["status"] == "degraded"


@pytest.mark.parametrize("missing", ["beat", "stream", "worker:default", "worker:upkeep"])
def test_one_that_is_not_seen_is_degraded(client: Client, db, alive, missing: str) -> None:
    broker.client().delete(broker._heartbeat(missing))
    body = client.get("/health").json()
    assert body["status"] == "degraded"
    check = body["checks"][{"beat": "beat", "stream": "streams"}.get(missing, "workers")]
    assert check["status"] == "degraded"
    assert missing.removeprefix("worker:") in check["detail"]


def test_one_that_was_seen_long_ago_is_degraded(client: Client, db, alive) -> None:
    late = int((django_settings.HEARTBEAT_STALE_SECONDS + 1) * 1000)
    broker.client().pexpire(broker._heartbeat("beat"), broker.HEARTBEAT_KEPT_MS - late)
    assert client.get("/health").json()["checks"]["beat"]["status"] == "degraded"


def test_without_gateways_there_is_nothing_to_tell(client: Client) -> None:
    assert client.get("/health/gateways").json() == {"status": "ok", "gateways": []}
    assert client.get("/health/providers").json() == client.get("/health/gateways").json()


class ToyGateway:
    name = "toy"

    def __init__(self, *missing: str, error: GatewayError | None = None) -> None:
        self.missing = missing
        self.error = error
        self.asked = 0

    def missing_settings(self) -> tuple[str, ...]:
        return self.missing

    def check_health(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def install(monkeypatch) -> Iterator[Callable[[ToyGateway], None]]:
    def put(gateway: ToyGateway) -> None:
        registry.forget()
        monkeypatch.setitem(registry.BUILDERS, "toy", lambda: gateway)
        monkeypatch.setitem(health.GATEWAYS, "toy", Probe(probes.gateway("toy"), when_silent=DOWN))

    yield put
    registry.forget()


def told(client: Client) -> tuple[str, str, str]:
    body = client.get("/health/gateways").json()
    (only,) = body["gateways"]
    return body["status"], only["status"], only.get("detail", "")


def test_gateway_that_answers_is_well(client: Client, install) -> None:
    install(ToyGateway())
    assert told(client) == ("ok", "ok", "")


def test_gateway_without_credentials_is_no_fault(client: Client, db, alive, install) -> None:
    gateway = ToyGateway("TOY_SECRET_KEY")
    install(gateway)
    assert told(client) == ("ok", "not_configured", "")
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/health/detailed").json()["gateways"]["toy"]["missing"] == ["TOY_SECRET_KEY"]
    assert gateway.asked == 0


@pytest.mark.parametrize(
    ("category", "status", "detail"),
    [
        (FailureCategory.PROVIDER_DOWN, "down", "no sound answer"),
        (FailureCategory.CONFIGURATION, "degraded", "our credentials are refused"),
    ],
)
def test_gateway_that_fails_says_how(client: Client, db, alive, install, category, status, detail) -> None:  # noqa: PLR0917
    install(ToyGateway(error=Unavailable("No.", gateway="toy", category=category, code="503")))
    assert told(client) == ("degraded", status, detail)
    assert client.get("/health").json()["checks"]["gateways"]["status"] == "degraded"


def test_open_breaker_is_told(client: Client, db, install) -> None:
    install(ToyGateway())
    for _ in range(5):
        breaker.note("toy", Unavailable("No.", gateway="toy", category=FailureCategory.PROVIDER_DOWN))
    assert told(client) == ("degraded", "degraded", "breaker open")


def test_gateway_is_not_asked_by_everybody_who_asks_us(client: Client, install) -> None:
    gateway = ToyGateway()
    install(gateway)
    for _ in range(5):
        client.get("/health/gateways")
    assert gateway.asked == 1


def test_gateway_that_is_away_degrades_the_house(client: Client, db, alive, monkeypatch) -> None:
    monkeypatch.setitem(health.GATEWAYS, "good", Probe(lambda: Answer(status=OK), when_silent=DEGRADED))
    monkeypatch.setitem(
        health.GATEWAYS, "bad", Probe(lambda: Answer(status=DEGRADED, detail="breaker open"), when_silent=DEGRADED)
    )
    reply = client.get("/health/gateways")
    assert reply.status_code == 200
    assert [(each["name"], each["status"]) for each in reply.json()["gateways"]] == [
        ("bad", "degraded"),
        ("good", "ok"),
    ]
    assert client.get("/health").json()["checks"]["gateways"]["status"] == "degraded"


def test_probe_that_breaks_is_an_answer_not_an_error(client: Client, monkeypatch) -> None:
    def broken() -> Answer:
        raise LookupError("mistake")

    monkeypatch.setitem(health.GATEWAYS, "odd", Probe(broken, when_silent=DEGRADED))
    assert client.get("/health/gateways").json()["gateways"][0]["detail"] == "LookupError"


@pytest.mark.parametrize("path", ["/health", "/health/detailed"])
def test_gateways_are_asked_together_with_all_else(client: Client, monkeypatch, settings, path: str) -> None:
    """One after the other an answer would take twice HEALTH_TIMEOUT_SECONDS while both hang."""
    asked = threading.Event()

    def gateway() -> Answer:
        asked.set()
        return Answer(status=OK)

    def waits_for_the_gateway() -> Answer:
        return Answer(status=OK if asked.wait(30) else DOWN)

    settings.HEALTH_TIMEOUT_SECONDS = 20
    monkeypatch.setitem(health.GATEWAYS, "toy", Probe(gateway, when_silent=DOWN))
    probe = Probe(waits_for_the_gateway, when_silent=DOWN)
    monkeypatch.setattr(health, "CHECKS", {"broker": probe})
    assert client.get(path).json()["status"] == "ok"


def test_many_who_ask_at_once_are_one_question() -> None:
    go, asked = threading.Event(), []

    def slow() -> Answer:
        asked.append(1)
        assert go.wait(30)
        return Answer(status=OK)

    probe = Probe(slow, when_silent=DEGRADED)
    answers = [probe.start() for _ in range(5)]
    go.set()
    assert {answer.result(timeout=30).status for answer in answers} == {OK}
    assert len(asked) == 1


def test_details_are_for_monitors(client: Client, db, alive) -> None:
    body = client.get("/health/detailed").json()
    assert body["status"] == "ok"
    assert body["versions"]["django"].startswith("5.2")
    assert body["checks"]["database"]["version"].startswith("1")
    assert body["checks"]["beat"]["age_seconds"] >= 0
    assert set(body["checks"]["workers"]["age_seconds"]) == set(QUEUES)
    assert body["queues"] == dict.fromkeys(QUEUES, 0)
    assert body["disk"]["free_bytes"] > 0
    assert "pool" in body
    assert client.get("/health/detailed", REMOTE_ADDR="203.0.113.9").status_code == 404
