"""The credits as operators see them: what is sold, and what customers have of it."""

from credits.admin import catalogue, holdings, purses

__all__ = ["catalogue", "holdings", "purses"]
