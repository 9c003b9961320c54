from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from events.models import Event
from ledger.checks import faults
from ledger.tests.books import on
from wallets import destinations, withdrawals
from wallets.errors import (
    BelowMinimum,
    DailyMaximumReached,
    InsufficientFunds,
    InvalidValue,
    KeyReused,
    SameOperator,
    WithdrawalOpen,
    WithdrawalState,
)
from wallets.models import Destination, Withdrawal
from wallets.tests.people import (
    FAR_AWAY,
    MTN,
    PAYPAL,
    ask,
    available,
    everything,
    make_rule,
    make_user,
    sell,
    sell_cleared,
    wallet_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    """A seller with 10 000 available."""
    make_rule(basis_points=0)
    user = make_user()
    sell_cleared(user, 10_000)
    return user


@pytest.fixture
def operator() -> User:
    return make_user("operator")


def steps(withdrawal: Withdrawal) -> list[str]:
    return [step.status for step in withdrawal.steps.all()]


def approved(user: User, minor: int = 4_000) -> Withdrawal:
    return withdrawals.approve(withdrawal=ask(user, minor), by=make_user("operator"))


def sending(user: User, minor: int = 4_000) -> Withdrawal:
    withdrawal = approved(user, minor)
    assert withdrawals.mark_sending(withdrawal=withdrawal, gateway="mtn_momo")
    return withdrawal


def test_what_is_asked_for_is_held_at_once(user: User) -> None:
    withdrawal = ask(user, 4_000)
    assert (withdrawal.status, available(user), on(f"wallet:{user.pk}:EUR:available")) == ("requested", 6_000, 10_000)
    assert steps(withdrawal) == ["requested"]
    assert Event.objects.get(type="withdrawal.requested").data == {
        "withdrawal": str(withdrawal.pk),
        "amount": 4_000,
        "currency": "EUR",
        "destination": "paypal",
        "fee": 0,
    }
    assert faults() == {}


def test_the_same_key_asks_once_and_another_wish_with_it_is_refused(user: User) -> None:
    first = ask(user, 4_000, key="wish:1")
    again = ask(user, 4_000, key="wish:1")
    assert (again.pk, again.is_replay, available(user)) == (first.pk, True, 6_000)
    another = make_user()
    others: list[tuple[User, int, Any]] = [(user, 4_001, PAYPAL), (user, 4_000, MTN), (another, 4_000, PAYPAL)]
    for who, minor, goal in others:
        with pytest.raises(KeyReused):
            ask(who, minor, key="wish:1", destination=goal)
    assert Withdrawal.objects.count() == 1


def test_more_than_is_available_is_refused_with_what_becomes_available_when(user: User) -> None:
    pending = sell(user, 500)
    with pytest.raises(InsufficientFunds) as caught:
        ask(user, 10_001)
    assert (caught.value.available, caught.value.missing) == (10_000, 1)
    midnight = pending.releases_at.replace(hour=0, minute=0, second=0, microsecond=0)
    assert caught.value.upcoming == [{"at": midnight, "amount": 500}]
    assert (available(user), Withdrawal.objects.count()) == (10_000, 0)


def test_funds_are_asked_before_whether_another_one_is_open(user: User) -> None:
    ask(user, 10_000)
    with pytest.raises(InsufficientFunds):
        ask(user, 10_000)


def test_one_open_withdrawal_at_a_time_by_setting(user: User, settings: Any) -> None:
    first = ask(user, 1_000)
    with pytest.raises(WithdrawalOpen) as caught:
        ask(user, 1_000)
    assert caught.value.withdrawal == first.pk
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    ask(user, 1_000)
    assert available(user) == 8_000


def test_too_little_and_too_much_in_a_day_are_refused(user: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_MINIMUM_MINOR = {"EUR": 500}
    settings.WALLETS_WITHDRAWAL_MAXIMUM_PER_DAY_MINOR = {"EUR": 5_000}
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    with pytest.raises(BelowMinimum):
        ask(user, 499)
    withdrawals.cancel(withdrawal=ask(user, 4_000))  # counts no more
    ask(user, 4_000)
    with pytest.raises(DailyMaximumReached) as caught:
        ask(user, 1_001)
    assert caught.value.left == 1_000
    ask(user, 1_000)
    assert available(user) == 5_000


def test_the_fee_is_part_of_what_leaves_and_becomes_ours(user: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_FEE_MINOR, settings.WALLETS_WITHDRAWAL_FEE_BASIS_POINTS = {"EUR": 25}, 100
    found = withdrawals.quote(wallet_of(user), ask(user, 4_000).amount)
    assert (found.fee.minor, found.payout.minor) == (65, 3_935)
    withdrawal = Withdrawal.objects.get()
    withdrawals.approve(withdrawal=withdrawal, by=make_user("operator"))
    withdrawals.mark_sending(withdrawal=withdrawal, gateway="paypal")
    withdrawals.mark_paid(withdrawal=withdrawal)
    assert (on("gateway:paypal:EUR"), on("revenue:withdrawals:EUR"), available(user)) == (3_935, 65, 6_000)
    assert faults() == {}


def test_a_withdrawal_that_its_fee_eats_is_refused(user: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_FEE_MINOR = {"EUR": 25}
    with pytest.raises(BelowMinimum):
        ask(user, 25)
    assert ask(user, 26).payout.minor == 1


# ---------------------------------------------------------------- approval


def test_small_ones_are_approved_automatically_up_to_a_limit(user: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_AUTOMATIC_UP_TO_MINOR = {"EUR": 1_000}
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    small, large = ask(user, 1_000), ask(user, 1_001)
    assert (small.status, small.is_automatic, large.status) == ("approved", True, "requested")
    assert steps(small) == ["requested", "approved"]
    assert Event.objects.get(type="withdrawal.approved").data["is_automatic"] is True


def test_small_ones_are_approved_automatically_until_they_are_a_large_one(user: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_AUTOMATIC_UP_TO_MINOR = {"EUR": 1_000}
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    asked = [ask(user, amount) for amount in (400, 600, 1, 300)]
    assert [each.status for each in asked] == ["approved", "approved", "requested", "requested"]
    withdrawals.cancel(withdrawal=asked[0])
    assert [ask(user, amount).status for amount in (401, 400)] == ["requested", "approved"]


def test_middling_ones_need_two_people_once_they_are_a_large_one(
    user: User, operator: User, settings: Any, monkeypatch: Any
) -> None:
    settings.WALLETS_WITHDRAWAL_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 1_999}
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    asked = [ask(user, 1_000) for _ in range(2)]
    assert [withdrawals.approve(withdrawal=each, by=operator).status for each in asked] == ["approved", "requested"]
    tomorrow = timezone.now() + timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)
    assert not withdrawals.quote(asked[0].wallet, asked[0].amount).needs_two


def test_large_ones_need_two_different_people(user: User, operator: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 3_999}
    withdrawal = withdrawals.approve(withdrawal=ask(user, 4_000), by=operator)
    assert withdrawal.status == "requested"
    with pytest.raises(SameOperator):
        withdrawals.approve(withdrawal=withdrawal, by=operator)
    with pytest.raises(IntegrityError), transaction.atomic():
        Withdrawal.objects.filter(pk=withdrawal.pk).update(status="approved", approved_by=operator)
    done = withdrawals.approve(withdrawal=withdrawal, by=make_user("operator"))
    assert (done.status, done.first_approved_by) == ("approved", operator)


def test_a_rejection_gives_everything_back_with_its_reason(user: User, operator: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_FEE_MINOR = {"EUR": 100}
    withdrawal = ask(user, 4_000)
    assert withdrawal.fee_minor == 100
    with pytest.raises(InvalidValue):
        withdrawals.reject(withdrawal=withdrawal, reason=" ", by=operator)
    withdrawals.reject(withdrawal=withdrawal, reason="The number is somebody else's.", by=operator)
    assert (available(user), on("revenue:withdrawals:EUR")) == (10_000, 0)
    withdrawal.refresh_from_db()
    assert (withdrawal.status, withdrawal.reason) == ("rejected", "The number is somebody else's.")
    assert Event.objects.get(type="withdrawal.rejected").data["fee"] == 100
    assert Event.objects.get(type="withdrawal.rejected").data["reason"] == "The number is somebody else's."
    assert faults() == {}


def test_a_seller_cancels_until_it_is_sent(user: User) -> None:
    for make in (ask, approved):
        assert withdrawals.cancel(withdrawal=make(user, 1_000), by=user).status == "cancelled"
    sent = sending(user)
    with pytest.raises(WithdrawalState):
        withdrawals.cancel(withdrawal=sent, by=user)
    assert available(user) == 6_000
    assert faults() == {}


# ---------------------------------------------------------------- what the payout sweep does


def test_a_paid_one_leaves_the_wallet_once(user: User) -> None:
    withdrawal = sending(user)
    assert list(Withdrawal.objects.to_ask()) == [withdrawal]
    withdrawals.mark_uncertain(withdrawal=withdrawal, gateway_reference="px-1")
    withdrawals.mark_paid(withdrawal=withdrawal)
    again = withdrawals.mark_paid(withdrawal=withdrawal)
    assert (again.status, again.gateway_reference) == ("paid", "px-1")
    assert (available(user), on("gateway:mtn_momo:EUR")) == (6_000, 4_000)
    assert steps(withdrawal) == ["requested", "approved", "sending", "uncertain", "paid"]
    assert Event.objects.get(type="withdrawal.paid").data["gateway"] == "mtn_momo"
    assert list(Withdrawal.objects.to_ask()) == []
    assert faults() == {}


def test_every_step_tells_the_fee_that_is_kept(user: User, operator: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_FEE_MINOR = {"EUR": 100}
    withdrawal = sending(user)
    withdrawals.mark_paid(withdrawal=withdrawal)
    withdrawals.mark_returned(withdrawal=withdrawal, reason="closed account")
    told = Event.objects.filter(type__startswith="withdrawal.").order_by("id")
    assert [(event.type.partition(".")[2], event.data["fee"]) for event in told] == [
        ("requested", 100),
        ("approved", 100),
        ("paid", 100),
        ("failed", 100),
    ]


def test_a_paid_one_that_comes_back_is_the_sellers_once(user: User) -> None:
    withdrawal = sending(user)
    with pytest.raises(WithdrawalState):
        withdrawals.mark_returned(withdrawal=withdrawal, reason="closed account")
    withdrawals.mark_paid(withdrawal=withdrawal)
    for _ in range(2):
        returned = withdrawals.mark_returned(withdrawal=withdrawal, reason="x" * 400)
        assert (returned.status, returned.reason) == ("returned", "x" * 300)
    assert (available(user), on("gateway:mtn_momo:EUR")) == (10_000, 0)
    assert Event.objects.filter(type="withdrawal.failed").count() == 1
    assert faults() == {}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": ""}, "key"),
        ({"key": "k" * 256}, "key"),
        ({"key": "line\n"}, "key"),
        ({"minor": 0}, "amount"),
        ({"minor": 10**15 + 1}, "amount"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(user: User, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        ask(user, **{"minor": 100} | changes)
    assert (refused.value.field, Withdrawal.objects.exists()) == (field, False)


def test_a_failed_one_comes_back_once(user: User) -> None:
    withdrawal = sending(user)
    withdrawals.mark_failed(withdrawal=withdrawal, reason="payee_not_found")
    withdrawals.mark_failed(withdrawal=withdrawal, reason="payee_not_found")
    assert available(user) == 10_000
    assert Event.objects.get(type="withdrawal.failed").data["reason"] == "payee_not_found"
    with pytest.raises(WithdrawalState):
        withdrawals.mark_paid(withdrawal=withdrawal)
    assert faults() == {}


def test_a_gateway_that_surely_did_nothing_leaves_it_to_be_sent_again(user: User) -> None:
    withdrawal = sending(user)
    withdrawals.mark_unsent(withdrawal=withdrawal, note="mtn_momo is away")
    assert list(Withdrawal.objects.to_send(timezone.now())) == [withdrawal]
    assert withdrawals.mark_sending(withdrawal=withdrawal, gateway="cinetpay")
    withdrawals.mark_paid(withdrawal=withdrawal)
    assert (on("gateway:cinetpay:EUR"), on("gateway:mtn_momo:EUR")) == (4_000, 0)


def test_it_is_claimed_for_sending_once(user: User) -> None:
    withdrawal = sending(user)
    assert not withdrawals.mark_sending(withdrawal=withdrawal, gateway="mtn_momo")
    assert not withdrawals.mark_sending(withdrawal=ask(make_rich(), 5), gateway="mtn_momo")


def make_rich() -> User:
    user = make_user()
    sell_cleared(user, 100)
    return user


def test_unapproved_ones_are_never_paid(user: User) -> None:
    withdrawal = ask(user, 4_000)
    before = everything()
    for act in (withdrawals.mark_paid, withdrawals.mark_uncertain, withdrawals.mark_unsent):
        with pytest.raises(WithdrawalState):
            act(withdrawal=withdrawal)
    with pytest.raises(WithdrawalState):
        withdrawals.mark_failed(withdrawal=withdrawal, reason="no")
    assert everything() == before


# ---------------------------------------------------------------- destinations


def test_a_changed_destination_waits_and_the_first_one_does_not(user: User, settings: Any) -> None:
    settings.WALLETS_DESTINATION_COOLING_HOURS = 24
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    first = approved(user, 100)
    changed = withdrawals.approve(withdrawal=ask(user, 100, destination=MTN), by=make_user("operator"))
    assert list(Withdrawal.objects.to_send(timezone.now())) == [first]
    assert not withdrawals.mark_sending(withdrawal=changed, gateway="mtn_momo")
    assert list(Withdrawal.objects.to_send(FAR_AWAY)) == [first, changed]
    assert changed.not_before - timezone.now() > timedelta(hours=23)
    ask(user, 100, destination=MTN)  # asking again does not wait anew
    assert Destination.objects.count() == 2


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"kind": "cheque", "value": "x"}, "type"),
        ({"kind": "paypal", "value": "ann"}, "email"),
        ({"kind": "paypal", "value": "a@" + "b" * 250 + ".fr"}, "email"),
        ({"kind": "paypal", "value": "a@" + ".".join(["b" * 60] * 5) + ".fr"}, "email"),  # one, but for its length
        ({"kind": "paypal", "value": "ann@example.com", "operator": "MTN"}, "operator"),
        ({"kind": "mobile_money", "value": "0555000000", "operator": "MTN"}, "phone"),
        ({"kind": "mobile_money", "value": "+225 05 55 00 00 00", "operator": "MTN"}, "phone"),
        ({"kind": "mobile_money", "value": "+2250", "operator": "MTN"}, "phone"),
        ({"kind": "mobile_money", "value": "+22505550", "operator": "MTN"}, "phone"),  # nobody has so short a one
        ({"kind": "mobile_money", "value": "+2250555000000", "operator": "mtn"}, "operator"),
        ({"kind": "mobile_money", "value": "+2250555000000"}, "operator"),
        ({"kind": "stripe", "value": "cus_123456789"}, "account"),
        ({"kind": "stripe", "value": "acct_1NkV2zLkdIwHu7ix\n"}, "account"),
    ],
)
def test_a_destination_that_does_not_parse_is_refused_with_its_field(asked: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        destinations.parse(**asked)
    assert caught.value.field == f"destination.{field}"


def test_destinations_that_parse() -> None:
    assert PAYPAL.value == "ann@example.com"
    assert (MTN.value, MTN.operator) == ("+2250555000000", "MTN")
    assert destinations.parse(kind="paypal", value="Ann@Example.com").value == "ann@example.com"
    assert destinations.parse(kind="stripe", value="acct_1NkV2zLkdIwHu7ix").value == "acct_1NkV2zLkdIwHu7ix"
