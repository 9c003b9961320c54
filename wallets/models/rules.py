"""What a catalogue says of a marketplace: kinds of sellers, types of sales, and the rules of commissions."""

from datetime import datetime
from typing import Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ledger.money import BASIS_POINTS, LARGEST_MINOR, Money, for_reader

CODE = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
code_validator = RegexValidator(CODE, _("Lower-case letters and digits, joined by dots, dashes or underscores."))
currency_validator = RegexValidator(r"^[A-Z]{3}$", _("This is no currency of ISO 4217."))


class Labelled(models.Model):
    code = models.CharField(_("code"), max_length=60, unique=True, validators=[code_validator])
    catalogue = models.CharField(_("catalogue"), max_length=60, blank=True, default="", db_default="")
    label_en = models.CharField(_("label in English"), max_length=100)
    label_fr = models.CharField(_("label in French"), max_length=100, blank=True, default="", db_default="")
    is_active = models.BooleanField(_("active"), default=True, db_default=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.code

    @property
    def label(self) -> str:
        return self.label_fr if (get_language() or "").startswith("fr") and self.label_fr else self.label_en


class SellerKind(Labelled):
    """What a seller can be: an organizer, a designer, or what the catalogue says."""

    class Meta:
        verbose_name = _("kind of seller")
        verbose_name_plural = _("kinds of sellers")
        default_permissions = ("view",)


class SaleType(Labelled):
    """What can be sold for others: a ticket, a template, or what the catalogue says."""

    # The least price by currency, in minor units.
    minimum = models.JSONField(_("minimum price"), default=dict, blank=True, db_default={})

    class Meta:
        verbose_name = _("type of sale")
        verbose_name_plural = _("types of sales")
        default_permissions = ("view",)


class WhenWithdrawn(models.TextChoices):
    """What becomes of a refund whose money the seller has already withdrawn."""

    REFUSE = "refuse", _("refuse the refund")
    OUR_COST = "our_cost", _("we bear it")
    DEBT = "debt", _("the seller owes it, up to a limit")


class CommissionRuleQuerySet(models.QuerySet["CommissionRule"]):
    def valid_at(self, at: datetime) -> Self:
        begun = self.filter(is_active=True, valid_from__lte=at)
        return begun.filter(Q(valid_until__isnull=True) | Q(valid_until__gt=at))


class CommissionRule(models.Model):
    """What we keep of a sale. What is empty fits every sale; of all rules that fit, the most specific one counts.

    A sale keeps the terms by which it was split, so a change here is felt by later sales only.
    """

    code = models.CharField(_("code"), max_length=60, unique=True, validators=[code_validator])
    catalogue = models.CharField(_("catalogue"), max_length=60, blank=True, default="", db_default="")
    sale_type = models.ForeignKey(
        SaleType, models.PROTECT, null=True, blank=True, related_name="rules", verbose_name=_("type of sale")
    )
    seller_kind = models.ForeignKey(
        SellerKind, models.PROTECT, null=True, blank=True, related_name="rules", verbose_name=_("kind of seller")
    )
    seller = models.ForeignKey(
        "wallets.Seller", models.PROTECT, null=True, blank=True, related_name="rules", verbose_name=_("seller")
    )
    currency = models.CharField(
        _("currency"), max_length=3, blank=True, default="", db_default="", validators=[currency_validator]
    )
    valid_from = models.DateTimeField(_("valid from"), default=timezone.now)
    valid_until = models.DateTimeField(_("valid until"), null=True, blank=True)
    basis_points = models.IntegerField(_("percent in basis points"), help_text=_("1000 is ten percent."))
    fixed_minor = models.BigIntegerField(
        _("fixed part in minor units"), default=0, db_default=0, help_text=_("Added to the percentage.")
    )
    minimum_minor = models.BigIntegerField(_("minimum in minor units"), null=True, blank=True)
    maximum_minor = models.BigIntegerField(_("maximum in minor units"), null=True, blank=True)
    clearing_days = models.IntegerField(
        _("clearing days"), null=True, blank=True, help_text=_("Empty: the setting WALLETS_CLEARING_DAYS.")
    )
    when_withdrawn = models.CharField(
        _("refund after a withdrawal"), max_length=8, choices=WhenWithdrawn, default=WhenWithdrawn.REFUSE
    )
    debt_limit_minor = models.BigIntegerField(_("debt limit in minor units"), default=0, db_default=0)
    is_active = models.BooleanField(_("active"), default=True, db_default=True)

    objects = CommissionRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("commission rule")
        verbose_name_plural = _("commission rules")
        default_permissions = ("add", "change", "view")
        constraints = [
            models.CheckConstraint(
                name="commission_is_no_more_than_the_price",
                condition=Q(basis_points__gte=0, basis_points__lte=BASIS_POINTS),
            ),
            models.CheckConstraint(
                name="commission_amounts_in_range",
                condition=Q(fixed_minor__gte=0, fixed_minor__lte=LARGEST_MINOR)
                & (Q(minimum_minor__isnull=True) | Q(minimum_minor__gte=0, minimum_minor__lte=LARGEST_MINOR))
                & (Q(maximum_minor__isnull=True) | Q(maximum_minor__gte=0, maximum_minor__lte=LARGEST_MINOR)),
            ),
            models.CheckConstraint(
                name="commission_minimum_below_maximum",
                condition=Q(minimum_minor__isnull=True)
                | Q(maximum_minor__isnull=True)
                | Q(minimum_minor__lte=F("maximum_minor")),
            ),
            models.CheckConstraint(
                name="commission_amounts_have_a_currency",
                condition=~Q(currency="")
                | Q(fixed_minor=0, minimum_minor__isnull=True, maximum_minor__isnull=True, debt_limit_minor=0),
            ),
            models.CheckConstraint(
                name="commission_rule_begins_before_it_ends",
                condition=Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from")),
            ),
            models.CheckConstraint(
                name="commission_clearing_in_range",
                condition=Q(clearing_days__isnull=True) | Q(clearing_days__gte=0, clearing_days__lte=365),
            ),
            models.CheckConstraint(
                name="commission_policy_known", condition=Q(when_withdrawn__in=WhenWithdrawn.values)
            ),
            models.CheckConstraint(
                name="commission_debt_has_a_limit",
                condition=Q(when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor__gt=0)
                | (~Q(when_withdrawn=WhenWithdrawn.DEBT) & Q(debt_limit_minor=0)),
            ),
        ]

    def __str__(self) -> str:
        return self.code


class CommissionTier(models.Model):
    """From so much sold by the seller in a month (UTC) on, another percentage. Only rules of a currency have tiers."""

    rule = models.ForeignKey(CommissionRule, models.CASCADE, related_name="tiers", db_index=False)
    from_volume_minor = models.BigIntegerField(_("from a monthly volume in minor units"))
    basis_points = models.IntegerField(_("percent in basis points"))

    class Meta:
        verbose_name = _("tier")
        verbose_name_plural = _("tiers")
        default_permissions = ("add", "change", "delete", "view")
        ordering = ["from_volume_minor"]
        constraints = [
            models.UniqueConstraint(name="tier_once_per_rule_and_volume", fields=["rule", "from_volume_minor"]),
            models.CheckConstraint(
                name="tier_volume_is_positive",
                condition=Q(from_volume_minor__gt=0, from_volume_minor__lte=LARGEST_MINOR),
            ),
            models.CheckConstraint(
                name="tier_is_no_more_than_the_price", condition=Q(basis_points__gte=0, basis_points__lte=BASIS_POINTS)
            ),
        ]

    def __str__(self) -> str:
        unit = self.rule.currency  # none, while the form of a rule is being refused
        return for_reader(Money(self.from_volume_minor, unit)) if unit else str(self.from_volume_minor)
