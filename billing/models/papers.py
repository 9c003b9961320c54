"""What stands beside invoices: proofs of VAT numbers, e-mails with documents, and what was taxed when it was used."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.invoices import Invoice
from billing.models.payments import Payment
from billing.models.refunds import Refund


class VatOutcome(models.TextChoices):
    VALID = "valid", _("valid")
    INVALID = "invalid", _("invalid")
    UNREACHABLE = "unreachable", _("out of reach")


class VatCheck(models.Model):
    """What VIES said of a number, and when: the proof that a sale was rightly not taxed. Written once."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="vat_checks", verbose_name=_("customer")
    )
    vat_number = models.CharField(_("VAT number"), max_length=20)
    outcome = models.CharField(_("outcome"), max_length=11, choices=VatOutcome)
    consultation = models.CharField(_("number of the consultation"), max_length=100, blank=True)
    name = models.CharField(_("name"), max_length=300, blank=True)
    address = models.CharField(_("address"), max_length=500, blank=True)
    reply = models.JSONField(_("reply"), default=dict)
    asked_at = models.DateTimeField(_("asked at"), auto_now_add=True)

    class Meta:
        verbose_name = _("check of a VAT number")
        verbose_name_plural = _("checks of VAT numbers")
        default_permissions = ("view",)
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="vat_check_outcome_known", condition=Q(outcome__in=VatOutcome.values)),
        ]
        indexes = [models.Index(name="vat_check_by_number", fields=["vat_number", "-asked_at"])]

    def __str__(self) -> str:
        return f"{self.vat_number} {self.outcome}"


class InvoiceMailing(models.Model):
    """A document on its way to somebody by mail. A row with a next try is still to be sent."""

    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="mailings", verbose_name=_("invoice"))
    address = models.EmailField(_("e-mail"), max_length=254)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("asked by")
    )
    requested_at = models.DateTimeField(_("asked at"), auto_now_add=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    next_try_at = models.DateTimeField(_("tried next at"), null=True, blank=True)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    error = models.CharField(_("last error"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("invoice by mail")
        verbose_name_plural = _("invoices by mail")
        default_permissions = ("view",)
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="invoice_mailing_sent_is_not_tried_again",
                condition=Q(sent_at__isnull=True) | Q(next_try_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(
                name="invoice_mailing_to_send", fields=["next_try_at"], condition=Q(next_try_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.invoice_id} {self.requested_at:%Y-%m-%d}"


class TaxedUse(models.Model):
    """How much of a payment was used or expired in a month, and so is taxed. All its rows never exceed the payment."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="taxed_uses", verbose_name=_("payment"))
    invoice = models.ForeignKey(Invoice, models.PROTECT, related_name="taxed_uses", verbose_name=_("invoice"))
    month = models.DateField(_("month"))
    credits = models.BigIntegerField(_("credits until then"))  # used or expired, in all
    gross_minor = models.BigIntegerField(_("amount in minor units"))
    tax_minor = models.BigIntegerField(_("tax in minor units"))

    class Meta:
        verbose_name = _("taxed use")
        verbose_name_plural = _("taxed uses")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(name="taxed_use_once_a_month", fields=["payment", "month"]),
            models.CheckConstraint(
                name="taxed_use_tax_is_part_of_it",
                condition=Q(gross_minor__gt=0, tax_minor__gte=0, tax_minor__lte=F("gross_minor")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.payment_id} {self.month:%Y-%m}"


class UseGivenBack(models.Model):
    """How much of what was taxed in a month a refund has given back: a credit note corrects that month's invoice."""

    refund = models.ForeignKey(
        Refund, models.PROTECT, related_name="uses_given_back", db_index=False, verbose_name=_("refund")
    )
    use = models.ForeignKey(TaxedUse, models.PROTECT, related_name="given_back", verbose_name=_("taxed use"))
    gross_minor = models.BigIntegerField(_("amount in minor units"))
    tax_minor = models.BigIntegerField(_("tax in minor units"))

    class Meta:
        verbose_name = _("taxed use given back")
        verbose_name_plural = _("taxed uses given back")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(name="use_given_back_once_per_refund", fields=["refund", "use"]),
            models.CheckConstraint(
                name="use_given_back_tax_is_part_of_it",
                condition=Q(gross_minor__gt=0, tax_minor__gte=0, tax_minor__lte=F("gross_minor")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.refund_id} {self.use_id}"
