"""The inbox: what gateways wrote to us, each thing once, and what became of it."""

from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ledger.ids import uuid7


class LetterState(models.TextChoices):
    PENDING = "pending", _("to be read")
    DONE = "done", _("done")
    IGNORED = "ignored", _("not for us")
    UNKNOWN = "unknown", _("about nothing we know")
    DEAD = "dead", _("given up")


TO_LOOK_AT = [LetterState.DEAD.value, LetterState.UNKNOWN.value]


class LetterQuerySet(models.QuerySet["GatewayLetter"]):
    def to_look_at(self) -> Self:
        return self.filter(state__in=TO_LOOK_AT)


# What nobody has to look at any more.
OVER = [LetterState.DONE.value, LetterState.IGNORED.value]


class GatewayLetter(models.Model):
    """One event of a gateway. It says where to look; what is true, the gateway is asked."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    gateway = models.CharField(_("gateway"), max_length=20)
    event_id = models.CharField(_("id of the event"), max_length=255)
    kind = models.CharField(_("kind"), max_length=100)
    subject = models.CharField(_("about"), max_length=12)
    trust = models.CharField(_("trust"), max_length=13)
    token = models.CharField(_("token"), max_length=64, blank=True, db_default="")
    reference = models.CharField(_("our reference"), max_length=64, blank=True, db_default="")
    ids = models.JSONField(_("ids at the gateway"), default=dict, db_default={})
    facts = models.JSONField(_("what it carries"), default=dict, db_default={}, encoder=DjangoJSONEncoder)
    amount_minor = models.BigIntegerField(_("amount in minor units"), null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=12, blank=True, db_default="")
    occurred_at = models.DateTimeField(_("occurred at"), null=True, blank=True)
    state = models.CharField(
        _("state"), max_length=7, choices=LetterState, default=LetterState.PENDING, db_default="pending"
    )
    tries = models.PositiveSmallIntegerField(_("times tried"), default=0, db_default=0)
    next_try_at = models.DateTimeField(_("tried next at"), db_default=models.functions.Now())
    error = models.CharField(_("last error"), max_length=500, blank=True, db_default="")
    received_at = models.DateTimeField(_("received at"), db_default=models.functions.Now())
    handled_at = models.DateTimeField(_("handled at"), null=True, blank=True)
    # When the mirror looks at it, if it is Stripe's; nothing: it is mirrored, or given up with the error.
    mirror_at = models.DateTimeField(_("mirrored next at"), null=True, blank=True, db_default=models.functions.Now())
    mirror_tries = models.PositiveSmallIntegerField(_("times mirrored"), default=0, db_default=0)
    mirror_error = models.CharField(_("last error of the mirror"), max_length=300, blank=True, db_default="")

    objects = LetterQuerySet.as_manager()

    class Meta:
        verbose_name = _("gateway event")
        verbose_name_plural = _("gateway events")
        default_permissions = ("view",)
        permissions = [("replay_gatewayletter", "Can replay gateway events")]
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(name="gateway_letter_stored_once", fields=["gateway", "event_id"]),
            models.CheckConstraint(name="gateway_letter_state_known", condition=Q(state__in=LetterState.values)),
            models.CheckConstraint(
                name="gateway_letter_amount_has_a_currency",
                condition=Q(amount_minor__isnull=True, currency="") | (Q(amount_minor__isnull=False) & ~Q(currency="")),
            ),
        ]
        indexes = [
            models.Index(name="gateway_letter_to_read", fields=["next_try_at"], condition=Q(state="pending")),
            # What comes in is neither, and waits for no index of them.
            models.Index(name="gateway_letter_to_look_at", fields=["-id"], condition=Q(state__in=TO_LOOK_AT)),
            # Of what is over only: a letter that comes in does not wait for an index of what is forgotten in a month.
            models.Index(name="gateway_letter_to_forget", fields=["received_at"], condition=Q(state__in=OVER)),
            models.Index(name="gateway_letter_unknown", fields=["received_at"], condition=Q(state="unknown")),
            models.Index(
                name="gateway_letter_to_mirror",
                fields=["mirror_at"],
                condition=Q(gateway="stripe", mirror_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.kind} {self.event_id}"
