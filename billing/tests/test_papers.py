"""How prices are taxed, what VIES says, documents by mail, months of use, and what leaves in files."""

import csv
import json
import threading
import zipfile
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone
from django.utils.translation import override

from billing import (
    accounting_file,
    errors,
    invoice_archive,
    invoice_files,
    invoice_mail,
    invoice_samples,
    invoice_words,
    invoice_xml,
    invoices,
    refund_sending,
    refunds,
    seller_days,
    tasks,
    taxing,
    usage_invoices,
    vat_numbers,
)
from billing.gateways.base import RefundState
from billing.models import Invoice, InvoiceFile, InvoiceMailing, Payment, Refund, TaxedUse, TaxRate, VatCheck
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.papers import amounts, faults_of_schematron, given_back, known, later
from billing.tests.test_payments_in_the_admin import member, press
from credits import catalogue_files, usage
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from rest.tests.callers import get
from rest.tests.operators import browser

pytestmark = pytest.mark.django_db
GERMAN = "DE136695976"


# ---------------------------------------------------------------- prices and lines


def test_tax_comes_on_top_of_prices_that_are_without_it(stripe, french, settings) -> None:
    settings.TAX_EXCLUSIVE_CATALOGUES = ["companion-tokens"]
    invoice = invoices.issue(payment=shop.paid(stripe, known()))
    assert amounts(invoice) == (999, 200, 1_199)
    assert (on("revenue:packs:EUR"), on("tax:EUR")) == (999, 200)
    assert [pack["tax_included"] for pack in get("packs", {}).json()["results"]] == [False]


@pytest.mark.parametrize(("rounding", "expected"), [("line", [56, 56, 56]), ("total", [56, 56, 55])])
def test_lines_add_up_to_the_tax_of_their_sum_where_it_is_rounded_in_total(settings, rounding, expected) -> None:
    settings.TAX_ROUNDING = rounding
    assert [tax.minor for tax in taxing.each_in([Money(333, "EUR")] * 3, 2_000)] == expected


def test_discount_stands_on_the_line_without_its_tax(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    Payment.objects.filter(pk=payment.pk).update(discount_minor=100)
    invoice = invoices.issue(payment=payment)
    line = invoice.lines.get()
    assert (line.unit_price_minor, line.discount_minor, line.net_minor) == (916, 84, 832)
    assert faults_of_schematron(invoice_xml.build(invoice, [line])) == []


def test_buyer_stands_on_the_paper_as_they_were_that_day(stripe, french) -> None:
    facts = {"company": "Atelier", "address": "12 rue Neuve", "postcode": "69002", "city": "Lyon"}
    invoice = invoices.issue(payment=shop.paid(stripe, known(**facts)))
    assert invoice.missing == []
    assert invoice.buyer == {
        "name": "Atelier",
        "contact": "Awa Ndiaye",
        "address": "12 rue Neuve",
        "postcode": "69002",
        "city": "Lyon",
        "country": "FR",
        "vat_number": "",
        "email": "",
    }


def test_invoice_above_the_limit_is_issued_and_says_what_is_missing(stripe, french, settings) -> None:
    settings.INVOICE_SIMPLIFIED_MINOR = {"EUR": 998}
    invoice = invoices.issue(payment=shop.paid(stripe, known()))
    assert (invoice.is_simplified, invoice.missing) == (False, ["address", "city"])


# ---------------------------------------------------------------- what papers look like


@pytest.mark.parametrize("name", catalogue_files.names())
def test_papers_of_every_catalogue_are_drawn_and_valid_in_both_languages(name, settings) -> None:
    settings.SELLER_VAT_NUMBER, settings.SELLER_LEGAL_ID = "FR44732829320", "732829320"
    drawn = []
    for locale in ("en", "fr"):
        for sample in invoice_samples.of_catalogue(catalogue_files.named(name), locale=locale, currency="EUR"):
            assert faults_of_schematron(invoice_xml.build(sample.invoice, sample.lines)) == []
            assert len(invoice_files.pictures(sample.invoice, sample.lines, dots_per_inch=20)) == 1
            drawn.append((locale, sample.invoice.kind))
            with override(locale):
                said = invoice_words.told(sample.invoice, sample.lines)["settled"]
            assert (
                said.split(" ")[0]
                in {"invoice": ("Paid", "Réglé"), "credit_note": ("Refunded", "Remboursé")}[sample.invoice.kind]
            )
    assert drawn == [("en", "invoice"), ("en", "credit_note"), ("fr", "invoice"), ("fr", "credit_note")]


def test_long_invoice_has_three_pages(tmp_path) -> None:
    call_command("show_invoices", "--catalogue", "ai-credits", "--lines", "90", "--out", str(tmp_path), verbosity=0)
    assert len(list(tmp_path.glob("ai-credits-invoice-EUR-fr-*.png"))) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--catalogue", "nothing"], r"There is no catalogue 'nothing'\. There are: ai-credits, "),
        (["--catalogue", "ai-credits", "--lines", "0"], "'0' is no number of lines; write for example 90"),
        (["--catalogue", "ai-credits", "--lines", "many"], "'many' is no number of lines; write for example 90"),
    ],
)
def test_pictures_of_what_is_not_there_are_refused(arguments, says, tmp_path) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("show_invoices", *arguments, "--out", str(tmp_path / "pictures"))
    assert list(tmp_path.iterdir()) == []


