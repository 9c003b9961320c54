"""Commissions over HTTP: what was kept of each sale, which rules there are, and what a sale would bring."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.money import LARGEST_MINOR, Money
from rest import callers, fields, pagination, serializers
from rest.views import ApiView
from wallets import commissions, projections
from wallets.api import asking
from wallets.commissions import Question
from wallets.models import CommissionRule, Sale, SaleType, Seller, SellerKind
from wallets.projections import MOST_MONTHS, MOST_SALES_PER_MONTH


class CommissionsQuery(pagination.PageQuery):
    currency = fields.CurrencyField(required=False)
    type = fields.StringField(required=False, max_length=60, bare=True)


class CommissionResponse(answers.Serializer[Any]):
    """One sale, and what was kept of it."""

    sale = answers.UUIDField(source="pk")
    type = answers.CharField(source="type.code")
    reference = answers.CharField()
    currency = answers.CharField(source="wallet.currency")
    amount = answers.IntegerField(source="price_minor")
    commission = answers.IntegerField(source="commission_minor")
    net = answers.IntegerField(source="net_minor")
    refunded = answers.IntegerField(source="taken_price_minor", help_text="Or held to be refunded.")
    basis_points = answers.IntegerField(source="choice.basis_points")
    rule = answers.CharField(source="choice.rule", allow_null=True)
    because = answers.ListField(source="choice.because", child=answers.CharField(), help_text="What the rule asks for.")
    before = answers.ListField(
        source="choice.before", child=answers.CharField(), help_text="Rules that fit too, and are less specific."
    )
    at = answers.DateTimeField(source="created_at")
    clears_at = answers.DateTimeField(source="releases_at")
    cleared_at = answers.DateTimeField(source="released_at", allow_null=True)


class CommissionsView(ApiView):
    permission_classes = (asking.MayRead,)
    queries = {"GET": CommissionsQuery}

    @extend_schema(
        operation_id="list_commissions",
        summary="List the commission on each sale, and why",
        responses=pagination.page_of(CommissionResponse),
        tags=asking.COMMISSIONS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, CommissionsQuery)
        rows = Sale.objects.of(callers.customer(request)).select_related("wallet", "type")
        if "currency" in asked:
            rows = rows.filter(wallet__currency=asked["currency"])
        if "type" in asked:
            rows = rows.filter(type__code=asked["type"])
        return pagination.answer(request, rows, asked, CommissionResponse)


# ---------------------------------------------------------------- rates


class TierResponse(answers.Serializer[Any]):
    from_volume = answers.IntegerField(source="from_volume_minor", help_text="Sold in the month (UTC) before the sale.")
    basis_points = answers.IntegerField()


class RateResponse(answers.Serializer[Any]):
    rule = answers.CharField(source="code")
    type = answers.CharField(source="sale_type.code", allow_null=True, default=None)
    seller_kind = answers.CharField(source="seller_kind.code", allow_null=True, default=None)
    is_yours_alone = answers.SerializerMethodField()
    currency = answers.CharField(allow_blank=True, help_text="Empty: any.")
    basis_points = answers.IntegerField()
    fixed = answers.IntegerField(source="fixed_minor")
    minimum = answers.IntegerField(source="minimum_minor", allow_null=True)
    maximum = answers.IntegerField(source="maximum_minor", allow_null=True)
    tiers = TierResponse(many=True)
    clearing_days = answers.SerializerMethodField()
    valid_from = answers.DateTimeField()
    valid_until = answers.DateTimeField(allow_null=True)

    def get_is_yours_alone(self, rule: CommissionRule) -> bool:
        return rule.seller_id is not None

    def get_clearing_days(self, rule: CommissionRule) -> int:
        return commissions.terms_of(rule).clearing_days


class RatesResponse(answers.Serializer[Any]):
    rates = RateResponse(many=True, help_text="The most specific first: of those that fit a sale, the first counts.")
    otherwise = answers.IntegerField(help_text="Basis points where none fits.")


class RatesView(ApiView):
    permission_classes = (asking.MayRead,)

    @extend_schema(
        operation_id="commission_rates",
        summary="List the commission rules of a seller",
        responses=RatesResponse,
        tags=asking.COMMISSIONS,
    )
    def get(self, request: Request) -> Response:
        seller = _seller(request)
        found = commissions.rates_for(seller, timezone.now())
        otherwise = commissions.default_terms().basis_points
        return Response(RatesResponse({"rates": found, "otherwise": otherwise}).data)


def _seller(request: Request) -> Seller | None:
    return Seller.objects.select_related("kind").filter(user=callers.customer(request)).first()


# ---------------------------------------------------------------- projections


class ProjectionRequest(serializers.StrictSerializer):
    """A sale that was not made yet; and, if wanted, so many of them in each of so many months."""

    type = fields.StringField(max_length=60, bare=True)
    amount = fields.AmountField()
    currency = fields.CurrencyField()
    seller_kind = fields.StringField(
        required=False, max_length=60, bare=True, help_text="The seller's own, unless said."
    )
    monthly_volume = fields.IntegerField(
        required=False, min_value=0, max_value=LARGEST_MINOR, default=0, help_text="Sold in the month already."
    )
    sales_per_month = fields.IntegerField(required=False, min_value=1, max_value=MOST_SALES_PER_MONTH)
    months = fields.IntegerField(required=False, min_value=1, max_value=MOST_MONTHS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        mistakes: dict[str, Any] = {}
        if not SaleType.objects.filter(code=attrs["type"], is_active=True).exists():
            mistakes["type"] = [ErrorDetail("There is no such type of sale.", code="unknown")]
        kind = attrs.get("seller_kind")
        if kind is not None and not SellerKind.objects.filter(code=kind, is_active=True).exists():
            mistakes["seller_kind"] = [ErrorDetail("There is no such kind of seller.", code="unknown")]
        if ("months" in attrs) != ("sales_per_month" in attrs):
            missing = "months" if "months" not in attrs else "sales_per_month"
            mistakes[missing] = [ErrorDetail("Send both, or neither.", code="required")]
        if mistakes:
            raise ValidationError(mistakes)
        return attrs


class SettlementResponse(answers.Serializer[Any]):
    at = answers.DateTimeField()
    amount = answers.IntegerField()


class ProjectedMonthResponse(answers.Serializer[Any]):
    number = answers.IntegerField()
    gross = answers.IntegerField()
    commission = answers.IntegerField()
    net = answers.IntegerField()
    settled_by = answers.DateTimeField(help_text="All of it is available by then, but what the reserve keeps.")


class ProjectionResponse(answers.Serializer[Any]):
    currency = answers.CharField(source="split.price.unit")
    amount = answers.IntegerField(source="split.price.minor")
    commission = answers.IntegerField(source="split.commission.minor")
    net = answers.IntegerField(source="split.net.minor")
    basis_points = answers.IntegerField(source="split.basis_points")
    rule = answers.CharField(source="choice.rule.code", allow_null=True, default=None)
    because = answers.ListField(source="choice.because", child=answers.CharField())
    before = answers.ListField(source="choice.before", child=answers.CharField())
    settlement = SettlementResponse(many=True)
    months = ProjectedMonthResponse(many=True)


class ProjectionsView(ApiView):
    """It changes nothing, so it needs no key."""

    permission_classes = (asking.MayRead,)

    @extend_schema(
        operation_id="project_commissions",
        summary="Estimate what a sale would bring, and when",
        request=ProjectionRequest,
        responses={200: ProjectionResponse},
        tags=asking.COMMISSIONS,
    )
    def post(self, request: Request) -> Response:
        wish = serializers.read(request, ProjectionRequest)
        question = Question(
            sale_type=wish["type"],
            currency=wish["currency"],
            at=timezone.now(),
            seller=_seller(request),
            seller_kind=wish.get("seller_kind"),
        )
        found = projections.project(
            question,
            Money(wish["amount"], wish["currency"]),
            monthly_volume=wish["monthly_volume"],
            sales_per_month=wish.get("sales_per_month", 0),
            months=wish.get("months", 0),
        )
        return Response(ProjectionResponse(found).data)
