"""What billing knows about a person; who the person is, the user says."""

import re

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from stdnum.eu import vat
from stdnum.exceptions import ValidationError as WrongNumber

from rest import codes, texts


class Locale(models.TextChoices):
    ENGLISH = "en", "English"
    FRENCH = "fr", "Français"


def check_country(value: str) -> None:
    if value not in codes.countries():
        raise ValidationError(_("Unknown country; use an ISO 3166 code such as FR."), code="invalid")


def check_time_zone(value: str) -> None:
    if value not in codes.time_zones():
        raise ValidationError(_("Unknown time zone; use an IANA name such as Europe/Paris."), code="invalid")


def check_vat_number(value: str) -> None:
    """By its form and its check digits; whether it is registered, only the tax office knows.

    Other countries write theirs in too many ways to judge, so they only have to look like a number.
    """
    if not re.fullmatch(r"[A-Z0-9]{4,20}", value):
        raise ValidationError(_("Use 4 to 20 capitals and digits, without blanks."), code="invalid")
    if value[:2].lower() in vat.MEMBER_STATES or value[:2] in ("EL", "XI"):
        try:
            vat.validate(value)
        except WrongNumber as error:
            raise ValidationError(_("This is no valid VAT number of that country."), code="invalid") from error


def default_locale() -> str:
    return str(settings.CUSTOMER_DEFAULT_LOCALE)


def default_time_zone() -> str:
    return str(settings.CUSTOMER_DEFAULT_TIME_ZONE)


class Customer(models.Model):
    """Made when billing first meets a user. Empty means that nobody told us."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="customer", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=200, blank=True, validators=[texts.check_line])
    company = models.CharField(_("company"), max_length=200, blank=True, validators=[texts.check_line])
    email = models.EmailField(_("e-mail"), max_length=254, blank=True, validators=[texts.check_address])
    # Of the address, however it is spelled: see billing.persons.
    person = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    person_since = models.DateTimeField(null=True, editable=False)  # empty: from the beginning
    # Of addresses under which something was used that is for each person once.
    earlier_persons = ArrayField(models.CharField(max_length=64), default=list, db_default=[], editable=False)
    vat_number = models.CharField(_("VAT number"), max_length=20, blank=True, validators=[check_vat_number])
    # Where the company or the person is, as invoices say it.
    address = models.CharField(_("address"), max_length=200, blank=True, db_default="", validators=[texts.check_line])
    postcode = models.CharField(_("postcode"), max_length=20, blank=True, db_default="", validators=[texts.check_line])
    city = models.CharField(_("city"), max_length=100, blank=True, db_default="", validators=[texts.check_line])
    country = models.CharField(_("country"), max_length=2, blank=True, validators=[check_country])
    locale = models.CharField(_("language"), max_length=2, choices=Locale, default=default_locale)
    # Weekly grants fall due by this clock.
    time_zone = models.CharField(_("time zone"), max_length=64, default=default_time_zone, validators=[check_time_zone])
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        default_permissions = ("change", "view")  # made on first sight, and kept for the books
        indexes = [
            models.Index(Lower("email"), name="customer_by_email"),
            models.Index(name="customer_by_person", fields=["person"], condition=~Q(person="")),
            GinIndex(name="customer_by_earlier_person", fields=["earlier_persons"]),
        ]
        constraints = [
            models.CheckConstraint(name="customer_locale_known", condition=Q(locale__in=Locale.values)),
            models.CheckConstraint(name="customer_country_is_a_code", condition=Q(country__regex="^([A-Z]{2})?$")),
            models.CheckConstraint(
                name="customer_vat_number_is_compact", condition=Q(vat_number__regex="^([A-Z0-9]{4,20})?$")
            ),
            models.CheckConstraint(
                name="customer_email_has_an_address", condition=Q(email="") | Q(email__regex="^[^@]+@[^@]+$")
            ),
            models.CheckConstraint(
                name="customer_time_zone_is_a_name", condition=Q(time_zone__regex="^[A-Za-z][A-Za-z0-9_+/-]*$")
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.company or self.user.get_username()
