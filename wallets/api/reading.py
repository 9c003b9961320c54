"""Reading a wallet: what is in it, what happened, sums and monthly statements."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ledger import ids
from rest import fields, pagination, serializers, spreadsheets
from rest.views import ApiView
from wallets import balances, statement_files, statements, statistics, transactions
from wallets.api import asking
from wallets.errors import NotYours
from wallets.models import Wallet
from wallets.transactions import KINDS, MOST_REFERENCES, Transaction, Wanted

LONGEST_STATISTICS = timedelta(days=366)
THE_FIRST = datetime.min.replace(tzinfo=UTC)  # instant that there is
MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")


class UpcomingResponse(answers.Serializer[Any]):
    at = answers.DateTimeField(help_text="The day, UTC.")
    amount = answers.IntegerField()


class WalletResponse(answers.Serializer[Any]):
    currency = answers.CharField()
    pending = answers.IntegerField(help_text="Has not cleared yet.")
    available = answers.IntegerField(help_text="Can be withdrawn.")
    held = answers.IntegerField(help_text="Open withdrawals, and what a refund or a bank may take.")
    reserved = answers.IntegerField(help_text="Kept back for the days of the reserve.")
    owed = answers.IntegerField(help_text="Repaid by what becomes available next.")
    upcoming = UpcomingResponse(many=True)


class BalancesResponse(answers.Serializer[Any]):
    wallets = WalletResponse(many=True)


class BalanceView(ApiView):
    permission_classes = (asking.MayRead,)
    queries = {"GET": asking.CurrencyQuery}

    @extend_schema(
        operation_id="wallets_balance",
        summary="Show the seller's balances",
        responses=BalancesResponse,
        tags=asking.TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, asking.CurrencyQuery)
        found = [balances.of_wallet(wallet) for wallet in asking.wallets_of(request, asked.get("currency"))]
        return Response(BalancesResponse({"wallets": found}).data)


# ---------------------------------------------------------------- transactions


class WalletTransactionsQuery(pagination.PageQuery):
    currency = fields.CurrencyField(required=False)
    kind = fields.EnumField(choices=KINDS, required=False)
    since = fields.DateTimeField(required=False)
    until = fields.DateTimeField(required=False, help_text="Before this instant.")
    format = fields.EnumField(choices=["json", "csv"], required=False)


class WalletTransactionResponse(answers.Serializer[Any]):
    id = answers.UUIDField()
    kind = answers.ChoiceField(choices=KINDS)
    at = answers.DateTimeField()
    currency = answers.CharField()
    change = answers.IntegerField(help_text="In all; zero when money only moved on within the wallet.")
    pending = answers.IntegerField()
    available = answers.IntegerField()
    reserve = answers.IntegerField()
    debt = answers.IntegerField()
    references = answers.ListField(
        child=answers.CharField(), help_text=f"Of its sales; of many that cleared at once the first {MOST_REFERENCES}."
    )


class TransactionsView(ApiView):
    permission_classes = (asking.MayRead,)
    queries = {"GET": WalletTransactionsQuery}

    @extend_schema(
        operation_id="wallets_transactions",
        summary="List the seller's transactions",
        description=(
            "Newest first, by cursor; `previous` is always null. `?format=csv`, or `Accept: text/csv`, gives all that "
            "fits in one file."
        ),
        responses={
            (200, "application/json"): pagination.page_of(WalletTransactionResponse),
            (200, "text/csv"): OpenApiTypes.STR,
        },
        tags=asking.TAGS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = serializers.query(request, WalletTransactionsQuery)
        wanted = Wanted(
            wallets=asking.wallets_of(request, asked.get("currency")),
            kind=asked.get("kind"),
            since=asked.get("since"),
            before=_before(asked),
        )
        if spreadsheets.are_wanted(request, asked):
            return spreadsheets.answer(_csv(wanted), "wallet")
        found = transactions.page(wanted, asked["limit"] + 1)
        rows = found[: asked["limit"]]
        following = rows[-1].id if len(found) > len(rows) else None
        told = WalletTransactionResponse(rows, many=True).data
        return Response({"next": pagination.older(request, following), "previous": None, "results": told})


def _csv(wanted: Wanted) -> Iterator[list[Sequence[Any]]]:
    columns = ("id", "kind", "at", "currency", "change", "pending", "available", "reserve", "debt")
    yield [(*columns, "references")]
    for page in transactions.every(wanted):
        yield [(*(getattr(each, name) for name in columns), _references(each)) for each in page]


def _references(each: Transaction) -> str:
    return " ".join([*each.references, f"(+{each.unnamed})"] if each.unnamed else each.references)


def _before(asked: dict[str, Any]) -> UUID | None:
    edges = [pagination.edge_of(asked["cursor"])] if asked.get("cursor") else []
    if "until" in asked:
        edges.append(ids.first_at(asked["until"]))
    return min(edges, default=None)


# ---------------------------------------------------------------- statistics


class WalletStatisticsQuery(asking.CurrencyQuery):
    by = fields.EnumField(choices=statistics.PERIODS, default="month")
    since = fields.DateTimeField(required=False, help_text="A year back, unless said.")
    until = fields.DateTimeField(required=False, help_text="Before this instant; now, unless said.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        until = attrs.setdefault("until", timezone.now())
        since = attrs.setdefault("since", until - min(LONGEST_STATISTICS, until - THE_FIRST))
        if not timedelta() <= until - since <= LONGEST_STATISTICS:
            message = "It begins before its end, and covers at most 366 days."
            raise ValidationError({"since": [ErrorDetail(message, code="range")]})
        return attrs


class SalesFiguresResponse(answers.Serializer[Any]):
    sales = answers.IntegerField(help_text="How many.")
    gross = answers.IntegerField()
    commission = answers.IntegerField(help_text="Less what came back with refunds.")
    refunds = answers.IntegerField()
    net = answers.IntegerField(help_text="Less what the seller gave back.")
    withdrawn = answers.IntegerField()


class PeriodResponse(answers.Serializer[Any]):
    at = answers.DateTimeField(help_text="Its beginning, UTC.")
    figures = SalesFiguresResponse()


class WalletFiguresResponse(answers.Serializer[Any]):
    currency = answers.CharField()
    total = SalesFiguresResponse()
    periods = PeriodResponse(many=True)
    types = answers.DictField(child=SalesFiguresResponse())


class WalletStatisticsResponse(answers.Serializer[Any]):
    wallets = WalletFiguresResponse(many=True)


class StatisticsView(ApiView):
    permission_classes = (asking.MayRead,)
    queries = {"GET": WalletStatisticsQuery}

    @extend_schema(
        operation_id="wallets_statistics",
        summary="Summarize a seller's sales and payouts",
        responses=WalletStatisticsResponse,
        tags=asking.TAGS,
    )
    def get(self, request: Request) -> Response:
        return Response(WalletStatisticsResponse({"wallets": figures_of(request)}).data)


class CommissionStatisticsView(ApiView):
    permission_classes = (asking.MayRead,)
    queries = {"GET": WalletStatisticsQuery}

    @extend_schema(
        operation_id="commissions_statistics",
        summary="Summarize commissions by period and type of sale",
        responses=WalletStatisticsResponse,
        tags=asking.COMMISSIONS,
    )
    def get(self, request: Request) -> Response:
        return Response(WalletStatisticsResponse({"wallets": figures_of(request)}).data)


def figures_of(request: Request) -> list[statistics.Statistics]:
    asked = serializers.query(request, WalletStatisticsQuery)
    return [
        statistics.of(wallet, since=asked["since"], until=asked["until"], by=asked["by"])
        for wallet in asking.wallets_of(request, asked.get("currency"))
    ]


# ---------------------------------------------------------------- statements


class StatementQuery(serializers.QuerySerializer):
    currency = fields.CurrencyField()
    month = fields.StringField(required=False, max_length=7, help_text="Such as 2026-11; this month, unless said.")
    format = fields.EnumField(choices=["json", "csv", "pdf"], required=False)

    def validate_month(self, value: str) -> str:
        if not MONTH.fullmatch(value):
            raise ValidationError([ErrorDetail("Send a month such as 2026-11.", code="invalid")])
        return value


class StatementLineResponse(answers.Serializer[Any]):
    at = answers.DateTimeField()
    kind = answers.CharField()
    id = answers.CharField()
    pending = answers.IntegerField()
    available = answers.IntegerField()
    reserve = answers.IntegerField()
    debt = answers.IntegerField()
    change = answers.IntegerField()
    balance = answers.IntegerField()
    note = answers.CharField()


class StatementResponse(answers.Serializer[Any]):
    currency = answers.CharField(source="wallet.currency")
    since = answers.DateTimeField()
    until = answers.DateTimeField()
    opening = answers.IntegerField(help_text="All that was the seller's: pending, available, in reserve, less debt.")
    closing = answers.IntegerField()
    lines = StatementLineResponse(many=True)


class StatementView(ApiView):
    permission_classes = (asking.MayRead,)
    queries = {"GET": StatementQuery}

    @extend_schema(
        operation_id="wallets_statement",
        summary="Get a monthly statement of a wallet",
        responses={
            (200, "application/json"): StatementResponse,
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/pdf"): OpenApiTypes.BINARY,
        },
        tags=asking.TAGS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = serializers.query(request, StatementQuery)
        wallet = _wallet(request, asked["currency"])
        found = statements.of_month(wallet, **_month(asked.get("month")))
        name = f"statement-{wallet.currency}-{found.since:%Y-%m}"
        if spreadsheets.are_wanted(request, asked):
            return spreadsheets.answer([found.rows()], name)
        if asked.get("format") == "pdf":
            headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
            return HttpResponse(statement_files.draw(found), "application/pdf", headers=headers)
        return Response(StatementResponse(found).data)


def _month(said: str | None) -> dict[str, int]:
    text = said or datetime.now(UTC).strftime("%Y-%m")
    year, _, month = text.partition("-")
    return {"year": int(year), "month": int(month)}


def _wallet(request: Request, currency: str) -> Wallet:
    found = asking.wallets_of(request, currency)
    if not found:
        raise NotYours
    return found[0]
