"""Cases: what the machine will not decide alone. Operators work through the open ones."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.payments import Attempt, Payment
from billing.models.payouts import Payout
from billing.models.subscriptions import Subscription
from ledger.ids import uuid7


class CaseKind(models.TextChoices):
    MISMATCH = "mismatch", _("wrong amount or currency")
    SURPLUS = "surplus", _("paid twice, to be given back by hand")
    STILL_UNKNOWN = "still_unknown", _("the gateway does not say")
    REFUND_FAILED = "refund_failed", _("a refund did not arrive")
    DISPUTE = "dispute", _("dispute to answer")
    MANUAL_REFUND = "manual_refund", _("refund to be sent by hand")
    PAYOUT = "payout", _("a payout needs somebody")
    SUBSCRIPTION = "subscription", _("a gateway refuses to speak of a subscription")


class CaseQuerySet(models.QuerySet["Case"]):
    def open(self) -> Self:
        return self.filter(closed_at__isnull=True)


class Case(models.Model):
    """Opened once per key, so that a sweep that finds the same trouble again opens no second one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=200, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=13, choices=CaseKind)
    payment = models.ForeignKey(
        Payment, models.PROTECT, related_name="cases", null=True, blank=True, verbose_name=_("payment")
    )
    attempt = models.ForeignKey(
        Attempt, models.PROTECT, related_name="cases", null=True, blank=True, verbose_name=_("attempt")
    )
    payout = models.ForeignKey(
        Payout, models.PROTECT, related_name="cases", null=True, blank=True, verbose_name=_("payout")
    )
    subscription = models.ForeignKey(
        Subscription, models.PROTECT, related_name="cases", null=True, blank=True, verbose_name=_("subscription")
    )
    facts = models.JSONField(_("facts"), default=dict)
    opened_at = models.DateTimeField(_("opened at"), auto_now_add=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("closed by")
    )
    resolution = models.CharField(_("resolution"), max_length=500, blank=True)

    objects = CaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        default_permissions = ("view",)
        permissions = [("close_case", "Can close cases")]
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="case_kind_known", condition=Q(kind__in=CaseKind.values)),
            models.CheckConstraint(
                name="case_is_about_one_thing",
                condition=Q(payment__isnull=False, payout__isnull=True, subscription__isnull=True)
                | Q(payment__isnull=True, attempt__isnull=True, payout__isnull=False, subscription__isnull=True)
                | Q(payment__isnull=True, attempt__isnull=True, payout__isnull=True, subscription__isnull=False),
            ),
            models.CheckConstraint(
                name="case_closed_with_a_resolution",
                condition=Q(closed_at__isnull=True, resolution="") | (Q(closed_at__isnull=False) & ~Q(resolution="")),
            ),
        ]
        indexes = [models.Index(name="case_open", fields=["opened_at"], condition=Q(closed_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.payment_id or self.payout_id or self.subscription_id}"
