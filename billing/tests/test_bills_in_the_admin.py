"""Drafts, overdue invoices and cancelling, as operators do them."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing import drafts, invoice_files, invoice_links, seller_days, taxing
from billing.models import Invoice, InvoiceDraft, VatCheck
from billing.tests.papers import known
from billing.tests.test_bills import drafted, fresh, issued, paid, soon
from billing.tests.test_payments_in_the_admin import member, press
from rest.tests.operators import browser

pytestmark = pytest.mark.django_db
MAY = ("add_invoicedraft", "change_invoicedraft", "delete_invoicedraft", "issue_invoice", "cancel_invoice")


@pytest.fixture
def finance(db) -> User:
    return member(*MAY)


def form(user: User, **changes: Any) -> dict[str, Any]:
    return {
        "user": user.pk,
        "currency": "eur",
        "due_on": str(soon()),
        "lines-TOTAL_FORMS": "2",
        "lines-INITIAL_FORMS": "0",
        "lines-0-description": "Consulting",
        "lines-0-quantity": "3",
        "lines-0-unit_price": "33,33",
        "lines-0-product": "standard",
        "lines-1-description": "Licence",
        "lines-1-quantity": "1",
        "lines-1-unit_price": "100.01",
        "lines-1-discount": "10",
        "lines-1-product": "standard",
    } | changes


def test_operator_writes_a_draft_and_issues_what_the_preview_said(stripe, french, finance) -> None:
    answer = browser(finance).post("/admin/billing/invoicedraft/add/", form(known(email="awa@example.org")))
    assert answer.status_code == 302, answer.context["errors"]
    draft = InvoiceDraft.objects.get()
    lines = [(line.position, line.unit_price_minor, line.discount_minor) for line in draft.lines.all()]
    assert (draft.currency, draft.created_by, lines) == ("EUR", finance, [(1, 3_333, 0), (2, 10_001, 1_000)])
    preview = press(finance, "billing_invoicedraft_issue", draft, preview="yes").context
    assert preview["lines"][2:5] == ["Total without tax: €190.00", "Tax: €38.00", "To be paid: €228.00"]
    assert not Invoice.objects.exists()
    fields = {"key": str(preview["form"].data["key"]), "previewed": preview["previewed"]}
    browser(finance).post(f"/admin/billing/invoicedraft/{draft.pk}/issue/", fields)
    assert Invoice.objects.get().gross_minor == 22_800


def test_draft_that_changes_between_the_look_and_the_lock_is_not_issued(stripe, french, finance, monkeypatch) -> None:
    browser(finance).post("/admin/billing/invoicedraft/add/", form(known()))
    draft, usual = InvoiceDraft.objects.get(), drafts.issue

    def issue(**asked: Any) -> Invoice:
        draft.lines.filter(position=1).update(quantity=4)
        return usual(**asked)

    monkeypatch.setattr(drafts, "issue", issue)
    assert "has changed meanwhile" in press(finance, "billing_invoicedraft_issue", draft).text
    assert not Invoice.objects.exists()
    monkeypatch.undo()
    press(finance, "billing_invoicedraft_issue", draft)
    assert Invoice.objects.get().net_minor == 4 * 3_333 + 9_001


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"currency": "EURO"}, "at most 3 characters"),
        ({"currency": "XXX"}, "ISO 4217"),
        ({"lines-0-unit_price": "33.333"}, "no more decimals than the currency has"),
        ({"lines-0-quantity": "0"}, "At least one."),
        ({"lines-1-discount": "200"}, "The discount is more than the price."),
        ({"lines-TOTAL_FORMS": "0"}, "An invoice has at least one line."),
    ],
)
def test_mistake_in_a_draft_stands_on_the_form(stripe, french, finance, changes, sentence) -> None:
    answer = browser(finance).post("/admin/billing/invoicedraft/add/", form(known()) | changes)
    assert (answer.status_code, InvoiceDraft.objects.count()) == (200, 0)
    assert sentence in answer.content.decode()


def test_issued_draft_is_not_edited_any_more(stripe, french, finance) -> None:
    draft = drafted()
    drafts.issue(draft=draft)
    path = f"/admin/billing/invoicedraft/{draft.pk}"
    assert browser(finance).post(f"{path}/change/", form(draft.user)).status_code == 403
    assert browser(finance).post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert browser(finance).get(f"{path}/change/").status_code == 200
    assert draft.lines.count() == 3


def test_issued_draft_is_not_issued_again(stripe, french, finance) -> None:
    draft = drafted()
    drafts.issue(draft=draft)
    path = f"/admin/billing/invoicedraft/{draft.pk}/issue/"
    answer = browser(finance).post(path, {"key": str(uuid.uuid4()), "preview": "yes"}, follow=True)
    assert answer.redirect_chain == [(f"/admin/billing/invoicedraft/{draft.pk}/change/", 302)]
    assert "The invoice of this draft is issued already." in answer.text
    assert Invoice.objects.count() == 1


def test_draft_is_edited_by_another_and_stays_of_who_wrote_it(stripe, french, finance) -> None:
    browser(member(*MAY)).post("/admin/billing/invoicedraft/add/", form(known()))
    draft = InvoiceDraft.objects.get()
    writer, (consulting, licence) = draft.created_by, draft.lines.all()
    path = f"/admin/billing/invoicedraft/{draft.pk}/change/"
    assert 'value="33.33"' in browser(finance).get(path).content.decode()
    changes = {
        "lines-TOTAL_FORMS": "3",
        "lines-INITIAL_FORMS": "2",
        "lines-0-id": consulting.pk,
        "lines-0-DELETE": "on",
        "lines-1-id": licence.pk,
        "lines-1-discount": "",
        "lines-2-description": "Handbook",
        "lines-2-quantity": "7",
        "lines-2-unit_price": "4.99",
        "lines-2-product": "standard",
    }
    answer = browser(finance).post(path, form(draft.user, **changes))
    assert answer.status_code == 302, answer.context["errors"]
    draft.refresh_from_db()
    lines = [
        (line.position, line.description, line.unit_price_minor, line.discount_minor) for line in draft.lines.all()
    ]
    assert lines == [(2, "Licence", 10_001, 0), (3, "Handbook", 499, 0)]
    assert writer is not None
    assert (draft.created_by, draft.currency) == (writer, "EUR")


@pytest.mark.parametrize(("is_issued", "state"), [(False, "draft"), (True, "issued")])
def test_list_of_drafts_says_what_each_is_worth_and_what_became_of_it(
    stripe, french, finance, is_issued, state
) -> None:
    draft = drafted()
    number = drafts.issue(draft=draft).number if is_issued else "-"
    page = "/admin/billing/invoicedraft/"
    listed = browser(finance).get(page)
    cells = [" ".join(re.sub("<[^>]*>", " ", each).split()) for each in re.findall(r"<td.*?</td>", listed.text, re.S)]
    assert {"€224.93", state, number} <= set(cells)  # 99.99, 90.01 and 34.93
    assert draft.user.get_username() in " ".join(cells)
    chosen = {
        issued: browser(finance).get(f"{page}?issued={issued}").context["cl"].queryset for issued in ("yes", "no")
    }
    assert {issued: list(rows) for issued, rows in chosen.items()} == {
        "yes": [draft] if is_issued else [],
        "no": [] if is_issued else [draft],
    }


WHOLE = {"email": "awa@example.org", "address": "12 rue Neuve", "city": "Lyon"}


@pytest.mark.parametrize(
    ("buyer", "said"),
    [
        (WHOLE, []),
        (
            {"country": "DE", "vat_number": "DE136695976"},
            [
                taxing.REVERSE_CHARGE,
                "Missing of the buyer: address, city",
                "Nobody told us an e-mail address: send the customer the link yourself.",
            ],
        ),
    ],
)
def test_preview_of_an_invoice_says_what_is_special_about_its_buyer(stripe, french, finance, buyer, said) -> None:
    user = known(**buyer)
    VatCheck.objects.create(user=user, vat_number="DE136695976", outcome="valid")
    shown = press(finance, "billing_invoicedraft_issue", drafted(user=user), preview="yes").context["lines"]
    assert shown[0] == "3 \N{MULTIPLICATION SIGN} Consulting: €99.99"
    assert shown[6:] == said


def test_overdue_list_has_what_nobody_paid_in_time(stripe, french, finance, monkeypatch) -> None:
    late = issued()
    issued(due_on=soon() + timedelta(days=60))
    page = "/admin/billing/invoice/?due=overdue"
    assert list(browser(finance).get(page).context["cl"].queryset) == []
    after = soon() + timedelta(days=1)
    monkeypatch.setattr(seller_days, "today", lambda: after)
    listed = browser(finance).get(page)
    assert list(listed.context["cl"].queryset) == [late]
    assert "overdue" in browser(finance).get(f"/admin/billing/invoice/{late.pk}/change/").content.decode()
    assert late.number in browser(finance).get("/admin/").content.decode()


def test_operator_cancels_an_unpaid_invoice(stripe, french, finance) -> None:
    invoice = issued()
    press(finance, "billing_invoice_cancel", invoice, reason="ordered twice")
    assert (fresh(invoice).status, Invoice.objects.get(kind="credit_note").remark) == ("credited", "ordered twice")


@pytest.mark.parametrize("path", ["invoicedraft/add/", "invoicedraft/{draft}/issue/", "invoice/{invoice}/cancel/"])
def test_who_may_only_look_changes_nothing(stripe, french, path) -> None:
    draft, invoice = drafted(), issued()
    where = path.format(draft=draft.pk, invoice=invoice.pk)
    answer = browser(member()).post(f"/admin/billing/{where}", form(draft.user, key=str(uuid.uuid4()), reason="x"))
    assert answer.status_code == 403
    assert (InvoiceDraft.objects.count(), Invoice.objects.count()) == (2, 1)


@pytest.mark.parametrize(("permissions", "has_it"), [((), False), (("mail_invoice",), True)])
def test_who_only_reads_gets_no_link_that_acts_as_the_customer(stripe, french, permissions, has_it) -> None:
    operator, invoice = member(*permissions), issued()
    invoice_files.render_due()
    page = f"/admin/billing/invoice/{invoice.pk}"
    told = browser(operator).get(f"{page}/change/")
    assert (told.status_code, invoice_links.url(invoice) in told.content.decode()) == (200, has_it)
    opened = browser(operator).get(f"{page}/pdf/")
    assert (opened.status_code, opened.content[:5] == b"%PDF-") == (200 if has_it else 302, has_it)
    paid(stripe, invoice)  # the page behind the link says no more than the document by now
    assert browser(operator).get(f"{page}/pdf/").content[:5] == b"%PDF-"
