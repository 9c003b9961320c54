"""`/payment-methods`: the saved cards; one more, or one less."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import errors, method_removals, method_setups
from billing.api.shapes import NextActionResponse
from billing.models import MethodSetup, SavedMethod
from billing.models.saved_methods import MethodSetupState
from rest import callers, fields, idempotency, serializers
from rest.idempotency import Claim
from rest.permissions import OwnerOrService
from rest.views import ApiView

TAGS = ["payments"]
May = OwnerOrService("billing.manage_method")
MayRead = OwnerOrService("billing.view_savedmethod", "billing.manage_method")


class SavedMethodResponse(answers.Serializer[SavedMethod]):
    id = answers.IntegerField()
    gateway = answers.CharField()
    kind = answers.CharField()
    brand = answers.CharField()
    last4 = answers.CharField()
    expires = answers.CharField(help_text="MM/YYYY, or empty.")
    saved_at = answers.DateTimeField()
    stops_top_up = answers.BooleanField(help_text="Whether the automatic top-up stops when this one is removed.")


class SavedMethodsResponse(answers.Serializer[Any]):
    results = SavedMethodResponse(many=True, help_text="The one that an automatic top-up charges comes first.")


class MethodSetupBody(serializers.StrictSerializer):
    currency = fields.CurrencyField(required=False, help_text="That it is to pay in; else the last one paid in.")
    success_url = fields.StringField(required=False, max_length=1000, bare=True)
    cancel_url = fields.StringField(required=False, max_length=1000, bare=True)


class MethodSetupResponse(answers.Serializer[Any]):
    id = answers.UUIDField()
    state = answers.ChoiceField(choices=MethodSetupState.values)
    method = answers.IntegerField(allow_null=True, help_text="What was saved.")
    next_action = NextActionResponse()


class RemovalResponse(answers.Serializer[Any]):
    stopped_top_up = answers.BooleanField()


class MethodsView(ApiView):
    permission_classes = (MayRead,)
    permissions_to_write = (May,)

    @extend_schema(
        operation_id="payment_methods", summary="List saved cards", responses=SavedMethodsResponse, tags=TAGS
    )
    def get(self, request: Request) -> Response:
        found = list(SavedMethod.objects.of(callers.customer(request)).select_related("user"))
        return Response({"results": [_told(each) for each in found]})

    @extend_schema(
        operation_id="add_payment_method",
        summary="Save a card without paying",
        description=(
            "The next action leads to a page of the gateway; nothing is charged there. While a page stands open the "
            "same one is answered again. An automatic top-up that cards stopped goes on when the card is saved."
        ),
        request=MethodSetupBody,
        responses={201: MethodSetupResponse},
        tags=TAGS,
    )
    @idempotency.remembered
    def post(self, request: Request, claim: Claim) -> Response:
        wish = serializers.read(request, MethodSetupBody, required=False)
        return Response(_setup(method_setups.start(user=callers.customer(request), **wish)), status=201)


class MethodView(ApiView):
    permission_classes = (May,)

    @extend_schema(
        operation_id="remove_payment_method",
        summary="Remove a card",
        description="Nothing is charged to it any more, and its gateway forgets it. 409 while it pays a plan there.",
        responses=RemovalResponse,
        tags=TAGS,
    )
    def delete(self, request: Request, method_id: int) -> Response:
        found = SavedMethod.objects.of(callers.customer(request)).select_related("user").filter(pk=method_id).first()
        if found is None:
            raise errors.NotYours
        return Response({"stopped_top_up": method_removals.remove(method=found).stops_top_up})


class _SetupView(ApiView):
    def found(self, request: Request, setup_id: UUID) -> MethodSetup:
        found = MethodSetup.objects.filter(user=callers.customer(request), pk=setup_id).first()
        if found is None:
            raise errors.NotYours
        return found


class MethodSetupView(_SetupView):
    permission_classes = (MayRead,)

    @extend_schema(
        operation_id="payment_method_setup",
        summary="Show the state of a card being saved",
        description="What a page polls. The gateway is not asked; `refresh` does that.",
        responses=MethodSetupResponse,
        tags=TAGS,
    )
    def get(self, request: Request, setup_id: UUID) -> Response:
        return Response(_setup(self.found(request, setup_id)))


class MethodSetupRefreshView(_SetupView):
    permission_classes = (May,)

    @extend_schema(
        operation_id="refresh_payment_method_setup",
        summary="Ask the gateway about a card being saved",
        description="For the page that the customer comes back to, when the gateway has not written to us yet.",
        request=serializers.NoBody,
        responses=MethodSetupResponse,
        tags=TAGS,
    )
    def post(self, request: Request, setup_id: UUID) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        return Response(_setup(method_setups.ask(self.found(request, setup_id))))


def _told(method: SavedMethod) -> dict[str, Any]:
    names = ("gateway", "kind", "brand", "last4", "expires", "saved_at")
    facts = {name: getattr(method, name) for name in names}
    return {"id": method.pk, **facts, "stops_top_up": method_removals.preview(method).stops_top_up}


def _setup(setup: MethodSetup) -> dict[str, Any]:
    return {
        "id": str(setup.pk),
        "state": setup.state,
        "method": setup.method_id,
        "next_action": setup.next_action or {"type": "none"},
    }