def test_catalogue_without_a_price_in_that_currency_is_told(tmp_path) -> None:
    with pytest.raises(CommandError, match="no price in XOF"):
        call_command("show_invoices", "--catalogue", "ai-credits", "--currency", "XOF", "--out", str(tmp_path))


# ---------------------------------------------------------------- VIES


class Vies(HTTPServer):
    answers: tuple[int, dict[str, Any]] = (200, {"valid": True, "requestIdentifier": "WAPI-1", "name": "ACME GmbH"})

    def __init__(self, *address: Any) -> None:
        super().__init__(*address)
        self.asked: list[Any] = []


@pytest.fixture
def vies(settings):
    """VIES on this machine: `answers` is what it says next, `asked` what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        server: Vies

        def do_POST(self) -> None:
            self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = self.server.answers
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None: ...

    server = Vies(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings.VIES_URL = f"http://127.0.0.1:{server.server_port}/check-vat-number"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_number_that_vies_confirms_is_not_taxed_and_its_proof_is_kept(stripe, french, vies) -> None:
    buyer = known(country="DE", vat_number=GERMAN)
    tasks.check_vat_numbers()
    tasks.check_vat_numbers()
    check = VatCheck.objects.get()
    assert (check.outcome, check.consultation, check.name) == ("valid", "WAPI-1", "ACME GmbH")
    assert vies.asked == [
        {
            "countryCode": "DE",
            "vatNumber": "136695976",
            "requesterMemberStateCode": "FR",
            "requesterNumber": "44732829320",
        }
    ]
    invoice = invoices.issue(payment=shop.paid(stripe, buyer))
    assert (amounts(invoice), invoice.mention) == ((999, 0, 999), taxing.REVERSE_CHARGE)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((200, {"valid": False}), "invalid"),
        ((503, {}), "unreachable"),
        ((200, {"actionSucceed": False, "errorWrappers": [{"error": "MS_UNAVAILABLE"}]}), "unreachable"),
    ],
)
def test_number_that_vies_does_not_confirm_is_taxed_and_the_sale_goes_on(
    stripe, french, vies, answers, outcome
) -> None:
    vies.answers = answers
    buyer = known(country="DE", vat_number=GERMAN)
    tasks.check_vat_numbers()
    assert VatCheck.objects.get().outcome == outcome
    assert amounts(invoices.issue(payment=shop.paid(stripe, buyer))) == (832, 167, 999)


def test_silence_of_vies_takes_no_confirmation_back(french, vies) -> None:
    buyer = known(country="DE", vat_number=GERMAN)
    VatCheck.objects.create(user=buyer, vat_number=GERMAN, outcome="valid")
    VatCheck.objects.create(user=buyer, vat_number=GERMAN, outcome="unreachable")
    assert vat_numbers.is_confirmed(GERMAN)


def test_vies_is_not_asked_about_numbers_of_our_own_land(french, vies) -> None:
    known(country="RE", vat_number="FR40303265045")
    known(country="FR", vat_number="FR40303265045")
    assert (vat_numbers.check_due(), vies.asked) == (0, [])


def test_vies_is_asked_again_only_after_a_pause(french, vies) -> None:
    vies.answers = (503, {})
    known(country="DE", vat_number=GERMAN)
    vat_numbers.check_due()
    vat_numbers.check_due()
    assert len(vies.asked) == 1
    VatCheck.objects.update(asked_at=timezone.now() - timedelta(hours=1))
    vat_numbers.check_due()
    assert len(vies.asked) == 2


# ---------------------------------------------------------------- taxed when used


def test_credits_that_are_taxed_at_use_bring_a_receipt_without_tax(stripe, at_use) -> None:
    receipt = invoices.issue(payment=shop.paid(stripe, known()))
    assert (receipt.kind, receipt.number[:2], amounts(receipt)) == ("receipt", "R-", (999, 0, 999))
    assert (on("vouchers:EUR"), on("revenue:packs:EUR"), on("tax:EUR")) == (999, 0, 0)
    invoice_files.render_due()
    assert bytes(InvoiceFile.objects.get().xml) == b""


def test_month_of_use_is_invoiced_and_taxed_once(stripe, at_use) -> None:
    buyer = known()
    invoices.issue(payment=shop.paid(stripe, buyer))
    usage.spend(user=buyer, amount=100, key="s-1")  # the 25 of the bonus first
    tasks.invoice_used_months()
    assert not TaxedUse.objects.exists()  # the month is not over
    assert [usage_invoices.issue_due(now=later()), usage_invoices.issue_due(now=later())] == [1, 0]
    invoice = Invoice.objects.get(kind="invoice")
    assert (amounts(invoice), invoice.payment_id) == ((249, 50, 299), None)
    assert TaxedUse.objects.get().credits == 75
    assert (on("vouchers:EUR"), on("revenue:packs:EUR"), on("tax:EUR")) == (700, 249, 50)
    assert checks.faults() == {}
    assert faults_of_schematron(invoice_xml.build(invoice, list(invoice.lines.all()))) == []


def test_spend_that_is_taken_back_is_not_taxed(stripe, at_use) -> None:
    buyer = known()
    invoices.issue(payment=shop.paid(stripe, buyer))
    spend = usage.spend(user=buyer, amount=100, key="s-1")
    usage.reverse(spend=spend.id, key="back")
    assert usage_invoices.issue_due(now=later()) == 0
    assert on("vouchers:EUR") == 999


def test_refund_of_what_is_not_used_comes_from_what_is_owed(stripe, at_use) -> None:
    payment = shop.paid(stripe, known())
    refunds.request(payment=payment, policy=RefundPolicy.UNSPENT_ONLY, reason="changed their mind")
    refund_sending.work_through()
    invoices.issue_missing()
    assert on("vouchers:EUR") == 0
    assert Invoice.objects.filter(kind="credit_note", corrects__kind="receipt").count() == 1


def test_credits_of_a_refund_that_came_back_are_taxed_when_they_are_used(stripe, at_use) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    refund = refunds.request(payment=payment, policy=RefundPolicy.UNSPENT_ONLY, reason="changed their mind")
    refund_sending.work_through()
    stripe.refund_states[refund.reference] = RefundState.FAILED
    refund_sending.ask(Refund.objects.get(pk=refund.pk))
    assert (shop.credits_of(payment.user), on("vouchers:EUR")) == (275, 999)
    usage.spend(user=payment.user, amount=275, key="s-1")
    assert usage_invoices.issue_due(now=later()) == 1
    assert (TaxedUse.objects.get().credits, on("vouchers:EUR")) == (250, 0)
    assert checks.faults() == {}


def test_refund_of_what_was_taxed_corrects_the_month_and_takes_its_tax_back(stripe, at_use) -> None:
    buyer = known()
    payment = shop.paid(stripe, buyer)
    invoices.issue(payment=payment)
    spend = usage.spend(user=buyer, amount=100, key="s-1")
    usage_invoices.issue_due(now=later())  # 2.99 of it, 0.50 of that tax
    usage.reverse(spend=spend.id, key="back")
    given_back(payment, 999, RefundPolicy.UNSPENT_ONLY)
    month = Invoice.objects.get(kind="invoice")
    notes = {note.corrects.kind: note for note in Invoice.objects.filter(kind="credit_note") if note.corrects}
    assert {kind: amounts(note) for kind, note in notes.items()} == {
        "receipt": (700, 0, 700),
        "invoice": (249, 50, 299),
    }
    assert notes["invoice"].lines.get().corrects == month.lines.get()
    assert Invoice.objects.with_lines().get(pk=month.pk).status == "credited"
    assert [on(f"{name}:EUR") for name in ("vouchers", "revenue:packs", "tax")] == [0, 0, 0]
    assert faults_of_schematron(invoice_xml.build(notes["invoice"], list(notes["invoice"].lines.all()))) == []
    assert checks.faults() == {}


def test_parts_of_a_refund_take_what_was_never_taxed_first_and_each_cent_once(stripe, at_use) -> None:
    buyer = known()
    payment = shop.paid(stripe, buyer)
    usage.spend(user=buyer, amount=100, key="s-1")
    invoices.issue(payment=payment)
    usage_invoices.issue_due(now=later())
    for minor in (650, 51, 1, 297):  # 0.01 of the second is the first that was taxed
        given_back(payment, minor, RefundPolicy.FULL_WITH_DEBT)
    notes = Invoice.objects.filter(kind="credit_note")
    assert sorted((note.net_minor, note.tax_minor) for note in notes) == [(1, 0), (1, 0), (50, 0), (247, 50), (650, 0)]
    assert [on(f"{name}:EUR") for name in ("vouchers", "revenue:packs", "tax")] == [0, 0, 0]


def test_credits_whose_price_went_back_are_not_taxed_when_they_are_used(stripe, at_use) -> None:
    buyer = known()
    payment = shop.paid(stripe, buyer)
    invoices.issue(payment=payment)
    given_back(payment, 400, RefundPolicy.GOODWILL)  # and they keep all of them
    usage.spend(user=buyer, amount=275, key="s-1")
    usage_invoices.issue_due(now=later())
    assert amounts(Invoice.objects.get(kind="invoice")) == (499, 100, 599)
    assert [on(f"{name}:EUR") for name in ("vouchers", "revenue:packs", "tax")] == [0, 499, 100]
    assert checks.faults() == {}


# ---------------------------------------------------------------- by mail


def test_document_is_sent_with_the_bytes_that_were_kept(stripe, french) -> None:
    shop.paid(stripe, known(email="awa@example.org"))
    tasks.issue_invoices()
    invoice = Invoice.objects.get()
    invoice_mail.request(invoice=invoice)
    tasks.issue_invoices()
    tasks.issue_invoices()
    [letter] = mail.outbox
    assert (letter.to, letter.attachments[0][1]) == (["awa@example.org"], bytes(InvoiceFile.objects.get().pdf))
    assert InvoiceMailing.objects.get().sent_at is not None


def test_mail_waits_where_no_server_is_named(stripe, french, settings) -> None:
    usual, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "django.core.mail.backends.dummy.EmailBackend"
    shop.paid(stripe, known(email="awa@example.org"))
    tasks.issue_invoices()
    invoice_mail.request(invoice=Invoice.objects.get())
    for _ in range(3):
        tasks.issue_invoices()
    assert InvoiceMailing.objects.values_list("sent_at", "tries", "error").get() == (None, 0, "")
    settings.EMAIL_BACKEND = usual
    tasks.issue_invoices()
    assert len(mail.outbox) == 1


def test_mail_that_fails_is_tried_again_and_given_up_at_last(stripe, french, settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.INVOICE_MAIL_TRIES = "127.0.0.1", 1, 2
    shop.paid(stripe, known(email="awa@example.org"))
    tasks.issue_invoices()
    mailing = invoice_mail.request(invoice=Invoice.objects.get())
    for expected in (True, False):
        InvoiceMailing.objects.update(next_try_at=timezone.now())
        invoice_mail.send_due()
        mailing.refresh_from_db()
        assert (mailing.next_try_at is not None, mailing.error) == (expected, "ConnectionRefusedError")


# ---------------------------------------------------------------- files


def test_archive_of_a_month_holds_every_paper_and_an_index(stripe, french) -> None:
    given_back(shop.paid(stripe, known()), 500)
    invoice_files.render_due()
    note = Invoice.objects.get(kind="credit_note")
    packed = BytesIO(b"".join(invoice_archive.stream(note.issued_on.replace(day=1))))
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert archive.read(f"credit_note/{note.number}.pdf") == bytes(note.file.pdf)
        assert archive.read(f"credit_note/{note.number}.xml") == bytes(note.file.xml)
        assert len(archive.read("index.csv").splitlines()) == 3


def test_export_writes_the_archive_and_says_what_is_not_rendered_yet(stripe, french, tmp_path, capsys) -> None:
    payment = shop.paid(stripe, known())
    invoice = invoices.issue(payment=payment)
    invoice_files.render_due()
    given_back(payment, 500)
    file, month = tmp_path / "a.zip", f"{invoice.issued_on:%Y-%m}"
    call_command("export_invoices", "--month", month, "--out", str(file))
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: 2 papers",
        "1 of them are not rendered yet: the index names them without a digest.",
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["a.zip"]  # nothing unfinished is left beside it
    with zipfile.ZipFile(file) as archive:
        assert archive.read(f"invoice/{invoice.number}.pdf") == bytes(InvoiceFile.objects.get().pdf)
        rows = list(csv.DictReader(archive.read("index.csv").decode().splitlines()))
    digests = {row["kind"]: row["pdf_sha256"] for row in rows}
    assert digests == {"invoice": InvoiceFile.objects.get().pdf_sha256, "credit_note": ""}

    invoice_files.render_due()
    call_command("export_invoices", "--month", month, "--out", str(file))
    assert capsys.readouterr().out == f"{file}: 2 papers\n"


def test_export_wants_a_month(tmp_path) -> None:
    with pytest.raises(CommandError, match=r"'2026-13' is no month; write for example 2026-11\."):
        call_command("export_invoices", "--month", "2026-13", "--out", str(tmp_path / "a.zip"))


def test_missing_papers_are_issued_since_a_day_and_each_once(stripe, french, settings, capsys) -> None:
    settings.INVOICE_SWEEP_BATCH = 1
    today = timezone.now().date()
    later = today + timedelta(days=2)
    payments = [shop.paid(stripe, known()) for _ in range(2)]
    refunds.request(payment=payments[0], policy=RefundPolicy.GOODWILL, reason="not delivered", amount=Money(500, "EUR"))
    refund_sending.work_through()
    nothing, said = "Nothing is missing since {}, but what the log says could not be issued.", []
    for since in (later, today, today):
        call_command("issue_missing_invoices", "--since", since.isoformat())
        said.append(capsys.readouterr().out.splitlines())
    assert said == [
        [nothing.format(later)],
        ["2 issued", "3 issued", nothing.format(today)],
        [nothing.format(today)],
    ]
    assert sorted(Invoice.objects.values_list("kind", "gross_minor")) == [
        ("credit_note", 500),
        ("invoice", 999),
        ("invoice", 999),
    ]


def test_archive_of_an_empty_month_is_refused(tmp_path) -> None:
    with pytest.raises(CommandError, match="Nothing was issued in 2020-01"):
        call_command("export_invoices", "--month", "2020-01", "--out", str(tmp_path / "a.zip"))
    assert not (tmp_path / "a.zip").exists()


def this_year() -> int:
    """The seller's: on New Year's Eve it is another than the server's for an hour."""
    return seller_days.here(timezone.now()).year


