"""The document says what the API does: schemathesis plays good and bad requests against it, always the same ones."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import Permission
from django.core import signals
from django.core.management import call_command
from django.db import close_old_connections
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck
from hypothesis import settings as bounds
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from config.wsgi import application
from rest import tokens

# The views of the tests and those of the product, so that every kind of field and header is played with.
URLCONF = "rest.tests.urls"
CONFIG = {
    "generation": {"deterministic": True, "max-examples": 25, "database": "none"},
    "phases": {"stateful": {"enabled": False}},
    # A customer that may not be named, a currency that does not exist: the schema cannot say all that we refuse.
    "checks": {"positive_data_acceptance": {"enabled": False}},
}


def load() -> Any:
    # At import, since schemathesis makes one test of each operation; its fixtures do not know pytest 9.2.
    document = SchemaGenerator(urlconf=URLCONF).get_schema(public=True)  # type: ignore[no-untyped-call]
    loaded = schemathesis.openapi.from_dict(
        json.loads(json.dumps(document, default=str)), config=SchemathesisConfig.from_dict(CONFIG)
    )
    loaded.app = application
    return loaded


schema = load()


@pytest.fixture
def api(db, settings) -> Iterator[None]:
    settings.ROOT_URLCONF = URLCONF
    settings.THROTTLE_ANONYMOUS = settings.THROTTLE_SERVICE = "1000000/1m"
    # As Django's own test client does: the end of a request must not close the connection that the test rolls back.
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def headers(api) -> dict[str, str]:
    permissions = Permission.objects.filter(codename__in=["act_for_customers", "change_customer"])
    _, secret = tokens.issue(name="fuzzer", permissions=permissions, expires_at=None, by=None)
    return {"Authorization": f"Bearer {secret}", "Accept-Encoding": "identity"}  # its client cannot unpack


@schema.parametrize()
@bounds(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_api_does_what_its_document_says(case: Any, api: None, headers: dict[str, str]) -> None:
    case.call_and_validate(headers=headers)


def test_the_checks_can_fail(api: None, headers: dict[str, str]) -> None:
    """If this fails, the test above proves nothing: an undocumented status is seen."""
    operation = schema["/api/v1/customer"]["GET"]
    case = operation.Case(headers={"X-User-ID": "ann"})
    answer = case.call(headers=headers)
    case.validate_response(answer, checks=[checks.status_code_conformance])
    answer.status_code = 418
    with pytest.raises(FailureGroup, match="1 distinct failure"):
        case.validate_response(answer, checks=[checks.status_code_conformance])


# ---------------------------------------------------------------- what the document says


def document_of(client: Client) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(client.get("/api/schema?format=json").content)
    return told


def test_the_document_of_the_product_is_valid_and_without_warnings(tmp_path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))


def test_it_comes_as_yaml_too(client: Client) -> None:
    assert client.get("/api/schema").content.startswith(b"openapi: 3.")


@pytest.mark.urls(URLCONF)
def test_every_operation_names_its_errors_as_problems(client: Client) -> None:
    told = document_of(client)
    note = told["paths"]["/api/v1/notes"]["post"]
    assert sorted(note["responses"]) == ["201", "400", "401", "403", "409", "413", "415", "422", "429", "503"]
    for status in sorted(note["responses"])[1:]:
        shared = told["components"]["responses"][note["responses"][status]["$ref"].rpartition("/")[2]]
        assert shared["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        assert ("Retry-After" in shared["headers"]) == (status in {"409", "429", "503"})


@pytest.mark.urls(URLCONF)
def test_it_names_the_headers_and_refuses_unknown_fields(client: Client) -> None:
    told = document_of(client)
    note = told["paths"]["/api/v1/notes"]["post"]
    named = {each["name"]: each.get("required", False) for each in note["parameters"]}
    assert named == {"Idempotency-Key": True, "X-Request-ID": False, "X-User-ID": False}
    assert "Idempotency-Replayed" in note["responses"]["201"]["headers"]
    for name in ("NoteRequest", "OrderRequest", "LineRequest", "PatchedCustomerRequest"):
        assert told["components"]["schemas"][name]["additionalProperties"] is False
    assert "additionalProperties" not in told["components"]["schemas"]["CustomerResponse"]


@pytest.mark.django_db
def test_no_operation_takes_a_parameter_that_its_document_does_not_name(client: Client) -> None:
    """Asked by a service that may do everything, for a customer: nothing else can be wrong yet."""
    _, secret = tokens.issue(name="all", permissions=list(Permission.objects.all()), expires_at=None, by=None)
    headers = {"authorization": f"Bearer {secret}", "x-user-id": "ann"}
    taken = []
    for path, operations in document_of(client)["paths"].items():
        address = re.sub(r"\{\w*method_id\}", "1", path)
        address = re.sub(r"\{\w+\}", "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f", address)
        for method in operations:
            answer = client.generic(method.upper(), address, QUERY_STRING="nonsense=1", headers=headers)
            mistakes = [(each["field"], each["code"]) for each in answer.json().get("errors", [])]
            if answer.status_code != 400 or ("nonsense", "unknown") not in mistakes:
                taken.append((method, path, answer.status_code))
    assert taken == []
