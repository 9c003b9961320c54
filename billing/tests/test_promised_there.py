"""A plan that is over by our dates and that its gateway goes on with: what it has promised there is not taken away."""

from datetime import datetime, timedelta

import pytest

from billing import dunning, entitlements, renewals, subscriptions
from billing.gateways.subscribing import SubscriptionState
from billing.models import Case, Payment, Subscription
from billing.tests.renewing import END, RenewingGateway, begin, lapsed, paid_once, read, write
from billing.tests.subscribers import BEGIN, fresh
from billing.tests.test_letters_of_cases import told as told_people
from billing.tests.test_trial_ends import ENDS, on_trial, warn
from events.models import Event
from ledger import checks

pytestmark = pytest.mark.django_db
NEXT = END + timedelta(days=30)
ACTIVE, TRIALING = SubscriptionState.ACTIVE, SubscriptionState.TRIALING
LONGER = ENDS + timedelta(days=30)


def next_period_begins(renewing: RenewingGateway, clock) -> Subscription:
    """Its invoice is a draft for an hour."""
    found = paid_once(renewing)
    clock.move_to(END + timedelta(minutes=30))
    renewing.becomes_in(ACTIVE, period_start=END, period_end=NEXT, latest_invoice="in_2")
    return fresh(found)


def told(found: Subscription, number: int) -> Subscription:
    write(found, "updated", number)
    read()
    return fresh(found)


def test_end_that_the_portal_announces_before_the_charge_is_that_of_the_coming_period(renewing, clock) -> None:
    found = next_period_begins(renewing, clock)
    renewing.becomes_in(ACTIVE, cancel_at_period_end=True)
    assert told(found, 1).cancel_at_period_end
    for _ in range(2):
        assert renewals.expire_due().total == 0
    assert (fresh(found).status, renewing.known.state) == ("active", ACTIVE)
    clock.move_to(END + timedelta(hours=1))
    renewing.is_paid("in_2", END, NEXT)
    ours = told(found, 2)
    assert (ours.status, ours.paid_until, ours.cancel_at_period_end) == ("active", NEXT, True)
    assert (renewals.expire_due().total, Payment.objects.count(), Case.objects.count()) == (0, 2, 0)
    clock.move_to(NEXT)
    assert (renewals.expire_due().cancelled, renewing.known.state) == (1, SubscriptionState.CANCELLED)
    assert checks.faults() == {}


def test_charge_that_fails_then_leaves_nothing_to_wait_for(renewing, clock) -> None:
    found = next_period_begins(renewing, clock)
    renewing.becomes_in(ACTIVE, cancel_at_period_end=True)
    told(found, 1)
    assert renewals.expire_due().total == 0
    renewing.becomes_in(SubscriptionState.PAST_DUE)
    assert renewals.expire_due().cancelled == 1
    assert (fresh(found).status, renewing.known.state) == ("cancelled", SubscriptionState.CANCELLED)


def test_end_that_is_asked_for_here_before_the_charge_is_at_once(renewing, clock) -> None:
    """As our page says before: it ends now, and nothing is charged any more."""
    found = next_period_begins(renewing, clock)
    assert subscriptions.cancel(subscription=found).cancel_at_period_end
    assert renewals.expire_due().cancelled == 1
    assert (fresh(found).status, renewing.known.state) == ("cancelled", SubscriptionState.CANCELLED)


def test_end_that_was_taken_back_here_and_asked_for_there_is_that_of_the_coming_period(renewing, clock) -> None:
    found = next_period_begins(renewing, clock)
    subscriptions.cancel(subscription=found)
    subscriptions.resume(subscription=fresh(found))
    clock.move_to(END + timedelta(minutes=31))
    renewing.becomes_in(ACTIVE, cancel_at_period_end=True)
    assert told(found, 1).cancel_at_period_end
    assert (renewals.expire_due().total, renewing.known.state) == (0, ACTIVE)


