"""Invoices that are issued before they are paid: drafts, the payment, cancelling, and both at the same moment."""

import contextlib
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import (
    asking,
    bills,
    drafts,
    errors,
    invoice_corrections,
    invoice_files,
    invoice_links,
    invoice_xml,
    invoices,
    payments,
    refund_sending,
    refunds,
    seller_days,
    tasks,
)
from billing.checkout import Wishes
from billing.drafts import Wanted
from billing.gateways.base import PaymentState
from billing.gateways.errors import FailureCategory, Unavailable
from billing.invoice_corrections import Correction
from billing.models import Attempt, Invoice, InvoiceDraft, Payment, Refund, TaxRate
from billing.models.payments import PaymentStatus
from billing.tests import shop
from billing.tests.papers import faults_of_schematron, known
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from ledger.tests.races import run_all
from rest.tests.callers import customer, get, post, service

pytestmark = pytest.mark.django_db
# Three hours at 33.33, a licence at 100.01 less 10 and a book of a reduced rate: sums that do not divide.
LINES = (
    Wanted(description="Consulting", quantity=3, unit_price_minor=3_333),
    Wanted(description="Licence", unit_price_minor=10_001, discount_minor=1_000),
    Wanted(description="Handbook", quantity=7, unit_price_minor=499, product="books"),
)


def soon() -> date:
    return seller_days.today() + timedelta(days=30)


def drafted(lines=LINES, **facts: Any) -> InvoiceDraft:
    TaxRate.objects.get_or_create(
        country="FR", category="books", valid_from=date(2026, 1, 1), defaults={"basis_points": 550}
    )
    user = facts.pop("user", None) or known(email="awa@example.org")
    return drafts.write(user=user, **{"currency": "EUR", "due_on": soon(), "lines": lines, **facts})


def issued(lines=LINES, **facts: Any) -> Invoice:
    return fresh(drafts.issue(draft=drafted(lines, **facts)))


def fresh(invoice: Invoice) -> Invoice:
    return Invoice.objects.with_lines().get(pk=invoice.pk)


def begun(invoice: Invoice, *gateways: str) -> Attempt:
    """Brought to a gateway, whose page is open now."""
    bills.pay(invoice=invoice, wishes=Wishes(gateways=gateways or ("stripe",)))
    found = Attempt.objects.filter(payment=invoice.payment).order_by("-id").first()
    assert found is not None
    return found


def paid(gateway: Any, invoice: Invoice) -> Payment:
    gateway.pays(begun(invoice, gateway.name).reference)
    assert invoice.payment is not None
    return shop.told(invoice.payment)


def status_of(invoice: Invoice) -> str:
    return Payment.objects.get(invoices=invoice.pk).status


def test_payment_of_an_invoice_is_cancelled_with_the_invoice_only(stripe, french) -> None:
    invoice = issued()
    assert invoice.payment is not None
    with pytest.raises(errors.PaymentOfInvoice):
        asking.cancel(invoice.payment)
    begun(invoice)
    with pytest.raises(errors.AttemptLive):  # a rival has just opened a page
        payments.cancel_bill(payment=invoice.payment)
    assert status_of(invoice) == PaymentStatus.PENDING


# ---------------------------------------------------------------- issuing


def test_draft_becomes_an_invoice_with_one_payment_that_waits(stripe, french) -> None:
    draft = drafted()
    invoice = fresh(drafts.issue(draft=draft))
    sums = [(line.quantity, line.net_minor, line.tax_minor) for line in invoice.lines.all()]
    assert sums == [(3, 9_999, 2_000), (1, 9_001, 1_800), (7, 3_493, 192)]
    assert (invoice.net_minor, invoice.tax_minor, invoice.gross_minor) == (22_493, 3_992, 26_485)
    payment = Payment.objects.get()
    assert (payment.kind, payment.status, payment.amount_minor, payment.tax_minor) == ("bill", "pending", 26_485, 3_992)
    assert (invoice.payment, invoice.status, payment.description) == (payment, "issued", f"Invoice {invoice.number}")
    told = Event.objects.get(type="invoice.issued").data
    assert (told["due_on"], told["payment_url"]) == (str(soon()), invoice_links.url(invoice))
    with pytest.raises(errors.DraftIssued):
        drafts.issue(draft=draft)
    assert Invoice.objects.count() == 1


