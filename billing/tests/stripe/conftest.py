"""Stripe as its library's own schema describes it: every request is held against it, every reply made after it."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import stripe
from django.conf import settings

from billing.gateways.stripe import Configuration, Stripe

SECRET = "whsec_first"
OTHER_SECRET = "whsec_second"
Answer = Callable[[str, str, dict[str, Any]], Any]


def _tools() -> Path | None:
    """Beside the project, also when it is a worktree one folder deeper."""
    beside = [folder / "shared" / "tools" for folder in (settings.BASE_DIR.parent, settings.BASE_DIR.parent.parent)]
    return next((folder for folder in beside if (folder / "validate_stripe_calls.py").exists()), None)


@pytest.fixture(scope="session")
def schema_tools() -> ModuleType:
    folder = _tools()
    if folder is None:
        pytest.skip("NO STRIPE REQUEST WAS CHECKED: ../shared/tools is not here")
    spec = importlib.util.spec_from_file_location("validate_stripe_calls", folder / "validate_stripe_calls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def schema(schema_tools: ModuleType) -> Any:
    """Built from the installed library once for each of its versions."""
    built = settings.VAR_DIR / f"stripe-schema-{stripe.VERSION}.json"
    if not built.exists():
        folder = _tools()
        assert folder is not None
        built.parent.mkdir(parents=True, exist_ok=True)
        fresh = built.with_suffix(f".{os.getpid()}")
        builder = [sys.executable, "-W", "ignore", str(folder / "build_spec_from_sdk.py"), str(fresh)]
        subprocess.run(builder, check=True, capture_output=True)
        fresh.rename(built)
    return schema_tools.SpecValidator(str(built))


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
