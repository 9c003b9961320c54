"""Invoices and credit notes: their numbers, what they say, and that nothing changes them."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import BytesIO

import facturx
import pytest
import time_machine
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import override
from pypdf import PdfReader

from billing import (
    errors,
    invoice_files,
    invoice_words,
    invoice_writing,
    invoice_xml,
    invoices,
    refund_sending,
    refunds,
    refunds_by_hand,
    seller_days,
    tasks,
    taxing,
)
from billing.gateways.base import RefundState
from billing.models import (
    Customer,
    Invoice,
    InvoiceFile,
    InvoiceLine,
    InvoiceSeries,
    Payment,
    Refund,
    TaxRate,
    VatCheck,
)
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.papers import amounts, faults_of_schematron, given_back, known
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from ledger.tests.races import run_all
from rest.tests.callers import customer, get, post, service

pytestmark = pytest.mark.django_db


def credited(payment: Payment, minor: int) -> Invoice:
    given_back(payment, minor)
    note = Invoice.objects.filter(kind="credit_note").first()
    assert note is not None
    return note


def sent_back(stripe: RefundingGateway, note: Invoice) -> Refund:
    """Days later the bank sends it back to us."""
    assert note.refund is not None
    stripe.refund_states[note.refund.reference] = RefundState.FAILED
    return refund_sending.ask(note.refund)


def test_payment_has_one_invoice_with_the_tax_that_its_price_contains(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    tasks.issue_invoices()
    tasks.issue_invoices()
    invoice = Invoice.objects.get()
    assert amounts(invoice) == (832, 167, 999)
    assert on("tax:EUR") == 167
    assert invoice.lines.get().description == "Pack Medium: 275 tokens"
    assert invoice.status == "paid"
    assert Event.objects.get(type="invoice.issued").data["number"] == invoice.number
    assert invoices.issue(payment=payment) == invoice
    assert checks.faults() == {}


def test_refund_has_a_credit_note_linked_line_by_line(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    note = credited(payment, 500)
    invoice = Invoice.objects.with_lines().get(kind="invoice")
    assert note.gross_minor == 500
    assert note.refund is not None
    assert note.tax_minor == note.refund.tax_minor
    assert note.lines.get().corrects == invoice.lines.get()
    assert (note.corrects, invoice.status) == (invoice, "partly_credited")
    assert (note.number[:3], note.sequence, invoice.sequence) == ("CN-", 1, 1)


def test_refund_that_arrives_weeks_after_it_was_asked_for_has_its_credit_note(gateways, french, clock) -> None:
    payment = shop.paid(gateways["cinetpay"], known(), currency="XOF")
    invoices.issue_missing()
    refund = refunds.request(payment=payment, reason="not delivered", policy=RefundPolicy.GOODWILL)
    clock.shift(timedelta(days=30))
    refunds_by_hand.prove(refund=refund, proof="OM-1", by=shop.make_user())
    assert [invoices.issue_missing() for _ in range(2)] == [1, 0]
    assert Invoice.objects.get(kind="credit_note").refund == refund


def test_payment_that_is_paid_weeks_after_it_was_begun_has_its_invoice(stripe, french, clock) -> None:
    payment = shop.buy(known())
    clock.shift(timedelta(days=30))
    stripe.pays()
    shop.told(payment)
    assert (invoices.issue_missing(), Invoice.objects.get().payment) == (1, payment)


def test_refund_that_comes_back_days_later_is_invoiced_again(stripe, french) -> None:
    """The credit note stays as it is: a new invoice with the next number takes it back, line by line."""
    user = known()
    payment = shop.paid(stripe, user)
    note = credited(payment, 500)
    refund = sent_back(stripe, note)
    assert [invoices.issue_missing() for _ in range(2)] == [1, 0]
    invoice, again = Invoice.objects.with_lines().filter(kind="invoice").order_by("sequence")
    note = Invoice.objects.with_lines().get(pk=note.pk)
    assert (again.corrects, again.refund, amounts(again), again.sequence) == (note, refund, amounts(note), 2)
    assert again.lines.get().corrects == note.lines.get()
    assert (invoice.status, note.status, again.status) == ("paid", "credited", "paid")
    assert on("tax:EUR") == invoice.tax_minor
    with override("en"):
        told = invoice_words.told(again, list(again.lines.all()))
    assert told["notes"][0].startswith(f"Takes credit note {note.number} of ")
    assert told["settled"].startswith("Paid: the refund came back on ")
    xml = invoice_xml.build(again, list(again.lines.all()))
    assert faults_of_schematron(xml) == []
    assert (b"<ram:TypeCode>380<" in xml, note.number.encode() in xml) == (True, True)
    assert Event.objects.filter(type="invoice.issued").latest("id").data["takes_back"] == note.number
    assert checks.faults() == {}


@pytest.mark.parametrize(("takes_cards", "means"), [(True, "48"), (False, "ZZZ")])
def test_means_of_payment_is_a_card_where_the_gateway_takes_cards(stripe, takes_cards: bool, means: str) -> None:
    stripe.capabilities = replace(stripe.capabilities, takes_cards=takes_cards)
    invoice = invoices.issue(payment=shop.paid(stripe, known()))
    assert invoice_xml.terms(invoice, list(invoice.lines.all()))["BT-81"] == means


def test_what_came_back_can_be_refunded_and_credited_again(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    note = credited(payment, 400)
    sent_back(stripe, note)
    invoices.issue_missing()
    second = credited(payment, 500)
    assert (second.sequence, second.corrects, second.gross_minor) == (2, note.corrects, 500)
    assert Invoice.objects.get(kind="invoice", corrects=None).status == "partly_credited"
    assert (on("tax:EUR"), checks.faults()) == (167 - second.tax_minor, {})


def test_order_that_is_refunded_before_anybody_invoiced_it_has_both_papers(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    refunds.request(payment=payment, policy=RefundPolicy.UNSPENT_ONLY, reason="changed their mind")
    refund_sending.work_through()
    assert not Invoice.objects.exists()
    tasks.issue_invoices()
    found = Invoice.objects.order_by("id").values_list("kind", "sequence", "gross_minor")
    assert list(found) == [("invoice", 1, 999), ("credit_note", 1, 999)]


@pytest.mark.parametrize(
    "case",
    [
        ({}, "standard", ("S", 2_000, 167)),
        ({}, "franchise", ("E", 0, 0)),
        ({}, "none", ("O", 0, 0)),
        ({"country": "DE"}, "standard", ("S", 2_000, 167)),
        ({"country": "DE", "vat_number": "DE136695976"}, "standard", ("AE", 0, 0)),
        ({"country": "SN"}, "standard", ("O", 0, 0)),
    ],
)
def test_tax_follows_the_buyer_and_every_xml_is_valid(stripe, french, settings, case) -> None:
    facts, scheme, expected = case
    settings.TAX_SCHEME = scheme
    buyer = known(**facts)
    VatCheck.objects.create(user=buyer, vat_number=facts.get("vat_number", ""), outcome="valid")
    payment = shop.paid(stripe, buyer)
    credited(payment, 300)
    invoice_files.render_due()
    line = InvoiceLine.objects.get(invoice__kind="invoice")
    assert (line.tax_category, line.tax_basis_points, line.tax_minor) == expected
    for file in InvoiceFile.objects.all():
        assert faults_of_schematron(bytes(file.xml)) == []
        assert facturx.get_facturx_xml_from_pdf(bytes(file.pdf))[1] == bytes(file.xml)
    assert InvoiceFile.objects.count() == 2


@pytest.mark.parametrize(
    "strange", ["\uffff", "\x01", "\x01A\ud7ff\ufffeé", "\U0001f600", "漢", "1\ufe0f\u20e3", "e\u1ab0"]
)
def test_papers_of_names_that_no_xml_holds_are_rendered_all_the_same(stripe, french, strange) -> None:
    """Names are judged where they come in; papers are frozen with what was let in before."""
    buyer = known()
    Customer.objects.filter(user=buyer).update(name=strange, city=f"Paris{strange}")
    credited(shop.paid(stripe, buyer), 300)
    invoice_files.render_due()
    assert list(Invoice.objects.values_list("render_error", "render_next_at")) == [("", None)] * 2
    for file in InvoiceFile.objects.all():
        assert faults_of_schematron(bytes(file.xml)) == []


def test_mark_on_a_digit_takes_no_digit_from_the_paper(stripe, french) -> None:
    """Typst names the digit of a keycap emoji, too, as a text that cannot be displayed."""
    buyer = known()
    Customer.objects.filter(user=buyer).update(company="Studio 2\ufe0f\u20e3")
    invoice = invoices.issue(payment=shop.paid(stripe, buyer))
    invoice_files.render_due()
    pages = PdfReader(BytesIO(bytes(InvoiceFile.objects.get().pdf))).pages
    drawn = "".join(page.extract_text() for page in pages)
    assert invoice.number in drawn
    assert "Studio 2\ufffd" in drawn


@pytest.mark.parametrize(("tax", "points"), [(167, 2_000), (75, 812)])
def test_figures_of_a_gateway_say_the_rate_of_what_it_sold_by_itself(french, tax, points) -> None:
    assert taxing.read_back(Money(999, "EUR"), Money(tax, "EUR")).basis_points == points


def test_sale_whose_rate_nobody_knows_is_refused_rather_than_untaxed(stripe, french) -> None:
    TaxRate.objects.all().delete()
    with pytest.raises(errors.TaxRateUnknown):
        shop.buy(known())
    assert not Payment.objects.exists()


def test_rate_of_nothing_is_a_rate(french) -> None:
    TaxRate.objects.create(country="FR", category="standard", valid_from=date(2026, 2, 1), basis_points=0)
    assert taxing.rate("FR", "standard", date(2026, 3, 1)) == 0


def test_consumer_elsewhere_in_the_union_pays_their_own_rate_by_the_one_stop_shop(stripe, french, settings) -> None:
    settings.TAX_ONE_STOP_SHOP = True
    invoice = invoices.issue(payment=shop.paid(stripe, known(country="HU")))
    assert (invoice.tax_minor, invoice.lines.get().tax_basis_points) == (212, 2_700)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_invoice SET net_minor = 0, tax_minor = 0, gross_minor = 0",
        "UPDATE billing_invoice SET number = 'x'",
        "DELETE FROM billing_invoicefile",
        "UPDATE billing_invoiceline SET description = 'x'",
        "DELETE FROM billing_invoiceline",
        "UPDATE billing_invoicefile SET pdf = ''",
        "INSERT INTO billing_invoiceline (invoice_id, position, description, quantity, unit_price_minor,"
        " discount_minor, tax_category, tax_basis_points, net_minor, tax_minor, gross_minor)"
        " SELECT id, 2, 'x', 1, 1, 0, 'O', 0, 1, 0, 1 FROM billing_invoice",
    ],
)
def test_issued_invoice_stays_as_it_is(stripe, statement) -> None:
    shop.paid(stripe, known())
    tasks.issue_invoices()
    before = list(Invoice.objects.values()), list(InvoiceLine.objects.values()), list(InvoiceFile.objects.values())
    with pytest.raises(DatabaseError, match="issued"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    after = list(Invoice.objects.values()), list(InvoiceLine.objects.values()), list(InvoiceFile.objects.values())
    assert after == before


@pytest.mark.django_db(transaction=True)
def test_numbers_have_no_gap_when_a_fifth_of_two_hundred_roll_back() -> None:
    start = threading.Lock()
    waiting = [(payment, number % 5 == 0) for number, payment in enumerate(paid_amounts(200))]

    def work() -> None:
        while True:
            with start:
                if not waiting:
                    return
                payment, fails = waiting.pop()
            try:
                with transaction.atomic():
                    invoices.issue(payment=payment)
                    if fails:
                        raise errors.NotYours
            except errors.NotYours:
                pass

    run_all([work] * 8)
    rows = list(Invoice.objects.order_by("sequence").values_list("sequence", "issued_at"))
    assert [number for number, _ in rows] == list(range(1, 161))
    assert [moment for _, moment in rows] == sorted(moment for _, moment in rows)


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_of_the_series_two_take_the_same_number(monkeypatch) -> None:
    """The canary: both have read the last number before either writes; then the database refuses the second."""
    met = threading.Barrier(2)

    def unlocked(kind, year) -> InvoiceSeries:
        InvoiceSeries.objects.bulk_create([InvoiceSeries(kind=kind, year=year)], ignore_conflicts=True)
        series = InvoiceSeries.objects.get(kind=kind, year=year)
        met.wait(20)
        return series

    payments = paid_amounts(2)
    InvoiceSeries.objects.create(kind="invoice", year=seller_days.here(payments[0].created_at).year)
    monkeypatch.setattr(invoice_writing, "_locked_series", unlocked)
    with pytest.raises(IntegrityError, match="invoice_number"):
        run_all([partial(invoices.issue, payment=each) for each in payments])
    assert Invoice.objects.count() == 1


def paid_amounts(count: int) -> list[Payment]:
    now = timezone.now()
    paid = {"status": "succeeded", "ended_at": now, "delivered_at": now, "expires_at": now}
    user = known()
    return Payment.objects.bulk_create(
        Payment(user=user, kind="amount", description="Ticket", amount_minor=999, currency="EUR", **paid)
        for _ in range(count)
    )


@pytest.mark.parametrize(("hour", "number"), [(22, "2026-000001"), (23, "2027-000001")])
def test_year_turns_at_midnight_in_paris(stripe, hour, number) -> None:
    payment = shop.paid(stripe, known())
    with time_machine.travel(datetime(2026, 12, 31, hour, 30, tzinfo=UTC), tick=False):
        assert invoices.issue(payment=payment).number == number


def test_renderer_that_fails_stops_neither_the_sale_nor_the_number(stripe, settings) -> None:
    settings.INVOICE_LOGO = "/nowhere/logo.svg"
    shop.paid(stripe, known())
    tasks.issue_invoices()
    invoice = Invoice.objects.get()
    assert (invoice.sequence, invoice.render_tries) == (1, 1)
    assert "logo.svg" in invoice.render_error
    settings.INVOICE_LOGO = ""
    Invoice.objects.update(render_next_at=invoice.issued_at)
    assert invoice_files.render_due() == 1


@pytest.mark.parametrize(
    ("currency", "minor", "locale", "expected"),
    [
        ("XOF", 1_000, "fr", "1 000 F CFA"),
        ("EUR", 999, "fr", "9,99 €"),
        ("EUR", 999, "en", "€9.99"),
        ("JPY", 1_000, "en", "¥1,000"),
        ("KWD", 1_234, "en", "KWD 1.234"),
    ],
)
def test_amounts_are_written_as_people_there_write_them(currency, minor, locale, expected) -> None:
    invoice = Invoice(currency=currency, locale=locale)
    written = invoice_words.shown(invoice, minor)
    assert written.replace("\xa0", " ").replace("\u202f", " ") == expected


def test_buyer_without_a_name_gets_a_simplified_invoice_that_says_what_is_missing(stripe) -> None:
    invoice = invoices.issue(payment=shop.paid(stripe))
    assert (invoice.is_simplified, invoice.missing) == (True, ["name", "address", "city", "country"])


def test_unpaid_payment_has_no_invoice(stripe) -> None:
    with pytest.raises(errors.NotInvoiced):
        invoices.issue(payment=shop.buy())
    assert not Invoice.objects.exists()


def test_customer_reads_their_own_invoice_and_its_documents(stripe) -> None:
    user = known()
    shop.paid(stripe, user)
    tasks.issue_invoices()
    [told] = get("invoices", customer(user)).json()["results"]
    assert (told["gross"], told["status"], told["lines"][0]["description"]) == (999, "paid", "Pack Medium: 275 tokens")
    pdf = get(f"invoices/{told['id']}/pdf", customer(user))
    assert (pdf["Content-Type"], pdf.content) == ("application/pdf", bytes(InvoiceFile.objects.get().pdf))
    assert get(f"invoices/{told['id']}/xml", customer(user)).content == bytes(InvoiceFile.objects.get().xml)


@pytest.mark.parametrize("path", ["", "/pdf", "/xml"])
def test_invoice_of_another_is_not_there(stripe, path) -> None:
    shop.paid(stripe, known())
    tasks.issue_invoices()
    answer = get(f"invoices/{Invoice.objects.get().pk}{path}", customer(shop.make_user()))
    assert answer.status_code == 404


def test_service_has_an_invoice_issued_now(stripe) -> None:
    payment = shop.paid(stripe, known())
    answer = post("invoices", service("issue_invoice"), {"payment": str(payment.pk)}, "k-1")
    assert (answer.status_code, answer.json()["payment"]) == (201, str(payment.pk))
    assert get(f"invoices/{answer.json()['id']}/pdf", customer(payment.user)).json()["code"] == "not_rendered"
