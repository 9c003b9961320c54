"""Gateways by name: made from the settings, and one that lacks a credential stops no other."""

import pytest

from billing.gateways import registry


def test_unknown_gateway_is_refused_by_name() -> None:
    with pytest.raises(registry.UnknownGateway, match="paypall"):
        registry.get("paypall")
