"""Invoices and credit notes with their documents; tax rates, which are added and never changed."""

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action

from billing.admin.acts import BillingActsAdmin
from billing.admin.payments import shown
from billing.models import Invoice, InvoiceFile, InvoiceLine, TaxRate


class InvoiceLineInline(TabularInline):
    model = InvoiceLine
    fields = ("position", "description", "quantity", "net_minor", "tax_category", "tax_basis_points", "gross_minor")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Invoice)
class InvoiceAdmin(BillingActsAdmin):
    list_display = ("number", "issued_on", "kind", "customer", "net_shown", "tax_shown", "gross_shown", "is_simplified")
    list_filter = ("kind", "year", "currency", "is_simplified")
    search_fields = ("=number", "=id", "=payment__id", "user__username")
    list_select_related = ("user",)
    ordering = ("-id",)
    inlines = (InvoiceLineInline,)
    actions_detail = ("download",)  # type: ignore[assignment]
    fields = (
        "number", "kind", "issued_at", "customer", "payment", "refund", "corrects", "net_shown", "tax_shown",
        "gross_shown", "mention", "missing", "is_simplified", "seller", "buyer", "render_next_at", "render_error",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, invoice: Invoice) -> str:
        return str(invoice.user.get_username())

    @admin.display(description=_("net"))
    def net_shown(self, invoice: Invoice) -> str:
        return shown(invoice.net)

    @admin.display(description=_("tax"))
    def tax_shown(self, invoice: Invoice) -> str:
        return shown(invoice.tax)

    @admin.display(description=_("total"))
    def gross_shown(self, invoice: Invoice) -> str:
        return shown(invoice.gross)

    @action(description=_("Open the PDF"), url_path="pdf", icon="picture_as_pdf")  # type: ignore[arg-type, operator]
    def download(self, request: HttpRequest, object_id: str) -> HttpResponse:
        invoice = self.found(request, object_id)
        file = InvoiceFile.objects.filter(pk=invoice.pk).first()
        if file is None:  # not rendered yet; the page says why
            raise Http404
        return HttpResponse(
            bytes(file.pdf),
            content_type="application/pdf",
            headers={"Content-Disposition": f'inline; filename="{invoice.number}.pdf"'},
        )


@admin.register(TaxRate)
class TaxRateAdmin(ModelAdmin):
    list_display = ("country", "category", "basis_points", "valid_from")
    list_filter = ("category", "country")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
