from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import asking, breaker, checkout, errors, payments, pricing
from billing.checkout import Wishes
from billing.gateways.base import PaymentState
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.models import Attempt, Case, Payment
from billing.models.payments import AttemptState, PaymentStatus
from billing.tests import shop
from billing.tests.fakes import Sold
from credits.models import Grant, Pack
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from ledger.tests.races import meeting_of, run_together
from rest.tests.callers import customer, post

pytestmark = pytest.mark.django_db


def states(payment: Payment) -> list[tuple[str, str]]:
    return list(payment.attempts.values_list("gateway", "state"))


# ---------------------------------------------------------------- checkout


def test_checkout_leads_to_the_page_of_the_first_gateway_that_can(stripe) -> None:
    payment = shop.buy()
    attempt = payment.attempts.get()
    assert (attempt.gateway, attempt.state) == ("stripe", AttemptState.REQUIRES_ACTION)
    assert attempt.next_action["url"] == f"https://stripe.example/pay/{attempt.reference}"
    assert stripe.asked == [f"open {attempt.reference}"]
    assert (payment.amount_minor, payment.currency, payment.status) == (999, "EUR", PaymentStatus.PENDING)


def test_attempt_is_committed_before_its_gateway_is_called(stripe, monkeypatch) -> None:
    seen = []

    def look(request):
        seen.append(Attempt.objects.get(id=request.reference).state)
        raise Unavailable("down", gateway="stripe")

    monkeypatch.setattr(stripe, "open_checkout", look)
    shop.buy()
    assert seen == [AttemptState.CREATED]


def test_gateway_that_is_down_is_followed_by_the_next_one(stripe, paypal) -> None:
    stripe.silent = True
    payment = shop.buy()
    assert states(payment) == [("stripe", "failed"), ("paypal", "requires_action")]


def test_refusal_of_the_gateway_itself_is_followed_by_the_next_one(stripe) -> None:
    stripe.refuses = Declined("no account", gateway="stripe", category=FailureCategory.CONFIGURATION)
    assert states(shop.buy()) == [("stripe", "failed"), ("paypal", "requires_action")]


def test_refusal_of_the_buyer_is_not_tried_elsewhere(stripe, paypal) -> None:
    stripe.refuses = Declined("no", gateway="stripe", category=FailureCategory.RISK)
    with pytest.raises(errors.NoGatewayTakesIt) as refusal:
        shop.buy()
    assert refusal.value.reasons[0] == {"gateway": "stripe", "rule": "refused", "detail": "risk"}
    assert paypal.asked == []
    assert Payment.objects.get().status == PaymentStatus.FAILED


def test_lost_reply_is_never_followed_by_another_gateway(stripe, paypal) -> None:
    stripe.loses = True
    payment = shop.buy()
    assert states(payment) == [("stripe", "unknown")]
    assert paypal.asked == []
    assert payment.status == PaymentStatus.PENDING


def test_lost_reply_is_found_again_with_its_page(stripe) -> None:
    stripe.loses = True
    payment = shop.told(shop.buy())
    attempt = payment.attempts.get()
    assert attempt.state == AttemptState.REQUIRES_ACTION
    assert attempt.next_action["url"].endswith(attempt.reference)


def test_whoever_tries_again_beside_an_unknown_payment_does_not_pay_twice(gateways) -> None:
    """S11: the first gateway took the money and its answer was lost; the buyer reloads and picks another one."""
    gateways["stripe"].loses = True
    first = shop.buy(gateways=["stripe"])
    assert states(first) == [("stripe", "unknown")]
    with pytest.raises(errors.AttemptLive) as refused:
        shop.buy(first.user, gateways=["paypal"])
    assert refused.value.payment == first.pk
    shop.buy(gateways=["paypal"])  # somebody else may
    shop.make_pack(code="small", credits=100)
    checkout.start(user=first.user, purchase=pricing.pack("small", "EUR", "en"), wishes=Wishes(gateways=("paypal",)))
    gateways["stripe"].pays(first.attempts.get().reference)
    assert shop.told(first).status == PaymentStatus.SUCCEEDED
    shop.buy(first.user, gateways=["paypal"])  # now it is known, and they may want two


def test_whoever_tries_again_once_it_is_known_that_nothing_was_paid_may(gateways) -> None:
    gateways["stripe"].loses = True
    first = shop.buy(gateways=["stripe"])
    Attempt.objects.update(state=AttemptState.FAILED)
    assert shop.buy(first.user, gateways=["paypal"]).attempts.get().gateway == "paypal"