def test_accounting_file_has_two_lines_for_every_move_of_money(stripe, french, tmp_path) -> None:
    given_back(shop.paid(stripe, known()), 500)
    file, year = tmp_path / "fec.txt", this_year()
    call_command("export_fec", "--year", str(year), "--out", str(file))
    head, *lines = [line.split("\t") for line in file.read_text().splitlines()]
    assert (head, {len(cells) for cells in lines}) == (list(accounting_file.COLUMNS), {18})
    first = [(cells[2], cells[4], cells[11], cells[12]) for cells in lines[:4]]
    assert first == [
        ("1", "517000", "8,32", "0,00"),
        ("1", "706100", "0,00", "8,32"),
        ("1", "517000", "1,67", "0,00"),
        ("1", "445710", "0,00", "1,67"),
    ]
    assert lines[0][8] == Invoice.objects.get(kind="invoice").number
    assert lines[-1][8] == Invoice.objects.get(kind="credit_note").number


@pytest.mark.parametrize(("drops", "wrong"), [(slice(2, 3), "does not balance"), (slice(1, 5), "number is missing")])
def test_accounting_file_with_a_line_or_an_entry_missing_is_refused(stripe, french, tmp_path, drops, wrong) -> None:
    given_back(shop.paid(stripe, known()), 500)
    file = tmp_path / "fec.txt"
    call_command("export_fec", "--year", str(this_year()), "--out", str(file))
    lines = file.read_text().splitlines(keepends=True)
    del lines[drops]
    file.write_text("".join(lines))
    with pytest.raises(errors.AccountingMistake, match=wrong):
        accounting_file.check(file)


