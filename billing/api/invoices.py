"""Invoices and credit notes: their list, one of them, and its documents."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework import serializers as drf
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response

from billing import bills, drafts, errors, invoice_links, invoices
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
    due_on = answers.DateField(allow_null=True, help_text="By when it is to be paid; null: it was paid when issued.")
    payment_url = answers.SerializerMethodField(help_text="The page on which it is paid; null where it cannot be.")
    remark = answers.CharField(help_text="The terms of payment; on a note that cancels an unpaid invoice the reason.")
    issued_at = answers.DateTimeField()
    issued_on = answers.DateField()
    lines = InvoiceLineResponse(many=True)

    def get_payment_url(self, invoice: Invoice) -> str | None:
        return invoice_links.url(invoice) if invoice.is_to_be_paid else None


class InvoiceLineRequest(serializers.StrictSerializer):
    """So many at a price before tax; the tax is that of the day on which it is issued."""

    description = fields.StringField(max_length=200, bare=True)
    quantity = fields.IntegerField(required=False, min_value=1, max_value=1_000_000)
    unit_price = fields.AmountField(help_text="In minor units, before tax.")
    discount = fields.AmountField(required=False, help_text="On the whole line, before tax.")
    product = fields.StringField(required=False, max_length=20, bare=True, help_text="A kind that tax rates name.")


class InvoiceRequest(serializers.StrictSerializer):
    """The invoice of a payment; or one that is still to be paid, with its lines."""

    payment = fields.UUIDField(required=False)
    lines = drf.ListField(child=InvoiceLineRequest(), required=False, min_length=1, max_length=drafts.MOST_LINES)
    currency = fields.CurrencyField(required=False, help_text="Of the lines.")
    due_on = fields.DateField(required=False, help_text="By when the lines are to be paid.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        asked = {"lines", "currency", "due_on"}
        named = asked & attrs.keys()
        if "payment" in attrs and named:
            raise drf.ValidationError({min(named): [ErrorDetail("Not with a payment.", code="unexpected")]})
        if "payment" not in attrs and named != asked:
            message = "Send a payment; or lines, currency and due_on."
            raise drf.ValidationError({min(asked - named): [ErrorDetail(message, code="required")]})
        return attrs


class CancelRequest(serializers.StrictSerializer):
    reason = fields.StringField(max_length=300, bare=True, help_text="It stands on the credit note.")


class InvoicesQuery(pagination.PageQuery):
    kind = fields.EnumField(choices=InvoiceKind.values, required=False)
    payment = fields.UUIDField(required=False)


class InvoicesView(ApiView):
    permission_classes = (MayRead,)
    permissions_to_write = (HasPermission("billing.issue_invoice"),)
    queries = {"GET": InvoicesQuery}

    @extend_schema(
        operation_id="invoices",
        summary="List invoices and credit notes",
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
        summary="Issue an invoice",
        description=(
            "Of a payment: they are issued by themselves soon after it; asked for again, the same one comes back. Of "
            "lines: it waits to be paid by due_on, and the customer gets an e-mail with a link to pay it."
        ),
        request=InvoiceRequest,
        responses={201: InvoiceResponse},
        tags=TAGS,
    )
    @idempotency.idempotent()
    def post(self, request: Request) -> HttpResponse:
        wish = serializers.read(request, InvoiceRequest)
        invoice = _of_lines(request, wish) if "lines" in wish else _of_payment(request, wish)
        return Response(InvoiceResponse(invoice).data, status=201)


def _of_payment(request: Request, wish: dict[str, Any]) -> Invoice:
    user = callers.of(request).user
    rows = Payment.objects.filter(pk=wish["payment"])
    payment = (rows.of(user) if user is not None else rows).first()
    if payment is None:
        raise errors.NotYours
    return invoices.issue(payment=payment)


def _of_lines(request: Request, wish: dict[str, Any]) -> Invoice:
    draft = drafts.write(
        user=callers.customer(request),
        currency=wish["currency"],
        due_on=wish["due_on"],
        lines=[_wanted(line) for line in wish["lines"]],
    )
    return drafts.issue(draft=draft)


def _wanted(line: dict[str, Any]) -> drafts.Wanted:
    return drafts.Wanted(
        description=line["description"],
        quantity=line.get("quantity", 1),
        unit_price_minor=line["unit_price"],
        discount_minor=line.get("discount", 0),
        product=line.get("product", "standard"),
    )


class InvoiceView(ApiView):
    permission_classes = (MayRead,)

    @extend_schema(operation_id="invoice", summary="Show an invoice", responses=InvoiceResponse, tags=TAGS)
    def get(self, request: Request, invoice_id: UUID) -> Response:
        return Response(InvoiceResponse(_found(request, invoice_id)).data)


class InvoiceCancelView(ApiView):
    permission_classes = (HasPermission("billing.cancel_invoice"),)

    @extend_schema(
        operation_id="cancel_invoice",
        summary="Cancel an unpaid invoice",
        description=(
            "Answers the credit note; asked for again, the same one. An attempt to pay that is under way is cancelled "
            "at its gateway first: where that is not possible, 409. What was paid is refunded instead."
        ),
        request=CancelRequest,
        responses=InvoiceResponse,
        tags=TAGS,
    )
    def post(self, request: Request, invoice_id: UUID) -> Response:
        wish = serializers.read(request, CancelRequest)
        user = callers.of(request).user
        rows = Invoice.objects.with_lines().filter(pk=invoice_id)
        invoice = (rows.of(user) if user is not None else rows).first()
        if invoice is None:
            raise errors.NotYours
        return Response(InvoiceResponse(bills.cancel(invoice=invoice, reason=wish["reason"])).data)


class InvoicePdfView(ApiView):
    permission_classes = (MayRead,)

    @extend_schema(
        operation_id="invoice_pdf",
        summary="Download the PDF, with the Factur-X XML inside",
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
        summary="Download the Factur-X XML",
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
