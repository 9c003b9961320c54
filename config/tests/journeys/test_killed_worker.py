"""A real worker is killed in the middle of its work again and again; what was paid is delivered once all the same."""

import os
import random
import signal
import threading
from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import User
from django.utils import timezone

from billing import inbox, pricing, tasks
from billing.checkout import Wishes, start
from billing.models import GatewayLetter, Payment
from billing.tests.shop import credits_of
from config.tests.journeys.conftest import Shop, sandbox_environment
from config.tests.processes import CELERY, running
from config.tests.streams import LONG, database_url
from credits.models import Grant
from ledger import checks

SEED = 6
PURCHASES = 200
KILLS = 14
# Celery takes up to five seconds to put another process into a dead one's place: meanwhile the others are killed.
SIXFOLD = [*CELERY, "worker", "-c", "6", "--without-gossip", "--without-mingle"]
# Few letters in a hand, and given back soon: so that each kill tears some, and the next process meets them again.
SHORT_LEASE = {"INBOX_BATCH": "5", "INBOX_LEASE_SECONDS": "1", "LOG_LEVEL": "WARNING"}


def test_worker_that_is_killed_at_random_delivers_everything_once(shop: Shop, tmp_path: Path) -> None:
    for number in range(PURCHASES):
        buy(shop, number)
    shop.sandbox.letters("stripe")
    assert GatewayLetter.objects.filter(state="pending").count() >= PURCHASES
    chance = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    environment = {"DATABASE_URL": database_url(), **sandbox_environment(shop.sandbox), **SHORT_LEASE}
    torn = 0
    with running(SIXFOLD, tmp_path / "worker.log", **environment) as worker:
        for _ in range(KILLS):
            known = done()
            for _ in range(6):
                tasks.drain_inbox.delay()  # as the beat does every few seconds
            wait_until_more_is_done(than=known)
            threading.Event().wait(chance.random() / 20)  # somewhere within its work
            kill_child(worker.pid, chance)
            torn += GatewayLetter.objects.filter(state="pending", tries__gt=0).exists()
    assert torn > KILLS / 2, "mostly it was killed while it read"

    while inbox.drain(timezone.now() + timedelta(minutes=10)):  # the sweep, once the leases of the dead have run out
        pass

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


def done() -> int:
    return GatewayLetter.objects.exclude(state="pending").count()


def wait_until_more_is_done(*, than: int) -> None:
    pause = threading.Event()
    for _ in range(LONG * 200):
        if done() > than or not GatewayLetter.objects.filter(state="pending").exists():
            return
        pause.wait(0.005)
    raise AssertionError("The worker reads nothing.")


def kill_child(number: int, chance: random.Random) -> None:
    """One of the processes that do the work; the worker starts another in its place."""
    children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    os.kill(int(chance.choice(children)), signal.SIGKILL)
