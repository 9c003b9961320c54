"""A subscription's life at a gateway that does not renew by itself, seen through the acts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from billing import (
    customers,
    entitlements,
    errors,
    pausing,
    plan_changes,
    plans,
    renewals,
    subscription_states,
    subscriptions,
)
from billing.change_basis import Basis
from billing.checkout import Wishes
from billing.gateways.errors import Declined, FailureCategory
from billing.models import Case, PaidPeriod, Payment, PlanPrice, Subscription
from billing.tests import shop
from billing.tests.subscribers import (
    BEGIN,
    begin,
    end_of,
    fails,
    fresh,
    make_plan,
    make_user,
    pay,
    price,
    subscribed,
)
from credits import balances, calendar, grants, holds, usage
from credits.models import Grant, GrantRule, GrantSource, Purse
from events.models import Event, Message
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from ledger.tests.races import NO_ROW, refuse_every_row

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
LONG = datetime(2099, 1, 1, tzinfo=UTC)


def told(user) -> list[str]:
    kinds = Event.objects.filter(user=user, type__startswith="subscription").order_by("id")
    return list(kinds.values_list("type", flat=True))


def is_unlimited(user) -> bool:
    """By the clock of the test; the database has its own."""
    until = Purse.objects.filter(user=user).values_list("unlimited_until", flat=True).first()
    return until is not None and until > timezone.now()


# ---------------------------------------------------------------- beginning


def test_plan_is_in_force_when_its_first_period_is_paid(on_sale, paypal) -> None:
    user = make_user()
    begun = begin(user)
    assert (begun.subscription.status, entitlements.of(user)) == ("incomplete", {})
    pay(paypal, begun.payment)
    found = fresh(begun.subscription)
    assert (found.status, found.period_start, found.paid_until) == (
        "active",
        BEGIN,
        datetime(2026, 4, 2, 8, 0, tzinfo=UTC),  # nine o'clock in Paris was ten there; summer time came between
    )
    assert told(user) == ["subscription.activated"]
    assert on("revenue:plans:EUR") == 999


def test_payment_opens_the_window_and_the_calendar_grants(on_sale, paypal) -> None:
    user = make_user()
    begun = begin(user)
    pay(paypal, begun.payment)
    assert balances.of(user).available == 0
    calendar.grant_due(at=timezone.now())
    assert balances.of(user).available == 500


def test_second_live_subscription_of_a_catalogue_is_refused_and_named(on_sale, paypal) -> None:
    first = subscribed(paypal)
    with pytest.raises(errors.SubscriptionLive) as refused:
        begin(first.user, "elite")
    assert (refused.value.subscription, refused.value.plan) == (first.pk, "premium")
    assert Subscription.objects.count() == 1


def test_database_keeps_one_live_subscription_for_each_catalogue(on_sale, paypal) -> None:
    first = subscribed(paypal)
    with pytest.raises(IntegrityError, match="subscription_live_once_per_catalogue"), transaction.atomic():
        Subscription.objects.create(user=first.user, catalogue="companions", price=first.price, time_zone="UTC")


def test_row_that_the_database_refuses_for_another_reason_than_a_rival_is_an_error(on_sale, paypal) -> None:
    refuse_every_row("billing_subscription")
    with pytest.raises(IntegrityError, match=NO_ROW):
        begin(make_user())
    assert (paypal.asked, Payment.objects.count()) == ([], 0)


def test_one_whose_payment_is_over_makes_room_for_another_try(on_sale, gateways, paypal) -> None:
    user = make_user()
    first = begin(user)
    fails(paypal, first.payment)
    second = begin(user, "elite")
    assert fresh(first.subscription).status == "expired"
    assert second.subscription.price.plan.code == "elite"


def test_one_that_was_left_while_it_began_makes_room_once_nobody_can_be_at_it(on_sale, paypal, clock, settings) -> None:
    user = make_user()
    left = Subscription.objects.create(user=user, catalogue="companions", price=price("premium"), time_zone="UTC")
    with pytest.raises(errors.SubscriptionLive):
        begin(user)
    clock.shift(settings.CHECKOUT_CALL_SECONDS + 1)
    assert begin(user, "elite").payment is not None
    assert fresh(left).status == "expired"


def test_no_gateway_leaves_nothing_live(on_sale, paypal) -> None:
    paypal.refuses = Declined("no", gateway="paypal", category=FailureCategory.PAYER_DECLINED)
    user = make_user()
    with pytest.raises(errors.NoGatewayTakesIt):
        begin(user)
    assert not Subscription.objects.live().exists()


def test_trial_entitles_and_gives_no_credits_until_it_is_paid(on_sale, paypal, clock) -> None:
    make_plan("tried", {"month": 500}, catalogue="other", trial_days=7, entitlements={"hd_photos": True},
              grant_rules=["premium-weekly"])  # fmt: skip
    user = make_user()
    begun = begin(user, "tried")
    assert (begun.payment, fresh(begun.subscription).status) == (None, "trialing")
    assert entitlements.has(user, "hd_photos")
    calendar.grant_due(at=timezone.now())
    assert balances.of(user).available == 0
    clock.move_to(BEGIN + timedelta(days=7, minutes=1))
    assert not entitlements.has(user, "hd_photos")


def test_trial_is_had_once(on_sale, paypal) -> None:
    make_plan("tried", {"month": 500}, catalogue="other", trial_days=7)
    user = make_user()
    first = begin(user, "tried")
    subscriptions.cancel_now(subscription=fresh(first.subscription))
    assert begin(user, "tried").payment is not None


# ---------------------------------------------------------------- what it entitles to


def test_entitlements_are_limits_flags_and_no_limit(on_sale, paypal) -> None:
    premium, elite = subscribed(paypal), subscribed(paypal, code="elite")
    assert entitlements.of(premium.user) == {"active_companions": 3, "hd_photos": True}
    assert entitlements.limit(premium.user, "active_companions") == 3
    assert entitlements.limit(elite.user, "active_companions") is None
    assert entitlements.has(elite.user, "video")
    assert not entitlements.has(premium.user, "video")


def test_best_of_several_plans_counts(on_sale, paypal) -> None:
    one = subscribed(paypal)
    make_plan("more", {"month": 500}, catalogue="other", entitlements={"active_companions": 5, "hd_photos": False})
    subscribed(paypal, one.user, "more")
    assert entitlements.of(one.user) == {"active_companions": 5, "hd_photos": True}


# ---------------------------------------------------------------- paying once


def test_same_key_extends_once(on_sale, paypal) -> None:
    found = subscribed(paypal)
    for _ in range(2):
        subscription_states.extend(subscription_id=found.pk, key="x", price=found.price, amount_minor=999)
    assert fresh(found).paid_until == datetime(2026, 5, 2, 8, 0, tzinfo=UTC)
    assert PaidPeriod.objects.count() == 2


def test_ends_of_months_do_not_drift(on_sale, paypal, clock) -> None:
    clock.move_to(datetime(2027, 1, 31, 12, 0, tzinfo=UTC))
    found = subscribed(paypal, make_user("Africa/Dakar"))
    ends = [end_of(found)]
    for number in range(3):
        subscription_states.extend(subscription_id=found.pk, key=str(number), price=found.price, amount_minor=999)
        ends.append(end_of(found))
    assert [end.date().isoformat() for end in ends] == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]


def test_payment_of_what_is_over_goes_to_its_successor(on_sale, paypal, gateways) -> None:
    user = make_user()
    old = begin(user)
    subscriptions.cancel_now(subscription=fresh(old.subscription))
    new = subscribed(paypal, user)
    pay(paypal, old.payment)
    assert fresh(new).paid_until == datetime(2026, 5, 2, 8, 0, tzinfo=UTC)
    assert fresh(old.subscription).status == "cancelled"
    assert Case.objects.count() == 1
    told = Message.objects.get(kind="case").data
    assert (told["purpose"], told["amount"], told["currency"]) == ("start", 999, "EUR")


# ---------------------------------------------------------------- prices


def test_price_is_a_version_that_nobody_changes(on_sale) -> None:
    with pytest.raises(DatabaseError, match="is a version of the catalogue"), transaction.atomic():
        PlanPrice.objects.filter(plan__code="elite").update(amount_minor=1)


def test_subscriber_keeps_the_price_that_was_agreed(on_sale, paypal, clock) -> None:
    found = subscribed(paypal)
    clock.shift(60)
    plan = found.price.plan
    PlanPrice.objects.create(plan=plan, interval="month", currency="EUR", amount_minor=1_499, valid_from=timezone.now())
    assert price("premium").amount_minor == 1_499
    assert subscriptions.renew(subscription=fresh(found), wishes=Wishes(gateways=("paypal",))).amount_minor == 999


# ---------------------------------------------------------------- changing


def test_upgrade_costs_the_difference_for_the_time_left(on_sale, paypal, clock) -> None:
    found = subscribed(paypal)
    clock.move_to(BEGIN + (end_of(found) - BEGIN) / 2)
    calendar.grant_due(at=timezone.now())
    plan = plan_changes.preview(subscription=fresh(found), price=price("elite"))
    assert (plan.when, plan.charge.minor, plan.credit.minor, plan.due) == ("now", 1_000, 499, Money(501, "EUR"))


def test_upgrade_after_spending_everything_credits_nothing(on_sale, paypal) -> None:
    found = subscribed(paypal)
    usage.spend(user=found.user, key="all", amount=500)
    plan = plan_changes.preview(subscription=found, price=price("elite"))
    assert (plan.charge.minor, plan.credit.minor) == (1_999, 0)


def test_upgrade_credits_nothing_for_what_is_held_until_it_is_free_again(on_sale, paypal) -> None:
    found = subscribed(paypal)
    held = holds.reserve(user=found.user, key="all", amount=500)
    assert plan_changes.preview(subscription=found, price=price("elite")).credit.minor == 0
    holds.release(hold=held.id)
    assert plan_changes.preview(subscription=found, price=price("elite")).credit.minor == 999


def test_upgrade_begins_when_it_is_paid(on_sale, paypal) -> None:
    found = subscribed(paypal)
    done = plan_changes.change(subscription=found, price=price("elite"), wishes=Wishes(gateways=("paypal",)))
    assert fresh(found).price.plan.code == "premium"
    pay(paypal, done.payment)
    assert (fresh(found).price.plan.code, fresh(found).paid_until) == ("elite", found.paid_until)
    assert is_unlimited(found.user)


def test_upgrade_whose_payment_fails_changes_nothing(on_sale, paypal) -> None:
    found = subscribed(paypal)
    done = plan_changes.change(subscription=found, price=price("elite"), wishes=Wishes(gateways=("paypal",)))
    fails(paypal, done.payment)
    assert fresh(found).price.plan.code == "premium"
    assert balances.of(found.user).available == 500
    assert on("revenue:plans:EUR") == 999


def test_downgrade_waits_for_the_next_period(on_sale, paypal, clock) -> None:
    found = subscribed(paypal, code="elite")
    done = plan_changes.change(subscription=found, price=price("premium"), wishes=Wishes())
    assert (done.payment, done.preview.due.minor, done.preview.begins_at) == (None, 0, found.paid_until)
    assert (fresh(found).price.plan.code, fresh(found).next_price) == ("elite", price("premium"))
    clock.move_to(found.paid_until)
    renewed = subscriptions.renew(subscription=fresh(found), wishes=Wishes(gateways=("paypal",)))
    assert renewed.amount_minor == 999
    pay(paypal, renewed)
    calendar.grant_due(at=timezone.now())
    assert fresh(found).price.plan.code == "premium"
    assert (balances.of(found.user).available, is_unlimited(found.user)) == (285, False)  # four days of the week


def test_change_to_the_same_price_is_refused(on_sale, paypal) -> None:
    found = subscribed(paypal)
    with pytest.raises(errors.SamePrice):
        plan_changes.preview(subscription=found, price=found.price)


def test_year_begins_at_once_and_takes_what_the_month_is_worth(on_sale, paypal) -> None:
    make_plan("gold", {"month": 500, "year": 6_500}, catalogue="other")
    found = subscribed(paypal, code="gold")
    plan = plan_changes.preview(subscription=found, price=price("gold", "year"))
    assert (plan.charge.minor, plan.credit.minor) == (6_500, 500)
    pay(paypal, plan_changes.change(
        subscription=found, price=price("gold", "year"), wishes=Wishes(gateways=("paypal",))).payment)  # fmt: skip
    assert fresh(found).paid_until == datetime(2027, 3, 2, 9, 0, tzinfo=UTC)


def test_month_does_not_end_a_year_that_is_paid(on_sale, paypal) -> None:
    """Elite is the dearer plan, but a month of it would be over before the year of Premium is."""
    found = subscribed(paypal, interval="year")
    with pytest.raises(errors.ChangeNotNow):
        plan_changes.preview(subscription=found, price=price("elite"), when="now")
    plan = plan_changes.preview(subscription=found, price=price("elite"))
    assert (plan.when, plan.begins_at, plan.due.minor) == ("period_end", found.paid_until, 0)


def test_change_of_what_is_paid_for_no_more_begins_with_the_next_period(on_sale, paypal, clock) -> None:
    found = subscribed(paypal)
    clock.move_to(found.paid_until)
    with pytest.raises(errors.ChangeNotNow):
        plan_changes.preview(subscription=found, price=price("elite"), when="now")
    plan_changes.change(subscription=found, price=price("elite"), wishes=Wishes())
    renewed = subscriptions.renew(subscription=fresh(found), wishes=Wishes(gateways=("paypal",)))
    assert (fresh(found).price.plan.code, renewed.amount_minor) == ("premium", 1_999)
    pay(paypal, renewed)
    assert fresh(found).price.plan.code == "elite"


def test_plan_that_was_to_change_is_kept_when_its_own_price_is_asked_for(on_sale, paypal) -> None:
    found = subscribed(paypal, code="elite")
    plan_changes.change(subscription=found, price=price("premium"), wishes=Wishes())
    done = plan_changes.change(subscription=fresh(found), price=price("elite"), wishes=Wishes())
    assert (done.payment, done.preview.when, done.preview.due.minor) == (None, "period_end", 0)
    assert (fresh(found).price.plan.code, fresh(found).next_price) == ("elite", None)


def test_change_that_waits_for_its_payment_is_asked_for_once(on_sale, paypal) -> None:
    make_plan("studio", {"month": 2_999})
    found = subscribed(paypal)
    wishes = Wishes(gateways=("paypal",))
    first, again = [
        plan_changes.change(subscription=found, price=price("elite"), wishes=wishes).payment for _ in range(2)
    ]
    assert first is not None
    assert (first, first.amount_minor) == (again, 1_000)
    with pytest.raises(errors.AttemptLive) as refused:
        plan_changes.change(subscription=found, price=price("studio"), wishes=wishes)
    assert (refused.value.payment, Payment.objects.filter(status="pending").count()) == (first.pk, 1)


@pytest.mark.parametrize("act", [subscriptions.pause, subscriptions.cancel_now])
def test_what_is_not_in_force_is_not_changed(on_sale, paypal, act) -> None:
    found = act(subscription=subscribed(paypal))
    with pytest.raises(errors.SubscriptionState, match=f"is {found.status}; it cannot be changed"):
        plan_changes.change(subscription=found, price=price("elite"), wishes=Wishes())
    assert (fresh(found).price.plan.code, fresh(found).next_price) == ("premium", None)


def test_plan_is_not_changed_to_another_currency(on_sale, paypal) -> None:
    found = subscribed(paypal)
    francs = PlanPrice.objects.create(
        plan=plans.find("elite"), interval="month", currency="XOF", amount_minor=15_000, valid_from=BEGIN
    )
    for when in ("", "now", "period_end"):
        with pytest.raises(errors.ChangeNotNow):
            plan_changes.change(subscription=found, price=francs, wishes=Wishes(), when=when)
    assert (fresh(found).price.plan.code, fresh(found).next_price) == ("premium", None)


# ---------------------------------------------------------------- ending, pausing


def test_cancel_is_at_the_end_of_the_period_and_can_be_taken_back(on_sale, paypal) -> None:
    found = subscriptions.cancel(subscription=subscribed(paypal))
    assert (found.status, found.cancel_at_period_end, found.lapses_at) == ("active", True, found.paid_until)
    assert subscriptions.resume(subscription=found).cancel_at_period_end is False


def test_cancel_now_takes_the_plan_and_leaves_the_credits(on_sale, paypal) -> None:
    found = subscribed(paypal)
    grants.issue(user=found.user, amount=200, source=GrantSource.PACK, key="pack:1")
    ended = subscriptions.cancel_now(subscription=found, reason="asked")
    assert (ended.status, ended.ended_at, entitlements.of(found.user)) == ("cancelled", BEGIN, {})
    assert balances.of(found.user).available == 700
    assert told(found.user) == ["subscription.activated", "subscription.cancelled"]
    assert calendar.next_dates(reference=found.reference) == []


def test_pause_keeps_the_time_that_is_paid(on_sale, paypal, clock) -> None:
    found = subscribed(paypal)
    clock.move_to(BEGIN + timedelta(days=3))
    subscriptions.pause(subscription=found)
    clock.move_to(BEGIN + timedelta(days=33))
    calendar.grant_due(at=timezone.now())
    assert balances.of(found.user).available == 500
    until = end_of(found) + timedelta(days=30)
    assert subscriptions.resume(subscription=fresh(found)).paid_until == until


def test_operator_gives_time_with_a_reason(on_sale, paypal) -> None:
    found = subscribed(paypal)
    until = end_of(found) + timedelta(days=7)
    with pytest.raises(errors.ReasonMissing):
        subscription_states.give_time(subscription_id=found.pk, until=until, by=found.user, reason=" ")
    subscription_states.give_time(subscription_id=found.pk, until=until, by=found.user, reason="outage")
    assert fresh(found).paid_until == until
    assert list(found.timeline.values_list("reason", flat=True))[-1] == "outage"
    assert Payment.objects.count() == 1


def test_customer_who_moves_is_given_at_the_same_local_time_over_there(on_sale, paypal) -> None:
    found = subscribed(paypal)
    customers.change(customers.get(found.user), by=found.user, time_zone="Africa/Abidjan")
    assert fresh(found).time_zone == "Africa/Abidjan"
    assert calendar.next_dates(reference=found.reference)[0].at == datetime(2026, 3, 9, 10, 0, tzinfo=UTC)


# ---------------------------------------------------------------- what else the customer has


def test_nothing_that_happens_to_a_plan_touches_packs_and_promotions(on_sale, paypal, clock) -> None:
    """Scenario S6: a renewal, an edit of the plan, a change, a lapse and a return, with 200 of a pack and 50 given."""
    found = subscribed(paypal)
    usage.spend(user=found.user, key="s", amount=420)  # 80 of the plan's 500 are left
    ours = [
        grants.issue(user=found.user, amount=amount, source=source, key=str(amount), expires_at=LONG)
        for amount, source in ((200, GrantSource.PACK), (50, GrantSource.PROMOTION))
    ]

    def others() -> list[tuple[int, datetime | None, bool]]:
        rows = Grant.objects.filter(pk__in=[each.pk for each in ours]).order_by("pk").select_related("account")
        return [(each.account.balance, each.expires_at, each.is_open) for each in rows]

    untouched = [(200, LONG, True), (50, LONG, True)]
    assert (others(), balances.of(found.user).available) == (untouched, 330)

    clock.move_to(end_of(found))
    pay(paypal, subscriptions.renew(subscription=fresh(found), wishes=Wishes(gateways=("paypal",))))
    calendar.grant_due(at=timezone.now())
    assert (others(), balances.of(found.user).available) == (untouched, 330 + 4 * 500)

    GrantRule.objects.filter(code="premium-weekly").update(amount=100)
    pay(paypal, plan_changes.change(
        subscription=fresh(found), price=price("elite"), wishes=Wishes(gateways=("paypal",))).payment)  # fmt: skip
    assert others() == untouched

    clock.move_to(end_of(found) + timedelta(days=7))
    renewals.expire_due()
    assert (fresh(found).status, others()) == ("expired", untouched)
    pay(paypal, subscriptions.renew(subscription=fresh(found), wishes=Wishes(gateways=("paypal",))))
    calendar.grant_due(at=timezone.now())
    assert (fresh(found).status, others()) == ("active", untouched)
    assert checks.faults() == {}


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize("act", [
    subscriptions.cancel, subscriptions.cancel_now, subscriptions.resume, subscriptions.pause,
])  # fmt: skip
def test_what_is_over_is_neither_ended_nor_paused_nor_resumed(on_sale, paypal, act) -> None:
    over = subscriptions.cancel_now(subscription=subscribed(paypal))
    kinds = told(over.user)
    with pytest.raises(errors.SubscriptionState):
        act(subscription=over)
    assert (fresh(over).ended_at, fresh(over).cancel_at_period_end) == (over.ended_at, False)
    assert told(over.user) == kinds


def test_what_is_over_has_no_other_price_and_no_more_time(on_sale, paypal) -> None:
    over = subscriptions.cancel_now(subscription=subscribed(paypal))
    known: dict[str, Any] = {"subscription_id": over.pk}
    elite, by = price("elite"), shop.make_user()
    with pytest.raises(errors.SubscriptionState):
        subscription_states.set_next_price(price=elite, **known)
    with pytest.raises(errors.SubscriptionState):
        subscription_states.switch(basis=Basis.of(over), price=elite, key="free", **known)
    with pytest.raises(errors.SubscriptionState):
        subscription_states.give_time(until=LONG, by=by, reason="late", **known)
    with pytest.raises(errors.SubscriptionState):
        pausing.unpause(**known)
    assert not subscription_states.change_now(basis=Basis.of(over), price=elite, key="late", amount_minor=1, **known)
    ours = fresh(over)
    assert (ours.price.plan.code, ours.next_price, ours.paid_until) == ("premium", None, over.paid_until)
    assert PaidPeriod.objects.count() == 1


def test_time_is_never_taken_by_giving_it(on_sale, paypal) -> None:
    found = subscribed(paypal)
    with pytest.raises(errors.SubscriptionState):
        subscription_states.give_time(
            subscription_id=found.pk, until=end_of(found), by=shop.make_user(), reason="The same day."
        )
    assert fresh(found).paid_until == found.paid_until


def test_wish_that_stands_already_is_told_once(on_sale, paypal) -> None:
    found = subscribed(paypal)
    for act in (subscriptions.resume, subscriptions.cancel, subscriptions.cancel, subscriptions.resume):
        act(subscription=found)
    assert told(found.user) == ["subscription.activated", "subscription.updated", "subscription.updated"]
    assert fresh(found).cancel_at_period_end is False


def test_same_change_is_paid_and_told_once(on_sale, paypal) -> None:
    found = subscribed(paypal)
    for _ in range(2):
        assert subscription_states.change_now(
            subscription_id=found.pk, basis=Basis.of(found), price=price("elite"), key="change", amount_minor=1_000
        )
    assert PaidPeriod.objects.filter(subscription=found).count() == 2
    assert told(found.user) == ["subscription.activated", "subscription.updated"]


def test_paused_plan_that_is_cancelled_is_over_at_once(on_sale, paypal) -> None:
    found = subscriptions.pause(subscription=subscribed(paypal))
    assert subscriptions.cancel(subscription=found).status == "cancelled"


def test_period_that_is_paid_during_a_pause_does_not_end_it(on_sale, paypal) -> None:
    found = subscriptions.pause(subscription=subscribed(paypal))
    ends = end_of(found)
    subscription_states.extend(subscription_id=found.pk, key="second", price=found.price, amount_minor=999)
    assert (fresh(found).status, end_of(found) > ends) == ("paused", True)


def test_trial_changes_its_plan_for_nothing(on_sale, paypal) -> None:
    make_plan("tried", {"month": 500}, trial_days=7)
    found = begin(make_user(), "tried").subscription
    plan_changes.change(subscription=fresh(found), price=price("elite"), wishes=Wishes())
    ours = fresh(found)
    assert (ours.status, ours.price.plan.code, ours.trial_until) == ("trialing", "elite", BEGIN + timedelta(days=7))
    assert not Payment.objects.exists()
    assert told(ours.user) == ["subscription.activated", "subscription.updated"]


def on_trial() -> Subscription:
    make_plan("tried", {"month": 500}, trial_days=7, grant_rules=["premium-weekly"], entitlements={"hd_photos": True})
    return fresh(begin(make_user(), "tried").subscription)


def extended(found: Subscription, until: datetime) -> Subscription:
    subscription_states.give_time(subscription_id=found.pk, until=until, by=shop.make_user(), reason="outage")
    return fresh(found)


def test_time_that_is_given_on_trial_is_of_the_trial(on_sale, paypal, clock) -> None:
    until = BEGIN + timedelta(days=20)
    found = extended(on_trial(), until)
    assert (found.status, found.trial_until, found.paid_until, found.anchor_at) == ("trialing", until, until, None)
    clock.move_to(until - timedelta(minutes=1))
    assert entitlements.has(found.user, "hd_photos")
    clock.move_to(until)
    assert not entitlements.has(found.user, "hd_photos")  # nobody has paid, so that there is no grace


def test_longer_trial_changes_its_plan_for_nothing_and_begins_with_its_first_payment(on_sale, paypal, clock) -> None:
    until = BEGIN + timedelta(days=20)
    found = extended(on_trial(), until)
    done = plan_changes.change(subscription=found, price=price("premium"), wishes=Wishes(gateways=("paypal",)))
    assert (done.payment, done.preview.due.minor, fresh(found).price.plan.code) == (None, 0, "premium")
    pay(paypal, subscriptions.renew(subscription=fresh(found), wishes=Wishes(gateways=("paypal",))))
    ours = fresh(found)
    assert (ours.status, ours.anchor_at, Payment.objects.get().amount_minor) == ("active", until, 999)
    clock.move_to(until)
    calendar.grant_due(at=until)
    assert balances.of(found.user).available == 500
    assert checks.faults() == {}


def test_trial_that_had_ended_is_one_again_while_its_time_lasts(on_sale, paypal, clock) -> None:
    found = on_trial()
    clock.move_to(BEGIN + timedelta(days=8))
    renewals.renew_due()
    assert fresh(found).status == "past_due"
    until = BEGIN + timedelta(days=20)
    assert extended(found, until).status == "trialing"
    assert entitlements.has(found.user, "hd_photos")
    clock.move_to(until - timedelta(days=3))
    renewals.renew_due()
    last = Event.objects.filter(type="renewal.reminder").last()
    assert last is not None
    assert last.data["due_at"] == "2026-03-22T09:00:00Z"


def test_period_that_waits_for_another_plan_is_not_paid_before_its_day(on_sale, paypal) -> None:
    found = subscribed(paypal, code="elite")
    subscription_states.set_next_price(subscription_id=found.pk, price=price("premium"))
    with pytest.raises(errors.ChangeNotNow):
        subscriptions.renew(subscription=fresh(found), wishes=Wishes(gateways=("paypal",)))
    assert Payment.objects.count() == 1


def test_nothing_is_to_be_paid_for_what_somebody_ended(on_sale, paypal) -> None:
    over = subscriptions.cancel_now(subscription=subscribed(paypal))
    with pytest.raises(errors.SubscriptionState):
        subscriptions.renew(subscription=over, wishes=Wishes(gateways=("paypal",)))
    assert Payment.objects.count() == 1


def test_customer_of_two_catalogues_has_to_say_which(on_sale, paypal) -> None:
    make_plan("other", {"month": 500}, catalogue="other")
    first = subscribed(paypal)
    second = subscribed(paypal, first.user, "other")
    with pytest.raises(errors.SubscriptionAmbiguous) as refused:
        subscriptions.of(first.user)
    assert refused.value.catalogues == ["companions", "other"]
    assert [subscriptions.of(first.user, each.catalogue).pk for each in (first, second)] == [first.pk, second.pk]
    with pytest.raises(errors.UnknownPlan):
        subscriptions.price_for(first, "other")


def test_moving_to_where_one_is_tells_nothing(on_sale, paypal) -> None:
    found = subscribed(paypal)
    lines = found.timeline.count()
    subscription_states.move_to_zone(user=found.user, time_zone=found.time_zone)
    assert found.timeline.count() == lines
