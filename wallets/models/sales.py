"""Sales and what was taken back of them. A sale keeps the split and the terms that it was made by."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from ledger.ids import uuid7
from ledger.models import Entry
from ledger.money import LARGEST_MINOR, Money
from wallets.models.rules import CommissionRule, SaleType, WhenWithdrawn
from wallets.models.wallets import Wallet


class SaleQuerySet(models.QuerySet["Sale"]):
    def of(self, user: User) -> Self:
        return self.filter(wallet__seller__user=user)

    def untouched(self) -> Self:
        """Those of which nothing is held at the moment: what is held waits for a gateway or a bank."""
        held = TakeBack.objects.filter(sale=OuterRef("pk"), state=TakeBackState.HELD)
        return self.filter(~Exists(held))

    def to_release(self, at: datetime) -> Self:
        return self.filter(released_at__isnull=True, releases_at__lte=at).untouched()

    def to_free(self, at: datetime) -> Self:
        """Those whose reserve has been kept for long enough."""
        return self.filter(reserved_minor__gt=0, reserved_until__lte=at).untouched()


class Sale(models.Model):
    """One line of a paid checkout: what the buyer paid, what we kept, and what is the seller's."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="sales", db_index=False, verbose_name=_("wallet"))
    payment_key = models.CharField(_("payment"), max_length=200, db_collation="C")
    number = models.SmallIntegerField(_("number"))
    type = models.ForeignKey(
        SaleType, models.PROTECT, related_name="sales", db_index=False, verbose_name=_("type of sale")
    )
    reference = models.CharField(_("reference"), max_length=200, blank=True, default="", db_default="")
    description = models.CharField(_("description"), max_length=300, blank=True, default="", db_default="")
    gateway = models.CharField(_("gateway"), max_length=30)
    price_minor = models.BigIntegerField(_("price in minor units"))
    commission_minor = models.BigIntegerField(_("commission in minor units"))
    net_minor = models.BigIntegerField(_("net in minor units"))
    rule = models.ForeignKey(
        CommissionRule,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="sales",
        db_index=False,
        verbose_name=_("commission rule"),
    )
    # The rule's terms on that day, and why it was this one.
    terms = models.JSONField(_("terms"), default=dict)
    choice = models.JSONField(_("choice of the rule"), default=dict)
    when_withdrawn = models.CharField(_("refund after a withdrawal"), max_length=8, choices=WhenWithdrawn)
    debt_limit_minor = models.BigIntegerField(_("debt limit in minor units"), default=0, db_default=0)
    entry = models.ForeignKey(
        Entry, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("entry")
    )
    releases_at = models.DateTimeField(_("clears at"))
    released_at = models.DateTimeField(_("cleared at"), null=True, blank=True)
    release_entry = models.ForeignKey(
        Entry, models.PROTECT, null=True, blank=True, related_name="+", db_constraint=False, db_index=False
    )
    # What is still in the reserve of what this sale brought.
    reserved_minor = models.BigIntegerField(_("in reserve"), default=0, db_default=0)
    reserved_until = models.DateTimeField(_("in reserve until"), null=True, blank=True)
    # What was taken back, or is held to be.
    taken_price_minor = models.BigIntegerField(_("taken back of the price"), default=0, db_default=0)
    taken_commission_minor = models.BigIntegerField(_("taken back of the commission"), default=0, db_default=0)
    taken_net_minor = models.BigIntegerField(_("taken back of the net"), default=0, db_default=0)
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    objects = SaleQuerySet.as_manager()

    # Set by `sales.record`: true on what an earlier call with the same key had recorded.
    is_replay = False

    class Meta:
        verbose_name = _("sale")
        verbose_name_plural = _("sales")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(name="sale_once_per_payment_and_line", fields=["payment_key", "number"]),
            models.CheckConstraint(
                name="sale_is_split_to_the_last_unit", condition=Q(price_minor=F("commission_minor") + F("net_minor"))
            ),
            models.CheckConstraint(
                name="sale_amounts_in_range",
                condition=Q(
                    price_minor__gt=0, price_minor__lte=LARGEST_MINOR, commission_minor__gte=0, net_minor__gte=0
                ),
            ),
            models.CheckConstraint(
                name="sale_gives_back_what_it_brought",
                condition=Q(
                    taken_commission_minor__gte=0,
                    taken_commission_minor__lte=F("commission_minor"),
                    taken_net_minor__gte=0,
                    taken_net_minor__lte=F("net_minor"),
                    taken_price_minor=F("taken_commission_minor") + F("taken_net_minor"),
                ),
            ),
            models.CheckConstraint(
                name="sale_reserve_is_a_part_of_what_cleared",
                condition=Q(reserved_minor=0)
                | Q(
                    reserved_minor__gt=0,
                    reserved_minor__lte=F("net_minor"),
                    released_at__isnull=False,
                    reserved_until__isnull=False,
                ),
            ),
            models.CheckConstraint(name="sale_policy_known", condition=Q(when_withdrawn__in=WhenWithdrawn.values)),
        ]
        indexes = [
            models.Index(name="sale_by_wallet", fields=["wallet", "id"]),
            models.Index(name="sale_to_release", fields=["releases_at"], condition=Q(released_at__isnull=True)),
            models.Index(name="sale_by_release", fields=["release_entry"], condition=Q(release_entry__isnull=False)),
            models.Index(name="sale_to_free", fields=["reserved_until"], condition=Q(reserved_minor__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.type_id} {self.reference or self.pk}"

    @property
    def currency(self) -> str:
        return self.wallet.currency

    @property
    def left(self) -> Money:
        """What of the price can still be taken back."""
        return Money(self.price_minor - self.taken_price_minor, self.currency)


class TakeBackKind(models.TextChoices):
    REFUND = "refund", _("refund")
    DISPUTE = "dispute", _("dispute")


class TakeBackState(models.TextChoices):
    HELD = "held", _("held")
    SETTLED = "settled", _("settled")
    VOIDED = "voided", _("given back")


class TakeBack(models.Model):
    """Something of a sale that goes back to the buyer: held while a gateway or a bank decides, then settled or voided.

    Its parts say where the seller's share comes from: what has not cleared, the reserve, the available money, a debt,
    or ourselves.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    sale = models.ForeignKey(Sale, models.PROTECT, related_name="take_backs", verbose_name=_("sale"))
    key = models.CharField(max_length=200, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=7, choices=TakeBackKind)
    state = models.CharField(_("state"), max_length=7, choices=TakeBackState, default=TakeBackState.HELD)
    reason = models.CharField(_("reason"), max_length=300, blank=True, default="", db_default="")
    price_minor = models.BigIntegerField(_("price in minor units"))
    commission_minor = models.BigIntegerField(_("commission in minor units"))
    net_minor = models.BigIntegerField(_("net in minor units"))
    pending_minor = models.BigIntegerField(_("from what had not cleared"), default=0)
    reserve_minor = models.BigIntegerField(_("from the reserve"), default=0)
    available_minor = models.BigIntegerField(_("from the available"), default=0)
    debt_minor = models.BigIntegerField(_("owed by the seller"), default=0)
    cost_minor = models.BigIntegerField(_("borne by us"), default=0)
    entry = models.ForeignKey(
        Entry, models.PROTECT, null=True, blank=True, related_name="+", db_constraint=False, db_index=False
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("by"),
    )
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    is_replay = False

    class Meta:
        verbose_name = _("taking back")
        verbose_name_plural = _("takings back")
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                name="take_back_is_split_to_the_last_unit",
                condition=Q(price_minor=F("commission_minor") + F("net_minor"), price_minor__gt=0)
                & Q(commission_minor__gte=0, net_minor__gte=0),
            ),
            models.CheckConstraint(
                name="take_back_has_its_net_from_somewhere",
                condition=Q(
                    net_minor=F("pending_minor")
                    + F("reserve_minor")
                    + F("available_minor")
                    + F("debt_minor")
                    + F("cost_minor"),
                    pending_minor__gte=0,
                    reserve_minor__gte=0,
                    available_minor__gte=0,
                    debt_minor__gte=0,
                    cost_minor__gte=0,
                ),
            ),
            models.CheckConstraint(
                name="take_back_is_resolved_once",
                condition=Q(state=TakeBackState.HELD, resolved_at__isnull=True)
                | Q(state__in=[TakeBackState.SETTLED, TakeBackState.VOIDED], resolved_at__isnull=False),
            ),
            models.CheckConstraint(name="take_back_kind_known", condition=Q(kind__in=TakeBackKind.values)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def hold_key(self) -> str:
        return f"take-back:{self.pk}:hold"

    def part(self, name: str) -> Money:
        return Money(getattr(self, f"{name}_minor"), self.sale.currency)
