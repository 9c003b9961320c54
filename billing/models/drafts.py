"""Invoices that an operator or a service prepares: they change until they are issued, and then an invoice stands."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.gateways import CEILING, CURRENCY
from billing.models.invoices import Invoice
from ledger.ids import uuid7
from ledger.money import Money


class InvoiceDraft(models.Model):
    """What is to be invoiced. Prices are before tax: which tax it bears is decided on the day it is issued."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="invoice_drafts", verbose_name=_("customer")
    )
    currency = models.CharField(_("currency"), max_length=3)
    due_on = models.DateField(_("to be paid by"))
    invoice = models.OneToOneField(
        Invoice, models.PROTECT, related_name="draft", null=True, blank=True, verbose_name=_("invoice")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("written by"),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("draft of an invoice")
        verbose_name_plural = _("drafts of invoices")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(name="invoice_draft_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.created_at:%Y-%m-%d}"

    @property
    def is_issued(self) -> bool:
        return self.invoice_id is not None


class DraftLine(models.Model):
    """One thing of a draft: so many at a price before tax, less a discount on the whole line."""

    draft = models.ForeignKey(
        InvoiceDraft, models.CASCADE, related_name="lines", db_index=False, verbose_name=_("draft of an invoice")
    )
    position = models.PositiveSmallIntegerField(_("position"))
    description = models.CharField(_("description"), max_length=200)
    quantity = models.PositiveIntegerField(_("quantity"), default=1)
    unit_price_minor = models.BigIntegerField(_("unit price in minor units"))
    discount_minor = models.BigIntegerField(_("discount in minor units"), default=0, db_default=0)
    product = models.CharField(_("kind of product"), max_length=20, default="standard")  # as tax rates name it

    class Meta:
        verbose_name = _("line of a draft")
        verbose_name_plural = _("lines of a draft")
        default_permissions = ()
        ordering = ["draft", "position"]
        constraints = [
            models.UniqueConstraint(name="draft_line_position_once", fields=["draft", "position"]),
            models.CheckConstraint(name="draft_line_is_of_something", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="draft_line_price_in_bounds",
                condition=Q(unit_price_minor__gte=0, unit_price_minor__lte=CEILING),
            ),
            models.CheckConstraint(
                name="draft_line_discount_is_part_of_it",
                condition=Q(discount_minor__gte=0, discount_minor__lte=F("quantity") * F("unit_price_minor")),
            ),
        ]

    def __str__(self) -> str:
        return self.description

    @property
    def unit_price(self) -> Money:
        return Money(self.unit_price_minor, self.draft.currency)

    @property
    def discount(self) -> Money:
        return Money(self.discount_minor, self.draft.currency)

    @property
    def net(self) -> Money:
        return Money(self.quantity * self.unit_price_minor - self.discount_minor, self.draft.currency)
