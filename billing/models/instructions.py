"""Instructions to the gateway that renews a plan: written down before it hears of them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.plans import PlanPrice
from billing.models.subscriptions import Subscription
from ledger.ids import uuid7


class InstructionKind(models.TextChoices):
    END_NOW = "end_now", _("end it now")
    END_LATER = "end_later", _("end it with its period")
    KEEP = "keep", _("do not end it after all")
    PAUSE = "pause", _("pause it")
    RESUME = "resume", _("go on after a pause")
    NEXT_PRICE = "next_price", _("another price from the next period")
    CHANGE_NOW = "change_now", _("a dearer plan at once, for the difference")


OF_A_PRICE = (InstructionKind.NEXT_PRICE, InstructionKind.CHANGE_NOW)


class InstructionState(models.TextChoices):
    OPEN = "open", _("not known to be done")
    DONE = "done", _("done")
    REFUSED = "refused", _("refused")


class GatewayInstruction(models.Model):
    """Its id is the reference at the gateway, so that however often it is sent it is one act."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="instructions")
    kind = models.CharField(_("what is to be done"), max_length=10, choices=InstructionKind)
    price = models.ForeignKey(
        PlanPrice, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("price")
    )
    state = models.CharField(_("state"), max_length=7, choices=InstructionState, default=InstructionState.OPEN)
    prorated_at = models.DateTimeField(_("charged as at"), null=True, blank=True)  # the instant of its preview
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("by")
    )
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    failure_code = models.CharField(_("word of the refusal"), max_length=100, blank=True)
    next_ask_at = models.DateTimeField(_("asked next at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("instruction to a gateway")
        verbose_name_plural = _("instructions to gateways")
        default_permissions = ("view",)
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(name="instruction_kind_known", condition=Q(kind__in=InstructionKind.values)),
            models.CheckConstraint(
                name="instruction_closed_has_its_end",
                condition=Q(state=InstructionState.OPEN, closed_at__isnull=True)
                | Q(state__in=[InstructionState.DONE, InstructionState.REFUSED], closed_at__isnull=False),
            ),
            models.CheckConstraint(
                name="instruction_change_has_its_price",
                condition=Q(kind__in=OF_A_PRICE, price__isnull=False)
                | (~Q(kind__in=OF_A_PRICE) & Q(price__isnull=True)),
            ),
            models.CheckConstraint(
                name="instruction_change_now_has_its_instant",
                condition=Q(kind=InstructionKind.CHANGE_NOW, prorated_at__isnull=False)
                | (~Q(kind=InstructionKind.CHANGE_NOW) & Q(prorated_at__isnull=True)),
            ),
            models.UniqueConstraint(
                name="instruction_open_once_per_subscription",
                fields=["subscription"],
                condition=Q(state=InstructionState.OPEN),
            ),
        ]
        indexes = [
            models.Index(name="instruction_to_ask", fields=["next_ask_at"], condition=Q(state=InstructionState.OPEN))
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subscription_id}"
