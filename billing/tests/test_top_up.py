"""Automatic top-up: one charge at a time, within its caps, stopped by cards that say no, and never without consent."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from importlib import import_module
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from billing import asking, breaker, errors, routing, saved_methods, tasks, top_up, top_up_charges
from billing.gateways.base import PaymentState, SavedMethod
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.models import (
    Attempt,
    Customer,
    GatewayCustomer,
    GatewaySetting,
    Payment,
    TaxRate,
    TopUp,
    TopUpCharge,
)
from billing.models.payments import PaymentStatus
from billing.models.top_ups import ANOTHER_CARD_MENDS, Suspension
from billing.routing import Wish
from billing.tests import shop
from billing.tests.fakes import ChargingGateway, Sold
from billing.tests.topping import WORDS, agree
from credits import purses, usage
from credits.models import Pack, PackPrice
from credits.tests import gates
from credits.tests.people import give
from events.models import Event
from ledger import checks
from ledger.tests.races import NO_ROW, meeting_of, refuse_every_row, run_together

pytestmark = pytest.mark.django_db
NO = Declined("no", gateway="stripe", category=FailureCategory.INSUFFICIENT_FUNDS, code="insufficient_funds")
DOWN = Declined("no account", gateway="stripe", category=FailureCategory.CONFIGURATION)


def sweep(user: User, *, days: float = 0) -> int:
    """After so many days: what waits for a time waits no longer."""
    if days:
        TopUp.objects.filter(user=user).update(next_try_at=None)
    return top_up_charges.work_through()


def use_all(user: User) -> None:
    if left := shop.credits_of(user):
        usage.spend(user=user, key=f"all:{uuid.uuid4()}", amount=left)


def standing(user: User) -> TopUp:
    return top_up.of(user)


def test_operators_read_its_price_and_its_cap_as_money(charging: ChargingGateway, ann: User, admin_client: Any) -> None:
    row = agree(ann)
    for path in ("", f"{row.pk}/change/"):
        assert "€50.00" in admin_client.get(f"/admin/billing/topup/{path}").content.decode()
    text = admin_client.get(f"/admin/billing/topup/{row.pk}/change/").content.decode()
    assert ("€9.99" in text, "minor units" in text) == (True, False)


# ---------------------------------------------------------------- charging


def test_low_balance_buys_the_pack_with_the_saved_card(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    tasks.top_up()
    [request] = charging.charged
    assert (request.method, request.buyer.gateway_customer, str(request.amount)) == ("pm_1", "cus_1", "9.99 EUR")
    charge = TopUpCharge.objects.get()
    assert charge.payment.status == PaymentStatus.SUCCEEDED
    assert charge.settled_at is not None
    assert shop.credits_of(ann) == 275
    tasks.top_up()
    assert len(charging.charged) == 1
    assert checks.faults() == {}


def test_nobody_is_charged_without_a_consent(charging: ChargingGateway, ann: User) -> None:
    assert sweep(ann) == 0
    assert charging.asked == []
    assert not TopUpCharge.objects.exists()


def test_balance_at_the_threshold_is_not_low(charging: ChargingGateway, ann: User) -> None:
    give(ann, 100)
    agree(ann)
    assert sweep(ann) == 0
    usage.spend(user=ann, key="one", amount=1)
    assert sweep(ann) == 1


def test_unlimited_customer_is_not_charged(charging: ChargingGateway, ann: User) -> None:
    purses.allow_unlimited(user=ann, until=timezone.now() + timedelta(days=1), fair_use_per_month=None)
    agree(ann)
    assert sweep(ann) == 0
    assert charging.asked == []


def test_lost_reply_keeps_the_charge_in_flight_until_the_gateway_says(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.answers = PaymentState.PENDING
    assert sweep(ann) == 1
    assert sweep(ann, days=1) == 0
    charge = TopUpCharge.objects.get()
    assert charge.settled_at is None
    charging.pays(charge.payment.attempts.get().reference)
    shop.told(charge.payment)
    assert sweep(ann) == 0
    charge.refresh_from_db()
    assert charge.settled_at is not None
    assert (len(charging.charged), shop.credits_of(ann)) == (1, 275)


@pytest.mark.parametrize(("was_taken", "status", "brought"), [(True, "succeeded", 275), (False, "failed", 0)])
def test_charge_without_a_readable_reply_is_asked_about_and_never_sent_again(
    charging: ChargingGateway, ann: User, was_taken: bool, status: str, brought: int
) -> None:
    agree(ann)
    charging.refuses_charge = Uncertain("unreadable", gateway="stripe")
    assert [sweep(ann), sweep(ann, days=1)] == [1, 0]
    charge = TopUpCharge.objects.get()
    assert (charge.payment.status, charge.settled_at) == (PaymentStatus.PENDING, None)
    attempt = charge.payment.attempts.get()
    if was_taken:
        charging.sold[attempt.reference] = Sold(amount=charge.payment.money, state=PaymentState.SUCCEEDED)
    Attempt.objects.filter(pk=attempt.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    for _ in range(3):
        shop.told(charge.payment)
    top_up_charges.settle_over(timezone.now())
    charge.refresh_from_db()
    assert (charge.payment.status, charge.settled_at is not None) == (status, True)
    assert (len(charging.charged), shop.credits_of(ann), standing(ann).declines) == (1, brought, 0)
    assert checks.faults() == {}


def test_card_whose_gateway_is_switched_off_waits_for_it(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    GatewaySetting.objects.filter(name="stripe").update(is_enabled=False)
    before = timezone.now()
    assert [sweep(ann), sweep(ann)] == [0, 0]
    waits = standing(ann)
    assert (waits.declines, charging.asked, TopUpCharge.objects.count()) == (0, [], 0)
    assert waits.next_try_at is not None
    assert timedelta(0) <= waits.next_try_at - before - timedelta(hours=1) < timedelta(minutes=5)
    GatewaySetting.objects.filter(name="stripe").update(is_enabled=True)
    assert sweep(ann, days=1) == 1
    assert shop.credits_of(ann) == 275


# ---------------------------------------------------------------- caps


def test_monthly_cap_is_never_exceeded(charging: ChargingGateway, ann: User) -> None:
    agree(ann, monthly_cap_minor=2_999)
    for _ in range(6):
        sweep(ann, days=1)
        use_all(ann)
    assert [charge.amount.minor for charge in charging.charged] == [999, 999, 999]
    waits = standing(ann).next_try_at
    assert waits is not None
    assert (waits.day, waits > timezone.now()) == (1, True)


def test_two_a_day_are_two_a_day(charging: ChargingGateway, ann: User, settings: Any) -> None:
    settings.TOP_UP_MOST_PER_DAY = 2
    agree(ann)
    for _ in range(4):
        sweep(ann, days=1)
        use_all(ann)
    assert len(charging.charged) == 2
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert standing(ann).next_try_at == today + timedelta(days=1)


def test_what_may_still_be_paid_counts_and_what_failed_does_not(charging: ChargingGateway, ann: User) -> None:
    agree(ann, monthly_cap_minor=999)
    charging.refuses_charge = NO
    sweep(ann)
    charging.refuses_charge = None
    assert sweep(ann, days=1) == 1
    assert sweep(ann, days=1) == 0
    assert [charge.payment.status for charge in TopUpCharge.objects.order_by("started_at")] == ["failed", "succeeded"]


def test_caps_of_a_december_end_with_the_year(ann: User) -> None:
    agreed = agree(ann, monthly_cap_minor=999)
    sweep(ann)
    last = datetime(2027, 12, 31, 23, 59, tzinfo=UTC)
    TopUpCharge.objects.update(started_at=last)
    assert top_up_charges._capped_until(agreed, last) == datetime(2028, 1, 1, tzinfo=UTC)
    assert top_up_charges._capped_until(agreed, datetime(2028, 1, 1, tzinfo=UTC)) is None


# ---------------------------------------------------------------- cards that say no


def test_three_declines_suspend_it_at_no_cost_until_another_card_comes(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.refuses_charge = NO
    for _ in range(3):
        assert sweep(ann, days=1) == 1
    stopped = standing(ann)
    assert (stopped.declines, stopped.suspended_for) == (3, "card_declined")
    [event] = Event.objects.filter(type="top_up.suspended")
    assert event.data == {"pack": "medium", "reason": "card_declined", "mend_url": event.data["mend_url"]}
    assert saved_methods.user_of(event.data["mend_url"].rpartition("/")[2]) == ann
    charging.asked.clear()
    for _ in range(100):
        assert sweep(ann, days=1) == 0
    assert charging.asked == []

    charging.refuses_charge = None
    saved_methods.remember(user=ann, gateway="stripe", method=SavedMethod(id="pm_1"))
    assert sweep(ann, days=1) == 0
    saved_methods.remember(user=ann, gateway="stripe", method=SavedMethod(id="pm_2"))
    assert sweep(ann) == 1
    assert charging.charged[-1].method == "pm_2"
    assert standing(ann).declines == 0
    assert checks.faults() == {}


def test_decline_is_tried_again_only_after_its_pause(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.refuses_charge = NO
    before = timezone.now()
    assert [sweep(ann) for _ in range(5)] == [1, 0, 0, 0, 0]
    waits = standing(ann).next_try_at
    assert waits is not None
    assert timedelta(0) <= waits - before - timedelta(hours=1) < timedelta(minutes=5)


@pytest.mark.parametrize("declines", [1, 3])
def test_sweep_that_saw_it_before_its_card_was_declined_charges_nothing(
    charging: ChargingGateway, ann: User, declines: int
) -> None:
    seen = agree(ann)
    charging.refuses_charge = NO
    for _ in range(declines):
        sweep(ann, days=1)
    charging.refuses_charge = None
    if declines == 3:
        TopUp.objects.update(next_try_at=None)  # so that only the suspension stands in the way
    charging.asked.clear()
    assert top_up_charges.charge(seen, timezone.now()) is None
    assert (charging.asked, TopUpCharge.objects.count(), shop.credits_of(ann)) == ([], declines, 0)


def test_paid_charge_forgets_the_declines_before_it(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.refuses_charge = NO
    sweep(ann)
    assert standing(ann).declines == 1
    charging.refuses_charge = None
    sweep(ann, days=1)
    assert standing(ann).declines == 0


def test_fault_of_the_gateway_is_no_decline_of_the_card(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.refuses_charge = DOWN
    for _ in range(5):
        sweep(ann, days=1)
    stopped = standing(ann)
    assert (stopped.declines, stopped.suspended_at) == (0, None)
    assert stopped.next_try_at is not None


def test_gateway_that_is_gone_ends_the_payment_but_declines_no_card(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.refuses_charge = Unavailable("no answer", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)
    before = timezone.now()
    assert [sweep(ann), sweep(ann)] == [1, 0]
    [charge] = TopUpCharge.objects.all()
    assert (charge.payment.status, charge.settled_at is not None) == (PaymentStatus.FAILED, True)
    waits = standing(ann)
    assert (waits.declines, waits.suspended_at) == (0, None)
    assert waits.next_try_at is not None
    assert timedelta(0) <= waits.next_try_at - before - timedelta(hours=1) < timedelta(minutes=5)

    charging.refuses_charge = None
    assert sweep(ann, days=1) == 1
    assert TopUpCharge.objects.filter(payment__status=PaymentStatus.SUCCEEDED).count() == 1
    assert (standing(ann).next_try_at, checks.faults()) == (None, {})


def test_switching_off_and_on_is_no_way_around_a_suspension(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.refuses_charge = NO
    for _ in range(3):
        sweep(ann, days=1)
    top_up.withdraw(user=ann, by="customer")
    assert agree(ann, threshold=200).suspended_for == "card_declined"
    charging.asked.clear()
    assert sweep(ann, days=1) == 0
    assert charging.asked == []


def test_decline_that_comes_after_another_card_does_not_count(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.answers = PaymentState.PENDING
    sweep(ann)
    saved_methods.remember(user=ann, gateway="stripe", method=SavedMethod(id="pm_2"))
    charge = TopUpCharge.objects.get()
    charging.becomes(PaymentState.FAILED, charge.payment.attempts.get().reference)
    asking.ask(charge.payment.attempts.get())
    top_up_charges.settle_over(timezone.now())
    assert standing(ann).declines == 0


# ---------------------------------------------------------------- consent and price


def test_consent_withdrawn_while_a_charge_is_pending_begins_no_other(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    charging.answers = PaymentState.PENDING
    sweep(ann)
    top_up.withdraw(user=ann, by="customer")
    charge = TopUpCharge.objects.get()
    charging.pays(charge.payment.attempts.get().reference)
    shop.told(charge.payment)
    assert shop.credits_of(ann) == 275
    usage.spend(user=ann, key="again", amount=275)
    assert sweep(ann, days=1) == 0
    assert len(charging.charged) == 1
    assert checks.faults() == {}


def test_consent_withdrawn_before_the_gateway_heard_of_it_costs_nothing(
    charging: ChargingGateway, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree(ann)
    usual = top_up_charges._bring_to_gateway

    def withdrawn_first(begun: TopUpCharge) -> None:
        top_up.withdraw(user=ann, by="customer")
        usual(begun)

    monkeypatch.setattr(top_up_charges, "_bring_to_gateway", withdrawn_first)
    sweep(ann)
    assert charging.asked == []
    charge = TopUpCharge.objects.get()
    assert (charge.payment.status, charge.settled_at is not None) == (PaymentStatus.CANCELLED, True)


def test_price_above_the_agreed_one_needs_another_consent(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    an_hour_ago = timezone.now() - timedelta(hours=1)
    PackPrice.objects.create(pack=Pack.objects.get(), currency="EUR", amount_minor=1_299, valid_from=an_hour_ago)
    assert sweep(ann) == 0
    assert (charging.asked, standing(ann).suspended_for) == ([], "price_rose")
    assert agree(ann, consent=WORDS.replace("9.99", "12.99")).suspended_at is None
    assert sweep(ann) == 1
    assert TopUpCharge.objects.get().payment.amount_minor == 1_299


@pytest.mark.parametrize(("changes", "reason"), [
    ({"credits": 249}, "brings_less"), ({"bonus": 0}, "brings_less"), ({"credits": 275, "bonus": 0}, ""),
    ({"bonus": 26}, ""),
])  # fmt: skip
def test_pack_that_brings_fewer_credits_than_agreed_needs_another_consent(
    charging: ChargingGateway, ann: User, changes: dict[str, int], reason: str
) -> None:
    assert agree(ann).credits == 275
    Pack.objects.update(**changes)
    assert sweep(ann) == (not reason)
    assert standing(ann).suspended_for == reason
    if reason:
        assert charging.asked == []
        assert agree(ann, consent=WORDS.replace("250", "fewer")).suspended_at is None
        assert sweep(ann) == 1
    assert checks.faults() == {}


def test_pack_that_brings_less_than_the_threshold_is_not_bought_again_and_again(
    charging: ChargingGateway, ann: User
) -> None:
    """Of a consent of before, which does not say how many credits were agreed."""
    agree(ann, threshold=275)
    TopUp.objects.update(credits=0)
    Pack.objects.update(bonus=24)
    assert sweep(ann) == 0
    assert (charging.asked, standing(ann).suspended_for) == ([], "brings_less")


def test_pack_that_is_not_sold_any_more_stops_it(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    Pack.objects.update(is_active=False)
    assert sweep(ann) == 0
    assert (charging.asked, standing(ann).suspended_for) == ([], "not_sold")


def test_same_terms_in_the_same_words_are_the_consent_that_stands(ann: User) -> None:
    first = agree(ann)
    assert agree(ann) == first
    second = agree(ann, threshold=50)
    first.refresh_from_db()
    assert (first.withdrawn_at is not None, second.withdrawn_at) == (True, None)
    assert (first.consent, TopUp.objects.count()) == (WORDS, 2)


@pytest.mark.parametrize("reason", [each for each in Suspension if each not in ANOTHER_CARD_MENDS])
def test_same_terms_start_it_again_where_only_a_consent_can(
    charging: ChargingGateway, ann: User, reason: Suspension
) -> None:
    first = agree(ann)
    top_up.suspend(first, reason)
    assert sweep(ann) == 0
    second = agree(ann)
    assert (second == first, second.suspended_at, agree(ann)) == (False, None, second)
    first.refresh_from_db()
    assert (first.withdrawn_at is not None, first.suspended_for) == (True, reason)
    assert sweep(ann) == 1
    assert checks.faults() == {}


def test_same_terms_do_not_start_again_what_cards_have_stopped(charging: ChargingGateway, ann: User) -> None:
    first = agree(ann)
    top_up.suspend(first, Suspension.CARD_DECLINED)
    assert (agree(ann), TopUp.objects.count(), sweep(ann)) == (first, 1, 0)


def test_customer_without_a_saved_card_cannot_agree(charging: ChargingGateway) -> None:
    shop.make_pack()
    with pytest.raises(errors.NoSavedMethod):
        agree(shop.make_user())
    assert not TopUp.objects.exists()


def test_card_is_kept_only_when_its_owner_asked_for_that(charging: ChargingGateway) -> None:
    user = shop.make_user()
    shop.paid(charging, user)
    assert (saved_methods.latest(user), charging.keeps) == (None, set())
    with pytest.raises(errors.NoGatewayTakesIt):
        shop.buy(user, gateways=["paypal"], save_method=True)


# ---------------------------------------------------------------- one customer's trouble


def in_hungary(charging: ChargingGateway) -> User:
    """Somebody with a saved card and a consent, whose country's rate nobody has written down."""
    user = shop.make_user()
    Customer.objects.create(user=user, country="HU")
    GatewayCustomer.objects.create(user=user, gateway="stripe", gateway_id="cus_2")
    saved_methods.remember(user=user, gateway="stripe", method=SavedMethod(id="pm_2"))
    agree(user)
    return user


