"""Coupons: codes that take something off a price or bring credits; and each time that somebody used one."""

from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from billing.models.gateways import CEILING, CURRENCY
from billing.models.subscriptions import Subscription
from ledger.ids import uuid7
from ledger.money import BASIS_POINTS, CREDIT, Money, for_reader

COUPON_CODE = r"^[A-Z0-9][A-Z0-9_-]{2,39}$"  # people type them in either case; here they stand in capitals


class CouponKind(models.TextChoices):
    PERCENT = "percent", _("a share off")
    AMOUNT = "amount", _("an amount off")
    CREDITS = "credits", _("credits on top of what is bought")
    GIFT = "gift", _("credits for nothing")


class CouponDuration(models.TextChoices):
    """For how many payments of a subscription; anything else is paid once."""

    ONCE = "once", _("the first payment")
    REPEATING = "repeating", _("the first payments")
    FOREVER = "forever", _("every payment")


class RedemptionStatus(models.TextChoices):
    RESERVED = "reserved", _("reserved")  # a checkout is under way with it
    REDEEMED = "redeemed", _("used")
    RELEASED = "released", _("given back")  # nobody paid
    RETURNED = "returned", _("given back after a refund")


COUNTED = (RedemptionStatus.RESERVED, RedemptionStatus.REDEEMED)


