"""Any history of sales, clearings, refunds and withdrawals: the books sum to zero after each step, and a refund of
everything leaves every account where it began, fees excepted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from ledger.checks import faults
from ledger.money import Money
from ledger.tests.books import new_key
from wallets import sales, sellers, take_backs, withdrawals
from wallets.errors import SellerCannotCover, WalletsError
from wallets.models import Sale, TakeBack, TakeBackKind, WhenWithdrawn, Withdrawal
from wallets.sales import Line
from wallets.tests.people import FAR_AWAY, ask, everything, make_rule, make_type, make_user

pytestmark = pytest.mark.django_db
CURRENCIES = st.sampled_from(["XOF", "EUR", "KWD", "MGA"])
QUICK = bounds(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
PRICES = st.integers(1, 200_000)
RULES = st.fixed_dictionaries(
    {
        "basis_points": st.integers(0, 10_000),
        "fixed_minor": st.integers(0, 500),
        "minimum_minor": st.none() | st.integers(0, 300),
        "maximum_minor": st.none() | st.integers(300, 5_000),
    }
)


@contextmanager
def undone() -> Iterator[None]:
    """An example whose rows go with its transaction."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_the_amounts_of_all_accounts_sum_to_zero_at_each_step_and_to_the_beginning_after_all_refunds() -> None:
    @given(currency=CURRENCIES, prices=st.lists(PRICES, min_size=1, max_size=2), rule=RULES, data=st.data())
    @QUICK
    def history(currency: str, prices: list[int], rule: dict[str, Any], data: st.DataObject) -> None:
        with undone():
            _play(currency, prices, rule, data)

    history()


def _play(currency: str, prices: list[int], rule: dict[str, Any], data: st.DataObject) -> None:
    make_type()
    make_rule(currency=currency, **rule)
    users = [make_user(), make_user()]
    lines = [
        Line(seller=users[number % 2], type="ticket_sale", amount=Money(price, currency))
        for number, price in enumerate(prices)
    ]
    fee = data.draw(st.integers(0, 50))
    sold = sales.record(key=new_key("payment"), lines=lines, gateway="stripe", fee=Money(fee, currency))
    if data.draw(st.booleans()):
        sales.release_due(FAR_AWAY)
    for sale in sold:
        for step in range(4):
            left = Sale.objects.get(pk=sale.pk).price_minor - Sale.objects.get(pk=sale.pk).taken_price_minor
            if left == 0:
                break
            amount = left if step == 3 else data.draw(st.integers(1, left))
            held = take_backs.hold(sale=sale, key=new_key("refund"), amount=Money(amount, currency))
            if step < 3 and data.draw(st.booleans()):
                take_backs.void(take_back=held)
            else:
                take_backs.settle(take_back=held)
            assert sum(everything().values()) == 0
    assert everything() == ({f"fees:stripe:{currency}": -fee, f"gateway:stripe:{currency}": fee} if fee else {})


def test_the_books_are_in_order_after_any_history() -> None:
    acts = st.lists(st.tuples(st.sampled_from("srfhvwpxaj"), st.integers(1, 1_500)), min_size=8, max_size=16)

    @given(steps=acts, policy=st.sampled_from(list(WhenWithdrawn)), reserve=st.sampled_from([0, 1_000, 10_000]))
    @bounds(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    def history(steps: list[tuple[str, int]], policy: WhenWithdrawn, reserve: int) -> None:
        with undone():
            _act_all(steps, policy, reserve)

    history()


def _act_all(steps: list[tuple[str, int]], policy: WhenWithdrawn, reserve: int) -> None:
    user, operator = make_user(), make_user("operator")
    make_type()
    limit = 700 if policy == WhenWithdrawn.DEBT else 0
    make_rule(basis_points=1_234, currency="EUR", when_withdrawn=policy, debt_limit_minor=limit)
    if reserve:
        sellers.set_reserve(seller=sellers.of(user), basis_points=reserve, days=5)
    for what, minor in steps:
        try:
            with transaction.atomic():
                _act(what, minor, user, operator)
        except WalletsError:
            pass  # a refusal; what matters is what it leaves behind
        assert sum(everything().values()) == 0
    assert faults() == {}


def _act(what: str, minor: int, user: Any, operator: Any) -> None:
    sale = Sale.objects.filter(wallet__seller__user=user).order_by("-pk").first()
    open_one = Withdrawal.objects.of(user).open().first()
    held = TakeBack.objects.filter(sale__wallet__seller__user=user, state="held").first()
    match what:
        case "s":
            line = Line(seller=user, type="ticket_sale", amount=Money(minor, "EUR"))
            sales.record(key=new_key("payment"), lines=[line], gateway="stripe")
        case "r":
            sales.release_due(FAR_AWAY)
        case "f":
            sales.free_due(FAR_AWAY.replace(year=2091))
        case "h" | "j" if sale and sale.left.minor:
            kind = TakeBackKind.DISPUTE if what == "j" else TakeBackKind.REFUND
            amount = Money(min(minor, sale.left.minor), "EUR")
            take_backs.hold(sale=sale, key=new_key("refund"), amount=amount, kind=kind)
        case "x" if held:
            take_backs.settle(take_back=held)
        case "v" if held:
            take_backs.void(take_back=held)
        case "w":
            ask(user, minor)
        case "p" if open_one:
            withdrawals.approve(withdrawal=open_one, by=operator)
            withdrawals.mark_sending(withdrawal=open_one, gateway="paypal")
            withdrawals.mark_paid(withdrawal=open_one)
        case "a" if open_one:
            withdrawals.cancel(withdrawal=open_one)
        case _:
            pass


def test_the_histories_meet_refusals_too() -> None:
    """If this fails, the history above proves less than it says: a withdrawn sale must be refused under this policy."""
    user, operator = make_user(), make_user("operator")
    make_type()
    make_rule(basis_points=0)
    for what in ("s", "r", "w", "p"):
        _act(what, 900, user, operator)
    with pytest.raises(SellerCannotCover):
        _act("h", 900, user, operator)
