"""Locks of billing that no race of its own module shows, each twice: held, and taken away by a canary."""

import itertools
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone

from billing import (
    asking,
    drafts,
    errors,
    inbox,
    instructions,
    invoice_files,
    invoices,
    method_setups,
    mirror,
    payments,
    payout_sending,
    plans,
    refund_sending,
    refunds,
    refunds_elsewhere,
    seller_days,
    usage_invoices,
)
from billing.drafts import Wanted
from billing.gateways.base import Flow, NextAction, RefundResult, RefundState, SavedMethod
from billing.gateways.subscribing import SetupResult, SetupState
from billing.models import (
    Attempt,
    GatewayInstruction,
    GatewayLetter,
    Invoice,
    InvoiceDraft,
    MethodSetup,
    Payment,
    Payout,
    PlanPrice,
    Refund,
    Subscription,
)
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.papers import known
from billing.tests.paying import approved
from billing.tests.subscribers import make_plan
from credits import usage, versions
from credits.tests import gates
from ledger.money import Money
from rest import sweeps
from rest.tests.rivals import Met, second_while_the_first_is_open
from wallets.models import Withdrawal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("french")]
Fight = Callable[[pytest.MonkeyPatch, RefundingGateway], Any]


def gate(monkeypatch: pytest.MonkeyPatch, module: Any, function: str) -> None:
    """Whoever calls it waits until its rival has come as far, is held up or is done."""
    usual = getattr(module, function)

    def gated(*args: Any, **more: Any) -> Any:
        gates.wait_at_the_gate()
        return usual(*args, **more)

    monkeypatch.setattr(module, function, gated)


def names(results: list[Any]) -> Counter[str]:
    return Counter(map(gates.kind_of, results))


