"""The worker is woken for letters: once until it answers, by a thread of the process, and never at a letter's cost."""

import threading

import pytest
import redis
from django.conf import settings
from django.test import override_settings

from billing import waking
from billing.models import GatewayLetter
from billing.tests import shop
from billing.tests.test_inbox import send

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


@override_settings(REDIS_URL="redis://127.0.0.1:1/0")
def test_redis_that_is_away_costs_the_wake_up_and_not_the_letter(stripe) -> None:
    shop.buy()
    assert send(stripe.letter()).status_code == 200
    assert GatewayLetter.objects.count() == 1
