"""Lists come in pages: newest first by their time-ordered ids, from a cursor that stays right while rows arrive."""

import base64
import binascii
import functools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.http import urlencode
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from rest import fields
from rest.errors import InvalidCursor
from rest.serializers import QuerySerializer

MOST = 100
USUAL = 25
OLDER, NEWER = b"o", b"n"


class PageQuery(QuerySerializer):
    """The parameters of every list; a list with filters adds its own in a subclass."""

    limit = fields.IntegerField(min_value=1, max_value=MOST, default=USUAL)
    cursor = fields.StringField(required=False, max_length=40, help_text="From next or previous of another page.")


@dataclass(frozen=True, slots=True)
class Page:
    rows: Sequence[Any]
    next: str | None  # cursors
    previous: str | None


def page(rows: QuerySet[Any], *, limit: int, cursor: str = "") -> Page:
    """One page of rows whose primary key is a UUIDv7. Rows that arrive meanwhile neither shift nor repeat others."""
    direction, edge = _read(cursor) if cursor else (OLDER, None)
    if direction == NEWER:
        found = list(rows.filter(pk__gt=edge).order_by("pk")[: limit + 1])
    else:
        older = rows.filter(pk__lt=edge) if edge else rows
        found = list(older.order_by("-pk")[: limit + 1])
    there_are_more = len(found) > limit
    found = found[:limit]
    if direction == NEWER:
        found.reverse()
    has_older = direction == NEWER or there_are_more
    has_newer = there_are_more if direction == NEWER else edge is not None
    if not found:
        return Page(rows=[], next=None, previous=None)
    return Page(
        rows=found,
        next=_write(OLDER, found[-1].pk) if has_older else None,
        previous=_write(NEWER, found[0].pk) if has_newer else None,
    )


def answer(
    request: Request,
    rows: QuerySet[Any],
    asked: dict[str, Any],
    serializer_class: type[serializers.BaseSerializer[Any]],
) -> Response:
    """The page that `asked` (a validated PageQuery) wants, with links that keep the other parameters."""
    found = page(rows, limit=asked["limit"], cursor=asked.get("cursor", ""))
    return Response(
        {
            "next": _link(request, found.next),
            "previous": _link(request, found.previous),
            "results": serializer_class(found.rows, many=True).data,
        }
    )


@functools.cache
def page_of(serializer_class: type[serializers.BaseSerializer[Any]]) -> type[serializers.Serializer[Any]]:
    """Describes a page of these in the schema: `@extend_schema(responses=page_of(PaymentResponse))`."""
    name = serializer_class.__name__.removesuffix("Response") + "Page"
    inside = {
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": serializer_class(many=True),
    }
    return type(name, (serializers.Serializer,), inside)


def back_in_time(request: Request, rows: object, following: uuid.UUID | None) -> dict[str, Any]:
    """A page of a list that is no queryset and only goes back in time; the next one begins after that id."""
    return {"next": _link(request, _write(OLDER, following) if following else None), "previous": None, "results": rows}


def before(asked: dict[str, Any], first_at: Callable[[datetime], uuid.UUID]) -> uuid.UUID | None:
    """Before which id such a page ends: that of its cursor or the first of the instant `until`, whichever is older."""
    edges = [_edge_of(asked["cursor"])] if asked.get("cursor") else []
    if "until" in asked:
        edges.append(first_at(asked["until"]))
    return min(edges, default=None)


def _edge_of(cursor: str) -> uuid.UUID:
    direction, edge = _read(cursor)
    if direction != OLDER:
        raise InvalidCursor
    return edge


def _link(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    parameters = {**request.query_params.dict(), "cursor": cursor}
    return str(request.build_absolute_uri(f"{request.path}?{urlencode(parameters)}"))


def _write(direction: bytes, edge: uuid.UUID) -> str:
    return base64.urlsafe_b64encode(direction + edge.bytes).decode().rstrip("=")


def _read(cursor: str) -> tuple[bytes, uuid.UUID]:
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        direction, edge = raw[:1], uuid.UUID(bytes=raw[1:])
    except (ValueError, binascii.Error):
        raise InvalidCursor from None
    if direction not in (OLDER, NEWER):
        raise InvalidCursor
    return direction, edge
