"""What is sold and what it costs: packs and their prices, the cost table, and the rules of recurring grants.

A price or a cost is a version with a date. It is never changed: a trigger refuses it, and refuses to delete a version
that is or was valid. So any past spend or payment can be explained by the version that was valid then.
"""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ledger.money import Money, for_reader

CODE = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
# As the ledger has it: three letters are always a currency.
UNIT = r"^(?![A-Z]{3}$)[A-Z][A-Z0-9_]{2,11}$"
CURRENCY = r"^[A-Z]{3}$"
CEILING = 10**15  # far below 2^63, so that sums of a million rows still fit

code_validator = RegexValidator(CODE, _("Lower-case letters and digits, joined by dots, dashes or underscores."))
unit_validator = RegexValidator(UNIT, _("Capital letters, digits and underscores, for example CREDIT."))


class CostKind(models.TextChoices):
    FIXED = "fixed", _("fixed")
    PER_UNIT = "per_unit", _("per unit")
    BETWEEN = "between", _("between a minimum and a maximum")


class Every(models.TextChoices):
    WEEK = "week", _("week")
    MONTH = "month", _("month")


class CatchUp(models.TextChoices):
    """What happens to periods that were missed, for example while the worker was down."""

    ALL = "all", _("grant every missed period")
    LAST = "last", _("grant the last missed period only")
    NONE = "none", _("grant nothing for missed periods")


def in_our_language(english: str, french: str) -> str:
    """Each text of the catalogue exists in English; French falls back to it."""
    return french if french and (get_language() or "").startswith("fr") else english


class PackQuerySet(models.QuerySet["Pack"]):
    def on_sale(self) -> Self:
        return self.filter(is_active=True)


