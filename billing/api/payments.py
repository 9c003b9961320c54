"""Payments: their history, how one stands, and the two things a buyer can do about it."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import asking, errors, statistics
from billing.api.shapes import PaymentResponse, StatusResponse, next_action
from billing.models import Payment
from billing.models.payments import PaymentKind, PaymentStatus
from rest import callers, fields, pagination, serializers
from rest.permissions import OwnerOrService
from rest.views import ApiView

TAGS = ["payments"]
MayRead = OwnerOrService("billing.view_payment")


def found(request: Request, payment_id: UUID) -> Payment:
    """The caller's own payment; what is another's is not there."""
    payment = Payment.objects.of(callers.customer(request)).with_attempts().filter(pk=payment_id).first()
    if payment is None:
        raise errors.NotYours
    return payment


class PaymentsQuery(pagination.PageQuery):
    status = fields.EnumField(choices=PaymentStatus.values, required=False)
    kind = fields.EnumField(choices=PaymentKind.values, required=False)
    currency = fields.CurrencyField(required=False)
    gateway = fields.StringField(max_length=20, bare=True, required=False)
    reference = fields.StringField(max_length=200, bare=True, required=False)
    created_from = fields.DateTimeField(required=False)
    created_before = fields.DateTimeField(required=False)


class PaymentsView(ApiView):
    permission_classes = (MayRead,)
    queries = {"GET": PaymentsQuery}

    @extend_schema(
        operation_id="payments",
        summary="List payments",
        responses=pagination.page_of(PaymentResponse),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, PaymentsQuery)
        rows = Payment.objects.of(callers.customer(request)).with_attempts()
        plain = {name: asked[name] for name in ("status", "kind", "currency", "reference") if name in asked}
        rows = rows.filter(**plain)
        if "gateway" in asked:
            rows = rows.filter(attempts__gateway=asked["gateway"]).distinct()
        if "created_from" in asked:
            rows = rows.filter(created_at__gte=asked["created_from"])
        if "created_before" in asked:
            rows = rows.filter(created_at__lt=asked["created_before"])
        return pagination.answer(request, rows, asked, PaymentResponse)


class PaymentView(ApiView):
    permission_classes = (MayRead,)

    @extend_schema(operation_id="payment", summary="Show a payment", responses=PaymentResponse, tags=TAGS)
    def get(self, request: Request, payment_id: UUID) -> Response:
        return Response(PaymentResponse(found(request, payment_id)).data)


class PaymentStatusView(ApiView):
    permission_classes = (MayRead,)

    @extend_schema(
        operation_id="payment_status",
        summary="Show a payment's status",
        description="What a page polls while the buyer pays. The gateway is not asked; `refresh` does that.",
        responses=StatusResponse,
        tags=TAGS,
    )
    def get(self, request: Request, payment_id: UUID) -> Response:
        payment = found(request, payment_id)
        return Response(
            {"id": str(payment.pk), "status": payment.status, "next_action": next_action(payment)},
        )


class PaymentCancelView(ApiView):
    permission_classes = (OwnerOrService("billing.cancel_payment"),)

    @extend_schema(
        operation_id="cancel_payment",
        summary="Cancel an unpaid payment",
        description="409 where the gateway cannot cancel: left unpaid, it ends by itself.",
        request=serializers.NoBody,
        responses=PaymentResponse,
        tags=TAGS,
    )
    def post(self, request: Request, payment_id: UUID) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        asking.cancel(found(request, payment_id))
        return Response(PaymentResponse(found(request, payment_id)).data)


class PaymentRefreshView(ApiView):
    permission_classes = (OwnerOrService("billing.refresh_payment"),)

    @extend_schema(
        operation_id="refresh_payment",
        summary="Ask the gateway about a payment",
        description="For a page that does not want to wait until the gateway writes to us.",
        request=serializers.NoBody,
        responses=PaymentResponse,
        tags=TAGS,
    )
    def post(self, request: Request, payment_id: UUID) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        asking.refresh(found(request, payment_id))
        return Response(PaymentResponse(found(request, payment_id)).data)


class StatisticsQuery(serializers.QuerySerializer):
    created_from = fields.DateTimeField(required=False)
    created_before = fields.DateTimeField(required=False)


class FiguresResponse(answers.Serializer[Any]):
    currency = answers.CharField()
    paid_count = answers.IntegerField()
    paid = answers.IntegerField(help_text="In minor units.")
    average = answers.IntegerField()
    last_paid_at = answers.DateTimeField(allow_null=True)
    by_status = answers.DictField(child=answers.IntegerField())


class GatewayFiguresResponse(answers.Serializer[Any]):
    gateway = answers.CharField()
    currency = answers.CharField()
    paid_count = answers.IntegerField()
    paid = answers.IntegerField(help_text="In minor units.")
    failed_count = answers.IntegerField(help_text="Tries that the gateway or a bank refused.")


class StatisticsResponse(answers.Serializer[Any]):
    currencies = FiguresResponse(many=True)
    gateways = GatewayFiguresResponse(many=True)


class PaymentStatisticsView(ApiView):
    permission_classes = (MayRead,)
    queries = {"GET": StatisticsQuery}

    @extend_schema(
        operation_id="payment_statistics",
        summary="Summarize payments by currency and by gateway",
        responses=StatisticsResponse,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, StatisticsQuery)
        user, since, until = callers.customer(request), asked.get("created_from"), asked.get("created_before")
        figures = statistics.of(user, since=since, until=until)
        gateways = statistics.by_gateway(user, since=since, until=until)
        return Response(
            {"currencies": [asdict(each) for each in figures], "gateways": [asdict(each) for each in gateways]}
        )
