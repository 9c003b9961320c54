"""Webhook endpoints over the API: for the team's own services, never for customers."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Prefetch
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from events import deliveries, endpoints, tasks
from events.models import Delivery, DeliveryAttempt, DeliveryState, Endpoint
from events.types import EventType
from rest import callers, fields, idempotency, pagination, serializers
from rest.permissions import HasPermission
from rest.views import ApiView

TAGS = ["webhooks"]
LONGEST_RANGE = timedelta(days=92)


class EndpointRequest(serializers.StrictSerializer):
    url = fields.StringField(max_length=2_000, bare=True)
    types = answers.ListField(
        child=fields.EnumField(choices=EventType.choices), required=False, help_text="All of them, unless said."
    )
    description = fields.StringField(max_length=200, required=False, allow_blank=True, bare=True)
    contact_email = fields.EmailField(
        required=False, allow_blank=True, help_text="Who is told when it keeps failing; the operators, unless said."
    )


class EndpointResponse(answers.ModelSerializer[Endpoint]):
    class Meta:
        model = Endpoint
        fields = (
            "id", "url", "description", "types", "contact_email", "created_at", "failing_since", "disabled_at",
            "disabled_reason",
        )  # fmt: skip


class NewEndpointResponse(EndpointResponse):
    secret = answers.CharField(help_text="Shown this once.")

    class Meta(EndpointResponse.Meta):
        fields = (*EndpointResponse.Meta.fields, "secret")  # type: ignore[assignment]  # one more than there


class SecretResponse(answers.Serializer[Any]):
    secret = answers.CharField(help_text="Shown this once. The old one signs too, for a day.")


class AttemptResponse(answers.ModelSerializer[DeliveryAttempt]):
    at = answers.DateTimeField(source="created_at")

    class Meta:
        model = DeliveryAttempt
        fields = ("at", "status", "error", "milliseconds", "excerpt")


class DeliveryResponse(answers.ModelSerializer[Delivery]):
    endpoint = answers.UUIDField(source="endpoint_id")
    event = answers.UUIDField(source="event_id")
    type = answers.CharField(source="event.type")
    log = AttemptResponse(many=True)

    class Meta:
        model = Delivery
        fields = (
            "id", "endpoint", "event", "type", "state", "attempts", "due_at", "first_sent_at", "last_sent_at",
            "last_status", "last_error", "log",
        )  # fmt: skip


class DeliveriesQuery(pagination.PageQuery):
    state = fields.EnumField(choices=DeliveryState.choices, required=False)


class RangeRequest(serializers.StrictSerializer):
    since = fields.DateTimeField()
    until = fields.DateTimeField(required=False, help_text="Now, unless said.")
    also_delivered = fields.BooleanField(default=False, help_text="Also what arrived, for a receiver that lost it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        until = attrs.setdefault("until", timezone.now())
        if not attrs["since"] < until <= attrs["since"] + LONGEST_RANGE:
            message = f"The range ends after it begins, and spans {LONGEST_RANGE.days} days at most."
            raise ValidationError({"until": [ErrorDetail(message, code="range")]})
        return attrs


class QueuedResponse(answers.Serializer[Any]):
    queued = answers.IntegerField(help_text="How many events are sent again.")


class WebhookView(ApiView):
    permission_classes = (HasPermission("events.manage_endpoints"),)

    def found(self, endpoint: UUID) -> Endpoint:
        return Endpoint.objects.get(pk=endpoint)


class EndpointsView(WebhookView):
    queries = {"GET": pagination.PageQuery}

    @extend_schema(
        operation_id="webhook_endpoints",
        summary="List webhook endpoints",
        responses=pagination.page_of(EndpointResponse),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, pagination.PageQuery)
        return pagination.answer(request, Endpoint.objects.all(), asked, EndpointResponse)

    @extend_schema(
        operation_id="add_webhook_endpoint",
        summary="Add a webhook endpoint",
        request=EndpointRequest,
        responses={201: NewEndpointResponse},
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        """Without an Idempotency-Key: the stored answer would keep the secret, which is shown once."""
        wish = serializers.read(request, EndpointRequest)
        endpoint, secret = endpoints.add(by=callers.of(request).identity, **wish)
        endpoint.refresh_from_db()
        return Response(EndpointResponse(endpoint).data | {"secret": secret}, status=201)


class EndpointView(WebhookView):
    @extend_schema(
        operation_id="webhook_endpoint", summary="Show a webhook endpoint", responses=EndpointResponse, tags=TAGS
    )
    def get(self, request: Request, endpoint: UUID) -> Response:
        return Response(EndpointResponse(self.found(endpoint)).data)

    @extend_schema(
        operation_id="delete_webhook_endpoint", summary="Delete a webhook endpoint", responses={204: None}, tags=TAGS
    )
    def delete(self, request: Request, endpoint: UUID) -> Response:
        endpoints.delete(endpoint=self.found(endpoint), by=callers.of(request).identity)
        return Response(status=204)


class RotateView(WebhookView):
    @extend_schema(
        operation_id="rotate_webhook_secret",
        summary="Rotate the secret",
        description="Both secrets sign for a day (WEBHOOKS_SECRET_OVERLAP_HOURS), so that no delivery is refused.",
        request=serializers.NoBody,
        responses={201: SecretResponse},
        tags=TAGS,
    )
    def post(self, request: Request, endpoint: UUID) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        secret = endpoints.rotate(endpoint=self.found(endpoint), by=callers.of(request).identity)
        return Response({"secret": secret}, status=201)


class EnableView(WebhookView):
    @extend_schema(
        operation_id="enable_webhook_endpoint",
        summary="Enable a webhook endpoint again",
        request=serializers.NoBody,
        responses={200: EndpointResponse},
        tags=TAGS,
    )
    @idempotency.idempotent(required=False)
    def post(self, request: Request, endpoint: UUID) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        endpoints.enable(endpoint=self.found(endpoint), by=callers.of(request).identity)
        return Response(EndpointResponse(self.found(endpoint)).data)


class ReplayRangeView(WebhookView):
    @extend_schema(
        operation_id="replay_webhook_range",
        summary="Replay undelivered events",
        request=RangeRequest,
        responses={202: QueuedResponse},
        tags=TAGS,
    )
    @idempotency.idempotent(required=False)
    def post(self, request: Request, endpoint: UUID) -> Response:
        wish = serializers.read(request, RangeRequest)
        queued = endpoints.tell_again(endpoint=self.found(endpoint), **wish)
        tasks.send_deliveries.delay_on_commit()  # type: ignore[attr-defined]  # unknown to celery-types
        return Response({"queued": queued}, status=202)


class DeliveriesView(WebhookView):
    queries = {"GET": DeliveriesQuery}

    @extend_schema(
        operation_id="webhook_deliveries",
        summary="List deliveries to a webhook endpoint",
        responses=pagination.page_of(DeliveryResponse),
        tags=TAGS,
    )
    def get(self, request: Request, endpoint: UUID) -> Response:
        asked = serializers.query(request, DeliveriesQuery)
        rows = _with_log().filter(endpoint=self.found(endpoint))
        if state := asked.get("state"):
            rows = rows.filter(state=state)
        return pagination.answer(request, rows, asked, DeliveryResponse)


class DeliveryView(WebhookView):
    @extend_schema(operation_id="webhook_delivery", summary="Show a delivery", responses=DeliveryResponse, tags=TAGS)
    def get(self, request: Request, delivery: UUID) -> Response:
        return Response(DeliveryResponse(_with_log().get(pk=delivery)).data)


class ReplayView(WebhookView):
    @extend_schema(
        operation_id="replay_delivery",
        summary="Replay a delivery",
        request=serializers.NoBody,
        responses={202: DeliveryResponse},
        tags=TAGS,
    )
    @idempotency.idempotent(required=False)
    def post(self, request: Request, delivery: UUID) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        with transaction.atomic():
            deliveries.replay(Delivery.objects.select_related("endpoint").get(pk=delivery))
            tasks.send_deliveries.delay_on_commit()  # type: ignore[attr-defined]  # unknown to celery-types
        return Response(DeliveryResponse(_with_log().get(pk=delivery)).data, status=202)


def _with_log() -> Any:
    log = Prefetch("log", DeliveryAttempt.objects.order_by("id"))
    return Delivery.objects.select_related("event").prefetch_related(log)
