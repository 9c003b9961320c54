"""Checkouts of what sellers sell: who gets what when it is paid, refunded, disputed, and when a refund comes back."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from billing import asking, disputes, errors, fulfilment, gateway_refunds, refund_sending, refunds, sale_payments
from billing.gateways import subscribing as words
from billing.gateways.base import RefundResult, RefundState
from billing.gateways.subscribing import DisputeResult
from billing.models import Attempt, Case, Payment, Refund
from billing.models.payments import AttemptState
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.refunding import ask_for, disputed, made_in_the_dashboard, say
from credits.tests import gates
from events.models import Event
from ledger.checks import faults
from ledger.money import Money
from ledger.tests.books import on
from rest.tests.callers import customer, post, service
from wallets import sales, sellers, withdrawals
from wallets.errors import SellerCannotCover
from wallets.models import CommissionRule, Sale, TakeBack, Wallet, WhenWithdrawn
from wallets.tests import people
from wallets.tests.people import available, make_rule, make_type, parts

pytestmark = pytest.mark.django_db
TICKET = {"seller": "organizer-1", "type": "ticket_sale", "reference": "seat 7", "amount": 4_000}


@pytest.fixture(autouse=True)
def rules() -> None:
    make_type()
    make_rule(basis_points=1_000)


def checkout(**body: Any) -> Any:
    buyer = service("start_checkout", acts_for=shop.make_user())
    return post("checkouts", buyer, {"currency": "EUR", "gateways": ["stripe"]} | body)


def sold(stripe: RefundingGateway, *lines: dict[str, Any]) -> Payment:
    """Paid and told to us."""
    answer = checkout(sales=list(lines or [TICKET]))
    assert answer.status_code == 201, answer.content
    payment = Payment.objects.get(pk=answer.json()["payment"]["id"])
    stripe.pays(payment.attempts.get().reference)
    return shop.told(payment)


def seller(payment: Payment, number: int = 0) -> Any:
    return Sale.objects.get(payment_key=str(payment.pk), number=number).wallet.seller.user


# ---------------------------------------------------------------- bought


def accounts() -> set[str]:
    return set(User.objects.values_list("username", flat=True))


@pytest.mark.parametrize("path", ["checkouts", "checkouts/preview"])
@pytest.mark.parametrize("name", ["bob\u200b", "bob\ud7ff\u2028", "b" * 151])
def test_seller_whom_no_token_could_name_is_refused(stripe, path, name) -> None:
    buyer = service("start_checkout", acts_for=shop.make_user())
    before = accounts()
    answer = post(path, buyer, {"currency": "EUR", "sale": TICKET | {"seller": name}})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "sale.seller")
    assert accounts() == before


@pytest.mark.parametrize("path", ["checkouts", "checkouts/preview"])
@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
def test_operator_sells_nothing(stripe, path, rights) -> None:
    User.objects.create(username="olive", **rights)
    buyer = service("start_checkout", acts_for=shop.make_user())
    answer = post(path, buyer, {"currency": "EUR", "sale": TICKET | {"seller": "olive"}})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_value")
    assert not Payment.objects.exists()


def test_seller_who_became_an_operator_has_what_was_paid_to_them(stripe) -> None:
    answer = checkout(sale=TICKET)
    User.objects.filter(username="organizer-1").update(is_staff=True)
    stripe.pays()
    shop.told(Payment.objects.get(pk=answer.json()["payment"]["id"]))
    assert Sale.objects.get().wallet.seller.user.username == "organizer-1"


def test_preview_of_a_sale_makes_nobody_a_seller(stripe) -> None:
    buyer = service("start_checkout", acts_for=shop.make_user())
    before = accounts()
    answer = post(
        "checkouts/preview", buyer, {"currency": "EUR", "sales": [TICKET, TICKET | {"seller": "organizer-2"}]}
    )
    assert (answer.status_code, answer.json()["amount"], accounts()) == (200, 8_000, before)
    checkout(sale=TICKET)
    assert accounts() & {"organizer-1", "organizer-2"} == {"organizer-1"}


def test_paid_sale_is_split_between_seller_and_us(stripe) -> None:
    answer = checkout(sale=TICKET)
    payment = Payment.objects.get(pk=answer.json()["payment"]["id"])
    assert (answer.status_code, payment.kind, payment.description, payment.tax_minor) == (201, "sale", "Ticket", 0)
    stripe.pays(fee=Money(130, "EUR"))
    assert shop.told(payment).delivered_at is not None
    [sale] = Sale.objects.all()
    assert (sale.payment_key, sale.reference, sale.gateway) == (str(payment.pk), "seat 7", "stripe")
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("fees:stripe:EUR")) == (3_600, 400, -130)
    assert seller(payment).username == "organizer-1"
    assert faults() == {}


def test_fee_that_the_gateway_says_later_is_booked_once(stripe) -> None:
    """Stripe and PayPal may say what they keep a while after the money has come."""
    stripe.capabilities = replace(stripe.capabilities, tells_fees=True)
    payment = sold(stripe)
    attempt = payment.attempts.get()
    assert (attempt.fee_minor, on("fees:stripe:EUR")) == (None, 0)
    assert attempt.next_ask_at is not None
    stripe.sold[attempt.reference].fee = Money(130, "EUR")
    asking.ask_due(attempt.next_ask_at)
    learned = payment.attempts.get()
    assert (learned.fee_minor, learned.fee_currency, learned.next_ask_at) == (130, "EUR", None)
    stripe.sold[attempt.reference].fee = Money(140, "EUR")
    shop.told(payment)
    assert (on("fees:stripe:EUR"), on("commission:EUR"), parts(seller(payment))["pending"]) == (-130, 400, 3_600)
    assert on("gateway:stripe:EUR") == -(4_000 - 130)
    assert faults() == {}


def test_several_sellers_each_get_their_own_part(stripe) -> None:
    payment = sold(stripe, TICKET, TICKET | {"seller": "designer-9", "amount": 1_001})
    assert payment.amount_minor == 5_001
    assert payment.description == "Ticket +1"
    assert parts(seller(payment, 0))["pending"] == 3_600
    assert parts(seller(payment, 1))["pending"] == 901
    assert on("commission:EUR") == 500
    assert faults() == {}


def test_sale_heard_of_twice_is_recorded_once(stripe) -> None:
    payment = sold(stripe)
    shop.told(payment)
    assert Sale.objects.count() == 1


def test_customer_may_not_name_the_price_of_a_sale(stripe) -> None:
    answer = post("checkouts", customer(shop.make_user()), {"currency": "EUR", "sale": TICKET})
    assert (answer.status_code, answer.json()["code"]) == (400, "amount_not_yours")
    assert not Payment.objects.exists()


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"type": "lottery"}, 400, "unknown_sale_type"),
        ({"amount": 0}, 400, "validation_error"),
        ({"amount": -5}, 400, "validation_error"),
        ({"amount": 1.5}, 400, "validation_error"),
        ({"reference": "x" * 101}, 400, "validation_error"),
        ({"colour": "red"}, 400, "validation_error"),
    ],
)
def test_what_could_not_be_recorded_is_refused_before_anybody_pays(stripe, changes, status, code) -> None:
    answer = checkout(sale=TICKET | changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Payment.objects.exists()
    assert stripe.sold == {}


def test_sale_and_sales_at_once_are_refused(stripe) -> None:
    assert checkout(sale=TICKET, sales=[TICKET]).status_code == 400


def test_books_find_a_sale_that_was_paid_and_not_recorded(stripe) -> None:
    payment = sold(stripe)
    Sale.objects.filter(payment_key=str(payment.pk)).update(payment_key="elsewhere")
    assert "payments_are_delivered_once" in str(faults())


# ---------------------------------------------------------------- given back


def test_full_refund_leaves_everybody_where_they_began(stripe) -> None:
    payment = sold(stripe)
    made = ask_for(payment)
    assert parts(seller(payment))["pending"] == 3_600  # held, not yet gone
    refund_sending.work_through()
    assert Refund.objects.get(pk=made.pk).status == "succeeded"
    assert parts(seller(payment))["pending"] == 0
    assert (on("commission:EUR"), on("gateway:stripe:EUR")) == (0, 0)
    assert faults() == {}


def test_partial_refunds_sum_up_to_the_last_unit(stripe) -> None:
    payment = sold(stripe, TICKET | {"amount": 1_001}, TICKET | {"seller": "designer-9", "amount": 333})
    for minor in (333, 1, 500, None):
        ask_for(payment, minor)
        refund_sending.work_through()
    assert people.everything() == {}
    assert faults() == {}


def test_refund_that_its_gateway_refuses_gives_the_seller_everything_again(stripe) -> None:
    payment = sold(stripe)
    made = ask_for(payment, 1_000)
    refunds.note(refund=made, result=RefundResult(state=RefundState.FAILED))
    assert [each.state for each in TakeBack.objects.all()] == ["voided"]
    sales.release_due(people.FAR_AWAY)
    assert available(seller(payment)) == 3_600
    assert faults() == {}


def test_refund_that_comes_back_days_later_gives_everybody_their_part_again(stripe) -> None:
    payment = sold(stripe)
    made = ask_for(payment)
    refund_sending.work_through()
    sales.release_due(people.FAR_AWAY)
    say(made, RefundState.FAILED)
    assert (available(seller(payment)), on("commission:EUR"), on("gateway:stripe:EUR")) == (3_600, 400, -4_000)
    assert Sale.objects.get().left == Money(4_000, "EUR")
    assert faults() == {}


def test_refund_that_arrives_after_it_had_failed_is_booked(stripe) -> None:
    payment = sold(stripe)
    made = ask_for(payment)
    for state in (RefundState.FAILED, RefundState.SUCCEEDED):
        say(made, state)
    assert people.everything() == {}
    assert faults() == {}


def test_refund_that_comes_back_and_arrives_again_is_booked_each_time(stripe) -> None:
    payment = sold(stripe)
    made = ask_for(payment)
    outcome = []
    for state in (RefundState.SUCCEEDED, RefundState.FAILED) * 3:
        say(made, state)
        outcome.append((parts(seller(payment))["pending"], on("commission:EUR"), on("gateway:stripe:EUR")))
    assert outcome == [(0, 0, 0), (3_600, 400, -4_000)] * 3
    assert Sale.objects.get().left == Money(4_000, "EUR")
    assert faults() == {}


def withdrawn(stripe: RefundingGateway) -> Payment:
    """A sale whose seller has everything out already."""
    payment = sold(stripe)
    sales.release_due(people.FAR_AWAY)
    people.withdraw(seller(payment), 3_600)
    return payment


def test_seller_who_has_withdrawn_is_not_taken_from_unless_the_rule_says_so(stripe) -> None:
    payment = withdrawn(stripe)
    with pytest.raises(SellerCannotCover):
        ask_for(payment, policy=RefundPolicy.UNSPENT_ONLY)
    assert not Refund.objects.exists()
    assert stripe.asked[-1].startswith("fetch")


def test_operator_may_decide_that_we_bear_it(stripe) -> None:
    payment = withdrawn(stripe)
    ask_for(payment, policy=RefundPolicy.GOODWILL)
    refund_sending.work_through()
    assert (on("loss:EUR"), on("commission:EUR"), available(seller(payment))) == (-3_600, 0, 0)
    assert faults() == {}


def test_refund_made_at_the_gateway_is_booked_though_nobody_covers_it(stripe) -> None:
    payment = withdrawn(stripe)
    attempt = payment.attempts.get()
    made = gateway_refunds.book(attempt=attempt, amount=payment.money, ids={"refund": "re_1"})
    refunds.note(refund=made, result=RefundResult(state=RefundState.SUCCEEDED))
    assert (on("loss:EUR"), on("gateway:stripe:EUR"), on("gateway:paypal:EUR")) == (-3_600, 0, 3_600)
    assert faults() == {}


def test_more_than_is_left_is_refused(stripe) -> None:
    payment = sold(stripe)
    ask_for(payment, 3_000)
    with pytest.raises(errors.RefundTooLarge):
        ask_for(payment, 1_001)
    assert Refund.objects.count() == 1


def test_preview_says_whom_the_money_comes_from_and_moves_nothing(stripe) -> None:
    payment = sold(stripe, TICKET, TICKET | {"seller": "designer-9", "amount": 1_000})
    plan = refunds.preview(payment=payment, amount=Money(500, "EUR"))
    told = [(share.amount.minor, share.plan.pending.minor, share.plan.commission.minor) for share in plan.shares]
    assert told == [(400, 360, 40), (100, 90, 10)]
    assert not TakeBack.objects.exists()


def test_service_sees_who_would_bear_a_refund(stripe) -> None:
    payment = sold(stripe)
    told = post("refunds/preview", service("request_refund"), {"payment": str(payment.pk), "amount": 1_000}).json()
    share = {"seller": "organizer-1", "reference": "seat 7", "amount": 1_000}
    assert told["sales"] == [share | {"from_seller": 900, "commission": 100, "our_cost": 0}]


# ---------------------------------------------------------------- a bank asks


def test_dispute_freezes_what_the_seller_has_and_winning_frees_it(stripe) -> None:
    payment = sold(stripe)
    disputed(payment, words.DisputeState.NEEDS_RESPONSE)
    sales.release_due(timezone.now() + timedelta(days=400))
    assert available(seller(payment)) == 0
    disputed(payment, words.DisputeState.WON)
    sales.release_due(people.FAR_AWAY)
    assert available(seller(payment)) == 3_600
    assert faults() == {}


def test_lost_dispute_is_taken_at_the_sales_own_split(stripe) -> None:
    payment = sold(stripe)
    disputed(payment, words.DisputeState.NEEDS_RESPONSE)
    disputed(payment, words.DisputeState.LOST)
    assert people.everything() == {}
    assert faults() == {}


def test_bank_that_asks_for_more_than_was_paid_costs_us_the_rest(stripe) -> None:
    payment = sold(stripe)
    disputed(payment, words.DisputeState.LOST, 4_500)
    assert (on("loss:EUR"), on("gateway:stripe:EUR"), parts(seller(payment))["pending"]) == (-500, 500, 0)
    assert faults() == {}


@pytest.mark.parametrize(("state", "loss"), [("needs_response", 0), ("won", 0), ("lost", -4_000)])
def test_bank_that_asks_for_what_was_refunded_takes_nothing_of_the_seller(stripe, state: str, loss: int) -> None:
    payment = sold(stripe, TICKET, TICKET | {"amount": 1_000})
    refund_sending.send(ask_for(payment))
    disputed(payment, words.DisputeState(state), 4_000)
    assert (on("loss:EUR"), parts(seller(payment))["pending"]) == (loss, 0)
    assert TakeBack.objects.count() == 2  # those of the refund
    assert faults() == {}


def test_refund_made_during_a_dispute_is_taken_of_the_seller_when_that_is_won(stripe) -> None:
    payment = sold(stripe)
    disputed(payment, words.DisputeState.NEEDS_RESPONSE)
    made = made_in_the_dashboard(stripe, payment, 1_000)
    assert (Refund.objects.get().status, on("gateway:stripe:EUR")) == ("pending", -4_000)
    disputed(payment, words.DisputeState.WON)
    refund_sending.work_through()
    assert Refund.objects.get(pk=made.pk).status == "succeeded"
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (2_700, 300, 0)
    assert on("gateway:stripe:EUR") == -3_000
    assert faults() == {}


def test_refund_made_during_a_dispute_that_is_lost_leaves_the_seller_what_the_bank_has_left(stripe) -> None:
    payment = sold(stripe)
    disputed(payment, words.DisputeState.NEEDS_RESPONSE)
    made_in_the_dashboard(stripe, payment, 1_000)
    disputed(payment, words.DisputeState.LOST)
    refund_sending.work_through()
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (0, 0, -1_000)
    assert on("gateway:stripe:EUR") == 1_000
    assert faults() == {}


def test_what_came_free_while_the_bank_decided_is_taken_when_the_dispute_is_lost(stripe) -> None:
    """All of the sale was held for a refund when the dispute froze what was left: nothing."""
    payment = sold(stripe)
    failing = ask_for(payment)
    disputed(payment, words.DisputeState.NEEDS_RESPONSE)
    refunds.note(refund=failing, result=RefundResult(state=RefundState.FAILED))
    assert parts(seller(payment))["pending"] == 3_600
    disputed(payment, words.DisputeState.LOST)
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (0, 0, 0)
    assert faults() == {}


def test_withdrawal_that_was_taken_back_while_the_bank_decided_bears_the_loss(stripe) -> None:
    payment = sold(stripe)
    sales.release_due(people.FAR_AWAY)
    wish = people.ask(seller(payment), 3_600)
    disputed(payment, words.DisputeState.NEEDS_RESPONSE)
    withdrawals.cancel(withdrawal=wish)
    assert available(seller(payment)) == 3_600
    disputed(payment, words.DisputeState.LOST)
    assert (available(seller(payment)), on("commission:EUR"), on("loss:EUR")) == (0, 0, 0)
    assert faults() == {}


def test_lost_dispute_is_borne_by_the_seller_before_their_other_debt(stripe) -> None:
    CommissionRule.objects.update(when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor=5_000, currency="EUR")
    payment, other = sold(stripe), sold(stripe)
    sales.release_due(people.FAR_AWAY)
    disputed(payment, words.DisputeState.NEEDS_RESPONSE)
    people.withdraw(seller(payment), 3_600)
    refund_sending.send(ask_for(other, policy=RefundPolicy.FULL_WITH_DEBT))
    assert (available(seller(payment)), parts(seller(payment))["debt"]) == (3_600 - 3_600, -3_600)
    disputed(payment, words.DisputeState.LOST)
    assert (parts(seller(payment))["debt"], on("loss:EUR")) == (-3_600, 0)
    assert faults() == {}


# ---------------------------------------------------------------- paid twice


@pytest.fixture
def twice(stripe) -> Attempt:
    """The second payment of a sale, which stands in suspense; ours to send it back was refused."""
    payment = sold(stripe)
    first = payment.attempts.get()
    second = Attempt.objects.create(
        payment=payment, gateway="stripe", state=AttemptState.SURPLUS, paid_at=timezone.now()
    )
    fulfilment.book_surplus(payment=payment, attempt=second)
    assert (on("suspense:EUR"), first.state) == (4_000, AttemptState.SUCCEEDED)
    return second


def stood_by(payment: Payment) -> tuple[int, int, int]:
    return parts(seller(payment))["pending"], on("commission:EUR"), on("suspense:EUR")


def there(stripe: RefundingGateway, attempt: Attempt, minor: int = 4_000) -> Refund:
    made = gateway_refunds.book(attempt=attempt, amount=Money(minor, "EUR"), ids={"refund": "re_dash"})
    stripe.refund_states[made.reference] = RefundState.SUCCEEDED
    return refund_sending.ask(made)


def test_double_payment_that_people_give_back_at_the_gateway_takes_nothing_of_the_seller(stripe, twice) -> None:
    for _ in range(2):
        made = there(stripe, twice)
    assert (made.status, made.origin, Refund.objects.count()) == ("succeeded", "surplus", 1)
    assert stood_by(twice.payment) == (3_600, 400, 0)
    assert not Event.objects.filter(type="payment.refunded").exists()
    assert refunds.preview(payment=twice.payment).refundable == 4_000
    assert faults() == {}


def test_refund_of_a_double_payment_that_waits_here_is_the_one_that_people_made_there(stripe, twice) -> None:
    waiting = refund_sending.return_surplus(twice)
    assert waiting is not None
    made = there(stripe, twice)
    assert (made.pk, made.status, Refund.objects.count()) == (waiting.pk, "succeeded", 1)
    assert stood_by(twice.payment) == (3_600, 400, 0)


def test_another_amount_of_a_double_payment_is_for_people_to_look_at(stripe, twice) -> None:
    refund_sending.return_surplus(twice)
    gateway_refunds.book(attempt=twice, amount=Money(1_000, "EUR"), ids={"refund": "re_dash"})
    assert (Refund.objects.count(), Case.objects.get().kind) == (1, "surplus")


@pytest.mark.parametrize(("end", "suspense"), [("won", 4_000), ("lost", 0)])
def test_dispute_about_a_double_payment_takes_nothing_of_the_seller(stripe, twice, end, suspense) -> None:
    for state in ("needs_response", end):
        told = DisputeResult(id="dp_2", state=words.DisputeState(state), amount=Money(4_000, "EUR"), reason="duplicate")
        disputes.note(attempt=twice, result=told)
    assert stood_by(twice.payment) == (3_600, 400, suspense)
    assert (on("loss:EUR"), TakeBack.objects.count()) == (0, 0)
    assert faults() == {}


def test_lost_dispute_about_a_double_payment_leaves_the_good_one_refundable(stripe, twice) -> None:
    told = DisputeResult(id="dp_2", state=words.DisputeState.LOST, amount=Money(4_000, "EUR"), reason="duplicate")
    disputes.note(attempt=twice, result=told)
    refund_sending.send(ask_for(twice.payment))
    assert stood_by(twice.payment) == (0, 0, 0)
    assert faults() == {}


def test_dispute_about_a_double_payment_that_has_gone_back_is_our_loss(stripe, twice) -> None:
    there(stripe, twice)
    told = DisputeResult(id="dp_2", state=words.DisputeState.LOST, amount=Money(4_000, "EUR"), reason="duplicate")
    disputes.note(attempt=twice, result=told)
    assert (stood_by(twice.payment), on("loss:EUR")) == ((3_600, 400, 0), -4_000)
    assert faults() == {}


# ---------------------------------------------------------------- rivals

FIRST, SECOND = [TICKET | {"seller": f"organizer-{number}", "reference": f"seat {number}"} for number in (1, 2)]
SAME_SELLERS = [[FIRST, SECOND], [SECOND, FIRST]]


@pytest.fixture
def stopped_at_each_wallet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has locked one wallet waits until everybody has, or waits for a lock."""
    usual = sellers.lock_one

    def lock_one(wallet: Wallet) -> Any:
        found = usual(wallet)
        gates.wait_at_the_gate()
        return found

    monkeypatch.setattr(sellers, "lock_one", lock_one)


@pytest.mark.django_db(transaction=True)
def test_refunds_of_the_same_sellers_do_not_wait_for_each_other(stripe, stopped_at_each_wallet) -> None:
    payments = [sold(stripe, *lines) for lines in SAME_SELLERS]
    done = gates.run_through_the_gate([partial(ask_for, payment) for payment in payments])
    assert [each.amount_minor for each in done] == [8_000, 8_000]
    assert faults() == {}


@pytest.mark.django_db(transaction=True)
def test_canary_without_the_lock_of_all_sellers_they_do(stripe, stopped_at_each_wallet, monkeypatch) -> None:
    payments = [sold(stripe, *lines) for lines in SAME_SELLERS]
    monkeypatch.setattr(sale_payments, "_lock", lambda payment: None)
    done = gates.run_through_the_gate([partial(ask_for, payment) for payment in payments])
    assert sorted(type(each) is Refund for each in done) == [False, True]
    assert any("deadlock" in str(each) for each in done)
