"""Deliveries: signed, at least once, tried again, given up, replayed."""

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from events import deliveries, dispatching, endpoints, posting, sending, tasks
from events.errors import DeliveryUnderWay, EndpointDisabled
from events.models import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    DisabledReason,
    Endpoint,
    EndpointSecret,
    Event,
    Message,
    Untold,
)
from events.tests.receivers import Receiver, listening

pytestmark = pytest.mark.django_db
Tell = Callable[..., Event]


def deliver() -> None:
    dispatching.tell_new()
    sending.run()


def later(**wait: float) -> None:
    """As if so much time had passed: everything that waits is due that much sooner."""
    for row in Delivery.objects.all():
        earlier = {"due_at": row.due_at - timedelta(**wait)}
        if row.first_sent_at:
            earlier["first_sent_at"] = row.first_sent_at - timedelta(**wait)
        Delivery.objects.filter(pk=row.pk).update(**earlier)


# ---------------------------------------------------------------- what arrives


def test_receiver_verifies_what_it_hears_with_the_library(user: User, receiver: Receiver, tell: Tell) -> None:
    _, secret = endpoints.add(url=receiver.url, by="shop")
    event = tell(user)
    event.refresh_from_db()
    deliver()
    assert receiver.verified(secret) == [
        {
            "id": str(event.pk),
            "type": "credits.low",
            "version": 1,
            "time": event.created_at.isoformat().replace("+00:00", "Z"),
            "user": user.get_username(),
            "data": event.data,
        }
    ]
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 200)
    [line] = DeliveryAttempt.objects.values("status", "excerpt", "error")
    assert line == {"status": 200, "excerpt": "noted", "error": ""}
    assert not Untold.objects.exists()


