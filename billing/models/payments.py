"""Payments: what somebody buys and what it costs, frozen when they said so; and each try at a gateway to be paid."""

from typing import Self

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.postgres.indexes import GinIndex
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KT
from django.utils.translation import gettext_lazy as _

from billing.models.gateways import CEILING, CURRENCY
from ledger.ids import uuid7
from ledger.money import Money, for_reader


class PaymentKind(models.TextChoices):
    """What is bought."""

    PACK = "pack", _("pack")
    PLAN = "plan", _("plan")
    SALE = "sale", _("sale of a seller")
    AMOUNT = "amount", _("free amount")
    BILL = "bill", _("invoice to be paid")  # issued before it is paid: it waits until it is paid or cancelled


class PaymentStatus(models.TextChoices):
    PENDING = "pending", _("being paid")
    SUCCEEDED = "succeeded", _("paid")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")
    EXPIRED = "expired", _("abandoned")
    QUARANTINED = "quarantined", _("in quarantine")  # money came that is not what we asked for


class AttemptState(models.TextChoices):
    CREATED = "created", _("being sent")
    REQUIRES_ACTION = "requires_action", _("waits for the buyer")
    PENDING = "pending", _("under way")
    AUTHORIZED = "authorized", _("authorized")
    UNKNOWN = "unknown", _("unknown")  # the gateway may have acted: it is asked until it says
    SUCCEEDED = "succeeded", _("paid")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")
    EXPIRED = "expired", _("expired")
    SURPLUS = "surplus", _("paid twice")  # another attempt had paid before: this money goes back
    QUARANTINED = "quarantined", _("in quarantine")


LIVE = (
    AttemptState.CREATED,
    AttemptState.REQUIRES_ACTION,
    AttemptState.PENDING,
    AttemptState.AUTHORIZED,
    AttemptState.UNKNOWN,
)
# The money came, and nothing was delivered for it: it stands in `suspense`.
ASIDE = (AttemptState.SURPLUS, AttemptState.QUARANTINED)
# Money has come, right or wrong: nothing that a gateway says later takes that back here. Refunds and disputes do.
SETTLED = (AttemptState.SUCCEEDED, *ASIDE)
ENDED = (AttemptState.FAILED, AttemptState.CANCELLED, AttemptState.EXPIRED)


class PaymentQuerySet(models.QuerySet["Payment"]):
    def of(self, user: User) -> Self:
        return self.filter(user=user)

    def with_attempts(self) -> Self:
        return self.select_related("user", "redemption__coupon").prefetch_related("attempts")


