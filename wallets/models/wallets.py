"""Sellers, their wallets, and corrections by hand. What a wallet holds are balances of the ledger, never kept here."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ledger.ids import uuid7
from ledger.models import Account, Entry
from ledger.money import BASIS_POINTS, LARGEST_MINOR
from wallets.models.rules import SellerKind


class Seller(models.Model):
    """A person whose things we sell. The rolling reserve keeps a part of each sale back for some days longer."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, related_name="seller", verbose_name=_("user"))
    kind = models.ForeignKey(
        SellerKind, models.PROTECT, null=True, blank=True, related_name="sellers", verbose_name=_("kind of seller")
    )
    reserve_basis_points = models.IntegerField(_("rolling reserve in basis points"), default=0, db_default=0)
    reserve_days = models.IntegerField(_("days in reserve"), default=0, db_default=0)

    class Meta:
        verbose_name = _("seller")
        verbose_name_plural = _("sellers")
        default_permissions = ("change", "view")
        constraints = [
            models.CheckConstraint(
                name="seller_reserve_is_a_part_for_some_days",
                condition=Q(reserve_basis_points=0, reserve_days=0)
                | Q(
                    reserve_basis_points__gt=0,
                    reserve_basis_points__lte=BASIS_POINTS,
                    reserve_days__gt=0,
                    reserve_days__lte=365,
                ),
            ),
        ]

    def __str__(self) -> str:
        return str(self.user.get_username())


class Wallet(models.Model):
    """What a seller has of a currency: four accounts of the ledger, and the row that acts on them lock first.

    Pending has not cleared yet; available can be withdrawn; the reserve is kept back; what is owed repays itself from
    what becomes available next.
    """

    seller = models.ForeignKey(Seller, models.PROTECT, related_name="wallets", db_index=False, verbose_name=_("seller"))
    currency = models.CharField(_("currency"), max_length=3)
    pending = models.OneToOneField(Account, models.PROTECT, related_name="+", verbose_name=_("pending"))
    available = models.OneToOneField(Account, models.PROTECT, related_name="+", verbose_name=_("available"))
    reserve = models.OneToOneField(Account, models.PROTECT, related_name="+", verbose_name=_("reserve"))
    debt = models.OneToOneField(Account, models.PROTECT, related_name="+", verbose_name=_("debt"))

    class Meta:
        verbose_name = _("wallet")
        verbose_name_plural = _("wallets")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(name="wallet_once_per_seller_and_currency", fields=["seller", "currency"]),
            models.CheckConstraint(name="wallet_currency_is_well_formed", condition=Q(currency__regex=r"^[A-Z]{3}$")),
        ]

    def __str__(self) -> str:
        return f"{self.seller} {self.currency}"

    @property
    def accounts(self) -> tuple[Account, Account, Account, Account]:
        return (self.pending, self.available, self.reserve, self.debt)


class AdjustmentStatus(models.TextChoices):
    REQUESTED = "requested", _("waits for a second person")
    BOOKED = "booked", _("booked")
    REJECTED = "rejected", _("rejected")


class Adjustment(models.Model):
    """A correction of a wallet by hand: above zero given, below zero taken. Large ones need a second person."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="adjustments", verbose_name=_("wallet"))
    key = models.CharField(max_length=255, unique=True, editable=False)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    reason = models.CharField(_("reason"), max_length=300)
    status = models.CharField(_("status"), max_length=9, choices=AdjustmentStatus, default=AdjustmentStatus.REQUESTED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False, verbose_name=_("requested by")
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("decided by"),
    )
    entry = models.ForeignKey(
        Entry, models.PROTECT, null=True, blank=True, related_name="+", db_constraint=False, db_index=False
    )
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("adjustment")
        verbose_name_plural = _("adjustments")
        default_permissions = ("view",)
        permissions = [("adjust_wallet", "Can adjust wallets by hand")]
        constraints = [
            models.CheckConstraint(
                name="adjustment_moves_something",
                condition=Q(amount_minor__gte=-LARGEST_MINOR, amount_minor__lte=LARGEST_MINOR) & ~Q(amount_minor=0),
            ),
            models.CheckConstraint(
                name="adjustment_is_booked_with_an_entry",
                condition=Q(status=AdjustmentStatus.BOOKED, entry__isnull=False)
                | (~Q(status=AdjustmentStatus.BOOKED) & Q(entry__isnull=True)),
            ),
            models.CheckConstraint(name="adjustment_status_known", condition=Q(status__in=AdjustmentStatus.values)),
        ]

    def __str__(self) -> str:
        return self.reason