def test_other_secret_verifies_nothing(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoints.add(url=receiver.url, by="shop")
    _, other = endpoints.add(url=receiver.url + "/other", types=["hold.expired"], by="shop")
    tell(user)
    deliver()
    with pytest.raises(WebhookVerificationError):
        receiver.verified(other)


def test_endpoint_hears_only_the_types_that_it_wants(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoints.add(url=receiver.url, types=["hold.expired"], by="shop")
    tell(user)
    wanted = tell(user, "hold.expired")
    deliver()
    assert receiver.heard() == {str(wanted.pk)}
    assert Delivery.objects.count() == 1


def test_both_secrets_sign_after_a_rotation_and_an_older_one_no_more(
    user: User, receiver: Receiver, tell: Tell
) -> None:
    endpoint, first = endpoints.add(url=receiver.url, by="shop")
    second = endpoints.rotate(endpoint=endpoint, by="shop")
    tell(user)
    deliver()
    assert receiver.verified(first) == receiver.verified(second)
    third = endpoints.rotate(endpoint=endpoint, by="shop")
    receiver.requests.clear()
    tell(user)
    deliver()
    assert receiver.verified(second) == receiver.verified(third)
    with pytest.raises(WebhookVerificationError):
        receiver.verified(first)


def test_previous_secret_ends_after_its_time(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoint, first = endpoints.add(url=receiver.url, by="shop")
    endpoints.rotate(endpoint=endpoint, by="shop")
    EndpointSecret.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now())
    tell(user)
    deliver()
    with pytest.raises(WebhookVerificationError):
        receiver.verified(first)


def test_secret_is_sealed_in_the_database() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.WEBHOOKS_ALLOW_PRIVATE_ADDRESSES", True)
        _, secret = endpoints.add(url="http://127.0.0.1/hooks", by="shop")
    assert secret.encode() not in bytes(EndpointSecret.objects.get().sealed)


# ---------------------------------------------------------------- SECRET_KEY is changed


@pytest.fixture
def new_key(settings) -> Callable[..., None]:
    def change(*, fallback: bool) -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if fallback else []
        settings.SECRET_KEY = "another-key-of-the-tests-0123456789"

    return change


def test_secret_that_no_key_opens_stops_its_own_endpoint_only(
    user: User, receiver: Receiver, tell: Tell, new_key
) -> None:
    broken, _ = endpoints.add(url=receiver.url + "/broken", by="shop")
    new_key(fallback=False)
    whole, secret = endpoints.add(url=receiver.url + "/whole", by="shop")
    event = tell(user)
    deliver()
    assert [each["id"] for each in receiver.verified(secret)] == [str(event.pk)]
    assert Delivery.objects.get(endpoint=whole).state == "delivered"
    row = Delivery.objects.get(endpoint=broken)
    assert (row.state, row.attempts, row.last_status) == ("pending", 1, None)
    assert row.last_error.startswith("not sent: no key opens this endpoint's secret")
    assert DeliveryAttempt.objects.get(delivery=row).error == row.last_error
    later(hours=72)
    sending.run()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("dead", 2)
    assert len(receiver.requests) == 1


def test_endpoint_whose_secret_no_key_opens_goes_on_after_a_rotation(
    user: User, receiver: Receiver, tell: Tell, new_key
) -> None:
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    new_key(fallback=False)
    secret = endpoints.rotate(endpoint=endpoint, by="shop")  # the one of before is live for another day, and sealed
    event = tell(user)
    deliver()
    assert [each["id"] for each in receiver.verified(secret)] == [str(event.pk)]


def test_resealed_secret_needs_no_fallback_any_more(user: User, receiver: Receiver, tell: Tell, new_key) -> None:
    _, secret = endpoints.add(url=receiver.url, by="shop")
    new_key(fallback=True)
    assert endpoints.reseal() == (1, [])
    new_key(fallback=False)
    tell(user)
    deliver()
    assert len(receiver.verified(secret)) == 1


def test_reseal_names_whose_secret_no_key_opens_and_leaves_it(user: User, receiver: Receiver, new_key) -> None:
    endpoints.add(url=receiver.url, by="shop")
    before = bytes(EndpointSecret.objects.get().sealed)
    new_key(fallback=False)
    assert endpoints.reseal() == (0, [receiver.url])
    assert bytes(EndpointSecret.objects.get().sealed) == before


# ---------------------------------------------------------------- what fails


def test_failure_is_tried_again_later_and_later(user: User, receiver: Receiver, tell: Tell) -> None:
    receiver.reply = lambda *_: 500
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    deliver()
    row = Delivery.objects.get()
    assert (row.state, row.attempts, row.last_status, row.last_error) == ("pending", 1, 500, "answered 500")
    assert row.due_at > timezone.now()
    sending.run()
    assert len(receiver.requests) == 1  # it is not due yet
    later(seconds=7)
    receiver.reply = lambda *_: 204
    sending.run()
    row.refresh_from_db()
    assert (row.state, row.attempts, row.last_status) == ("delivered", 2, 204)
    assert len(receiver.heard()) == 1
    assert Endpoint.objects.get().failing_since is None


def test_waits_grow_by_three_up_to_half_a_day() -> None:
    for attempts, usual in [(1, 5), (2, 15), (3, 45), (8, 10_935), (9, 32_805), (10, 43_200), (40, 43_200)]:
        assert usual * 0.8 <= deliveries.wait_seconds(attempts) <= usual * 1.2
    assert deliveries.wait_seconds(1, asked=900) == 900


def test_receiver_may_ask_for_more_time(user: User, receiver: Receiver, tell: Tell) -> None:
    receiver.reply = lambda *_: 429
    receiver.headers = {"Retry-After": "3600"}
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    deliver()
    row = Delivery.objects.get()
    assert row.last_sent_at is not None
    assert row.due_at - row.last_sent_at >= timedelta(seconds=3_600)


def test_after_three_days_it_is_a_dead_letter(user: User, receiver: Receiver, tell: Tell) -> None:
    receiver.reply = lambda *_: 503
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    deliver()
    later(hours=72)
    sending.run()
    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("dead", 2)
    assert DeliveryAttempt.objects.count() == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed(user: User, receiver: Receiver, tell: Tell, status: int) -> None:
    receiver.reply = lambda *_: status
    receiver.headers = {"Location": receiver.url + "/elsewhere"}
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    deliver()
    assert len(receiver.requests) == 1
    assert Delivery.objects.get().last_error == f"answered {status}"


def test_endpoint_that_is_gone_is_disabled_at_once_and_its_owner_told(
    user: User, receiver: Receiver, tell: Tell
) -> None:
    receiver.reply = lambda *_: 410
    endpoints.add(url=receiver.url, contact_email="shop@example.com", by="shop")
    tell(user)
    deliver()
    assert Endpoint.objects.get().disabled_reason == "gone"
    assert Delivery.objects.get().state == "dead"
    letter = Message.objects.get()
    assert (letter.kind, letter.address) == ("endpoint_disabled", "shop@example.com")


def test_endpoint_that_fails_for_days_is_disabled_and_operators_are_told(
    user: User, receiver: Receiver, tell: Tell, settings
) -> None:
    settings.OPERATOR_EMAILS = ["one@example.com", "two@example.com"]
    receiver.reply = lambda *_: 500
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    deliver()
    assert Endpoint.objects.get().disabled_at is None
    Endpoint.objects.update(failing_since=timezone.now() - timedelta(hours=96))
    later(seconds=7)
    sending.run()
    assert Endpoint.objects.get().disabled_reason == "failing"
    assert sorted(Message.objects.values_list("address", flat=True)) == settings.OPERATOR_EMAILS


def test_disabled_endpoint_hears_nothing_and_goes_on_when_enabled(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    assert endpoints.disable(endpoint=endpoint, reason=DisabledReason.BY_HAND)
    missed = tell(user)
    deliver()
    assert receiver.requests == []
    assert endpoints.enable(endpoint=endpoint, by="shop")
    sending.run()
    assert len(receiver.requests) == 1
    assert str(missed.pk) not in receiver.heard()


def test_answer_that_is_no_http_is_a_failure_like_another(user: User, settings, tell: Tell) -> None:
    import socket

    settings.WEBHOOKS_ALLOW_PRIVATE_ADDRESSES = True
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoints.add(url=f"http://127.0.0.1:{listener.getsockname()[1]}/", by="shop")

        def talk() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(65_536)
                line.sendall(b"SSH-2.0-nothing\r\n")

        talker = threading.Thread(target=talk)
        talker.start()
        tell(user)
        deliver()
        talker.join()
    row = Delivery.objects.get()
    assert (row.state, row.last_status, row.last_error) == ("pending", None, "BadStatusLine")


def test_answer_that_never_ends_is_cut_at_the_deadline_and_only_its_beginning_kept(
    receiver: Receiver, settings
) -> None:
    settings.WEBHOOKS_DEADLINE_SECONDS = 0.3
    held = threading.Event()
    receiver.reply = lambda *_: 200 if held.wait(20) else 500
    answer = posting.post(receiver.url, {}, b"{}")
    held.set()
    assert (answer.status, answer.error) == (None, "no answer within 0.3 s")


def test_a_line_that_loses_patience_before_the_watchdog_says_the_same(
    receiver: Receiver, settings, monkeypatch
) -> None:
    settings.WEBHOOKS_DEADLINE_SECONDS = 0.3
    monkeypatch.setattr(posting._Line, "cut", lambda _: None)
    held = threading.Event()
    receiver.reply = lambda *_: 200 if held.wait(20) else 500
    answer = posting.post(receiver.url, {}, b"{}")
    held.set()
    assert (answer.status, answer.error) == (None, "no answer within 0.3 s")
    receiver.content = b"x\x00" * 5_000
    settings.WEBHOOKS_DEADLINE_SECONDS = 20
    assert posting.post(receiver.url, {}, b"{}").excerpt == "x" * 500


# ---------------------------------------------------------------- at least once


def test_receiver_that_fails_three_times_in_ten_hears_every_event(user: User, receiver: Receiver, tell: Tell) -> None:
    dice = random.Random(4)  # noqa: S311 - a seeded die
    accepted: list[str] = []

    def reply(one: Receiver, headers: dict[str, str], _body: bytes) -> int:
        with one.lock:
            if dice.random() < 0.3:
                return 500
            accepted.append(headers["webhook-id"])
            return 200

    receiver.reply = reply
    _, secret = endpoints.add(url=receiver.url, by="shop")
    told = {str(tell(user, version=number).pk) for number in range(60)}
    dispatching.tell_new()
    for _ in range(30):
        sending.run()
        later(hours=1)
        if not Delivery.objects.exclude(state="delivered").exists():
            break
    assert set(accepted) == told
    assert set(Delivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert {each["id"] for each in receiver.verified(secret)} == told
    assert len(receiver.requests) > len(told)  # some were refused, or this shows nothing


def test_claim_of_a_dead_sender_is_taken_over_when_its_lease_ends(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    [first] = deliveries.claim(10)
    assert deliveries.claim(10) == []
    [second] = deliveries.claim(10, at=first.lease)
    assert second.delivery == first.delivery
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    deliveries.note(first, posting.Answer(error="late"))  # the dead one was only slow: its word no longer counts
    assert Delivery.objects.get().state == "sending"
    deliveries.note(second, posting.Answer(status=200))
    assert Delivery.objects.get().state == "delivered"


def test_event_that_is_dispatched_twice_is_delivered_once(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoints.add(url=receiver.url, by="shop")
    event = tell(user)
    dispatching.tell_new()
    Untold.objects.create(event=event)
    deliver()
    assert len(receiver.requests) == 1


def test_second_sender_beside_one_that_runs_ends_at_once(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    cache.set(sending.FLOOR, "another")
    assert sending.run() == 0
    assert cache.get(sending.FLOOR) == "another"
    cache.delete(sending.FLOOR)
    assert sending.run() == 1
    assert cache.get(sending.FLOOR) is None


def test_endpoint_that_hangs_holds_up_nobody_else(user: User, receiver: Receiver, tell: Tell, settings) -> None:
    settings.WEBHOOKS_CONCURRENCY = 4
    settings.WEBHOOKS_CONCURRENCY_PER_ENDPOINT = 2
    all_heard, was_held_up = threading.Event(), []

    def hang(*_: Any) -> int:
        was_held_up.append(not all_heard.wait(timeout=10))
        return 200

    def count(one: Receiver, *_: Any) -> int:
        if len(one.requests) >= 20:
            all_heard.set()
        return 200

    receiver.reply = count
    with listening(Receiver(reply=hang)) as hanging:
        endpoints.add(url=hanging.url, by="shop")
        endpoints.add(url=receiver.url, by="shop")
        for number in range(20):
            tell(user, version=number)
        deliver()
    assert was_held_up == [False] * 20
    assert len(receiver.heard()) == 20


def test_endpoint_that_fails_has_one_under_way_at_a_time(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoints.add(url=receiver.url, by="shop")
    for number in range(10):
        tell(user, version=number)
    dispatching.tell_new()
    Endpoint.objects.update(failing_since=timezone.now())
    assert len(deliveries.claim(10)) == 1
    assert deliveries.claim(10) == []
    Endpoint.objects.update(failing_since=None)
    assert len(deliveries.claim(10)) == 7  # eight of one endpoint at once, and one is under way


# ---------------------------------------------------------------- again, and over


def test_replay_sends_a_dead_letter_once_more(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    Delivery.objects.update(state="dead", attempts=14, first_sent_at=timezone.now() - timedelta(days=3))
    deliveries.replay(Delivery.objects.get())
    sending.run()
    assert len(receiver.requests) == 1
    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("delivered", 1)


def test_replay_is_refused_while_it_is_sent_or_its_endpoint_disabled(
    user: User, receiver: Receiver, tell: Tell
) -> None:
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    deliveries.claim(1)
    with pytest.raises(DeliveryUnderWay):
        deliveries.replay(Delivery.objects.get())
    endpoints.disable(endpoint=endpoint, reason=DisabledReason.BY_HAND)
    with pytest.raises(EndpointDisabled):
        deliveries.replay(Delivery.objects.get())
    assert Delivery.objects.get().state == DeliveryState.SENDING


def test_range_tells_again_what_never_arrived_and_no_more(user: User, receiver: Receiver, tell: Tell) -> None:
    missed = tell(user)
    dispatching.tell_new()
    endpoint, _ = endpoints.add(url=receiver.url, types=["credits.low"], by="shop")
    arrived = tell(user)
    deliver()
    dead = tell(user)
    tell(user, "hold.expired")
    dispatching.tell_new()
    Delivery.objects.filter(event=dead).update(state="dead")
    receiver.requests.clear()
    now = timezone.now() + timedelta(seconds=1)
    assert endpoints.tell_again(endpoint=endpoint, since=now - timedelta(hours=1), until=now) == 2
    sending.run()
    assert receiver.heard() == {str(missed.pk), str(dead.pk)}
    assert endpoints.tell_again(endpoint=endpoint, since=now - timedelta(hours=2), until=now - timedelta(hours=1)) == 0
    again = endpoints.tell_again(endpoint=endpoint, since=now - timedelta(hours=1), until=now, also_delivered=True)
    assert again == 3
    sending.run()
    assert str(arrived.pk) in receiver.heard()


def test_range_leaves_out_what_nobody_knows_of_any_more(user: User, receiver: Receiver, tell: Tell, settings) -> None:
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    forgotten, dead = tell(user), tell(user)
    deliver()
    Delivery.objects.filter(event=forgotten).delete()
    Delivery.objects.filter(event=dead).update(state="dead")
    receiver.requests.clear()
    settings.WEBHOOKS_KEEP_DAYS = -1  # as if all of this were older than that
    now = timezone.now()
    tell_again = partial(
        endpoints.tell_again, endpoint=endpoint, since=now - timedelta(hours=1), until=now + timedelta(minutes=1)
    )
    assert tell_again() == 1
    sending.run()
    assert receiver.heard() == {str(dead.pk)}
    assert tell_again(also_delivered=True) == 2


def test_old_deliveries_are_forgotten_and_what_still_waits_is_not(
    user: User, receiver: Receiver, tell: Tell, settings
) -> None:
    settings.WEBHOOKS_PURGE_BATCH = 1
    endpoints.add(url=receiver.url, by="shop")
    for number in range(3):
        tell(user, version=number)
    deliver()
    tell(user)
    dispatching.tell_new()
    tasks.purge_deliveries()
    assert Delivery.objects.count() == 4
    assert deliveries.purge(before=timezone.now() + timedelta(seconds=1)) == 3
    assert Delivery.objects.get().state == "pending"
    assert not DeliveryAttempt.objects.exists()
    assert Event.objects.count() == 4


def test_deleted_endpoint_takes_its_deliveries_along_even_one_under_way(
    user: User, receiver: Receiver, tell: Tell
) -> None:
    endpoint, _ = endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    [letter] = deliveries.claim(1)
    endpoints.delete(endpoint=endpoint, by="shop")
    deliveries.note(letter, posting.Answer(status=200))
    assert not Delivery.objects.exists()
    assert not DeliveryAttempt.objects.exists()


def test_lateness_is_that_of_the_oldest_due_delivery(user: User, receiver: Receiver, tell: Tell) -> None:
    endpoints.add(url=receiver.url, by="shop")
    assert deliveries.note_lateness() == 0
    tell(user)
    dispatching.tell_new()
    row = Delivery.objects.get()
    assert deliveries.note_lateness(at=row.due_at + timedelta(seconds=90)) == 90


# ---------------------------------------------------------------- sweeps


def test_dispatch_takes_what_sql_wrote_by_itself(user: User, receiver: Receiver) -> None:
    from django.db import connection

    endpoints.add(url=receiver.url, by="shop")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO events_event (type, user_id) VALUES ('credits.low', %s)", [user.pk])
    tasks.dispatch()
    tasks.send_deliveries()
    assert len(receiver.requests) == 1
    tasks.dispatch()
    tasks.send_deliveries()
    assert len(receiver.requests) == 1
