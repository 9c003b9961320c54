"""Cards and wallets that gateways keep for customers, and the pages on which one is given to be saved."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ledger.ids import uuid7


class MethodQuerySet(models.QuerySet["SavedMethod"]):
    def of(self, user: User) -> Self:
        return self.kept().filter(user=user).order_by("-saved_at", "-id")

    def kept(self) -> Self:
        return self.filter(removed_at__isnull=True)

    def to_forget(self) -> Self:
        """Removed here, and their gateway has not heard of it yet."""
        return self.filter(removed_at__isnull=False, forgotten_at__isnull=True)


class SavedMethod(models.Model):
    """A card or wallet that a gateway keeps, since its owner asked for that; here is only its name."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="saved_methods", verbose_name=_("customer")
    )
    gateway = models.CharField(_("gateway"), max_length=20)
    gateway_id = models.CharField(_("id at the gateway"), max_length=255)
    kind = models.CharField(_("kind"), max_length=40, blank=True)
    brand = models.CharField(_("brand"), max_length=40, blank=True)
    last4 = models.CharField(_("last digits"), max_length=4, blank=True)
    expires = models.CharField(_("valid until"), max_length=7, blank=True)  # MM/YYYY
    saved_at = models.DateTimeField(_("saved at"), auto_now_add=True)
    # Charges point at it, so that it stays; from here on nothing is charged to it, and it is kept no more there either.
    removed_at = models.DateTimeField(_("removed at"), null=True, blank=True)
    forgotten_at = models.DateTimeField(_("forgotten by the gateway at"), null=True, blank=True)

    objects = MethodQuerySet.as_manager()

    class Meta:
        verbose_name = _("saved method")
        verbose_name_plural = _("saved methods")
        default_permissions = ("view",)
        permissions = [("manage_method", "Can add and remove the saved cards of customers")]
        constraints = [
            models.UniqueConstraint(name="saved_method_once", fields=["user", "gateway", "gateway_id"]),
            models.CheckConstraint(
                name="saved_method_removed_before_forgotten",
                condition=Q(forgotten_at__isnull=True) | Q(removed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.brand or self.kind or self.gateway} {self.last4}".strip()


class MethodSetupState(models.TextChoices):
    OPEN = "open", _("waits for the customer")
    SAVED = "saved", _("saved")
    FAILED = "failed", _("failed")
    EXPIRED = "expired", _("abandoned")


class MethodSetupQuerySet(models.QuerySet["MethodSetup"]):
    def due(self, now: datetime) -> Self:
        return self.filter(state=MethodSetupState.OPEN, next_ask_at__lte=now)


class MethodSetup(models.Model):
    """One page at a gateway on which a customer gives a card to be saved; nothing is charged there."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="method_setups", verbose_name=_("customer")
    )
    gateway = models.CharField(_("gateway"), max_length=20)
    gateway_ids = models.JSONField(_("ids at the gateway"), default=dict)
    state = models.CharField(_("state"), max_length=7, choices=MethodSetupState, default=MethodSetupState.OPEN)
    method = models.ForeignKey(
        SavedMethod, models.PROTECT, related_name="setups", null=True, blank=True, verbose_name=_("saved method")
    )
    next_action = models.JSONField(_("what the customer does next"), default=dict)
    success_url = models.URLField(_("success page"), max_length=1000, blank=True)
    cancel_url = models.URLField(_("cancel page"), max_length=1000, blank=True)
    failure_code = models.CharField(_("word of the refusal"), max_length=100, blank=True)
    asks = models.PositiveSmallIntegerField(_("times asked"), default=0)
    next_ask_at = models.DateTimeField(_("asked next at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = MethodSetupQuerySet.as_manager()

    class Meta:
        verbose_name = _("saving of a method")
        verbose_name_plural = _("savings of methods")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(name="method_setup_state_known", condition=Q(state__in=MethodSetupState.values)),
            models.CheckConstraint(
                name="method_setup_saved_has_its_method",
                condition=Q(state="saved", method__isnull=False) | (~Q(state="saved") & Q(method__isnull=True)),
            ),
            models.CheckConstraint(
                name="method_setup_over_has_its_end",
                condition=Q(state="open", ended_at__isnull=True) | (~Q(state="open") & Q(ended_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(name="method_setup_to_ask", fields=["next_ask_at"], condition=Q(state="open")),
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.id}"
