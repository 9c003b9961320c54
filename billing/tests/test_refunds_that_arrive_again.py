"""A refund that had come back, and arrived after all: booked anew each time, in whatever order it is heard of."""

from collections.abc import Callable
from typing import Any

import pytest

from billing import errors, invoices, refund_sending, refunds, refunds_listed, usage_invoices
from billing.gateways.base import PaymentRef, RefundResult, RefundState
from billing.gateways.subscribing import DisputeState
from billing.models import Case, Invoice, Refund
from billing.models.refunds import RefundPolicy, RefundStatus
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.papers import known, later
from billing.tests.refunding import ask_for, disputed, say
from billing.tests.test_refunds import paid_twice
from credits import usage
from credits.models import Grant
from events.models import Event
from ledger import checks
from ledger.models import EntryKey
from ledger.tests.books import on

pytestmark = pytest.mark.django_db
GONE, BACK = RefundState.SUCCEEDED, RefundState.FAILED


def books(*names: str) -> list[int]:
    return [on(f"{name}:EUR") for name in names or ("revenue:packs", "gateway:stripe")]


def told() -> list[str]:
    return list(Event.objects.filter(type__contains="refund").order_by("id").values_list("type", flat=True))


def test_surplus_that_had_come_back_and_arrives_after_all_concerns_no_credits(gateways) -> None:
    payment = paid_twice(gateways, "stripe", "paypal")
    first = payment.attempts.order_by("id")[0]
    refund = refund_sending.return_surplus(first)
    assert refund is not None
    say(refund, BACK, GONE)
    refund.refresh_from_db()
    assert (refund.status, refund.credits_owed, refund.credits_gone, refund.tax_minor) == (
        RefundStatus.SUCCEEDED,
        0,
        0,
        0,
    )
    assert refunds.refunded(payment) == 0  # of what was delivered
    assert (books("suspense", "gateway:stripe"), shop.credits_of(payment.user), told()) == ([0, 0], 275, [])
    assert list(Case.objects.values_list("kind", flat=True)) == ["refund_failed"] * 2
    assert checks.faults() == {}


# ---------------------------------------------------------------- answers that are older than the end


@pytest.mark.parametrize(("before", "end"), [(GONE, BACK), (BACK, GONE)])
def test_what_was_asked_for_before_the_end_does_not_undo_it(stripe, before, end) -> None:
    refund = ask_for(shop.paid(stripe))
    as_it_was_asked = Refund.objects.get(pk=refund.pk)
    ended = say(refund, end)
    standing = books(), told()
    with pytest.raises(errors.RefundEndedMeanwhile):
        refunds.note(refund=as_it_was_asked, result=RefundResult(state=before))
    refund.refresh_from_db()
    assert (refund.status, refund.ended_at) == (ended.status, ended.ended_at)
    assert (books(), told()) == standing
    assert checks.faults() == {}


def test_answer_from_before_it_came_back_does_not_say_that_it_arrived_again(stripe) -> None:
    refund = say(ask_for(shop.paid(stripe)), GONE)
    as_it_was_asked = Refund.objects.get(pk=refund.pk)
    say(refund, BACK)
    with pytest.raises(errors.RefundEndedMeanwhile):
        refunds.note(refund=as_it_was_asked, result=RefundResult(state=GONE))
    assert (Refund.objects.get().status, books()) == (RefundStatus.FAILED, [999, -999])
    assert told() == ["payment.refunded", "refund.failed"]


def test_old_answer_that_says_the_same_is_no_news(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    as_it_was_asked = Refund.objects.get(pk=refund.pk)
    ended = say(refund, GONE)
    again = refunds.note(refund=as_it_was_asked, result=RefundResult(state=GONE, ids={"refund": "re_1"}))
    assert (again.status, again.ended_at, again.gateway_ids) == (ended.status, ended.ended_at, {"refund": "re_1"})


def meanwhile(stripe: RefundingGateway, monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], Any]) -> None:
    """The gateway has answered, and before that is written down another worker acts, once."""
    usual, acts = getattr(stripe, name), [act]

    def answer(*args: Any) -> Any:
        said = usual(*args)
        if acts:
            acts.pop()()
        return said

    monkeypatch.setattr(stripe, name, answer)