def test_unknown_payment_that_people_look_after_keeps_nobody_from_buying(gateways) -> None:
    """Nobody asks its gateway any more: it may be gone for good."""
    gateways["stripe"].loses = True
    first = shop.buy(gateways=["stripe"])
    Attempt.objects.update(next_ask_at=None)
    assert shop.buy(first.user, gateways=["paypal"]).attempts.get().gateway == "paypal"


def test_second_try_of_a_pack_is_refused_with_the_first_payment_named(gateways) -> None:
    gateways["stripe"].loses = True
    first = shop.buy(gateways=["stripe"])
    wish = {"pack": "medium", "currency": "EUR", "gateways": ["paypal"]}
    answer = post("checkouts", customer(first.user), wish)
    assert (answer.status_code, answer.json()["code"], answer.json()["payment"]) == (409, "attempt_live", str(first.pk))


def test_all_gateways_down_is_said_with_the_time_to_wait(gateways) -> None:
    for fake in gateways.values():
        fake.silent = True
    with pytest.raises(errors.GatewaysDown) as refusal:
        shop.buy()
    assert refusal.value.retry_after_seconds == 7
    assert Payment.objects.get().status == PaymentStatus.FAILED
    assert not Event.objects.filter(type="payment.failed").exists()


def test_gateways_that_are_left_alone_for_a_while_are_not_asked_and_the_while_is_told(gateways, settings) -> None:
    for name in gateways:
        for _ in range(settings.GATEWAY_BREAKER_FAILURES):
            breaker.note(name, Unavailable("down", gateway=name, category=FailureCategory.PROVIDER_DOWN))
    with pytest.raises(errors.GatewaysDown) as refusal:
        shop.buy()
    assert refusal.value.retry_after_seconds == settings.GATEWAY_BREAKER_OPEN_SECONDS
    assert [fake.asked for fake in gateways.values()] == [[], [], []]
    assert not Payment.objects.exists()


def test_second_live_attempt_is_refused_by_the_database_too(stripe) -> None:
    payment = shop.buy()
    with pytest.raises(errors.AttemptLive):
        payments.begin(payment=payment, gateway_name="paypal")
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.create(payment=payment, gateway="paypal", notify_token="second")
    assert payment.attempts.count() == 1


def test_payment_that_is_over_is_brought_to_no_other_gateway(stripe) -> None:
    payment = asking.cancel(shop.buy())
    with pytest.raises(errors.PaymentOver):
        payments.begin(payment=payment, gateway_name="paypal")
    assert states(payment) == [("stripe", "cancelled")]


def test_price_of_the_moment_stays_that_of_the_payment(stripe) -> None:
    payment = shop.buy()
    payment_details = dict(payment.details)
    Pack.objects.update(credits=1, bonus=0)
    stripe.pays()
    shop.told(payment)
    assert (payment_details["credits"], payment_details["bonus"]) == (250, 25)
    assert shop.credits_of(payment.user) == 275


# ---------------------------------------------------------------- paid


def test_paid_pack_brings_paid_and_bonus_credits_and_books_the_money(stripe) -> None:
    payment = shop.buy()
    stripe.pays(fee=Money(45, "EUR"))
    payment = shop.told(payment)
    assert payment.status == PaymentStatus.SUCCEEDED
    assert payment.delivered_at is not None
    grants = Grant.objects.of(payment.user).order_by("-source").values_list("source", "amount", "paid_minor")
    assert list(grants) == [("pack", 250, 999), ("bonus", 25, None)]
    assert on("revenue:packs:EUR") == 999
    assert on("fees:stripe:EUR") == -45
    assert on("gateway:stripe:EUR") == -954
    assert checks.faults() == {}


def test_pack_without_a_bonus_brings_what_was_paid_and_no_more(stripe) -> None:
    shop.make_pack(bonus=0)
    payment = shop.paid(stripe)
    assert list(Grant.objects.of(payment.user).values_list("source", "amount")) == [("pack", 250)]
    assert (shop.credits_of(payment.user), checks.faults()) == (250, {})


