"""Payouts that nobody may send any more, that a dead worker left, or that only an operator can set going again."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import errors, payout_sending, payouts
from billing.gateways.base import DestinationKind, PayoutRef, PayoutResult, PayoutState
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.models import Case, Payout
from billing.tests.fakes import StandIn
from billing.tests.paying import PayingGateway, approved, due, fresh
from ledger.checks import faults
from wallets import withdrawals
from wallets.models import Withdrawal
from wallets.tests.people import available, make_user

pytestmark = pytest.mark.django_db


class AskedBySending(PayingGateway):
    """As PayPal: what became of a payout whose id was lost, it tells only to whoever sends the same once more."""

    def fetch_payout(self, payout: PayoutRef) -> PayoutResult:
        if payout.reference in self.payouts:
            return super().fetch_payout(payout)
        if payout.request is None:
            raise Uncertain("only by sending it again", gateway=self.name)
        return self.send_payout(payout.request)


@pytest.fixture
def paypal(stand_in: StandIn) -> AskedBySending:
    return stand_in(AskedBySending("paypal", payout=frozenset({DestinationKind.EMAIL})))


def put_off(paypal: AskedBySending, **why: Any) -> Withdrawal:
    """It was surely not sent, and is to be sent again."""
    withdrawal = approved()
    paypal.refuses_payout = Unavailable("away", gateway="paypal", **why)
    payout_sending.send(withdrawal)
    paypal.refuses_payout = None
    return withdrawal


def ends(withdrawal: Withdrawal, how: str) -> None:
    if how == "cancelled":
        withdrawals.cancel(withdrawal=withdrawal)
    else:
        withdrawals.reject(withdrawal=withdrawal, reason="No.", by=make_user("operator"))


@pytest.mark.parametrize("how", ["cancelled", "rejected"])
def test_what_is_over_here_is_not_sent_by_asking_about_it(paypal, how) -> None:
    withdrawal = put_off(paypal)
    ends(withdrawal, how)
    due(withdrawal, days=1)
    payout_sending.work_through()
    payout = Payout.objects.whole().get()
    with pytest.raises(errors.GatewaySilent):
        payout_sending.ask_now(payout)
    assert (paypal.payouts, fresh(withdrawal).status) == ({}, how)
    assert available(withdrawal.wallet.seller.user) == 10_000


def test_what_was_taken_back_since_it_was_found_is_not_sent_by_asking(paypal) -> None:
    """A batch is asked one by one, and its last row may be minutes old."""
    withdrawal = approved()
    paypal.loses = True
    payout_sending.send(withdrawal)
    paypal.loses = False
    paypal.payouts.clear()  # what was lost was the question
    found = Payout.objects.whole().get()
    assert found.withdrawal.status in payouts.AT_GATEWAY
    withdrawals.mark_unsent(withdrawal=withdrawal)
    ends(withdrawal, "cancelled")
    with pytest.raises(Uncertain):
        payout_sending.ask(found)
    assert paypal.payouts == {}


@pytest.mark.parametrize("state", [PayoutState.PENDING, PayoutState.IN_TRANSIT])
def test_gateway_that_pays_what_is_over_here_is_shown_to_people_and_asked_on(paypal, state) -> None:
    withdrawal = put_off(paypal)
    ends(withdrawal, "cancelled")
    paypal.payouts[withdrawal.pk.hex] = (state, payout_sending.request_of(fresh(withdrawal), "paypal"))
    due(withdrawal, days=1)
    payout_sending.work_through()
    assert Case.objects.get().facts["why"] == "paypal is paying it, and here it is: cancelled"
    assert Payout.objects.get().next_try_at is not None
    paypal.pays_out()
    due(withdrawal, days=2)
    payout_sending.work_through()
    assert "paid it" in Case.objects.latest("id").facts["why"]


def test_payout_of_a_dead_worker_can_be_ended_by_people_after_a_day(paypal) -> None:
    withdrawal = approved()
    payout = payout_sending._begin(withdrawal.pk, payout_sending._choose(withdrawal))  # and then it died
    assert payout is not None
    paypal.silent = True
    due(withdrawal, hours=25)
    payout_sending.work_through()
    assert (fresh(withdrawal).status, Case.objects.open().count()) == ("uncertain", 1)
    payouts.resolve(payout=payout, is_paid=False, proof="their support", by=make_user("operator"))
    assert (fresh(withdrawal).status, Case.objects.open().count()) == ("failed", 0)
    assert available(withdrawal.wallet.seller.user) == 10_000
    assert faults() == {}


def test_refused_rights_are_shown_to_operators_once_and_the_case_closes_when_it_is_paid(paypal) -> None:
    withdrawal = put_off(paypal, category=FailureCategory.CONFIGURATION)
    case = Case.objects.get()
    assert (case.payout_id, case.facts["why"]) == (withdrawal.pk, "paypal refused it: configuration")
    later = timezone.now() + timedelta(minutes=4)
    assert Payout.objects.filter(next_try_at__gt=later).exists()
    paypal.refuses_payout = Unavailable("no", gateway="paypal", category=FailureCategory.CONFIGURATION)
    due(withdrawal, minutes=10)
    payout_sending.work_through()
    assert Case.objects.get() == case
    paypal.refuses_payout = None
    due(withdrawal, minutes=10)
    paypal.pays_out()
    payout_sending.work_through()
    assert (fresh(withdrawal).status, Case.objects.open().count()) == ("paid", 0)


def test_refusal_after_a_case_that_has_closed_is_a_case_of_its_own(paypal) -> None:
    withdrawal = put_off(paypal, category=FailureCategory.CONFIGURATION)
    paypal.refuses_payout = Declined("empty", gateway="paypal", category=FailureCategory.INSUFFICIENT_FUNDS)
    due(withdrawal, minutes=10)
    payout_sending.work_through()
    assert (fresh(withdrawal).status, Case.objects.count()) == ("failed", 2)
    assert Case.objects.open().get().facts["why"] == "paypal refused it: insufficient_funds"


def test_letter_that_names_what_nobody_knew_is_asked_by(paypal, monkeypatch) -> None:
    """The id of a batch whose reply was lost comes with a signed letter, also when the withdrawal is over here."""
    asked: list[PayoutRef] = []
    withdrawal = put_off(paypal)

    def fetch(payout: PayoutRef) -> PayoutResult:
        asked.append(payout)
        return PayoutResult(state=PayoutState.NOT_FOUND)

    monkeypatch.setattr(paypal, "fetch_payout", fetch)
    payout_sending.ask(Payout.objects.whole().get(pk=withdrawal.pk), {"batch": "B1"})
    assert (asked[0].ids, asked[0].request) == ({"batch": "B1"}, None)


def test_gateway_that_is_away_for_a_day_is_shown_to_operators(paypal) -> None:
    withdrawal = put_off(paypal)
    assert not Case.objects.exists()
    paypal.refuses_payout = Unavailable("away", gateway="paypal")
    due(withdrawal, hours=25)
    payout_sending.work_through()
    assert Case.objects.get().facts["why"] == "paypal has been away for a day"
    withdrawals.cancel(withdrawal=withdrawal)
    payout_sending.work_through()
    assert not Case.objects.open().exists()
