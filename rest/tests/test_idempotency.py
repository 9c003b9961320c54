"""A key does its act once, whoever races, dies or retries."""

import json
import os
import subprocess
import sys
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as project
from django.contrib.auth.models import User
from django.db import connection, connections
from django.http import HttpResponse
from django.test import Client

from rest import idempotency, tasks
from rest.models import IdempotencyRecord
from rest.tests.rivals import second_while_the_first_is_open
from rest.tests.urls import GroupView, made

pytestmark = pytest.mark.urls("rest.tests.urls")
SERVICE = "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f"
WAIT_SECONDS = 30  # how long a broken test may hang


@pytest.fixture(autouse=True)
def people(request: pytest.FixtureRequest) -> None:
    wanted = [name for name in request.fixturenames if name in ("db", "transactional_db")]
    request.getfixturevalue(wanted[-1] if wanted else "db")
    for name in ("ann", "ben"):
        User.objects.create(username=name)


def post(key: str | None = "key-1", caller: str = "customer:ann", path: str = "/api/v1/groups", **body: Any) -> Any:
    headers = {"authorization": caller} | ({} if key is None else {"idempotency-key": key})
    sent = json.dumps({"name": "a", **body})
    client = Client(raise_request_exception=False)
    return client.post(path, sent, content_type="application/json", headers=headers)


def test_the_same_request_again_gets_the_first_answer_again(db) -> None:
    first, second = post(), post()
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert (second["Content-Type"], second["Location"]) == (first["Content-Type"], first["Location"])
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert "X-Own" not in second
    assert made().count() == 1


def test_blanks_and_order_in_the_body_count_for_nothing(db) -> None:
    post(refuse=False)
    again = Client().post(
        "/api/v1/groups",
        '{ "refuse":false ,\n"name":"\\u0061"}',
        content_type="application/json",
        headers={"authorization": "customer:ann", "idempotency-key": "key-1"},
    )
    assert again["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("other", [{"name": "b"}, {"path": "/api/v1/groups?x=1"}, {"refuse": False}])
def test_the_same_key_for_another_wish_is_refused(db, other: dict[str, Any]) -> None:
    post()
    answer = post(**other)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert made().count() == 1


def test_a_service_that_speaks_for_another_customer_has_other_keys(db) -> None:
    answers = [
        post(caller=caller)
        for caller in (
            "customer:ann",
            "customer:ben",
            f"service:{SERVICE}:ann",
            f"service:{SERVICE}:ben",
            f"service:{uuid.uuid4()}:ann",
        )
    ]
    assert [answer.status_code for answer in answers] == [201] * 5
    assert made().count() == 5


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "a\tb", "x" * 256, "a\x7f"])
def test_a_key_that_is_none(db, key: str) -> None:
    answer = post(key)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert made().count() == 0


@pytest.mark.parametrize("key", ["x", "x" * 255, "!~'\"\\%_"])
def test_a_key_of_any_visible_characters(db, key: str) -> None:
    assert [post(key).status_code, post(key)["Idempotency-Replayed"]] == [201, "true"]


def test_a_missing_key_is_refused_where_one_is_required(db) -> None:
    answer = post(None)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")
    assert made().count() == 0


def test_a_missing_key_is_accepted_where_none_is_required(db) -> None:
    assert [post(None, path="/api/v1/lenient-groups").status_code for _ in range(2)] == [204, 204]
    assert made().count() == 2
    assert IdempotencyRecord.objects.count() == 0