def test_tax_that_is_rounded_in_total_is_so_for_each_rate(stripe, french, settings) -> None:
    settings.TAX_ROUNDING = "total"
    lines = [Wanted(description=f"Part {number}", unit_price_minor=333) for number in range(3)]
    assert [line.tax_minor for line in issued(lines).lines.all()] == [67, 67, 66]


def test_unpaid_invoice_and_what_cancels_it_are_valid_and_say_what_is_owed(stripe, french) -> None:
    invoice = issued()
    note = bills.cancel(invoice=invoice, reason="ordered twice")
    for paper, owed in ((invoice, "264.85"), (note, "264.85")):
        xml = invoice_xml.build(paper, list(paper.lines.all()))
        assert faults_of_schematron(xml) == []
        assert f"<ram:DuePayableAmount>{owed}</ram:DuePayableAmount>".encode() in xml
    assert invoice_files.render_due() == 2


@pytest.mark.parametrize(
    ("lines", "facts"),
    [
        ([Wanted(description="Gift", unit_price_minor=0)], {}),
        (LINES, {"due_on": date(2020, 1, 1)}),
        ([Wanted(description="House", quantity=1_000_000, unit_price_minor=10**10)], {}),
        ([Wanted(description="Nothing", unit_price_minor=5, discount_minor=6)], {}),
        ([], {}),
    ],
)
def test_what_nobody_could_pay_is_not_issued(stripe, french, lines, facts) -> None:
    with pytest.raises(errors.DraftInvalid):
        issued(lines, **facts)
    assert not Invoice.objects.exists()
    assert not Payment.objects.exists()


def test_buyer_gets_a_mail_with_the_document_and_the_link_to_pay_it(stripe, french) -> None:
    invoice = issued(user=known(email="awa@example.org", locale="fr"))
    tasks.issue_invoices()
    tasks.issue_invoices()
    [letter] = mail.outbox
    assert (letter.to, letter.attachments[0][0]) == (["awa@example.org"], f"{invoice.number}.pdf")
    assert "À régler au plus tard le" in letter.body
    assert invoice_links.url(invoice) in letter.body


# ---------------------------------------------------------------- paying


def test_success_pays_the_invoice_and_brings_no_second_one(stripe, french) -> None:
    invoice = issued()
    payment = paid(stripe, invoice)
    tasks.issue_invoices()
    assert (payment.status, fresh(invoice).status) == ("succeeded", "paid")
    assert (on("revenue:payments:EUR"), on("tax:EUR")) == (22_493, 3_992)
    assert Invoice.objects.count() == 1
    assert checks.faults() == {}


@pytest.mark.parametrize("end", [PaymentState.FAILED, PaymentState.EXPIRED, PaymentState.CANCELLED])
def test_try_that_comes_to_nothing_leaves_it_open_for_the_next(stripe, french, end) -> None:
    invoice = issued()
    stripe.becomes(end, begun(invoice).reference)
    assert invoice.payment is not None
    shop.told(invoice.payment)
    assert (status_of(invoice), fresh(invoice).status) == ("pending", "issued")
    assert not Event.objects.filter(type="payment.failed").exists()
    assert paid(stripe, invoice).status == "succeeded"


def test_gateways_that_refuse_leave_it_open(stripe, french) -> None:
    invoice = issued()
    stripe.refuses = Unavailable("down", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)
    with pytest.raises(errors.GatewaysDown):
        begun(invoice)
    assert (status_of(invoice), Attempt.objects.get().state) == ("pending", "failed")


def test_invoice_that_nobody_pays_is_never_given_up(stripe, french) -> None:
    invoice = issued()
    assert asking.expire_abandoned(timezone.now() + timedelta(days=400)) == 0
    begun(invoice)
    asking.expire_abandoned(timezone.now() + timedelta(days=1))
    assert (status_of(invoice), Attempt.objects.get().state) == ("pending", "expired")
    with pytest.raises(errors.PaymentOfInvoice):
        asking.cancel(Payment.objects.get())


def test_second_try_waits_for_the_first_and_another_way_ends_it(stripe, french) -> None:
    invoice = issued()
    begun(invoice)
    with pytest.raises(errors.AttemptLive):
        bills.pay(invoice=invoice, wishes=Wishes(gateways=["paypal"]))
    asking.free(Payment.objects.get())
    assert begun(invoice, "paypal").gateway == "paypal"


