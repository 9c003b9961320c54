"""What the shop's figures say of payments, buyers and plans that are known to the cent."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from django.utils import timezone

from billing import asking, errors, figures, renewals, subscriptions
from billing.figures import BuyerFigures, Earning, GatewayFigures, PlanFigures, Report
from billing.gateways.errors import Declined, FailureCategory
from billing.models import TopUpCharge
from billing.tests import shop
from billing.tests.papers import known
from billing.tests.refunding import refunded
from billing.tests.subscribers import begin, fresh, pay, subscribed
from billing.tests.test_sale_payments import sold
from billing.tests.topping import agree
from ledger.money import Money
from wallets.tests.people import make_rule, make_type

pytestmark = pytest.mark.django_db
MARCH, APRIL, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 5))


def of_march() -> Report:
    return figures.report(since=MARCH, until=APRIL)


def line(found: list[Any], **wanted: Any) -> Any:
    [only] = [each for each in found if all(getattr(each, name) == value for name, value in wanted.items())]
    return only


def test_nothing_has_no_figures(db) -> None:
    assert of_march() == Report(gateways=[], earnings=[], buyers=[], plans=[])


# ---------------------------------------------------------------- gateways


def test_gateway_of_a_month_has_what_came_and_what_went_back(on_sale, stripe) -> None:
    payment = shop.buy()
    stripe.pays(fee=Money(45, "EUR"))
    refunded(shop.told(payment), 400)
    assert of_march().gateways == [
        GatewayFigures(
            month=date(2026, 3, 1), gateway="stripe", currency="EUR", paid_count=1, paid=999, tax=0, fees=45,
            refunded_count=1, refunded=400, refunded_tax=0, attempts_paid=1, attempts_failed=0,
        )
    ]  # fmt: skip
    assert of_march().gateways[0].net == 599


def test_months_gateways_and_currencies_are_lines_of_their_own(on_sale, stripe, paypal, clock) -> None:
    shop.paid(stripe)
    shop.paid(stripe, currency="XOF")
    clock.move_to(APRIL)
    shop.paid(stripe)
    found = figures.report(since=MARCH, until=MAY).gateways
    assert [(each.month.month, each.gateway, each.currency, each.paid) for each in found] == [
        (3, "stripe", "EUR", 999), (3, "stripe", "XOF", 6_500), (4, "stripe", "EUR", 999),
    ]  # fmt: skip
    assert [each.month.month for each in of_march().gateways] == [3, 3]


def test_refund_counts_in_the_month_in_which_it_arrived(on_sale, stripe, clock) -> None:
    payment = shop.paid(stripe)
    clock.move_to(APRIL)
    refunded(payment, 999)
    march, april = figures.report(since=MARCH, until=MAY).gateways
    assert (march.net, april.net, april.paid_count, april.refunded_count) == (999, -999, 0, 1)


def test_failed_is_what_was_refused_and_not_what_was_left(on_sale, stripe, paypal) -> None:
    shop.paid(stripe)
    stripe.refuses = Declined("no", gateway="stripe", category=FailureCategory.RISK)
    for _ in range(3):
        with pytest.raises(errors.NoGatewayTakesIt):
            shop.buy(gateways=["stripe"])
    stripe.refuses = None
    asking.cancel(shop.buy())
    shop.buy()  # its page stands open
    found = line(of_march().gateways, gateway="stripe")
    assert (found.attempts_paid, found.attempts_failed, found.failed_rate) == (1, 3, Fraction(3, 4))


def test_money_that_was_paid_twice_is_no_turnover(on_sale, stripe, paypal) -> None:
    payment = shop.paid(stripe)
    payment.attempts.update(state="surplus")
    payment.attempts.create(gateway="paypal", notify_token="other", state="succeeded", paid_at=timezone.now())
    found = of_march().gateways
    assert [(each.gateway, each.paid, each.attempts_paid) for each in found] == [("paypal", 999, 1), ("stripe", 0, 1)]


def test_tax_is_no_turnover_and_goes_back_with_a_refund(on_sale, stripe, french) -> None:
    payment = shop.paid(stripe, known())
    found = line(of_march().gateways, gateway="stripe")
    assert (found.paid, found.tax, found.net) == (999, 167, 832)
    refunded(payment, 999)
    found = line(of_march().gateways, gateway="stripe")
    assert (found.refunded, found.refunded_tax, found.net) == (999, 167, 0)
    assert [each.net for each in of_march().buyers] == [0]


# ---------------------------------------------------------------- the books


def test_what_belongs_to_sellers_is_not_ours(on_sale, stripe) -> None:
    make_type()
    make_rule(basis_points=1_000)
    sold(stripe)
    assert of_march().earnings == [Earning(currency="EUR", account="commission", amount=400)]
    assert [(each.begun, each.converted, each.payers, each.net) for each in of_march().buyers] == [(1, 1, 0, 0)]
    assert line(of_march().gateways, gateway="stripe").paid == 4_000


def test_books_say_what_was_earned_and_what_it_cost(on_sale, stripe, paypal) -> None:
    payment = shop.buy()
    stripe.pays(fee=Money(45, "EUR"))
    refunded(shop.told(payment), 400)
    subscribed(paypal)
    assert of_march().earnings == [
        Earning(currency="EUR", account="revenue:packs", amount=599),
        Earning(currency="EUR", account="revenue:plans", amount=999),
        Earning(currency="EUR", account="fees", amount=-45),
    ]
    assert figures.report(since=APRIL, until=MAY).earnings == []


# ---------------------------------------------------------------- buyers


def test_checkouts_are_converted_by_being_paid(on_sale, stripe) -> None:
    ann = shop.make_user()
    shop.paid(stripe, ann)
    shop.paid(stripe, ann)
    shop.paid(stripe)
    shop.buy()
    [found] = of_march().buyers
    assert found == BuyerFigures(
        currency="EUR", begun=4, converted=3, payers=2, net=2_997, pack_purchases=3, pack_buyers=2
    )
    assert (found.conversion, found.net_per_payer, found.purchases_per_buyer) == (
        Fraction(3, 4),
        Fraction(2_997, 2),
        Fraction(3, 2),
    )


def test_plan_makes_a_payer_and_no_checkout(on_sale, paypal) -> None:
    subscribed(paypal)
    [found] = of_march().buyers
    assert (found.begun, found.payers, found.net, found.pack_buyers, found.conversion) == (0, 1, 999, 0, None)


def test_automatic_top_up_is_a_purchase_and_no_checkout(on_sale, stripe) -> None:
    payment = shop.paid(stripe)
    method = payment.user.saved_methods.create(gateway="stripe", gateway_id="pm_1")
    TopUpCharge.objects.create(
        payment=payment,
        user=payment.user,
        top_up=agree(payment.user),
        method=method,
        started_at=timezone.now(),
        settled_at=timezone.now(),
    )
    [found] = of_march().buyers
    assert (found.begun, found.pack_purchases, found.payers) == (0, 1, 1)


def test_checkout_of_one_month_that_is_paid_in_the_next_is_converted_where_it_began(on_sale, stripe, clock) -> None:
    clock.move_to(APRIL - timedelta(minutes=5))
    payment = shop.buy()
    clock.move_to(APRIL + timedelta(minutes=5))
    stripe.pays()
    shop.told(payment)
    march, april = of_march().buyers, figures.report(since=APRIL, until=MAY).buyers
    assert [(each.begun, each.converted, each.payers) for each in (*march, *april)] == [(1, 1, 0), (0, 0, 1)]


# ---------------------------------------------------------------- plans


def test_plans_that_are_paid_are_converted(on_sale, paypal) -> None:
    subscribed(paypal)
    begin(shop.make_user())
    [found] = of_march().plans
    assert found == PlanFigures(currency="EUR", begun=2, converted=1, at_start=0, lost=0)
    assert (found.conversion, found.churn) == (Fraction(1, 2), None)


def test_churn_is_what_ended_of_what_was_paid_before(on_sale, paypal, clock) -> None:
    stays, goes, went = (subscribed(paypal) for _ in range(3))
    subscriptions.cancel_now(subscription=went)
    never_paid = begin(shop.make_user())
    clock.move_to(APRIL + timedelta(days=1))
    subscriptions.cancel_now(subscription=goes)
    new = subscribed(paypal)
    subscriptions.cancel_now(subscription=new)
    [april] = figures.report(since=APRIL, until=MAY).plans
    assert (april.at_start, april.lost, april.churn) == (2, 1, Fraction(1, 2))
    assert (april.begun, april.converted) == (1, 1)
    clock.move_to(MAY + timedelta(days=1))
    subscriptions.cancel_now(subscription=stays)
    [again] = figures.report(since=APRIL, until=MAY).plans
    assert (again.at_start, again.lost) == (2, 1)  # later ends are of later months
    assert fresh(never_paid.subscription).period_start is None


def test_plan_that_was_paid_late_is_not_lost(on_sale, paypal, clock) -> None:
    found = subscribed(paypal)
    clock.move_to(APRIL + timedelta(days=20))
    renewals.renew_due()
    renewals.expire_due()
    assert fresh(found).status == "expired"
    [april] = figures.report(since=APRIL, until=MAY).plans
    assert april.lost == 1
    pay(paypal, subscriptions.renew(subscription=fresh(found), wishes=subscriptions.wishes_of(fresh(found))))
    [april] = figures.report(since=APRIL, until=MAY).plans
    assert (april.at_start, april.lost) == (1, 0)
