"""Somebody gives money back in the gateway's own dashboard while the buyer's bank wants it as well."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import (
    disputes,
    errors,
    fulfilment,
    invoice_xml,
    invoices,
    refund_sending,
    refunds,
    refunds_by_hand,
    tasks,
)
from billing.gateways.base import RefundResult, RefundState
from billing.gateways.stripe.disputes import STATES
from billing.gateways.subscribing import DisputeResult, DisputeState, DisputeTold, EvidenceRequest
from billing.models import Attempt, Case, Dispute, GatewayLetter, Invoice, Payment, Refund
from billing.models.payments import AttemptState
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.papers import faults_of_schematron, known
from billing.tests.refunding import disputed, made_in_the_dashboard
from credits import usage
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db


def standing(payment: Payment) -> tuple[int, int, int]:
    names = ("revenue:packs:EUR", "gateway:stripe:EUR")
    return shop.credits_of(payment.user), on(names[0]), on(names[1])


def test_refund_made_during_a_dispute_waits_and_moves_nothing(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    refund = made_in_the_dashboard(stripe, payment)
    assert (refund.status, refund.lines, refund.credits_due) == ("pending", {}, 0)
    assert standing(payment) == (0, 999, -999)
    assert refund.next_try_at is not None
    assert refund.next_try_at > timezone.now() + timedelta(hours=5)
    assert not Event.objects.filter(type="payment.refunded").exists()
    assert checks.faults() == {}


@pytest.mark.parametrize(
    ("end", "expected", "policy"),
    [
        (DisputeState.WON, (165, 599, -599), "full_with_debt"),
        # The bank has taken 999 and we have sent 400 besides: the second is our loss like the first.
        (DisputeState.LOST, (0, 999, 400), "goodwill"),
    ],
)
def test_refund_made_during_a_dispute_is_booked_when_that_is_over(stripe, end, expected, policy) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment)
    disputed(payment, end)
    for _ in range(2):
        refund_sending.work_through()
    refund = Refund.objects.get()
    assert (refund.status, refund.policy) == ("succeeded", policy)
    assert standing(payment) == expected
    assert on("loss:EUR") == (-1_399 if end is DisputeState.LOST else 0)
    assert Event.objects.filter(type="payment.refunded").count() == 1
    assert checks.faults() == {}


def test_credits_that_are_spent_by_then_become_a_debt(stripe) -> None:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=200, key="before")
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment, 999)
    disputed(payment, DisputeState.WON)
    refund_sending.work_through()
    refund = Refund.objects.get()
    assert (refund.status, sum(refund.lines.values()), refund.credits_owed) == ("succeeded", 75, 200)
    assert checks.faults() == {}


def test_refund_that_waits_counts_against_what_can_be_refunded(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment)
    disputed(payment, DisputeState.WON)
    assert refunds.preview(payment=payment).refundable == 599


def test_more_than_is_left_is_booked_at_our_cost_and_shown_to_people(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment, 700, "re_one")
    made_in_the_dashboard(stripe, payment, 700, "re_two")
    disputed(payment, DisputeState.WON)
    refund_sending.work_through()
    assert [each.status for each in Refund.objects.all()] == ["succeeded", "succeeded"]
    assert on("gateway:stripe:EUR") == 401
    assert Case.objects.filter(kind="refund_failed").exists()
    assert checks.faults() == {}


def test_dispute_about_a_second_payment_keeps_no_credits_of_the_first_frozen(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    second = Attempt.objects.create(
        payment=payment, gateway="stripe", state=AttemptState.SURPLUS, paid_at=timezone.now()
    )
    fulfilment.book_surplus(payment=payment, attempt=second)
    told = DisputeResult(id="dp_2", state=DisputeState.NEEDS_RESPONSE, amount=Money(999, "EUR"), reason="duplicate")
    disputes.note(attempt=second, result=told)
    assert shop.credits_of(payment.user) == 0
    first = DisputeResult(id="dp_1", state=DisputeState.WON, amount=Money(999, "EUR"), reason="fraudulent")
    disputes.note(attempt=payment.attempts.order_by("id")[0], result=first)
    assert shop.credits_of(payment.user) == 275


def test_how_a_refund_ended_that_waits_for_a_dispute_is_not_for_people_to_say(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    refund = made_in_the_dashboard(stripe, payment)
    for has_arrived in (True, False):
        with pytest.raises(errors.SettledWithDispute):
            refunds_by_hand.resolve(refund=refund, has_arrived=has_arrived, proof="re_dash", by=shop.make_user())
    refund.refresh_from_db()
    assert (refund.status, refund.proof) == ("pending", "")


def test_refund_that_failed_while_it_waited_has_no_plan_when_it_arrives_after_all(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    refund = made_in_the_dashboard(stripe, payment)
    refunds.note(refund=refund, result=RefundResult(state=RefundState.FAILED))
    disputed(payment, DisputeState.WON)
    refund.refresh_from_db()
    refunds.note(refund=refund, result=RefundResult(state=RefundState.SUCCEEDED))
    refund.refresh_from_db()
    assert (refund.status, refund.lines) == ("succeeded", {})
    assert standing(payment) == (275, 599, -599)
    assert checks.faults() == {}


def test_refund_made_after_a_lost_dispute_is_our_loss(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.LOST)
    refund = made_in_the_dashboard(stripe, payment)
    assert (refund.status, refund.policy, refund.lines) == ("succeeded", "goodwill", {})
    assert (on("loss:EUR"), on("revenue:packs:EUR")) == (-1_399, 999)
    assert checks.faults() == {}


# ---------------------------------------------------------------- at our cost, on paper


def papers() -> list[tuple[int, int]]:
    return list(Invoice.objects.filter(kind="credit_note").order_by("id").values_list("net_minor", "tax_minor"))


def test_note_of_a_refund_after_a_lost_dispute_adds_up_with_its_tax(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    disputed(payment, DisputeState.LOST)
    made_in_the_dashboard(stripe, payment)
    tasks.issue_invoices()
    note = Invoice.objects.get(kind="credit_note")
    assert faults_of_schematron(invoice_xml.build(note, list(note.lines.all()))) == []
    assert (papers(), Refund.objects.get().tax_minor) == ([(334, 66)], 66)
    assert [on(f"{name}:EUR") for name in ("loss", "revenue:packs", "tax")] == [-1_333, 832, 101]
    assert checks.faults() == {}


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 1, 0)])
def test_no_note_takes_back_more_than_was_invoiced(stripe, french, order) -> None:
    """Of 21.00 that went back for 9.99, what is more than the price is our loss and on no paper, whichever is first."""
    payment = shop.paid(stripe, known())
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    made = [made_in_the_dashboard(stripe, payment, 700, name) for name in ("re_one", "re_two", "re_three")]
    disputed(payment, DisputeState.WON)
    for place in order:
        refund_sending.ask(made[place])
    assert [invoices.issue_missing() for _ in range(2)] == [3, 0]
    assert papers() == [(583, 117), (249, 50)]
    assert Invoice.objects.with_lines().get(kind="invoice").status == "credited"
    assert (on("tax:EUR"), on("revenue:packs:EUR") + on("loss:EUR")) == (0, -1_101)
    for note in Invoice.objects.filter(kind="credit_note"):
        assert faults_of_schematron(invoice_xml.build(note, list(note.lines.all()))) == []
    assert checks.faults() == {}


def test_note_of_a_refund_counts_what_came_back_as_left(stripe, french) -> None:
    """The first refund has come back, and no paper says so yet when the second arrives."""
    payment = shop.paid(stripe, known())
    first = made_in_the_dashboard(stripe, payment, 999, "re_one")
    invoices.issue_missing()
    refunds.note(refund=first, result=RefundResult(state=RefundState.FAILED))
    made_in_the_dashboard(stripe, payment, 999, "re_two")
    invoices.issue_missing()
    assert papers() == [(832, 167), (832, 167)]
    assert Invoice.objects.with_lines().get(kind="invoice", corrects=None).status == "credited"


# ---------------------------------------------------------------- what a gateway says of a dispute


class DisputedGateway(RefundingGateway):
    """It can be asked about a dispute, and says what the test has it say."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.dispute = DisputeResult(id="dp_1", state=DisputeState.NEEDS_RESPONSE, amount=Money(999, "EUR"))

    def fetch_dispute(self, *, dispute: str) -> DisputeResult:
        return self.dispute

    def send_evidence(self, request: EvidenceRequest) -> DisputeResult:
        raise AssertionError("no test asks for this")


