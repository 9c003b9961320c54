"""What customers have: their purse, the grants in it, what they spent of them and what is held of them.

What remains of a grant is the balance of its ledger account: these rows hold no second counter of it.
"""

from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from credits.models.constraints import SettingCheck
from ledger.models import Account, Entry
from ledger.money import LARGEST_MINOR
from rest.models import ServiceToken


class DebtPolicy(models.TextChoices):
    FORBID = "forbid", _("no debt")
    LIMITED = "limited", _("down to a limit")
    INVOICE = "invoice", _("any debt, invoiced later")


class PurseState(models.TextChoices):
    OK = "ok", _("ok")
    LOW = "low", _("low")
    EMPTY = "empty", _("empty")


class Purse(models.Model):
    """One customer's credits of one unit: the rules for spending them, and the row that every act on them locks first.

    `version` rises with each change, so that a badge knows an old figure from a new one.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="purses", db_index=False, verbose_name=_("user")
    )
    unit = models.CharField(_("unit"), max_length=12)
    version = models.BigIntegerField(_("version"), default=0, db_default=0)
    # As of the last act; a grant that has expired since then shows in a balance at once, here with the sweep.
    state = models.CharField(
        _("state"), max_length=5, choices=PurseState, default=PurseState.EMPTY, db_default=PurseState.EMPTY
    )
    low_percent = models.SmallIntegerField(
        _("low below (percent)"), null=True, blank=True, help_text=_("Empty: the setting CREDITS_LOW_PERCENT.")
    )

    debt_policy = models.CharField(
        _("debt"), max_length=7, choices=DebtPolicy, default=DebtPolicy.FORBID, db_default=DebtPolicy.FORBID
    )
    debt_limit = models.BigIntegerField(_("debt limit"), default=0, db_default=0)
    debt_account = models.OneToOneField(
        Account, models.PROTECT, null=True, blank=True, related_name="debt_of", verbose_name=_("debt account")
    )

    unlimited_until = models.DateTimeField(_("unlimited until"), null=True, blank=True)
    fair_use_per_month = models.BigIntegerField(_("fair use per month"), null=True, blank=True)
    # Of that what people allowed by hand: it outlives the plans that end before it.
    given_until = models.DateTimeField(null=True, editable=False)
    given_fair_use = models.BigIntegerField(null=True, editable=False)

    daily_limit = models.BigIntegerField(_("daily limit"), null=True, blank=True)
    monthly_limit = models.BigIntegerField(_("monthly limit"), null=True, blank=True)
    # What was spent in the UTC day and month named, net of what came back of it.
    day = models.DateField(null=True, editable=False)
    day_spent = models.BigIntegerField(default=0, db_default=0, editable=False)
    month = models.DateField(null=True, editable=False)
    month_spent = models.BigIntegerField(default=0, db_default=0, editable=False)
    month_metered = models.BigIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        verbose_name = _("purse")
        verbose_name_plural = _("purses")
        default_permissions = ("change", "view")
        constraints = [
            models.UniqueConstraint(name="purse_once_per_user_and_unit", fields=["user", "unit"]),
            models.CheckConstraint(name="purse_state_known", condition=Q(state__in=PurseState.values)),
            SettingCheck(name="purse_debt_policy_known", condition=Q(debt_policy__in=DebtPolicy.values)),
            SettingCheck(
                name="purse_with_debt_has_an_account",
                condition=Q(debt_policy=DebtPolicy.FORBID) | Q(debt_account__isnull=False),
            ),
            SettingCheck(
                name="purse_debt_limit_in_range", condition=Q(debt_limit__gte=0, debt_limit__lte=LARGEST_MINOR)
            ),
            SettingCheck(
                name="purse_low_percent_in_range",
                condition=Q(low_percent__isnull=True) | Q(low_percent__gte=0, low_percent__lte=100),
            ),
            SettingCheck(
                name="purse_limits_not_negative",
                condition=(Q(daily_limit__isnull=True) | Q(daily_limit__gte=0))
                & (Q(monthly_limit__isnull=True) | Q(monthly_limit__gte=0))
                & (Q(fair_use_per_month__isnull=True) | Q(fair_use_per_month__gte=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user.get_username()} {self.unit}"


class Allowance(models.Model):
    """How much may be spent in one UTC day or month with one service token, whoever it acts for."""

    token = models.ForeignKey(
        ServiceToken, models.PROTECT, related_name="allowances", db_index=False, verbose_name=_("service token")
    )
    unit = models.CharField(_("unit"), max_length=12)
    daily_limit = models.BigIntegerField(_("daily limit"), null=True, blank=True)
    monthly_limit = models.BigIntegerField(_("monthly limit"), null=True, blank=True)
    day = models.DateField(null=True, editable=False)
    day_spent = models.BigIntegerField(default=0, db_default=0, editable=False)
    month = models.DateField(null=True, editable=False)
    month_spent = models.BigIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        verbose_name = _("allowance")
        verbose_name_plural = _("allowances")
        constraints = [
            models.UniqueConstraint(name="allowance_once_per_token_and_unit", fields=["token", "unit"]),
            SettingCheck(
                name="allowance_limits_not_negative",
                condition=(Q(daily_limit__isnull=True) | Q(daily_limit__gte=0))
                & (Q(monthly_limit__isnull=True) | Q(monthly_limit__gte=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.token_id} {self.unit}"


class GrantSource(models.TextChoices):
    PACK = "pack", _("pack")
    BONUS = "bonus", _("bonus of a pack")
    PLAN = "plan", _("plan")
    PROMOTION = "promotion", _("promotion")
    MANUAL = "manual", _("by hand")
    REFERRAL = "referral", _("referral")
    REVERSAL = "reversal", _("spend given back")


class GrantQuerySet(models.QuerySet["Grant"]):
    def of(self, user: User, unit: str | None = None) -> Self:
        found = self.filter(purse__user=user)
        return found if unit is None else found.filter(purse__unit=unit)


class Grant(models.Model):
    """Credits that somebody was given. It is an account of the ledger, whose balance is what remains."""

    account = models.OneToOneField(
        Account, models.PROTECT, primary_key=True, related_name="grant", verbose_name=_("account")
    )
    purse = models.ForeignKey(Purse, models.PROTECT, related_name="grants", db_index=False, verbose_name=_("purse"))
    # The entry of its birth, by whose id callers know it. No constraint: old months of the books can be detached.
    entry = models.OneToOneField(Entry, models.PROTECT, related_name="grant", db_constraint=False)
    source = models.CharField(_("source"), max_length=9, choices=GrantSource)
    amount = models.BigIntegerField(_("amount"))
    priority = models.SmallIntegerField(_("priority"), default=0, db_default=0)
    is_promotional = models.BooleanField(_("promotional"))
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    frozen_at = models.DateTimeField(_("frozen at"), null=True, blank=True)
    # Who alone ends the freeze by themselves, for example the disputes of a payment. Empty: people froze it.
    frozen_for = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    warned_at = models.DateTimeField(null=True, editable=False)  # that it expires soon
    # True while its account has a balance. Kept so that a customer's open grants are one partial index.
    is_open = models.BooleanField(_("open"), default=True, db_default=True)
    paid_minor = models.BigIntegerField(_("paid in minor units"), null=True, blank=True)
    paid_currency = models.CharField(_("currency"), max_length=3, blank=True, default="", db_default="")
    reason = models.CharField(_("reason"), max_length=300, blank=True, default="", db_default="")
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", db_index=False,
        verbose_name=_("issued by"),
    )  # fmt: skip
    # The grant whose expired or revoked credits came back as this one.
    origin = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="+", db_index=False, verbose_name=_("origin")
    )
    issued_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("issued at"),
        expression=models.Func(F("entry_id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    objects = GrantQuerySet.as_manager()

    class Meta:
        verbose_name = _("grant")
        verbose_name_plural = _("grants")
        default_permissions = ("view",)
        permissions = [
            ("issue_grant", "Can issue grants"), ("revoke_grant", "Can revoke grants"),
            ("extend_grant", "Can extend grants"), ("freeze_grant", "Can freeze and unfreeze grants"),
            ("adjust_credits", "Can adjust credits by hand"), ("export_grant", "Can download grants"),
        ]  # fmt: skip
        constraints = [
            models.CheckConstraint(name="grant_source_known", condition=Q(source__in=GrantSource.values)),
            models.CheckConstraint(name="grant_amount_positive", condition=Q(amount__gt=0, amount__lte=LARGEST_MINOR)),
            models.CheckConstraint(
                name="grant_paid_has_a_currency",
                condition=Q(paid_minor__isnull=True, paid_currency="")
                | (Q(paid_minor__isnull=False, paid_minor__gte=0) & ~Q(paid_currency="")),
            ),
            models.CheckConstraint(
                name="grant_frozen_for_somebody_is_frozen", condition=Q(frozen_for="") | Q(frozen_at__isnull=False)
            ),
        ]
        indexes = [
            # The order in which grants burn.
            models.Index(
                "purse",
                "priority",
                F("expires_at").asc(),
                F("is_promotional").desc(),
                "account",
                name="open_grant_in_burn_order",
                condition=Q(is_open=True),
            ),
            models.Index(name="grant_by_purse", fields=["purse", "entry"]),
            models.Index(
                name="open_grant_by_expiry",
                fields=["expires_at"],
                condition=Q(is_open=True, expires_at__isnull=False),
            ),
            models.Index(
                name="revoked_grant_left_open",
                fields=["purse"],
                condition=Q(is_open=True, revoked_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.account_id}"


class Spend(models.Model):
    """Credits that were used, in one entry of the ledger. Only what came back of it changes."""

    entry = models.OneToOneField(
        Entry, models.PROTECT, primary_key=True, related_name="spend", db_constraint=False, verbose_name=_("entry")
    )
    purse = models.ForeignKey(Purse, models.PROTECT, related_name="spends", db_index=False, verbose_name=_("purse"))
    action = models.CharField(_("action"), max_length=60, blank=True, default="", db_default="")
    cost_version = models.IntegerField(_("version of the cost"), null=True, blank=True)
    quantity = models.BigIntegerField(_("quantity"), default=1, db_default=1)
    amount = models.BigIntegerField(_("amount"))
    # What it would have cost, had the customer not been unlimited.
    metered = models.BigIntegerField(_("metered"), default=0, db_default=0)
    reversed_amount = models.BigIntegerField(_("given back"), default=0, db_default=0)
    available_after = models.BigIntegerField(_("available after"))
    reference = models.CharField(_("reference"), max_length=200, blank=True, default="", db_default="")
    metadata = models.JSONField(_("metadata"), null=True, blank=True, encoder=DjangoJSONEncoder)
    token = models.ForeignKey(
        ServiceToken,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        verbose_name=_("service token"),
    )
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("entry_id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("spend")
        verbose_name_plural = _("spends")
        default_permissions = ("view",)
        permissions = [
            ("reverse_spend", "Can give a spend back"), ("spend_credits", "Can spend a customer's credits"),
            ("export_spend", "Can download spends"),
        ]  # fmt: skip
        constraints = [
            models.CheckConstraint(
                name="spend_is_charged_or_metered",
                condition=Q(amount__gt=0, amount__lte=LARGEST_MINOR, metered=0)
                | Q(amount=0, metered__gt=0, metered__lte=LARGEST_MINOR),
            ),
            models.CheckConstraint(
                name="spend_gives_back_what_it_took",
                condition=Q(reversed_amount__gte=0, reversed_amount__lte=F("amount") + F("metered")),
            ),
        ]
        indexes = [models.Index(name="spend_by_purse", fields=["purse", "entry"])]

    def __str__(self) -> str:
        return str(self.entry_id)


class HoldState(models.TextChoices):
    OPEN = "open", _("open")
    SETTLED = "settled", _("settled")
    RELEASED = "released", _("released")
    EXPIRED = "expired", _("expired")


class Hold(models.Model):
    """Credits reserved for work that is under way. Its parts are holds of the ledger, one per grant that it touches,
    under the key `credits:hold:<id>`."""

    id = models.UUIDField(
        primary_key=True, db_default=models.Func(function="uuidv7", output_field=models.UUIDField()), editable=False
    )
    purse = models.ForeignKey(Purse, models.PROTECT, related_name="holds", db_index=False, verbose_name=_("purse"))
    key = models.CharField(_("key"), max_length=255, db_collation="C")
    fingerprint = models.UUIDField(editable=False)
    action = models.CharField(_("action"), max_length=60, blank=True, default="", db_default="")
    cost_version = models.IntegerField(_("version of the cost"), null=True, blank=True)
    quantity = models.BigIntegerField(_("quantity"), default=1, db_default=1)
    amount = models.BigIntegerField(_("amount"))
    # Made while the customer was unlimited: nothing is reserved, and its use is metered.
    is_metered = models.BooleanField(_("metered"), default=False, db_default=False)
    # Made over the API by the customer themselves, who may then end it. Any other is the pay of somebody's work.
    is_customers_own = models.BooleanField(default=False, db_default=False, editable=False)
    settled = models.BigIntegerField(_("settled"), default=0, db_default=0)
    state = models.CharField(
        _("state"), max_length=8, choices=HoldState, default=HoldState.OPEN, db_default=HoldState.OPEN
    )
    available_after = models.BigIntegerField(_("available after"))
    expires_at = models.DateTimeField(_("expires at"))
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    reference = models.CharField(_("reference"), max_length=200, blank=True, default="", db_default="")
    metadata = models.JSONField(_("metadata"), null=True, blank=True, encoder=DjangoJSONEncoder)
    token = models.ForeignKey(
        ServiceToken,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        verbose_name=_("service token"),
    )
    # What it became when it was settled.
    spend = models.OneToOneField(
        Spend, models.PROTECT, null=True, blank=True, related_name="hold", verbose_name=_("spend")
    )
    created_at: models.GeneratedField = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        default_permissions = ("view",)
        permissions = [("release_hold", "Can release holds")]
        constraints = [
            models.UniqueConstraint(name="hold_once_per_purse_and_key", fields=["purse", "key"]),
            models.CheckConstraint(
                name="credits_hold_amount_positive", condition=Q(amount__gt=0, amount__lte=LARGEST_MINOR)
            ),
            models.CheckConstraint(
                name="credits_hold_is_open_or_resolved",
                condition=Q(state=HoldState.OPEN, settled=0, spend__isnull=True, resolved_at__isnull=True)
                | Q(
                    state=HoldState.SETTLED,
                    settled__gt=0,
                    settled__lte=F("amount"),
                    spend__isnull=False,
                    resolved_at__isnull=False,
                )
                | Q(
                    state__in=[HoldState.RELEASED, HoldState.EXPIRED],
                    settled=0,
                    spend__isnull=True,
                    resolved_at__isnull=False,
                ),
            ),
        ]
        indexes = [
            models.Index(name="credits_open_hold_by_expiry", fields=["expires_at"], condition=Q(state=HoldState.OPEN)),
            models.Index(name="credits_open_hold_by_purse", fields=["purse"], condition=Q(state=HoldState.OPEN)),
            models.Index(
                name="credits_open_hold_by_token",
                fields=["token"],
                condition=Q(state=HoldState.OPEN, token__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)
