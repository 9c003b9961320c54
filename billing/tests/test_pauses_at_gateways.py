"""A plan that somebody pauses in the gateway's dashboard stands still here too, and goes on when it does there."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import entitlements, instructions, pausing, renewals, subscriptions
from billing.gateways.subscribing import SubscriptionState
from billing.models import GatewayInstruction, Subscription
from billing.models.instructions import InstructionKind
from billing.tests.renewing import END, RenewingGateway, begin, lapsed, paid_once, read, write
from billing.tests.subscribers import BEGIN, fresh
from credits import balances, calendar
from events.models import Event
from ledger import checks

pytestmark = pytest.mark.django_db
ACTIVE, PAST_DUE = SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE


def told(renewing: RenewingGateway, found: Subscription, state: SubscriptionState = ACTIVE, **changes: Any) -> str:
    """Somebody has changed it in the dashboard, and the gateway writes."""
    renewing.becomes_in(state, **changes)
    write(found, "updated", found.timeline.count())
    read()
    return fresh(found).status


def test_plan_that_is_paused_in_the_dashboard_stands_still_here(renewing) -> None:
    found = paid_once(renewing)
    assert told(renewing, found, is_paused=True) == "paused"
    ours = fresh(found)
    line = ours.timeline.get(act="paused")
    assert (ours.paused_at, line.by, line.facts) == (BEGIN, None, {"why": "at_gateway"})
    assert entitlements.of(found.user) == {}
    assert Event.objects.filter(type="subscription.updated", user=found.user).count() == 1


def test_paused_plan_is_not_given_up_while_it_stands_still(renewing, clock) -> None:
    found = paid_once(renewing)
    ends = lapsed(found)
    told(renewing, found, is_paused=True)
    clock.move_to(ends + timedelta(days=100))
    assert renewals.expire_due().total == 0
    read()
    assert (fresh(found).status, renewing.known.state) == ("paused", ACTIVE)
    assert balances.of(found.user).available == 500  # of its first week, and of no other


def test_pause_whose_letter_was_lost_is_found_before_the_plan_would_end(renewing, clock) -> None:
    found = paid_once(renewing)
    renewing.becomes_in(ACTIVE, is_paused=True)
    clock.move_to(lapsed(found))
    assert renewals.expire_due().total == 0
    assert (fresh(found).status, renewing.known.state) == ("paused", ACTIVE)


def test_what_was_left_goes_on_when_it_is_resumed_there(renewing, clock) -> None:
    found = paid_once(renewing)
    told(renewing, found, is_paused=True)
    clock.move_to(BEGIN + timedelta(days=10))
    assert told(renewing, found, is_paused=False) == "active"
    ours = fresh(found)
    assert (ours.paid_until, ours.paused_at) == (END + timedelta(days=10), None)
    assert ours.timeline.get(act="unpaused").facts["why"] == "at_gateway"
    assert entitlements.has(found.user, "hd_photos")
    assert checks.faults() == {}


def test_invoice_that_comes_with_the_return_does_not_count_the_pause_twice(renewing, clock) -> None:
    found = paid_once(renewing)
    told(renewing, found, is_paused=True)
    clock.move_to(END + timedelta(days=1))
    renewing.is_paid("in_2", END + timedelta(days=1), END + timedelta(days=31))
    assert told(renewing, found, is_paused=False) == "active"
    # 31 days were left, and the period of the invoice ends before they do.
    assert fresh(found).paid_until == max(END + timedelta(days=31), END + timedelta(days=1) + (END - BEGIN))


@pytest.mark.parametrize("is_known", [True, False])
def test_failed_plan_that_is_paused_keeps_what_is_left_of_its_grace(renewing, clock, is_known) -> None:
    found = paid_once(renewing)
    failed: dict[str, Any] = {"period_start": END, "period_end": END + timedelta(days=30)}
    clock.move_to(END + timedelta(days=1))
    if is_known:
        assert told(renewing, found, PAST_DUE, **failed) == "past_due"
    before = lapsed(found)
    assert told(renewing, found, PAST_DUE, is_paused=True, **failed) == "paused"
    clock.move_to(END + timedelta(days=50))
    later: dict[str, Any] = {"period_start": END + timedelta(days=30), "period_end": END + timedelta(days=60)}
    assert told(renewing, found, PAST_DUE, is_paused=False, **later) == "past_due"
    assert lapsed(found) == before + timedelta(days=49)


def test_trial_that_stripe_pauses_waits_for_a_card_and_then_begins(renewing, clock) -> None:
    found = begin()
    ends = BEGIN + timedelta(days=7)
    renewing.is_paid(minor=0)
    assert told(renewing, found, SubscriptionState.TRIALING, trial_end=ends) == "trialing"
    clock.move_to(ends)
    assert told(renewing, found, SubscriptionState.PAUSED) == "paused"
    clock.move_to(ends + timedelta(days=30))
    renewing.is_paid("in_2", ends + timedelta(days=30), ends + timedelta(days=60))
    assert told(renewing, found) == "active"
    assert (fresh(found).paid_until, balances.of(found.user).available) == (ends + timedelta(days=60), 500)


@pytest.mark.parametrize("hears_first", ["letter", "reply", "sweep"])
def test_trial_that_we_resume_begins_with_that_day_whoever_hears_first(renewing, clock, hears_first) -> None:
    """Stripe charges as it resumes, and its letter may be faster than its reply, which may be lost as well."""
    found = begin()
    ends = BEGIN + timedelta(days=7)
    again = ends + timedelta(days=30)
    renewing.is_paid(minor=0)
    told(renewing, found, SubscriptionState.TRIALING, trial_end=ends)
    clock.move_to(ends)
    assert told(renewing, found, SubscriptionState.PAUSED) == "paused"
    clock.move_to(again)
    wanted = GatewayInstruction(subscription=found, kind=InstructionKind.RESUME, by=found.user, reason="asked")
    instructions.write(wanted)
    renewing.is_paid("in_2", again, again + timedelta(days=28))
    match hears_first:
        case "letter":
            told(renewing, found)
            instructions.settle(wanted)
        case "reply":
            instructions.settle(wanted)
            told(renewing, found)
        case "sweep":
            clock.move_to(again + timedelta(minutes=5))
            renewals.carry_instructions_on()
            calendar.grant_due(at=timezone.now())
    ours = fresh(found)
    assert (ours.status, ours.paid_until, balances.of(found.user).available) == (
        "active",
        again + timedelta(days=28),
        500,
    )
    line = ours.timeline.get(act="unpaused")
    assert (line.by, line.reason, ours.timeline.filter(act="overtaken").count()) == (found.user, "asked", 0)
    assert GatewayInstruction.objects.get().state == "done"
    assert checks.faults() == {}


def test_trial_that_is_paused_in_the_dashboard_is_a_trial_again(renewing, clock) -> None:
    found = begin()
    ends = BEGIN + timedelta(days=7)
    renewing.is_paid(minor=0)
    told(renewing, found, SubscriptionState.TRIALING, trial_end=ends)
    assert told(renewing, found, SubscriptionState.TRIALING, is_paused=True) == "paused"
    clock.move_to(BEGIN + timedelta(days=2))
    assert told(renewing, found, SubscriptionState.TRIALING, is_paused=False) == "trialing"
    assert (fresh(found).trial_until, fresh(found).anchor_at) == (ends + timedelta(days=2), None)


def test_paused_plan_that_ends_there_is_over(renewing) -> None:
    found = paid_once(renewing)
    told(renewing, found, is_paused=True)
    assert told(renewing, found, SubscriptionState.CANCELLED, is_paused=True) == "cancelled"


def test_paused_plan_can_be_told_to_go_on_from_here(renewing, monkeypatch) -> None:
    found = paid_once(renewing)
    told(renewing, found, is_paused=True)

    def resume(**_: Any) -> Any:
        renewing.becomes_in(ACTIVE, is_paused=False)
        return renewing.known

    monkeypatch.setattr(renewing, "resume_subscription", resume)
    assert subscriptions.resume(subscription=fresh(found), reason="asked").status == "active"
    assert not renewing.known.is_paused


def test_pause_of_an_operator_stays_theirs_whoever_is_faster(renewing) -> None:
    found = paid_once(renewing)
    operator = found.user
    wanted = GatewayInstruction(subscription=found, kind=InstructionKind.PAUSE, by=operator, reason="asked")
    instructions.write(wanted)
    # Done there, and asked about at an instant that is before the instruction by this process's clock.
    pausing.follow_pause(subscription_id=found.pk, since=BEGIN - timedelta(seconds=1))
    assert fresh(found).status == "active"
    assert told(renewing, found, is_paused=True) == "paused"
    line = found.timeline.get(act="paused")
    assert (line.by, line.reason, line.facts) == (operator, "asked", {})


def test_old_answer_does_not_undo_a_pause_that_came_after_it(renewing) -> None:
    found = paid_once(renewing)
    instructions.write(GatewayInstruction(subscription=found, kind=InstructionKind.PAUSE))
    renewing.becomes_in(ACTIVE, is_paused=True)
    told(renewing, found, is_paused=True)
    asked_before = timezone.now() - timedelta(seconds=1)
    pausing.follow_return(subscription_id=found.pk, since=asked_before)
    assert fresh(found).status == "paused"
    pausing.follow_return(subscription_id=found.pk, since=timezone.now())
    assert fresh(found).status == "active"
