"""`/mail-preferences`: which e-mails the caller wants."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from events import preferences
from rest import callers, fields, serializers
from rest.permissions import OwnerOrService
from rest.views import ApiView

TAGS = ["mail"]


class PreferencesRequest(serializers.StrictSerializer):
    receipts = fields.BooleanField(help_text="Receipts and refunds.")
    payment_problems = fields.BooleanField(help_text="Payments that failed, with a link to pay.")
    renewals = fields.BooleanField(help_text="Reminders of renewals.")
    credits = fields.BooleanField(help_text="Credits that run low or expire.")
    weekly_grants = fields.BooleanField(help_text="Credits that a plan gives; off until asked for.")
    withdrawals = fields.BooleanField(help_text="Steps of withdrawals.")


class PreferencesResponse(answers.Serializer[Any]):
    receipts = answers.BooleanField()
    payment_problems = answers.BooleanField()
    renewals = answers.BooleanField()
    credits = answers.BooleanField()
    weekly_grants = answers.BooleanField()
    withdrawals = answers.BooleanField()


class PreferencesView(ApiView):
    permission_classes = (OwnerOrService("billing.view_customer", "billing.change_customer"),)
    permissions_to_write = (OwnerOrService("billing.change_customer"),)

    @extend_schema(
        operation_id="mail_preferences",
        summary="Show which e-mails the customer wants",
        responses=PreferencesResponse,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        return Response(preferences.of(callers.customer(request)))

    @extend_schema(
        operation_id="change_mail_preferences",
        summary="Choose which e-mails the customer wants",
        description="Only what is sent changes.",
        request=PreferencesRequest,
        responses=PreferencesResponse,
        tags=TAGS,
    )
    def patch(self, request: Request) -> Response:
        asked = serializers.read(request, PreferencesRequest, partial=True)
        return Response(preferences.change(callers.customer(request), asked))
