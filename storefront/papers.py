"""A customer's own invoices and credit notes, for whoever is signed in: the last ones, each as its PDF."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse

from billing.models import Invoice, InvoiceFile
from ledger.money import Money, for_reader
from storefront.signed_in import SignedIn

MOST = 24


class OwnPdfView(SignedIn):
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, invoice: UUID) -> HttpResponse:
        file = InvoiceFile.objects.filter(invoice__in=Invoice.objects.of(self.customer).filter(pk=invoice)).first()
        if file is None:
            raise Http404
        disposition = f'attachment; filename="{file.invoice.number}.pdf"'
        return HttpResponse(bytes(file.pdf), "application/pdf", headers={"Content-Disposition": disposition})


def listed(user: Any) -> list[dict[str, Any]]:
    """The youngest first. One that was issued a moment ago may have no PDF yet."""
    found = Invoice.objects.of(user).select_related("file").order_by("-id")[:MOST]
    return [
        {
            "id": each.pk,
            "number": each.number,
            "kind": each.get_kind_display(),
            "issued_on": each.issued_on,
            "total": for_reader(Money(each.gross_minor, each.currency)),
            "has_pdf": hasattr(each, "file"),
        }
        for each in found
    ]