class Payment(models.Model):
    """What is bought and for how much never changes after birth; only the status moves, and never back from paid.

    A gateway that reckons the tax itself puts its figures in place of ours once, in the moment in which it is paid.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="payments", db_index=False, verbose_name=_("customer")
    )
    kind = models.CharField(_("what"), max_length=6, choices=PaymentKind)
    item = models.CharField(_("item"), max_length=100, blank=True)  # the code of what is bought
    description = models.CharField(_("description"), max_length=200)
    # As it was on sale at that moment: whatever the catalogue says later, this is what was bought.
    details = models.JSONField(_("details"), default=dict, encoder=DjangoJSONEncoder)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    currency = models.CharField(_("currency"), max_length=3)
    tax_minor = models.BigIntegerField(_("tax in minor units"), default=0, db_default=0)  # part of the amount
    discount_minor = models.BigIntegerField(_("discount in minor units"), default=0, db_default=0)  # taken off before
    redemption = models.ForeignKey(
        "billing.Redemption",
        models.PROTECT,
        related_name="payments",
        null=True,
        blank=True,
        db_index=False,
        verbose_name=_("use of a coupon"),
    )
    status = models.CharField(
        _("status"), max_length=11, choices=PaymentStatus, default=PaymentStatus.PENDING, db_default="pending"
    )
    routing = models.JSONField(_("choice of the gateway"), default=dict)
    country = models.CharField(_("country"), max_length=2, blank=True)
    phone = models.CharField(_("telephone"), max_length=20, blank=True)
    success_url = models.URLField(_("success page"), max_length=1000, blank=True)
    cancel_url = models.URLField(_("cancel page"), max_length=1000, blank=True)
    # The caller's own words for it: the number of an order, and notes that we keep and never read.
    reference = models.CharField(_("reference"), max_length=200, blank=True, default="", db_default="")
    metadata = models.JSONField(_("notes of the caller"), default=dict, db_default={}, blank=True)
    saves_method = models.BooleanField(_("saves the card"), default=False, db_default=False)  # the buyer asked for it
    # The caller's Idempotency-Key. Kept here, since it has to be committed before the gateway is called.
    request_scope = models.CharField(max_length=300, blank=True, editable=False)
    request_key = models.CharField(max_length=255, null=True, editable=False)  # noqa: DJ001 - null: none was sent
    request_fingerprint = models.BinaryField(max_length=32, default=bytes, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)  # paid, failed, cancelled or abandoned
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        default_permissions = ("view",)
        permissions = [
            ("start_checkout", "Can start checkouts for customers"),
            ("cancel_payment", "Can cancel payments"),
            ("refresh_payment", "Can ask a gateway about a payment"),
            ("export_payment", "Can download payments"),
        ]
        constraints = [
            models.CheckConstraint(name="payment_kind_known", condition=Q(kind__in=PaymentKind.values)),
            models.CheckConstraint(name="payment_status_known", condition=Q(status__in=PaymentStatus.values)),
            models.CheckConstraint(
                name="payment_amount_positive_or_all_taken_off",
                condition=Q(amount_minor__gt=0, amount_minor__lte=CEILING) | Q(amount_minor=0, discount_minor__gt=0),
            ),
            models.CheckConstraint(
                name="payment_tax_is_part_of_the_amount",
                condition=Q(tax_minor__gte=0, tax_minor__lte=F("amount_minor")),
            ),
            models.CheckConstraint(
                name="payment_discount_not_negative", condition=Q(discount_minor__gte=0, discount_minor__lte=CEILING)
            ),
            models.CheckConstraint(name="payment_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(
                name="payment_delivered_only_when_paid",
                condition=Q(delivered_at__isnull=True) | Q(status=PaymentStatus.SUCCEEDED),
            ),
            models.CheckConstraint(
                name="payment_is_over_or_pending",
                condition=Q(status=PaymentStatus.PENDING, ended_at__isnull=True)
                | (~Q(status=PaymentStatus.PENDING) & Q(ended_at__isnull=False)),
            ),
            models.UniqueConstraint(
                name="payment_once_per_request_key",
                fields=["request_scope", "request_key"],
                condition=Q(request_key__isnull=False),
            ),
            # Two that wait could both be paid. What a gateway that renews has charged already waits for nobody.
            models.UniqueConstraint(
                KT("details__subscription"),
                KT("details__purpose"),
                name="payment_waits_once_per_plan_and_purpose",
                condition=Q(kind=PaymentKind.PLAN, status=PaymentStatus.PENDING, details__invoice__isnull=True),
            ),
        ]
        indexes = [
            models.Index(name="payment_by_user", fields=["user", "id"]),
            models.Index(name="payment_by_reference", fields=["reference"], condition=~Q(reference="")),
            models.Index(name="payment_by_redemption", fields=["redemption"], condition=Q(redemption__isnull=False)),
            models.Index(name="payment_paid_lately", fields=["ended_at"], condition=Q(status="succeeded")),
            models.Index(name="payment_still_pending", fields=["expires_at"], condition=Q(status="pending")),
            models.Index(
                name="payment_undelivered",
                fields=["id"],
                condition=Q(status="succeeded", delivered_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{for_reader(self.money)} {self.description}"

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def tax(self) -> Money:
        return Money(self.tax_minor, self.currency)

    @property
    def discount(self) -> Money:
        return Money(self.discount_minor, self.currency)


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def live(self) -> Self:
        return self.filter(state__in=LIVE)


class Attempt(models.Model):
    """One try at one gateway. It is committed before the call, and its id is our reference there."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="attempts", verbose_name=_("payment"))
    gateway = models.CharField(_("gateway"), max_length=20)
    state = models.CharField(
        _("state"), max_length=15, choices=AttemptState, default=AttemptState.CREATED, db_default="created"
    )
    gateway_ids = models.JSONField(_("ids at the gateway"), default=dict)
    notify_token = models.CharField(max_length=64, unique=True, editable=False)  # of the address it is to write to
    next_action = models.JSONField(_("next action"), default=dict, blank=True, encoder=DjangoJSONEncoder)
    failure_category = models.CharField(_("why it failed"), max_length=30, blank=True)
    failure_code = models.CharField(_("its word for it"), max_length=100, blank=True)
    failure_message = models.CharField(_("its sentence"), max_length=500, blank=True)
    last_reply = models.JSONField(_("last reply"), default=dict, encoder=DjangoJSONEncoder)
    fee_minor = models.BigIntegerField(_("fee in minor units"), null=True, blank=True)
    fee_currency = models.CharField(_("currency of the fee"), max_length=3, blank=True)
    next_ask_at = models.DateTimeField(_("asked next at"), null=True, blank=True)
    asks = models.PositiveIntegerField(_("times asked"), default=0, db_default=0)
    not_found = models.PositiveSmallIntegerField(default=0, db_default=0)  # times in a row that it was not known
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        default_permissions = ("view",)
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(name="attempt_state_known", condition=Q(state__in=AttemptState.values)),
            # Two live attempts could both be paid: that is what a buyer must never be asked for.
            models.UniqueConstraint(
                name="attempt_live_once_per_payment", fields=["payment"], condition=Q(state__in=LIVE)
            ),
            models.UniqueConstraint(
                name="attempt_succeeds_once_per_payment",
                fields=["payment"],
                condition=Q(state=AttemptState.SUCCEEDED),
            ),
            models.CheckConstraint(
                name="attempt_paid_has_its_time",
                condition=~Q(state__in=[AttemptState.SUCCEEDED, AttemptState.SURPLUS]) | Q(paid_at__isnull=False),
            ),
            models.CheckConstraint(
                name="attempt_fee_has_a_currency",
                condition=Q(fee_minor__isnull=True, fee_currency="")
                | Q(fee_minor__isnull=False, fee_minor__gte=0, fee_currency__regex=CURRENCY),
            ),
        ]
        indexes = [
            GinIndex(name="attempt_by_gateway_id", fields=["gateway_ids"], opclasses=["jsonb_path_ops"]),
            models.Index(name="attempt_to_ask", fields=["next_ask_at"], condition=Q(next_ask_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.id}"

    @property
    def reference(self) -> str:
        return self.id.hex

    @property
    def is_live(self) -> bool:
        return self.state in LIVE


class GatewayCustomer(models.Model):
    """Who a customer is at a gateway, once it knows them."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="gateway_customers", verbose_name=_("customer")
    )
    gateway = models.CharField(_("gateway"), max_length=20)
    gateway_id = models.CharField(_("id at the gateway"), max_length=255)

    class Meta:
        verbose_name = _("customer at a gateway")
        verbose_name_plural = _("customers at gateways")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(name="gateway_customer_once_per_gateway", fields=["user", "gateway"]),
            models.UniqueConstraint(name="gateway_customer_is_one_person", fields=["gateway", "gateway_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.gateway} {self.gateway_id}"