@pytest.mark.parametrize("state", [ACTIVE, TRIALING])
def test_plan_that_goes_on_there_unpaid_is_not_ended_and_comes_before_people(renewing, clock, state) -> None:
    found = paid_once(renewing)
    ends = lapsed(found)
    renewing.becomes_in(state, period_start=END, period_end=ends + timedelta(days=9))
    clock.move_to(ends)
    assert (renewals.expire_due().total, Case.objects.count()) == (0, 0)
    clock.move_to(ends + timedelta(days=1))
    for _ in range(2):
        assert renewals.expire_due().total == 0
    case = Case.objects.get()
    assert (case.kind, case.subscription, case.facts["gateway_id"]) == ("subscription", found, "sub_1")
    said = told_people()
    assert said.startswith("A gateway goes on with a subscription that nobody paid for")
    assert "it runs on there until 2026-05-02, and no payment of that is known" in said
    assert (fresh(found).status, renewing.known.state) == ("active", state)
    assert entitlements.of(found.user) == {}
    clock.move_to(ends + timedelta(days=9))
    assert renewals.expire_due().lapsed == 1


# ---------------------------------------------------------------- trials that are made longer there


def longer(renewing: RenewingGateway, until: datetime = LONGER) -> None:
    renewing.becomes_in(TRIALING, trial_end=until, period_end=until)


def test_trial_that_is_made_longer_there_is_longer_here(renewing, clock) -> None:
    found = on_trial(renewing)
    longer(renewing)
    for number in (1, 2):
        ours = told(found, number)
        assert (ours.status, ours.trial_until, ours.paid_until, ours.anchor_at) == ("trialing", LONGER, LONGER, None)
    assert found.timeline.get(act="extended").facts["why"] == "at_gateway"
    assert Event.objects.filter(type="subscription.updated", user=found.user).count() == 1
    clock.move_to(LONGER - timedelta(minutes=1))
    assert (renewals.expire_due().total, entitlements.has(found.user, "hd_photos")) == (0, True)


def test_it_is_found_before_it_would_be_ended(renewing, clock) -> None:
    found = on_trial(renewing)
    clock.move_to(lapsed(found))
    longer(renewing)
    assert (renewals.expire_due().total, fresh(found).paid_until) == (0, LONGER)


def test_old_answer_makes_it_no_shorter(renewing) -> None:
    found = on_trial(renewing)
    longer(renewing)
    told(found, 1)
    longer(renewing, ENDS)
    assert told(found, 2).trial_until == LONGER


def test_customer_hears_of_the_new_end_as_of_the_first(renewing) -> None:
    found = on_trial(renewing)
    assert [each["due_at"] for each in warn(found)] == ["2026-03-09T09:00:00Z"]
    longer(renewing)
    assert [each["due_at"] for each in warn(found, 2)] == ["2026-03-09T09:00:00Z", "2026-04-08T09:00:00Z"]
    assert len(warn(found, 3)) == 2


def test_trial_that_failed_to_be_paid_is_one_again(renewing, clock) -> None:
    found = on_trial(renewing)
    clock.move_to(ENDS + timedelta(hours=2))
    renewing.becomes_in(SubscriptionState.PAST_DUE, period_start=ENDS, period_end=LONGER)
    assert told(found, 1).status == "past_due"
    longer(renewing)
    ours = told(found, 2)
    assert (ours.status, dunning.paid_until(ours)) == ("trialing", LONGER)


def test_plan_that_was_paid_for_is_no_trial_of_ours(renewing) -> None:
    """Somebody gives free time in the dashboard; what is paid for here stays what it is."""
    found = paid_once(renewing)
    renewing.becomes_in(TRIALING, trial_end=NEXT, period_end=NEXT)
    ours = told(found, 1)
    assert (ours.status, ours.paid_until, ours.trial_until) == ("active", END, None)


def test_first_trial_is_as_long_as_it_was(renewing) -> None:
    found = begin()
    renewing.is_paid(minor=0)
    renewing.becomes_in(TRIALING, trial_end=ENDS)
    ours = told(found, 1)
    assert (ours.period_start, ours.trial_until) == (BEGIN, ENDS)
