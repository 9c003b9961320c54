"""What comes in and what goes out, and the table that brings the one to the other."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl


class Malformed(Exception):
    """The body is not what it says it is."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request; header names are in lower case, the path starts after the gateway's name."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str  # of the gateway that is asked, as the caller reached it: http://127.0.0.1:8010/paypal

    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise Malformed(str(error)) from error
        if not isinstance(value, dict):
            raise Malformed("A JSON object is expected.")
        return value

    def form_pairs(self) -> list[tuple[str, str]]:
        try:
            return parse_qsl(self.body.decode(), keep_blank_values=True)
        except UnicodeDecodeError as error:
            raise Malformed(str(error)) from error

    def form(self) -> dict[str, str]:
        return dict(self.form_pairs())

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")

    def bearer(self) -> str:
        kind, _, token = self.header("Authorization").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    def basic(self) -> tuple[str, str]:
        """User and password of Basic authentication, empty when there is none."""
        kind, _, coded = self.header("Authorization").partition(" ")
        if kind.lower() != "basic":
            return "", ""
        try:
            user, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Reply(status=status, body=body, headers={"Content-Type": "application/json", **(headers or {})})


def html_reply(text: str, status: int = 200) -> Reply:
    return Reply(status=status, body=text.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def see_other(address: str) -> Reply:
    return Reply(status=303, headers={"Location": address})


Handler = Callable[..., Reply]


@dataclass(frozen=True, kw_only=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler
    is_page: bool  # what people look at: no dial disturbs it


class Router:
    """Finds who answers. Patterns are paths with {names}: "/v2/checkout/orders/{order_id}/capture"."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def add(self, methods: str, path: str, handler: Handler, *, is_page: bool = False) -> None:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "/?")
        for method in methods.split():
            self.routes.append(Route(method=method, pattern=pattern, handler=handler, is_page=is_page))

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
        """The route and the names in its path; the last is true when only the method is wrong."""
        path_is_known = False
        for route in self.routes:
            if found := route.pattern.fullmatch(path):
                if route.method == method:
                    return route, found.groupdict(), True
                path_is_known = True
        return None, {}, path_is_known