@pytest.mark.parametrize(("fee", "booked"), [(Money(45, "EUR"), -45), (Money(50, "USD"), 0)])
def test_fee_that_is_said_later_is_booked_where_it_is_of_the_same_currency(stripe, fee, booked) -> None:
    stripe.capabilities = replace(stripe.capabilities, tells_fees=True)
    payment = shop.paid(stripe)
    stripe.pays(stripe.only, fee=fee)
    for _ in range(2):
        shop.told(payment)
    assert (payment.attempts.get().fee_minor, payment.attempts.get().fee_currency) == (fee.minor, fee.unit)
    assert (on("fees:stripe:EUR"), on("fees:stripe:USD")) == (booked, 0)
    assert on("gateway:stripe:EUR") == -999 - booked
    assert checks.faults() == {}


def test_paid_payment_is_told_once(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    for _ in range(3):
        shop.told(payment)
    [event] = Event.objects.filter(type="payment.succeeded")
    assert event.data == {
        "payment": str(payment.pk),
        "amount": 999,
        "currency": "EUR",
        "gateway": "stripe",
        "kind": "pack",
        "item": "medium",
    }
    assert shop.credits_of(payment.user) == 275


def test_paypal_captures_what_the_buyer_agreed_to(paypal) -> None:
    payment = shop.buy(gateways=["paypal"])
    paypal.becomes(PaymentState.AUTHORIZED)
    assert shop.told(payment).status == PaymentStatus.SUCCEEDED
    assert paypal.asked[-1].startswith("capture")


@pytest.mark.parametrize("amount", [Money(998, "EUR"), Money(1_000, "EUR"), Money(999, "USD"), None])
def test_wrong_amount_is_quarantined_and_nothing_is_delivered(stripe, amount) -> None:
    payment = shop.buy()
    stripe.pays(amount=amount)
    payment = shop.told(payment)
    assert (payment.status, payment.delivered_at) == (PaymentStatus.QUARANTINED, None)
    assert states(payment) == [("stripe", "quarantined")]
    assert shop.credits_of(payment.user) == 0
    case = Case.objects.get()
    assert (case.kind, case.facts["expected"]) == ("mismatch", "9.99 EUR")
    unit = amount.unit if amount else "EUR"
    assert on(f"suspense:{unit}") == (amount.minor if amount else 0)
    assert checks.faults() == {}


def test_quarantine_opens_one_case_however_often_it_is_heard(stripe) -> None:
    payment = shop.buy()
    stripe.pays(amount=Money(1, "EUR"))
    for _ in range(3):
        shop.told(payment)
    assert Case.objects.count() == 1
    assert on("suspense:EUR") == 1


@pytest.mark.parametrize("late", [payments.refuse, payments.doubt])
def test_call_that_fails_after_its_letter_undoes_nothing(stripe, late) -> None:
    payment = shop.paid(stripe)
    late(attempt=payment.attempts.get(), error=Declined("no", gateway="stripe"))
    assert states(payment) == [("stripe", "succeeded")]
    assert payment.attempts.get().failure_category == ""


# ---------------------------------------------------------------- not paid


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (PaymentState.FAILED, PaymentStatus.FAILED),
        (PaymentState.CANCELLED, PaymentStatus.CANCELLED),
        (PaymentState.EXPIRED, PaymentStatus.EXPIRED),
    ],
)
def test_end_at_the_gateway_is_the_end_of_the_payment(stripe, state, status) -> None:
    payment = shop.buy()
    stripe.becomes(state)
    assert shop.told(payment).status == status
    assert shop.credits_of(payment.user) == 0


def test_failed_payment_is_told_with_its_reason(stripe) -> None:
    payment = shop.buy()
    stripe.becomes(PaymentState.FAILED, category=FailureCategory.INSUFFICIENT_FUNDS)
    shop.told(payment)
    event = Event.objects.get(type="payment.failed")
    assert (event.data["reason"], event.data["retry_url"]) == ("insufficient_funds", None)


def test_money_that_comes_late_is_delivered(stripe) -> None:
    payment = shop.buy()
    stripe.becomes(PaymentState.EXPIRED)
    shop.told(payment)
    stripe.pays()
    assert shop.told(payment).status == PaymentStatus.SUCCEEDED
    assert shop.credits_of(payment.user) == 275
    assert checks.faults() == {}


def test_paid_stays_paid_when_its_gateway_has_forgotten_it(stripe) -> None:
    payment = shop.paid(stripe)
    Attempt.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    stripe.sold.clear()
    for _ in range(4):
        assert shop.told(payment).status == PaymentStatus.SUCCEEDED
    attempt = payment.attempts.get()
    assert (attempt.state, attempt.not_found) == (AttemptState.SUCCEEDED, 0)