class Coupon(models.Model):
    """What it is worth never changes for those who use it already: each use keeps the terms of its day."""

    code = models.CharField(_("code"), max_length=40, unique=True)
    catalogue = models.CharField(_("catalogue"), max_length=60, blank=True)  # empty: an operator made it
    name_en = models.CharField(_("name in English"), max_length=100, blank=True)
    name_fr = models.CharField(_("name in French"), max_length=100, blank=True)
    kind = models.CharField(_("kind"), max_length=7, choices=CouponKind)
    basis_points = models.PositiveIntegerField(_("share in basis points"), null=True, blank=True)  # 2 000 is 20 %
    duration = models.CharField(
        _("duration"), max_length=9, choices=CouponDuration, default=CouponDuration.ONCE, db_default="once"
    )
    periods = models.PositiveSmallIntegerField(_("payments that it covers"), null=True, blank=True)
    credits = models.BigIntegerField(_("credits"), default=0, db_default=0)
    unit = models.CharField(_("unit"), max_length=40, default=CREDIT, db_default=CREDIT)
    credits_expire_after_days = models.PositiveIntegerField(_("credits expire after days"), null=True, blank=True)
    # What it may be used for; all empty: every pack and every plan.
    packs = ArrayField(models.CharField(max_length=60), verbose_name=_("packs"), default=list, blank=True)
    plans = ArrayField(models.CharField(max_length=60), verbose_name=_("plans"), default=list, blank=True)
    catalogues = ArrayField(models.CharField(max_length=60), verbose_name=_("catalogues"), default=list, blank=True)
    starts_at = models.DateTimeField(_("valid from"), null=True, blank=True)
    ends_at = models.DateTimeField(_("valid until"), null=True, blank=True)
    limit = models.PositiveIntegerField(_("uses at most"), null=True, blank=True)
    limit_per_customer = models.PositiveIntegerField(_("uses at most by one customer"), null=True, blank=True)
    is_first_purchase_only = models.BooleanField(_("only for a first purchase"), default=False, db_default=False)
    returns_after_refund = models.BooleanField(
        _("can be used again after a full refund"), default=False, db_default=False
    )
    # The uses that count. Kept, so that a limit of a million is one comparison; `check_ledger` counts them again.
    used = models.PositiveIntegerField(_("uses"), default=0, db_default=0)
    stopped_at = models.DateTimeField(_("stopped at"), null=True, blank=True)
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("stopped by")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("created by")
    )

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        default_permissions = ("view",)
        permissions = [("create_coupon", "Can create coupons"), ("stop_coupon", "Can stop coupons")]
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="coupon_code_in_capitals", condition=Q(code__regex=COUPON_CODE)),
            models.CheckConstraint(name="coupon_kind_known", condition=Q(kind__in=CouponKind.values)),
            models.CheckConstraint(name="coupon_duration_known", condition=Q(duration__in=CouponDuration.values)),
            models.CheckConstraint(
                name="coupon_share_is_of_its_kind",
                condition=Q(kind=CouponKind.PERCENT, basis_points__gt=0, basis_points__lte=BASIS_POINTS)
                | (~Q(kind=CouponKind.PERCENT) & Q(basis_points__isnull=True)),
            ),
            models.CheckConstraint(
                name="coupon_of_credits_brings_some",
                condition=Q(credits__gte=0, credits__lte=CEILING)
                & (~Q(kind__in=[CouponKind.CREDITS, CouponKind.GIFT]) | Q(credits__gt=0)),
            ),
            models.CheckConstraint(
                name="coupon_periods_go_with_repeating",
                condition=Q(duration=CouponDuration.REPEATING, periods__gt=0)
                | (~Q(duration=CouponDuration.REPEATING) & Q(periods__isnull=True)),
            ),
            # Without it one person could take credits without end.
            models.CheckConstraint(
                name="coupon_gift_is_limited_per_customer",
                condition=~Q(kind=CouponKind.GIFT) | Q(limit_per_customer__gt=0),
            ),
            models.CheckConstraint(
                name="coupon_used_within_its_limit", condition=Q(limit__isnull=True) | Q(used__lte=F("limit"))
            ),
            models.CheckConstraint(
                name="coupon_ends_after_it_starts",
                condition=Q(starts_at__isnull=True) | Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def name(self) -> str:
        french = (get_language() or "en").startswith("fr")
        return (self.name_fr if french else "") or self.name_en or self.code


class CouponAmount(models.Model):
    """What a coupon takes off in one currency."""

    coupon = models.ForeignKey(Coupon, models.CASCADE, related_name="amounts", verbose_name=_("coupon"))
    currency = models.CharField(_("currency"), max_length=3)
    amount_minor = models.BigIntegerField(_("amount in minor units"))

    class Meta:
        verbose_name = _("amount of a coupon")
        verbose_name_plural = _("amounts of coupons")
        default_permissions = ("view",)
        ordering = ["coupon", "currency"]
        constraints = [
            models.UniqueConstraint(name="coupon_amount_once_per_currency", fields=["coupon", "currency"]),
            models.CheckConstraint(
                name="coupon_amount_positive", condition=Q(amount_minor__gt=0, amount_minor__lte=CEILING)
            ),
            models.CheckConstraint(name="coupon_amount_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
        ]

    def __str__(self) -> str:
        return for_reader(Money(self.amount_minor, self.currency))


class RedemptionQuerySet(models.QuerySet["Redemption"]):
    def counted(self) -> Self:
        return self.filter(counts=True)


class Redemption(models.Model):
    """One use of a coupon by one customer: of one payment, or of all payments of a subscription that it covers."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    coupon = models.ForeignKey(Coupon, models.PROTECT, related_name="redemptions", verbose_name=_("coupon"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="redemptions", verbose_name=_("customer")
    )
    subscription = models.OneToOneField(
        Subscription, models.PROTECT, related_name="redemption", null=True, blank=True, verbose_name=_("subscription")
    )
    status = models.CharField(
        _("status"), max_length=8, choices=RedemptionStatus, default=RedemptionStatus.RESERVED, db_default="reserved"
    )
    # Against the limits. Who pays when the reservation is over keeps the discount, whether there is room or not.
    counts = models.BooleanField(_("counts"), default=True, db_default=True)
    terms = models.JSONField(_("terms"))  # as they were that day
    created_at = models.DateTimeField(_("reserved at"), auto_now_add=True)
    redeemed_at = models.DateTimeField(_("used at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("given back at"), null=True, blank=True)

    objects = RedemptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("use of a coupon")
        verbose_name_plural = _("uses of coupons")
        default_permissions = ("view",)
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="redemption_status_known", condition=Q(status__in=RedemptionStatus.values)),
            models.CheckConstraint(
                name="redemption_counts_while_it_stands",
                condition=Q(status=RedemptionStatus.RESERVED, counts=True)
                | Q(status=RedemptionStatus.REDEEMED)
                | Q(status__in=["released", "returned"], counts=False),
            ),
            models.CheckConstraint(
                name="redemption_used_has_its_time",
                condition=~Q(status=RedemptionStatus.REDEEMED) | Q(redeemed_at__isnull=False),
            ),
        ]
        indexes = [models.Index(name="redemption_that_counts", fields=["coupon", "user"], condition=Q(counts=True))]

    def __str__(self) -> str:
        return f"{self.coupon_id} {self.user_id}"
