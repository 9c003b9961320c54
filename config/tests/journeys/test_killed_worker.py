"""A real worker is killed at each step of its work; what was paid is delivered once all the same."""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import User
from django.utils import timezone

from billing import inbox, pricing, tasks
from billing.checkout import Wishes, start
from billing.models import GatewayLetter, Payment
from billing.tests.shop import credits_of
from config.tests.journeys.shop import Shop, sandbox_environment
from config.tests.processes import running
from config.tests.streams import database_url
from config.tests.worker_app import tell, wait_for
from credits.models import Grant
from ledger import checks

PURCHASES, BATCH = 10, 5
# Celery takes up to five seconds to put another process into a dead one's place, or to hand its task on: so there is
# one for each death, and one that survives.
PLACES = {"unasked": 0, "unwritten": 0, "uncommitted": 0, "unclosed": 1}  # how many payments are delivered by then
WORKER = [sys.executable, "-m", "celery", "-A", "config.tests.torn_app", "worker", "-c", str(len(PLACES) + 1)]
QUIET = ["--without-gossip", "--without-mingle"]


def test_letters_of_a_worker_that_was_killed_come_again_and_all_is_delivered_once(shop: Shop, tmp_path: Path) -> None:
    for number in range(PURCHASES):
        buy(shop, number)
    shop.sandbox.letters("stripe")
    every = letters("pending", tries=0)
    assert len(every) > BATCH * len(PLACES)
    for _ in range(len(PLACES) + 1):
        tasks.drain_inbox.delay()  # as the beat does; each waits to be told where to stop
    torn: set[str] = set()
    with running([*WORKER, *QUIET], tmp_path / "worker.log", **environment(shop)):
        for place, delivered in PLACES.items():
            tell("test:stop", place=place)
            stopped = wait_for("test:stopped")
            os.kill(stopped["child"], signal.SIGKILL)
            torn.update(stopped["in_hand"])
            assert letters("pending", tries=1) == torn
            assert Payment.objects.filter(status="succeeded").count() == delivered
        tell("test:stop", place="")
        while (ran := wait_for("test:ran"))["task"] != tasks.drain_inbox.name:
            pass  # what a payment sets going
        assert ran["state"] == "SUCCESS"
    assert (letters("pending", tries=1), read(tries=1)) == (torn, every - torn)
    assert inbox.drain() == 0  # the leases of the dead have not run out

    assert inbox.drain(timezone.now() + timedelta(minutes=10)) == len(torn)

    assert (letters("pending"), read(tries=2)) == (set(), torn)
    assert Payment.objects.filter(status="succeeded").count() == PURCHASES
    assert Grant.objects.count() == 2 * PURCHASES
    assert {credits_of(payment.user) for payment in Payment.objects.select_related("user")} == {275}
    books = shop.sandbox.books("stripe")["payments"]
    assert [each["state"] for each in books] == ["paid"] * PURCHASES
    assert checks.faults() == {}


def environment(shop: Shop) -> dict[str, str]:
    known = {"DATABASE_URL": database_url(), "INBOX_BATCH": str(BATCH), "LOG_LEVEL": "WARNING"}
    return known | sandbox_environment(shop.sandbox)


def letters(state: str, **facts: int) -> set[str]:
    return {str(pk) for pk in GatewayLetter.objects.filter(state=state, **facts).values_list("pk", flat=True)}


def read(**facts: int) -> set[str]:
    return letters("done", **facts) | letters("ignored", **facts)


def buy(shop: Shop, number: int) -> None:
    user = User.objects.create(username=f"buyer-{number}")
    payment = start(user=user, purchase=pricing.pack("medium", "EUR", "en"), wishes=Wishes(gateways=["stripe"]))
    shop.sandbox.play(payment.attempts.get().next_action)