@pytest.mark.parametrize("later", [PaymentState.FAILED, PaymentState.EXPIRED, PaymentState.PENDING])
def test_paid_stays_paid_whatever_is_heard_later(stripe, later) -> None:
    payment = shop.buy()
    stripe.pays()
    shop.told(payment)
    stripe.becomes(later)
    assert shop.told(payment).status == PaymentStatus.SUCCEEDED
    assert states(payment) == [("stripe", "succeeded")]


def test_second_payment_of_the_same_thing_waits_aside(gateways) -> None:
    gateways["stripe"].silent = True
    payment = shop.buy()
    gateways["stripe"].silent = False
    first, second = payment.attempts.all()
    gateways["paypal"].pays(second.reference)
    shop.told(payment)
    # It had acted after all, although it seemed to be down.
    gateways["stripe"].sold[first.reference] = type(gateways["paypal"].sold[second.reference])(amount=payment.money)
    gateways["stripe"].pays(first.reference)
    asking.ask(Attempt.objects.select_related("payment").get(pk=first.pk))
    assert states(payment) == [("stripe", "surplus"), ("paypal", "succeeded")]
    assert shop.credits_of(payment.user) == 275
    assert (on("revenue:packs:EUR"), on("suspense:EUR")) == (999, 999)
    assert checks.faults() == {}


@pytest.fixture
def paid_late(gateways) -> Payment:
    """PayPal seemed to be down, so that Stripe's page was opened; then it was paid at PayPal after all."""
    gateways["paypal"].silent = True
    payment = shop.buy(gateways=["paypal", "stripe"])
    gateways["paypal"].silent = False
    first = payment.attempts.select_related("payment").get(gateway="paypal")
    gateways["paypal"].sold[first.reference] = Sold(amount=payment.money, state=PaymentState.SUCCEEDED)
    asking.ask(first)
    return Payment.objects.get(pk=payment.pk)


def test_page_of_what_was_paid_elsewhere_is_taken_back(paid_late, stripe) -> None:
    assert shop.told(paid_late).status == PaymentStatus.SUCCEEDED
    assert stripe.sold[stripe.only].state is PaymentState.CANCELLED
    assert states(paid_late) == [("paypal", "succeeded"), ("stripe", "cancelled")]
    assert not Event.objects.filter(type="payment.failed").exists()


def test_page_of_what_was_paid_elsewhere_may_be_paid_already(paid_late, stripe) -> None:
    stripe.pays()
    shop.told(paid_late)
    assert states(paid_late) == [("paypal", "succeeded"), ("stripe", "surplus")]
    assert (shop.credits_of(paid_late.user), on("suspense:EUR")) == (275, 999)


def test_page_that_fails_beside_one_that_was_paid_is_no_failure(paid_late, stripe, monkeypatch) -> None:
    monkeypatch.setattr(stripe, "cancel_checkout", stripe.fetch_payment)
    stripe.becomes(PaymentState.FAILED)
    assert shop.told(paid_late).status == PaymentStatus.SUCCEEDED
    assert states(paid_late) == [("paypal", "succeeded"), ("stripe", "failed")]
    assert not Event.objects.filter(type="payment.failed").exists()


def test_wrong_amount_beside_one_that_was_paid_leaves_that_as_it_is(paid_late, stripe) -> None:
    stripe.pays(amount=Money(1, "EUR"))
    assert shop.told(paid_late).status == PaymentStatus.SUCCEEDED
    assert states(paid_late) == [("paypal", "succeeded"), ("stripe", "quarantined")]
    assert (shop.credits_of(paid_late.user), on("suspense:EUR")) == (275, 1)
    assert Case.objects.get().kind == "mismatch"
    assert checks.faults() == {}


def test_page_stays_known_when_the_gateway_says_only_that_it_waits(stripe, monkeypatch) -> None:
    payment, usual = shop.buy(), stripe.fetch_payment
    monkeypatch.setattr(stripe, "fetch_payment", lambda known: replace(usual(known), next_action=None))
    shop.told(payment)
    assert payment.attempts.get().next_action["url"] == f"https://stripe.example/pay/{stripe.only}"


# ---------------------------------------------------------------- unknown


