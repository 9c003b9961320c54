"""The calendar of a plan's credits: who is given what again and again, and one row for each time."""

from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from credits.models.catalogue import CEILING, CatchUp, Every
from credits.models.holdings import Grant
from ledger.ids import uuid7


class ScheduleState(models.TextChoices):
    OPEN = "open", _("open")
    PAUSED = "paused", _("paused")
    CLOSED = "closed", _("closed")


class GrantSchedule(models.Model):
    """Somebody's recurring grants, as long as they are paid for. Paying moves `paid_until`; it never grants.

    What began it owns the reference, for example `subscription:<id>`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(_("reference"), max_length=100, unique=True, db_collation="C")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="grant_schedules", verbose_name=_("customer")
    )
    state = models.CharField(_("state"), max_length=6, choices=ScheduleState, default=ScheduleState.OPEN)
    time_zone = models.CharField(_("time zone"), max_length=64)
    # Periods begin at the local time that the anchor had in the zone where it was set, wherever the customer is now.
    anchor_at = models.DateTimeField(_("anchor"))
    anchor_zone = models.CharField(_("zone of the anchor"), max_length=64)
    first_number = models.IntegerField(default=0, editable=False)  # of the period that begins at the anchor
    paid_until = models.DateTimeField(_("paid until"))
    is_unlimited = models.BooleanField(_("unlimited"), default=False)
    fair_use_per_month = models.BigIntegerField(_("fair use per month"), null=True, blank=True)
    unit = models.CharField(_("unit"), max_length=12, default="CREDIT")  # of what is unlimited
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("grant schedule")
        verbose_name_plural = _("grant schedules")
        default_permissions = ("view",)
        permissions = [
            ("regrant_period", "Can grant a period again"),
            ("revoke_period", "Can revoke a period"),
        ]
        constraints = [
            models.CheckConstraint(name="schedule_state_known", condition=Q(state__in=ScheduleState.values)),
            models.CheckConstraint(
                name="schedule_fair_use_not_negative",
                condition=Q(fair_use_per_month__isnull=True) | Q(fair_use_per_month__gte=0),
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def anchor(self) -> datetime:
        """The local time at which periods begin, without a zone."""
        return self.anchor_at.astimezone(ZoneInfo(self.anchor_zone)).replace(tzinfo=None)


class ScheduleRule(models.Model):
    """One of the rules that a schedule follows from now on; what was granted by earlier ones stands in its periods."""

    schedule = models.ForeignKey(GrantSchedule, models.CASCADE, related_name="rules")
    code = models.CharField(_("code"), max_length=60)
    amount = models.BigIntegerField(_("amount"))
    unit = models.CharField(_("unit"), max_length=12)
    every = models.CharField(_("every"), max_length=5, choices=Every)
    expires_after_days = models.PositiveIntegerField(_("expires after (days)"), null=True, blank=True)
    expires_at_next = models.BooleanField(_("expires at the next grant"), default=False)
    rollover_cap = models.BigIntegerField(_("roll-over cap"), null=True, blank=True)
    catch_up = models.CharField(_("missed periods"), max_length=4, choices=CatchUp)

    class Meta:
        verbose_name = _("rule of a schedule")
        verbose_name_plural = _("rules of schedules")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(name="schedule_rule_once", fields=["schedule", "code"]),
            models.CheckConstraint(name="schedule_rule_gives_credits", condition=Q(amount__gt=0, amount__lte=CEILING)),
            models.CheckConstraint(name="schedule_rule_period_known", condition=Q(every__in=Every.values)),
            models.CheckConstraint(name="schedule_rule_catch_up_known", condition=Q(catch_up__in=CatchUp.values)),
        ]

    def __str__(self) -> str:
        return self.code


class PeriodState(models.TextChoices):
    DUE = "due", _("due")
    GRANTED = "granted", _("granted")
    FULL = "full", _("nothing to fill up")  # the roll-over cap was reached
    SKIPPED = "skipped", _("skipped")  # missed, and the rule does not catch up
    REVOKED = "revoked", _("revoked")


class PeriodQuerySet(models.QuerySet["GrantPeriod"]):
    def due(self, at: datetime) -> Self:
        return self.filter(state=PeriodState.DUE, starts_at__lte=at)


class GrantPeriod(models.Model):
    """One time that a rule gives: once for each schedule, rule and number, whoever looks for due rows and how often."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    schedule = models.ForeignKey(GrantSchedule, models.PROTECT, related_name="periods", db_index=False)
    rule = models.CharField(_("rule"), max_length=60)
    number = models.IntegerField(_("number"))
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    amount = models.BigIntegerField(_("amount"))
    unit = models.CharField(_("unit"), max_length=12)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    rollover_cap = models.BigIntegerField(_("roll-over cap"), null=True, blank=True)
    catch_up = models.CharField(_("missed periods"), max_length=4, choices=CatchUp)
    state = models.CharField(_("state"), max_length=7, choices=PeriodState, default=PeriodState.DUE, db_default="due")
    grant = models.OneToOneField(
        Grant, models.PROTECT, null=True, blank=True, related_name="period", verbose_name=_("grant")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    objects = PeriodQuerySet.as_manager()

    class Meta:
        verbose_name = _("grant period")
        verbose_name_plural = _("grant periods")
        default_permissions = ("view",)
        ordering = ["starts_at"]
        constraints = [
            models.UniqueConstraint(name="period_once_per_rule", fields=["schedule", "rule", "number"]),
            models.CheckConstraint(name="period_state_known", condition=Q(state__in=PeriodState.values)),
            models.CheckConstraint(name="period_gives_credits", condition=Q(amount__gt=0, amount__lte=CEILING)),
            models.CheckConstraint(name="period_lasts", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(
                name="period_decided_when_it_is_not_due",
                condition=Q(state=PeriodState.DUE, decided_at__isnull=True)
                | (~Q(state=PeriodState.DUE) & Q(decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="period_granted_has_its_grant",
                condition=Q(state__in=[PeriodState.GRANTED, PeriodState.REVOKED], grant__isnull=False)
                | (~Q(state__in=[PeriodState.GRANTED, PeriodState.REVOKED]) & Q(grant__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(name="due_period_by_start", fields=["starts_at"], condition=Q(state=PeriodState.DUE)),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.number}"
