"""Automatic top-ups: what a customer agreed to, in their words' wording, and the charges that came of it."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.gateways import CEILING, CURRENCY
from billing.models.payments import Payment
from billing.models.saved_methods import SavedMethod
from credits.models import Pack
from ledger.ids import uuid7


class Suspension(models.TextChoices):
    """Why it has stopped by itself."""

    CARD_DECLINED = "card_declined", _("card declined")
    CARD_REMOVED = "card_removed", _("card removed")
    PRICE_ROSE = "price_rose", _("price higher than agreed")
    NOT_SOLD = "not_sold", _("pack no longer sold")
    BRINGS_LESS = "brings_less", _("pack brings fewer credits than agreed")
    DISPUTED = "disputed", _("payment disputed")
    REFUNDED = "refunded", _("payment refunded")
    TAKEN_BACK = "taken_back", _("credits taken back by hand")


ANOTHER_CARD_MENDS = (Suspension.CARD_DECLINED, Suspension.CARD_REMOVED)  # and all others another consent


class TopUpQuerySet(models.QuerySet["TopUp"]):
    def agreed(self) -> Self:
        return self.filter(withdrawn_at__isnull=True)

    def running(self) -> Self:
        return self.agreed().filter(suspended_at__isnull=True)


class TopUp(models.Model):
    """One consent: to which charges, in which words, when. Other terms are another consent, and another row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="top_ups", verbose_name=_("customer")
    )
    pack = models.ForeignKey(Pack, models.PROTECT, related_name="+", verbose_name=_("pack"))
    currency = models.CharField(_("currency"), max_length=3)
    price_minor = models.BigIntegerField(_("agreed price in minor units"))  # a higher one needs another consent
    credits = models.BigIntegerField(_("agreed credits"), db_default=0)  # fewer for that price need another consent
    threshold = models.BigIntegerField(_("threshold"))  # fewer credits than this, and the pack is bought
    monthly_cap_minor = models.BigIntegerField(_("monthly cap in minor units"))  # per calendar month, UTC
    consent = models.TextField(_("wording of the consent"))  # as the customer read it
    consent_by = models.CharField(_("consent given through"), max_length=300)
    consented_at = models.DateTimeField(_("consented at"))
    withdrawn_at = models.DateTimeField(_("withdrawn at"), null=True, blank=True)
    withdrawn_by = models.CharField(_("withdrawn through"), max_length=300, blank=True)
    declines = models.PositiveSmallIntegerField(_("declines in a row"), default=0, db_default=0)
    suspended_at = models.DateTimeField(_("suspended at"), null=True, blank=True)
    suspended_for = models.CharField(_("suspended because"), max_length=13, choices=Suspension, blank=True)
    next_try_at = models.DateTimeField(_("not before"), null=True, blank=True)

    objects = TopUpQuerySet.as_manager()

    class Meta:
        verbose_name = _("automatic top-up")
        verbose_name_plural = _("automatic top-ups")
        default_permissions = ("view",)
        permissions = [("change_consent", "Can switch automatic top-ups on and off for customers")]
        constraints = [
            models.UniqueConstraint(
                name="top_up_one_consent_per_customer", fields=["user"], condition=Q(withdrawn_at__isnull=True)
            ),
            models.CheckConstraint(name="top_up_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(
                name="top_up_price_positive", condition=Q(price_minor__gt=0, price_minor__lte=CEILING)
            ),
            models.CheckConstraint(name="top_up_threshold_positive", condition=Q(threshold__gt=0)),
            models.CheckConstraint(
                name="top_up_cap_allows_one",
                condition=Q(monthly_cap_minor__gte=F("price_minor"), monthly_cap_minor__lte=CEILING),
            ),
            models.CheckConstraint(name="top_up_consent_has_its_words", condition=~Q(consent="")),
            models.CheckConstraint(
                name="top_up_suspension_has_its_reason",
                condition=Q(suspended_at__isnull=True, suspended_for="")
                | Q(suspended_at__isnull=False, suspended_for__in=Suspension.values),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pack_id} {self.currency} < {self.threshold}"


class TopUpCharge(models.Model):
    """One payment that nobody clicked for. It is in flight until its payment is over and that has been noticed."""

    payment = models.OneToOneField(
        Payment, models.PROTECT, primary_key=True, related_name="top_up_charge", verbose_name=_("payment")
    )
    top_up = models.ForeignKey(TopUp, models.PROTECT, related_name="charges", verbose_name=_("automatic top-up"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="top_up_charges", verbose_name=_("customer")
    )
    method = models.ForeignKey(SavedMethod, models.PROTECT, related_name="+", verbose_name=_("saved method"))
    started_at = models.DateTimeField(_("started at"))
    settled_at = models.DateTimeField(_("settled at"), null=True, blank=True)

    class Meta:
        verbose_name = _("top-up charge")
        verbose_name_plural = _("top-up charges")
        default_permissions = ("view",)
        constraints = [
            # However many spends cross the threshold at once, and whichever consent they look at.
            models.UniqueConstraint(
                name="top_up_charge_one_in_flight", fields=["user"], condition=Q(settled_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return str(self.payment_id)