class Pack(models.Model):
    """Credits sold at once. The code is what callers say; a pack that left its catalogue stays, inactive."""

    code = models.CharField(_("code"), max_length=60, unique=True, validators=[code_validator])
    catalogue = models.CharField(_("catalogue"), max_length=60, db_index=True, validators=[code_validator])
    name_en = models.CharField(_("name (English)"), max_length=100)
    name_fr = models.CharField(_("name (French)"), max_length=100, blank=True)
    description_en = models.CharField(_("description (English)"), max_length=300, blank=True)
    description_fr = models.CharField(_("description (French)"), max_length=300, blank=True)
    unit = models.CharField(_("unit"), max_length=12, default="CREDIT", validators=[unit_validator])
    credits = models.BigIntegerField(_("credits"), validators=[MinValueValidator(1)])
    bonus = models.BigIntegerField(_("bonus credits"), default=0, validators=[MinValueValidator(0)])
    expires_after_days = models.PositiveIntegerField(_("expires after (days)"), null=True, blank=True)
    bonus_expires_after_days = models.PositiveIntegerField(_("bonus expires after (days)"), null=True, blank=True)
    position = models.PositiveIntegerField(_("position"), default=0)
    is_active = models.BooleanField(_("on sale"), default=True)

    objects = PackQuerySet.as_manager()

    class Meta:
        verbose_name = _("pack")
        verbose_name_plural = _("packs")
        ordering = ["catalogue", "position", "code"]
        default_permissions = ("add", "change", "view")  # taken off sale, never deleted
        constraints = [
            models.CheckConstraint(name="pack_code_is_plain", condition=Q(code__regex=CODE)),
            models.CheckConstraint(name="pack_catalogue_is_plain", condition=Q(catalogue__regex=CODE)),
            models.CheckConstraint(name="pack_unit_is_plain", condition=Q(unit__regex=UNIT)),
            models.CheckConstraint(name="pack_has_a_name", condition=~Q(name_en="")),
            models.CheckConstraint(name="pack_gives_credits", condition=Q(credits__gt=0, credits__lte=CEILING)),
            models.CheckConstraint(name="pack_bonus_not_negative", condition=Q(bonus__gte=0, bonus__lte=CEILING)),
            models.CheckConstraint(
                name="pack_expires_after_a_day_or_never",
                condition=Q(expires_after_days__isnull=True) | Q(expires_after_days__gt=0),
            ),
            models.CheckConstraint(
                name="pack_bonus_expires_after_a_day_or_never",
                condition=Q(bonus_expires_after_days__isnull=True) | Q(bonus_expires_after_days__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def name(self) -> str:
        return in_our_language(self.name_en, self.name_fr)

    @property
    def description(self) -> str:
        return in_our_language(self.description_en, self.description_fr)

    @property
    def total(self) -> int:
        """What the buyer gets for the price: paid and bonus credits."""
        return self.credits + self.bonus


class PackPriceQuerySet(models.QuerySet["PackPrice"]):
    def valid_at(self, moment: datetime) -> Self:
        """One version for each pack and currency, withdrawn ones included: ask `is_active`."""
        return (
            self.filter(valid_from__lte=moment)
            .order_by("pack_id", "currency", "-valid_from")
            .distinct("pack_id", "currency")
        )


class PackPrice(models.Model):
    """What a pack costs in a currency from an instant on, until the next version. Inactive: not sold in it any more."""

    pack = models.ForeignKey(Pack, models.PROTECT, related_name="prices", verbose_name=_("pack"))
    currency = models.CharField(_("currency"), max_length=3)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    valid_from = models.DateTimeField(_("valid from"))
    is_active = models.BooleanField(_("sold at this price"), default=True)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("made by")
    )

    objects = PackPriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("pack price")
        verbose_name_plural = _("pack prices")
        ordering = ["pack", "currency", "-valid_from"]
        default_permissions = ("add", "view")
        constraints = [
            models.UniqueConstraint(name="pack_price_once_per_instant", fields=["pack", "currency", "valid_from"]),
            models.CheckConstraint(name="pack_price_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(
                name="pack_price_positive", condition=Q(amount_minor__gt=0, amount_minor__lte=CEILING)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pack.code}: {for_reader(Money(self.amount_minor, self.currency))}"


class CostQuerySet(models.QuerySet["Cost"]):
    def valid_at(self, moment: datetime) -> Self:
        """One version for each action, withdrawn ones included: ask `is_active`."""
        return self.filter(valid_from__lte=moment).order_by("action", "-valid_from").distinct("action")


class Cost(models.Model):
    """What an action costs a customer from an instant on, and what it really costs us. Inactive: no action any more."""

    action = models.CharField(_("action"), max_length=60, validators=[code_validator])
    catalogue = models.CharField(_("catalogue"), max_length=60, db_index=True, validators=[code_validator])
    version = models.PositiveIntegerField(_("version"))
    valid_from = models.DateTimeField(_("valid from"))
    is_active = models.BooleanField(_("offered"), default=True)
    kind = models.CharField(_("kind"), max_length=8, choices=CostKind)
    amount = models.BigIntegerField(_("amount"), null=True, blank=True)
    minimum = models.BigIntegerField(_("minimum"), null=True, blank=True)
    maximum = models.BigIntegerField(_("maximum"), null=True, blank=True)
    unit = models.CharField(_("unit"), max_length=12, default="CREDIT", validators=[unit_validator])
    # Millionths of the currency's major unit: 0.04 € is 40 000. Fractions of a cent are usual for one API call.
    real_cost_micros = models.BigIntegerField(_("real cost (millionths)"), null=True, blank=True)
    real_cost_currency = models.CharField(_("currency of the real cost"), max_length=3, blank=True)
    label_en = models.CharField(_("label (English)"), max_length=100)
    label_fr = models.CharField(_("label (French)"), max_length=100, blank=True)
    url_pattern = models.CharField(
        _("URL pattern"),
        max_length=200,
        blank=True,
        help_text=_("The middleware charges this path; * is any one segment. Example: /api/ai/generate"),
    )
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("made by")
    )

    objects = CostQuerySet.as_manager()

    class Meta:
        verbose_name = _("cost")
        verbose_name_plural = _("costs")
        ordering = ["action", "-version"]
        default_permissions = ("add", "view")
        constraints = [
            models.UniqueConstraint(name="cost_version_once", fields=["action", "version"]),
            models.UniqueConstraint(name="cost_once_per_instant", fields=["action", "valid_from"]),
            models.CheckConstraint(name="cost_versions_count_from_one", condition=Q(version__gte=1)),
            models.CheckConstraint(name="cost_action_is_plain", condition=Q(action__regex=CODE)),
            models.CheckConstraint(name="cost_catalogue_is_plain", condition=Q(catalogue__regex=CODE)),
            models.CheckConstraint(name="cost_unit_is_plain", condition=Q(unit__regex=UNIT)),
            models.CheckConstraint(name="cost_has_a_label", condition=~Q(label_en="")),
            models.CheckConstraint(name="cost_kind_known", condition=Q(kind__in=CostKind.values)),
            models.CheckConstraint(
                name="cost_says_an_amount_or_a_range",
                condition=(
                    ~Q(kind=CostKind.BETWEEN)
                    & Q(amount__isnull=False, amount__gt=0, amount__lte=CEILING)
                    & Q(minimum__isnull=True, maximum__isnull=True)
                )
                | (
                    Q(kind=CostKind.BETWEEN, amount__isnull=True, minimum__isnull=False, maximum__isnull=False)
                    & Q(minimum__gt=0, maximum__gte=F("minimum"), maximum__lte=CEILING)
                ),
            ),
            models.CheckConstraint(
                name="cost_real_cost_has_a_currency",
                condition=Q(real_cost_micros__isnull=True, real_cost_currency="")
                | Q(
                    real_cost_micros__isnull=False,
                    real_cost_micros__gte=0,
                    real_cost_micros__lte=CEILING,
                    real_cost_currency__regex=CURRENCY,
                ),
            ),
            models.CheckConstraint(
                name="cost_url_pattern_is_a_path", condition=Q(url_pattern="") | Q(url_pattern__startswith="/")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} v{self.version}"

    @property
    def label(self) -> str:
        return in_our_language(self.label_en, self.label_fr)

    @property
    def least(self) -> int:
        """What one use takes at least; never zero, as a constraint says."""
        return self.amount or self.minimum or 0

    @property
    def most(self) -> int:
        return self.amount or self.maximum or 0


class GrantRule(models.Model):
    """Credits given again every week or month while a plan is paid for. Grants keep what they were given by."""

    code = models.CharField(_("code"), max_length=60, unique=True, validators=[code_validator])
    catalogue = models.CharField(_("catalogue"), max_length=60, db_index=True, validators=[code_validator])
    amount = models.BigIntegerField(_("amount"), validators=[MinValueValidator(1)])
    unit = models.CharField(_("unit"), max_length=12, default="CREDIT", validators=[unit_validator])
    every = models.CharField(_("every"), max_length=5, choices=Every)
    expires_after_days = models.PositiveIntegerField(_("expires after (days)"), null=True, blank=True)
    expires_at_next = models.BooleanField(_("expires at the next grant"), default=False)
    rollover_cap = models.BigIntegerField(
        _("roll-over cap"),
        null=True,
        blank=True,
        help_text=_("A new grant only fills up to this balance of the rule's own grants. Empty: no cap."),
    )
    catch_up = models.CharField(_("missed periods"), max_length=4, choices=CatchUp, default=CatchUp.ALL)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("grant rule")
        verbose_name_plural = _("grant rules")
        ordering = ["catalogue", "code"]
        default_permissions = ("add", "change", "view")
        constraints = [
            models.CheckConstraint(name="grant_rule_code_is_plain", condition=Q(code__regex=CODE)),
            models.CheckConstraint(name="grant_rule_catalogue_is_plain", condition=Q(catalogue__regex=CODE)),
            models.CheckConstraint(name="grant_rule_unit_is_plain", condition=Q(unit__regex=UNIT)),
            models.CheckConstraint(name="grant_rule_gives_credits", condition=Q(amount__gt=0, amount__lte=CEILING)),
            models.CheckConstraint(name="grant_rule_period_known", condition=Q(every__in=Every.values)),
            models.CheckConstraint(name="grant_rule_catch_up_known", condition=Q(catch_up__in=CatchUp.values)),
            models.CheckConstraint(
                name="grant_rule_expires_in_one_way",
                condition=Q(expires_after_days__isnull=True) | Q(expires_after_days__gt=0, expires_at_next=False),
            ),
            models.CheckConstraint(
                name="grant_rule_cap_holds_one_grant",
                condition=Q(rollover_cap__isnull=True) | Q(rollover_cap__gte=F("amount")),
            ),
        ]

    def __str__(self) -> str:
        return self.code
