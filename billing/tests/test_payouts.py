"""Payouts of withdrawals: each outcome of a call, what is heard later, and that nothing is ever paid twice."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone, translation

from billing import breaker, cases, errors, payout_sending, payouts, tasks
from billing.gateways import registry
from billing.gateways.base import DestinationKind, PayoutState
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.models import Case, GatewayLetter, GatewaySetting, Payout
from billing.models.cases import CaseKind
from billing.models.inbox import LetterState
from billing.tests.fakes import StandIn
from billing.tests.paying import PayingGateway, approved, due, fresh
from events.models import Event, Message
from ledger.checks import faults
from ledger.money import Money
from ledger.tests.books import on
from wallets import destinations, withdrawals
from wallets.errors import WithdrawalState
from wallets.models import Withdrawal
from wallets.tests.people import MTN, available, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def cinetpay(stand_in: StandIn) -> PayingGateway:
    return stand_in(PayingGateway("cinetpay", payout=frozenset({DestinationKind.PHONE}), countries=frozenset({"CI"})))


def status(withdrawal: Withdrawal) -> str:
    return fresh(withdrawal).status


def seller(withdrawal: Withdrawal) -> User:
    return withdrawal.wallet.seller.user


# ---------------------------------------------------------------- sending


def test_paid_at_once_leaves_the_wallet(paying) -> None:
    withdrawal = approved()
    paying.pays_out()
    tasks.work_through_payouts()
    assert status(withdrawal) == "paid"
    assert list(paying.payouts) == [withdrawal.pk.hex]
    assert (available(seller(withdrawal)), on("gateway:paypal:EUR")) == (6_000, 4_000)
    assert fresh(withdrawal).gateway_reference == f"tr_{withdrawal.pk.hex[-8:]}"
    assert faults() == {}


def test_fee_of_the_seller_stays_and_fee_of_the_gateway_is_ours(paying, settings) -> None:
    settings.WALLETS_WITHDRAWAL_FEE_MINOR = {"EUR": 100}
    withdrawal = approved()
    paying.payout_fee = Money(25, "EUR")
    paying.pays_out()
    payout_sending.send(withdrawal)
    [(_, request)] = paying.payouts.values()
    assert request.amount == Money(3_900, "EUR")
    assert (on("revenue:withdrawals:EUR"), on("fees:paypal:EUR"), on("gateway:paypal:EUR")) == (100, -25, 3_925)
    assert faults() == {}


def test_refusal_gives_the_money_back_with_its_reason(paying) -> None:
    withdrawal = approved()
    paying.refuses_payout = Declined("no", gateway="paypal", category=FailureCategory.INVALID_PAYER, code="RECEIVER")
    payout_sending.send(withdrawal)
    assert (status(withdrawal), fresh(withdrawal).reason) == ("failed", "paypal: RECEIVER")
    assert available(seller(withdrawal)) == 10_000
    assert Case.objects.count() == 0
    assert faults() == {}


def test_refusal_for_a_fault_of_ours_is_shown_to_operators(paying) -> None:
    withdrawal = approved()
    category = FailureCategory.INSUFFICIENT_FUNDS
    paying.refuses_payout = Declined("empty", gateway="paypal", category=category)
    payout_sending.send(withdrawal)
    [case] = Case.objects.all()
    assert (case.payout_id, case.facts["why"]) == (withdrawal.pk, "paypal refused it: insufficient_funds")


def test_gateway_that_is_away_is_tried_again_after_a_pause(paying) -> None:
    withdrawal = approved()
    paying.refuses_payout = Unavailable("away", gateway="paypal")
    payout_sending.work_through()
    assert status(withdrawal) == "approved"
    paying.refuses_payout = None
    payout_sending.work_through()
    assert paying.payouts == {}
    due(withdrawal, minutes=5)
    payout_sending.work_through()
    assert list(paying.payouts) == [withdrawal.pk.hex]


def test_seller_may_take_back_what_waits_for_a_gateway(paying) -> None:
    withdrawal = approved()
    paying.refuses_payout = Unavailable("away", gateway="paypal")
    payout_sending.work_through()
    withdrawals.cancel(withdrawal=withdrawal)
    paying.refuses_payout = None
    due(withdrawal, days=1)
    payout_sending.work_through()
    assert (paying.payouts, status(withdrawal)) == ({}, "cancelled")
    assert available(seller(withdrawal)) == 10_000


def test_another_gateway_takes_it_when_the_first_never_heard_of_it(paying, cinetpay, stand_in) -> None:
    mtn = stand_in(PayingGateway("stripe", payout=frozenset({DestinationKind.PHONE})))
    withdrawal = approved(destination=MTN)
    mtn.refuses_payout = Unavailable("away", gateway="stripe")
    payout_sending.send(withdrawal)
    GatewaySetting.objects.filter(name="stripe").update(is_enabled=False)
    due(withdrawal, minutes=5)
    payout_sending.work_through()
    assert (list(mtn.payouts), list(cinetpay.payouts)) == ([], [withdrawal.pk.hex])


def test_lost_reply_is_asked_about_and_never_sent_elsewhere(paying) -> None:
    withdrawal = approved()
    paying.loses = True
    payout_sending.send(withdrawal)
    assert (status(withdrawal), available(seller(withdrawal))) == ("uncertain", 6_000)
    paying.pays_out()
    due(withdrawal, minutes=1)
    payout_sending.work_through()
    assert status(withdrawal) == "paid"
    assert [act for act in paying.asked if act.startswith("pay ")] == [f"pay {withdrawal.pk.hex}"]
    assert faults() == {}


@pytest.mark.parametrize(
    "state",
    [PayoutState.PENDING, PayoutState.IN_TRANSIT, PayoutState.NEEDS_APPROVAL, PayoutState.UNCLAIMED],
)
def test_under_way_keeps_the_money_held(paying, state) -> None:
    withdrawal = approved()
    paying.payout_state = state
    payout_sending.send(withdrawal)
    assert (status(withdrawal), available(seller(withdrawal))) == ("uncertain", 6_000)
    payout = Payout.objects.get()
    assert (payout.state, payout.next_try_at is not None) == (state.value, True)


@pytest.mark.parametrize("state", [PayoutState.FAILED, PayoutState.CANCELLED, PayoutState.RETURNED])
def test_over_without_being_paid_gives_the_money_back(paying, state) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    paying.pays_out(state)
    due(withdrawal, minutes=1)
    payout_sending.work_through()
    assert (status(withdrawal), available(seller(withdrawal))) == ("failed", 10_000)
    assert faults() == {}


def test_two_workers_send_once(paying) -> None:
    withdrawal = approved()
    assert payout_sending.send(withdrawal) is not None
    assert payout_sending.send(withdrawal) is None
    assert paying.asked.count(f"pay {withdrawal.pk.hex}") == 1


def test_destination_that_cools_down_waits(paying) -> None:
    withdrawal = approved()
    type(withdrawal).objects.filter(pk=withdrawal.pk).update(not_before=timezone.now() + timedelta(hours=1))
    payout_sending.work_through()
    payout_sending.send(withdrawal)
    assert payout_sending._begin(withdrawal.pk, payout_sending._choose(withdrawal)) is None
    assert (paying.payouts, status(withdrawal)) == ({}, "approved")


# ---------------------------------------------------------------- a worker that died


def test_one_that_died_before_calling_is_sent_again_only_once_the_gateway_surely_knows_nothing(paying) -> None:
    withdrawal = approved()
    paying.silent = True
    decision = payout_sending._choose(withdrawal)
    payout_sending._begin(withdrawal.pk, decision)  # and here it is killed
    paying.silent = False
    for _ in range(4):
        due(withdrawal, minutes=4)
        payout_sending._ask_due(timezone.now())
    assert paying.payouts == {}
    assert status(withdrawal) == "approved"
    payout_sending.work_through()
    assert list(paying.payouts) == [withdrawal.pk.hex]


def test_absence_is_proven_neither_soon_nor_by_one_answer(paying) -> None:
    withdrawal = approved()
    payout_sending._begin(withdrawal.pk, payout_sending._choose(withdrawal))
    for _ in range(3):
        payout_sending.ask(Payout.objects.whole().get())
    assert status(withdrawal) == "uncertain"
    due(withdrawal, hours=2)
    payout = payout_sending.ask(Payout.objects.whole().get())
    assert (payout.withdrawal.status, payout.not_found) == ("approved", 0)


def test_after_a_doubt_the_same_gateway_is_asked_again_and_no_other(cinetpay, stand_in) -> None:
    other = stand_in(PayingGateway("stripe", payout=frozenset({DestinationKind.PHONE})))
    withdrawal = approved(destination=MTN)
    payout_sending._begin(withdrawal.pk, payout_sending._choose(withdrawal))
    payout = Payout.objects.whole().get()
    Payout.objects.update(not_found=2)
    due(withdrawal, hours=2)
    payout_sending.ask(payout)
    GatewaySetting.objects.filter(name="stripe").update(is_enabled=False)
    payout_sending.work_through()
    assert (payout.gateway, list(other.payouts), list(cinetpay.payouts)) == ("stripe", [withdrawal.pk.hex], [])


def test_worker_that_slept_cannot_give_back_what_another_has_sent(paying) -> None:
    withdrawal = approved()
    slept = payout_sending._begin(withdrawal.pk, payout_sending._choose(withdrawal))
    assert slept is not None
    Payout.objects.update(not_found=2)
    due(withdrawal, hours=2)
    payout_sending.ask(slept)
    payout_sending.work_through()
    payouts.declined(payout=slept, error=Declined("no", gateway="paypal"))
    payouts.put_off(payout=slept, error=Unavailable("away", gateway="paypal"))
    payouts.doubted(payout=slept, error=Uncertain("lost", gateway="paypal", code="slept"))
    assert Payout.objects.get().failure_code == ""
    assert (status(withdrawal), available(seller(withdrawal))) == ("uncertain", 6_000)


def test_gateway_that_is_slow_to_know_and_then_pays_is_believed(paying) -> None:
    withdrawal = approved()
    payout_sending._begin(withdrawal.pk, payout_sending._choose(withdrawal))
    Payout.objects.update(not_found=2)
    due(withdrawal, hours=2)
    payout = payout_sending.ask(Payout.objects.whole().get())
    assert payout.withdrawal.status == "approved"
    paying.pays_out()
    paying.payouts[withdrawal.pk.hex] = (PayoutState.PAID, payout_sending.request_of(withdrawal, payout.gateway))
    payout_sending.ask(payout)
    assert status(withdrawal) == "paid"
    assert faults() == {}


# ---------------------------------------------------------------- after it was paid


def test_what_comes_back_is_the_sellers_again(paying) -> None:
    withdrawal = approved()
    paying.pays_out()
    payout_sending.send(withdrawal)
    paying.pays_out(PayoutState.RETURNED)
    payout_sending.ask(Payout.objects.whole().get())
    assert (status(withdrawal), available(seller(withdrawal)), on("gateway:paypal:EUR")) == ("returned", 10_000, 0)
    event = Event.objects.latest("id")
    assert (event.type, event.data["reason"]) == ("withdrawal.failed", "paypal: returned")
    payout_sending.ask(Payout.objects.whole().get())
    assert available(seller(withdrawal)) == 10_000
    assert faults() == {}


def test_paid_ones_are_looked_at_a_few_times_more(paying) -> None:
    withdrawal = approved()
    paying.pays_out()
    payout_sending.send(withdrawal)
    paying.pays_out(PayoutState.RETURNED)
    Payout.objects.update(next_try_at=timezone.now() - timedelta(minutes=1))
    payout_sending.work_through()
    assert status(withdrawal) == "returned"


def test_paid_although_it_had_failed_here_is_a_case(paying) -> None:
    withdrawal = approved()
    paying.pays_out(PayoutState.FAILED)
    payout_sending.send(withdrawal)
    paying.pays_out()
    paying.payouts[withdrawal.pk.hex] = (PayoutState.PAID, payout_sending.request_of(withdrawal, "paypal"))
    payout_sending.ask(Payout.objects.whole().get())
    [case] = Case.objects.all()
    assert case.facts["why"] == "paypal paid it, and here it is: failed"
    assert available(seller(withdrawal)) == 10_000


def test_another_amount_than_ours_is_a_case_and_moves_nothing(paying) -> None:
    withdrawal = approved()
    paying.says_amount = Money(40, "EUR")
    paying.pays_out()
    payout_sending.send(withdrawal)
    assert (status(withdrawal), available(seller(withdrawal))) == ("uncertain", 6_000)
    assert Case.objects.get().payout_id == withdrawal.pk
    assert faults() == {}


def test_another_amount_that_is_heard_later_is_a_case_too(paying) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    paying.says_amount = Money(40, "EUR")
    paying.pays_out()
    payout_sending.ask(Payout.objects.whole().get())
    assert (status(withdrawal), available(seller(withdrawal))) == ("uncertain", 6_000)
    why = "paypal paid 0.40 EUR and should have paid 40.00 EUR"
    assert Case.objects.get().facts["why"] == why
    told = Message.objects.get(kind="case").data
    assert (told["why"], told["amount"], told["currency"]) == (why, 4_000, "EUR")
    assert Payout.objects.get().next_try_at is None
    assert faults() == {}


def test_another_amount_that_is_heard_after_it_was_paid_is_a_case_and_it_stays_paid(paying) -> None:
    withdrawal = approved()
    paying.pays_out()
    payout_sending.send(withdrawal)
    paying.says_amount = Money(40, "EUR")
    payout_sending.ask(Payout.objects.whole().get())
    assert (status(withdrawal), available(seller(withdrawal))) == ("paid", 6_000)
    assert Case.objects.get().facts["why"] == "paypal paid 0.40 EUR and should have paid 40.00 EUR"
    assert faults() == {}


def test_paid_stays_paid_when_the_gateway_has_forgotten_it(paying) -> None:
    withdrawal = approved()
    paying.pays_out()
    payout_sending.send(withdrawal)
    due(withdrawal, days=1)
    paying.payouts.clear()
    for _ in range(4):
        payout_sending.ask(Payout.objects.whole().get())
    assert (status(withdrawal), available(seller(withdrawal)), Payout.objects.get().not_found) == ("paid", 6_000, 0)
    assert faults() == {}


# ---------------------------------------------------------------- sweeps


def test_one_that_cannot_be_tried_does_not_stop_those_behind_it(paying, monkeypatch) -> None:
    broken, other = approved(), approved()
    usual = payout_sending.request_of

    def request_of(withdrawal, gateway):
        if withdrawal.pk == broken.pk:
            raise ZeroDivisionError("ours")
        return usual(withdrawal, gateway)

    monkeypatch.setattr(payout_sending, "request_of", request_of)
    payout_sending.work_through()
    assert list(paying.payouts) == [other.pk.hex]


def test_gateway_that_is_ours_no_more_keeps_its_money_held_and_people_are_asked(paying, monkeypatch) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    monkeypatch.delitem(registry.BUILDERS, "paypal")
    monkeypatch.setattr(registry, "NAMES", ("stripe", "cinetpay"))
    registry.forget()
    due(withdrawal, hours=25)
    payout_sending.work_through()
    assert (status(withdrawal), available(seller(withdrawal))) == ("uncertain", 6_000)
    assert Case.objects.get().payout_id == withdrawal.pk


def test_gateway_that_is_only_away_is_waited_for_without_asking_people(paying, settings) -> None:
    withdrawal = approved()
    for _ in range(settings.GATEWAY_BREAKER_FAILURES):
        breaker.note("paypal", Unavailable("away", gateway="paypal", category=FailureCategory.PROVIDER_DOWN))
    payout_sending.work_through()
    ruled_out = {each["gateway"]: each["rule"] for each in Payout.objects.get().choice["ruled_out"]}
    assert (ruled_out["paypal"], paying.payouts, Case.objects.count()) == ("breaker_open", {}, 0)
    assert status(withdrawal) == "approved"


def test_nobody_asks_about_one_that_was_never_sent(paying) -> None:
    approved(destination=destinations.parse(kind="stripe", value="acct_1NkV2zLkdIwHu7ix"))
    payout_sending.work_through()
    with pytest.raises(errors.PayoutNotSent):
        payout_sending.ask_now(Payout.objects.whole().get())
    assert paying.asked == []


# ---------------------------------------------------------------- people


def test_after_a_day_people_are_asked_once_and_the_money_stays_held(paying) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    due(withdrawal, hours=25)
    payout_sending.work_through()
    due(withdrawal, hours=7)
    payout_sending.work_through()
    [case] = Case.objects.all()
    assert case.facts["why"] == "paypal has not said for a day whether it is paid: pending"
    assert (status(withdrawal), available(seller(withdrawal))) == ("uncertain", 6_000)


@pytest.mark.parametrize(
    ("said", "resolution"),
    [(PayoutState.PAID, "paypal has paid it"), (PayoutState.FAILED, "not paid: paypal: PAYEE_NOT_FOUND")],
)
def test_case_of_a_silent_payout_closes_by_itself_when_the_gateway_says(paying, said, resolution) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    due(withdrawal, hours=25)
    payout_sending.work_through()
    assert Case.objects.open().count() == 1
    paying.pays_out(said)
    due(withdrawal, hours=26)
    payout_sending.work_through()
    [case] = Case.objects.all()
    assert (case.closed_at is None, case.closed_by, case.resolution) == (False, None, resolution)


def test_case_of_a_wrong_amount_stays_until_somebody_closes_it(paying) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    wrong = cases.open(kind=CaseKind.PAYOUT, payout=Payout.objects.get(), key="wrong", facts={"why": "wrong amount"})
    paying.pays_out()
    due(withdrawal, hours=1)
    payout_sending.work_through()
    assert status(withdrawal) == "paid"
    assert list(Case.objects.open()) == [wrong]


def test_case_is_closed_with_the_name_of_who_said_how_it_ended(paying) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    due(withdrawal, hours=25)
    payout_sending.work_through()
    by = make_user("operator")
    payouts.resolve(payout=Payout.objects.get(), is_paid=True, proof="ticket 7", by=by)
    case = Case.objects.get()
    assert (case.closed_by, case.resolution) == (by, "Said how it ended: ticket 7")


@pytest.mark.parametrize(("is_paid", "ends", "left"), [(True, "paid", 6_000), (False, "failed", 10_000)])
def test_people_say_how_it_ended(paying, is_paid, ends, left) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    by = make_user("operator")
    payouts.resolve(payout=Payout.objects.get(), is_paid=is_paid, proof="ticket 7", by=by)
    assert (status(withdrawal), available(seller(withdrawal))) == (ends, left)
    if not is_paid:
        told = Event.objects.get(type="withdrawal.failed").data
        assert told["reason"] == "paypal: not_paid", "the seller reads it, and not what operators write to each other"
    assert Payout.objects.get().last_reply["proof"] == "ticket 7"
    with pytest.raises(errors.PayoutNotOpen):
        payouts.resolve(payout=Payout.objects.get(), is_paid=not is_paid, proof="ticket 8", by=by)
    assert faults() == {}


def test_people_say_nothing_without_a_proof(paying) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    with pytest.raises(errors.ReasonMissing):
        payouts.resolve(payout=Payout.objects.get(), is_paid=True, proof=" ", by=make_user())
    assert status(withdrawal) == "uncertain"


def test_destination_that_no_gateway_reaches_is_a_case_and_waits(paying) -> None:
    withdrawal = approved(destination=destinations.parse(kind="stripe", value="acct_1NkV2zLkdIwHu7ix"))
    payout_sending.work_through()
    assert status(withdrawal) == "approved"
    assert Case.objects.get().facts["why"] == "no gateway can pay it out"
    ruled_out = {each["gateway"]: each["rule"] for each in Payout.objects.get().choice["ruled_out"]}
    assert ruled_out["paypal"] == "destination"


def test_trouble_is_one_case_in_whatever_language_it_is_met(paying) -> None:
    withdrawal = approved(destination=destinations.parse(kind="stripe", value="acct_1NkV2zLkdIwHu7ix"))
    with translation.override("fr"):
        payout_sending.work_through()
    payouts.raise_homeless(Payout.objects.get(pk=withdrawal.pk))
    assert Case.objects.get().facts["why"] == "no gateway can pay it out"


def test_silence_after_another_answer_is_another_case(paying) -> None:
    """Somebody has closed the first one: what is stuck anew must not hide behind it."""
    withdrawal = approved()
    payout_sending.send(withdrawal)
    due(withdrawal, hours=25)
    payout_sending.work_through()
    cases.close(case=Case.objects.get(), resolution="They say: wait.", by=make_user("operator"))
    paying.pays_out(PayoutState.IN_TRANSIT)
    due(withdrawal, hours=7)
    payout_sending.work_through()
    assert "in_transit" in Case.objects.open().get().facts["why"]


def test_payout_that_is_paid_while_its_question_hangs_is_no_case(paying) -> None:
    """Whoever asked knows it as it was before a letter came."""
    withdrawal = approved()
    payout_sending.send(withdrawal)
    asked_about = due(withdrawal, hours=25)
    paying.pays_out()
    payout_sending.ask(Payout.objects.whole().get())
    assert payouts.is_stuck(asked_about)
    payouts.raise_stuck(asked_about)
    assert not Case.objects.exists()


@pytest.mark.parametrize("ends", ["cancelled", "rejected"])
def test_case_of_what_no_gateway_reaches_closes_when_nobody_wants_it_any_more(paying, ends) -> None:
    withdrawal = approved(destination=destinations.parse(kind="stripe", value="acct_1NkV2zLkdIwHu7ix"))
    payout_sending.work_through()
    assert Case.objects.open().count() == 1
    if ends == "cancelled":
        withdrawals.cancel(withdrawal=withdrawal, by=seller(withdrawal))
    else:
        withdrawals.reject(withdrawal=withdrawal, reason="No gateway goes there.", by=make_user("operator"))
    payout_sending.work_through()
    [case] = Case.objects.all()
    assert (case.closed_at is None, case.resolution) == (False, f"the withdrawal is over: {ends}")
    assert available(seller(withdrawal)) == 10_000


def test_nobody_is_asked_about_one_that_was_taken_back_on_the_way(paying) -> None:
    withdrawal = approved(destination=destinations.parse(kind="stripe", value="acct_1NkV2zLkdIwHu7ix"))
    decision = payout_sending._choose(withdrawal)
    withdrawals.cancel(withdrawal=withdrawal)
    assert payout_sending._begin(withdrawal.pk, decision) is None
    assert not Case.objects.exists()


def test_sent_ones_cannot_be_cancelled(paying) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    with pytest.raises(WithdrawalState):
        withdrawals.cancel(withdrawal=withdrawal)
    assert available(seller(withdrawal)) == 6_000


# ---------------------------------------------------------------- letters


def test_letter_about_a_payout_makes_us_ask(paying) -> None:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    paying.pays_out()
    letter = GatewayLetter.objects.create(
        gateway="paypal", event_id="e1", kind="x", subject="payout", trust="unsigned", reference=withdrawal.pk.hex
    )
    tasks.drain_inbox()
    letter.refresh_from_db()
    assert (letter.state, status(withdrawal)) == (LetterState.DONE, "paid")


def test_letter_about_no_payout_of_ours_stays_to_be_looked_at(paying) -> None:
    letter = GatewayLetter.objects.create(
        gateway="paypal", event_id="e2", kind="x", subject="payout", trust="unsigned", reference="0" * 32
    )
    tasks.drain_inbox()
    letter.refresh_from_db()
    assert letter.error == "It is about no payout of ours."
