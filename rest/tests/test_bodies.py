"""Forty bad bodies and more, each with its exact whole problem; and what is read is what was sent."""

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from rest import parsers
from rest.errors import MalformedBody

pytestmark = pytest.mark.urls("rest.tests.urls")
JSON = "application/json"
GOOD = {"amount": 500, "currency": "XOF"}


def body(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def raw(text: str) -> bytes:
    """A good body with one more member, written by hand."""
    return f'{{"amount": 500, "currency": "XOF", {text}}}'.encode()


def post(sent: bytes, content_type: str = JSON, **headers: str) -> tuple[int, dict[str, Any]]:
    answer = Client().post("/api/v1/orders", sent, content_type=content_type, headers=headers)
    told = answer.json()
    told.pop("request_id", None)
    return answer.status_code, told


def malformed(detail: str) -> tuple[int, dict[str, Any]]:
    return 400, {
        "type": "/problems#malformed_body",
        "title": "Malformed body",
        "status": 400,
        "detail": detail,
        "code": "malformed_body",
    }


def unsupported(detail: str) -> tuple[int, dict[str, Any]]:
    return 415, {
        "type": "/problems#unsupported_media_type",
        "title": "Unsupported media type",
        "status": 415,
        "detail": detail,
        "code": "unsupported_media_type",
    }


TOO_LARGE = (
    413,
    {
        "type": "/problems#body_too_large",
        "title": "Body too large",
        "status": 413,
        "detail": "The body is larger than 1000000 bytes.",
        "code": "body_too_large",
        "limit_bytes": 1000000,
    },
)


def invalid(*mistakes: tuple[str, str, str]) -> tuple[int, dict[str, Any]]:
    number = len(mistakes)
    return 400, {
        "type": "/problems#validation_error",
        "title": "Invalid request",
        "status": 400,
        "detail": "One value is wrong; see errors." if number == 1 else f"{number} values are wrong; see errors.",
        "code": "validation_error",
        "errors": [{"field": field, "message": message, "code": code} for field, message, code in mistakes],
    }


def not_json(column: int) -> tuple[int, dict[str, Any]]:
    return malformed(f"The body is not valid JSON (line 1, column {column}).")


EMPTY = malformed("The body is empty. Send a JSON object.")
TOO_DEEP = malformed("The body is nested deeper than 20 levels.")
NUL = malformed("The body contains a NUL character (\\u0000).")
BEYOND = malformed("The body contains a number beyond ±10^18.")
ORDER_FIELDS = "amount, at, country, currency, gift, id, kind, lines, metadata, note, zone"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(b"", EMPTY, id="empty"),
        pytest.param(b" \r\n\t ", EMPTY, id="only white space"),
        pytest.param(b"{", not_json(2), id="broken off"),
        pytest.param(b"{'amount': 1}", not_json(2), id="single quotes"),
        pytest.param(body() + b"}", not_json(35), id="trailing brace"),
        pytest.param(body() + b" {}", not_json(36), id="two documents"),
        pytest.param(b'{"amount": 1,}', not_json(13), id="trailing comma"),
        pytest.param(b'{"amount": 1 /* one */}', not_json(14), id="comment"),
        pytest.param(b'{"amount": 01}', not_json(12), id="leading zero"),
        pytest.param(b'{"amount": 0x1F}', not_json(13), id="hexadecimal"),
        pytest.param(b'{"amount": +1}', not_json(12), id="plus sign"),
        pytest.param('{"amount": ٣}'.encode(), not_json(12), id="Arabic digit"),
        pytest.param(b'{"amount": NaN}', not_json(12), id="NaN"),
        pytest.param(b'{"amount": Infinity}', not_json(12), id="Infinity"),
        pytest.param(b'{"amount": -Infinity}', not_json(13), id="-Infinity"),
        pytest.param(b'{"amount": 1e400}', not_json(12), id="1e400"),
        pytest.param(b"<order/>", not_json(1), id="XML"),
        pytest.param(b"amount=500&currency=XOF", not_json(1), id="a form that says it is JSON"),
        pytest.param(gzip.compress(body(), mtime=0), malformed("The body is not UTF-8."), id="gzip in disguise"),
        pytest.param(
            b"\xef\xbb\xbf" + body(), malformed("The body starts with a byte order mark. Send plain UTF-8."), id="BOM"
        ),
        pytest.param(body().decode().encode("utf-16"), malformed("The body is not UTF-8."), id="UTF-16"),
        pytest.param(body().decode().encode("utf-16-le"), not_json(2), id="UTF-16 without a mark"),
        pytest.param('{"note": "é"}'.encode("latin-1"), malformed("The body is not UTF-8."), id="Latin-1"),
        pytest.param(b'{"note": "\xed\xa0\x80"}', malformed("The body is not UTF-8."), id="encoded surrogate"),
        pytest.param(b'{"note": "\\ud800"}', not_json(11), id="lone surrogate"),
        pytest.param(b'{"note": "\\udc00\\ud800"}', not_json(11), id="surrogates the wrong way round"),
        pytest.param(b'{"note": "a\x00b"}', not_json(12), id="raw NUL"),
        pytest.param(
            b'{"note": "a\nb"}', malformed("The body is not valid JSON (line 1, column 12)."), id="raw newline"
        ),
        pytest.param(raw('"note": "a\\u0000b"'), NUL, id="escaped NUL"),
        pytest.param(raw('"a\\u0000b": 1'), NUL, id="NUL in a name"),
        pytest.param(raw('"metadata": {"a": ["\\u0000"]}'), NUL, id="NUL deep inside"),
        pytest.param(
            raw('"amount": 900'), malformed('The body names "amount" twice in one object.'), id="a name twice"
        ),
        pytest.param(
            raw('"metadata": {"a": 1, "\\u0061": 2}'),
            malformed('The body names "a" twice in one object.'),
            id="a name twice, once escaped, inside",
        ),
        pytest.param(
            raw('"note": ":", "note": "x"'),
            malformed('The body names "note" twice in one object.'),
            id="a name twice, with a colon to mislead",
        ),
        pytest.param(b'{"metadata":' * 20 + b"{}" + b"}" * 20, TOO_DEEP, id="21 levels"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, TOO_DEEP, id="100 000 levels"),
        pytest.param(b"[" * 100_000, TOO_DEEP, id="100 000 open arrays"),
        pytest.param(b'{"amount": 1000000000000000001}', BEYOND, id="over 10^18"),
        pytest.param(b'{"amount": 123456789012345678901234567890}', BEYOND, id="over 64 bits"),
        pytest.param(b'{"amount": -1e19}', BEYOND, id="a large fraction"),
        pytest.param(b'{"amount": ' + b"9" * 5000 + b"}", not_json(12), id="5000 digits"),
        pytest.param(b"[]", malformed("The body must be a JSON object, not an array."), id="array"),
        pytest.param(b"null", malformed("The body must be a JSON object, not null."), id="null"),
        pytest.param(b"12", malformed("The body must be a JSON object, not a number."), id="number"),
        pytest.param(b"true", malformed("The body must be a JSON object, not a boolean."), id="boolean"),
        pytest.param(b'"text"', malformed("The body must be a JSON object, not a string."), id="string"),
        pytest.param(b'{"note": "' + b"x" * 1_000_000 + b'"}', TOO_LARGE, id="over a megabyte"),
    ],
)
def test_a_body_that_cannot_be_read(sent: bytes, expected: tuple[int, dict[str, Any]]) -> None:
    assert post(sent) == expected