def two_issue_one_draft(monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> Any:
    lines = [Wanted(description="Consulting", unit_price_minor=3_333)]
    due_on = seller_days.today() + timedelta(days=30)
    draft = drafts.write(user=known(), currency="EUR", due_on=due_on, lines=lines)
    gate(monkeypatch, drafts, "reckon")
    issued = names(gates.run_through_the_gate([lambda: drafts.issue(draft=draft)] * 2))
    return issued, Invoice.objects.count(), Payment.objects.count()


def two_sweeps_invoice_one_month(monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> Any:
    monkeypatch.setattr(settings, "TAX_AT_USE_CATALOGUES", ["companion-tokens"])
    buyer, later = known(), timezone.now() + timedelta(days=32)
    invoices.issue(payment=shop.paid(stripe, buyer))
    usage.spend(user=buyer, amount=100, key="s-1")
    gate(monkeypatch, usage_invoices, "consumed")
    monkeypatch.setattr(sweeps, "alone", lambda *_, **__: nullcontext(sweeps.Row()))  # so that a fault is heard here
    return names(gates.run_through_the_gate([lambda: usage_invoices.issue_due(now=later)] * 2))


def open_setup() -> MethodSetup:
    return MethodSetup.objects.create(user=shop.make_user(), gateway="stripe", next_ask_at=timezone.now())


def old_answer_after_the_new_one(monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> Any:
    """One who asked before the card was given writes down what they heard after one who asked later."""
    setup = open_setup()
    page = NextAction(type=Flow.REDIRECT, url="https://stripe.example/setup")
    before = SetupResult(state=SetupState.REQUIRES_ACTION, next_action=page)
    after = SetupResult(state=SetupState.SUCCEEDED, method=SavedMethod(id="pm_1"))
    gate(monkeypatch, payments, "told")

    def note_later() -> None:
        gates.wait_for_a_rival()
        method_setups._note(setup, after)

    gates.run_through_the_gate([lambda: method_setups._note(setup, before), note_later])
    return MethodSetup.objects.get().state


def two_set_one_price(monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> Any:
    """Whether what was written last is what counts from then on."""
    plan, usual, calls = make_plan("premium", {}), versions.begin, itertools.count()

    def begin(valid_from: Any) -> Any:
        begun = usual(valid_from)
        if next(calls) == 0:
            gates.wait_at_the_gate()
        return begun

    def set_later() -> None:
        gates.wait_for_a_rival()
        plans.set_price(plan=plan, interval="month", price=Money(1_299, "EUR"))

    monkeypatch.setattr(versions, "begin", begin)
    first = Money(1_199, "EUR")
    gates.run_through_the_gate([lambda: plans.set_price(plan=plan, interval="month", price=first), set_later])
    return list(PlanPrice.objects.order_by("valid_from").values_list("amount_minor", flat=True)) == list(
        PlanPrice.objects.order_by("pk").values_list("amount_minor", flat=True)
    )


def no_row_is_locked(model: type[Model]) -> Callable[[pytest.MonkeyPatch], None]:
    usual = QuerySet.select_for_update

    def select(rows: QuerySet[Any], **how: Any) -> QuerySet[Any]:
        return rows if rows.model is model else usual(rows, **how)

    return lambda monkeypatch: monkeypatch.setattr(QuerySet, "select_for_update", select)


def no_payment_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payments, "lock", lambda pk: Payment.objects.select_related("user").get(pk=pk))


def no_version_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "lock", lambda subject: None)


# Who fights, what becomes of them with the lock, how it is taken away, and what becomes of them then.
LOCKS: dict[str, tuple[Fight, Any, Callable[[pytest.MonkeyPatch], None], Any]] = {
    "drafts.issue": (
        two_issue_one_draft,
        ({"Invoice": 1, "DraftIssued": 1}, 1, 1),
        no_row_is_locked(InvoiceDraft),
        ({"Invoice": 2}, 2, 2),
    ),
    "usage_invoices._issue": (
        two_sweeps_invoice_one_month,
        {"1": 1, "0": 1},
        no_payment_is_locked,
        {"1": 1, "invoice_once_a_month_of_use": 1},
    ),
    "method_setups._note": (old_answer_after_the_new_one, "saved", no_row_is_locked(MethodSetup), "open"),
    "plans._add_version": (two_set_one_price, True, no_version_is_locked, False),
}


@pytest.mark.parametrize("name", LOCKS)
def test_rivals_go_one_after_the_other(name: str, monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> None:
    fight, outcome, _, _ = LOCKS[name]
    assert fight(monkeypatch, stripe) == outcome


@pytest.mark.parametrize("name", LOCKS)
def test_without_the_lock_it_goes_wrong(name: str, monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> None:
    """If this fails, the test above proves nothing."""
    fight, _, unlock, without = LOCKS[name]
    unlock(monkeypatch)
    assert fight(monkeypatch, stripe) == without


# ---------------------------------------------------------------- sweeps that pass over what another has taken


def attempt_to_ask_about(stripe: RefundingGateway) -> None:
    shop.buy(gateways=["stripe"])
    Attempt.objects.update(next_ask_at=timezone.now())


def checkout_that_is_late(stripe: RefundingGateway) -> None:
    shop.buy(gateways=["stripe"])
    Payment.objects.update(expires_at=timezone.now())


def refund_to_send(stripe: RefundingGateway) -> None:
    refunds.request(payment=shop.paid(stripe), reason="not delivered")


def payout_to_ask_about(stripe: RefundingGateway) -> None:
    withdrawal, now = approved(), timezone.now()
    times = dict.fromkeys(("sent_at", "first_sent_at", "next_try_at"), now)
    Payout.objects.create(withdrawal=withdrawal, gateway="paypal", sends=1, **times)
    Withdrawal.objects.update(status="sending", gateway="paypal")


def instruction_to_ask_about(stripe: RefundingGateway) -> None:
    user, price = shop.make_user(), make_plan("premium", {"month": 999}).prices.get()
    asked = Subscription.objects.create(user=user, catalogue="companions", price=price, time_zone="Europe/Paris")
    GatewayInstruction.objects.create(subscription=asked, kind="end_now", next_ask_at=timezone.now())


def setup_to_ask_about(stripe: RefundingGateway) -> None:
    open_setup()


Claim = Callable[[datetime], list[Any]]
CLAIMS: dict[str, tuple[Callable[[RefundingGateway], None], Claim, type[Model]]] = {
    "asking._claim": (attempt_to_ask_about, asking._claim, Attempt),
    "asking._claim_late": (checkout_that_is_late, asking._claim_late, Payment),
    "refund_sending._claim": (refund_to_send, refund_sending._claim, Refund),
    "payout_sending._claim": (payout_to_ask_about, lambda now: payout_sending._claim(now, set()), Payout),
    "instructions.claim": (instruction_to_ask_about, instructions.claim, GatewayInstruction),
    "method_setups._claim": (setup_to_ask_about, method_setups._claim, MethodSetup),
}


def claimed_by_two(name: str, monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> list[int]:
    """How much of the one thing that is due each of two sweeps takes, stopped before they write its next time down."""
    make, claim, _ = CLAIMS[name]
    make(stripe)
    now = timezone.now()
    gate(monkeypatch, QuerySet, "bulk_update")
    return sorted(gates.run_through_the_gate([lambda: len(claim(now))] * 2))


@pytest.mark.parametrize("name", CLAIMS)
def test_of_two_sweeps_one_takes_it(name: str, monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> None:
    assert claimed_by_two(name, monkeypatch, stripe) == [0, 1]


@pytest.mark.parametrize("name", CLAIMS)
def test_without_the_lock_both_take_it(name: str, monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> None:
    """If this fails, the test above proves nothing."""
    no_row_is_locked(CLAIMS[name][2])(monkeypatch)
    assert claimed_by_two(name, monkeypatch, stripe) == [1, 1]


# ---------------------------------------------------------------- letters, by one statement that takes and leases them

LETTER_LOCK = " FOR UPDATE SKIP LOCKED"


def letters_of_two(module: Any, settings: Any) -> Met[set[str], set[str]]:
    """Two batches wait; which letters each of two workers takes in one."""
    settings.INBOX_BATCH = 2
    facts = {"gateway": "stripe", "kind": "payment_intent.succeeded", "subject": "payment", "trust": "signed"}
    GatewayLetter.objects.bulk_create(GatewayLetter(event_id=f"evt_{number}", **facts) for number in range(4))
    now = timezone.now()

    def claim() -> set[str]:
        return {letter.event_id for letter in module._claim(now)}

    return second_while_the_first_is_open(claim, claim)


@pytest.mark.parametrize("module", [inbox, mirror], ids=["inbox", "mirror"])
def test_two_workers_share_the_letters(module: Any, settings: Any) -> None:
    first, second, waited = letters_of_two(module, settings)
    assert (len(first), len(second), first & second, waited) == (2, 2, set(), False)


@pytest.mark.parametrize("module", [inbox, mirror], ids=["inbox", "mirror"])
def test_without_the_lock_both_take_the_same(module: Any, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """If this fails, the test above proves nothing."""
    assert LETTER_LOCK in module._CLAIM
    monkeypatch.setattr(module, "_CLAIM", module._CLAIM.replace(LETTER_LOCK, ""))
    first, second, _ = letters_of_two(module, settings)
    assert first == second != set()


# ---------------------------------------------------------------- a refund that is taken back while it is being sent


def taken_back_while_it_is_sent(stripe: RefundingGateway) -> tuple[Counter[str], str]:
    """What whoever takes it back is told, and what stands there then. The sender has claimed it, and not committed."""
    refund = refunds.request(payment=shop.paid(stripe), reason="not wanted")

    def claim() -> int:
        return Refund.objects.filter(pk=refund.pk, status="requested").update(status="sending")

    def take_back() -> Any:
        try:
            return refunds.cancel(refund=refund)
        except errors.RefundOver as refusal:
            return refusal

    met = second_while_the_first_is_open(claim, take_back)
    return names([met.second]), Refund.objects.get().status


def test_refund_that_is_being_sent_is_not_taken_back(stripe: RefundingGateway) -> None:
    assert taken_back_while_it_is_sent(stripe) == ({"RefundOver": 1}, "sending")


def test_without_the_lock_what_is_being_sent_is_taken_back(
    monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway
) -> None:
    """If this fails, the test above proves nothing."""
    no_row_is_locked(Refund)(monkeypatch)
    assert taken_back_while_it_is_sent(stripe) == ({"Refund": 1}, "cancelled")


def sent_while_an_answer_is_written_down(
    monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway
) -> tuple[Counter[str], str]:
    """What whoever claims it is told, and what stands there then. An answer that changes nothing was read before."""
    refund = refunds.request(payment=shop.paid(stripe), reason="not wanted")
    gate(monkeypatch, refunds_elsewhere, "is_of_dispute")  # asked once the row has been read

    def note() -> Any:
        return refunds.note(refund=refund, result=RefundResult(state=RefundState.NOT_FOUND))

    def claim() -> int:
        gates.wait_for_a_rival()
        return Refund.objects.filter(pk=refund.pk, status="requested").update(status="sending")

    return names(gates.run_through_the_gate([note, claim])), Refund.objects.get().status


def test_answer_that_is_written_down_leaves_the_refund_to_who_sends_it(
    monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway
) -> None:
    assert sent_while_an_answer_is_written_down(monkeypatch, stripe) == ({"Refund": 1, "1": 1}, "sending")


def test_without_the_lock_what_is_being_sent_waits_to_be_sent_again(
    monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway
) -> None:
    """If this fails, the test above proves nothing."""
    no_row_is_locked(Refund)(monkeypatch)
    assert sent_while_an_answer_is_written_down(monkeypatch, stripe) == ({"Refund": 1, "1": 1}, "requested")


# ---------------------------------------------------------------- papers


def drawn_by_two(monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> Counter[str]:
    """What becomes of two sweeps that have seen the same invoice wait."""
    invoice = invoices.issue(payment=shop.paid(stripe, known()))
    gate(monkeypatch, invoice_files, "documents")
    return names(gates.run_through_the_gate([lambda: invoice_files._render_one(invoice.pk)] * 2))


def test_paper_that_another_draws_is_passed_over(monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> None:
    assert drawn_by_two(monkeypatch, stripe) == {"True": 1, "False": 1}


def test_without_the_lock_it_is_drawn_twice_and_the_later_sweep_ends(
    monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway
) -> None:
    """If this fails, the test above proves nothing. The database keeps the second paper out; the sweep ends there."""
    no_row_is_locked(Invoice)(monkeypatch)
    assert drawn_by_two(monkeypatch, stripe) == {"True": 1, "billing_invoicefile_pkey": 1}