def test_not_found_proves_nothing_at_first(stripe) -> None:
    stripe.loses = True
    payment = shop.buy()
    stripe.sold.clear()
    for _ in range(5):
        shop.told(payment)
    assert states(payment) == [("stripe", "unknown")]


def test_not_found_again_and_again_ends_the_attempt(stripe) -> None:
    stripe.loses = True
    payment = shop.buy()
    stripe.sold.clear()
    Attempt.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    for _ in range(2):
        assert shop.told(payment).status == PaymentStatus.PENDING
    assert shop.told(payment).status == PaymentStatus.FAILED
    assert states(payment) == [("stripe", "failed")]


def test_uncertain_capture_stays_unknown_until_it_is_told(paypal, monkeypatch) -> None:
    payment = shop.buy(gateways=["paypal"])
    paypal.becomes(PaymentState.AUTHORIZED)
    usual = paypal.capture

    def captured_and_lost(ref):
        usual(ref)
        raise Uncertain("lost", gateway="paypal")

    monkeypatch.setattr(paypal, "capture", captured_and_lost)
    with pytest.raises(Uncertain):
        shop.told(payment)
    assert shop.told(payment).status == PaymentStatus.SUCCEEDED
    assert sum(what.startswith("capture") for what in paypal.asked) == 1


# ---------------------------------------------------------------- races


@pytest.mark.django_db(transaction=True)
def test_eight_who_hear_of_a_payment_at_once_deliver_it_once(stripe) -> None:
    payment = shop.buy()
    stripe.pays()

    def hear() -> str:
        return str(asking.ask(Attempt.objects.select_related("payment").get()).status)

    assert Counter(run_together(8, hear)) == {"succeeded": 8}
    assert shop.credits_of(payment.user) == 275
    assert Event.objects.filter(type="payment.succeeded").count() == 1
    assert checks.faults() == {}


@pytest.mark.django_db(transaction=True)
def test_the_race_is_real_without_the_lock(stripe, monkeypatch) -> None:
    """If this fails, the test above proves nothing: each of them then moves the payment and tells of it."""
    payment = shop.buy()
    stripe.pays()
    meet = meeting_of(8)

    def look_without_locking(attempt_id: UUID) -> tuple[Payment, Attempt]:
        found = Attempt.objects.select_related("payment__user").get(pk=attempt_id)
        meet()
        return found.payment, found

    monkeypatch.setattr(payments, "_lock_attempt", look_without_locking)

    def hear() -> str:
        return str(asking.ask(Attempt.objects.select_related("payment").get()).status)

    assert Counter(run_together(8, hear)) == {"succeeded": 8}
    assert Event.objects.filter(type="payment.succeeded").count() == 8
    assert shop.credits_of(payment.user) == 275  # what is granted has a key, and is granted once even so


def test_capture_that_is_declined_ends_the_attempt_and_is_told(paypal, monkeypatch) -> None:
    payment = shop.buy(gateways=["paypal"])
    paypal.becomes(PaymentState.AUTHORIZED)

    def refuse(known: object) -> None:
        raise Declined("no", gateway="paypal", category=FailureCategory.PAYER_DECLINED, code="TRANSACTION_REFUSED")

    monkeypatch.setattr(paypal, "capture", refuse)
    told = shop.told(payment)
    attempt = Attempt.objects.get()
    assert (told.status, attempt.state, attempt.failure_code) == ("failed", "failed", "TRANSACTION_REFUSED")
    assert Event.objects.get(type="payment.failed").data["reason"] == "payer_declined"
    monkeypatch.undo()
    shop.told(payment)  # a late look: the order still says that the buyer agrees
    assert Attempt.objects.get().state == "failed"


def test_nothing_is_captured_for_what_another_attempt_has_paid(gateways) -> None:
    gateways["stripe"].silent = True
    payment = shop.buy(gateways=["stripe", "paypal"])
    gateways["stripe"].silent = False
    first, second = payment.attempts.order_by("id")
    gateways["stripe"].sold[first.reference] = Sold(amount=payment.money)
    gateways["stripe"].pays(first.reference)
    asking.ask(Attempt.objects.select_related("payment").get(pk=first.pk))
    gateways["paypal"].becomes(PaymentState.AUTHORIZED, second.reference)
    asking.ask(Attempt.objects.select_related("payment").get(pk=second.pk))
    assert [each.state for each in payment.attempts.order_by("id")] == ["succeeded", "cancelled"]
    assert on("suspense:EUR") == 0
