"""What the endpoints of this package share."""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from rest import callers, fields, idempotency, serializers
from rest.permissions import OwnerOrService
from wallets.models import Wallet
from wallets.sellers import PARTS

TAGS = ["wallets"]
COMMISSIONS = ["commissions"]
MayRead = OwnerOrService("wallets.view_wallet")


class CurrencyQuery(serializers.QuerySerializer):
    currency = fields.CurrencyField(required=False)


def wallets_of(request: Request, currency: str | None) -> list[Wallet]:
    """The caller's wallets, or the one of a currency; none when nothing was ever sold."""
    found = Wallet.objects.filter(seller__user=callers.customer(request)).select_related("seller__user", *PARTS)
    return list(found.filter(currency=currency) if currency else found.order_by("currency"))


def act_key(request: Request) -> str:
    """The name of an act in the books: the record of an Idempotency-Key ends after a day, this does not."""
    caller, user = callers.of(request), callers.customer(request)
    sent = request.headers[idempotency.HEADER]
    digest = hashlib.sha256("\0".join([caller.identity, str(user.pk), sent]).encode()).hexdigest()
    return f"api:{digest[:40]}"


def wants_csv(request: Request, asked: dict[str, Any]) -> bool:
    accepts = request.headers.get("Accept", "").split(";")[0].strip() == "text/csv"
    return asked.get("format") == "csv" or ("format" not in asked and accepts)


def csv_answer(rows: Iterable[Sequence[Any]], name: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse((_line(row) for row in rows), "text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def _line(row: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    # A spreadsheet would run a reference that looks like a formula.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return "" if value is None else value
