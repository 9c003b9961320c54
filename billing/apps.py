"""The app of conversations about money with the outside."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from billing.gateways.titles import TITLES
from events.templatetags import letters


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = _("Billing")

    def ready(self) -> None:
        letters.GATEWAYS.update(TITLES)
