"""Bodies are one strict JSON document in UTF-8: whatever two readers could understand differently is refused."""

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

import orjson
from django.conf import settings
from django.http import HttpRequest
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from rest.errors import BodyTooLarge, MalformedBody

DEEPEST = 20
LARGEST = 10**18  # of any number; beyond it other languages' readers lose digits, and no amount comes near
BOM = b"\xef\xbb\xbf"


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request: HttpRequest = stream  # type: ignore[assignment]  # rest.views.ApiRequest sees to that
        view = (parser_context or {}).get("view")
        raw = read_body(request)
        if not raw.strip(b" \t\r\n"):
            raise MalformedBody("The body is empty. Send a JSON object.")
        _check_media_type(request)
        document = loads(raw)
        if not isinstance(document, dict) and not (isinstance(document, list) and getattr(view, "takes_list", False)):
            raise MalformedBody(f"The body must be a JSON object, not {json_type(document)}.")
        return document


def read_body(request: HttpRequest) -> bytes:
    """The whole body, never more than the limit in memory, whatever the headers claim."""
    limit: int = settings.API_MAX_BODY_BYTES
    if _announced(request) > limit:
        raise BodyTooLarge(limit)
    if _is_chunked(request) and not hasattr(request, "_body"):
        # Django reads as many bytes as Content-Length says, and a chunked body has none.
        request._body = request.META["wsgi.input"].read(limit + 1)
    raw = request.body
    if len(raw) > limit:
        if _is_chunked(request):
            # Who is a little over has to be able to send the rest, else their connection breaks before our answer.
            request.META["wsgi.input"].read(limit)
        raise BodyTooLarge(limit)
    return raw


def has_body(request: HttpRequest) -> bool:
    return _announced(request) > 0 or (_is_chunked(request) and bool(read_body(request)))


def _announced(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_chunked(request: HttpRequest) -> bool:
    meta = request.META
    # Only some servers promise that their input ends where the body ends; granian does.
    return (
        "HTTP_TRANSFER_ENCODING" in meta and not meta.get("CONTENT_LENGTH") and bool(meta.get("wsgi.input_terminated"))
    )


def _check_media_type(request: HttpRequest) -> None:
    declared = request.META.get("CONTENT_TYPE", "")
    if encoding := request.META.get("HTTP_CONTENT_ENCODING", ""):
        raise UnsupportedMediaType(encoding, "Send the body as it is, without a Content-Encoding.")
    if declared == "application/json":
        return
    media_type, parameters = parse_header_parameters(declared)
    if media_type != "application/json":
        raise UnsupportedMediaType(declared, "Send the body as application/json.")
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(declared, "Send the body in UTF-8.")


# ---------------------------------------------------------------- the document itself


def loads(raw: bytes) -> Any:
    """Measured on a spend's body: 2 µs, against 3 µs for the standard library with a hook that finds doubles."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        _refuse(raw, error)
    members = _members(document, 1)
    # Every member has its colon. As many colons as members: no key came twice. More: some stand inside of strings,
    # or a key did come twice; then the slower reader, which sees each pair, decides.
    if raw.count(b":") != members:
        json.loads(raw, object_pairs_hook=_refuse_doubles)
    if b"\\u0000" in raw and _holds_nul(document):
        raise MalformedBody("The body contains a NUL character (\\u0000).")
    return document


def _refuse(raw: bytes, error: orjson.JSONDecodeError) -> NoReturn:
    if raw.startswith(BOM):
        raise MalformedBody("The body starts with a byte order mark. Send plain UTF-8.") from None
    try:
        raw.decode()
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    if "depth" in error.msg:
        _too_deep()
    raise MalformedBody(f"The body is not valid JSON (line {error.lineno}, column {error.colno}).") from None


def _too_deep() -> NoReturn:
    raise MalformedBody(f"The body is nested deeper than {DEEPEST} levels.")


def _members(value: Any, depth: int) -> int:
    """How many members all objects have together; refuses what is too deep or too large on the way."""
    kind = type(value)
    if kind is dict:
        inside, count = value.values(), len(value)
    elif kind is list:
        inside, count = value, 0
    else:
        if (kind is int or kind is float) and not -LARGEST <= value <= LARGEST:
            raise MalformedBody("The body contains a number beyond ±10^18.")
        return 0
    if depth > DEEPEST:
        _too_deep()
    for each in inside:
        if type(each) is not str:
            count += _members(each, depth + 1)
    return count


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise MalformedBody(f"The body names {json.dumps(name[:40])} twice in one object.")
        names.add(name)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or _holds_nul(each) for name, each in value.items())
    return isinstance(value, list) and any(_holds_nul(each) for each in value)


def json_type(value: object) -> str:
    """What JSON calls this, for sentences that say what came instead."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