@pytest.mark.parametrize(
    ("content_type", "headers", "detail"),
    [
        ("text/plain", {}, "Send the body as application/json."),
        ("application/x-www-form-urlencoded", {}, "Send the body as application/json."),
        ("multipart/form-data; boundary=x", {}, "Send the body as application/json."),
        ("application/jsonp", {}, "Send the body as application/json."),
        ("application/vnd.api+json", {}, "Send the body as application/json."),
        ("application/json, text/plain", {}, "Send the body as application/json."),
        ("json", {}, "Send the body as application/json."),
        ("", {}, "Send the body as application/json."),
        ("application/json; charset=latin-1", {}, "Send the body in UTF-8."),
        ("application/json; charset=utf-16", {}, "Send the body in UTF-8."),
        (JSON, {"content-encoding": "gzip"}, "Send the body as it is, without a Content-Encoding."),
        (JSON, {"content-encoding": "br"}, "Send the body as it is, without a Content-Encoding."),
    ],
)
def test_a_body_of_another_type(content_type: str, headers: dict[str, str], detail: str) -> None:
    assert post(body(), content_type, **headers) == unsupported(detail)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "Application/JSON", 'application/json;charset="utf-8"']
)
def test_the_same_type_in_other_words(content_type: str) -> None:
    assert post(body(), content_type) == (201, GOOD)


