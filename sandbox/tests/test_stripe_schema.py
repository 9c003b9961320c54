"""Requests that our Stripe took are held against the real one's schema."""

import os
from typing import Any

import pytest

from sandbox import paypal_schema, stripe_schema


@pytest.mark.skipif(os.environ.get("VENDOR_SCHEMAS") != "required", reason=".ci/run asks for them where they should be")
def test_schemas_of_the_vendors_are_here() -> None:
    """Or every check against them is passed over, here and behind the fixture `sandbox`."""
    assert (stripe_schema.tools() is None, paypal_schema.folder() is None) == (False, False)


def asked(path: str, body: str, **more: Any) -> dict[str, Any]:
    known = {"method": "POST", "path": path, "query": {}, "headers": {}, "body": body, "acted_with_status": 200}
    return known | more


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (asked("/v1/refunds", "payment_intent=pi_1&amount=5.5"), "expected an integer"),
        (asked("/v1/refunds", "payment_intent=pi_1&colour=red"), "unknown parameter colour"),
        (asked("/v1/setup_intents/seti_1/colour", ""), "unknown path"),
        (asked("/v1/customers", "", method="GET", query={"limit": "many"}), "expected an integer"),
    ],
)
def test_what_the_schema_does_not_know_is_found(request_: dict[str, Any], word: str) -> None:
    """If this fails, the check behind the fixture `sandbox` proves nothing."""
    if stripe_schema.tools() is None:
        pytest.skip("NO STRIPE REQUEST WAS CHECKED: ../shared/tools is not here")
    [problem] = stripe_schema.problems([request_])
    assert word in problem


def test_what_is_right_and_what_was_refused_is_no_problem() -> None:
    right = asked("/v1/refunds", "payment_intent=pi_1&amount=5")
    refused = asked("/v1/refunds", "colour=red", acted_with_status=400)
    assert stripe_schema.problems([right, refused]) == []
