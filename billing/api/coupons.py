"""`POST coupons/redeem`: credits for a code; and what every address that takes a code has in common."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from billing import gifts
from billing.discounts import Terms
from rest import callers, fields, idempotency, limits, serializers, throttles
from rest.permissions import OwnerOrService
from rest.views import ApiView


class RedeemBody(serializers.StrictSerializer):
    code = fields.StringField(max_length=40, bare=True)


class RedeemedResponse(answers.Serializer[Any]):
    id = answers.UUIDField()
    code = answers.CharField()
    credits = answers.IntegerField()
    unit = answers.CharField()
    redeemed_at = answers.DateTimeField()


class CouponResponse(answers.Serializer[Any]):
    """What a coupon does to a purchase."""

    code = answers.CharField()
    name = answers.CharField()
    kind = answers.CharField()
    payments = answers.IntegerField(
        allow_null=True, help_text="Of how many payments of a plan something is taken off; null: of all."
    )
    credits = answers.IntegerField(help_text="They come on top, with the first payment.")
    unit = answers.CharField()


class CouponRedeemView(ApiView):
    permission_classes = (OwnerOrService("billing.start_checkout"),)

    @extend_schema(
        operation_id="redeem_coupon",
        summary="Redeem a coupon for credits",
        description="Of a code that brings credits alone. One that takes something off goes with a checkout.",
        request=RedeemBody,
        responses={201: RedeemedResponse},
        tags=["payments"],
    )
    @idempotency.idempotent()
    def post(self, request: Request) -> HttpResponse:
        wish, user = serializers.read(request, RedeemBody), callers.customer(request)
        count_try(user)
        made = gifts.redeem(user=user, code=wish["code"])
        terms = Terms(**made.terms)
        told = {
            "id": made.pk,
            "code": terms.code,
            "credits": terms.credits,
            "unit": terms.unit,
            "redeemed_at": made.redeemed_at,
        }
        return Response(RedeemedResponse(told).data, status=201)


def count_try(user: User) -> None:
    """Every code that somebody sends counts, so that codes cannot be found by trying."""
    outcome = throttles.meter.take(f"coupon:{user.pk}", limits.parse(settings.THROTTLE_COUPON))
    if not outcome.allowed:
        throttles.throttled.labels("coupon").inc()
        raise Throttled(wait=outcome.reset_seconds, detail="Too many codes were tried.")
