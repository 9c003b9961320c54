"""Rivals in real threads: nothing is held, paid, cleared or taken back twice. Canaries take the lock away."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db.models import QuerySet

from ledger import accounts, transfers
from ledger.checks import faults
from ledger.money import Money
from ledger.tests.races import PATIENCE_SECONDS, meeting_of, run_all, run_together
from rest.tests.callers import customer, post
from rest.tests.rivals import second_while_the_first_is_open
from wallets import destinations, sales, sellers, withdrawals
from wallets.destinations import Asked
from wallets.errors import AboveSale, DailyMaximumReached, InsufficientFunds, SellerCannotCover, WithdrawalState
from wallets.models import Destination, Sale, Seller, TakeBack, Wallet, Withdrawal
from wallets.tests.people import (
    FAR_AWAY,
    PAYPAL,
    ask,
    available,
    give_back,
    make_rule,
    make_type,
    make_user,
    parts,
    sell,
    sell_cleared,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def seller(settings: Any) -> Any:
    """A seller with exactly 1 000 available."""
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    make_type()
    make_rule(basis_points=0)
    user = make_user()
    sell_cleared(user, 1_000)
    return user


def outcome(act: Callable[[], Any]) -> Callable[[], str]:
    def run() -> str:
        try:
            act()
        except (InsufficientFunds, WithdrawalState, AboveSale) as refusal:
            return type(refusal).__name__
        return "done"

    return run


def test_ten_requests_with_ten_keys_and_money_for_one_are_one(seller: Any) -> None:
    keys = itertools.count()
    wish = outcome(
        lambda: withdrawals.request(
            user=seller, amount=Money(1_000, "EUR"), destination=PAYPAL, key=f"wish:{next(keys)}"
        )
    )
    assert Counter(run_together(10, wish)) == {"done": 1, "InsufficientFunds": 9}
    assert (Withdrawal.objects.count(), available(seller)) == (1, 0)
    assert faults() == {}


def test_ten_requests_with_one_key_are_one(seller: Any) -> None:
    found = run_together(10, lambda: ask(seller, 100, key="wish:1").pk)
    assert len(set(found)) == 1
    assert (Withdrawal.objects.count(), available(seller)) == (1, 900)


WISH = {"amount": 1_000, "currency": "EUR", "destination": {"type": "paypal", "email": "ann@example.com"}}


def test_over_http_ten_keys_and_money_for_one_are_one_201_and_nine_402(seller: Any) -> None:
    who = customer(seller)
    said = run_together(10, lambda: post("wallets/withdrawals", who, WISH).status_code)
    assert Counter(said) == {201: 1, 402: 9}
    assert (Withdrawal.objects.count(), available(seller)) == (1, 0)


def test_over_http_ten_requests_with_one_key_are_one_withdrawal(seller: Any) -> None:
    """Whoever comes while the first one is at work hears 409, whoever comes later hears its answer."""
    who, wish = customer(seller), WISH | {"amount": 100}
    said = run_together(10, lambda: post("wallets/withdrawals", who, wish, key="k").status_code)
    assert set(said) <= {201, 409}
    assert 201 in said
    assert (Withdrawal.objects.count(), available(seller)) == (1, 900)


def without_lock(rows: QuerySet[Wallet]) -> QuerySet[Wallet]:
    return rows.order_by("pk")


def test_the_race_for_a_daily_maximum_is_real_without_the_lock(
    seller: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, the race below proves nothing: what was asked today is read before the wallet is locked."""
    settings.WALLETS_WITHDRAWAL_MAXIMUM_PER_DAY_MINOR = {"EUR": 100}
    monkeypatch.setattr(sellers, "_locked", without_lock)
    monkeypatch.setattr(accounts, "lock", lambda found: {account.pk: account for account in found})
    meet, remember = meeting_of(6), destinations.remember

    def remember_when_all_have_looked(seller: Seller, asked: Asked) -> Destination:
        meet()
        return remember(seller, asked)

    monkeypatch.setattr(transfers, "hold", lambda **_: [])
    monkeypatch.setattr(destinations, "remember", remember_when_all_have_looked)
    assert Counter(run_together(6, maximum_race(seller))) == {"done": 6}


