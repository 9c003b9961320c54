"""What operators choose about a gateway; what it can do, its adapter says, and its secrets stay in the environment."""

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.customers import check_country
from rest import codes

NAME = r"^[a-z][a-z0-9_]{1,19}$"
CURRENCY = r"^[A-Z]{3}$"
CEILING = 10**15  # far below 2^63, as in the catalogue

name_validator = RegexValidator(NAME, _("Lower-case letters, digits and underscores, for example mtn_momo."))


def check_currency(value: str) -> None:
    if value not in codes.currencies():
        raise ValidationError(_("Unknown currency; use an ISO 4217 code such as EUR."), code="invalid")


class GatewaySetting(models.Model):
    """Made on first sight with what is harmless: switched on, no limits but the gateway's own."""

    name = models.CharField(_("gateway"), max_length=20, primary_key=True, validators=[name_validator])
    is_enabled = models.BooleanField(
        _("takes new payments"), default=True, help_text=_("Payments under way are finished even when it is off.")
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=100, help_text=_("The smallest comes first when several gateways would do.")
    )
    currencies = ArrayField(
        models.CharField(max_length=3, validators=[check_currency]),
        verbose_name=_("currencies"),
        default=list,
        blank=True,
        help_text=_("ISO 4217 codes, separated by commas. Empty: all that it takes."),
    )
    countries = ArrayField(
        models.CharField(max_length=2, validators=[check_country]),
        verbose_name=_("countries"),
        default=list,
        blank=True,
        help_text=_("Of the buyer: ISO 3166 codes, separated by commas. Empty: all that it takes."),
    )
    cost_basis_points = models.PositiveIntegerField(
        _("cost (basis points)"),
        default=0,
        validators=[MaxValueValidator(10_000)],
        help_text=_("What the gateway keeps of an amount: 290 are 2.9 %."),
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("gateway")
        verbose_name_plural = _("gateways")
        ordering = ["priority", "name"]
        default_permissions = ("change", "view")  # which gateways there are, the code says
        constraints = [
            models.CheckConstraint(name="gateway_name_is_plain", condition=Q(name__regex=NAME)),
            models.CheckConstraint(name="gateway_cost_is_a_share", condition=Q(cost_basis_points__lte=10_000)),
        ]

    def __str__(self) -> str:
        return self.name


class GatewayTerms(models.Model):
    """The shop's own limits at a gateway in one currency, within the gateway's; and what a payment costs besides."""

    gateway = models.ForeignKey(GatewaySetting, models.CASCADE, related_name="terms", verbose_name=_("gateway"))
    currency = models.CharField(_("currency"), max_length=3, validators=[check_currency])
    minimum_minor = models.BigIntegerField(
        _("minimum (minor units)"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    maximum_minor = models.BigIntegerField(
        _("maximum (minor units)"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    fixed_cost_minor = models.BigIntegerField(
        _("fixed cost of a payment (minor units)"), default=0, validators=[MinValueValidator(0)]
    )

    class Meta:
        verbose_name = _("terms in a currency")
        verbose_name_plural = _("terms by currency")
        ordering = ["currency"]
        default_permissions = ("add", "change", "delete", "view")
        constraints = [
            models.UniqueConstraint(name="gateway_terms_once_per_currency", fields=["gateway", "currency"]),
            models.CheckConstraint(name="gateway_terms_currency_is_a_code", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(
                name="gateway_terms_minimum_positive",
                condition=Q(minimum_minor__isnull=True) | Q(minimum_minor__gt=0, minimum_minor__lte=CEILING),
            ),
            models.CheckConstraint(
                name="gateway_terms_maximum_positive",
                condition=Q(maximum_minor__isnull=True) | Q(maximum_minor__gt=0, maximum_minor__lte=CEILING),
            ),
            models.CheckConstraint(
                name="gateway_terms_minimum_not_over_maximum",
                condition=Q(minimum_minor__isnull=True)
                | Q(maximum_minor__isnull=True)
                | Q(minimum_minor__lte=F("maximum_minor")),
            ),
            models.CheckConstraint(
                name="gateway_terms_cost_not_negative",
                condition=Q(fixed_cost_minor__gte=0, fixed_cost_minor__lte=CEILING),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.gateway_id} {self.currency}"


class BreakerState(models.Model):
    """How a gateway's circuit breaker stands, for as long as Redis is away; all processes share the row."""

    gateway = models.CharField(max_length=20, primary_key=True, validators=[name_validator])
    failures = models.PositiveIntegerField(default=0)  # one after the other, within the window
    window_until = models.DateTimeField(null=True)
    open_until = models.DateTimeField(null=True)  # tripped when set; half open when it is past
    probe_until = models.DateTimeField(null=True)  # somebody is trying whether the gateway is back

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(name="breaker_gateway_is_plain", condition=Q(gateway__regex=NAME))]

    def __str__(self) -> str:
        return self.gateway