@pytest.mark.parametrize(
    ("sent", "mistakes"),
    [
        (
            b"{}",
            [("amount", "This field is required.", "required"), ("currency", "This field is required.", "required")],
        ),
        (body(colour="red"), [("colour", f"Unknown field. Known: {ORDER_FIELDS}.", "unknown")]),
        (body(amount=True), [("amount", "Send a whole number, not a boolean.", "invalid")]),
        (body(amount="12"), [("amount", "Send a whole number, not a string.", "invalid")]),
        (body(amount=12.0), [("amount", "Send a whole number, not a fraction.", "invalid")]),
        (
            raw('"lines": [{"sku": "a", "count": 1e0}]'),
            [("lines.0.count", "Send a whole number, not a fraction.", "invalid")],
        ),
        (body(amount=None), [("amount", "This field may not be null.", "null")]),
        (body(amount=[500]), [("amount", "Send a whole number, not an array.", "invalid")]),
        (body(amount=0), [("amount", "Ensure this value is greater than or equal to 1.", "min_value")]),
        (body(amount=-5), [("amount", "Ensure this value is greater than or equal to 1.", "min_value")]),
        (
            body(amount=10**15 + 1),
            [("amount", "Ensure this value is less than or equal to 1000000000000000.", "max_value")],
        ),
        (body(currency="xof"), [("currency", "Send an ISO 4217 code in capitals, such as EUR or XOF.", "invalid")]),
        (body(currency="XXX"), [("currency", "Send an ISO 4217 code in capitals, such as EUR or XOF.", "invalid")]),
        (body(currency=["XOF"]), [("currency", "Send an ISO 4217 code in capitals, such as EUR or XOF.", "invalid")]),
        (body(country="EU"), [("country", "Send an ISO 3166 code of two capitals, such as FR or CI.", "invalid")]),
        (body(country={}), [("country", "Send an ISO 3166 code of two capitals, such as FR or CI.", "invalid")]),
        (body(kind="CARD"), [("kind", "Choose one of: card, phone.", "invalid_choice")]),
        (body(kind=True), [("kind", "Choose one of: card, phone.", "invalid_choice")]),
        (body(kind=["card"]), [("kind", "Choose one of: card, phone.", "invalid_choice")]),
        (body(gift=1), [("gift", "Send true or false, not a number.", "invalid")]),
        (body(gift="true"), [("gift", "Send true or false, not a string.", "invalid")]),
        (body(note=12), [("note", "Send a string, not a number.", "invalid")]),
        (body(note=["x"]), [("note", "Send a string, not an array.", "invalid")]),
        (body(note="x" * 21), [("note", "Ensure this field has no more than 20 characters.", "max_length")]),
        (body(note="a\x1bb"), [("note", "Control characters are not allowed.", "control")]),
        (body(id=7), [("id", "Send a UUID such as 0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f.", "invalid")]),
        (
            body(id="{0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f}"),
            [("id", "Send a UUID such as 0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f.", "invalid")],
        ),
        *[
            (
                body(at=when),
                [("at", "Send a time with its offset as RFC 3339 says it, such as 2026-11-20T20:30:00Z.", "invalid")],
            )
            for when in (
                "2026-11-20T20:30:00",
                "2026-11-20",
                "2026-02-30T00:00:00Z",
                "2026-11-20T25:00:00Z",
                "0001-01-01T00:00:00+12:00",
                "2026-11-20T20:30:00+99:00",
                "٢٠٢٦-11-20T20:30:00Z",
                1732134600,
            )
        ],
        (body(zone="Mars/Olympus"), [("zone", "Send the name of an IANA time zone, such as Europe/Paris.", "invalid")]),
        (
            body(zone="../etc/passwd"),
            [("zone", "Send the name of an IANA time zone, such as Europe/Paris.", "invalid")],
        ),
        (body(metadata=[]), [("metadata", "Send an object, not an array.", "invalid")]),
        (body(metadata={"k" * 41: 1}), [("metadata", "A key has 1 to 40 characters.", "key")]),
        (body(metadata={"": 1}), [("metadata", "A key has 1 to 40 characters.", "key")]),
        (
            body(metadata={"size": {}}),
            [("metadata.size", "A value is a string of up to 500 characters, a number, a boolean or null.", "value")],
        ),
        (
            body(metadata={"size": "x" * 501}),
            [("metadata.size", "A value is a string of up to 500 characters, a number, a boolean or null.", "value")],
        ),
        (body(metadata={str(n): n for n in range(51)}), [("metadata", "Send no more than 50 keys.", "too_many")]),
        (body(lines={}), [("lines", 'Expected a list of items but got type "dict".', "not_a_list")]),
        (body(lines=["x"]), [("lines.0", "Send an object, not a string.", "invalid")]),
        (
            body(lines=[{"sku": "a", "count": 1}, {"sku": " a", "count": 10, "size": 1}]),
            [
                ("lines.1.sku", "Leave out the blanks at the start and the end.", "blanks"),
                ("lines.1.count", "Ensure this value is less than or equal to 9.", "max_value"),
                ("lines.1.size", "Unknown field. Known: count, sku.", "unknown"),
            ],
        ),
    ],
)
def test_a_value_that_is_wrong(sent: bytes, mistakes: list[tuple[str, str, str]]) -> None:
    assert post(sent) == invalid(*mistakes)


