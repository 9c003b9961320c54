"""Locks of billing that no race of its own module shows, each twice: held, and taken away by a canary."""

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone

from billing import drafts, invoices, method_setups, payments, plans, usage_invoices
from billing.drafts import Wanted
from billing.gateways.base import Flow, NextAction, SavedMethod
from billing.gateways.subscribing import SetupResult, SetupState
from billing.models import Invoice, InvoiceDraft, MethodSetup, Payment, PlanPrice
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.papers import french, known
from billing.tests.subscribers import make_plan
from credits import usage, versions
from credits.tests import gates
from ledger.money import Money

__all__ = ["french"]
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
    return Counter(str(each) if isinstance(each, int) else type(each).__name__ for each in results)


def two_issue_one_draft(monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> Any:
    lines = [Wanted(description="Consulting", unit_price_minor=3_333)]
    due_on = drafts.today_here() + timedelta(days=30)
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


def two_sweeps_claim_one_setup(monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> Any:
    open_setup()
    gate(monkeypatch, method_setups, "_next_ask")
    claimed = gates.run_through_the_gate([lambda: len(method_setups._claim(timezone.now()))] * 2)
    return sorted(claimed)


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


LOCKS: dict[str, tuple[Fight, Any, Callable[[pytest.MonkeyPatch], None]]] = {
    "drafts.issue": (
        two_issue_one_draft,
        ({"Invoice": 1, "DraftIssued": 1}, 1, 1),
        no_row_is_locked(InvoiceDraft),
    ),
    "usage_invoices._issue": (two_sweeps_invoice_one_month, {"1": 1, "0": 1}, no_payment_is_locked),
    "method_setups._note": (old_answer_after_the_new_one, "saved", no_row_is_locked(MethodSetup)),
    "method_setups._claim": (two_sweeps_claim_one_setup, [0, 1], no_row_is_locked(MethodSetup)),
    "plans._add_version": (two_set_one_price, True, no_version_is_locked),
}


@pytest.mark.parametrize("name", LOCKS)
def test_rivals_go_one_after_the_other(name: str, monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> None:
    fight, outcome, _ = LOCKS[name]
    assert fight(monkeypatch, stripe) == outcome


@pytest.mark.parametrize("name", LOCKS)
def test_without_the_lock_it_goes_wrong(name: str, monkeypatch: pytest.MonkeyPatch, stripe: RefundingGateway) -> None:
    """If this fails, the test above proves nothing."""
    fight, outcome, unlock = LOCKS[name]
    unlock(monkeypatch)
    assert fight(monkeypatch, stripe) != outcome