class WritingGateway(RefundingGateway):
    """Nobody can ask it about a dispute: it writes."""

    def dispute_told(self, *, kind: str, event: Mapping[str, object]) -> DisputeTold:
        return DisputeTold(state=DisputeState.NEEDS_RESPONSE, reason="unauthorised")


def hear(payment: Payment, **facts: Any) -> str:
    letter = GatewayLetter.objects.create(
        gateway="stripe", event_id=f"evt_{GatewayLetter.objects.count()}", kind="x", subject="dispute",
        reference=payment.attempts.get().reference, **{"trust": "signed", "ids": {"dispute": "dp_1"}, **facts},
    )  # fmt: skip
    tasks.drain_inbox()
    letter.refresh_from_db()
    return letter.state


def test_gateway_that_can_be_asked_is_believed_and_not_the_letter(stand_in) -> None:
    stripe = stand_in(DisputedGateway("stripe"))
    payment = shop.paid(stripe)
    assert hear(payment, amount_minor=1, currency="EUR") == "done"
    dispute = Dispute.objects.get()
    assert (dispute.amount_minor, dispute.due_at, shop.credits_of(payment.user)) == (999, None, 0)
    due = timezone.now() + timedelta(days=7)
    stripe.dispute = replace(stripe.dispute, due_by=due)
    assert hear(payment) == "done"
    assert Dispute.objects.get().due_at == due
    assert Case.objects.count() == 1


