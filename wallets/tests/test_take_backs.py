from datetime import timedelta

import pytest

from events.models import Event
from ledger.checks import faults
from ledger.money import Money
from ledger.tests.books import on
from wallets import balances, sales, sellers, take_backs, transactions, withdrawals
from wallets.errors import AboveSale, InvalidValue, KeyReused, SellerCannotCover, TakeBackState
from wallets.models import Sale, TakeBack, WhenWithdrawn
from wallets.tests.people import (
    FAR_AWAY,
    LONG_AGO,
    ask,
    available,
    everything,
    give_back,
    make_rule,
    make_user,
    parts,
    sell,
    sell_cleared,
    wallet_of,
    withdraw,
)
from wallets.transactions import Wanted

pytestmark = pytest.mark.django_db


def euros(minor: int) -> Money:
    return Money(minor, "EUR")


def test_a_full_refund_brings_every_account_back_and_keeps_the_fee() -> None:
    user = make_user()
    make_rule(basis_points=3_000)
    sale = sell(user, 645, fee=euros(30))
    give_back(sale, "refund:1", reason="not delivered")
    assert everything() == {"fees:stripe:EUR": -30, "gateway:stripe:EUR": 30}
    assert faults() == {}
    refunded = Event.objects.get(type="sale.refunded")
    assert (refunded.user, refunded.data["amount"], refunded.data["net"]) == (user, 645, 451)


def test_three_partial_refunds_take_the_sales_share_and_the_last_one_the_remainder() -> None:
    user = make_user()
    make_rule(basis_points=3_000)
    sale = sell(user, 645)
    make_rule(code="dearer", basis_points=5_000)  # a later rule changes nothing for this sale
    taken = [
        give_back(sale, f"refund:{number}", amount=amount)
        for number, amount in enumerate([euros(215), euros(215), None])
    ]
    assert [(each.price_minor, each.commission_minor) for each in taken] == [(215, 65), (215, 64), (215, 65)]
    assert everything() == {}
    assert faults() == {}


def test_each_sale_gives_back_at_the_rate_that_it_was_sold_at() -> None:
    user = make_user()
    rule = make_rule(code="house", basis_points=1_000)
    at_ten = sell(user, 1_005)
    rule.basis_points = 1_500
    rule.save()
    at_fifteen = sell(user, 1_005)
    sold = (at_ten, at_fifteen)
    halves = [give_back(sale, f"half:{sale.pk}", amount=euros(335)) for sale in sold]
    assert [(each.commission_minor, each.net_minor) for each in halves] == [(34, 301), (50, 285)]
    assert (on("commission:EUR"), parts(user)["pending"]) == (101 + 151 - 34 - 50, 2_010 - 252 - 301 - 285)
    for sale in sold:
        give_back(sale, f"rest:{sale.pk}")
    assert everything() == {}
    assert faults() == {}


def test_before_it_clears_a_sale_gives_back_what_is_pending() -> None:
    user = make_user()
    make_rule(basis_points=1_000)
    sale = sell(user, 1_000)
    give_back(sale, "refund:1", amount=euros(400))
    assert parts(user)["pending"] == 540
    sales.release_due(FAR_AWAY)
    assert parts(user)["available"] == 540
    assert faults() == {}


def test_what_is_held_for_a_refund_neither_clears_nor_can_be_withdrawn() -> None:
    user = make_user()
    make_rule(basis_points=0)
    sale, other = sell(user, 1_000), sell(user, 50)
    held = take_backs.hold(sale=sale, key="refund:1", amount=euros(400))
    assert sales.release_due(FAR_AWAY) == 1
    other.refresh_from_db()
    assert (other.released_at, available(user)) == (FAR_AWAY, 50)
    take_backs.void(take_back=held)
    assert sales.release_due(FAR_AWAY) == 1
    assert available(user) == 1_050
    assert faults() == {}