@pytest.mark.parametrize("year", ["soon", "0", "99999", "202"])
def test_accounting_file_wants_a_year(year, tmp_path) -> None:
    with pytest.raises(CommandError, match=f"'{year}' is no year; write for example 2026\\."):
        call_command("export_fec", "--year", year, "--out", str(tmp_path / "fec.txt"))


@pytest.mark.usefixtures("french")
@pytest.mark.parametrize(
    ("command", "file", "says"),
    [
        (["export_fec", "--year", "{:%Y}"], "nowhere/fec.txt", "fec.txt.part cannot be written: No such file"),
        (["export_invoices", "--month", "{:%Y-%m}"], "nowhere/a.zip", "a.zip.part cannot be written: No such file"),
        (
            ["show_invoices", "--catalogue", "ai-credits"],
            "taken",
            "pictures cannot be written to .*/taken: File exists",
        ),
    ],
)
def test_place_that_cannot_be_written_to_is_told(stripe, command, file, says, tmp_path) -> None:
    issued = invoices.issue(payment=shop.paid(stripe, known()))
    (tmp_path / "taken").touch()
    with pytest.raises(CommandError, match=says):
        call_command(*(word.format(issued.issued_on) for word in command), "--out", str(tmp_path / file))
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_accounting_file_is_not_written_while_an_account_has_no_number(stripe, french, settings, tmp_path) -> None:
    shop.paid(stripe, known())
    settings.FEC_ACCOUNTS = {"gateway:": ["517000", "Prestataires"]}
    with pytest.raises(CommandError, match="no account for revenue:packs:EUR"):
        call_command("export_fec", "--year", str(this_year()), "--out", str(tmp_path / "fec.txt"))
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- operators


