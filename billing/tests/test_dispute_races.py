"""Letters of one dispute that are read at once: it is opened once and lost once. The canary takes the guards away."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from billing import disputes, payments
from billing.gateways.subscribing import DisputeResult, DisputeState
from billing.models import Case, Dispute, Payment
from billing.tests import shop
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from ledger.tests.races import PATIENCE_SECONDS, empty_the_books, run_together

pytestmark = pytest.mark.django_db(transaction=True)
RIVALS = 6


def lose_together(payment: Payment) -> int:
    """What was lost by it in the end."""
    attempt = payment.attempts.select_related("payment").get()
    told = DisputeResult(id="dp_1", state=DisputeState.LOST, amount=Money(999, "EUR"), reason="fraudulent")
    run_together(RIVALS, lambda: disputes.note(attempt=attempt, result=told))
    return on("loss:EUR")


@contextmanager
def without_constraint() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_dispute DROP CONSTRAINT dispute_once_at_its_gateway")
        try:
            yield
        finally:
            empty_the_books()
            cursor.execute("TRUNCATE billing_dispute CASCADE")
            cursor.execute(
                "ALTER TABLE billing_dispute ADD CONSTRAINT dispute_once_at_its_gateway UNIQUE (gateway, gateway_id)"
            )


def test_dispute_that_is_told_by_many_letters_is_lost_once(stripe) -> None:
    assert lose_together(shop.paid(stripe)) == -999
    kinds = ("payment.disputed", "dispute.lost")
    assert [Event.objects.filter(type=kind).count() for kind in kinds] == [1, 1]
    assert (Dispute.objects.count(), Case.objects.filter(kind="dispute").count()) == (1, 1)
    assert checks.faults() == {}


def test_canary_without_lock_and_constraint_it_is_lost_by_each_letter(stripe, monkeypatch) -> None:
    payment, written = shop.paid(stripe), Barrier(RIVALS)

    def wait_until_all_have_written(_payment: Payment) -> None:
        written.wait(PATIENCE_SECONDS)

    def unlocked(payment_id: Any) -> Payment:
        return Payment.objects.select_related("user").get(pk=payment_id)

    monkeypatch.setattr(payments, "lock", unlocked)
    monkeypatch.setattr("billing.refund_credits.lock", wait_until_all_have_written)
    with without_constraint():
        assert lose_together(payment) < -999
