"""Stripe, through its official library pinned to one version of its API."""

from billing.gateways.stripe.adapter import Stripe, from_settings
from billing.gateways.stripe.client import Configuration

__all__ = ["Configuration", "Stripe", "from_settings"]