def test_an_answer_without_a_body_is_replayed_without_one(db) -> None:
    first, second = (post(path="/api/v1/lenient-groups") for _ in range(2))
    assert (first.status_code, first.content) == (second.status_code, second.content) == (204, b"")
    assert second["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(("wish", "status"), [({"refuse": True}, 409), ({"name": "fault"}, 500), ({"name": 5}, 400)])
def test_what_fails_leaves_neither_effect_nor_record_and_the_key_is_free(transactional_db, wish, status) -> None:
    assert post(**wish).status_code == status
    assert (made().count(), IdempotencyRecord.objects.count()) == (0, 0)
    assert post().status_code == 201


def test_a_key_is_free_again_after_its_time(db) -> None:
    born = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with time_machine.travel(born, tick=False):
        post()
    with time_machine.travel(born + timedelta(hours=project.IDEMPOTENCY_HOURS, seconds=-1), tick=False):
        assert post()["Idempotency-Replayed"] == "true"
    with time_machine.travel(born + timedelta(hours=project.IDEMPOTENCY_HOURS), tick=False):
        assert "Idempotency-Replayed" not in post(name="other")
    assert made().count() == 2
    assert IdempotencyRecord.objects.get().created_at == born + timedelta(hours=project.IDEMPOTENCY_HOURS)


def test_the_purge_forgets_what_is_over_and_keeps_the_rest(db, settings) -> None:
    settings.IDEMPOTENCY_PURGE_BATCH = 2
    born = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with time_machine.travel(born, tick=False):
        for number in range(5):
            post(f"old-{number}")
    with time_machine.travel(born + timedelta(seconds=1), tick=False):
        post("young")
    with time_machine.travel(born + timedelta(hours=settings.IDEMPOTENCY_HOURS), tick=False):
        tasks.purge_idempotency_records()
    assert [record.key for record in IdempotencyRecord.objects.all()] == ["young"]


# ---------------------------------------------------------------- acts that commit before they answer


def post_far(key: str | None = "key-1", **body: Any) -> Any:
    return post(key, path="/api/v1/far-groups", **body)


def test_a_remembered_answer_is_given_again_and_its_act_not_done_again(db) -> None:
    first, second = post_far(), post_far()
    assert (first.status_code, first.json(), first["X-Own"]) == (201, {"number": 1}, "1")
    assert (second.status_code, second.content) == (201, first.content)
    assert (second["Location"], second["Idempotency-Replayed"]) == (first["Location"], "true")
    assert "Idempotency-Replayed" not in first
    assert "X-Own" not in second
    assert made().count() == 1


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [(None, 400, "idempotency_key_missing"), ("a b", 400, "idempotency_key_invalid")],
)
def test_what_is_to_be_remembered_needs_a_key(db, key: str | None, status: int, code: str) -> None:
    answer = post_far(key)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert made().count() == 0


def test_a_remembered_key_with_another_wish_is_refused(db) -> None:
    post_far()
    answer = post_far(name="b")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert made().count() == 1


def test_what_fails_after_its_intent_is_not_remembered(transactional_db, monkeypatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(GroupView, "before_answer", fail)
    assert post_far().status_code == 500
    assert (made().count(), IdempotencyRecord.objects.count()) == (1, 0)


def test_of_two_answers_under_one_key_the_first_is_remembered(transactional_db, monkeypatch) -> None:
    def overtake() -> None:
        monkeypatch.setattr(GroupView, "before_answer", lambda: None)
        assert post_far().json() == {"number": 2}

    monkeypatch.setattr(GroupView, "before_answer", overtake)
    assert post_far().json() == {"number": 1}
    assert post_far().json() == {"number": 2}


# ---------------------------------------------------------------- rivals


def run_together(number: int, act: Any) -> list[Any]:
    barrier = threading.Barrier(number)

    def one(_: int) -> Any:
        barrier.wait(WAIT_SECONDS)
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


def test_twelve_rivals_with_one_key_have_one_effect(transactional_db) -> None:
    answers = run_together(12, post)
    assert made().count() == 1
    assert set(Counter(answer.status_code for answer in answers)) <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers if answer.status_code == 201) == 1
    for refused in (answer for answer in answers if answer.status_code == 409):
        assert (refused.json()["code"], refused["Retry-After"]) == ("idempotency_key_in_progress", "1")


def test_a_rival_of_a_running_request_is_told_at_once(transactional_db, monkeypatch) -> None:
    inside, leave = threading.Event(), threading.Event()

    def stand_still() -> None:
        inside.set()
        leave.wait(WAIT_SECONDS)

    monkeypatch.setattr(GroupView, "before_answer", stand_still)

    def first() -> Any:
        try:
            return post()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(first)
        assert inside.wait(WAIT_SECONDS)
        rival = post()
        leave.set()
        assert running.result().status_code == 201
    assert (rival.status_code, rival["Retry-After"]) == (409, "1")
    assert post()["Idempotency-Replayed"] == "true"


