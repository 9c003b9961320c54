"""What one transaction sends in a loop: each message has its own words, and none goes before or without the commit."""

import base64
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from billing import metrics
from config import broker, tasks
from config.tests.charged_app import draw
from credits import errors
from credits.jobs import HEADER
from credits.models import Hold
from ledger.money import Money

pytestmark = pytest.mark.django_db(transaction=True)
PICTURES = ["tree", "boat", "cloud"]


def waiting() -> list[tuple[list[Any], str | None]]:
    """Of each message that waits for a worker, in the order of sending, its arguments and its hold."""
    found = [orjson.loads(each) for each in broker.client().lrange(f"{settings.REDIS_PREFIX}upkeep", 0, -1)]
    return [(orjson.loads(base64.b64decode(each["body"]))[0], each["headers"].get(HEADER)) for each in found[::-1]]


def charge_all(user: User, amount: int) -> dict[str, str]:
    return {name: str(draw.charge(user=user, amount=amount, args=[name]).id) for name in PICTURES}


def test_jobs_of_one_transaction_bear_each_its_own_words_and_its_own_hold(payer: User) -> None:
    with transaction.atomic():
        held = charge_all(payer, 5)
        assert waiting() == []
    assert waiting() == [([name], held[name]) for name in PICTURES]
    assert {str(each) for each in Hold.objects.values_list("pk", flat=True)} == set(held.values())


def test_jobs_of_a_transaction_that_one_of_them_ends_are_none_of_them_sent(payer: User) -> None:
    with pytest.raises(errors.InsufficientCredits), transaction.atomic():
        charge_all(payer, 8)
    assert (waiting(), Hold.objects.count()) == ([], 0)


def test_job_that_is_refused_within_a_transaction_takes_no_other_with_it(payer: User) -> None:
    sent = []
    with transaction.atomic():
        for name in PICTURES:
            try:
                draw.charge(user=payer, amount=8, args=[name])
            except errors.InsufficientCredits:
                continue
            sent.append([name])
    assert [words for words, _ in waiting()] == sent == [["tree"], ["boat"]]


@pytest.mark.parametrize("is_rolled_back", [False, True])
def test_tasks_of_one_transaction_wait_for_its_commit_each_with_its_own_words(
    payer: User, is_rolled_back: bool
) -> None:
    with transaction.atomic():
        for name in PICTURES:
            tasks.heartbeat.delay_on_commit(name)  # type: ignore[attr-defined]  # unknown to celery-types
            tasks.heartbeat.apply_async_on_commit([name.upper()])  # type: ignore[attr-defined]  # likewise
        assert waiting() == []
        transaction.set_rollback(is_rolled_back)
    each = [[word] for name in PICTURES for word in (name, name.upper())]
    assert [words for words, _ in waiting()] == ([] if is_rolled_back else each)


def counted() -> dict[str, float]:
    """The figures of this process, which other tests have counted up before."""
    found = {each: metrics.REDEMPTIONS.labels(each, "percent")._value.get() for each in ("reserved", "redeemed")}
    return found | {each: metrics.DISCOUNTS.labels(each)._value.get() for each in ("EUR", "XAF")}


@pytest.mark.parametrize("is_rolled_back", [False, True])
def test_figures_of_one_transaction_are_counted_each_under_its_own_name(payer: User, is_rolled_back: bool) -> None:
    before = counted()
    with transaction.atomic():
        for outcome in ("reserved", "reserved", "redeemed"):
            metrics.redemption(outcome, "percent")
        for amount in (Money(300, "EUR"), Money(40, "XAF"), Money(2, "EUR")):
            metrics.discount(amount)
        assert counted() == before
        transaction.set_rollback(is_rolled_back)
    more = {"reserved": 0, "redeemed": 0, "EUR": 0, "XAF": 0} if is_rolled_back else {
        "reserved": 2, "redeemed": 1, "EUR": 302, "XAF": 40
    }  # fmt: skip
    assert {name: value - before[name] for name, value in counted().items()} == more