def test_time_until_which_to_answer_is_told_as_every_time_is(stand_in) -> None:
    stripe = stand_in(DisputedGateway("stripe"))
    stripe.dispute = replace(stripe.dispute, due_by=datetime(2026, 12, 1, 9, tzinfo=UTC))
    hear(shop.paid(stripe))
    assert Event.objects.get(type="payment.disputed").data["evidence_due_at"] == "2026-12-01T09:00:00Z"
    assert Case.objects.get().facts["due_at"] == "2026-12-01T09:00:00Z"


def test_question_of_a_bank_that_takes_no_money_freezes_nothing(stand_in) -> None:
    stripe = stand_in(DisputedGateway("stripe"))
    payment = shop.paid(stripe)
    stripe.dispute = replace(stripe.dispute, state=next(each for each in DisputeState if each not in disputes._STATES))
    assert hear(payment) == "ignored"
    assert (Dispute.objects.count(), shop.credits_of(payment.user)) == (0, 275)


def test_enquiry_that_ends_without_a_dispute_leaves_everything_as_it_was(stand_in) -> None:
    stripe = stand_in(DisputedGateway("stripe"))
    payment = shop.paid(stripe)
    for word in ("warning_needs_response", "warning_closed"):
        stripe.dispute = replace(stripe.dispute, state=STATES[word])
        assert hear(payment) == "ignored"
    assert (Dispute.objects.exists(), Case.objects.exists()) == (False, False)
    assert not Event.objects.filter(type__in=["payment.disputed", "dispute.won"]).exists()


def test_end_of_an_enquiry_ends_a_dispute_that_is_known(stand_in) -> None:
    stripe = stand_in(DisputedGateway("stripe"))
    payment = shop.paid(stripe)
    hear(payment)
    assert shop.credits_of(payment.user) == 0
    stripe.dispute = replace(stripe.dispute, state=STATES["warning_closed"])
    assert hear(payment) == "done"
    assert (Dispute.objects.get().state, shop.credits_of(payment.user)) == ("won", 275)


@pytest.mark.parametrize("facts", [
    {"trust": "unsigned", "amount_minor": 999, "currency": "EUR"},
    {"ids": {}, "amount_minor": 999, "currency": "EUR"},
    {"amount_minor": None},
], ids=["unsigned", "without a name", "without an amount"])  # fmt: skip
def test_letter_that_proves_no_dispute_freezes_nothing(stand_in, facts) -> None:
    payment = shop.paid(stand_in(WritingGateway("stripe")))
    assert hear(payment, **facts) == "ignored"
    assert (Dispute.objects.count(), shop.credits_of(payment.user)) == (0, 275)


def test_signed_letter_is_believed_where_nobody_can_be_asked(stand_in) -> None:
    payment = shop.paid(stand_in(WritingGateway("stripe")))
    assert hear(payment, amount_minor=999, currency="EUR") == "done"
    dispute = Dispute.objects.get()
    assert (dispute.state, dispute.reason, dispute.amount_minor) == ("open", "unauthorised", 999)
    assert shop.credits_of(payment.user) == 0


def test_signed_letter_of_a_gateway_that_knows_no_disputes_freezes_nothing(stripe) -> None:
    payment = shop.paid(stripe)
    assert hear(payment, amount_minor=999, currency="EUR") == "ignored"
    assert (Dispute.objects.count(), shop.credits_of(payment.user)) == (0, 275)


def test_credits_stay_frozen_until_the_last_dispute_about_them_is_over(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, minor=100)
    disputed(payment, minor=100, name="dp_2")
    disputed(payment, DisputeState.WON, 100)
    assert shop.credits_of(payment.user) == 0
    disputed(payment, DisputeState.WON, 100, "dp_2")
    assert shop.credits_of(payment.user) == 275
    assert checks.faults() == {}


def test_dispute_at_a_gateway_that_takes_no_answers_says_so(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    with pytest.raises(errors.CannotAnswer):
        disputes.answer(dispute=Dispute.objects.get(), evidence="It was delivered.", by=payment.user)
    assert Dispute.objects.get().evidence_sent_at is None
