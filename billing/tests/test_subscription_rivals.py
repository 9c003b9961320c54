"""The same act at the same moment: one of them happens. Each canary takes the guard away and sees the harm."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection

from billing import (
    errors,
    inbox,
    plan_payments,
    renewals,
    subscription_states,
    subscriptions,
    tasks,
    timeline,
)
from billing.checkout import Wishes
from billing.gateways.subscribing import SubscriptionState
from billing.models import Payment, Subscription
from billing.tests.renewing import END, LATER, read, write
from billing.tests.renewing import begin as begin_at_gateway
from billing.tests.subscribers import begin, end_of, make_user, pay, price, subscribed
from credits import tasks as sweeps
from credits.models import Grant, GrantPeriod
from credits.tests import gates
from events.models import Event
from ledger import checks
from ledger.tests.races import meeting_of, run_all, run_together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("on_sale")]
RIVALS = 8


def start_together(user: Any) -> list[str]:
    def act() -> str:
        try:
            begin(user)
        except errors.SubscriptionLive:
            return "refused"
        return "begun"

    return sorted(run_together(RIVALS, act))


@contextmanager
def without_the_index() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'subscription_live_once_per_catalogue'")
        (definition,) = cursor.fetchone()
        cursor.execute("DROP INDEX subscription_live_once_per_catalogue")
        try:
            yield
        finally:
            cursor.execute("TRUNCATE billing_subscription CASCADE")
            cursor.execute(definition)


def test_starts_at_once_leave_one_live_and_one_payment(clock) -> None:
    assert start_together(make_user()) == ["begun"] + ["refused"] * (RIVALS - 1)
    assert (Subscription.objects.live().count(), Payment.objects.count()) == (1, 1)


def test_starts_at_once_are_several_without_the_index(clock, monkeypatch) -> None:
    meet, keep = meeting_of(RIVALS), timeline.save

    def kept(subscription: Subscription, kind: str, **facts: Any) -> Any:
        meet()
        return keep(subscription, kind, **facts)

    monkeypatch.setattr(timeline, "save", kept)
    with without_the_index():
        assert start_together(make_user()).count("begun") == RIVALS


def test_start_beside_a_rival_that_is_over_before_anybody_looks_begins(clock, paypal, monkeypatch) -> None:
    """The rival has the place when our row is written, and has left it when we look whose place it is."""
    user, keep, make_room = make_user(), timeline.save, subscriptions._make_room

    def kept_after_a_rival(*said: Any, **facts: Any) -> None:
        monkeypatch.setattr(timeline, "save", keep)
        [rival] = run_together(1, lambda: begin(user, "elite").subscription)

        def made_after_its_end(*said: Any) -> None:
            run_together(1, lambda: subscriptions.cancel_now(subscription=rival))
            make_room(*said)

        monkeypatch.setattr(subscriptions, "_make_room", made_after_its_end)
        keep(*said, **facts)

    monkeypatch.setattr(timeline, "save", kept_after_a_rival)
    assert begin(user).payment is not None
    rows = Subscription.objects.order_by("id").values_list("price__plan__code", "status")
    assert sorted(rows) == [("elite", "cancelled"), ("premium", "incomplete")]


def test_start_does_not_end_a_rival_whose_payment_is_being_written(clock, paypal, monkeypatch) -> None:
    """The payment comes after our first look at what the rival has and before the second."""
    user, of = make_user(), plan_payments.of
    rival = Subscription.objects.create(user=user, catalogue="companions", price=price("elite"), time_zone="UTC")

    def first_look(subscription: Subscription) -> Any:
        monkeypatch.setattr(plan_payments, "of", second_look)
        return of(subscription)

    def second_look(subscription: Subscription) -> Any:
        monkeypatch.setattr(plan_payments, "of", of)
        wishes = Wishes(gateways=("paypal",))
        run_together(1, lambda: subscriptions.ask_for_payment(rival, rival.price, plan_payments.START, wishes))
        return of(subscription)

    monkeypatch.setattr(plan_payments, "of", first_look)
    with pytest.raises(errors.SubscriptionLive) as refused:
        begin(user)
    assert (refused.value.subscription, Subscription.objects.get().status) == (rival.pk, "incomplete")


def renew_together(clock: time_machine.Traveller, paypal: Any) -> int:
    """How many payments the renewal of one subscription began."""
    found = subscribed(paypal)
    clock.move_to(end_of(found))
    run_together(RIVALS, renewals.renew_due)
    return Payment.objects.filter(details__purpose="renew").count()


def test_sweeps_at_once_begin_one_payment(clock, paypal) -> None:
    assert renew_together(clock, paypal) == 1


def test_sweeps_at_once_begin_several_without_the_lock(clock, paypal, monkeypatch) -> None:
    """Each of them would: what stands behind them then is the index, see `test_second_payments`."""
    clock.move_to(end_of(subscribed(paypal)))
    unlocked_until_all_have_looked(monkeypatch)
    renew, begun = subscriptions.renew, []

    def renewed(**wanted: Any) -> Payment:
        begun.append(wanted)
        return renew(**wanted)

    monkeypatch.setattr(subscriptions, "renew", renewed)
    run_together(RIVALS, renewals.renew_due)
    assert (len(begun), Payment.objects.filter(details__purpose="renew").count()) == (RIVALS, 1)


# ---------------------------------------------------------------- the wake-up after a payment, and the sweep


GRANT_ACTS = (tasks.grant_paid_for, sweeps.grant_due)  # the first comes with the letter that told of the payment
CLAIM = "LIMIT p_most FOR NO KEY UPDATE SKIP LOCKED"
KEYS = "LEFT JOIN ledger_entrykey known ON known.key = 'grant:' || r.key"


@pytest.mark.parametrize("locked", [True, False])
def test_wake_up_and_sweep_at_once_grant_once(clock, paypal, locked: bool) -> None:
    """The canary: with the lock one of them finds nothing; without it the keys of the books refuse the second.

    Neither looks at the keys that there are, so that the lock stands alone.
    """
    begun = begin(make_user())
    pay(paypal, begun.payment)
    changes = [
        gates.gated("due.sql", "credits_grant_due", "CONTINUE WHEN wanted IS NULL;"),
        ("issue.sql", "credits_issue_new", KEYS, "LEFT JOIN ledger_entrykey known ON false"),
    ]
    if not locked:
        changes.append(("due.sql", "credits_grant_due", CLAIM, "LIMIT p_most"))
    due = GrantPeriod.objects.count()  # all of them, by the clock of the database, which does not travel
    with gates.variant(*changes):
        ended = gates.run_through_the_gate(GRANT_ACTS)
    assert sum(isinstance(each, Exception) for each in ended) == (0 if locked else 1)
    assert Grant.objects.count() == Event.objects.filter(type="credits.granted").count() == due == 5
    assert checks.faults() == {}


# ---------------------------------------------------------------- letters to the customer


def letters(kind: str) -> int:
    return Event.objects.filter(type=kind).count()


def unlocked_until_all_have_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look of each rival waits for those of the others; what is read again later does not."""
    meet = meeting_of(RIVALS)

    def unlocked(subscription_id: Any) -> Subscription:
        found = Subscription.objects.select_related("user", "price__plan", "next_price__plan").get(pk=subscription_id)
        meet()
        return found

    monkeypatch.setattr(subscription_states, "lock", unlocked)


