"""Giving money back: what it takes, in which order, and what happens when the gateway says no, nothing, or too late."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from billing import (
    asking,
    cases,
    errors,
    gateway_refunds,
    payments,
    refund_credits,
    refund_plans,
    refund_sending,
    refunds,
    refunds_by_hand,
    tasks,
)
from billing.gateways.base import RefundState
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.gateways.subscribing import DisputeState
from billing.models import Attempt, Case, Payment, Refund
from billing.models.cases import CaseKind
from billing.models.refunds import RefundPolicy, RefundStatus
from billing.tests import shop
from billing.tests.fakes import Sold
from billing.tests.refunding import ask_for, disputed
from credits import balances, usage
from credits.models import Grant
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from ledger.tests.races import run_together
from rest.models import IdempotencyRecord
from rest.tests.callers import customer, get, post, service

pytestmark = pytest.mark.django_db


def spend(payment: Payment, amount: int) -> None:
    usage.spend(user=payment.user, amount=amount, key=f"use-{payment.pk}-{amount}")


def sent(refund: Refund) -> Refund:
    refund_sending.work_through()
    return Refund.objects.get(pk=refund.pk)


def left(payment: Payment) -> dict[str, int]:
    rows = Grant.objects.of(payment.user).filter(account__name__startswith="grant:payment:")
    return {grant.source: grant.account.balance for grant in rows.select_related("account")}


# ---------------------------------------------------------------- plans

# Pack Medium: 250 paid and 25 bonus credits for 999.
POLICIES = [
    # policy, spent, asked, (money, taken, owed, kept) or the refusal
    ("unspent_only", 0, None, (999, 275, 0, 0)),
    ("unspent_only", 0, 500, (500, 137, 0, 0)),
    ("unspent_only", 137, 500, (500, 137, 0, 0)),
    ("unspent_only", 137, None, errors.CreditsSpent),
    ("unspent_only", 275, 500, errors.CreditsSpent),
    ("proportional", 0, None, (999, 275, 0, 0)),
    ("proportional", 0, 500, (500, 137, 0, 0)),
    ("proportional", 138, None, (497, 136, 0, 0)),
    ("proportional", 138, 400, (400, 110, 0, 0)),
    ("proportional", 138, 500, (500, 137, 0, 0)),  # exactly what is left, though by its worth it would be 497
    ("proportional", 275, None, errors.CreditsSpent),
    ("full_with_debt", 0, None, (999, 275, 0, 0)),
    ("full_with_debt", 138, None, (999, 137, 138, 0)),
    ("full_with_debt", 138, 500, (500, 137, 0, 0)),
    ("full_with_debt", 275, None, (999, 0, 275, 0)),
    ("full_with_debt", 275, 500, (500, 0, 137, 0)),
    ("goodwill", 0, None, (999, 0, 0, 275)),
    ("goodwill", 138, 500, (500, 0, 0, 137)),
    ("goodwill", 275, None, (999, 0, 0, 275)),
]


@pytest.mark.parametrize(("policy", "spent", "asked", "expected"), POLICIES)
def test_policy_says_what_spent_credits_cost(stripe, policy, spent, asked, expected) -> None:
    payment = shop.paid(stripe)
    if spent:
        spend(payment, spent)
    if isinstance(expected, type):
        with pytest.raises(expected):
            ask_for(payment, asked, policy=RefundPolicy(policy))
        assert not Refund.objects.exists()
        assert shop.credits_of(payment.user) == 275 - spent
        return
    plan = refunds.preview(payment=payment, amount=Money(asked, "EUR") if asked else None, policy=RefundPolicy(policy))
    assert (plan.amount.minor, plan.taken, plan.owed, plan.kept) == expected
    money, taken, owed, _ = expected
    refund = sent(ask_for(payment, asked, policy=RefundPolicy(policy)))
    assert (refund.status, refund.amount_minor) == (RefundStatus.SUCCEEDED, money)
    balance = balances.of(payment.user)
    assert balance.available == max(0, 275 - spent - taken - owed)
    assert balance.owed == max(0, owed - max(0, 275 - spent - taken))
    source = "loss:EUR" if policy == "goodwill" else "revenue:packs:EUR"
    assert on(source) == (999 if policy != "goodwill" else 0) - money
    assert on("gateway:stripe:EUR") == money - 999
    assert checks.faults() == {}


def test_refund_is_begun_only_as_it_was_shown(stripe: Sold) -> None:
    payment, policy = shop.paid(stripe), RefundPolicy.FULL_WITH_DEBT
    shown = refunds.preview(payment=payment, policy=policy)
    spend(payment, 1)
    with pytest.raises(errors.RefundPlanChanged):
        ask_for(payment, policy=policy, expected=shown)
    assert not Refund.objects.exists()
    shown = refunds.preview(payment=payment, policy=policy)
    assert sent(ask_for(payment, policy=policy, expected=shown)).credits_owed == shown.owed == 1


def test_policy_that_the_shop_chose_is_the_usual_one(settings: Any) -> None:
    settings.REFUND_POLICY = "goodwill"
    assert refunds.usual_policy() is RefundPolicy.GOODWILL


@pytest.mark.parametrize(
    ("policy", "spent", "expected"),
    [("unspent_only", 137, (137, 501)), ("unspent_only", 275, (275, 0)), ("proportional", 275, (275, 0))],
)
def test_refusal_says_what_is_missing_and_what_would_be_possible(stripe, policy, spent, expected) -> None:
    payment = shop.paid(stripe)
    spend(payment, spent)
    with pytest.raises(errors.CreditsSpent) as refusal:
        refunds.preview(payment=payment, policy=RefundPolicy(policy))
    assert (refusal.value.missing, refusal.value.refundable) == expected


def test_nothing_is_refundable_once_more_went_back_than_credits_are_left_for(stripe) -> None:
    payment = shop.paid(stripe)
    ask_for(payment, 500, policy=RefundPolicy.GOODWILL)
    spend(payment, 275)
    with pytest.raises(errors.CreditsSpent) as refusal:
        refunds.preview(payment=payment, policy=RefundPolicy.UNSPENT_ONLY)
    assert refusal.value.refundable == 0


def test_last_cent_that_credits_are_left_for_can_go_back(stripe) -> None:
    payment = shop.paid(stripe)
    ask_for(payment, 2)
    spend(payment, 274)
    assert refunds.preview(payment=payment, policy=RefundPolicy.PROPORTIONAL).amount == Money(1, "EUR")


def test_tax_of_many_refunds_is_the_tax_of_the_payment(stripe) -> None:
    payment = shop.paid(stripe)
    Payment.objects.update(tax_minor=167)
    payment.refresh_from_db()
    taxes = [ask_for(payment, 333).tax_minor, ask_for(payment, 333).tax_minor, ask_for(payment).tax_minor]
    assert taxes == [55, 56, 56]


def test_second_refund_stands_for_the_credits_that_the_first_did_not(stripe) -> None:
    payment = shop.paid(stripe)
    due = [ask_for(payment, 333).credits_due, ask_for(payment, 333).credits_due, ask_for(payment).credits_due]
    assert due == [91, 92, 92]


def test_last_cent_of_a_payment_is_refundable_and_then_nothing_is(stripe) -> None:
    payment = shop.paid(stripe)
    ask_for(payment, 998)
    with pytest.raises(errors.RefundTooLarge):
        refunds.preview(payment=payment, amount=Money(0, "EUR"))
    assert ask_for(payment).amount_minor == 1
    with pytest.raises(errors.NotRefundable, match="refunded"):
        ask_for(payment)


def test_payment_of_nothing_has_nothing_to_refund(stripe) -> None:
    payment = shop.paid(stripe)
    Payment.objects.update(amount_minor=0, discount_minor=999)
    payment.refresh_from_db()
    with pytest.raises(errors.NotRefundable, match="free"):
        ask_for(payment)


def test_bonus_goes_back_first(stripe) -> None:
    payment = shop.paid(stripe)
    bonus = f"payment:{payment.pk}:bonus"
    assert refunds.preview(payment=payment, amount=Money(7, "EUR")).lines == {bonus: 1}
    assert refunds.preview(payment=payment, amount=Money(90, "EUR")).lines == {bonus: 24}
    sent(ask_for(payment, 200))
    assert left(payment) == {"pack": 220, "bonus": 0}


def test_many_small_refunds_are_one_large_one(stripe) -> None:
    payment = shop.paid(stripe)
    for _ in range(9):
        sent(ask_for(payment, 100))
    sent(ask_for(payment))
    assert Refund.objects.filter(status="succeeded").count() == 10
    assert left(payment) == {"pack": 0, "bonus": 0}
    assert (on("revenue:packs:EUR"), on("gateway:stripe:EUR")) == (0, 0)
    assert sum(stripe.sold[stripe.only].refunded[ref].minor for ref in stripe.sold[stripe.only].refunded) == 999
    assert checks.faults() == {}


@pytest.mark.parametrize(("minor", "refusal"), [(1_000, errors.RefundTooLarge), (10_000, errors.RefundTooLarge)])
def test_more_than_was_paid_is_refused(stripe, minor, refusal) -> None:
    payment = shop.paid(stripe)
    with pytest.raises(refusal):
        ask_for(payment, minor)
    assert left(payment) == {"pack": 250, "bonus": 25}


def test_cap_counts_refunds_that_are_under_way(stripe) -> None:
    payment = shop.paid(stripe)
    ask_for(payment, 600)
    with pytest.raises(errors.RefundTooLarge) as refusal:
        ask_for(payment, 400)
    assert refusal.value.refundable == 399


@pytest.mark.parametrize("status", ["pending", "failed", "expired", "cancelled"])
def test_payment_that_is_not_paid_cannot_be_refunded(stripe, status) -> None:
    payment = shop.buy()
    if status != "pending":
        Payment.objects.update(status=status, ended_at=timezone.now())
    with pytest.raises(errors.NotRefundable):
        ask_for(payment)


def test_refund_needs_a_reason(stripe) -> None:
    payment = shop.paid(stripe)
    with pytest.raises(errors.ReasonMissing):
        ask_for(payment, reason=" ")
    assert not Refund.objects.exists()


def test_credits_are_held_until_the_money_has_gone(stripe) -> None:
    payment = shop.paid(stripe)
    ask_for(payment)
    assert (shop.credits_of(payment.user), balances.of(payment.user).held) == (0, 275)
    assert left(payment) == {"pack": 250, "bonus": 25}
    assert checks.faults() == {}


def test_debt_is_paid_by_the_next_credits(stripe) -> None:
    payment = shop.paid(stripe)
    spend(payment, 275)
    sent(ask_for(payment, policy=RefundPolicy.FULL_WITH_DEBT))
    assert balances.of(payment.user).owed == 275
    shop.paid(stripe, payment.user)
    assert (balances.of(payment.user).owed, shop.credits_of(payment.user)) == (0, 0)
    assert checks.faults() == {}


# ---------------------------------------------------------------- at the gateway


def test_refund_is_committed_before_the_gateway_is_called(stripe, monkeypatch) -> None:
    refund = ask_for(shop.paid(stripe))
    seen = []

    def look(request):
        seen.append(Refund.objects.get(id=request.reference).status)
        raise Unavailable("down", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)

    monkeypatch.setattr(stripe, "send_refund", look)
    before = timezone.now()
    assert sent(refund).status == RefundStatus.REQUESTED
    assert seen == [RefundStatus.SENDING]
    again = sent(refund).next_try_at  # it is not asked again at once
    assert again is not None
    assert again > before
    assert seen == [RefundStatus.SENDING]


def test_long_word_of_a_refusal_is_cut(stripe, monkeypatch) -> None:
    refund = ask_for(shop.paid(stripe))

    def refuse(request):
        raise Declined("no", gateway="stripe", category=FailureCategory.PAYER_DECLINED, code="x" * 150)

    monkeypatch.setattr(stripe, "send_refund", refuse)
    assert refund_sending.send(refund).failure_code == "x" * 100


@pytest.mark.parametrize("fault", [Unavailable, Uncertain])
def test_who_sends_is_told_what_has_become_of_it(stripe, monkeypatch, fault) -> None:
    refund = ask_for(shop.paid(stripe))

    def fail(request):
        raise fault("nobody answers", gateway="stripe")

    monkeypatch.setattr(stripe, "send_refund", fail)
    assert refund_sending.send(refund).pk == refund.pk


def test_refusal_frees_what_was_held_and_opens_a_case(stripe) -> None:
    payment = shop.paid(stripe)
    refund = ask_for(payment)
    stripe.refuses_refund = Declined("no", gateway="stripe", category=FailureCategory.EXPIRED, code="too_late")
    refund = sent(refund)
    assert (refund.status, refund.failure_category, refund.failure_code) == (RefundStatus.FAILED, "expired", "too_late")
    assert shop.credits_of(payment.user) == 275
    assert on("revenue:packs:EUR") == 999
    assert Case.objects.get().kind == "refund_failed"
    assert Event.objects.get(type="refund.failed").data["reason"] == "expired"
    assert checks.faults() == {}


def test_lost_reply_is_asked_about_and_sent_once(stripe) -> None:
    payment = shop.paid(stripe)
    stripe.loses_refund = True
    refund = sent(ask_for(payment))
    assert refund.status == RefundStatus.UNKNOWN
    assert sent(refund).status == RefundStatus.UNKNOWN  # not yet its time
    refund_sending.work_through(timezone.now() + timedelta(minutes=1))
    refund.refresh_from_db()
    assert refund.status == RefundStatus.SUCCEEDED
    assert sum(what.startswith("refund ") for what in stripe.asked) == 1
    assert checks.faults() == {}


def test_pending_refund_keeps_its_hold_until_it_arrives(stripe) -> None:
    payment = shop.paid(stripe)
    stripe.refund_state = RefundState.PENDING
    refund = sent(ask_for(payment))
    assert (refund.status, balances.of(payment.user).held) == (RefundStatus.PENDING, 275)
    stripe.refund_states[refund.reference] = RefundState.SUCCEEDED
    refund_sending.work_through(timezone.now() + timedelta(hours=1))
    assert left(payment) == {"pack": 0, "bonus": 0}


def test_worker_that_died_while_sending_is_followed_by_a_question(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    stripe.sold[stripe.only].refunded[refund.reference] = refund.money
    stripe.refund_states[refund.reference] = RefundState.SUCCEEDED
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=timezone.now(), next_try_at=timezone.now())
    assert sent(refund).status == RefundStatus.SUCCEEDED
    assert not any(what.startswith("refund ") for what in stripe.asked)


def test_refund_that_never_arrived_is_sent_again_under_its_reference(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    long_ago = timezone.now() - timedelta(hours=1)
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=long_ago, next_try_at=long_ago)
    for _ in range(3):
        Refund.objects.update(next_try_at=long_ago)
        refund_sending.work_through()
    assert sent(refund).status == RefundStatus.SUCCEEDED
    assert [what for what in stripe.asked if what.startswith("refund ")] == [f"refund {refund.reference}"]


def test_refund_that_fails_days_later_reopens_the_books(stripe) -> None:
    payment = shop.paid(stripe)
    spend(payment, 75)
    refund = sent(ask_for(payment, policy=RefundPolicy.FULL_WITH_DEBT))
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (0, 75)
    stripe.refund_states[refund.reference] = RefundState.FAILED
    refund = refund_sending.ask(refund)
    assert refund.status == RefundStatus.FAILED
    assert (shop.credits_of(payment.user), balances.of(payment.user).owed) == (200, 0)
    assert (on("revenue:packs:EUR"), on("gateway:stripe:EUR")) == (999, -999)
    assert Case.objects.get().kind == "refund_failed"
    assert refunds.preview(payment=payment, policy=RefundPolicy.GOODWILL).amount.minor == 999
    assert checks.faults() == {}


def came_back(stripe: Any, payment: Payment) -> None:
    refund = sent(ask_for(payment))
    assert (refund.status, shop.credits_of(payment.user)) == (RefundStatus.SUCCEEDED, 0)
    stripe.refund_states[refund.reference] = RefundState.FAILED
    del stripe.sold[payment.attempts.get().reference].refunded[refund.reference]
    assert refund_sending.ask(refund).status == RefundStatus.FAILED


def test_what_came_back_can_be_refunded_again_and_again(stripe) -> None:
    """The credits are grants of other names by then, and those of them that were for nothing still go first."""
    payment = shop.paid(stripe)
    came_back(stripe, payment)
    came_back(stripe, payment)
    part = ask_for(payment, 91)  # 25 of the 275 credits
    assert [part.lines[key] for key in part.lines] == [25]
    assert Grant.objects.get(account__name=f"grant:{next(iter(part.lines))}").is_promotional
    refund = sent(ask_for(payment))
    assert (refund.status, refund.amount_minor, shop.credits_of(payment.user)) == (RefundStatus.SUCCEEDED, 908, 0)
    assert checks.faults() == {}


@pytest.mark.parametrize("number", range(6))
def test_what_was_owed_comes_back_first_and_repays_itself(stripe, number) -> None:
    """Whichever came first by chance would be eaten by the debt, and what was taken would not come back whole."""
    payment = shop.paid(stripe)
    spend(payment, 75)
    refund = sent(ask_for(payment, policy=RefundPolicy.FULL_WITH_DEBT))
    stripe.refund_states[refund.reference] = RefundState.FAILED
    refund_sending.ask(refund)
    again = Grant.objects.filter(account__name__startswith=f"grant:refund:{refund.pk}:back").select_related("account")
    left = {grant.account.name.partition(":back")[2]: (grant.amount, grant.account.balance) for grant in again}
    assert left.pop("") == (75, 0)
    assert [amount for amount, _ in left.values()] == [balance for _, balance in left.values()] != []


def test_dispute_takes_what_a_refund_gave_back(stripe) -> None:
    payment = shop.paid(stripe)
    came_back(stripe, payment)
    disputed(payment)
    assert shop.credits_of(payment.user) == 0
    disputed(payment, DisputeState.LOST)
    assert (shop.credits_of(payment.user), Grant.objects.filter(is_open=True).exists()) == (0, False)
    assert checks.faults() == {}


def test_refund_is_told_with_its_totals(stripe) -> None:
    payment = shop.paid(stripe)
    refund = sent(ask_for(payment, 500))
    assert Event.objects.get(type="payment.refunded").data == {
        "payment": str(payment.pk),
        "refund": str(refund.pk),
        "amount": 500,
        "refunded_total": 500,
        "is_full": False,
        "currency": "EUR",
        "gateway": "stripe",
        "reason": "not delivered",
    }


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_refund_no_more_than_was_paid(stripe) -> None:
    payment = shop.paid(stripe)

    def ask() -> str:
        try:
            ask_for(payment, 300)
        except errors.RefundTooLarge:
            return "refused"
        return "asked"

    assert Counter(run_together(10, ask)) == {"asked": 3, "refused": 7}
    run_together(4, refund_sending.work_through)
    assert sum(money.minor for money in stripe.sold[stripe.only].refunded.values()) == 900
    assert checks.faults() == {}


@pytest.mark.django_db(transaction=True)
def test_the_race_for_refunds_is_real_without_the_lock(stripe, monkeypatch) -> None:
    """If this fails, the test above proves nothing."""
    payment = shop.paid(stripe)
    monkeypatch.setattr(payments, "lock", lambda number: Payment.objects.select_related("user").get(pk=number))
    monkeypatch.setattr(refund_credits, "lock", lambda payment: None)
    # All have planned before the first one writes; with the lock they would wait here for each other for ever.
    planned, make = threading.Barrier(4, timeout=60), refund_plans.make

    def make_and_meet(**asked: Any) -> refund_plans.Plan:
        plan = make(**asked)
        planned.wait()
        return plan

    monkeypatch.setattr(refund_plans, "make", make_and_meet)
    run_together(4, lambda: ask_for(payment, 300, policy=RefundPolicy.GOODWILL))
    assert sum(refund.amount_minor for refund in Refund.objects.all()) == 1_200, "of 999 that were paid"


# ---------------------------------------------------------------- by hand and by themselves


def test_gateway_that_cannot_refund_leaves_it_to_people(gateways) -> None:
    payment = shop.paid(gateways["cinetpay"], currency="XOF")
    refund = ask_for(payment)
    assert sent(refund).status == RefundStatus.MANUAL
    assert Case.objects.get().kind == "manual_refund"
    refunds_by_hand.prove(refund=refund, proof="OM-123", by=shop.make_user())
    refund.refresh_from_db()
    assert (refund.status, refund.proof) == (RefundStatus.SUCCEEDED, "OM-123")
    assert (shop.credits_of(payment.user), on("revenue:packs:XOF")) == (0, 0)
    assert checks.faults() == {}


def test_large_refund_by_hand_needs_a_second_operator(gateways, settings) -> None:
    settings.REFUND_ALONE_MINOR = {"XOF": 6_499}
    operator = shop.make_user()
    refund = ask_for(shop.paid(gateways["cinetpay"], currency="XOF"), by=operator)
    with pytest.raises(errors.SecondOperatorNeeded):
        refunds_by_hand.prove(refund=refund, proof="OM-123", by=operator)
    refund.refresh_from_db()
    assert refund.status == RefundStatus.MANUAL
    assert refunds_by_hand.prove(refund=refund, proof="OM-123", by=shop.make_user()).status == RefundStatus.SUCCEEDED


def test_refund_that_was_not_sent_can_be_taken_back(gateways) -> None:
    payment = shop.paid(gateways["cinetpay"], currency="XOF")
    refund = refunds.cancel(refund=ask_for(payment))
    assert (refund.status, shop.credits_of(payment.user)) == (RefundStatus.CANCELLED, 275)
    with pytest.raises(errors.RefundOver):
        refunds.cancel(refund=refund)


def paid_twice(gateways, first_name: str, second_name: str) -> Payment:
    """The first gateway seemed to be down, and had acted; the second one was paid before that came out."""
    gateways[first_name].silent = True
    payment = shop.buy(gateways=[first_name, second_name])
    gateways[first_name].silent = False
    first, second = payment.attempts.order_by("id")
    gateways[second_name].pays(second.reference)
    shop.told(payment)
    gateways[first_name].sold[first.reference] = Sold(amount=payment.money)
    gateways[first_name].pays(first.reference)
    asking.ask(Attempt.objects.select_related("payment").get(pk=first.pk))
    return payment


def test_what_was_paid_twice_goes_back_by_itself(gateways) -> None:
    payment = paid_twice(gateways, "stripe", "paypal")
    for _ in range(3):
        tasks.work_through_refunds()
    [refund] = Refund.objects.all()
    assert (refund.origin, refund.status, refund.amount_minor) == ("surplus", RefundStatus.SUCCEEDED, 999)
    assert refund.tax_minor == 0
    assert (on("suspense:EUR"), on("gateway:stripe:EUR")) == (0, 0)
    assert shop.credits_of(payment.user) == 275
    assert not Event.objects.filter(type="payment.refunded").exists()
    assert checks.faults() == {}


def test_what_was_paid_twice_and_cannot_go_back_is_told_to_people_alone(gateways) -> None:
    """The buyer has what they paid for, and knows of no refund."""
    payment = paid_twice(gateways, "stripe", "paypal")
    gateways["stripe"].refuses_refund = Declined("no", gateway="stripe", category=FailureCategory.EXPIRED)
    tasks.work_through_refunds()
    refund_sending.work_through()
    assert Refund.objects.get().status == RefundStatus.FAILED
    assert Case.objects.get().kind == "refund_failed"
    assert not Event.objects.filter(type="refund.failed").exists()
    assert shop.credits_of(payment.user) == 275


def test_what_was_paid_twice_goes_back_though_the_attempt_had_another_case(gateways) -> None:
    """Its gateway had not said for a day what became of it, and that case has closed by itself."""
    payment = paid_twice(gateways, "stripe", "paypal")
    first = payment.attempts.order_by("id")[0]
    cases.open(kind=CaseKind.STILL_UNKNOWN, payment=payment, attempt=first, key=str(first.pk))
    tasks.work_through_refunds()
    refund_sending.work_through()
    assert (Refund.objects.get().origin, Refund.objects.get().status) == ("surplus", RefundStatus.SUCCEEDED)


def test_what_was_paid_twice_goes_back_once(gateways) -> None:
    payment = paid_twice(gateways, "stripe", "paypal")
    first = payment.attempts.order_by("id")[0]
    assert refund_sending.return_surplus(first) is not None
    assert refund_sending.return_surplus(first) is None
    assert Refund.objects.count() == 1


def test_what_was_paid_twice_where_nothing_can_be_sent_back_is_a_case(gateways) -> None:
    payment = paid_twice(gateways, "cinetpay", "stripe")
    for _ in range(3):
        tasks.work_through_refunds()
    assert [(case.kind, case.payment_id) for case in Case.objects.all()] == [("surplus", payment.pk)]
    assert not Refund.objects.exists()


def test_refund_made_at_the_gateway_is_booked(stripe) -> None:
    payment = shop.paid(stripe)
    attempt = payment.attempts.get()
    refund = gateway_refunds.book(attempt=attempt, amount=Money(500, "EUR"), ids={"refund": "re_dash"})
    again = gateway_refunds.book(attempt=attempt, amount=Money(500, "EUR"), ids={"refund": "re_dash"})
    assert (again.pk, refund.origin) == (refund.pk, "gateway")
    stripe.refund_states[refund.reference] = RefundState.SUCCEEDED
    refund_sending.ask(refund)
    assert (on("revenue:packs:EUR"), shop.credits_of(payment.user)) == (499, 138)
    assert checks.faults() == {}


# ---------------------------------------------------------------- disputes


def standing(payment: Payment) -> tuple[int, dict[str, int]]:
    return shop.credits_of(payment.user), left(payment)


def test_dispute_freezes_what_was_granted(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    assert standing(payment) == (0, {"pack": 250, "bonus": 25})
    assert Case.objects.get().kind == "dispute"
    assert Event.objects.get(type="payment.disputed").data["reason"] == "fraudulent"


def test_dispute_that_is_won_leaves_everything_as_before(stripe) -> None:
    payment = shop.paid(stripe)
    spend(payment, 100)
    before = standing(payment)
    books = on("revenue:packs:EUR"), on("gateway:stripe:EUR")
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    disputed(payment, DisputeState.WON)
    assert standing(payment) == before
    assert (on("revenue:packs:EUR"), on("gateway:stripe:EUR")) == books
    assert checks.faults() == {}


def test_dispute_that_is_lost_takes_what_is_left_and_books_loss_and_fee(stripe, settings) -> None:
    settings.DISPUTE_FEE_MINOR = {"EUR": 2_000}
    payment = shop.paid(stripe)
    spend(payment, 100)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    disputed(payment, DisputeState.LOST)
    assert standing(payment) == (0, {"pack": 0, "bonus": 0})
    assert (on("loss:EUR"), on("fees:stripe:EUR")) == (-999, -2_000)
    assert on("gateway:stripe:EUR") == 2_000
    assert checks.faults() == {}


@pytest.mark.parametrize("end", [DisputeState.WON, DisputeState.LOST])
def test_end_that_is_heard_before_the_beginning_stays_the_end(stripe, end) -> None:
    payment = shop.paid(stripe)
    disputed(payment, end)
    dispute = disputed(payment, DisputeState.NEEDS_RESPONSE)
    assert dispute.state == end.value
    assert shop.credits_of(payment.user) == (275 if end is DisputeState.WON else 0)
    assert checks.faults() == {}


def test_refund_while_a_dispute_is_open_is_refused(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.NEEDS_RESPONSE)
    with pytest.raises(errors.DisputeOpen):
        ask_for(payment)
    disputed(payment, DisputeState.WON)
    assert sent(ask_for(payment)).status == RefundStatus.SUCCEEDED


def test_lost_dispute_leaves_nothing_to_refund(stripe) -> None:
    payment = shop.paid(stripe)
    disputed(payment, DisputeState.LOST)
    with pytest.raises(errors.NotRefundable):
        ask_for(payment)


# ---------------------------------------------------------------- over HTTP


def test_service_refunds_over_http_once(stripe) -> None:
    payment = shop.paid(stripe)
    who = service("request_refund")
    body = {"payment": str(payment.pk), "amount": 500, "policy": "goodwill", "reason": "late"}
    first, again = post("refunds", who, body, "r-1"), post("refunds", who, body, "r-1")
    assert (first.status_code, again.content) == (201, first.content)
    told = first.json()
    assert (told["status"], told["amount"], told["policy"], told["credits_taken"]) == ("requested", 500, "goodwill", 0)
    assert Refund.objects.count() == 1
    shown = get(f"refunds/{told['id']}", customer(payment.user))
    assert (shown.status_code, shown.json()["id"]) == (200, told["id"])
    assert get(f"refunds/{told['id']}", customer(shop.make_user())).status_code == 404


def test_service_sees_refunds_by_its_permission_alone(stripe) -> None:
    """Speaking for a customer is not enough: it opens nothing else of theirs either."""
    payment = shop.paid(stripe)
    address = f"refunds/{ask_for(payment).pk}"
    refused = get(address, service(acts_for=payment.user))
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")
    assert "billing.view_refund" in refused.json()["detail"]
    assert get(address, service("billing.view_refund")).status_code == 200
    assert get(address, service("billing.view_refund", acts_for=payment.user)).status_code == 200
    assert get(address, service("billing.view_refund", acts_for=shop.make_user())).status_code == 404


def test_key_of_a_refund_is_once_for_ever_and_not_for_a_day(stripe) -> None:
    payment = shop.paid(stripe)
    who = service("request_refund")
    body = {"payment": str(payment.pk), "amount": 500, "policy": "goodwill", "reason": "late"}
    first = post("refunds", who, body, "r-1")
    IdempotencyRecord.objects.all().delete()  # as the purge does after a day
    again = post("refunds", who, body, "r-1")
    assert (again.status_code, again.json()["id"], Refund.objects.count()) == (201, first.json()["id"], 1)
    for changes in ({"amount": 400}, {"reason": "lost"}, {"policy": "unspent_only"}):
        other = post("refunds", who, body | changes, "r-1")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        IdempotencyRecord.objects.all().delete()
    assert Refund.objects.count() == 1


def test_key_of_a_refund_is_of_its_caller_and_its_payment(stripe) -> None:
    payment, other = shop.paid(stripe), shop.paid(stripe)
    body = {"payment": str(payment.pk), "amount": 100, "policy": "goodwill", "reason": "late"}
    mine, second = service("request_refund"), service("request_refund")
    post("refunds", mine, body, "r-1")
    post("refunds", second, body, "r-1")
    IdempotencyRecord.objects.all().delete()
    post("refunds", mine, body | {"payment": str(other.pk)}, "r-1")
    assert (payment.refunds.count(), other.refunds.count()) == (2, 1)
    assert all(each.request_key.startswith("api:") for each in Refund.objects.all())


def test_proportional_refund_of_less_than_was_asked_is_still_of_its_key(stripe) -> None:
    payment = shop.paid(stripe)
    spend(payment, 200)
    body = {"payment": str(payment.pk), "amount": 999, "policy": "proportional", "reason": "late"}
    who = service("request_refund")
    first = post("refunds", who, body, "r-1")
    IdempotencyRecord.objects.all().delete()
    again = post("refunds", who, body, "r-1")
    assert (first.json()["amount"], again.status_code, again.json()["id"]) == (272, 201, first.json()["id"])


def test_preview_over_http_moves_nothing(stripe) -> None:
    payment = shop.paid(stripe)
    spend(payment, 200)
    answer = post(
        "refunds/preview",
        service("request_refund"),
        {"payment": str(payment.pk), "policy": "full_with_debt"},
        key=None,
    )
    assert answer.json() == {
        "amount": 999,
        "currency": "EUR",
        "tax": 0,
        "policy": "full_with_debt",
        "refundable": 999,
        "credits_taken": 75,
        "credits_owed": 200,
        "credits_gone": 0,
        "credits_kept": 0,
        "sales": [],
        "stops_top_up": False,
    }
    assert not Refund.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amount": 1_000}, 422, "refund_too_large"),
        ({"amount": 0}, 400, "validation_error"),
        ({"policy": "all"}, 400, "validation_error"),
        ({"reason": ""}, 400, "validation_error"),
        ({"payment": "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f"}, 404, "not_found"),
        ({"currency": "EUR"}, 400, "validation_error"),
    ],
)
def test_bad_refunds_are_refused(stripe, body, status, code) -> None:
    payment = shop.paid(stripe)
    known = {"payment": str(payment.pk), "reason": "late"}
    answer = post("refunds", service("request_refund"), known | body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Refund.objects.exists()


def test_customer_cannot_refund_themself(stripe) -> None:
    payment = shop.paid(stripe)
    answer = post("refunds", customer(payment.user), {"payment": str(payment.pk), "reason": "mine"})
    assert answer.status_code == 403
    assert not Refund.objects.exists()


def test_refused_refund_over_http_keeps_no_hold(stripe) -> None:
    payment = shop.paid(stripe)
    spend(payment, 275)
    answer = post("refunds", service("request_refund"), {"payment": str(payment.pk), "reason": "late"})
    assert (answer.status_code, answer.json()["code"], answer.json()["missing"]) == (409, "credits_spent", 275)
    with transaction.atomic():
        assert checks.faults() == {}
