"""Invoices and credit notes: their list, one of them, and its documents."""

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import errors, invoices
from billing.models import Invoice, InvoiceFile, InvoiceLine, Payment
from billing.models.invoices import InvoiceKind, InvoiceStatus, TaxCategory
from rest import callers, fields, idempotency, pagination, serializers
from rest.permissions import HasPermission, OwnerOrService
from rest.views import ApiView

TAGS = ["invoices"]
MayRead = OwnerOrService("billing.view_invoice")


class InvoiceLineResponse(answers.Serializer[InvoiceLine]):
    description = answers.CharField()
    quantity = answers.IntegerField()
    unit_price = answers.IntegerField(source="unit_price_minor")
    discount = answers.IntegerField(source="discount_minor")
    tax_category = answers.ChoiceField(choices=TaxCategory.values)
    tax_basis_points = answers.IntegerField()
    net = answers.IntegerField(source="net_minor")
    tax = answers.IntegerField(source="tax_minor")
    gross = answers.IntegerField(source="gross_minor")


class InvoiceResponse(answers.Serializer[Invoice]):
    id = answers.UUIDField()
    kind = answers.ChoiceField(choices=InvoiceKind.values)
    number = answers.CharField()
    status = answers.ChoiceField(choices=InvoiceStatus.values)
    payment = answers.UUIDField(source="payment_id", allow_null=True, help_text="Null on what was used in a month.")
    month = answers.DateField(allow_null=True, help_text="Of the use that is invoiced: its first day.")
    refund = answers.UUIDField(source="refund_id", allow_null=True)
    corrects = answers.UUIDField(source="corrects_id", allow_null=True)
    currency = answers.CharField()
    net = answers.IntegerField(source="net_minor", help_text="In minor units.")
    tax = answers.IntegerField(source="tax_minor")
    gross = answers.IntegerField(source="gross_minor")
    mention = answers.CharField()
    is_simplified = answers.BooleanField()
    missing = answers.ListField(child=answers.CharField(), help_text="What the buyer has not told us.")
    issued_at = answers.DateTimeField()
    issued_on = answers.DateField()
    lines = InvoiceLineResponse(many=True)


class InvoiceRequest(serializers.StrictSerializer):
    payment = fields.UUIDField()


class InvoicesQuery(pagination.PageQuery):
    kind = fields.EnumField(choices=InvoiceKind.values, required=False)
    payment = fields.UUIDField(required=False)


class InvoicesView(ApiView):
    def get_permissions(self):  # type: ignore[no-untyped-def]
        kind = HasPermission("billing.issue_invoice") if self.request.method == "POST" else MayRead
        return [kind()]

    @extend_schema(
        operation_id="invoices",
        summary="Invoices and credit notes, newest first",
        parameters=[InvoicesQuery],
        responses=pagination.page_of(InvoiceResponse),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, InvoicesQuery)
        rows = Invoice.objects.of(callers.customer(request)).with_lines()
        rows = rows.filter(**{name: asked[name] for name in ("kind", "payment") if name in asked})
        return pagination.answer(request, rows, asked, InvoiceResponse)

    @extend_schema(
        operation_id="issue_invoice",
        summary="Issue the invoice of a payment now",
        description="Invoices are issued by themselves soon after a payment; asked for again, the same one comes back.",
        request=InvoiceRequest,
        responses={201: InvoiceResponse},
        tags=TAGS,
    )
    @idempotency.idempotent()
    def post(self, request: Request) -> HttpResponse:
        wish = serializers.read(request, InvoiceRequest)
        user = callers.of(request).user
        rows = Payment.objects.filter(pk=wish["payment"])
        payment = (rows.of(user) if user is not None else rows).first()
        if payment is None:
            raise errors.NotYours
        invoice = invoices.issue(payment=payment)
        return Response(InvoiceResponse(invoice).data, status=201)


class InvoiceView(ApiView):
    permission_classes = (MayRead,)

    @extend_schema(operation_id="invoice", summary="One invoice", responses=InvoiceResponse, tags=TAGS)
    def get(self, request: Request, invoice_id: UUID) -> Response:
        return Response(InvoiceResponse(_found(request, invoice_id)).data)


class InvoicePdfView(ApiView):
    permission_classes = (MayRead,)

    @extend_schema(
        operation_id="invoice_pdf",
        summary="The PDF, with the XML of Factur-X inside",
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
        tags=TAGS,
    )
    def get(self, request: Request, invoice_id: UUID) -> HttpResponse:
        invoice = _found(request, invoice_id)
        return _sent(bytes(_file(invoice).pdf), f"{invoice.number}.pdf", "application/pdf")


class InvoiceXmlView(ApiView):
    permission_classes = (MayRead,)

    @extend_schema(
        operation_id="invoice_xml",
        summary="The XML of Factur-X",
        responses={(200, "application/xml"): OpenApiTypes.BINARY},
        tags=TAGS,
    )
    def get(self, request: Request, invoice_id: UUID) -> HttpResponse:
        invoice = _found(request, invoice_id)
        xml = bytes(_file(invoice).xml)
        if not xml:  # a currency that EN 16931 cannot write
            raise errors.NotYours
        return _sent(xml, f"{invoice.number}.xml", "application/xml")


def _found(request: Request, invoice_id: UUID) -> Invoice:
    invoice = Invoice.objects.of(callers.customer(request)).with_lines().filter(pk=invoice_id).first()
    if invoice is None:
        raise errors.NotYours
    return invoice


def _file(invoice: Invoice) -> InvoiceFile:
    found = InvoiceFile.objects.filter(pk=invoice.pk).first()
    if found is None:
        raise errors.NotRendered(invoice.pk)
    return found


def _sent(body: bytes, name: str, content_type: str) -> HttpResponse:
    disposition = f'attachment; filename="{name}"'
    return HttpResponse(body, content_type=content_type, headers={"Content-Disposition": disposition})