def test_list_is_narrowed_to_a_month_and_totals_of_a_long_one_are_not_added_up(stripe, french, monkeypatch) -> None:
    shop.paid(stripe, known())
    tasks.issue_invoices()
    client, invoice, path = browser(member()), Invoice.objects.get(), "/admin/billing/invoice/"
    month = f"month={invoice.issued_on:%Y-%m}"
    listed = client.get(f"{path}?{month}")
    assert list(listed.context["cl"].result_list) == [invoice]
    assert month in client.get(path).text
    assert list(client.get(f"{path}?month=2001-02").context["cl"].result_list) == []
    assert client.get(f"{path}?month=soon").status_code == 302
    monkeypatch.setattr("billing.admin.invoices.ADDED_UP", 0)
    answer = client.get(path)
    assert answer.context["totals"] == []
    assert "to see its totals" in answer.text


def test_list_shows_totals_and_what_is_missing(stripe, french) -> None:
    shop.paid(stripe, known())
    tasks.issue_invoices()
    answer = browser(member()).get("/admin/billing/invoice/?missing=yes")
    assert answer.context["totals"] == [
        {"kind": "invoice", "count": "1", "net": "€8.32", "tax": "€1.67", "gross": "€9.99"}
    ]
    page = browser(member()).get(f"/admin/billing/invoice/{Invoice.objects.get().pk}/change/")
    text = page.content.decode()
    assert "address, city" in text
    assert all(text.count(each) >= 2 for each in ("€8.32", "€1.67", "€9.99"))  # of the paper and of its line
    assert "20.00 %" in text
    assert "minor units" not in text


