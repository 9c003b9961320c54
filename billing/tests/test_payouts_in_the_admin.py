"""The withdrawal's page with its payout, the buttons on it, and the preview of a refund of what a seller sold."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing import payout_sending
from billing.models import Case, Payment, Payout
from billing.tests import shop
from billing.tests.paying import approved, due, fresh
from rest.tests.callers import post, service
from rest.tests.operators import page, signed_in, submit
from wallets.tests.people import available, make_rule, make_type

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(paying) -> Any:
    withdrawal = approved()
    payout_sending.send(withdrawal)
    return withdrawal


def test_page_shows_the_payout_and_asks_the_gateway(paying, sent) -> None:
    support = signed_in("support", name="sue")
    text = support.get(page("wallets_withdrawal_change", sent.pk)).content.decode()
    assert "paypal" in text
    assert f"tr_{sent.pk.hex[-8:]}" in text
    paying.pays_out()
    assert submit(support, page("wallets_withdrawal_ask", sent.pk)).status_code == 302
    assert fresh(sent).status == "paid"


def test_silence_of_the_gateway_is_said_and_changes_nothing(paying, sent) -> None:
    paying.silent = True
    answer = submit(signed_in("support", name="sue"), page("wallets_withdrawal_ask", sent.pk))
    assert (answer.status_code, fresh(sent).status) == (200, "uncertain")


def test_what_was_never_sent_cannot_be_asked_about(paying) -> None:
    withdrawal = approved()
    support = signed_in("support", name="sue")
    assert (
        "It has not been sent to any gateway yet."
        in submit(support, page("wallets_withdrawal_ask", withdrawal.pk)).text
    )
    support.cookies["django_language"] = "fr"
    assert (
        "encore été envoyé à aucune passerelle." in submit(support, page("wallets_withdrawal_ask", withdrawal.pk)).text
    )


def test_finance_says_how_it_ended_and_support_may_not(paying, sent) -> None:
    url = page("wallets_withdrawal_resolve", sent.pk)
    assert signed_in("support", name="sue").get(url).status_code == 403
    done = submit(signed_in("finance"), url, end="not_paid", proof="ticket 7 at PayPal")
    assert (done.status_code, fresh(sent).status, fresh(sent).reason) == (302, "failed", "paypal: not_paid")
    assert Payout.objects.get().last_reply["proof"] == "ticket 7 at PayPal"
    shown = signed_in("finance", name="otto").get(page("wallets_withdrawal_change", sent.pk))
    assert "ticket 7 at PayPal" in shown.content.decode()
    assert available(sent.wallet.seller.user) == 10_000


def test_case_of_a_payout_is_in_the_queue(paying, sent) -> None:
    due(sent, hours=25)
    payout_sending.work_through()
    case = Case.objects.get()
    finance = signed_in("finance")
    listed = finance.get(reverse("admin:billing_case_changelist")).content.decode()
    assert "a payout needs somebody" in listed
    assert str(sent.pk) in finance.get(reverse("admin:billing_case_change", args=[case.pk])).content.decode()


def test_refund_of_a_sale_is_previewed_line_by_line(stripe) -> None:
    make_type()
    make_rule(basis_points=1_000)
    sale = {"seller": "organizer-1", "type": "ticket_sale", "reference": "seat 7", "amount": 4_000}
    buyer = service("start_checkout", acts_for=shop.make_user())
    told = post("checkouts", buyer, {"currency": "EUR", "gateways": ["stripe"], "sale": sale}).json()
    stripe.pays()
    payment = shop.told(Payment.objects.get(pk=told["payment"]["id"]))
    url = reverse("admin:billing_payment_refund", args=[payment.pk])
    finance: Client = signed_in("finance")
    answer = submit(finance, url, amount="10", policy="proportional", reason="late", preview="1")
    text = answer.content.decode()
    assert "From what organizer-1 has pending (seat 7): €9.00" in text
    assert "From our commission on organizer-1 (seat 7): €1.00" in text
    assert not payment.refunds.exists()
