"""The app of the composition root, and the admin's site."""

import gc

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConfigConfig(AppConfig):
    name = "config"
    default = True
    verbose_name = "Tirelire"

    def ready(self) -> None:
        from config import audit, checks, connections, metrics  # noqa: F401 - their receivers and checks count from here on

        audit.register_models()
        gc.freeze()  # nor are they looked through later; and forked workers go on sharing their memory
        gc.enable()


class TirelireAdminConfig(admin_apps.AdminConfig):
    """The admin of Django, on our own site: unfold's look, our sign-in."""

    default = False
    default_site = "config.site.OperatorsSite"