def test_a_daily_maximum_holds_against_rivals(seller: Any, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_MAXIMUM_PER_DAY_MINOR = {"EUR": 100}
    assert Counter(run_together(6, maximum_race(seller))) == {"done": 1, "DailyMaximumReached": 5}
    assert available(seller) == 900


def maximum_race(seller: Any) -> Callable[[], str]:
    def run() -> str:
        try:
            ask(seller, 100)
        except DailyMaximumReached:
            return "DailyMaximumReached"
        return "done"

    return run


def test_ten_workers_claim_a_withdrawal_once(seller: Any) -> None:
    withdrawal = withdrawals.approve(withdrawal=ask(seller, 1_000), by=make_user())
    won = run_together(10, lambda: withdrawals.mark_sending(withdrawal=withdrawal, gateway="mtn_momo"))
    assert sorted(won) == [False] * 9 + [True]


def test_paid_and_failed_at_once_is_one_of_them(seller: Any) -> None:
    withdrawal = withdrawals.approve(withdrawal=ask(seller, 1_000), by=make_user())
    withdrawals.mark_sending(withdrawal=withdrawal, gateway="mtn_momo")
    paid = outcome(lambda: withdrawals.mark_paid(withdrawal=withdrawal))
    failed = outcome(lambda: withdrawals.mark_failed(withdrawal=withdrawal, reason="no"))
    assert Counter(run_all([paid, failed] * 3)) == {"done": 3, "WithdrawalState": 3}
    assert faults() == {}


@pytest.mark.parametrize("order", [["cancelled", "sending"], ["sending", "cancelled"]], ids=" then ".join)
def test_cancel_and_send_at_once_is_one_of_them(seller: Any, order: list[str]) -> None:
    """Each comes first once, and the other one while that is not committed yet."""
    withdrawal = withdrawals.approve(withdrawal=ask(seller, 1_000), by=make_user())
    acts = {
        "cancelled": outcome(lambda: withdrawals.cancel(withdrawal=withdrawal)),
        "sending": lambda: withdrawals.mark_sending(withdrawal=withdrawal, gateway="mtn_momo"),
    }
    lost = {"cancelled": "WithdrawalState", "sending": False}
    met = second_while_the_first_is_open(*(acts[name] for name in order))
    withdrawal.refresh_from_db()
    assert (met.second_waited, met.second, withdrawal.status) == (True, lost[order[1]], order[0])
    assert faults() == {}


def test_a_payment_that_is_told_ten_times_is_recorded_once() -> None:
    make_type()
    user = make_user()
    made = run_together(10, lambda: sell(user, 1_000, key="payment:1").pk)
    assert (len(set(made)), Sale.objects.count(), parts(user)["pending"]) == (1, 1, 900)
    assert faults() == {}


def test_sales_to_the_same_sellers_in_another_order_do_not_wait_for_each_other_in_vain() -> None:
    make_type()
    ann, bob = make_user(), make_user()
    numbers = itertools.count()

    def buy() -> str:
        number = next(numbers)
        pair = (ann, bob) if number % 2 else (bob, ann)
        lines = [sales.Line(seller=user, type="ticket_sale", amount=Money(100, "EUR")) for user in pair]
        sales.record(key=f"payment:{number}", lines=lines, gateway="stripe")
        return "done"

    assert Counter(run_together(8, buy)) == {"done": 8}
    assert (parts(ann)["pending"], parts(bob)["pending"]) == (720, 720)


def test_four_sweeps_at_once_clear_each_sale_once() -> None:
    make_type()
    make_rule(basis_points=0, clearing_days=0)
    user = make_user()
    for _ in range(5):
        sell(user, 100)
    assert sum(run_together(4, lambda: sales.release_due(FAR_AWAY))) == 5
    assert parts(user) == {"pending": 0, "available": 500, "reserve": 0, "debt": 0}
    assert faults() == {}


def test_canary_without_the_lock_sweeps_clear_a_sale_more_than_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the race above proves nothing. Each sweep has seen the same sale before any of them books it."""
    make_type()
    make_rule(basis_points=0, clearing_days=0)
    sell(make_user(), 100)
    everybody_has_looked = threading.Barrier(4)

    def lock_together(found: Any) -> Any:
        everybody_has_looked.wait(PATIENCE_SECONDS)
        return accounts.lock(found)

    monkeypatch.setattr(sellers, "_locked", without_lock)
    monkeypatch.setattr(sales, "accounts", SimpleNamespace(lock=lock_together))
    assert sum(run_together(4, lambda: sales.release_due(FAR_AWAY))) == 4


def test_rivals_for_a_tier_are_counted_one_after_the_other() -> None:
    """From 1 000 sold in the month on 5 %: of six sales of 600 the first two are before that."""
    user = tiered_seller()
    sold = run_together(6, lambda: sell(user, 600).commission_minor)
    assert Counter(sold) == {60: 2, 30: 4}
    assert faults() == {}


def test_canary_without_the_lock_several_believe_to_be_the_first_of_the_month(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the race above proves nothing. Each has read the volume before any of them has sold."""
    user = tiered_seller()
    volume, everybody_has_read = sales.monthly_volume, threading.Barrier(6)

    def read_together(*arguments: Any) -> int:
        found = volume(*arguments)
        everybody_has_read.wait(PATIENCE_SECONDS)
        return found

    monkeypatch.setattr(sellers, "_locked", without_lock)
    monkeypatch.setattr(sales, "monthly_volume", read_together)
    assert Counter(run_together(6, lambda: sell(user, 600).commission_minor)) == {60: 6}


def tiered_seller() -> Any:
    make_type()
    make_rule(basis_points=1_000, currency="EUR").tiers.create(from_volume_minor=1_000, basis_points=500)
    user = make_user()
    sellers.open(user, "EUR")
    sellers.houses(["commission", "gateway:stripe"], "EUR")
    return user


def test_ten_refunds_of_all_there_is_are_one(seller: Any) -> None:
    sale = Sale.objects.get()
    keys = itertools.count()
    amount = Money(1_000, "EUR")
    refund = outcome(lambda: give_back(sale, f"refund:{next(keys)}", amount=amount))
    assert Counter(run_together(10, refund)) == {"done": 1, "AboveSale": 9}
    assert TakeBack.objects.count() == 1
    assert faults() == {}


def test_a_refund_and_a_withdrawal_never_share_the_same_money(seller: Any) -> None:
    sale = Sale.objects.get()

    def refund() -> str:
        try:
            give_back(sale, "refund:1")
        except SellerCannotCover:
            return "refused"
        return "done"

    found = Counter(run_all([refund, outcome(lambda: ask(seller, 1_000))]))
    assert found["done"] == 1
    assert faults() == {}