def test_once_cleared_it_comes_from_the_reserve_and_then_from_the_available() -> None:
    user = make_user()
    make_rule(basis_points=0)
    sellers.set_reserve(seller=sellers.of(user), basis_points=2_000, days=10)
    sale = sell_cleared(user, 1_000)
    held = take_backs.hold(sale=sale, key="refund:1", amount=euros(500))
    assert (held.reserve_minor, held.available_minor) == (200, 300)
    assert sales.free_due(FAR_AWAY + timedelta(days=11)) == 0  # it waits for the gateway
    take_backs.void(take_back=held)
    assert sales.free_due(FAR_AWAY + timedelta(days=11)) == 1
    assert parts(user) == {"pending": 0, "available": 1_000, "reserve": 0, "debt": 0}
    assert faults() == {}


# ---------------------------------------------------------------- the seller has it no more


def test_after_a_withdrawal_the_rule_may_refuse_and_nothing_moves() -> None:
    user = make_user()
    make_rule(basis_points=1_000)
    sale = sell_cleared(user, 1_000)
    withdraw(user, 700)
    before = everything()
    with pytest.raises(SellerCannotCover) as caught:
        give_back(sale, "refund:1")
    assert caught.value.missing == 700
    assert everything() == before
    assert TakeBack.objects.count() == 0


def test_after_a_withdrawal_the_rest_may_be_our_cost() -> None:
    user = make_user()
    make_rule(basis_points=1_000, when_withdrawn=WhenWithdrawn.OUR_COST)
    sale = sell_cleared(user, 1_000)
    withdraw(user, 700)
    taken = give_back(sale, "refund:1")
    assert (taken.available_minor, taken.cost_minor) == (200, 700)
    assert everything() == {"gateway:paypal:EUR": 700, "loss:EUR": -700}
    assert faults() == {}


def test_after_a_withdrawal_the_rest_may_be_owed_and_the_next_sales_repay_it_first() -> None:
    user = make_user()
    make_rule(basis_points=1_000, currency="EUR", when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor=750)
    sale = sell_cleared(user, 1_000)
    withdraw(user, 900)
    with pytest.raises(SellerCannotCover) as caught:
        give_back(sale, "refund:1")
    assert caught.value.missing == 150
    taken = give_back(sale, "refund:2", amount=euros(800))
    assert taken.debt_minor == 720
    assert parts(user) == {"pending": 0, "available": 0, "reserve": 0, "debt": -720}
    assert balances.of_wallet(wallet_of(user)).owed == 720
    sell_cleared(user, 500)
    assert parts(user)["debt"] == -270
    sell_cleared(user, 500)
    assert parts(user) == {"pending": 0, "available": 180, "reserve": 0, "debt": 0}
    assert faults() == {}


def test_a_debt_that_is_only_held_is_not_repaid_yet() -> None:
    user = make_user()
    make_rule(basis_points=0, currency="EUR", when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor=1_000)
    sale = sell_cleared(user, 1_000)
    withdraw(user, 1_000)
    held = take_backs.hold(sale=sale, key="refund:1", amount=euros(600))
    sell_cleared(user, 500)
    assert (available(user), parts(user)["debt"]) == (500, 0)
    take_backs.settle(take_back=held)
    assert (available(user), parts(user)["debt"]) == (0, -100)
    sell_cleared(user, 700)
    assert parts(user) == {"pending": 0, "available": 600, "reserve": 0, "debt": 0}
    assert faults() == {}


