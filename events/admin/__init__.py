"""The admin of events: importing it registers its pages."""

from events.admin import endpoints, reading  # noqa: F401 - they register
