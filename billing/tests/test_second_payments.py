"""The same thing paid twice by rivals in real threads: each has looked before any of them writes. Each canary takes a
lock away and sees the harm."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from django.db.models import Model, QuerySet

from billing import checkout, errors, plan_changes, saved_methods, subscription_states, subscriptions, tasks
from billing.checkout import Wishes
from billing.gateways.base import PaymentState
from billing.models import Attempt, Customer, PaidPeriod, Payment, Subscription
from billing.tests import shop
from billing.tests.couponing import make_coupon
from billing.tests.fakes import ChargingGateway
from billing.tests.subscribers import BEGIN, end_of, fresh, make_plan, make_user, price, subscribed
from ledger import checks
from ledger.tests.races import meeting_of, run_all

pytestmark = pytest.mark.django_db(transaction=True)
PAYPAL = Wishes(gateways=("paypal",))
INDEX = "payment_waits_once_per_plan_and_purpose"


def all_look_before_one_begins(monkeypatch: pytest.MonkeyPatch, module: Any, function: str, count: int = 2) -> None:
    meet, usual = meeting_of(count), getattr(module, function)

    def met(*said: Any, **more: Any) -> Any:
        meet()
        return usual(*said, **more)

    monkeypatch.setattr(module, function, met)


def no_row_is_locked(monkeypatch: pytest.MonkeyPatch, model: type[Model]) -> None:
    usual = QuerySet.select_for_update

    def select(rows: QuerySet[Any], **how: Any) -> QuerySet[Any]:
        return rows if rows.model is model else usual(rows, **how)

    monkeypatch.setattr(QuerySet, "select_for_update", select)


def ended(act: Callable[[], Any]) -> Any:
    """The payment that it brought, or the name of what refused it."""
    try:
        return act()
    except (errors.BillingError, IntegrityError) as refusal:
        return type(refusal).__name__


# ---------------------------------------------------------------- plans


def due(clock: time_machine.Traveller, paypal: Any) -> Subscription:
    found = subscribed(paypal)
    clock.move_to(end_of(found))
    return fresh(found)


def pay_now(found: Subscription) -> Any:
    return ended(lambda: subscriptions.renew(subscription=found, wishes=PAYPAL))


def renewals_of(found: Subscription) -> int:
    return Payment.objects.filter(details__subscription=str(found.pk), details__purpose="renew").count()


def test_sweep_and_pay_now_begin_one_payment(on_sale, clock, paypal, monkeypatch) -> None:
    found = due(clock, paypal)
    all_look_before_one_begins(monkeypatch, subscriptions, "ask_for_payment")
    acts: list[Callable[[], Any]] = [tasks.renew_due, partial(pay_now, found)]
    [_, paid] = run_all(acts)
    assert (renewals_of(found), paid) == (1, Payment.objects.get(details__purpose="renew"))
    assert Attempt.objects.filter(payment=paid).count() == 1


def test_two_windows_that_pay_now_have_the_same_payment(on_sale, clock, paypal, monkeypatch) -> None:
    found = due(clock, paypal)
    all_look_before_one_begins(monkeypatch, subscriptions, "ask_for_payment")
    first, second = run_all([partial(pay_now, found)] * 2)
    assert (first, renewals_of(found)) == (second, 1)


def test_two_windows_change_the_plan_by_one_payment(on_sale, clock, paypal, monkeypatch) -> None:
    found = subscribed(paypal)
    clock.shift(timedelta(days=3))
    change = partial(plan_changes.change, subscription=fresh(found), price=price("elite"), wishes=PAYPAL)
    all_look_before_one_begins(monkeypatch, checkout, "start")
    first, second = run_all([change] * 2)
    assert first.payment == second.payment == Payment.objects.get(details__purpose="change")
    assert Attempt.objects.filter(payment=first.payment).count() == 1


def a_rival_comes_first(monkeypatch: pytest.MonkeyPatch, module: Any, function: str, act: Callable[[], Any]) -> None:
    """Between what the first call of it was prepared by, and the call itself."""
    usual = getattr(module, function)

    def after_the_rival(*said: Any, **more: Any) -> Any:
        monkeypatch.setattr(module, function, usual)
        act()
        return usual(*said, **more)

    monkeypatch.setattr(module, function, after_the_rival)


@pytest.mark.django_db
def test_who_pays_now_is_not_given_the_payment_of_another_plan(on_sale, clock, paypal, monkeypatch) -> None:
    """Its next plan was chosen, and its payment begun, after this window was opened."""
    found = due(clock, paypal)

    def another_is_due() -> None:
        subscription_states.set_next_price(subscription_id=found.pk, price=price("elite"))
        subscriptions.renew(subscription=fresh(found), wishes=PAYPAL)

    a_rival_comes_first(monkeypatch, subscriptions, "ask_for_payment", another_is_due)
    with pytest.raises(errors.AttemptLive) as refused:
        subscriptions.renew(subscription=found, wishes=PAYPAL)
    waiting = Payment.objects.get(details__purpose="renew")
    assert (refused.value.payment, waiting.amount_minor) == (waiting.pk, 1_999)


@pytest.mark.django_db
def test_who_changes_the_plan_is_not_given_the_payment_of_another_change(on_sale, clock, paypal, monkeypatch) -> None:
    make_plan("studio", {"month": 2_999})
    found = subscribed(paypal)
    clock.shift(timedelta(days=3))
    change = partial(plan_changes.change, subscription=fresh(found), wishes=PAYPAL)
    a_rival_comes_first(monkeypatch, checkout, "start", partial(change, price=price("studio")))
    with pytest.raises(errors.AttemptLive) as refused:
        change(price=price("elite"))
    waiting = Payment.objects.get(details__purpose="change")
    assert (refused.value.payment, waiting.item) == (waiting.pk, "studio")


def test_period_that_costs_nothing_is_given_once(on_sale, clock, paypal, monkeypatch) -> None:
    """No payment of it waits: the second finds that more is paid for than when it looked."""
    make_coupon(basis_points=10_000, duration="forever")
    user = make_user()
    begun = subscriptions.start(user=user, price=price("premium"), wishes=PAYPAL, coupon="WELCOME10")
    clock.move_to(end_of(begun.subscription))
    found = fresh(begun.subscription)
    all_look_before_one_begins(monkeypatch, subscriptions, "ask_for_payment")
    results = run_all([partial(pay_now, found)] * 2)
    assert Counter("paid" if isinstance(each, Payment) else each for each in results) == {
        "paid": 1,
        "SubscriptionState": 1,
    }
    assert (PaidPeriod.objects.count(), checks.faults()) == (2, {})


def nobody_locks_the_subscription(monkeypatch: pytest.MonkeyPatch, found: Subscription) -> Counter[str]:
    """Both have looked behind the lock that is not there; what came of them."""
    no_row_is_locked(monkeypatch, Subscription)
    all_look_before_one_begins(monkeypatch, checkout, "_redemption")
    results = run_all([partial(pay_now, found)] * 2)
    return Counter("paid" if isinstance(each, Payment) else each for each in results)


def test_canary_without_the_lock_the_index_refuses_the_second(on_sale, clock, paypal, monkeypatch) -> None:
    found = due(clock, paypal)
    assert nobody_locks_the_subscription(monkeypatch, found) == {"paid": 1, "IntegrityError": 1}
    assert renewals_of(found) == 1


def test_canary_without_lock_and_index_both_are_asked_for(on_sale, clock, paypal, monkeypatch) -> None:
    found = due(clock, paypal)
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [INDEX])
        (definition,) = cursor.fetchone()
        cursor.execute(f"DROP INDEX {INDEX}")
        try:
            assert nobody_locks_the_subscription(monkeypatch, found) == {"paid": 2}
        finally:
            cursor.execute("TRUNCATE billing_payment CASCADE")
            cursor.execute(definition)


@pytest.mark.django_db
def test_two_that_wait_already_are_named_before_the_index_is_made(on_sale, clock, paypal) -> None:
    first = subscriptions.renew(subscription=subscribed(paypal), wishes=PAYPAL)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {INDEX}")
    second = Payment.objects.create(
        user=first.user, kind="plan", details=first.details, amount_minor=999, currency="EUR", expires_at=BEGIN
    )
    migration = import_module("billing.migrations.0039_plans_wait_for_one_payment")
    with pytest.raises(ValueError, match=f"cancel one of each: {second.pk}$"):
        migration.refuse_two(apps, None)
    Payment.objects.filter(pk=second.pk).update(status="cancelled", ended_at=BEGIN)
    migration.refuse_two(apps, None)


# ---------------------------------------------------------------- saved cards


def by_card(user: User) -> Any:
    return ended(lambda: shop.buy(user, method=saved_methods.latest(user)))


def test_two_windows_charge_a_saved_card_once(ann: User, charging: ChargingGateway, monkeypatch) -> None:
    all_look_before_one_begins(monkeypatch, checkout, "choose")
    results = run_all([partial(by_card, ann)] * 2)
    assert [each for each in results if isinstance(each, str)] == ["AttemptLive"]
    assert (len(charging.charged), shop.credits_of(ann), checks.faults()) == (1, 275, {})


def test_card_that_was_charged_since_we_looked_is_not_charged_again(
    ann: User, charging: ChargingGateway, monkeypatch
) -> None:
    """The other window was done before this one wrote anything: its payment is over then, and is new all the same."""
    usual, paid = checkout.choose, []

    def choose(*wish: Any) -> Any:
        monkeypatch.setattr(checkout, "choose", usual)
        paid.append(by_card(ann))
        return usual(*wish)

    monkeypatch.setattr(checkout, "choose", choose)
    assert (by_card(ann), [each.status for each in paid]) == ("AttemptLive", ["succeeded"])
    assert (len(charging.charged), shop.credits_of(ann), checks.faults()) == (1, 275, {})


def test_card_is_charged_beside_a_try_that_failed_since_we_looked(
    ann: User, charging: ChargingGateway, monkeypatch
) -> None:
    usual, failed = checkout.choose, []

    def choose(*wish: Any) -> Any:
        monkeypatch.setattr(checkout, "choose", usual)
        charging.answers = PaymentState.FAILED
        failed.append(by_card(ann))
        charging.answers = PaymentState.SUCCEEDED
        return usual(*wish)

    monkeypatch.setattr(checkout, "choose", choose)
    assert (by_card(ann).status, Payment.objects.get(status="failed").user) == ("succeeded", ann)
    assert (len(failed), len(charging.charged), shop.credits_of(ann)) == (1, 2, 275)


def test_who_buys_again_afterwards_is_charged_again(ann: User, charging: ChargingGateway) -> None:
    assert [by_card(ann).status, by_card(ann).status] == ["succeeded"] * 2
    assert len(charging.charged) == 2


def test_canary_without_the_lock_a_saved_card_is_charged_twice(
    ann: User, charging: ChargingGateway, monkeypatch
) -> None:
    no_row_is_locked(monkeypatch, Customer)
    all_look_before_one_begins(monkeypatch, checkout, "_redemption")
    run_all([partial(by_card, ann)] * 2)
    assert len(charging.charged) == 2