def test_slow_worker_asks_again_when_it_came_back_meanwhile(stripe, monkeypatch) -> None:
    refund = refund_sending.send(ask_for(shop.paid(stripe)))

    def comes_back() -> None:
        stripe.refund_states[refund.reference] = BACK
        say(refund, BACK)

    meanwhile(stripe, monkeypatch, "fetch_refund", comes_back)
    assert refund_sending.ask(refund).status == RefundStatus.FAILED
    assert stripe.asked.count(f"fetch refund {refund.reference}") == 2
    assert (books(), told()) == ([999, -999], ["payment.refunded", "refund.failed"])


def test_worker_that_sends_asks_when_it_ended_otherwise_meanwhile(stripe, monkeypatch) -> None:
    refund = ask_for(shop.paid(stripe))
    stripe.refund_state = BACK

    def arrives() -> None:
        stripe.refund_states[refund.reference] = GONE
        say(refund, GONE)

    meanwhile(stripe, monkeypatch, "send_refund", arrives)
    assert refund_sending.send(refund).status == RefundStatus.SUCCEEDED
    assert (books(), told()) == ([0, 0], ["payment.refunded"])


def test_list_from_before_it_came_back_is_asked_about(stripe, monkeypatch) -> None:
    refund = refund_sending.send(ask_for(shop.paid(stripe)))
    stripe.refund_states[refund.reference] = BACK

    def list_refunds(payment: PaymentRef) -> list[RefundResult]:
        say(refund, BACK)
        return [RefundResult(state=GONE, reference=refund.reference, ids={"refund": "re_1"}, amount=refund.money)]

    monkeypatch.setattr(stripe, "list_refunds", list_refunds, raising=False)
    refunds_listed.hear(refund.attempt)
    assert (Refund.objects.get().status, books()) == (RefundStatus.FAILED, [999, -999])


# ---------------------------------------------------------------- booked anew


def test_refund_that_arrives_again_is_booked_anew_each_time(stripe) -> None:
    payment = shop.paid(stripe)
    refund = say(ask_for(payment), GONE, BACK)
    assert (books(), shop.credits_of(payment.user)) == ([999, -999], 275)
    for _ in range(2):
        refund = say(refund, GONE)
        assert (refund.status, books(), shop.credits_of(payment.user)) == (RefundStatus.SUCCEEDED, [0, 0], 275)
        refund = say(refund, BACK)
        assert (refund.status, books(), shop.credits_of(payment.user)) == (RefundStatus.FAILED, [999, -999], 275)
    assert refund.times_back == 3
    keys = EntryKey.objects.filter(key__startswith=f"refund:{refund.pk}").order_by("key").values_list("key", flat=True)
    ends = ["", ":again:1", ":again:1:back", ":again:2", ":again:2:back", ":back"]
    assert [key.removeprefix(f"refund:{refund.pk}") for key in keys] == ends
    assert told() == ["payment.refunded", "refund.failed"] * 3
    assert Case.objects.open().count() == 5  # it came back three times, and arrived late twice
    assert checks.faults() == {}


def test_credits_that_the_customer_keeps_become_no_debt_of_the_next_refund(stripe) -> None:
    payment = shop.paid(stripe)
    say(ask_for(payment, 500), GONE, BACK, GONE)
    kept = shop.credits_of(payment.user)
    plan = refunds.preview(payment=payment)
    assert (plan.amount.minor, plan.owed, plan.gone) == (499, 0, 0)
    say(ask_for(payment), GONE)
    assert shop.credits_of(payment.user) == kept - plan.credits_due
    assert checks.faults() == {}


def test_credits_that_it_left_are_frozen_in_a_dispute(stripe) -> None:
    payment = shop.paid(stripe)
    say(ask_for(payment, 500), GONE, BACK, GONE)
    assert shop.credits_of(payment.user) == 275
    disputed(payment)
    assert shop.credits_of(payment.user) == 0
    disputed(payment, DisputeState.LOST)
    assert (shop.credits_of(payment.user), Grant.objects.filter(is_open=True).exists()) == (0, False)
    assert checks.faults() == {}


