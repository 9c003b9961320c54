"""Withdrawals: a seller's wish for their money, where it is to go, and every step on the way."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _

from ledger.ids import uuid7
from ledger.models import Entry
from ledger.money import LARGEST_MINOR, Money, for_reader
from wallets.models.wallets import Seller, Wallet


class DestinationKind(models.TextChoices):
    PAYPAL = "paypal", _("PayPal")
    MOBILE_MONEY = "mobile_money", _("mobile money")
    STRIPE = "stripe", _("Stripe account")


class Destination(models.Model):
    """Where a seller's money can go. A second one counts only after some time, so that a thief is noticed first."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    seller = models.ForeignKey(
        Seller, models.PROTECT, related_name="destinations", db_index=False, verbose_name=_("seller")
    )
    kind = models.CharField(_("kind"), max_length=12, choices=DestinationKind)
    value = models.CharField(_("address, number or account"), max_length=254)
    operator = models.CharField(_("operator"), max_length=20, blank=True, default="", db_default="")
    usable_from = models.DateTimeField(_("usable from"))
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("destination")
        verbose_name_plural = _("destinations")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(name="destination_once_per_seller", fields=["seller", "kind", "value", "operator"]),
            models.CheckConstraint(name="destination_kind_known", condition=Q(kind__in=DestinationKind.values)),
            models.CheckConstraint(
                name="destination_number_has_an_operator",
                condition=(Q(kind=DestinationKind.MOBILE_MONEY) & ~Q(operator=""))
                | (~Q(kind=DestinationKind.MOBILE_MONEY) & Q(operator="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operator} {self.value}".strip()


class WithdrawalStatus(models.TextChoices):
    REQUESTED = "requested", _("waits for approval")
    APPROVED = "approved", _("approved")
    SENDING = "sending", _("being sent")
    UNCERTAIN = "uncertain", _("uncertain")
    PAID = "paid", _("paid")
    RETURNED = "returned", _("came back")  # paid, and then sent back to us
    FAILED = "failed", _("failed")
    REJECTED = "rejected", _("rejected")
    CANCELLED = "cancelled", _("cancelled")


OPEN = (
    WithdrawalStatus.REQUESTED,
    WithdrawalStatus.APPROVED,
    WithdrawalStatus.SENDING,
    WithdrawalStatus.UNCERTAIN,
)
# The order of "what needs me?": to approve, then what nobody is sure of, then the rest.
FIRST = (WithdrawalStatus.REQUESTED, WithdrawalStatus.UNCERTAIN, WithdrawalStatus.SENDING, WithdrawalStatus.APPROVED)
BOOKED = (WithdrawalStatus.PAID, WithdrawalStatus.RETURNED)


def urgency() -> Case:
    """What operators' lists are ordered by; the table has an index in this very order."""
    ranks = [When(status=status, then=Value(rank)) for rank, status in enumerate(FIRST)]
    return Case(*ranks, default=Value(len(FIRST)), output_field=models.SmallIntegerField())


class WithdrawalQuerySet(models.QuerySet["Withdrawal"]):
    def of(self, user: User) -> Self:
        return self.filter(wallet__seller__user=user)

    def open(self) -> Self:
        return self.filter(status__in=OPEN)

    def to_approve(self) -> Self:
        return self.filter(status=WithdrawalStatus.REQUESTED)

    def to_send(self, at: datetime) -> Self:
        """Approved ones whose destination may be used, the oldest first: what the payout sweep sends."""
        return self.filter(status=WithdrawalStatus.APPROVED, not_before__lte=at).order_by("id")

    def to_ask(self) -> Self:
        """Those of which nobody knows yet whether they were paid: what the payout sweep asks about."""
        return self.filter(status__in=[WithdrawalStatus.SENDING, WithdrawalStatus.UNCERTAIN]).order_by("id")


class Withdrawal(models.Model):
    """The amount is held at birth, under the key `withdrawal:<id>:hold`; only the status moves, by compare and set."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(
        Wallet, models.PROTECT, related_name="withdrawals", db_index=False, verbose_name=_("wallet")
    )
    key = models.CharField(max_length=255, unique=True, editable=False)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    fee_minor = models.BigIntegerField(_("fee in minor units"), default=0)
    destination = models.ForeignKey(
        Destination, models.PROTECT, related_name="withdrawals", db_index=False, verbose_name=_("destination")
    )
    status = models.CharField(_("status"), max_length=9, choices=WithdrawalStatus, default=WithdrawalStatus.REQUESTED)
    not_before = models.DateTimeField(_("not before"))
    needs_two = models.BooleanField(_("needs two people"), default=False)
    first_approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("first approved by"),
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("approved by"),
    )
    is_automatic = models.BooleanField(_("approved automatically"), default=False)
    reason = models.CharField(_("reason"), max_length=300, blank=True, default="", db_default="")
    gateway = models.CharField(_("gateway"), max_length=30, blank=True, default="", db_default="")
    gateway_reference = models.CharField(
        _("reference at the gateway"), max_length=200, blank=True, default="", db_default=""
    )
    entry = models.ForeignKey(
        Entry, models.PROTECT, null=True, blank=True, related_name="+", db_constraint=False, db_index=False
    )
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    objects = WithdrawalQuerySet.as_manager()

    # Set by `withdrawals.request`: true on what an earlier call with the same key had asked for.
    is_replay = False

    class Meta:
        verbose_name = _("withdrawal")
        verbose_name_plural = _("withdrawals")
        default_permissions = ("view",)
        permissions = [
            ("request_withdrawal", "Can request withdrawals for sellers"),
            ("approve_withdrawal", "Can approve and reject withdrawals"),
            ("export_withdrawal", "Can download withdrawals"),
        ]
        constraints = [
            models.CheckConstraint(
                name="withdrawal_pays_more_than_its_fee",
                condition=Q(amount_minor__lte=LARGEST_MINOR, fee_minor__gte=0, amount_minor__gt=F("fee_minor")),
            ),
            models.CheckConstraint(name="withdrawal_status_known", condition=Q(status__in=WithdrawalStatus.values)),
            models.CheckConstraint(
                name="withdrawal_is_paid_with_an_entry",
                condition=Q(status__in=BOOKED, entry__isnull=False) | (~Q(status__in=BOOKED) & Q(entry__isnull=True)),
            ),
            models.CheckConstraint(
                name="withdrawal_is_over_when_resolved",
                condition=Q(status__in=OPEN, resolved_at__isnull=True)
                | (~Q(status__in=OPEN) & Q(resolved_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="withdrawal_needs_different_people",
                condition=Q(first_approved_by__isnull=True)
                | Q(approved_by__isnull=True)
                | ~Q(first_approved_by=F("approved_by")),
            ),
            models.CheckConstraint(
                name="large_withdrawal_is_approved_by_two",
                condition=Q(needs_two=False)
                | ~Q(status__in=["approved", "sending", "uncertain", "paid", "returned"])
                | Q(first_approved_by__isnull=False, approved_by__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="withdrawal_by_wallet", fields=["wallet", "id"]),
            models.Index(urgency(), F("id").desc(), name="withdrawal_by_urgency"),
            models.Index(name="open_withdrawal", fields=["status", "id"], condition=Q(status__in=OPEN)),
        ]

    def __str__(self) -> str:
        return for_reader(self.amount)

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.wallet.currency)

    @property
    def fee(self) -> Money:
        return Money(self.fee_minor, self.wallet.currency)

    @property
    def payout(self) -> Money:
        """What arrives: what the gateway is asked to pay."""
        return self.amount - self.fee

    @property
    def hold_key(self) -> str:
        return f"withdrawal:{self.pk}:hold"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class WithdrawalStep(models.Model):
    """What became of a withdrawal, when and by whom. Written once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    withdrawal = models.ForeignKey(Withdrawal, models.PROTECT, related_name="steps", verbose_name=_("withdrawal"))
    status = models.CharField(_("status"), max_length=9, choices=WithdrawalStatus)
    note = models.CharField(_("note"), max_length=300, blank=True, default="", db_default="")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("by"),
    )
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("step of a withdrawal")
        verbose_name_plural = _("steps of withdrawals")
        default_permissions = ("view",)
        ordering = ["id"]

    def __str__(self) -> str:
        return str(self.get_status_display())
