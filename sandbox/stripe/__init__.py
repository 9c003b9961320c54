"""Stripe in a box: its API at version 2026-08-26.dahlia, its pages, its events, and its renewals."""

from sandbox.stripe.gateway import Stripe

__all__ = ["Stripe"]