@pytest.fixture
def without_unique_keys(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE rest_idempotencyrecord DROP CONSTRAINT rest_idempotencyrecord_pkey")
        yield
        cursor.execute("DELETE FROM rest_idempotencyrecord")
        cursor.execute("ALTER TABLE rest_idempotencyrecord ADD PRIMARY KEY (scope, key)")


def test_the_race_is_real_without_the_lock_and_the_primary_key(without_unique_keys, monkeypatch) -> None:
    """If this fails, the tests above prove nothing."""
    both_inside = threading.Barrier(2)
    monkeypatch.setattr(idempotency, "_try_lock", lambda claim: True)
    monkeypatch.setattr(GroupView, "before_answer", lambda: both_inside.wait(WAIT_SECONDS))
    assert [answer.status_code for answer in run_together(2, post)] == [201, 201]
    assert made().count() == 2


def test_the_primary_key_alone_also_keeps_the_second_effect_out(transactional_db, monkeypatch) -> None:
    both_inside = threading.Barrier(2)
    monkeypatch.setattr(idempotency, "_try_lock", lambda claim: True)
    monkeypatch.setattr(GroupView, "before_answer", lambda: both_inside.wait(WAIT_SECONDS))
    assert sorted(answer.status_code for answer in run_together(2, post)) == [201, 500]
    assert made().count() == 1


# ---------------------------------------------------------------- the purge

PURGE_LOCK = " FOR UPDATE SKIP LOCKED"


def purged_beside_a_request() -> bool:
    """A request replaces its record of yesterday and is not over; whether the purge of all others waits for it."""
    for number in range(3):
        post(f"key-{number}")
    record = IdempotencyRecord.objects.get(key="key-1")
    again = idempotency.Claim(scope=record.scope, key=record.key, fingerprint=bytes(record.fingerprint))

    def store() -> None:
        idempotency._store(again, HttpResponse(status=201))

    with time_machine.travel(datetime.now(UTC) + timedelta(hours=project.IDEMPOTENCY_HOURS, seconds=1)):
        return second_while_the_first_is_open(store, tasks.purge_idempotency_records).second_waited


def test_purge_passes_over_the_record_that_a_request_replaces(transactional_db) -> None:
    assert not purged_beside_a_request()
    assert list(IdempotencyRecord.objects.values_list("key", flat=True)) == ["key-1"]


def test_canary_without_the_lock_the_purge_waits_for_the_request(transactional_db, monkeypatch) -> None:
    assert PURGE_LOCK in tasks.PURGE
    monkeypatch.setattr(tasks, "PURGE", tasks.PURGE.replace(PURGE_LOCK, ""))
    assert purged_beside_a_request()


# ---------------------------------------------------------------- a worker that dies

DYING = """
import sys, django
django.setup()
from django.conf import settings
from django.db import connection
from django.test import Client
settings.ROOT_URLCONF = "rest.tests.urls"
settings.ALLOWED_HOSTS = ["*"]
from rest.tests.urls import GroupView

def stand_still():
    connection.cursor().execute("SELECT pg_advisory_xact_lock(77)")
    sys.stdout.write("inside\\n")
    sys.stdout.flush()
    sys.stdin.read()

GroupView.before_answer = stand_still
headers = {"authorization": "customer:ann", "idempotency-key": "key-1"}
Client().post("/api/v1/groups", '{"name": "a"}', content_type="application/json", headers=headers)
"""


def test_a_process_killed_inside_leaves_nothing_and_the_retry_succeeds(transactional_db) -> None:
    environment = child_environment(connection.settings_dict["NAME"])
    child = subprocess.Popen(
        [sys.executable, "-c", DYING], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "inside\n"
        assert post().status_code == 409
    finally:
        child.kill()
        child.communicate()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(77), pg_advisory_unlock(77)")  # free once the server saw the death
    assert (made().count(), IdempotencyRecord.objects.count()) == (0, 0)
    retried = post()
    assert (retried.status_code, "Idempotency-Replayed" in retried) == (201, False)
    assert made().count() == 1


def child_environment(database: str) -> dict[str, str]:
    """For a process of its own that works on this test's database."""
    address, _, options = os.environ["DATABASE_URL"].partition("?")
    url = f"{address.rpartition('/')[0]}/{database}" + (f"?{options}" if options else "")
    return {**os.environ, "DATABASE_URL": url, "APP_ENV": "test"}
