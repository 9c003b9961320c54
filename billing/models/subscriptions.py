"""Subscriptions: who has which plan until when, what was paid for it, and everything that happened to it."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing.models.payments import Payment
from billing.models.plans import PlanPrice
from ledger.ids import uuid7


class SubscriptionStatus(models.TextChoices):
    INCOMPLETE = "incomplete", _("not paid yet")
    TRIALING = "trialing", _("on trial")
    ACTIVE = "active", pgettext_lazy("subscription", "active")
    PAST_DUE = "past_due", _("past due")
    PAUSED = "paused", _("paused")
    CANCELLED = "cancelled", pgettext_lazy("subscription", "cancelled")
    EXPIRED = "expired", _("lapsed")


LIVE = (
    SubscriptionStatus.INCOMPLETE,
    SubscriptionStatus.TRIALING,
    SubscriptionStatus.ACTIVE,
    SubscriptionStatus.PAST_DUE,
    SubscriptionStatus.PAUSED,
)
IN_FORCE = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)
LOOKED_AT = (SubscriptionStatus.INCOMPLETE, *IN_FORCE)  # of the first, whether the page was paid on
OVER = (SubscriptionStatus.CANCELLED, SubscriptionStatus.EXPIRED)


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def of(self, user: User) -> Self:
        return self.filter(user=user).select_related("price__plan", "next_price__plan", "user")

    def live(self) -> Self:
        return self.filter(status__in=LIVE)

    def to_look_at(self, now: datetime) -> Self:
        """Those of which something is due: a reminder, a payment, or the word that it is past due or has begun."""
        return self.filter(status__in=LOOKED_AT, next_look_at__lte=now)

    def to_end(self, now: datetime) -> Self:
        return self.filter(status__in=IN_FORCE, lapses_at__lte=now)


class Subscription(models.Model):
    """Paid periods follow one another from the anchor, by the calendar of the customer's zone.

    What is paid for is until `paid_until`; what is given for it, the grant calendar says by the same date.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="subscriptions", verbose_name=_("customer")
    )
    catalogue = models.CharField(_("catalogue"), max_length=60)
    price = models.ForeignKey(PlanPrice, models.PROTECT, related_name="subscriptions", verbose_name=_("price"))
    next_price = models.ForeignKey(
        PlanPrice, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("price from the next period")
    )
    status = models.CharField(
        _("status"), max_length=10, choices=SubscriptionStatus, default=SubscriptionStatus.INCOMPLETE
    )
    # Who renews: the gateway by itself where its id stands here, else we by asking for each period's payment.
    gateway = models.CharField(_("gateway"), max_length=20, blank=True)
    gateway_id = models.CharField(_("id at the gateway"), max_length=255, null=True, blank=True)  # noqa: DJ001 - unique
    gateway_session = models.CharField(max_length=255, blank=True, editable=False)
    gateway_item = models.CharField(max_length=255, blank=True, editable=False)
    phone = models.CharField(_("telephone"), max_length=20, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64)
    anchor_at = models.DateTimeField(_("anchor"), null=True, blank=True)
    periods = models.PositiveIntegerField(_("periods paid since the anchor"), default=0)
    period_start = models.DateTimeField(_("period from"), null=True, blank=True)
    paid_until = models.DateTimeField(_("paid until"), null=True, blank=True)
    trial_until = models.DateTimeField(_("trial until"), null=True, blank=True)
    cancel_at_period_end = models.BooleanField(_("ends with the period"), default=False)
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    end_reason = models.CharField(_("why it ended"), max_length=30, blank=True)
    tries = models.PositiveSmallIntegerField(_("payments tried for the next period"), default=0)
    reminders = models.PositiveSmallIntegerField(_("reminders of the next period"), default=0)
    lapses_at = models.DateTimeField(_("ends unless paid"), null=True, blank=True)
    next_look_at = models.DateTimeField(_("looked at next"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        default_permissions = ("view",)
        permissions = [
            ("manage_subscription", "Can change, pause, cancel, resume and extend subscriptions"),
            ("subscribe_customer", "Can subscribe customers"),
        ]
        constraints = [
            models.CheckConstraint(name="subscription_status_known", condition=Q(status__in=SubscriptionStatus.values)),
            models.UniqueConstraint(
                name="subscription_live_once_per_catalogue", fields=["user", "catalogue"], condition=Q(status__in=LIVE)
            ),
            models.UniqueConstraint(
                name="subscription_once_per_gateway_id",
                fields=["gateway", "gateway_id"],
                condition=Q(gateway_id__isnull=False),
            ),
            models.CheckConstraint(
                name="subscription_over_has_its_end",
                condition=Q(status__in=OVER, ended_at__isnull=False) | (~Q(status__in=OVER) & Q(ended_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="subscription_in_force_is_paid_until",
                condition=~Q(status__in=IN_FORCE) | Q(paid_until__isnull=False, period_start__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="subscription_to_end", fields=["lapses_at"], condition=Q(status__in=IN_FORCE)),
            models.Index(name="subscription_to_look_at", fields=["next_look_at"], condition=Q(status__in=LOOKED_AT)),
        ]

    def __str__(self) -> str:
        return f"{self.price.plan.code} {self.id}"

    @property
    def reference(self) -> str:
        """Of its grants in the calendar."""
        return f"subscription:{self.pk}"

    @property
    def is_renewed_by_gateway(self) -> bool:
        return self.gateway_id is not None


class PaidPeriod(models.Model):
    """One period that was paid for: once for each payment or invoice, whoever tells of it and how often."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="paid_periods")
    key = models.CharField(max_length=300, unique=True, db_collation="C")  # `payment:<id>` or `stripe:<invoice>`
    price = models.ForeignKey(PlanPrice, models.PROTECT, related_name="+", verbose_name=_("price"))
    payment = models.ForeignKey(
        Payment, models.PROTECT, related_name="paid_periods", null=True, blank=True, verbose_name=_("payment")
    )
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("paid period")
        verbose_name_plural = _("paid periods")
        default_permissions = ("view",)
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(name="paid_period_lasts", condition=Q(ends_at__gt=F("starts_at"))),
            models.CheckConstraint(name="paid_period_amount_not_negative", condition=Q(amount_minor__gte=0)),
        ]

    def __str__(self) -> str:
        return self.key


class SubscriptionEvent(models.Model):
    """A line of a subscription's timeline; never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="timeline")
    act = models.CharField(_("what happened"), max_length=40)
    status = models.CharField(_("status afterwards"), max_length=10, choices=SubscriptionStatus)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    facts = models.JSONField(_("facts"), default=dict, encoder=DjangoJSONEncoder)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("at"), auto_now_add=True)

    class Meta:
        verbose_name = _("event of a subscription")
        verbose_name_plural = _("events of subscriptions")
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return self.act
