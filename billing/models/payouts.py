"""A withdrawal at its gateway: which one was chosen, what was sent when, and what it said last."""

from typing import Self

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from wallets.models import Withdrawal, WithdrawalStatus


class PayoutQuerySet(models.QuerySet["Payout"]):
    def whole(self) -> Self:
        return self.select_related("withdrawal__wallet__seller__user", "withdrawal__destination")

    def to_ask(self) -> Self:
        """All but those that are to be sent: a letter may also be about what is over."""
        waiting = [WithdrawalStatus.REQUESTED, WithdrawalStatus.APPROVED]
        return self.filter(sends__gt=0).exclude(withdrawal__status__in=waiting)


class Payout(models.Model):
    """One for each withdrawal that was ever brought to a gateway. How the withdrawal stands, it says itself; its id is
    our reference there, however often it is sent."""

    withdrawal = models.OneToOneField(
        Withdrawal, models.PROTECT, primary_key=True, related_name="sent", verbose_name=_("withdrawal")
    )
    gateway = models.CharField(_("gateway"), max_length=20, blank=True, default="")  # none: nobody could take it yet
    # The gateway may know of it: from then on no other one is asked, whatever this one says.
    is_pinned = models.BooleanField(_("bound to its gateway"), default=False)
    choice = models.JSONField(_("choice of the gateway"), default=dict)
    state = models.CharField(_("state at the gateway"), max_length=20, blank=True, default="")
    gateway_ids = models.JSONField(_("ids at the gateway"), default=dict)
    failure_category = models.CharField(_("why it failed"), max_length=30, blank=True, default="")
    failure_code = models.CharField(_("its word for it"), max_length=100, blank=True, default="")
    last_reply = models.JSONField(_("last reply"), default=dict, encoder=DjangoJSONEncoder)
    fee_minor = models.BigIntegerField(_("fee in minor units"), null=True, blank=True)
    sends = models.PositiveIntegerField(_("times sent"), default=0)
    asks = models.PositiveIntegerField(_("times asked"), default=0)
    not_found = models.PositiveSmallIntegerField(default=0)  # times in a row that it was not known
    next_try_at = models.DateTimeField(_("tried next at"), null=True, blank=True)
    first_sent_at = models.DateTimeField(_("first sent at"), null=True, blank=True)
    sent_at = models.DateTimeField(_("last sent at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = PayoutQuerySet.as_manager()

    class Meta:
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        default_permissions = ("view",)
        permissions = [
            ("ask_payout", "Can ask a gateway about a payout"),
            ("resolve_payout", "Can say how a payout ended that its gateway does not know"),
        ]
        constraints = [
            models.CheckConstraint(
                name="payout_sent_has_a_gateway_and_its_times",
                condition=Q(sends=0, sent_at__isnull=True, first_sent_at__isnull=True)
                | Q(sends__gt=0, sent_at__isnull=False, first_sent_at__isnull=False) & ~Q(gateway=""),
            ),
            models.CheckConstraint(
                name="payout_fee_not_negative", condition=Q(fee_minor__isnull=True) | Q(fee_minor__gte=0)
            ),
        ]
        indexes = [
            models.Index(name="payout_to_try", fields=["next_try_at"], condition=Q(next_try_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.withdrawal_id}"

    @property
    def reference(self) -> str:
        return self.withdrawal.pk.hex
