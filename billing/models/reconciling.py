"""Our books of a day against a gateway's own list: each comparison, and what did not fit."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.payments import Payment
from ledger.ids import uuid7


class Source(models.TextChoices):
    LIST = "list", _("the gateway's list")
    ASKED = "asked", _("the gateway, asked line by line")
    STATEMENT = "statement", _("a statement")


class Outcome(models.TextChoices):
    MISSING_HERE = "missing_here", _("missing here")
    MISSING_THERE = "missing_there", _("missing there")
    DIFFERENT = "different", _("different amount")


class Resolution(models.TextChoices):
    SETTLED = "settled", _("fits now")  # found by a later comparison
    BOOKED = "booked", _("booked here afterwards")
    RETURNED = "returned", _("money given back")
    CORRECTED = "corrected", _("corrected by the gateway")
    NOT_OURS = "not_ours", _("not of this shop")
    ACCEPTED = "accepted", _("loss or gain accepted")


class Reconciliation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    gateway = models.CharField(_("gateway"), max_length=20)
    day = models.DateField(_("day"))
    source = models.CharField(_("compared with"), max_length=9, choices=Source)
    matched = models.PositiveIntegerField(_("matched"))
    exceptions = models.PositiveIntegerField(_("exceptions"))
    unanswered = models.PositiveIntegerField(_("not answered"), default=0)
    made_at = models.DateTimeField(_("made at"), auto_now_add=True)

    class Meta:
        verbose_name = _("reconciliation")
        verbose_name_plural = _("reconciliations")
        default_permissions = ("view",)
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="reconciliation_source_known", condition=Q(source__in=Source.values)),
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.day}"


class DiscrepancyQuerySet(models.QuerySet["Discrepancy"]):
    def open(self) -> Self:
        return self.filter(closed_at__isnull=True)


class Discrepancy(models.Model):
    """Opened once per line, so that a comparison made again finds the first one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=300, unique=True, editable=False)
    gateway = models.CharField(_("gateway"), max_length=20)
    day = models.DateField(_("day"))
    outcome = models.CharField(_("what does not fit"), max_length=13, choices=Outcome)
    kind = models.CharField(_("kind"), max_length=7)
    reference = models.CharField(_("our reference"), max_length=64, blank=True)
    ids = models.JSONField(_("ids at the gateway"), default=dict)
    currency = models.CharField(_("currency"), max_length=12)
    ours_minor = models.BigIntegerField(_("amount here in minor units"), null=True, blank=True)
    theirs_minor = models.BigIntegerField(_("amount there in minor units"), null=True, blank=True)
    their_currency = models.CharField(_("currency there"), max_length=12, blank=True)
    payment = models.ForeignKey(
        Payment, models.PROTECT, related_name="discrepancies", null=True, blank=True, verbose_name=_("payment")
    )
    opened_at = models.DateTimeField(_("opened at"), auto_now_add=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("closed by")
    )
    resolution = models.CharField(_("resolution"), max_length=9, choices=Resolution, blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)

    objects = DiscrepancyQuerySet.as_manager()

    class Meta:
        verbose_name = _("exception of reconciliation")
        verbose_name_plural = _("exceptions of reconciliation")
        default_permissions = ("view",)
        permissions = [("resolve_discrepancy", "Can resolve exceptions of reconciliation")]
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="discrepancy_outcome_known", condition=Q(outcome__in=Outcome.values)),
            models.CheckConstraint(
                name="discrepancy_has_the_amounts_of_its_outcome",
                condition=Q(outcome="missing_here", ours_minor__isnull=True, theirs_minor__isnull=False)
                | Q(outcome="missing_there", ours_minor__isnull=False, theirs_minor__isnull=True)
                | Q(outcome="different", ours_minor__isnull=False, theirs_minor__isnull=False),
            ),
            models.CheckConstraint(
                name="discrepancy_closed_with_a_resolution",
                condition=Q(closed_at__isnull=True, resolution="")
                | Q(closed_at__isnull=False, resolution__in=Resolution.values),
            ),
        ]
        indexes = [
            models.Index(name="discrepancy_open", fields=["gateway", "day"], condition=Q(closed_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.day} {self.get_outcome_display()}"
