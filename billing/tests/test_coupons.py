"""Coupons on purchases: who may use which, what becomes of a use, and what a refusal leaves alone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import asking, coupon_making, errors, gifts, payments, refunds
from billing import checks as billing_checks
from billing.coupon_making import Wanted
from billing.gateways.base import AmountRule, PaymentState, RefundResult, RefundState
from billing.gateways.errors import Declined, FailureCategory
from billing.gateways.subscribing import DisputeState
from billing.models import Coupon, Payment, Redemption
from billing.models.coupons import CouponDuration, CouponKind
from billing.models.refunds import RefundPolicy, RefundStatus
from billing.tests import shop
from billing.tests.couponing import buy, make_coupon, moved, paid, state, taxed, uses
from billing.tests.refunding import disputed, refunded
from credits import balances, usage
from credits.models import Grant
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db
NOW = timezone.now


@pytest.fixture
def bob(gateways):
    return shop.make_user()


def grants_of(user: Any) -> dict[str, int]:
    return dict(Grant.objects.of(user).values_list("source", "account__balance"))


# ---------------------------------------------------------------- what it does


def test_discount_is_taken_off_before_the_gateway_is_asked(bob, stripe) -> None:
    make_coupon()
    payment = paid(stripe, bob, "welcome10")
    assert (payment.amount_minor, payment.discount_minor, payment.status) == (899, 100, "succeeded")
    assert payment.details["coupon"]["code"] == "WELCOME10"
    assert (shop.credits_of(bob), on("revenue:packs:EUR")) == (275, 899)
    assert (state(), uses()) == ([("redeemed", True)], 1)
    assert checks.faults() == {}


def test_tax_is_of_the_discounted_amount(bob, stripe, settings) -> None:
    taxed(settings)
    make_coupon(basis_points=5_000)
    payment = buy(bob, country="FR")
    assert (payment.amount_minor, payment.discount_minor, payment.tax_minor) == (499, 500, 83)


def test_fixed_amount_is_of_the_currency_that_is_paid(bob) -> None:
    make_coupon(kind=CouponKind.AMOUNT, amounts={"EUR": 400, "XOF": 2_500})
    assert buy(bob, currency="XOF").amount_minor == 4_000


def test_discount_lands_on_a_step_that_gateways_take(bob) -> None:
    make_coupon(basis_points=1_234)
    payment = buy(bob, currency="XOF", gateways=["cinetpay"])
    assert (payment.amount_minor, payment.discount_minor) == (5_695, 805)


def test_coupon_of_credits_brings_them_on_top(bob, stripe) -> None:
    make_coupon(kind=CouponKind.CREDITS, credits=40, credits_expire_after_days=30)
    payment = paid(stripe, bob)
    assert (payment.amount_minor, payment.discount_minor) == (999, 0)
    assert grants_of(bob) == {"pack": 250, "bonus": 25, "promotion": 40}
    assert Grant.objects.get(source="promotion").is_promotional
    assert checks.faults() == {}


def test_all_taken_off_is_delivered_without_a_gateway(bob, gateways) -> None:
    make_coupon(basis_points=10_000)
    payment = buy(bob)
    assert (payment.status, payment.amount_minor, payment.discount_minor) == ("succeeded", 0, 999)
    assert payment.attempts.count() == 0
    assert [fake.asked for fake in gateways.values()] == [[], [], []]
    assert (shop.credits_of(bob), on("revenue:packs:EUR")) == (275, 0)
    assert checks.faults() == {}


def test_what_cost_nothing_is_not_refunded(bob) -> None:
    make_coupon(basis_points=10_000)
    payment, before = buy(bob), moved()
    with pytest.raises(errors.NotRefundable):
        refunds.request(payment=payment, reason="no")
    assert (moved(), shop.credits_of(bob)) == (before, 275)


# ---------------------------------------------------------------- who may not


def test_code_that_nobody_made_is_unknown(bob) -> None:
    make_coupon()
    for code in ("NOTHING", "WELCOME1", "ẞẞẞ", "x", "'; DROP"):
        with pytest.raises(errors.UnknownCoupon):
            buy(bob, code)


REFUSALS: list[tuple[dict[str, Any], type[errors.BillingError]]] = [
    ({"starts_at": NOW() + timedelta(days=400)}, errors.UnknownCoupon),
    ({"ends_at": NOW() - timedelta(days=400)}, errors.CouponExpired),
    ({"catalogues": ["others"]}, errors.CouponNotForThis),
    ({"kind": CouponKind.CREDITS, "credits": 5, "unit": "OTHER"}, errors.CouponNotForThis),
    ({"kind": CouponKind.AMOUNT, "amounts": {"USD": 100}}, errors.CouponCurrency),
    ({"kind": CouponKind.GIFT}, errors.CouponNotForThis),
]


@pytest.mark.parametrize(("terms", "refusal"), REFUSALS)
def test_coupon_that_does_not_fit_is_refused_and_moves_nothing(bob, terms, refusal) -> None:
    make_coupon(**terms)
    shop.make_pack()
    before = moved()
    with pytest.raises(refusal):
        buy(bob)
    assert moved() == before


def test_coupon_named_for_the_pack_or_its_catalogue_fits(bob) -> None:
    shop.make_pack()
    make_coupon(code="PACK10", packs=["medium"])
    make_coupon(code="FILE10", catalogues=["companion-tokens"])
    assert [buy(bob, code).amount_minor for code in ("PACK10", "FILE10")] == [899, 899]


def test_stopped_coupon_looks_like_none(bob) -> None:
    coupon_making.stop(coupon=make_coupon())
    with pytest.raises(errors.UnknownCoupon):
        buy(bob)
    assert uses() == 0


def test_used_up_coupon_is_refused(bob, stripe) -> None:
    make_coupon(limit=1)
    paid(stripe, shop.make_user())
    before = moved()
    with pytest.raises(errors.CouponUsedUp):
        buy(bob)
    assert moved() == before


def test_customer_uses_it_as_often_as_one_may(bob) -> None:
    make_coupon(limit_per_customer=1)
    first, before = buy(bob), moved()
    with pytest.raises(errors.CouponUsedByYou) as refused:
        buy(bob)
    assert (refused.value.payment, moved()) == (str(first.pk), (1, 1, 1, before[3]))
    assert buy(shop.make_user()).amount_minor == 899


def test_first_purchase_is_one_without_another_before(bob, stripe) -> None:
    make_coupon(is_first_purchase_only=True)
    shop.paid(stripe, bob)
    before = moved()
    with pytest.raises(errors.CouponFirstPurchaseOnly):
        buy(bob)
    assert moved() == before


def test_two_coupons_for_a_first_purchase_do_not_begin_two(bob) -> None:
    for code in ("FIRST1", "FIRST2"):
        make_coupon(code=code, is_first_purchase_only=True)
    waiting = buy(bob, "FIRST1")
    with pytest.raises(errors.CouponUsedByYou) as refused:
        buy(bob, "FIRST2")
    assert refused.value.payment == str(waiting.pk)


def test_what_is_left_and_nobody_takes_is_told_with_what_could_be_paid(bob, stripe) -> None:
    make_coupon(basis_points=9_900)
    shop.make_pack()
    before = moved()
    with pytest.raises(errors.DiscountNotPayable) as refused:
        buy(bob, gateways=["stripe"])
    assert (refused.value.amount, refused.value.nearest_amounts, moved()) == (10, [50], before)


def test_step_of_one_gateway_alone_is_told_too(bob, gateways) -> None:
    able = gateways["cinetpay"].capabilities
    gateways["cinetpay"].capabilities = replace(able, currencies={"XOF": AmountRule(step_minor=100)})
    make_coupon(basis_points=200)
    with pytest.raises(errors.DiscountNotPayable) as refused:
        buy(bob, currency="XOF", gateways=["cinetpay"])
    assert (refused.value.amount, refused.value.nearest_amounts) == (6_370, [6_300, 6_400])
    assert uses() == 0


# ---------------------------------------------------------------- what becomes of a use


@pytest.mark.parametrize("end", [PaymentState.FAILED, PaymentState.EXPIRED, PaymentState.CANCELLED])
def test_use_is_given_back_when_nobody_pays(bob, stripe, end) -> None:
    make_coupon(limit=1)
    payment = buy(bob, gateways=["stripe"])
    assert (state(), uses()) == ([("reserved", True)], 1)
    stripe.becomes(end)
    shop.told(payment)
    assert (state(), uses()) == ([("released", False)], 0)
    assert buy(bob).amount_minor == 899
    assert checks.faults() == {}


def test_use_is_given_back_when_no_gateway_takes_it(bob, stripe) -> None:
    make_coupon(limit=1)
    stripe.refuses = Declined("no", gateway="stripe", category=FailureCategory.RISK)
    with pytest.raises(errors.NoGatewayTakesIt):
        buy(bob, gateways=["stripe"])
    assert (state(), uses()) == ([("released", False)], 0)


def test_use_is_given_back_by_a_cancelled_checkout(bob, stripe) -> None:
    make_coupon(limit=1)
    asking.cancel(buy(bob, gateways=["stripe"]))
    assert (state(), uses()) == ([("released", False)], 0)


def test_payment_that_comes_late_takes_its_use_again(bob, stripe) -> None:
    make_coupon(limit=1)
    payment = buy(bob, gateways=["stripe"])
    stripe.becomes(PaymentState.FAILED)
    shop.told(payment)
    stripe.pays()
    assert shop.told(payment).status == "succeeded"
    assert (state(), uses()) == ([("redeemed", True)], 1)


def paid_when_the_coupon_is_used_up(user: Any, stripe: Any, paypal: Any) -> Payment:
    """It seemed to have failed, somebody else has taken the only use since, and then the money comes."""
    late = buy(user, gateways=["stripe"])
    stripe.becomes(PaymentState.FAILED)
    shop.told(late)
    paid(paypal, shop.make_user())
    stripe.pays()
    return shop.told(late)


def test_payment_that_comes_late_is_delivered_though_the_coupon_is_used_up(bob, stripe, paypal) -> None:
    make_coupon(limit=1)
    late = paid_when_the_coupon_is_used_up(bob, stripe, paypal)
    assert (late.status, shop.credits_of(bob)) == ("succeeded", 275)
    assert (state(), uses()) == ([("redeemed", False), ("redeemed", True)], 1)
    assert checks.faults() == {}


def test_wrong_amount_keeps_no_use(bob, stripe) -> None:
    make_coupon(limit=1)
    payment = buy(bob, gateways=["stripe"])
    stripe.pays(amount=Money(999, "EUR"))
    assert (shop.told(payment).status, shop.credits_of(bob)) == ("quarantined", 0)
    assert (state(), uses()) == ([("released", False)], 0)


# ---------------------------------------------------------------- refunds and disputes


def test_refund_gives_back_what_was_paid_and_takes_bonus_and_coupon_credits_first(bob, stripe) -> None:
    make_coupon(credits=40)
    payment = paid(stripe, bob)
    half = refunded(payment, 449)
    # 449 of 899 stand for 157 of 315 credits: 25 of the bonus, 40 of the coupon, 92 that were paid for.
    assert (half.credits_due, sorted(half.lines.values())) == (157, [25, 40, 92])
    rest = refunded(payment)
    assert (rest.amount_minor, rest.status, shop.credits_of(bob)) == (450, RefundStatus.SUCCEEDED, 0)
    assert (on("revenue:packs:EUR"), checks.faults()) == (0, {})


def test_refunded_use_stays_used_unless_the_coupon_says_otherwise(bob, stripe) -> None:
    make_coupon(limit_per_customer=1)
    refunded(paid(stripe, bob))
    before = moved()
    with pytest.raises(errors.CouponUsedByYou):
        buy(bob)
    assert (state(), uses(), moved()) == ([("redeemed", True)], 1, before)


def test_coupon_that_returns_can_be_used_again_after_a_full_refund(bob, stripe) -> None:
    make_coupon(limit_per_customer=1, limit=1, returns_after_refund=True)
    payment = paid(stripe, bob)
    refunded(payment, 100, policy=RefundPolicy.GOODWILL)
    assert state() == [("redeemed", True)]
    refunded(payment)
    assert (state(), uses()) == ([("returned", False)], 0)
    assert buy(bob).amount_minor == 899


def test_use_that_is_not_counted_makes_no_room_when_it_returns(bob, stripe, paypal) -> None:
    make_coupon(limit=1, returns_after_refund=True)
    refunded(paid_when_the_coupon_is_used_up(bob, stripe, paypal))
    assert (state(), uses()) == ([("returned", False), ("redeemed", True)], 1)


def test_farming_a_returning_coupon_never_leaves_credits_that_were_not_paid_for(bob, stripe) -> None:
    """Bought with it, spent, refunded, again: what was spent becomes a debt that the next purchase pays first."""
    make_coupon(limit_per_customer=1, returns_after_refund=True, credits=40)
    first = paid(stripe, bob)
    usage.spend(user=bob, key="all", amount=315)
    refunded(first, policy=RefundPolicy.FULL_WITH_DEBT)
    paid(stripe, bob)
    assert (shop.credits_of(bob), balances.of(bob).owed) == (0, 0)  # all 315 repay what was spent and refunded
    assert checks.faults() == {}


def test_refund_that_comes_back_takes_the_use_again(bob, stripe) -> None:
    make_coupon(limit=1, returns_after_refund=True)
    refund = refunded(paid(stripe, bob))
    assert uses() == 0
    with transaction.atomic():
        refunds._came_back(refund)
        refund.save()
    assert (state(), uses()) == ([("redeemed", True)], 1)


def test_refund_that_comes_back_counts_no_use_twice_that_had_stayed_used(bob, stripe) -> None:
    make_coupon(limit=2)
    refund = refunded(paid(stripe, bob))
    refunds.note(refund=refund, result=RefundResult(state=RefundState.FAILED))
    assert (state(), uses(), shop.credits_of(bob)) == ([("redeemed", True)], 1, 275)


def test_dispute_freezes_and_takes_the_coupons_credits_too(bob, stripe) -> None:
    make_coupon(credits=40)
    payment = paid(stripe, bob)
    disputed(payment)
    assert shop.credits_of(bob) == 0
    disputed(payment, DisputeState.LOST)
    assert (shop.credits_of(bob), grants_of(bob)) == (0, {"pack": 0, "bonus": 0, "promotion": 0})
    assert checks.faults() == {}


# ---------------------------------------------------------------- credits for a code alone


def test_gift_brings_its_credits_once(bob) -> None:
    make_coupon(kind=CouponKind.GIFT, credits=50, credits_expire_after_days=7)
    made = gifts.redeem(user=bob, code="welcome10")
    assert (shop.credits_of(bob), made.status, uses()) == (50, "redeemed", 1)
    before = moved()
    with pytest.raises(errors.CouponUsedByYou):
        gifts.redeem(user=bob, code="WELCOME10")
    assert (shop.credits_of(bob), moved()) == (50, before)
    assert checks.faults() == {}


def test_discount_is_not_redeemed_alone(bob) -> None:
    make_coupon()
    before = moved()
    with pytest.raises(errors.CouponNeedsPurchase):
        gifts.redeem(user=bob, code="WELCOME10")
    assert moved() == before


# ---------------------------------------------------------------- making them


@pytest.mark.parametrize(
    "wanted",
    [
        {"code": "AB"},
        {"code": "with blank"},
        {"basis_points": None},
        {"basis_points": 10_001},
        {"kind": CouponKind.AMOUNT, "basis_points": None},
        {"kind": CouponKind.AMOUNT, "basis_points": None, "amounts": {"XOF": 1_002}},
        {"kind": CouponKind.CREDITS, "basis_points": None},
        {"duration": CouponDuration.REPEATING},
        {"periods": 3},
        {"packs": ["nothing"]},
        {"plans": ["nothing"]},
        {"limit": 0},
        {"credits_expire_after_days": 3},
        {"starts_at": NOW(), "ends_at": NOW() - timedelta(days=1)},
        {"kind": CouponKind.GIFT, "basis_points": None, "credits": 5},
        {"kind": CouponKind.GIFT, "basis_points": None, "credits": 5, "limit_per_customer": 1, "catalogues": ["x"]},
    ],
)
def test_coupon_that_contradicts_itself_is_not_made(db, wanted) -> None:
    known: dict[str, Any] = {"code": "WELCOME10", "kind": CouponKind.PERCENT, "basis_points": 1_000}
    with pytest.raises(errors.CouponInvalid):
        coupon_making.create(wanted=Wanted(**known | wanted))
    assert Coupon.objects.count() == 0


def test_code_stands_for_one_coupon_in_either_case(db) -> None:
    make_coupon()
    with pytest.raises(errors.CouponInvalid):
        make_coupon(code="welcome10")
    with pytest.raises(IntegrityError), transaction.atomic():
        Coupon.objects.create(code="welcome10", kind="percent", basis_points=1)


def test_coupon_is_stopped_once(db) -> None:
    coupon = coupon_making.stop(coupon=make_coupon())
    with pytest.raises(errors.CouponOver):
        coupon_making.stop(coupon=coupon)


def test_terms_of_a_use_stay_when_the_coupon_changes(bob, stripe) -> None:
    coupon = make_coupon()
    payment = buy(bob, gateways=["stripe"])
    Coupon.objects.filter(pk=coupon.pk).update(basis_points=9_000)
    stripe.pays()
    assert (shop.told(payment).amount_minor, Redemption.objects.get().terms["basis_points"]) == (899, 1_000)


def test_check_finds_a_figure_that_is_not_the_number_of_uses(bob) -> None:
    make_coupon()
    buy(bob)
    Coupon.objects.update(used=0)
    found = billing_checks.coupons_are_used_as_often_as_they_say()
    assert found.examples == ["coupon WELCOME10 says 0 uses and has 1"]


def test_expired_checkout_gives_its_use_back_by_the_sweep(bob, gateways) -> None:
    make_coupon(limit=1)
    payment = buy(bob, gateways=["stripe"])
    Payment.objects.update(expires_at=NOW() - timedelta(minutes=1))
    assert asking.expire_abandoned() == 1
    assert (Payment.objects.get(pk=payment.pk).status, uses()) == ("expired", 0)
    payments.give_up(payment=payment)
    assert uses() == 0
