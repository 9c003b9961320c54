"""What the OpenAPI document says of every operation without being told: errors, headers, strict objects."""

import inspect
from collections.abc import Iterable
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter

from rest.idempotency import HEADER, REPLAYED
from rest.serializers import StrictSerializer

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` tells programs what happened, `detail` tells people.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "example": "/problems#validation_error"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string", "example": "validation_error"},
        "request_id": {"type": "string"},
        "retry_after_seconds": {"type": "integer", "minimum": 1},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message", "code"],
                "properties": {
                    "field": {"type": "string", "description": "Dotted path; empty for the body as a whole."},
                    "message": {"type": "string"},
                    "code": {"type": "string"},
                },
            },
        },
    },
}
TEXT = {"type": "string"}
NUMBER = {"type": "integer", "minimum": 0}
HEADERS: dict[str, Any] = {
    "X-Request-ID": {"schema": TEXT, "description": "Names this request in our logs."},
    "RateLimit-Limit": {"schema": NUMBER, "description": "Requests in one window."},
    "RateLimit-Remaining": {"schema": NUMBER, "description": "Requests left in this window, when known."},
    "RateLimit-Reset": {"schema": NUMBER, "description": "Seconds until the window ends."},
    "RateLimit-Policy": {"schema": TEXT, "description": "The limit and its window in seconds."},
}
RETRY_AFTER = {"Retry-After": {"schema": NUMBER, "description": "Seconds to wait before trying again."}}
REPLAY = {REPLAYED: {"schema": {"type": "string", "enum": ["true"]}, "description": "This is the first answer again."}}
ERRORS = {
    "400": "Wrong parameters, headers or body; unknown parameters and fields are wrong too",
    "401": "Credentials missing or refused",
    "402": "Not enough credits or money, or a saved card was not charged; `code` says which",
    "403": "Not permitted",
    "404": "Not there, or not yours",
    "409": "A request with this key is still running, or the state of things forbids it",
    "413": "Body too large",
    "415": "Not JSON in UTF-8",
    "422": "The key was used for another request, or the values cannot be; `code` says which",
    "429": "Too many requests",
    "503": "Try again later",
}
RETRIED = frozenset({"409", "429", "503"})

REQUEST_ID = OpenApiParameter(
    "X-Request-ID",
    {"type": "string", "example": "checkout-7f3a"},
    OpenApiParameter.HEADER,
    description="Comes back in the answer and stands in our logs, when it is 1 to 64 of A-Z a-z 0-9 . _ -; "
    "anything else is replaced by an id of ours.",
)
USER_ID = OpenApiParameter(
    "X-User-ID",
    {"type": "string", "minLength": 1, "maxLength": 150},
    OpenApiParameter.HEADER,
    description="The customer for whom a service acts, which needs the permission `rest.act_for_customers`.",
)
KEY = {"type": "string", "pattern": "^[!-~]{1,255}$"}


class ApiSchema(AutoSchema):
    def get_operation(self, *given: Any, **named: Any) -> dict[str, Any] | None:
        """What a service needs stands below the operation's own words, whether a view has some or is told them."""
        operation: dict[str, Any] | None = super().get_operation(*given, **named)
        needs = [getattr(each, "needs", "") for each in self.view.get_permissions()]
        if operation is not None and any(needs):
            operation["description"] = "\n\n".join(filter(None, [operation.get("description"), *needs]))
        return operation

    def get_override_parameters(self) -> list[Any]:
        found = [*super().get_override_parameters(), REQUEST_ID]
        if (query := getattr(self.view, "queries", {}).get(self.method)) is not None:
            found.append(query)
        if self._is_secured():
            found.append(USER_ID)
        if (required := self._key_required()) is not None:
            found.append(
                OpenApiParameter(
                    HEADER,
                    KEY,
                    OpenApiParameter.HEADER,
                    required=required,
                    description="Your own name for this act: sent again with it, nothing is done again.",
                )
            )
        return found

    def _key_required(self) -> bool | None:
        handler = getattr(self.view, self.method.lower(), None)
        required: bool | None = getattr(handler, "idempotency_key_required", None)
        return required

    def _is_secured(self) -> bool:
        return bool(self.view.get_authenticators())

    def get_description(self) -> str:  # type: ignore[override]
        """The view's own words; those of its base classes are for us."""
        handler = getattr(self.view, self.method.lower(), None)
        return inspect.cleandoc(getattr(handler, "__doc__", None) or type(self.view).__doc__ or "")

    # ---------------------------------------------------------------- answers

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for answer in bodies.values():
            answer.setdefault("headers", {}).update(_references("headers", HEADERS))
            if self._key_required() is not None:
                answer["headers"] |= _references("headers", [REPLAYED])
        for status in self._errors():
            bodies.setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
        return dict(sorted(bodies.items()))

    def _errors(self) -> list[str]:
        found = ["400", "429", "503"]
        if self._is_secured():
            found += ["401", "403"]
        if self.method in ("POST", "PUT", "PATCH"):
            found += ["413", "415"]
        if "{" in self.path:
            found += ["404"]
        if self._key_required() is not None:
            found += ["409", "422"]
        return [*found, *getattr(self.view, "more_errors", ())]

    # ---------------------------------------------------------------- strict objects

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if isinstance(serializer, StrictSerializer) or (
            isinstance(serializer, type) and issubclass(serializer, StrictSerializer)
        ):
            schema["additionalProperties"] = False
            if not (serializer if isinstance(serializer, type) else type(serializer)).__dict__.get("__doc__"):
                schema.pop("description", None)  # the base class's words are for us
        return schema


def _references(kind: str, names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def add_shared_parts(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: what all operations refer to stands in the document once."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["headers"] = HEADERS | RETRY_AFTER | REPLAY
    components["responses"] = {f"Problem{status}": _problem(status, what) for status, what in ERRORS.items()}
    return result


def _problem(status: str, what: str) -> dict[str, Any]:
    names = [*HEADERS, *(RETRY_AFTER if status in RETRIED else ())]
    return {
        "description": what,
        "headers": _references("headers", names),
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
