"""A real worker is killed in the middle of its work again and again; what was paid is delivered once all the same."""

import os
import random
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from billing import inbox, pricing
from billing.checkout import Wishes, start
from billing.models import GatewayLetter, Payment
from billing.tests.shop import credits_of
from config.tests.journeys.conftest import Shop, sandbox_environment
from config.tests.processes import WORKER, kill_group, running
from config.tests.streams import LONG, database_url
from credits.models import Grant
from ledger import checks

SEED = 6
PURCHASES = 200
EVERY = 8  # purchases between two kills, on average
WHOLE = 4  # of so many kills one takes the whole worker, the others the process that does its work
SHORT_LEASE = {"INBOX_BATCH": "5", "INBOX_LEASE_SECONDS": "1", "LOG_LEVEL": "WARNING"}


class Victim:
    """A worker that starts again whenever it was killed."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.kills = 0
        self.start()

    def start(self) -> None:
        self._context = running(WORKER, self.folder / "worker.log", DATABASE_URL=database_url(), **self.environment)
        self.process = self._context.__enter__()

    def end(self) -> None:
        self._context.__exit__(None, None, None)

    def kill(self, *, whole: bool) -> None:
        self.kills += 1
        if whole:
            kill_group(self.process)
            self.end()
            self.start()
            return
        for child in self._children():
            os.kill(child, signal.SIGKILL)

    def _children(self) -> list[int]:
        number = self.process.pid
        return [int(each) for each in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


@pytest.fixture
def victim(shop: Shop, tmp_path: Path) -> Iterator[Victim]:
    worker = Victim(tmp_path, sandbox_environment(shop.sandbox) | SHORT_LEASE)
    yield worker
    worker.end()


def test_worker_that_is_killed_at_random_delivers_everything_once(shop: Shop, victim: Victim) -> None:
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    for number in range(PURCHASES):
        buy(shop, number)
        if chance.random() < 1 / EVERY:
            wait_until_it_works()
            threading.Event().wait(chance.random() / 50)  # somewhere within its work
            victim.kill(whole=chance.random() < 1 / WHOLE)
    shop.sandbox.letters("stripe")
    victim.kill(whole=True)
    victim.end()
    assert victim.kills > PURCHASES / EVERY / 2
    torn = GatewayLetter.objects.filter(tries__gt=0, state="pending").count()
    again = GatewayLetter.objects.filter(tries__gt=1).count()
    assert torn + again > 0  # it was killed while it read
    delivered_by_the_worker = Payment.objects.filter(delivered_at__isnull=False).count()
    assert delivered_by_the_worker > PURCHASES / 10

    inbox.drain(timezone.now() + timedelta(minutes=10))  # as the sweep does, once the leases of the dead have run out

    assert not GatewayLetter.objects.filter(state="pending").exists()
    assert Payment.objects.filter(status="succeeded").count() == PURCHASES
    assert Grant.objects.count() == 2 * PURCHASES
    assert {credits_of(payment.user) for payment in Payment.objects.select_related("user")} == {275}
    books = shop.sandbox.books("stripe")["payments"]
    assert [each["state"] for each in books] == ["paid"] * PURCHASES
    assert checks.faults() == {}


def buy(shop: Shop, number: int) -> None:
    user = User.objects.create(username=f"buyer-{number}")
    payment = start(user=user, purchase=pricing.pack("medium", "EUR", "en"), wishes=Wishes(gateways=["stripe"]))
    shop.sandbox.play(payment.attempts.get().next_action)


def wait_until_it_works() -> None:
    """A letter is in somebody's hands."""
    pause = threading.Event()
    for _ in range(LONG * 200):
        if GatewayLetter.objects.filter(state="pending", tries__gt=0, next_try_at__gt=timezone.now()).exists():
            return
        pause.wait(0.005)
    raise AssertionError("The worker reads nothing.")
