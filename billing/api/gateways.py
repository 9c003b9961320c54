"""`/gateways`: what each gateway can do, within which limits, and how it is, for anybody."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from billing import gateway_choices, routing
from billing.gateways.base import Capabilities, DestinationKind, Flow, Trust
from billing.routing import Candidate, Health
from rest import fields, serializers
from rest.views import ApiView

AVAILABLE, RECOVERING, UNAVAILABLE = "available", "recovering", "unavailable"
DISABLED, NOT_CONFIGURED = "disabled", "not_configured"
STATUSES = [AVAILABLE, RECOVERING, UNAVAILABLE, DISABLED, NOT_CONFIGURED]
OF_HEALTH = {Health.CLOSED: AVAILABLE, Health.HALF_OPEN: RECOVERING, Health.OPEN: UNAVAILABLE}


class GatewaysQuery(serializers.QuerySerializer):
    currency = fields.CurrencyField(required=False)
    country = fields.CountryField(required=False)


class GatewayLimitsResponse(answers.Serializer[dict[str, Any]]):
    currency = answers.CharField(help_text="ISO 4217")
    minimum = answers.IntegerField(help_text="In minor units of the currency.")
    maximum = answers.IntegerField(allow_null=True)
    step = answers.IntegerField(help_text="Amounts are multiples of it.")


class GatewayAbilitiesResponse(answers.Serializer[Capabilities]):
    refund = answers.BooleanField()
    partial_refund = answers.BooleanField()
    cancel = answers.BooleanField()
    saved_methods = answers.BooleanField()
    recurring = answers.BooleanField()


class GatewayPayoutsResponse(answers.Serializer[dict[str, Any]]):
    to = answers.ListField(child=answers.ChoiceField(choices=[kind.value for kind in DestinationKind]))
    currencies = answers.ListField(child=answers.CharField())


class GatewayResponse(answers.Serializer[dict[str, Any]]):
    name = answers.CharField()
    status = answers.ChoiceField(
        choices=STATUSES,
        help_text="`recovering`: it failed just now and is being tried again; `unavailable`: it takes no new payments.",
    )
    flows = answers.ListField(child=answers.ChoiceField(choices=[flow.value for flow in Flow]))
    needs_phone = answers.BooleanField()
    limits = GatewayLimitsResponse(many=True)
    countries = answers.ListField(child=answers.CharField(), help_text="Of the buyer. Empty: all.")
    capabilities = GatewayAbilitiesResponse()
    payouts = GatewayPayoutsResponse(allow_null=True)
    pending_lifetime_seconds = answers.IntegerField(help_text="How long a payment may stay undecided.")
    webhook_trust = answers.ChoiceField(choices=[trust.value for trust in Trust])


class GatewaysResponse(answers.Serializer[dict[str, Any]]):
    results = GatewayResponse(many=True)


class GatewaysView(ApiView):
    permission_classes = (AllowAny,)
    queries = {"GET": GatewaysQuery}

    @extend_schema(
        operation_id="gateways",
        summary="List gateways, with their limits and health",
        tags=["catalogue"],
        responses=GatewaysResponse,
    )
    def get(self, request: Request) -> Response:
        """In the order in which they are tried. With `currency` or `country` only those that take payments in it."""
        asked = serializers.query(request, GatewaysQuery)
        currency, country = asked.get("currency"), asked.get("country")
        found = [_gateway(candidate, currency) for candidate in gateway_choices.candidates()]
        return Response(
            {
                "results": [
                    each
                    for each in found
                    if (currency is None or each["limits"])
                    and (country is None or not each["countries"] or country in each["countries"])
                ]
            }
        )


def _gateway(candidate: Candidate, currency: str | None) -> dict[str, Any]:
    able = candidate.capabilities
    return {
        "name": candidate.name,
        "status": _status(candidate),
        "flows": sorted(able.flows),
        "needs_phone": able.needs_phone,
        "limits": _limits(candidate, [currency] if currency else sorted(able.currencies)),
        "countries": sorted(routing.countries_of(candidate) or ()),
        "capabilities": GatewayAbilitiesResponse(able).data,
        "payouts": {"to": sorted(able.payout), "currencies": sorted(able.payout_currencies)} if able.payout else None,
        "pending_lifetime_seconds": int(able.pending_lifetime.total_seconds()),
        "webhook_trust": able.webhook_trust.value,
    }


def _status(candidate: Candidate) -> str:
    if not candidate.is_configured:
        return NOT_CONFIGURED
    return OF_HEALTH[candidate.health] if candidate.is_enabled else DISABLED


def _limits(candidate: Candidate, currencies: list[str]) -> list[dict[str, Any]]:
    rules = [(currency, routing.rule_of(candidate, currency)) for currency in currencies]
    return [
        {
            "currency": currency,
            "minimum": rule.minimum_minor,
            "maximum": rule.maximum_minor,
            "step": rule.step_minor,
        }
        for currency, rule in rules
        if rule is not None
    ]