# ---------------------------------------------------------------- papers


def papers() -> list[tuple[str, int]]:
    return [(each.kind, each.gross_minor) for each in Invoice.objects.order_by("id")]


def status_of_the_invoice() -> str:
    return str(Invoice.objects.with_lines().of_sales().get().status)


def test_each_time_has_its_note_and_the_paper_that_takes_it_back(stripe, french) -> None:
    refund = ask_for(shop.paid(stripe, known()), 500)
    for _ in range(2):
        say(refund, GONE)
        assert [invoices.issue_missing() for _ in range(2)][1] == 0
        assert (status_of_the_invoice(), books("tax")) == ("partly_credited", [84])
        say(refund, BACK)
        assert [invoices.issue_missing() for _ in range(2)] == [1, 0]
        assert (status_of_the_invoice(), books("tax")) == ("paid", [167])
    assert papers() == [
        ("invoice", 999),
        ("credit_note", 500),
        ("invoice", 500),
        ("credit_note", 500),
        ("invoice", 500),
    ]
    assert checks.faults() == {}


def test_note_from_before_it_came_back_does_not_stand_for_it_now(stripe, french) -> None:
    """The sweep comes when it has arrived again already."""
    refund = say(ask_for(shop.paid(stripe, known()), 500), GONE)
    invoices.issue_missing()
    say(refund, BACK, GONE)
    assert [invoices.issue_missing() for _ in range(2)] == [2, 0]
    assert papers() == [("invoice", 999), ("credit_note", 500), ("invoice", 500), ("credit_note", 500)]
    assert status_of_the_invoice() == "partly_credited"


def test_no_more_than_was_invoiced_is_credited_when_another_refund_went_meanwhile(stripe, french) -> None:
    """What goes back twice bore its tax once, and is on paper once."""
    payment = shop.paid(stripe, known())
    first = say(ask_for(payment, policy=RefundPolicy.GOODWILL), GONE, BACK)
    say(ask_for(payment, policy=RefundPolicy.GOODWILL), GONE)
    say(first, GONE)
    assert (books("loss", "tax", "revenue:packs", "gateway:stripe"), Refund.objects.get(pk=first.pk).tax_minor) == (
        [-832 - 999, 0, 832, 999], 0,
    )  # fmt: skip
    invoices.issue_missing()
    assert papers() == [("invoice", 999), ("credit_note", 999)]
    assert checks.faults() == {}


def test_what_was_taxed_meanwhile_is_taken_from_its_month(stripe, french, settings) -> None:
    """Its credits were used and taxed after they had come back: no more waits for tax than there was."""
    settings.TAX_AT_USE_CATALOGUES = ["companion-tokens"]
    payment = shop.paid(stripe, known())
    refund = say(ask_for(payment), GONE)
    invoices.issue_missing()
    say(refund, BACK)
    invoices.issue_missing()
    usage.spend(user=payment.user, amount=275, key="s-1")
    assert usage_invoices.issue_due(now=later()) == 1
    assert books("vouchers", "tax", "revenue:packs") == [0, 167, 832]
    for _ in range(2):
        refund = say(refund, GONE)
        assert (books("vouchers", "tax", "revenue:packs", "gateway:stripe"), refund.tax_minor) == ([0, 0, 0, 0], 167)
        invoices.issue_missing()
        refund = say(refund, BACK)
        assert books("vouchers", "tax", "revenue:packs", "gateway:stripe") == [0, 167, 832, -999]
        invoices.issue_missing()
    notes = Invoice.objects.filter(kind="credit_note").order_by("id")
    assert [(note.corrects.kind, note.gross_minor) for note in notes if note.corrects] == [
        ("receipt", 999), ("invoice", 999), ("invoice", 999),
    ]  # fmt: skip
    assert all(Invoice.objects.filter(corrects=note).count() == 1 for note in notes)
    assert checks.faults() == {}
