from events.admin import endpoints, reading  # noqa: F401 - they register
