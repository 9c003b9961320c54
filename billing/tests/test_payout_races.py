"""Workers that come at once send once. The canary takes the claim away."""

import threading

import pytest

from billing import payout_sending
from billing.gateways.base import DestinationKind, PayoutRequest, PayoutResult
from billing.tests.fakes import StandIn
from billing.tests.paying import PayingGateway, approved, fresh
from ledger.checks import faults
from ledger.tests.races import run_together
from wallets import withdrawals
from wallets.models import Withdrawal

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


def test_canary_without_the_claim_they_send_more_than_once(paypal: CountingGateway, monkeypatch) -> None:
    withdrawal = approved()

    def claims_nothing(*, withdrawal: Withdrawal, gateway: str) -> bool:
        Withdrawal.objects.filter(pk=withdrawal.pk).update(gateway=gateway)
        return True

    monkeypatch.setattr(withdrawals, "mark_sending", claims_nothing)
    monkeypatch.setattr("billing.schedule.next_ask_at", lambda sent_at, *, now: None)
    run_together(RIVALS, lambda: payout_sending._begin(withdrawal.pk, payout_sending._choose(withdrawal)))
    assert fresh(withdrawal).sent.sends == RIVALS