@pytest.mark.parametrize("way", ["cancelled", "rejected", "failed", "returned"])
def test_a_withdrawal_that_comes_back_repays_what_is_owed_by_then(way: str) -> None:
    """What was held for it was not there when a sale was taken back, so that became a debt."""
    user, operator = make_user(), make_user("operator")
    make_rule(basis_points=0, currency="EUR", when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor=1_000)
    sale = sell_cleared(user, 1_000)
    wish = ask(user, 1_000)
    if way in ("failed", "returned"):
        withdrawals.approve(withdrawal=wish, by=operator)
        withdrawals.mark_sending(withdrawal=wish, gateway="paypal")
    if way == "returned":
        withdrawals.mark_paid(withdrawal=wish)
    give_back(sale, "refund:1", amount=euros(600))
    assert (available(user), parts(user)["debt"]) == (0, -600)
    match way:
        case "cancelled":
            withdrawals.cancel(withdrawal=wish, by=user)
        case "rejected":
            withdrawals.reject(withdrawal=wish, reason="No.", by=operator)
        case "failed":
            withdrawals.mark_failed(withdrawal=wish, reason="no such account")
        case "returned":
            withdrawals.mark_returned(withdrawal=wish, reason="no such account")
    assert (available(user), parts(user)["debt"]) == (400, 0)
    [repaid] = transactions.page(Wanted(wallets=[wallet_of(user)], kind="debt.repaid"), 5)
    assert (repaid.available, repaid.debt, repaid.change) == (-600, 600, 0)
    assert faults() == {}


def test_a_refund_that_does_not_go_back_repays_what_is_owed_by_then() -> None:
    user = make_user()
    make_rule(basis_points=0, currency="EUR", when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor=1_000)
    first, second = sell_cleared(user, 700), sell_cleared(user, 300)
    held = take_backs.hold(sale=first, key="refund:1")
    withdraw(user, 300)
    give_back(second, "refund:2")
    assert parts(user)["debt"] == -300
    take_backs.void(take_back=held)
    assert (available(user), parts(user)["debt"]) == (400, 0)
    withdraw(user, 400)
    give_back(first, "refund:3", amount=euros(100))
    sell_cleared(user, 50)
    take_backs.void(take_back=held)  # twice is once, whatever is owed by then
    assert parts(user)["debt"] == -50
    assert faults() == {}


def test_an_operator_may_decide_otherwise_than_the_rule() -> None:
    user = make_user()
    make_rule(basis_points=0)
    sale = sell_cleared(user, 1_000)
    withdraw(user, 1_000)
    assert take_backs.preview(sale=sale, policy=WhenWithdrawn.OUR_COST).cost == euros(1_000)
    taken = give_back(sale, "refund:1", policy=WhenWithdrawn.OUR_COST)
    assert taken.cost_minor == 1_000


# ---------------------------------------------------------------- hold, then settle or void, once


def test_a_refund_that_the_gateway_refuses_leaves_everything_as_it_was() -> None:
    user = make_user()
    make_rule(basis_points=3_000)
    sale = sell_cleared(user, 645)
    before = everything()
    held = take_backs.hold(sale=sale, key="refund:1", amount=euros(100))
    take_backs.void(take_back=held)
    take_backs.void(take_back=held)
    assert (everything(), available(user)) == (before, 451)
    with pytest.raises(TakeBackState):
        take_backs.settle(take_back=held)
    assert Sale.objects.get().taken_price_minor == 0
    assert faults() == {}


def test_what_had_gone_back_and_came_again_is_the_sellers_once() -> None:
    make_rule(basis_points=1_000)
    user = make_user()
    sale = sell(user, 1_000)
    held = take_backs.hold(sale=sale, key="refund:1", amount=euros(300))
    with pytest.raises(TakeBackState):
        take_backs.give_again(take_back=held)
    take_backs.settle(take_back=held)
    for _ in range(2):
        assert take_backs.give_again(take_back=held).state == "voided"
    assert (parts(user)["pending"], on("commission:EUR"), on("gateway:stripe:EUR")) == (900, 100, -1_000)
    assert Sale.objects.get().left == euros(1_000)
    assert faults() == {}


def test_what_is_lifted_twice_is_free_once() -> None:
    user = make_user()
    sale = sell(user, 1_000)
    held = take_backs.hold(sale=sale, key="refund:1", amount=euros(400))
    had = everything()
    for _ in range(2):
        assert take_backs.lift(take_back=held).state == "voided"
        sale.refresh_from_db()
        assert (sale.left, balances.of(user)[0].held, everything()) == (euros(1_000), 0, had)
    assert faults() == {}


