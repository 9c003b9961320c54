"""Figures of the whole shop, for a service that may see them."""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from billing import figures
from rest import fields, serializers
from rest.permissions import HasPermission
from rest.views import ApiView

LONGEST = timedelta(days=732)  # two years, one of them a leap year: so that an answer is a bounded range


class ReportQuery(serializers.QuerySerializer):
    since = fields.DateTimeField(help_text="Included.")
    until = fields.DateTimeField(help_text="Not included; at most two years later.")
    gateway = fields.StringField(max_length=20, bare=True, required=False)
    currency = fields.CurrencyField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not timedelta(0) < attrs["until"] - attrs["since"] <= LONGEST:
            message = "Must be after since, and at most two years later."
            raise ValidationError({"until": [ErrorDetail(message, code="range")]})
        return attrs


class GatewayLine(answers.Serializer[Any]):
    """A month (UTC) of a gateway in a currency; amounts in minor units, with what belongs to sellers."""

    month = answers.DateField(help_text="Its first day.")
    gateway = answers.CharField(allow_blank=True, help_text="Empty: nothing was to be paid.")
    currency = answers.CharField()
    paid_count = answers.IntegerField()
    paid = answers.IntegerField()
    tax = answers.IntegerField()
    fees = answers.IntegerField()
    refunded_count = answers.IntegerField()
    refunded = answers.IntegerField()
    net = answers.IntegerField(help_text="Without tax and refunds.")
    attempts_paid = answers.IntegerField()
    attempts_failed = answers.IntegerField()


class EarningLine(answers.Serializer[Any]):
    account = answers.CharField(help_text="revenue:packs, revenue:plans, revenue:payments, commission, fees or loss.")
    currency = answers.CharField()
    amount = answers.IntegerField(help_text="What the books earned, in minor units; below zero where it cost.")


class BuyerLine(answers.Serializer[Any]):
    currency = answers.CharField()
    begun = answers.IntegerField(help_text="Checkouts of the period, without plans and automatic top-ups.")
    converted = answers.IntegerField(help_text="Of these, paid by now.")
    payers = answers.IntegerField(help_text="Customers who paid.")
    net = answers.IntegerField(help_text="Without tax, refunds and what belongs to sellers.")
    pack_purchases = answers.IntegerField()
    pack_buyers = answers.IntegerField()


class PlanLine(answers.Serializer[Any]):
    currency = answers.CharField()
    begun = answers.IntegerField()
    converted = answers.IntegerField(help_text="Of these, paid by now.")
    at_start = answers.IntegerField(help_text="Paid before the period, and not over when it began.")
    lost = answers.IntegerField(help_text="Of these, over when it ended.")


class ReportResponse(answers.Serializer[Any]):
    gateways = GatewayLine(many=True)
    earnings = EarningLine(many=True)
    buyers = BuyerLine(many=True)
    plans = PlanLine(many=True)


class PaymentReportView(ApiView):
    permission_classes = (HasPermission("billing.view_figures"),)
    queries = {"GET": ReportQuery}

    @extend_schema(
        operation_id="payment_report",
        summary="Figures of the shop, by gateway, currency and month",
        responses=ReportResponse,
        tags=["payments"],
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, ReportQuery)
        found = figures.report(since=asked["since"], until=asked["until"])
        told = ReportResponse(found).data
        wanted: dict[str, str] = {str(name): asked[name] for name in ("gateway", "currency") if name in asked}
        return Response({name: [line for line in lines if _fits(line, wanted)] for name, lines in told.items()})


def _fits(line: dict[str, Any], wanted: dict[str, str]) -> bool:
    """Only the lines of gateways have one."""
    return all(line[name] == value for name, value in wanted.items() if name in line)
