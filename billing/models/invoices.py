"""Invoices and credit notes: what was sold, by whom and to whom, as it was that day. Issued, they never change."""

from datetime import date
from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing.models.customers import Locale
from billing.models.gateways import CURRENCY
from billing.models.payments import Payment, PaymentStatus
from billing.models.refunds import Refund
from ledger.ids import uuid7
from ledger.money import Money


class InvoiceKind(models.TextChoices):
    INVOICE = "invoice", _("invoice")
    CREDIT_NOTE = "credit_note", _("credit note")
    RECEIPT = "receipt", _("receipt")  # of what is taxed when it is used: its invoices come month by month


SALES = (InvoiceKind.INVOICE, InvoiceKind.RECEIPT)  # what a payment brings; a credit note corrects one of them


class InvoiceStatus(models.TextChoices):
    """Where an invoice stands. It is computed from its credit notes and stored nowhere."""

    ISSUED = "issued", _("issued")  # and still to be paid, unless it is what cancels such a one
    PAID = "paid", pgettext_lazy("invoice", "paid")
    PARTLY_CREDITED = "partly_credited", _("partly credited")
    CREDITED = "credited", _("credited")


class TaxCategory(models.TextChoices):
    """As EN 16931 codes them."""

    STANDARD = "S", _("taxed")
    REVERSE_CHARGE = "AE", _("reverse charge")
    EXEMPT = "E", _("exempt")
    OUTSIDE = "O", _("outside the scope of tax")


class TaxRate(models.Model):
    """What a country takes of a kind of product, from a day on. A new rate is a new row."""

    country = models.CharField(_("country"), max_length=2)
    category = models.CharField(_("kind of product"), max_length=20, default="standard")
    basis_points = models.PositiveIntegerField(_("rate in basis points"))  # 2 000 is 20 %
    valid_from = models.DateField(_("valid from"))

    class Meta:
        verbose_name = _("tax rate")
        verbose_name_plural = _("tax rates")
        ordering = ["country", "category", "-valid_from"]
        constraints = [
            models.UniqueConstraint(name="tax_rate_once_a_day", fields=["country", "category", "valid_from"]),
            models.CheckConstraint(name="tax_rate_country_is_a_code", condition=Q(country__regex="^[A-Z]{2}$")),
            models.CheckConstraint(name="tax_rate_below_one", condition=Q(basis_points__lt=10_000)),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.category} {self.basis_points / 100:g} %"


