"""The app of what every endpoint shares."""

from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "rest"
    verbose_name = "API"

    def ready(self) -> None:
        from rest import checks  # noqa: F401 - importing it registers the checks