def test_operator_sends_a_document_by_mail(stripe, french) -> None:
    shop.paid(stripe, known())
    tasks.issue_invoices()
    invoice, finance = Invoice.objects.get(), member("mail_invoice")
    press(finance, "billing_invoice_mail", invoice, address="accounts@example.org")
    mailing = InvoiceMailing.objects.get()
    assert (mailing.address, mailing.requested_by) == ("accounts@example.org", finance)


def test_operator_downloads_a_month(stripe, french) -> None:
    shop.paid(stripe, known())
    tasks.issue_invoices()
    month = f"{Invoice.objects.get().issued_on:%Y-%m}"
    fields = {"key": "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f", "month": month}
    answer = browser(member("export_invoice")).post("/admin/billing/invoice/month/", fields)
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(
        BytesIO(
            b"".join(answer.streaming_content)  # type: ignore[attr-defined]
        )
    ) as archive:
        assert len(archive.namelist()) == 3
    assert LogEntry.objects.get().change_message == f"Downloaded: about 1 rows, filtered by: {month}"


@pytest.mark.parametrize("act", ["mail", "credit", "month"])
def test_who_may_only_look_has_no_buttons(stripe, french, act) -> None:
    shop.paid(stripe, known())
    tasks.issue_invoices()
    path = "month" if act == "month" else f"{Invoice.objects.get().pk}/{act}"
    assert browser(member()).get(f"/admin/billing/invoice/{path}/").status_code == 403
    assert not InvoiceMailing.objects.exists()


