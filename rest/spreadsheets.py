"""Tables as CSV, for those who open them in a spreadsheet."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from rest import dates

# Where a cell begins, or would begin for a spreadsheet that has been told of another separator, as the French ones are.
_FORMULA = re.compile(r"(?:^|(?<=[;\t\r\n]))(?=[=+\-@\t\r\n])")


def are_wanted(request: Request, asked: dict[str, Any]) -> bool:
    """By `?format=csv`; without a format by what the caller accepts."""
    accepts = request.headers.get("Accept", "").split(";")[0].strip() == "text/csv"
    return asked.get("format") == "csv" or ("format" not in asked and accepts)


def answer(pages: Iterable[Iterable[Sequence[Any]]], name: str) -> StreamingHttpResponse:
    """Sent page by page, so that a long history is never all in memory."""
    # An empty piece would end a body that is sent in chunks.
    pieces = (text for rows in pages if (text := _lines(rows)))
    response = StreamingHttpResponse(pieces, "text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return dates.written(value)
    # A spreadsheet would run a reference that looks like a formula.
    if isinstance(value, str):
        return _FORMULA.sub("'", value)
    return "" if value is None else value