def test_what_is_read_is_what_was_sent() -> None:
    sent = {
        "amount": 10**15,
        "currency": "EUR",
        "country": "CI",
        "kind": "phone",
        "gift": False,
        "note": " été\n𝄞 \\u0000 a:b ",
        "id": "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f",
        "at": "2026-11-20T20:30:00Z",
        "zone": "Africa/Abidjan",
        "metadata": {"a": 1, "b": True, "c": None, "d": "x" * 500, "e": 0.5},
        "lines": [{"sku": "é", "count": 9}],
    }
    assert post(json.dumps(sent | {"at": "2026-11-20T22:30:00+02:00"}).encode()) == (201, sent)


@pytest.mark.parametrize(
    ("query", "mistakes"),
    [
        ("limit=0", [("limit", "Ensure this value is greater than or equal to 1.", "min_value")]),
        ("limit=ten", [("limit", "Send a whole number, not this.", "invalid")]),
        ("limit=1.0", [("limit", "Send a whole number, not this.", "invalid")]),
        ("limit=%2B5", [("limit", "Send a whole number, not this.", "invalid")]),
        ("limit=05", [("limit", "Send a whole number, not this.", "invalid")]),
        ("limit=%D9%A3", [("limit", "Send a whole number, not this.", "invalid")]),
        ("limit=", [("limit", "Send a whole number, not this.", "invalid")]),
        ("limit=" + "9" * 5000, [("limit", "Send a whole number, not this.", "invalid")]),
        ("limit=1&limit=2", [("limit", "Send this parameter once.", "repeated")]),
        ("open=True", [("open", "Send true or false, not this.", "invalid")]),
        ("open=1", [("open", "Send true or false, not this.", "invalid")]),
        ("page=2", [("page", "Unknown query parameter. Known: id, limit, open.", "unknown")]),
        ("%00=1", [("\x00", "Unknown query parameter. Known: id, limit, open.", "unknown")]),
    ],
)
def test_a_query_parameter_that_is_wrong(query: str, mistakes: list[tuple[str, str, str]]) -> None:
    told = Client().get(f"/api/v1/orders?{query}").json()
    told.pop("request_id", None)
    assert (400, told) == invalid(*mistakes)


def test_query_parameters_come_typed() -> None:
    answer = Client().get("/api/v1/orders?limit=7&open=false&id=0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f")
    assert answer.json() == {"limit": 7, "open": False, "id": "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f"}


def test_too_many_query_parameters_are_refused() -> None:
    answer = Client().get("/api/v1/orders?" + "&".join(f"p{number}=1" for number in range(2000)))
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_an_act_without_a_body_refuses_one_that_says_something() -> None:
    empty = Client().delete("/api/v1/orders")
    braces = Client().delete("/api/v1/orders", b"{}", content_type=JSON)
    something = Client().delete("/api/v1/orders", b'{"force": true}', content_type=JSON)
    assert (empty.status_code, braces.status_code, something.status_code) == (200, 200, 400)
    assert something.json()["errors"] == [
        {"field": "force", "message": "Unknown field. Known: none.", "code": "unknown"}
    ]


def test_a_view_may_take_a_list() -> None:
    answer = Client().post("/api/v1/echo", b'[1, {"a": 2}]', content_type=JSON)
    assert answer.json() == {"echo": [1, {"a": 2}]}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE"])
def test_a_method_that_is_not_offered(method: str) -> None:
    answer = Client().generic(method, "/api/v1/orders", body(), content_type=JSON)
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert answer["Allow"] == "GET, HEAD, POST, DELETE"
    assert answer.json()["detail"] == f'Method "{method}" not allowed.'


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/orders/",
        "/api/v1/Orders",
        "/api/v1//orders",
        "/api/v2/orders",
        "/api/v1/orders.json",
        "/api/v1/orders%00",
    ],
)
def test_an_address_that_is_almost_right(path: str) -> None:
    answer = Client().post(path, body(), content_type=JSON)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_a_fault_of_ours_shows_nothing() -> None:
    answer = Client(raise_request_exception=False).get("/api/v1/fault")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "missing" not in answer.content.decode()


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "", "nonsense"])
def test_answers_are_json_whatever_is_asked_for(accept: str) -> None:
    answer = Client().get("/api/v1/orders?limit=1", headers={"accept": accept})
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "application/json", b'{"limit":1}')


def test_a_body_of_exactly_the_limit_is_read(settings) -> None:
    settings.API_MAX_BODY_BYTES = len(body())
    assert post(body())[0] == 201
    assert post(body() + b" ")[0] == 413


@pytest.mark.parametrize("depth", [20, 21])
def test_the_depth_limit_is_exact(depth: int) -> None:
    sent = b"[" * depth + b"]" * depth
    if depth == 20:
        assert parsers.loads(sent) is not None
    else:
        with pytest.raises(MalformedBody):
            parsers.loads(sent)