def test_what_is_undone_twice_is_the_sellers_once() -> None:
    user = make_user()
    make_rule(basis_points=3_000)
    sale = sell(user, 1_000)
    had = everything()
    gone = give_back(sale, "refund:1", amount=euros(400))
    assert everything() != had
    for _ in range(2):
        assert take_backs.undo(take_back=gone).state == "voided"
        sale.refresh_from_db()
        assert (sale.left, everything()) == (euros(1_000), had)
    assert faults() == {}


@pytest.mark.parametrize("key", ["", "k" * 201, "line\n"])
def test_a_refund_without_a_proper_key_is_refused(key: str) -> None:
    sale = sell(make_user(), 1_000)
    with pytest.raises(InvalidValue):
        take_backs.hold(sale=sale, key=key)
    assert not TakeBack.objects.exists()


def test_settling_twice_is_once_and_void_comes_too_late() -> None:
    sale = sell(make_user(), 1_000)
    held = take_backs.hold(sale=sale, key="refund:1", amount=euros(300))
    take_backs.settle(take_back=held)
    take_backs.settle(take_back=held)
    with pytest.raises(TakeBackState):
        take_backs.void(take_back=held)
    assert on("gateway:stripe:EUR") == -700
    assert faults() == {}


def test_the_same_key_holds_once_and_another_wish_is_refused() -> None:
    sale = sell(make_user(), 1_000)
    first = take_backs.hold(sale=sale, key="refund:1", amount=euros(300))
    again = take_backs.hold(sale=sale, key="refund:1", amount=euros(300))
    assert (again.pk, again.is_replay) == (first.pk, True)
    with pytest.raises(KeyReused):
        take_backs.hold(sale=sale, key="refund:1", amount=euros(301))
    assert Sale.objects.get().taken_price_minor == 300


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [(euros(1_001), AboveSale), (euros(0), InvalidValue), (euros(-1), InvalidValue), (Money(5, "XOF"), InvalidValue)],
)
def test_an_amount_that_the_sale_does_not_have_is_refused(amount: Money, refusal: type) -> None:
    sale = sell(make_user(), 1_000)
    with pytest.raises(refusal):
        take_backs.hold(sale=sale, key="refund:1", amount=amount)
    assert (TakeBack.objects.count(), Sale.objects.get().taken_price_minor) == (0, 0)


def test_nothing_is_left_after_a_full_refund() -> None:
    sale = sell(make_user(), 1_000)
    give_back(sale, "refund:1")
    with pytest.raises(AboveSale):
        give_back(sale, "refund:2", amount=euros(1))
    with pytest.raises(InvalidValue):
        give_back(sale, "refund:3")


# ---------------------------------------------------------------- disputes


def test_a_dispute_freezes_what_there_is_and_the_rest_would_be_our_cost() -> None:
    user = make_user()
    make_rule(basis_points=1_000)
    sale = sell_cleared(user, 1_000)
    withdraw(user, 700)
    frozen = take_backs.freeze(sale=sale, key="dispute:1")
    assert (frozen.kind, frozen.available_minor, frozen.cost_minor, available(user)) == ("dispute", 200, 700, 0)
    assert balances.of_wallet(wallet_of(user)).held == 200
    take_backs.settle(take_back=frozen)
    assert everything() == {"gateway:paypal:EUR": 700, "loss:EUR": -700}
    assert faults() == {}


def test_a_dispute_that_is_won_gives_everything_back() -> None:
    user = make_user()
    make_rule(basis_points=1_000)
    sale = sell(user, 1_000, at=LONG_AGO)
    frozen = take_backs.freeze(sale=sale, key="dispute:1")
    assert sales.release_due() == 0
    take_backs.void(take_back=frozen)
    assert sales.release_due() == 1
    assert available(user) == 900
    assert faults() == {}
