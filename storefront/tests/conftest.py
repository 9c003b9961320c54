"""The gateways that billing's tests play with: pages lead to them."""

from billing.tests.conftest import gateways

__all__ = ["gateways"]
