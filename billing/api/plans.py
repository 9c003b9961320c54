"""`GET plans`, for anybody; `GET entitlements`, for the customer."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from billing import entitlements, plans
from billing.models.plans import PlanInterval
from billing.plans import PlanOffer
from credits.models.catalogue import code_validator
from rest import callers, fields, serializers
from rest.permissions import OwnerOrService
from rest.views import ApiView


class PlansQuery(serializers.QuerySerializer):
    catalogue = fields.StringField(max_length=60, validators=[code_validator], required=False)
    currency = fields.CurrencyField(required=False)


class PlanText(answers.Serializer[dict[str, str]]):
    en = answers.CharField()
    fr = answers.CharField(help_text="The English text where there is no French one.")


class PlanPriceResponse(answers.Serializer[dict[str, Any]]):
    interval = answers.ChoiceField(choices=PlanInterval.values)
    currency = answers.CharField(help_text="ISO 4217")
    amount = answers.IntegerField(help_text="In minor units of the currency, for one interval.")


class PlanGrantResponse(answers.Serializer[dict[str, Any]]):
    amount = answers.IntegerField()
    unit = answers.CharField()
    every = answers.CharField()


class PlanOfferResponse(answers.Serializer[dict[str, Any]]):
    code = answers.CharField()
    catalogue = answers.CharField()
    name = PlanText()
    description = PlanText()
    features = PlanText(many=True)
    entitlements = answers.DictField(help_text="A whole number is a limit, true or false a flag, or `unlimited`.")
    grants = PlanGrantResponse(many=True)
    unlimited = answers.BooleanField(help_text="Credits are metered and cost nothing.")
    fair_use_per_month = answers.IntegerField(allow_null=True)
    trial_days = answers.IntegerField()
    tax_included = answers.BooleanField(help_text="Whether the prices contain the tax, or it comes on top.")
    prices = PlanPriceResponse(many=True)


class PlansResponse(answers.Serializer[dict[str, Any]]):
    results = PlanOfferResponse(many=True)


class EntitlementsResponse(answers.Serializer[dict[str, Any]]):
    entitlements = answers.DictField(help_text="A whole number is a limit, true or false a flag, or `unlimited`.")


class PlansView(ApiView):
    permission_classes = (AllowAny,)
    queries = {"GET": PlansQuery}

    @extend_schema(
        operation_id="plans",
        summary="List plans on sale",
        tags=["catalogue"],
        responses=PlansResponse,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, PlansQuery)
        return Response({"results": [_plan(offer) for offer in plans.on_sale(**asked)]})


class EntitlementsView(ApiView):
    permission_classes = (OwnerOrService("billing.view_subscription"),)

    @extend_schema(
        operation_id="entitlements",
        summary="List the customer's entitlements",
        tags=["subscriptions"],
        responses=EntitlementsResponse,
    )
    def get(self, request: Request) -> Response:
        return Response({"entitlements": entitlements.of(callers.customer(request))})


def _plan(offer: PlanOffer) -> dict[str, Any]:
    plan = offer.plan
    return {
        "code": plan.code,
        "catalogue": plan.catalogue,
        "name": _both(plan.name_en, plan.name_fr),
        "description": _both(plan.description_en, plan.description_fr),
        "features": [_both(each["en"], each["fr"]) for each in plan.features],
        "entitlements": plan.entitlements,
        "grants": [{"amount": each.amount, "unit": each.unit, "every": each.every} for each in plans.terms(plan)],
        "unlimited": plan.is_unlimited,
        "fair_use_per_month": plan.fair_use_per_month,
        "trial_days": plan.trial_days,
        "tax_included": plan.catalogue not in settings.TAX_EXCLUSIVE_CATALOGUES,
        "prices": [
            {"interval": price.interval, "currency": price.currency, "amount": price.amount_minor}
            for price in offer.prices
        ],
    }


def _both(english: str, french: str) -> dict[str, str]:
    return {"en": english, "fr": french or english}
