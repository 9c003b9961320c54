"""Settings that cannot work are told by name."""

import pytest

from rest import checks
from rest.tests.signing import RSA_KEY, pem_of

pytestmark = pytest.mark.usefixtures("shared_secret")
LONG = "x" * 32


def test_the_settings_of_the_tests_are_good() -> None:
    assert checks.callers_are_configured(None) == []
    assert list(checks.callers_are_safe_in_production(None)) == []


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"JWT_ALGORITHMS": ["none"]}, ["rest.E001"]),
        ({"JWT_SECRET": "short"}, ["rest.E002"]),
        ({"JWT_SECRET": pem_of(RSA_KEY)}, ["rest.E002"]),
        ({"JWT_PREVIOUS_SECRET": "short"}, ["rest.E002"]),
        ({"JWT_PUBLIC_KEY": "/nowhere.pem"}, ["rest.E002"]),
        ({"JWT_JWKS_URL": "auth.example.com/jwks"}, ["rest.E003"]),
        ({"TRUST_PROXY_HEADERS": True}, ["rest.E004"]),
        ({"TRUST_PROXY_HEADERS": True, "INTERNAL_API_KEY": "short"}, ["rest.E005"]),
        ({"INTERNAL_API_KEY": LONG, "INTERNAL_PREVIOUS_API_KEY": "short"}, ["rest.E005"]),
        ({"TRUSTED_PROXY_COUNT": -1}, ["rest.E006"]),
        ({"THROTTLE_SERVICE": "many"}, ["rest.E007"]),
        ({"TRUST_PROXY_HEADERS": True, "INTERNAL_API_KEY": LONG, "JWT_PUBLIC_KEY": pem_of(RSA_KEY)}, []),
    ],
)
def test_settings_that_cannot_work_are_errors(settings, changes: dict[str, object], ids: list[str]) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    assert [message.id for message in checks.callers_are_configured(None)] == ids


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"JWT_JWKS_URL": "http://auth.example.com", "JWT_AUDIENCE": ["tirelire"]}, ["rest.E010"]),
        ({"JWT_JWKS_URL": "https://auth.example.com"}, ["rest.W010"]),
        ({"JWT_SECRET": ""}, ["rest.W011"]),
        ({"JWT_JWKS_URL": "https://auth.example.com", "JWT_AUDIENCE": ["tirelire"]}, []),
    ],
)
def test_settings_that_let_in_too_many_are_told_before_a_deployment(
    settings, changes: dict[str, object], ids: list[str]
) -> None:
    for name, value in changes.items():
        setattr(settings, name, value)
    assert [message.id for message in checks.callers_are_safe_in_production(None)] == ids