def test_customer_whose_tax_nobody_knows_keeps_nobody_waiting(
    charging: ChargingGateway, ann: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first = in_hungary(charging)
    agree(ann)
    settings.TAX_SCHEME, settings.SELLER_COUNTRY, settings.TAX_ONE_STOP_SHOP = "standard", "FR", True
    TaxRate.objects.filter(country="HU").delete()
    before = timezone.now()
    assert [sweep(ann), sweep(ann)] == [1, 0]
    assert [charge.user for charge in TopUpCharge.objects.all()] == [ann]
    waits = standing(first)
    assert (waits.suspended_at, waits.declines) == (None, 0)
    assert waits.next_try_at is not None
    assert timedelta(0) <= waits.next_try_at - before - timedelta(hours=1) < timedelta(minutes=5)
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == ["top_up.not_begun"]


def test_charge_that_cannot_be_settled_keeps_nobody_waiting(
    charging: ChargingGateway, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_hungary(charging)
    agree(ann)
    charging.answers = PaymentState.PENDING
    assert sweep(ann) == 2
    for attempt in Attempt.objects.filter(payment__top_up_charge__isnull=False):
        charging.becomes(PaymentState.FAILED, attempt.reference)
        asking.ask(attempt)
    usual = top_up_charges._failed

    def fails_for_one(latest: TopUp, payment: Payment, now: datetime) -> None:
        if latest.user == first:
            raise ZeroDivisionError
        usual(latest, payment, now)

    monkeypatch.setattr(top_up_charges, "_failed", fails_for_one)
    assert top_up_charges.settle_over(timezone.now()) == 1
    assert (standing(ann).declines, TopUpCharge.objects.get(settled_at=None).user) == (1, first)


# ---------------------------------------------------------------- customers who are shut out


def shut_out(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def test_customer_who_is_shut_out_is_not_charged_until_they_are_let_in(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    shut_out(ann)
    assert sweep(ann) == 0
    assert (charging.asked, TopUpCharge.objects.count()) == ([], 0)
    User.objects.update(is_active=True)
    assert sweep(ann) == 1


def test_sweep_that_saw_them_before_they_were_shut_out_charges_nothing(charging: ChargingGateway, ann: User) -> None:
    seen = agree(ann)
    shut_out(ann)
    assert top_up_charges.charge(seen, timezone.now()) is None
    assert (charging.asked, TopUpCharge.objects.count()) == ([], 0)


def test_customer_who_is_shut_out_before_the_gateway_heard_of_the_charge_pays_nothing(
    charging: ChargingGateway, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree(ann)
    usual = top_up_charges._bring_to_gateway

    def shut_out_first(begun: TopUpCharge) -> None:
        shut_out(ann)
        usual(begun)

    monkeypatch.setattr(top_up_charges, "_bring_to_gateway", shut_out_first)
    sweep(ann)
    assert (charging.asked, TopUpCharge.objects.get().payment.status) == ([], "cancelled")


# ---------------------------------------------------------------- at once


def _thousand_spends(user: User) -> Any:
    """Twenty callers with fifty spends each, and a sweep after every tenth."""
    numbers = iter(range(20))

    def act() -> int:
        mine, begun = next(numbers), 0
        for spend in range(50):
            usage.spend(user=user, key=f"{mine}:{spend}", amount=1)
            if spend % 10 == 9:
                begun += top_up_charges.work_through()
        return begun

    return act


@pytest.mark.django_db(transaction=True)
def test_a_thousand_spends_across_the_threshold_charge_once(charging: ChargingGateway, ann: User) -> None:
    agree(ann)
    give(ann, 1_000)
    charging.answers = PaymentState.PENDING
    assert sum(run_together(20, _thousand_spends(ann))) == 1
    assert (len(charging.charged), TopUpCharge.objects.count()) == (1, 1)
    assert shop.credits_of(ann) == 0


def times_charged_by_eight(user: User, monkeypatch: pytest.MonkeyPatch) -> int:
    """Eight sweeps come at once, where the balance stays low and the cap leaves room for two more charges; none waits
    for another's end. Returns how many charge."""
    agreed, now = agree(user, monthly_cap_minor=2_500), timezone.now()
    monkeypatch.setattr(top_up_charges, "_is_low", lambda standing: True)
    monkeypatch.setattr(top_up_charges, "_may_begin", lambda standing, now: True)
    with without_index("billing_topupcharge", "top_up_charge_one_in_flight"):
        begun = run_together(8, lambda: top_up_charges.charge(agreed, now))
        assert TopUpCharge.objects.count() == sum(each is not None for each in begun)
    return sum(each is not None for each in begun)


@pytest.mark.django_db(transaction=True)
def test_eight_who_charge_at_once_keep_the_cap(
    charging: ChargingGateway, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert times_charged_by_eight(ann, monkeypatch) == 2
    assert len(charging.charged) == 2


@pytest.mark.django_db(transaction=True)
def test_the_cap_is_passed_without_the_lock(
    charging: ChargingGateway, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, the test above proves nothing: all have counted before the first of them begins."""
    meet, usual = meeting_of(8), top_up_charges._capped_until

    def count_and_meet(standing: TopUp, now: datetime) -> datetime | None:
        found = usual(standing, now)
        meet()
        return found

    monkeypatch.setattr(top_up_charges, "_capped_until", count_and_meet)
    monkeypatch.setattr(top_up, "lock_consents", lambda user: None)
    assert times_charged_by_eight(ann, monkeypatch) == 8
    assert len(charging.charged) == 8


@contextmanager
def without_index(table: str, name: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [name])
        (definition,) = cursor.fetchone()
        cursor.execute(f"DROP INDEX {name}")
        try:
            yield
        finally:
            cursor.execute(f"TRUNCATE {table} CASCADE")
            cursor.execute(definition)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("guards", "most"), [("lock and index", 1), ("index", 1), ("", 8)])
def test_the_race_is_real_without_lock_and_index(
    charging: ChargingGateway, ann: User, monkeypatch: pytest.MonkeyPatch, guards: str, most: int
) -> None:
    """Eight sweeps have seen the low balance before one of them begins; the index alone stops seven of them. If the
    last case charges once, the test above proves nothing."""
    agreed = agree(ann)
    charging.answers = PaymentState.PENDING
    if "lock" not in guards:
        meet, decide = meeting_of(8), routing.decide

        def decide_when_all_have_looked(wish: Wish, candidates: Any) -> Any:
            meet()
            return decide(wish, candidates)

        monkeypatch.setattr(routing, "decide", decide_when_all_have_looked)
        monkeypatch.setattr(top_up, "lock_consents", lambda user: None)
    with nullcontext() if "index" in guards else without_index("billing_topupcharge", "top_up_charge_one_in_flight"):
        begun = run_together(8, lambda: top_up_charges.charge(agreed, timezone.now()))
        paid_before = 1
        assert (len(charging.charged), sum(each is not None for each in begun)) == (most, most)
        assert (TopUpCharge.objects.count(), Payment.objects.count()) == (most, most + paid_before)


@pytest.mark.django_db(transaction=True)
def test_gateways_are_looked_up_in_redis_before_the_customer_is_locked(
    charging: ChargingGateway, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, in_transaction = breaker.states, []

    def states(gateways: Any) -> Any:
        in_transaction.append(connection.in_atomic_block)
        return usual(gateways)

    monkeypatch.setattr(breaker, "states", states)
    assert top_up_charges.charge(agree(ann), timezone.now()) is not None
    assert (in_transaction, len(charging.charged)) == ([False], 1)


@pytest.mark.django_db(transaction=True)
def test_two_consents_at_once_leave_one(ann: User) -> None:
    words = iter([f"{WORDS} {number}" for number in range(8)])
    run_together(8, lambda: agree(ann, consent=next(words)))
    assert (TopUp.objects.count(), TopUp.objects.agreed().count()) == (8, 1)


@pytest.mark.django_db(transaction=True)
def test_canary_without_lock_and_index_every_consent_stands(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    words, seen = iter([f"{WORDS} {number}" for number in range(8)]), Barrier(8, timeout=20)
    usual = top_up.latest

    def looked(user: User) -> TopUp | None:
        found = usual(user)
        seen.wait()
        return found

    monkeypatch.setattr(top_up, "lock_consents", lambda user: None)
    monkeypatch.setattr(top_up, "latest", looked)
    with without_index("billing_topup", "top_up_one_consent_per_customer"):
        run_together(8, lambda: agree(ann, consent=next(words)))
        assert TopUp.objects.agreed().count() == 8


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("locked", [True, False])
def test_nothing_begins_once_a_withdrawal_was_answered(
    charging: ChargingGateway, ann: User, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """The charge has found the consent when its customer withdraws it. The canary: without the lock the customer is
    told that no charge begins any more, and then one does; what stands behind the lock keeps it from the gateway."""
    agreed = agree(ann)
    usual = top_up_charges._is_low

    def looked(standing: TopUp) -> bool:
        gates.wait_at_the_gate()
        return usual(standing)

    def withdraw() -> int:
        gates.wait_for_a_rival()
        top_up.withdraw(user=ann, by="customer")
        return TopUpCharge.objects.count()

    monkeypatch.setattr(top_up_charges, "_is_low", looked)
    if not locked:
        monkeypatch.setattr(top_up, "lock_consents", lambda user: None)
    begun, at_withdrawal = gates.run_through_the_gate([lambda: top_up_charges.charge(agreed, timezone.now()), withdraw])
    assert (begun, at_withdrawal) == (TopUpCharge.objects.get(), 1 if locked else 0)
    assert locked or charging.charged == []
    assert checks.faults() == {}


# ---------------------------------------------------------------- proofs


def test_charge_without_consent_is_a_fault(ann: User) -> None:
    agree(ann)
    sweep(ann)
    TopUp.objects.update(consented_at=timezone.now())
    [(name, [fault])] = checks.faults().items()
    assert name == "billing.checks.charges_had_consent"
    assert fault.endswith("without consent")


def test_charge_that_brought_fewer_credits_than_agreed_is_a_fault(ann: User) -> None:
    agree(ann)
    sweep(ann)
    TopUp.objects.update(credits=276)
    [(name, [fault])] = checks.faults().items()
    assert name == "billing.checks.charges_had_consent"
    assert fault.endswith("brings 250 and 25 credits, agreed were 276")


def test_consent_of_before_is_to_what_its_pack_brings_today_or_to_less_that_a_charge_has_brought(ann: User) -> None:
    of_before, first = import_module("billing.migrations.0030_credits_of_older_consents"), agree(ann)
    sweep(ann)
    second = agree(ann, threshold=50)
    TopUp.objects.update(credits=0)
    Pack.objects.update(bonus=50)
    with connection.cursor() as cursor:
        cursor.execute(of_before.FILL)
    assert [TopUp.objects.get(pk=each.pk).credits for each in (first, second)] == [275, 300]
    assert checks.faults() == {}


def test_charge_that_the_database_refuses_for_another_reason_than_a_rival_is_an_error(
    charging: ChargingGateway, ann: User
) -> None:
    agreed, before = agree(ann), Payment.objects.count()
    refuse_every_row("billing_topupcharge")
    with pytest.raises(IntegrityError, match=NO_ROW):
        top_up_charges.charge(agreed, timezone.now())
    assert (charging.charged, Payment.objects.count()) == ([], before)


def test_database_refuses_a_second_charge_in_flight(charging: ChargingGateway, ann: User) -> None:
    agreed = agree(ann)
    charging.answers = PaymentState.PENDING
    sweep(ann)
    first = TopUpCharge.objects.get()
    other = Payment.objects.exclude(pk=first.payment_id).get()
    with pytest.raises(Exception, match="top_up_charge_one_in_flight"), transaction.atomic():
        TopUpCharge.objects.create(
            payment=other, top_up=agreed, user=ann, method=first.method, started_at=timezone.now()
        )