def test_button_to_credit_leads_to_the_refund_of_the_payment(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    tasks.issue_invoices()
    answer = browser(member("request_refund")).get(f"/admin/billing/invoice/{Invoice.objects.get().pk}/credit/")
    assert answer["Location"] == f"/admin/billing/payment/{payment.pk}/refund/"


# ---------------------------------------------------------------- rates


def test_rates_of_the_file_are_added_once_and_change_none(db, capsys) -> None:
    TaxRate.objects.all().delete()
    TaxRate.objects.create(country="FR", valid_from=date(2026, 1, 1), basis_points=1_960)
    call_command("seed_tax_rates")
    call_command("seed_tax_rates")
    assert capsys.readouterr().out.splitlines() == [
        "43 added, of 44 as of 2026-11-26.",
        "0 added, of 44 as of 2026-11-26.",
    ]
    assert taxing.rate("FR", "standard", date(2026, 6, 1)) == 1_960
    assert taxing.rate("FI", "standard", date(2026, 6, 1)) == 2_550
    assert taxing.rate("TD", "standard", date(2026, 6, 1)) == 1_750


RATES = """as_of: 2026-11-26
valid_from: 2027-01-01
category: standard
rates:
  FR: 2050
  NO: 2500
"""


def seeded(tmp_path: Path, text: str | None) -> str:
    """What the command says of a file with this text; without one there is none."""
    file, told = tmp_path / "rates.yaml", StringIO()
    if text is not None:
        file.write_text(text)
    try:
        call_command("seed_tax_rates", "--file", str(file), stdout=told)
    except CommandError as refusal:
        return str(refusal)
    return told.getvalue()


def test_rates_of_a_file_of_ones_own_are_added(db, tmp_path) -> None:
    assert seeded(tmp_path, RATES) == "2 added, of 2 as of 2026-11-26.\n"
    assert taxing.rate("FR", "standard", date(2026, 12, 31)) == 2_000
    assert taxing.rate("FR", "standard", date(2027, 1, 1)) == 2_050
    assert taxing.rate("NO", "standard", date(2027, 1, 1)) == 2_500  # a country, and not the word for false


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "rates.yaml: cannot be read: "),
        ("rates: [", "rates.yaml:1: is not YAML: "),
        ("", "rates.yaml:1: write `as_of`, `valid_from`, `category` and the section `rates`"),
        (RATES.replace("as_of: 2026-11-26\n", ""), "rates.yaml:1: as_of: is missing; write for example"),
        (RATES.replace("2027-01-01", "soon"), "rates.yaml:2: valid_from: 'soon' does not fit; write for example 2026-"),
        (RATES.replace("2027-01-01", "2027-02-29"), "rates.yaml:2: valid_from: '2027-02-29' is no day"),
        (
            RATES.replace("2050", "20.5"),
            "rates.yaml:5: rates.FR: '20.5' does not fit; write a whole number from 0 to 9",
        ),
        (RATES.replace("2050", "10000"), "rates.yaml:5: rates.FR: '10000' does not fit"),
        (RATES.replace("FR", "France"), "rates.yaml:5: rates.France: 'France' is not a good name here"),
        (RATES.partition("  FR")[0], "rates.yaml:4: rates: says no rate; write for example `FR: 2000`"),
        (RATES + "rate: 5\n", "rates.yaml:7: rate: is not known; known here: as_of, category, rates, valid_from"),
    ],
)
def test_file_of_rates_that_cannot_be_read_adds_none_and_says_where(db, tmp_path, text, says) -> None:
    before = TaxRate.objects.count()
    first, _, mistake = seeded(tmp_path, text).partition("\n")
    assert (first, TaxRate.objects.count()) == ("The rates cannot be read:", before)
    assert mistake.removeprefix(f"{tmp_path}/").startswith(says)
