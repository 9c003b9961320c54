"""Workers that come at once send once. The canary takes the lock and the claim behind it away."""

import threading
from uuid import UUID

import pytest

from billing import payout_sending, payouts
from billing.gateways.base import DestinationKind, PayoutRequest, PayoutResult
from billing.models import Payout
from billing.tests.fakes import StandIn
from billing.tests.paying import PayingGateway, approved, fresh
from ledger.checks import faults
from ledger.tests.races import meeting_of, run_together
from wallets import withdrawals
from wallets.models import Withdrawal, WithdrawalStatus

pytestmark = pytest.mark.django_db(transaction=True)
RIVALS = 6


class CountingGateway(PayingGateway):
    """Each call of it is counted, and nobody has an answer before every rival had the time to come."""

    def __init__(self) -> None:
        super().__init__("paypal", payout=frozenset({DestinationKind.EMAIL}))
        self.calls = 0
        self.lock = threading.Lock()

    def send_payout(self, request: PayoutRequest) -> PayoutResult:
        with self.lock:
            self.calls += 1
            return super().send_payout(request)


@pytest.fixture
def paypal(stand_in: StandIn) -> CountingGateway:
    return stand_in(CountingGateway())


def test_rivals_send_once(paypal: CountingGateway) -> None:
    withdrawal = approved()
    paypal.pays_out()
    run_together(RIVALS, lambda: payout_sending.send(withdrawal))
    assert (paypal.calls, fresh(withdrawal).status) == (1, "paid")
    assert faults() == {}


def test_the_race_is_real_without_the_lock_and_the_claim(paypal: CountingGateway, monkeypatch) -> None:
    """If this fails, the test above proves nothing: each of them then calls the gateway. Either of the two is enough,
    so that both are taken away."""
    withdrawal = approved()
    Payout.objects.create(withdrawal=withdrawal)  # or whoever makes the row would keep the others waiting
    paypal.pays_out()
    meet = meeting_of(RIVALS)

    def look_without_locking(payout_id: UUID) -> Payout:
        found = Payout.objects.select_related("withdrawal__wallet").get(pk=payout_id)
        meet()
        return found

    def claim_what_was_seen(*, withdrawal: Withdrawal, gateway: str) -> bool:
        Withdrawal.objects.filter(pk=withdrawal.pk).update(status=WithdrawalStatus.SENDING, gateway=gateway)
        return True

    monkeypatch.setattr(payouts, "lock", look_without_locking)
    monkeypatch.setattr(withdrawals, "mark_sending", claim_what_was_seen)
    # What follows the call has tests of its own; here the late ones would find it paid by the first.
    monkeypatch.setattr(payouts, "sent", lambda *, payout, result: payout)
    run_together(RIVALS, lambda: payout_sending.send(withdrawal))
    assert paypal.calls == RIVALS
