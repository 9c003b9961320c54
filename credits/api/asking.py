"""What the endpoints of this package ask for, and how they answer."""

import re
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers as drf
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response

from credits.models.catalogue import UNIT
from ledger.money import CREDIT
from rest import callers, fields, idempotency, renderers, serializers
from rest.errors import IdempotencyKeyMissing

LARGEST_AMOUNT = fields.LARGEST_AMOUNT
_UNIT = re.compile(UNIT)


@extend_schema_field({"type": "string", "pattern": "^[A-Z][A-Z0-9_]{2,11}$", "default": CREDIT})
class UnitField(drf.Field[str, Any, str, Any]):
    default_error_messages = {"invalid": "Send a credit unit such as CREDIT: 3 to 12 capitals, and no currency."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not _UNIT.fullmatch(data):
            self.fail("invalid")
        return data


class UnitQuery(serializers.QuerySerializer):
    unit = UnitField(required=False, help_text="The credit unit, where a catalogue names its own; no currency.")


class UseRequest(serializers.StrictSerializer):
    """What is used: an action of the cost table, or an amount. An action that costs between two amounts takes both."""

    action = fields.StringField(required=False, max_length=60, bare=True)
    quantity = fields.IntegerField(required=False, min_value=1, max_value=LARGEST_AMOUNT)
    amount = fields.AmountField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "action" not in attrs:
            if "amount" not in attrs:
                raise drf.ValidationError({"action": [ErrorDetail("Send an action or an amount.", code="required")]})
            if "quantity" in attrs:
                message = "A quantity goes with an action."
                raise drf.ValidationError({"quantity": [ErrorDetail(message, code="unexpected")]})
        return attrs


class SpendRequest(UseRequest):
    """What is spent, and the caller's own words for it."""

    reference = fields.StringField(required=False, max_length=200, allow_blank=True)
    metadata = fields.MetadataField(required=False)


def unit(request: Request) -> str | None:
    """The unit that `?unit=` names. Most requests have no query, and pay nothing for it."""
    if not request._request.META.get("QUERY_STRING"):
        return None
    named: str | None = serializers.query(request, UnitQuery).get("unit")
    return named


def key(request: Request) -> str:
    """The Idempotency-Key, where the SQL function itself does the act once."""
    sent = idempotency.sent_key(request)
    if sent is None:
        raise IdempotencyKeyMissing
    return sent


def who(request: Request) -> tuple[User, UUID | None]:
    """The customer, and the service token that speaks for them."""
    return callers.customer(request), callers.of(request).token_id


def answer(data: Any, status: int = 200, *, is_replay: bool = False) -> HttpResponse:
    """JSON without DRF's rendering: these views know what they send."""
    response = HttpResponse(renderers.dumps(data), renderers.OrjsonRenderer.media_type, status)
    if is_replay:
        response.headers[idempotency.REPLAYED] = "true"
    return response


def kept(data: Any, status: int) -> Response:
    """An answer that `rest.idempotency` may have to keep; it reads DRF's own."""
    return Response(data, status=status)