@pytest.mark.parametrize("is_guarded", [True, False])
def test_sweeps_at_once_remind_once_and_more_often_without_the_lock(clock, paypal, monkeypatch, is_guarded) -> None:
    found = subscribed(paypal)
    clock.move_to(end_of(found) - timedelta(days=1))
    if not is_guarded:
        unlocked_until_all_have_looked(monkeypatch)
    run_together(RIVALS, renewals.renew_due)
    assert letters("renewal.reminder") == (1 if is_guarded else RIVALS)


@pytest.fixture
def past_due_there(clock, renewing) -> Subscription:
    """Its gateway could not charge it, and neither its letter nor the sweep has been heard of yet."""
    found = begin_at_gateway()
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    renewing.becomes_in(SubscriptionState.PAST_DUE, period_start=END, period_end=END + timedelta(days=30))
    clock.move_to(END + timedelta(hours=2))
    return found


def test_letter_beside_the_sweep_tells_the_customer_once(past_due_there) -> None:
    for number in range(4):
        write(past_due_there, "failed", number, subject="invoice")
    acts: list[Callable[[], object]] = [lambda: inbox.drain(LATER), renewals.renew_due]
    run_all(acts * 4)
    assert Subscription.objects.get().status == "past_due"
    assert letters("subscription.past_due") == 1


def test_canary_without_the_lock_the_customer_is_told_by_each(past_due_there, monkeypatch) -> None:
    unlocked_until_all_have_looked(monkeypatch)
    run_together(RIVALS, lambda: subscription_states.mark_past_due(subscription_id=past_due_there.pk))
    assert letters("subscription.past_due") == RIVALS
