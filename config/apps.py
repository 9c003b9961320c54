from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Tirelire"

    def ready(self) -> None:
        from config import checks, metrics  # noqa: F401 - their receivers and checks count from here on
