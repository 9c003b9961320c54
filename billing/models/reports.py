"""Reports: pages of figures in the admin. Each is seen by whoever may, and has no rows of its own."""

from django.utils.translation import gettext_lazy as _

from billing.models.payments import Payment
from credits.models import Spend


class Margin(Spend):
    """What was used, and what it earned over its real cost."""

    class Meta:
        proxy = True
        verbose_name = _("margin")
        verbose_name_plural = _("margins")
        default_permissions = ("view",)


class Figures(Payment):
    """What came in, who bought and who stayed."""

    class Meta:
        proxy = True
        verbose_name = _("figures")
        verbose_name_plural = _("figures")
        default_permissions = ("view",)
