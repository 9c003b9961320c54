"""Stripe as its library's own schema describes it: every request is held against it, every reply made after it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from billing.gateways.stripe import Configuration, Stripe
from sandbox import stripe_schema

SECRET = "whsec_first"
OTHER_SECRET = "whsec_second"
Answer = Callable[[str, str, dict[str, Any]], Any]


@pytest.fixture(scope="session")
def schema_tools() -> ModuleType:
    found = stripe_schema.tools()
    if found is None:
        pytest.skip("NO STRIPE REQUEST WAS CHECKED: ../shared/tools is not here")
    return found


@pytest.fixture(scope="session")
def schema(schema_tools: ModuleType) -> Any:
    return stripe_schema.validator()


class Double:
    """Answers with whole objects of Stripe's schema; a test says what differs, by method and path."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema
        self.answers: dict[tuple[str, str], Answer | tuple[dict[str, Any], int] | dict[str, Any]] = {}

    def make(self, kind: str, **values: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.schema.make(kind, **{"id": f"{kind}_1", **values})
        return made

    def page(self, *data: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
        return {"object": "list", "data": list(data), "has_more": has_more, "url": "/v1/things"}

    def error(self, status: int, **error: Any) -> tuple[dict[str, Any], int]:
        return {"error": error}, status

    def __call__(self, method: str, path: str, params: dict[str, Any]) -> Any:
        answer = self.answers.get((method, path.removeprefix("/v1/")))
        if answer is None:
            raise AssertionError(f"The test did not expect {method} {path}.")
        return answer(method, path, params) if callable(answer) else answer


@pytest.fixture
def double(schema: Any) -> Double:
    return Double(schema)


@pytest.fixture
def recorded(schema_tools: ModuleType, schema: Any, double: Double) -> Any:
    """Refuses a request that the schema does not know, and remembers the others."""
    return schema_tools.RecordingClient(schema, responder=double, strict=True)


@pytest.fixture
def configuration() -> Configuration:
    return Configuration(
        secret_key="sk_test_" + "a" * 24,
        publishable_key="pk_test_1",
        webhook_secrets=(SECRET, OTHER_SECRET),
        minimums_minor={"EUR": 50},
    )


@pytest.fixture
def gateway(configuration: Configuration, recorded: Any) -> Stripe:
    return Stripe(configuration, client=recorded)
