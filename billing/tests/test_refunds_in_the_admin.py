"""What the preview of a refund says beside its amount, and the button that takes one back."""

import pytest

from billing import refund_sending
from billing.models import Refund
from billing.models.refunds import RefundStatus
from billing.tests import shop
from billing.tests.papers import known
from billing.tests.refunding import ask_for
from billing.tests.test_payments_in_the_admin import member, press
from billing.tests.test_refunds_of_what_is_gone import revoked
from credits import usage
from rest.tests.operators import browser, page

pytestmark = pytest.mark.django_db


def test_preview_says_how_much_of_it_is_tax(stripe, french) -> None:
    wish = {"amount": "5.00", "policy": "goodwill", "reason": "late", "preview": "yes"}
    answer = press(member("request_refund"), "billing_payment_refund", shop.paid(stripe, known()), **wish)
    assert "Of that tax: €0.83" in answer.context["lines"]


def test_preview_says_what_was_revoked_already_apart_from_what_was_spent(stripe) -> None:
    payment = shop.paid(stripe)
    usage.spend(user=payment.user, amount=100, key="s-1")
    revoked(payment)
    wish = {"policy": "full_with_debt", "reason": "late", "preview": "yes"}
    shown = press(member("request_refund"), "billing_payment_refund", payment, **wish).context["lines"]
    assert "Revoked or expired already, nothing is owed: 175 credits" in shown
    assert "Spent already, becomes a debt: 100 credits" in shown
    assert not any("tax" in line for line in shown)


def test_refund_that_is_not_sent_is_taken_back_by_a_button(stripe) -> None:
    refund = ask_for(shop.paid(stripe))
    assert shop.credits_of(refund.payment.user) == 0
    assert press(member(), "billing_refund_cancel", refund).status_code == 403
    answer = press(member("request_refund"), "billing_refund_cancel", refund)
    assert (answer.status_code, answer["Location"]) == (302, page("billing_refund_change", refund.pk))
    assert Refund.objects.get().status == RefundStatus.CANCELLED
    assert shop.credits_of(refund.payment.user) == 275
    refund_sending.work_through()
    assert not any(each.startswith("refund") for each in stripe.asked)


def test_refund_that_is_sent_is_not_taken_back(stripe) -> None:
    refund, operator = ask_for(shop.paid(stripe)), member("request_refund")
    refund_sending.work_through()
    assert press(operator, "billing_refund_cancel", refund).status_code == 200
    assert (Refund.objects.get().status, shop.credits_of(refund.payment.user)) == (RefundStatus.SUCCEEDED, 0)
    assert "/cancel/" not in browser(operator).get(page("billing_refund_change", refund.pk)).text