class InvoiceSeries(models.Model):
    """Where the numbers of a kind and a year have got to. Its row is locked until the number is committed."""

    kind = models.CharField(_("kind"), max_length=11, choices=InvoiceKind)
    year = models.PositiveSmallIntegerField(_("year"))
    last_number = models.PositiveIntegerField(_("last number"), default=0)
    last_issued_at = models.DateTimeField(_("last issued at"), null=True, blank=True)

    class Meta:
        verbose_name = _("invoice series")
        verbose_name_plural = _("invoice series")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(name="invoice_series_once_a_year", fields=["kind", "year"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.year}"


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def of(self, user: User) -> Self:
        return self.filter(user=user)

    def with_lines(self) -> Self:
        return self.select_related("user", "payment", "corrects").prefetch_related(
            "lines", "credit_notes__credit_notes"
        )

    def of_sales(self) -> Self:
        """What payments brought, without what takes a credit note back."""
        return self.filter(kind__in=SALES, corrects__isnull=True)

    def before_it_came_back(self) -> Self:
        """Credit notes whose refund has come back since, and that no paper takes back yet."""
        notes = self.filter(kind=InvoiceKind.CREDIT_NOTE, credit_notes__isnull=True)
        return notes.filter(times_back__lt=F("refund__times_back"))

    def open(self) -> Self:
        """Issued to be paid, and neither paid nor cancelled."""
        return self.filter(due_on__isnull=False, payment__status=PaymentStatus.PENDING)

    def overdue(self, today: date) -> Self:
        return self.open().filter(due_on__lt=today)


class Invoice(models.Model):
    """An invoice, or the credit note that takes back all or a part of one: both are one kind of paper to EN 16931.

    A credit note whose refund came back is taken back by a new invoice, which names the note in `corrects`. A trigger
    refuses every change but those of the rendering's own columns.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=11, choices=InvoiceKind)
    year = models.PositiveSmallIntegerField(_("year"))
    sequence = models.PositiveIntegerField(_("number in its series"))
    number = models.CharField(_("number"), max_length=40, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="invoices", db_index=False, verbose_name=_("customer")
    )
    # Empty on the invoice of a month's use, which is of several payments: its TaxedUse rows name them.
    payment = models.ForeignKey(
        Payment, models.PROTECT, related_name="invoices", null=True, blank=True, verbose_name=_("payment")
    )
    month = models.DateField(_("month of use"), null=True, blank=True)  # its first day
    # Empty on a credit note that cancels an invoice which nobody has paid. What was taxed when it was used is corrected
    # invoice by invoice, so that one refund may have several notes.
    refund = models.ForeignKey(
        Refund,
        models.PROTECT,
        related_name="credit_notes",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("refund"),
    )
    corrects = models.ForeignKey(
        "self", models.PROTECT, related_name="credit_notes", null=True, blank=True, verbose_name=_("corrects")
    )
    times_back = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)  # of the refund, before that
    seller = models.JSONField(_("seller"))
    buyer = models.JSONField(_("buyer"))
    missing = models.JSONField(_("missing on it"), default=list, blank=True)  # what the law would have wanted
    is_simplified = models.BooleanField(_("simplified"), default=False)
    locale = models.CharField(_("language"), max_length=2, choices=Locale)
    currency = models.CharField(_("currency"), max_length=3)
    net_minor = models.BigIntegerField(_("net in minor units"))
    tax_minor = models.BigIntegerField(_("tax in minor units"))
    gross_minor = models.BigIntegerField(_("gross in minor units"))
    line_count = models.PositiveSmallIntegerField(_("lines"))
    mention = models.CharField(_("mention of the law"), max_length=300, blank=True)
    due_on = models.DateField(_("to be paid by"), null=True, blank=True)  # empty: it was paid when it was issued
    # The terms of payment of an invoice that is to be paid; of a note that cancels one, the reason.
    remark = models.CharField(_("remark"), max_length=500, blank=True, default="", db_default="")
    payment_method = models.CharField(_("paid through"), max_length=20, blank=True)
    issued_at = models.DateTimeField(_("issued at"))
    issued_on = models.DateField(_("date"))  # in the seller's time zone
    render_next_at = models.DateTimeField(_("rendered next at"), null=True, blank=True)  # empty: it is rendered
    render_tries = models.PositiveIntegerField(_("tries to render"), default=0)
    render_error = models.CharField(_("why it is not rendered"), max_length=500, blank=True)

    objects = InvoiceQuerySet.as_manager()

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        default_permissions = ("view",)
        permissions = [
            ("issue_invoice", "Can have invoices issued"),
            ("cancel_invoice", "Can cancel unpaid invoices"),
            ("mail_invoice", "Can send invoices by mail"),
            ("export_invoice", "Can download all invoices of a month"),
        ]
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(name="invoice_number_once_per_series", fields=["kind", "year", "sequence"]),
            models.UniqueConstraint(
                name="invoice_once_per_payment",
                fields=["payment"],
                condition=Q(kind__in=SALES, corrects__isnull=True),
            ),
            models.UniqueConstraint(
                name="invoice_once_a_month_of_use",
                fields=["user", "month", "currency"],
                condition=Q(month__isnull=False),
            ),
            models.CheckConstraint(
                name="invoice_is_of_a_payment_or_a_month",
                condition=Q(payment__isnull=False, month__isnull=True)
                | Q(payment__isnull=True, month__isnull=False, kind=InvoiceKind.INVOICE),
            ),
            models.CheckConstraint(name="invoice_kind_known", condition=Q(kind__in=InvoiceKind.values)),
            models.CheckConstraint(name="invoice_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(
                name="invoice_totals_agree",
                condition=Q(gross_minor=F("net_minor") + F("tax_minor"), net_minor__gte=0, tax_minor__gte=0),
            ),
            models.CheckConstraint(
                name="invoice_credit_note_corrects_an_invoice",
                condition=Q(kind__in=SALES, corrects__isnull=True, refund__isnull=True)
                | Q(kind=InvoiceKind.CREDIT_NOTE, corrects__isnull=False)
                | Q(kind__in=SALES, corrects__isnull=False, refund__isnull=False),
            ),
            models.UniqueConstraint(
                name="invoice_corrected_once_per_refund",
                fields=["refund", "corrects", "times_back"],
                condition=Q(refund__isnull=False),
            ),
            models.UniqueConstraint(
                name="invoice_cancelled_once",
                fields=["corrects"],
                condition=Q(corrects__isnull=False, refund__isnull=True),
            ),
            models.CheckConstraint(
                name="invoice_due_is_of_a_payment",
                condition=Q(due_on__isnull=True) | Q(kind=InvoiceKind.INVOICE, payment__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="invoice_by_user", fields=["user", "id"]),
            models.Index(name="invoice_by_date", fields=["issued_on"]),
            models.Index(name="invoice_by_due_date", fields=["due_on"], condition=Q(due_on__isnull=False)),
            models.Index(
                name="invoice_to_render", fields=["render_next_at"], condition=Q(render_next_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def net(self) -> Money:
        return Money(self.net_minor, self.currency)

    @property
    def tax(self) -> Money:
        return Money(self.tax_minor, self.currency)

    @property
    def gross(self) -> Money:
        return Money(self.gross_minor, self.currency)

    @property
    def is_credit_note(self) -> bool:
        return self.kind == InvoiceKind.CREDIT_NOTE

    @property
    def is_to_be_paid(self) -> bool:
        """Its payment waits; it can be paid on its page until it is cancelled."""
        return self.due_on is not None and self.payment is not None and self.payment.status == PaymentStatus.PENDING

    @property
    def status(self) -> InvoiceStatus:
        """By its payment, and what was credited since."""
        credited = sum(each.gross_minor for each in self.credit_notes.all() if not each.credit_notes.all())
        if not credited:
            is_paid = self.payment is None or self.payment.status == PaymentStatus.SUCCEEDED
            return InvoiceStatus.PAID if is_paid else InvoiceStatus.ISSUED
        return InvoiceStatus.CREDITED if credited >= self.gross_minor else InvoiceStatus.PARTLY_CREDITED


class InvoiceLine(models.Model):
    """One thing that was sold, or the part of it that a credit note takes back."""

    invoice = models.ForeignKey(
        Invoice, models.PROTECT, related_name="lines", db_index=False, verbose_name=_("invoice")
    )
    position = models.PositiveSmallIntegerField(_("position"))
    corrects = models.ForeignKey(
        "self", models.PROTECT, related_name="corrections", null=True, blank=True, verbose_name=_("corrects")
    )
    description = models.CharField(_("description"), max_length=200)
    quantity = models.PositiveIntegerField(_("quantity"), default=1)
    unit_price_minor = models.BigIntegerField(_("unit price in minor units"))  # net, before the discount
    discount_minor = models.BigIntegerField(_("discount in minor units"), default=0)  # net
    tax_category = models.CharField(_("tax category"), max_length=2, choices=TaxCategory)
    tax_basis_points = models.PositiveIntegerField(_("tax rate in basis points"))
    net_minor = models.BigIntegerField(_("net in minor units"))
    tax_minor = models.BigIntegerField(_("tax in minor units"))
    gross_minor = models.BigIntegerField(_("gross in minor units"))

    class Meta:
        verbose_name = _("invoice line")
        verbose_name_plural = _("invoice lines")
        default_permissions = ("view",)
        ordering = ["invoice", "position"]
        constraints = [
            models.UniqueConstraint(name="invoice_line_position_once", fields=["invoice", "position"]),
            models.CheckConstraint(
                name="invoice_line_tax_category_known", condition=Q(tax_category__in=TaxCategory.values)
            ),
            models.CheckConstraint(
                name="invoice_line_totals_agree",
                condition=Q(
                    gross_minor=F("net_minor") + F("tax_minor"),
                    net_minor=F("quantity") * F("unit_price_minor") - F("discount_minor"),
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.description


class InvoiceFile(models.Model):
    """The bytes of an issued invoice. They are made once, kept with their digests, and never made again."""

    invoice = models.OneToOneField(
        Invoice, models.PROTECT, primary_key=True, related_name="file", verbose_name=_("invoice")
    )
    pdf = models.BinaryField()
    xml = models.BinaryField(default=bytes)  # empty where EN 16931 cannot write the currency
    pdf_sha256 = models.CharField(max_length=64)
    xml_sha256 = models.CharField(max_length=64, blank=True)
    rendered_at = models.DateTimeField(_("rendered at"), auto_now_add=True)

    class Meta:
        verbose_name = _("invoice file")
        verbose_name_plural = _("invoice files")
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.pdf_sha256
