"""The worker is woken for letters: once until it answers, by a thread of the process, and never at a letter's cost."""

import threading

import pytest
import redis
from django.conf import settings
from django.test import override_settings

from billing import tasks, waking
from billing.models import GatewayLetter
from billing.tests import shop
from billing.tests.fakes import send
from ledger.tests.races import meeting_of, run_together

pytestmark = pytest.mark.django_db


def wake_ups() -> int:
    """How many tasks wait for a worker."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return int(client.llen(f"{settings.REDIS_PREFIX}default"))


def test_letters_wake_the_worker_once_until_it_answers(stripe) -> None:
    shop.buy()
    for number in range(5):
        send(stripe.letter(id=f"evt_{number}"))
    assert wake_ups() == 1
    waking.answered("inbox")
    send(stripe.letter(id="evt_after"))
    assert wake_ups() == 2


def test_known_letter_wakes_nobody(stripe) -> None:
    shop.buy()
    send(stripe.letter())
    waking.answered("inbox")
    send(stripe.letter())
    assert wake_ups() == 1


@override_settings(INBOX_WAKE_SECONDS=0.01)
def test_thread_of_the_process_sends_the_wake_up() -> None:
    sent: list[int] = []
    woken = threading.Event()

    def send_it() -> int:
        sent.append(1)
        woken.set()
        return 1

    waking.Waker("thread-test", send_it).wake()
    assert woken.wait(30)
    assert sent == [1]


@override_settings(INBOX_WAKE_SECONDS=0.01)
def test_two_first_letters_at_once_start_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have seen that there is none; a third one comes when it is there."""
    waker = waking.Waker("one-thread", lambda: 1)
    monkeypatch.setattr(waker, "_starting", MetByTwo())
    run_together(2, waker.wake)
    waker.wake()
    assert [each.name for each in threading.enumerate()].count("wake-one-thread") == 1


class MetByTwo:
    """A lock that nobody takes before two want it."""

    def __init__(self) -> None:
        self.lock, self.meet = threading.Lock(), meeting_of(2)

    def __enter__(self) -> None:
        self.meet()
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_wake_up_that_the_broker_did_not_take_stands_in_the_way_of_none() -> None:
    said = iter([None, "task-1", "task-2"])
    waker = waking.Waker("no-broker", lambda: next(said))
    assert [waker.send_one() for _ in range(3)] == [False, True, False]  # the third meets the second on its way
    assert next(said) == "task-2"


@override_settings(REDIS_URL="redis://127.0.0.1:1/0")
def test_redis_that_is_away_costs_the_wake_up_and_not_the_letter(stripe) -> None:
    shop.buy()
    assert send(stripe.letter()).status_code == 200
    assert GatewayLetter.objects.get().state == "pending"
    tasks.drain_inbox()
    assert GatewayLetter.objects.get().state == "done"
