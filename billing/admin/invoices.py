"""Invoices, receipts and credit notes with their documents; what VIES said; tax rates, added and never changed."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from billing import bills, errors, invoice_archive, invoice_links, invoice_mail, seller_days
from billing.admin.acts import BillingActsAdmin
from billing.admin.finding import of_currency
from billing.models import Invoice, InvoiceFile, InvoiceLine, InvoiceMailing, InvoiceSeries, TaxRate, VatCheck
from billing.models.invoices import InvoiceKind
from credits.admin.acts import ActForm, ReasonForm, operator
from ledger import columns
from ledger.money import Money, for_reader
from rest import exports
from rest.acts import words_of
from rest.labels import display
from rest.lists import Choices, among, person
from wallets.admin.shared import percent

MONTHS_LISTED = 24
ADDED_UP = 10_000  # documents, at most
STANDINGS = {
    "paid": "success", "issued": "info", "overdue": "danger", "credited": "warning", "partly_credited": "warning",
}  # fmt: skip


class MonthForm(ActForm):
    month = forms.DateField(
        label=_("month"), input_formats=["%Y-%m"], widget=UnfoldAdminTextInputWidget(attrs={"type": "month"})
    )


class MailForm(ActForm):
    address = forms.EmailField(label=_("e-mail"), widget=UnfoldAdminEmailInputWidget)


def _years() -> Choices:
    years = InvoiceSeries.objects.order_by("-year").values_list("year", flat=True).distinct()
    return [(year, str(year)) for year in years]


class InMonth(admin.SimpleListFilter):
    """Those of the last two years; `date_hierarchy` would read every invoice to say which years there are."""

    title = _("month")
    parameter_name = "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        first = seller_days.today().replace(day=1)
        months = [first]
        while len(months) < MONTHS_LISTED:
            months.append((months[-1] - timedelta(days=1)).replace(day=1))
        return [(f"{month:%Y-%m}", date_format(month, "YEAR_MONTH_FORMAT")) for month in months]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> QuerySet[Invoice]:
        if self.value() is None:
            return queryset
        try:
            first = date.fromisoformat(f"{self.value()}-01")
        except ValueError as error:
            raise IncorrectLookupParameters from error
        following = (first + timedelta(days=31)).replace(day=1)
        return queryset.filter(issued_on__gte=first, issued_on__lt=following)


class SomethingMissing(admin.SimpleListFilter):
    title = _("buyer's data")
    parameter_name = "missing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", gettext("something is missing")), ("above", gettext("missing above the limit"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> QuerySet[Invoice]:
        if self.value() is None:
            return queryset
        lacking = queryset.exclude(missing=[])
        return lacking.filter(is_simplified=False) if self.value() == "above" else lacking


class Standing(admin.SimpleListFilter):
    title = _("to be paid")
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", gettext("not paid yet")), ("overdue", gettext("overdue"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> QuerySet[Invoice]:
        waiting = Invoice.objects.overdue(seller_days.today()) if self.value() == "overdue" else Invoice.objects.open()
        return queryset if self.value() is None else queryset.filter(pk__in=waiting.values("pk"))


class InvoiceLineInline(TabularInline):
    model = InvoiceLine
    fields = (
        "position", "description", "quantity", "unit_price", "discount", "net", "tax_category", "tax_rate", "tax",
        "gross",
    )  # fmt: skip
    readonly_fields = fields
    extra = 0
    can_delete = False
    unit_price = columns.amount("unit_price_minor", _("unit price"), unit="invoice.currency")
    discount = columns.amount("discount_minor", _("discount"), unit="invoice.currency")
    net = columns.amount("net_minor", _("net"), unit="invoice.currency")
    tax = columns.amount("tax_minor", _("tax"), unit="invoice.currency")
    gross = columns.amount("gross_minor", _("total"), unit="invoice.currency")

    @admin.display(description=_("tax rate"))
    def tax_rate(self, line: InvoiceLine) -> str:
        return percent(line.tax_basis_points)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class InvoiceMailingInline(TabularInline):
    model = InvoiceMailing
    fields = ("address", "requested_by", "requested_at", "sent_at", "tries", "error")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Invoice)
class InvoiceAdmin(BillingActsAdmin):
    list_display = (
        "number", "issued_on", "kind", "customer", "gross_shown", "tax_shown", "standing", "due_on", "is_simplified",
        "is_complete",
    )  # fmt: skip
    list_filter = (
        Standing,
        "kind",
        InMonth,
        ("year", among(_years)),
        ("currency", of_currency),
        "is_simplified",
        SomethingMissing,
    )
    list_before_template = "admin/billing/invoice/totals.html"  # type: ignore[assignment]
    found_by_words = ("number",)
    found_by_ids = ("pk", "payment", "refund")
    found_by_people = ("user",)
    search_help_text = _("A number, an id of the invoice, its payment or refund, or a customer.")
    list_select_related = ("user", "payment")
    ordering = ("-id",)
    inlines = (InvoiceLineInline, InvoiceMailingInline)
    actions_list = ("archive",)  # type: ignore[assignment]
    actions_detail = ("download", "mail", "credit", "cancel")  # type: ignore[assignment]
    fields = (
        "number", "kind", "standing", "issued_at", "due_on", "pay_link", "customer", "payment", "month", "refund",
        "corrects", "net_shown", "tax_shown", "gross_shown", "mention", "remark", "missing_shown", "is_simplified",
        "seller", "buyer", "render_next_at", "render_error",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        return super().get_queryset(request).prefetch_related("credit_notes__credit_notes")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Whoever has the link acts as the customer. Who sends invoices has it anyway; who only reads has not."""
        if self.has_mail_invoice_permission(request):
            return self.fields
        return tuple(name for name in self.fields if name != "pay_link")

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, invoice: Invoice) -> SafeString:
        return person(invoice.user)

    @display(description=_("status"), label=STANDINGS)
    def standing(self, invoice: Invoice) -> tuple[str, str]:
        if invoice.is_to_be_paid and invoice.due_on and invoice.due_on < seller_days.today():
            return "overdue", gettext("overdue")
        return invoice.status.value, str(invoice.status.label)

    @admin.display(description=_("link to pay it"))
    def pay_link(self, invoice: Invoice) -> str:
        return invoice_links.url(invoice) if invoice.is_to_be_paid else "-"

    @admin.display(description=_("net"))
    def net_shown(self, invoice: Invoice) -> str:
        return for_reader(invoice.net)

    @admin.display(description=_("tax"))
    def tax_shown(self, invoice: Invoice) -> str:
        return for_reader(invoice.tax)

    @admin.display(description=_("total"))
    def gross_shown(self, invoice: Invoice) -> str:
        return for_reader(invoice.gross)

    @admin.display(description=_("complete"), boolean=True)
    def is_complete(self, invoice: Invoice) -> bool:
        return not invoice.missing

    @admin.display(description=_("missing on it"))
    def missing_shown(self, invoice: Invoice) -> str:
        names = {
            "name": gettext("name"),
            "address": gettext("address"),
            "city": gettext("city"),
            "country": gettext("country"),
        }
        return ", ".join(names.get(name, name) for name in invoice.missing) or "-"

    # ------------------------------------------------------------ totals of what the filters leave

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        answer = super().changelist_view(request, extra_context)
        context = getattr(answer, "context_data", None) or {}  # none on the way to another page
        if "cl" in context:
            # Of a list that is long all the same, adding up takes seconds: filters make it shorter.
            context["is_too_long"] = context["cl"].result_count > ADDED_UP
            context["totals"] = [] if context["is_too_long"] else _totals(context["cl"].queryset)
        return answer

    # ------------------------------------------------------------ acts

    @action(description=_("Open the PDF"), url_path="pdf", icon="picture_as_pdf")  # type: ignore[arg-type, operator]
    def download(self, request: HttpRequest, object_id: str) -> HttpResponse:
        invoice = self.found(request, object_id)
        if invoice.is_to_be_paid and not self.has_mail_invoice_permission(request):
            said = gettext("Until it is paid its PDF is for those who send it: the link in it is the customer's.")
            self.message_user(request, said, level="warning")
            return HttpResponseRedirect(self.page_of(invoice))
        file = InvoiceFile.objects.filter(pk=invoice.pk).first()
        if file is None:
            self.message_user(request, words_of(errors.NotRendered(invoice.pk), self.words), level="warning")
            return HttpResponseRedirect(self.page_of(invoice))
        return HttpResponse(
            bytes(file.pdf),
            content_type="application/pdf",
            headers={"Content-Disposition": f'inline; filename="{invoice.number}.pdf"'},
        )

    @action(description=_("Send by e-mail"), url_path="mail", permissions=["mail_invoice"], icon="mail")  # type: ignore[arg-type, operator]
    def mail(self, request: HttpRequest, object_id: str) -> HttpResponse:
        invoice = self.found(request, object_id)

        def do(form: ActForm) -> str:
            mailing = invoice_mail.request(invoice=invoice, address=form.facts["address"], by=operator(request))
            return gettext("%(number)s is on its way to %(address)s.") % {
                "number": invoice.number,
                "address": mailing.address,
            }

        return self.act(
            request,
            invoice,
            form=MailForm,
            title=gettext("Send by e-mail"),
            says=gettext("The document is sent as it was issued, with the PDF attached."),
            do=do,
            initial={"address": invoice.buyer.get("email", "")},
        )

    @action(description=_("Refund and credit"), url_path="credit", permissions=["request_refund"], icon="undo")  # type: ignore[arg-type, operator]
    def credit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A credit note follows a refund, so the button leads to the one form there is for that."""
        invoice = self.found(request, object_id)
        if invoice.payment_id is None or invoice.kind == InvoiceKind.CREDIT_NOTE or invoice.is_to_be_paid:
            self.message_user(request, gettext("Only an invoice that is paid can be credited so."), level="warning")
            return HttpResponseRedirect(self.page_of(invoice))
        return HttpResponseRedirect(reverse("admin:billing_payment_refund", args=[invoice.payment_id]))

    @action(description=_("Cancel"), url_path="cancel", permissions=["cancel_invoice"], icon="block")  # type: ignore[arg-type, operator]
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        invoice = self.found(request, object_id)

        def do(form: ActForm) -> str:
            note = bills.cancel(invoice=invoice, reason=form.facts["reason"])
            return gettext("%(note)s cancels %(number)s.") % {"note": note.number, "number": invoice.number}

        return self.act(
            request,
            invoice,
            form=ReasonForm,
            title=gettext("Cancel the invoice"),
            says=gettext(
                "A credit note takes all of it back, and its link says that nothing is owed. What was paid is refunded"
                " instead."
            ),
            do=do,
        )

    @action(description=_("Download a month"), url_path="month", permissions=["export_invoice"], icon="folder_zip")  # type: ignore[arg-type, operator]
    def archive(self, request: HttpRequest) -> HttpResponseBase:
        sent = MonthForm(request.POST)
        if request.method == "POST" and sent.is_valid():
            month = sent.facts["month"]
            if count := invoice_archive.papers(month).count():
                exports.note(request, Invoice, count, f"{month:%Y-%m}")
                return _zip(month)
            self.message_user(request, gettext("Nothing was issued in that month."), level="warning")
            return HttpResponseRedirect(self.page_of(None))
        return self.act(
            request,
            None,
            form=MonthForm,
            title=gettext("Download a month"),
            says=gettext("A ZIP with the PDF and XML of every document of the month, and an index."),
            do=lambda form: "",
            initial={"month": f"{timezone.localdate():%Y-%m}"},
        )


def _zip(month: date) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        invoice_archive.stream(month),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="invoices-{month:%Y-%m}.zip"'},
    )


_PARTS = ("net", "tax", "gross")


def _totals(rows: QuerySet[Invoice]) -> list[dict[str, str]]:
    parts = {f"sum_{name}": Sum(f"{name}_minor") for name in _PARTS}
    sums: Any = rows.order_by().values("kind", "currency").annotate(count=Count("pk"), **parts)
    return [
        {
            "kind": str(InvoiceKind(each["kind"]).label),
            "count": str(each["count"]),
            **{name: for_reader(Money(int(each[f"sum_{name}"]), each["currency"])) for name in _PARTS},
        }
        for each in sums.order_by("currency", "kind")
    ]


@admin.register(VatCheck)
class VatCheckAdmin(BillingActsAdmin):
    list_display = ("asked_at", "vat_number", "outcome", "name", "consultation")
    list_filter = ("outcome",)
    found_by_words = ("vat_number", "consultation")
    found_by_people = ("user",)
    search_help_text = _("A VAT number, a consultation, or a customer.")
    ordering = ("-id",)
    fields = ("asked_at", "user", "vat_number", "outcome", "consultation", "name", "address", "reply")
    readonly_fields = fields


class TaxRateForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        help_texts = {
            "country": _("An ISO 3166 code, such as FR or CI."),
            "category": _("standard, for all that has no kind of its own."),
            "basis_points": _("2000 is 20 %."),
            "valid_from": _("A rate that changes is a new row; invoices that were issued keep theirs."),
        }


@admin.register(TaxRate)
class TaxRateAdmin(ModelAdmin):
    form = TaxRateForm
    list_display = ("country", "category", "basis_points", "valid_from")
    list_filter = ("category", "country")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