def test_second_payment_goes_back(stripe, paypal, french) -> None:
    invoice = issued()
    first = begun(invoice)
    asking.free(Payment.objects.get())
    paid(paypal, invoice)
    stripe.pays(first.reference)  # the page that was taken back was open in another window all the same
    asking.ask(Attempt.objects.select_related("payment").get(pk=first.pk))
    refund_sending.work_through()
    refund_sending.work_through()
    assert (status_of(invoice), Refund.objects.get().origin) == ("succeeded", "surplus")
    assert on("suspense:EUR") == 0
    assert not Invoice.objects.filter(kind="credit_note").exists()
    assert checks.faults() == {}


# ---------------------------------------------------------------- cancelling


def test_cancelled_invoice_has_a_note_for_all_of_it_and_nobody_pays_it(stripe, french) -> None:
    invoice = issued()
    note = bills.cancel(invoice=invoice, reason="ordered twice")
    assert bills.cancel(invoice=fresh(invoice), reason="again") == note
    assert (note.gross_minor, note.refund, note.corrects, note.remark) == (26_485, None, invoice, "ordered twice")
    assert [(each.quantity, each.corrects) for each in note.lines.all()] == [
        (each.quantity, each) for each in invoice.lines.all()
    ]
    assert (fresh(invoice).status, status_of(invoice)) == ("credited", "cancelled")
    with pytest.raises(errors.PaymentOver):
        bills.pay(invoice=invoice, wishes=Wishes(gateways=["stripe"]))
    assert checks.faults() == {}


def test_paid_invoice_is_not_cancelled(stripe, french) -> None:
    invoice = issued()
    paid(stripe, invoice)
    with pytest.raises(errors.NotCancellable):
        bills.cancel(invoice=fresh(invoice), reason="too late")
    assert Invoice.objects.count() == 1


def test_page_that_is_paid_while_the_invoice_is_cancelled_wins(stripe, french) -> None:
    invoice = issued()
    stripe.pays(begun(invoice).reference)  # and its letter is still on its way
    with pytest.raises(errors.PaymentOver):
        bills.cancel(invoice=invoice, reason="too late")
    assert (status_of(invoice), fresh(invoice).status) == ("succeeded", "paid")


def test_attempt_that_its_gateway_cannot_take_back_keeps_the_invoice(paypal, french) -> None:
    invoice = issued()
    begun(invoice, "paypal")
    with pytest.raises(errors.CannotCancel):
        bills.cancel(invoice=invoice, reason="ordered twice")
    assert (status_of(invoice), Invoice.objects.count()) == ("pending", 1)


def test_money_for_a_cancelled_invoice_goes_back(stripe, french) -> None:
    invoice = issued()
    attempt = begun(invoice)
    bills.cancel(invoice=invoice, reason="ordered twice")
    stripe.pays(attempt.reference)
    asking.ask(Attempt.objects.select_related("payment").get())
    refund_sending.work_through()
    refund_sending.work_through()
    assert (status_of(invoice), Refund.objects.get().status, fresh(invoice).status) == (
        "cancelled",
        "succeeded",
        "credited",
    )
    assert (on("suspense:EUR"), on("revenue:payments:EUR")) == (0, 0)
    assert checks.faults() == {}


@pytest.mark.django_db(transaction=True)
def test_of_a_payment_and_a_cancellation_at_once_one_wins(stripe, french) -> None:
    """Whichever comes first: the invoice is paid and stands, or it is credited and the money waits to go back."""
    for _ in range(4):
        invoice = issued([Wanted(description="Hour", unit_price_minor=1_000)])
        attempt = begun(invoice)
        stripe.becomes(PaymentState.CANCELLED, attempt.reference)
        shop.told(attempt.payment)  # the page has ended here, and is paid there at the last moment
        stripe.pays(attempt.reference)
        late = Attempt.objects.select_related("payment").get(pk=attempt.pk)
        rivals: list[Callable[[], Any]] = [partial(asking.ask, late), partial(cancelled_if_it_can_be, invoice)]
        run_all(rivals)
        found = (status_of(invoice), Attempt.objects.get(pk=attempt.pk).state, fresh(invoice).status)
        assert found in {("succeeded", "succeeded", "paid"), ("cancelled", "surplus", "credited")}
    assert checks.faults() == {}


