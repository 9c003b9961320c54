"""Grants by a service: a manual grant, with its reason, once for each Idempotency-Key."""

import hashlib
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from credits import grants
from credits.api import asking
from credits.api.spending import TAGS
from credits.models import GrantSource
from ledger.money import CREDIT
from rest import callers, fields, idempotency, serializers
from rest.permissions import HasPermission
from rest.views import ApiView


class GrantRequest(serializers.StrictSerializer):
    amount = fields.AmountField()
    reason = fields.StringField(max_length=300, bare=True)
    unit = asking.UnitField(required=False)
    expires_at = fields.DateTimeField(required=False, allow_null=True, help_text="Never, unless said.")

    def validate_expires_at(self, value: Any) -> Any:
        if value is not None and value <= timezone.now():
            raise ValidationError([ErrorDetail("This moment is over.", code="past")])
        return value


class GrantedResponse(answers.Serializer[Any]):
    grant = answers.UUIDField()
    amount = answers.IntegerField()
    unit = answers.CharField()
    expires_at = answers.DateTimeField(allow_null=True)


class GrantsView(ApiView):
    permission_classes = (HasPermission("credits.issue_grant"),)
    queries = {"POST": asking.UnitQuery}

    @extend_schema(
        operation_id="grant_credits",
        summary="Grant credits",
        description="What the customer owes is repaid first.",
        request=GrantRequest,
        responses={201: GrantedResponse},
        tags=TAGS,
    )
    @idempotency.idempotent()
    def post(self, request: Request) -> HttpResponse:
        wish = serializers.read(request, GrantRequest)
        user, caller = callers.customer(request), callers.of(request)
        grant = grants.issue(
            user=user,
            amount=wish["amount"],
            source=GrantSource.MANUAL,
            # The record of the key ends after a day; by its name in the books the grant is made once for ever.
            key=f"manual:{_digest(caller.identity, str(user.pk), asking.key(request))}",
            unit=_unit(request, wish),
            expires_at=wish.get("expires_at"),
            reason=wish["reason"],
        )
        told = {
            "grant": grant.entry_id,
            "amount": grant.amount,
            "unit": grant.purse.unit,
            "expires_at": grant.expires_at,
        }
        return asking.kept(told, 201)


def _unit(request: Request, wish: dict[str, Any]) -> str:
    """The body may name it, or the address as in all that is about credits; both may not disagree."""
    named = {each for each in (wish.get("unit"), asking.unit(request)) if each is not None}
    if len(named) > 1:
        raise ValidationError({"unit": [ErrorDetail("The body and ?unit= name two units.", code="ambiguous")]})
    return named.pop() if named else CREDIT


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
