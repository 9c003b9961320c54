"""PayPal's requests held against its published OpenAPI files; for tests, with the files beside the project.

Where those files are not, nothing is checked: they are no part of the project.
"""

import functools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("checkout_orders_v2", "payments_payment_v2", "payments_payouts_batch_v1", "notifications_webhooks_v1")
UNPUBLISHED = re.compile("/v1/oauth2/token|/v1/notifications/certs/[^/]+")  # no file tells of these two
METHODS = {"get", "post", "put", "patch", "delete"}
SUCCESSES = range(200, 300)
Request = dict[str, Any]


def folder() -> Path | None:
    """Beside the project, or beside the checkout that this worktree belongs to."""
    places = [parent / "shared" / "specs" / "paypal" for parent in ROOT.parents]
    return next((place for place in places if place.is_dir()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call that PayPal publishes."""

    method: str
    path: re.Pattern[str]
    parameters: dict[tuple[str, str], Any]  # where it stands and its name, in small letters: its schema
    body: Any  # None where none is taken

    def problems(self, request: Request) -> Iterator[str]:
        yield from self._of_names("query", request["query"])
        headers = {name.lower(): value for name, value in request["headers"].items()}
        known = {name: value for name, value in headers.items() if ("header", name) in self.parameters}
        yield from self._of_names("header", known)
        yield from self.problems_of_body(json.loads(request["body"]) if request["body"] else {})

    def problems_of_body(self, content: Any) -> Iterator[str]:
        if self.body is not None:
            for fault in self.body.iter_errors(content):
                yield f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}"
        elif content:
            yield "no body is taken"

    def _of_names(self, place: str, given: dict[str, str]) -> Iterator[str]:
        for name, value in given.items():
            schema = self.parameters.get((place, name.lower()))
            if schema is None:
                yield f"unknown {place} parameter {name}"
                continue
            for fault in schema.iter_errors(_read(value, schema.schema)):
                yield f"{name}: {fault.message[:200]}"


class Specification:
    """PayPal's files, made stricter in one thing: a field that they do not name is a mistake of ours."""

    def __init__(self, place: Path) -> None:
        documents = [json.loads((place / f"{name}.json").read_text()) for name in NAMES]
        for document in documents:
            for schema in document["components"]["schemas"].values():
                _close(schema)
        self.operations = [each for document in documents for each in _operations(document)]

    def operation(self, method: str, path: str) -> Operation | None:
        fitting = (each for each in self.operations if each.method == method and each.path.fullmatch(path))
        return next(fitting, None)

    def problems(self, request: Request) -> list[str]:
        said = f"{request['method']} {request['path']}"
        operation = self.operation(request["method"], request["path"])
        if operation is None:
            return [f"{said}: unknown path"]
        return [f"{said}: {problem}" for problem in operation.problems(request)]


@functools.cache
def specification() -> Specification | None:
    place = folder()
    return Specification(place) if place else None


def problems(requests: Iterable[Request]) -> list[str]:
    """What PayPal's files do not know of those that our PayPal took. What it refused says so by itself."""
    taken = [each for each in requests if _is_taken(each) and not UNPUBLISHED.fullmatch(each["path"])]
    known = specification() if taken else None
    return [problem for each in taken for problem in known.problems(each)] if known else []


def _is_taken(request: Request) -> bool:
    return request.get("acted_with_status") in SUCCESSES


def _operations(document: Any) -> Iterator[Operation]:
    components = document["components"]
    for path, calls in document["paths"].items():
        for method in METHODS & calls.keys():
            call = calls[method]
            parameters = [_found(each, components) for each in call.get("parameters", [])]
            yield Operation(
                method=method.upper(),
                path=re.compile(re.sub(r"\{\w+\}", "[^/]+", path)),
                parameters={
                    (each["in"], each["name"].lower()): _judge(each["schema"], components) for each in parameters
                },
                body=_judge_of_body(_found(call.get("requestBody"), components), components),
            )


def _judge_of_body(body: Any, components: Any) -> Any:
    if body is None:
        return None
    schema = body["content"]["application/json"]["schema"]
    return _judge({**schema, "unevaluatedProperties": False}, components)


def _judge(schema: Any, components: Any) -> Any:
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return jsonschema.Draft202012Validator({"$schema": dialect, **schema, "components": components})


def _found(thing: Any, components: Any) -> Any:
    """What a reference to a parameter or a body leads to."""
    while thing is not None and "$ref" in thing:
        _, _, kind, name = thing["$ref"].split("/")
        thing = components[kind][name]
    return thing


def _read(value: str, schema: Any) -> Any:
    """A parameter is text; numbers and truths are written in it as JSON writes them."""
    if schema.get("type") == "string":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _close(schema: Any) -> None:
    """Wherever a schema refers to another for a value, that value has no fields but the named ones."""
    if not isinstance(schema, dict):
        return
    places = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    for place in places:
        if isinstance(place, dict) and ("$ref" in place or "properties" in place):
            place["unevaluatedProperties"] = False
        _close(place)
    for part in schema.get("allOf", []):
        _close(part)