def cancelled_if_it_can_be(invoice: Invoice) -> None:
    with contextlib.suppress(errors.PaymentOver, errors.NotCancellable):
        bills.cancel(invoice=invoice, reason="ordered twice")


def test_database_keeps_one_cancelling_note(stripe, french) -> None:
    invoice = issued()
    bills.cancel(invoice=invoice, reason="ordered twice")
    payment = Payment.objects.get()
    correction = Correction(invoice=invoice, lines=invoice_corrections.whole(invoice))
    with pytest.raises(IntegrityError, match="invoice_cancelled_once"), transaction.atomic():
        invoices.note(correction, payment=payment, remark="again")
    assert payments.lock(payment.pk).status == PaymentStatus.CANCELLED


# ---------------------------------------------------------------- refunds of several lines


@pytest.mark.parametrize("parts", [[26_485], [1, 1, 13_333, 13_150], [8_828, 8_828, 8_829]])
def test_credit_notes_of_many_refunds_take_back_each_line_exactly_once(stripe, french, parts) -> None:
    invoice = issued()
    payment = paid(stripe, invoice)
    for minor in parts:
        refunds.request(payment=payment, amount=Money(minor, "EUR"), reason="not delivered")
        refund_sending.work_through()
        invoices.issue_missing()
    notes = Invoice.objects.filter(kind="credit_note").with_lines()
    assert sorted(note.gross_minor for note in notes) == sorted(parts)
    for line in invoice.lines.all():
        back = list(line.corrections.all())
        assert sum(each.net_minor for each in back) == line.net_minor
        assert sum(each.tax_minor for each in back) == line.tax_minor
        assert all(each.net_minor >= 0 and each.tax_minor >= 0 for each in back)
    assert fresh(invoice).status == "credited"
    assert all(faults_of_schematron(invoice_xml.build(note, list(note.lines.all()))) == [] for note in notes)


# ---------------------------------------------------------------- the API


WISH = {
    "lines": [{"description": "Hour", "quantity": 3, "unit_price": 3_333}],
    "currency": "EUR",
    "due_on": "2099-12-31",
}


def test_invoice_is_not_due_at_the_calendars_end(stripe, french) -> None:
    answer = post("invoices", service("issue_invoice", acts_for=known()), WISH | {"due_on": "9999-12-31"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too_late")
    assert not Invoice.objects.exists()


def test_service_issues_an_invoice_that_its_customer_pays(stripe, french) -> None:
    user = known()
    headers = service("issue_invoice", acts_for=user)
    answers = [post("invoices", headers, WISH, "k-1") for _ in range(2)]
    told = answers[0].json()
    assert [(answer.status_code, answer.json()["id"]) for answer in answers] == [(201, told["id"])] * 2
    assert (told["status"], told["gross"], told["due_on"]) == ("issued", 11_999, WISH["due_on"])
    invoice = Invoice.objects.with_lines().get()
    assert told["payment_url"] == invoice_links.url(invoice)
    paid(stripe, invoice)
    mine = get(f"invoices/{told['id']}", customer(user)).json()
    assert (mine["status"], mine["payment_url"]) == ("paid", None)
    assert get(f"invoices/{told['id']}", customer(shop.make_user())).status_code == 404


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"due_on": "30/11/2026"}, "due_on"),
        ({"currency": "EURO"}, "currency"),
        ({"lines": []}, "lines"),
        ({"payment": "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f"}, "currency"),
        ({"lines": [{"description": "Hour", "unit_price": 9.99}]}, "lines.0.unit_price"),
    ],
)
def test_wrong_wish_for_an_invoice_is_refused_by_its_field(stripe, french, changes, field) -> None:
    headers = service("issue_invoice", acts_for=known())
    answer = post("invoices", headers, WISH | changes, "k-1")
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (400, [field])
    assert not Invoice.objects.exists()


def test_service_cancels_and_gets_the_note(stripe, french) -> None:
    invoice = issued()
    path = f"invoices/{invoice.pk}/cancel"
    assert post(path, customer(invoice.user), {"reason": "mine"}, "k-1").status_code == 403
    answer = post(path, service("cancel_invoice"), {"reason": "ordered twice"}, "k-2")
    assert (answer.status_code, answer.json()["kind"], answer.json()["remark"]) == (200, "credit_note", "ordered twice")
