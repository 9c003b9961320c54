"""Withdrawals over HTTP: what one would cost, asking for it, following it, taking it back."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers as answers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.money import Money
from rest import callers, fields, idempotency, pagination, serializers
from rest.permissions import OwnerOrService
from rest.views import ApiView
from wallets import destinations, sellers, withdrawals
from wallets.api import asking
from wallets.destinations import OPERATORS, Asked
from wallets.errors import InvalidValue, NotYours
from wallets.models import DestinationKind, Withdrawal, WithdrawalStatus

MayAsk = OwnerOrService("wallets.request_withdrawal")
# The name under which each kind of destination is sent and shown.
VALUE_OF = {"paypal": "email", "mobile_money": "phone", "stripe": "account"}


class DestinationRequest(serializers.StrictSerializer):
    """Where the money is to go: a PayPal address, a mobile-money number with its operator, or a connected account."""

    type = fields.EnumField(choices=DestinationKind.values)
    email = fields.EmailField(required=False)
    phone = fields.StringField(required=False, max_length=20, help_text="E.164, such as +2250700000000.")
    operator = fields.EnumField(choices=OPERATORS, required=False)
    account = fields.StringField(required=False, max_length=80, help_text="acct_…")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wanted = {VALUE_OF[attrs["type"]], *(["operator"] if attrs["type"] == "mobile_money" else [])}
        mistakes = {name: [ErrorDetail("This is missing.", code="required")] for name in wanted - attrs.keys()}
        for name in attrs.keys() - wanted - {"type"}:
            mistakes[name] = [ErrorDetail(f"{attrs['type']} has none.", code="unexpected")]
        if mistakes:
            raise ValidationError(mistakes)
        try:
            attrs["parsed"] = destinations.parse(
                kind=attrs["type"], value=attrs[VALUE_OF[attrs["type"]]], operator=attrs.get("operator", "")
            )
        except InvalidValue as error:
            name = error.field.removeprefix("destination.")
            raise ValidationError({name: [ErrorDetail(str(error), code="invalid")]}) from error
        return attrs


class WithdrawalRequest(serializers.StrictSerializer):
    amount = fields.AmountField(help_text="What leaves the wallet, in minor units; the fee is taken from it.")
    currency = fields.CurrencyField()
    destination = DestinationRequest()


class WithdrawalStepResponse(answers.Serializer[Any]):
    status = answers.ChoiceField(choices=WithdrawalStatus.values)
    at = answers.DateTimeField(source="created_at")
    note = answers.CharField()


class WithdrawalResponse(answers.Serializer[Any]):
    id = answers.UUIDField()
    status = answers.ChoiceField(choices=WithdrawalStatus.values)
    amount = answers.IntegerField(source="amount_minor")
    fee = answers.IntegerField(source="fee_minor")
    payout = answers.IntegerField(source="payout.minor", help_text="What arrives.")
    currency = answers.CharField(source="wallet.currency")
    destination = answers.SerializerMethodField()
    created_at = answers.DateTimeField()
    not_before = answers.DateTimeField(help_text="A changed destination is used from then on.")
    resolved_at = answers.DateTimeField(allow_null=True)
    reason = answers.CharField(help_text="Why it was rejected, or what the gateway said.")
    waits_for = answers.SerializerMethodField()
    steps = WithdrawalStepResponse(many=True)

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_destination(self, withdrawal: Withdrawal) -> dict[str, str]:
        goal = withdrawal.destination
        told = {"type": goal.kind, VALUE_OF[goal.kind]: goal.value}
        return told | ({"operator": goal.operator} if goal.operator else {})

    @extend_schema_field(
        {"type": "string", "enum": ["", "approval", "destination", "sending", "gateway"], "description": "And why."}
    )
    def get_waits_for(self, withdrawal: Withdrawal) -> str:
        return waits_for(withdrawal)


def waits_for(withdrawal: Withdrawal) -> str:
    """Why the money has not arrived yet, in one word; empty when it is over."""
    match withdrawal.status:
        case WithdrawalStatus.REQUESTED:
            return "approval"
        case WithdrawalStatus.APPROVED:
            return "destination" if withdrawal.not_before > timezone.now() else "sending"
        case WithdrawalStatus.SENDING | WithdrawalStatus.UNCERTAIN:
            return "gateway"
        case _:
            return ""


class WithdrawalsQuery(pagination.PageQuery):
    currency = fields.CurrencyField(required=False)
    status = fields.EnumField(choices=WithdrawalStatus.values, required=False)


def _rows(request: Request) -> Any:
    found = Withdrawal.objects.of(callers.customer(request)).select_related("wallet", "destination")
    return found.prefetch_related("steps")


def _mine(request: Request, withdrawal: UUID) -> Withdrawal:
    found: Withdrawal | None = _rows(request).filter(pk=withdrawal).first()
    if found is None:
        raise NotYours
    return found


class WithdrawalsView(ApiView):
    permission_classes = (asking.MayRead,)
    permissions_to_write = (MayAsk,)
    more_errors = ("402",)  # rest.schema reads it
    queries = {"GET": WithdrawalsQuery}

    @extend_schema(
        operation_id="list_withdrawals",
        summary="List withdrawals",
        responses=pagination.page_of(WithdrawalResponse),
        tags=asking.TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, WithdrawalsQuery)
        rows = _rows(request)
        if "currency" in asked:
            rows = rows.filter(wallet__currency=asked["currency"])
        if "status" in asked:
            rows = rows.filter(status=asked["status"])
        return pagination.answer(request, rows, asked, WithdrawalResponse)

    @extend_schema(
        operation_id="request_withdrawal",
        summary="Request a withdrawal",
        request=WithdrawalRequest,
        responses={201: WithdrawalResponse},
        tags=asking.TAGS,
    )
    @idempotency.idempotent()
    def post(self, request: Request) -> Response:
        wish = serializers.read(request, WithdrawalRequest)
        goal: Asked = wish["destination"]["parsed"]
        made = withdrawals.request(
            user=callers.customer(request),
            amount=Money(wish["amount"], wish["currency"]),
            destination=goal,
            key=asking.act_key(request),
        )
        location = {"Location": f"{request.path}/{made.pk}"}
        return Response(WithdrawalResponse(_mine(request, made.pk)).data, status=201, headers=location)


class WithdrawalView(ApiView):
    permission_classes = (asking.MayRead,)

    @extend_schema(
        operation_id="withdrawal",
        summary="Show a withdrawal",
        responses=WithdrawalResponse,
        tags=asking.TAGS,
    )
    def get(self, request: Request, withdrawal: UUID) -> Response:
        return Response(WithdrawalResponse(_mine(request, withdrawal)).data)


class CancelView(ApiView):
    permission_classes = (MayAsk,)

    @extend_schema(
        operation_id="cancel_withdrawal",
        summary="Cancel a withdrawal before it is sent",
        request=serializers.NoBody,
        responses=WithdrawalResponse,
        tags=asking.TAGS,
    )
    @idempotency.idempotent(required=False)
    def post(self, request: Request, withdrawal: UUID) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        withdrawals.cancel(withdrawal=_mine(request, withdrawal), by=callers.customer(request))
        return Response(WithdrawalResponse(_mine(request, withdrawal)).data)


# ---------------------------------------------------------------- before it is asked for


class QuoteQuery(serializers.QuerySerializer):
    amount = fields.AmountField()
    currency = fields.CurrencyField()


class QuoteResponse(answers.Serializer[Any]):
    amount = answers.IntegerField(source="amount.minor")
    fee = answers.IntegerField(source="fee.minor")
    payout = answers.SerializerMethodField(help_text="What would arrive; zero when the fee is all of it.")
    currency = answers.CharField(source="amount.unit")
    minimum = answers.IntegerField(source="minimum.minor")
    maximum_per_day = answers.IntegerField(source="maximum_per_day.minor", allow_null=True, default=None)
    left_today = answers.IntegerField(source="left_today.minor", allow_null=True, default=None)
    is_automatic = answers.BooleanField(help_text="It needs nobody's approval.")

    @extend_schema_field({"type": "integer"})
    def get_payout(self, found: withdrawals.Quote) -> int:
        return max(found.payout.minor, 0)


class QuoteView(ApiView):
    permission_classes = (asking.MayRead,)
    queries = {"GET": QuoteQuery}

    @extend_schema(
        operation_id="quote_withdrawal",
        summary="Preview what a withdrawal would cost",
        responses=QuoteResponse,
        tags=asking.TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, QuoteQuery)
        wallet = sellers.find(callers.customer(request), asked["currency"])
        if wallet is None:
            raise NotYours
        found = withdrawals.quote(wallet, Money(asked["amount"], asked["currency"]))
        return Response(QuoteResponse(found).data)
