"""The credits as operators see them: what is sold, and what customers have of it."""

from credits.admin import calendar, catalogue, holdings, purses

__all__ = ["calendar", "catalogue", "holdings", "purses"]
