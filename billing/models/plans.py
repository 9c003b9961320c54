"""Plans: what somebody can subscribe to, what it costs by currency and interval, and what it entitles to.

A price is a version with a date. A trigger refuses to change it, so that a subscription keeps the price it agreed to.
"""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.gateways import CEILING, CURRENCY
from credits.models.catalogue import CODE, code_validator, in_our_language
from ledger.money import Money, for_reader

UNLIMITED = "unlimited"


class PlanInterval(models.TextChoices):
    WEEK = "week", _("week")
    MONTH = "month", _("month")
    YEAR = "year", _("year")

    @property
    def months(self) -> int:
        """None in a week, which is no part of a month."""
        return {"month": 1, "year": 12}.get(self.value, 0)


class PlanQuerySet(models.QuerySet["Plan"]):
    def on_sale(self) -> Self:
        return self.filter(is_active=True)


class Plan(models.Model):
    """The code is what callers say; a plan that left its catalogue stays, and whoever has it keeps it."""

    code = models.CharField(_("code"), max_length=60, unique=True, validators=[code_validator])
    catalogue = models.CharField(_("catalogue"), max_length=60, db_index=True, validators=[code_validator])
    name_en = models.CharField(_("name (English)"), max_length=100)
    name_fr = models.CharField(_("name (French)"), max_length=100, blank=True)
    description_en = models.CharField(_("description (English)"), max_length=300, blank=True)
    description_fr = models.CharField(_("description (French)"), max_length=300, blank=True)
    features = models.JSONField(_("features"), default=list, blank=True)  # of {en, fr}
    # By name: a whole number is a limit, true or false a flag, and "unlimited" is what it says.
    entitlements = models.JSONField(_("entitlements"), default=dict, blank=True)
    grant_rules = models.JSONField(_("grant rules"), default=list, blank=True)  # codes of credits.GrantRule
    unit = models.CharField(_("unit"), max_length=12, default="CREDIT")
    is_unlimited = models.BooleanField(_("unlimited credits"), default=False)
    fair_use_per_month = models.BigIntegerField(_("fair use per month"), null=True, blank=True)
    trial_days = models.PositiveIntegerField(_("trial (days)"), default=0)
    position = models.PositiveIntegerField(_("position"), default=0)
    is_active = models.BooleanField(_("on sale"), default=True)

    objects = PlanQuerySet.as_manager()

    class Meta:
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        ordering = ["catalogue", "position", "code"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(name="plan_code_is_plain", condition=Q(code__regex=CODE)),
            models.CheckConstraint(name="plan_has_a_name", condition=~Q(name_en="")),
            models.CheckConstraint(
                name="plan_fair_use_limits_the_unlimited",
                condition=Q(fair_use_per_month__isnull=True) | Q(is_unlimited=True, fair_use_per_month__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def name(self) -> str:
        return in_our_language(self.name_en, self.name_fr)

    @property
    def description(self) -> str:
        return in_our_language(self.description_en, self.description_fr)


class PlanPriceQuerySet(models.QuerySet["PlanPrice"]):
    def valid_at(self, moment: datetime) -> Self:
        """One version for each plan, interval and currency, withdrawn ones included: ask `is_active`."""
        key = ("plan_id", "interval", "currency")
        return self.filter(valid_from__lte=moment).order_by(*key, "-valid_from").distinct(*key)


class PlanPrice(models.Model):
    """What a plan costs for an interval from an instant on, until the next version. Inactive: not sold any more."""

    plan = models.ForeignKey(Plan, models.PROTECT, related_name="prices", verbose_name=_("plan"))
    interval = models.CharField(_("interval"), max_length=5, choices=PlanInterval)
    currency = models.CharField(_("currency"), max_length=3)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    valid_from = models.DateTimeField(_("valid from"))
    is_active = models.BooleanField(_("sold at this price"), default=True)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)

    objects = PlanPriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("plan price")
        verbose_name_plural = _("plan prices")
        ordering = ["plan", "interval", "currency", "-valid_from"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                name="plan_price_once_per_instant", fields=["plan", "interval", "currency", "valid_from"]
            ),
            models.CheckConstraint(name="plan_price_interval_known", condition=Q(interval__in=PlanInterval.values)),
            models.CheckConstraint(name="plan_price_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(
                name="plan_price_positive", condition=Q(amount_minor__gt=0, amount_minor__lte=CEILING)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan.code}: {for_reader(self.money)} / {self.get_interval_display()}"

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)


class GatewayPrice(models.Model):
    """What a gateway that renews by itself calls a price of ours."""

    price = models.ForeignKey(PlanPrice, models.PROTECT, related_name="at_gateways")
    gateway = models.CharField(_("gateway"), max_length=20)
    gateway_id = models.CharField(_("id at the gateway"), max_length=255)

    class Meta:
        verbose_name = _("price at a gateway")
        verbose_name_plural = _("prices at gateways")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(name="gateway_price_once_per_gateway", fields=["price", "gateway"]),
            models.UniqueConstraint(name="gateway_price_is_one_price", fields=["gateway", "gateway_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.gateway_id}"
