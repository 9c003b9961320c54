"""`/top-up`: whether, when and for how much a customer wants to be charged by themselves."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import saved_methods, top_up
from billing.models import SavedMethod, TopUp
from billing.models.top_ups import Suspension
from rest import callers, fields, serializers
from rest.permissions import OwnerOrService
from rest.views import ApiView

TAGS = ["payments"]


class ChargedMethodResponse(answers.ModelSerializer[SavedMethod]):
    class Meta:
        model = SavedMethod
        fields = ("gateway", "kind", "brand", "last4", "expires")


class TopUpResponse(answers.Serializer[TopUp]):
    pack = answers.CharField(source="pack.code")
    currency = answers.CharField()
    price = answers.IntegerField(source="price_minor", help_text="As agreed, in minor units; a higher one stops it.")
    credits = answers.IntegerField(help_text="As agreed: what the pack brings; fewer stop it.")
    threshold = answers.IntegerField()
    monthly_cap = answers.IntegerField(source="monthly_cap_minor", help_text="In minor units, per UTC month.")
    consent = answers.CharField()
    consented_at = answers.DateTimeField()
    suspended = answers.SerializerMethodField(help_text="Why it has stopped by itself; null while it runs.")
    suspended_at = answers.DateTimeField(allow_null=True)
    next_try_at = answers.DateTimeField(allow_null=True, help_text="No charge before: a cap, or a failed charge.")
    method = answers.SerializerMethodField(help_text="What is charged: the card that was saved last.")

    def get_suspended(self, standing: TopUp) -> str | None:
        return Suspension(standing.suspended_for).value if standing.suspended_for else None

    def get_method(self, standing: TopUp) -> dict[str, Any] | None:
        method = saved_methods.latest(standing.user)
        return dict(ChargedMethodResponse(method).data) if method else None


class TopUpBody(serializers.StrictSerializer):
    pack = fields.StringField(max_length=60, bare=True)
    currency = fields.CurrencyField()
    threshold = fields.AmountField(help_text="The pack is bought when fewer credits than this are available.")
    monthly_cap = fields.AmountField(help_text="Charged at most in a UTC month, in minor units.")
    consent = fields.StringField(
        min_length=20, max_length=2_000, multiline=True, help_text="The sentence that the customer agreed to, as shown."
    )


class TopUpView(ApiView):
    permission_classes = (OwnerOrService("billing.view_topup", "billing.change_consent"),)
    permissions_to_write = (OwnerOrService("billing.change_consent"),)

    @extend_schema(operation_id="top_up", summary="Show the automatic top-up", responses=TopUpResponse, tags=TAGS)
    def get(self, request: Request) -> Response:
        return Response(TopUpResponse(top_up.of(callers.customer(request))).data)

    @extend_schema(
        operation_id="agree_to_top_up",
        summary="Switch the automatic top-up on, or change its terms",
        description=(
            "The wording of the consent is kept with its time. A card must have been saved before: by a checkout with "
            "`save_method`, or by POST payment-methods. Charges that were declined before still count. One that has "
            "stopped for another reason than its cards starts again by the same terms."
        ),
        request=TopUpBody,
        responses=TopUpResponse,
        tags=TAGS,
    )
    def put(self, request: Request) -> Response:
        asked = serializers.read(request, TopUpBody)
        made = top_up.agree(
            user=callers.customer(request),
            pack=asked["pack"],
            currency=asked["currency"],
            threshold=asked["threshold"],
            monthly_cap_minor=asked["monthly_cap"],
            consent=asked["consent"],
            by=callers.of(request).identity,
        )
        return Response(TopUpResponse(made).data)

    @extend_schema(
        operation_id="withdraw_from_top_up",
        summary="Switch the automatic top-up off",
        description="No charge begins from now on; one that is under way is finished, and delivered if it is paid.",
        responses={204: None},
        tags=TAGS,
    )
    def delete(self, request: Request) -> Response:
        top_up.withdraw(user=callers.customer(request), by=callers.of(request).identity)
        return Response(status=204)
