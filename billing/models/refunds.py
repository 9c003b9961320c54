"""Money going back to a buyer, and what goes back to us for it."""

from typing import Self
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.gateways import CEILING, CURRENCY
from billing.models.payments import ASIDE, Attempt, Payment
from ledger.ids import uuid7
from ledger.money import Money, for_reader


class RefundPolicy(models.TextChoices):
    """What happens when some of the credits that were bought are spent."""

    UNSPENT_ONLY = "unspent_only", _("only if all its credits are there")
    PROPORTIONAL = "proportional", _("as much money as credits are left")
    FULL_WITH_DEBT = "full_with_debt", _("all of it; missing credits are owed")
    GOODWILL = "goodwill", _("all of it; the customer keeps the credits")


class RefundOrigin(models.TextChoices):
    ASKED = "asked", _("asked for here")
    GATEWAY = "gateway", _("made at the gateway")
    SURPLUS = "surplus", _("paid twice")


class RefundStatus(models.TextChoices):
    REQUESTED = "requested", _("to be sent")
    SENDING = "sending", _("being sent")
    PENDING = "pending", _("under way")
    UNKNOWN = "unknown", _("unknown")
    MANUAL = "manual", _("to be sent by hand")
    SUCCEEDED = "succeeded", _("arrived")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


NOT_COUNTED = (RefundStatus.FAILED, RefundStatus.CANCELLED)
UNDER_WAY = (RefundStatus.REQUESTED, RefundStatus.SENDING, RefundStatus.PENDING, RefundStatus.UNKNOWN)
OPEN = (*UNDER_WAY, RefundStatus.MANUAL)


class RefundQuerySet(models.QuerySet["Refund"]):
    def counted(self) -> Self:
        """Those that have gone back or may yet: the cap is about all of them."""
        return self.exclude(status__in=NOT_COUNTED)


class Refund(models.Model):
    """The amount and what it takes are fixed at birth; only the status moves."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds", verbose_name=_("payment"))
    attempt = models.ForeignKey(Attempt, models.PROTECT, related_name="refunds", verbose_name=_("attempt"))
    origin = models.CharField(_("origin"), max_length=7, choices=RefundOrigin, default=RefundOrigin.ASKED)
    policy = models.CharField(_("policy"), max_length=14, choices=RefundPolicy)
    status = models.CharField(_("status"), max_length=9, choices=RefundStatus, default=RefundStatus.REQUESTED)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    tax_minor = models.BigIntegerField(_("tax in minor units"), default=0)
    currency = models.CharField(_("currency"), max_length=3)
    credits_due = models.BigIntegerField(_("credits that the money stands for"), default=0)
    credits_owed = models.BigIntegerField(_("credits that become a debt"), default=0)
    # Of these what was revoked or had expired before: nobody owes it. Nothing of what the customer keeps.
    credits_gone = models.BigIntegerField(_("credits that were gone already"), default=0, db_default=0, editable=False)
    lines = models.JSONField(_("credits taken back"), default=dict)  # by the key of the grant
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("asked for by"),
    )
    request_key = models.CharField(max_length=100, default="", db_default="", editable=False)  # of a form or a request
    requested_as = models.CharField(_("asked for as"), max_length=100, blank=True)  # a service, when no operator did
    gateway_ids = models.JSONField(_("ids at the gateway"), default=dict)
    failure_category = models.CharField(_("why it failed"), max_length=30, blank=True)
    failure_code = models.CharField(_("its word for it"), max_length=100, blank=True)
    last_reply = models.JSONField(_("last reply"), default=dict, encoder=DjangoJSONEncoder)
    proof = models.CharField(_("proof"), max_length=200, blank=True)
    proof_note = models.CharField(_("note"), max_length=500, blank=True)
    proven_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, blank=True, verbose_name=_("proven by")
    )
    next_try_at = models.DateTimeField(_("tried next at"), null=True, blank=True)
    tries = models.PositiveIntegerField(_("times tried"), default=0)
    not_found = models.PositiveSmallIntegerField(default=0)
    # After it had arrived. Each time what follows is another event: in the books, among the cases and on paper.
    times_back = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = RefundQuerySet.as_manager()

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        default_permissions = ("view",)
        permissions = [
            ("request_refund", "Can refund payments"),
            ("prove_refund", "Can confirm refunds made by hand"),
            ("export_refund", "Can download refunds"),
        ]
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="refund_amount_positive", condition=Q(amount_minor__gt=0, amount_minor__lte=CEILING)
            ),
            models.CheckConstraint(
                name="refund_tax_is_part_of_the_amount", condition=Q(tax_minor__gte=0, tax_minor__lte=F("amount_minor"))
            ),
            models.CheckConstraint(name="refund_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(name="refund_status_known", condition=Q(status__in=RefundStatus.values)),
            models.CheckConstraint(name="refund_policy_known", condition=Q(policy__in=RefundPolicy.values)),
            models.CheckConstraint(name="refund_origin_known", condition=Q(origin__in=RefundOrigin.values)),
            models.CheckConstraint(
                name="refund_credits_not_negative", condition=Q(credits_due__gte=0, credits_owed__gte=0)
            ),
            models.CheckConstraint(
                name="refund_by_hand_is_proven_by_somebody",
                condition=Q(proof="", proven_by__isnull=True) | (~Q(proof="") & Q(proven_by__isnull=False)),
            ),
            models.UniqueConstraint(
                name="refund_once_per_request_key",
                fields=["payment", "request_key"],
                condition=~Q(request_key=""),
            ),
            models.UniqueConstraint(
                name="refund_of_a_surplus_once",
                fields=["attempt"],
                condition=Q(origin="surplus") & ~Q(status__in=["failed", "cancelled"]),
            ),
        ]
        indexes = [
            GinIndex(name="refund_by_gateway_id", fields=["gateway_ids"], opclasses=["jsonb_path_ops"]),
            models.Index(name="refund_arrived_lately", fields=["ended_at"], condition=Q(status="succeeded")),
            models.Index(name="refund_by_hand", fields=["id"], condition=Q(status="manual")),
            models.Index(name="refund_to_try", fields=["next_try_at"], condition=Q(next_try_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{for_reader(self.money)} {self.payment_id}"

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def tax(self) -> Money:
        return Money(self.tax_minor, self.currency)

    @property
    def reference(self) -> str:
        return UUID(str(self.id)).hex

    @property
    def key(self) -> str:
        """The name of what it takes, and of what is booked for it."""
        return f"refund:{self.pk}"

    @property
    def key_now(self) -> str:
        """The same, since it came back last: what is booked from then on is booked anew."""
        return f"{self.key}:again:{self.times_back}" if self.times_back else self.key


class DisputeState(models.TextChoices):
    OPEN = "open", _("open")
    WON = "won", _("won")
    LOST = "lost", _("lost")


class DisputeQuerySet(models.QuerySet["Dispute"]):
    def of_what_was_delivered(self, payment: Payment, state: DisputeState) -> Self:
        """Not of money that stands aside: for that nothing was delivered, so nothing is frozen or taken."""
        return self.filter(payment=payment, state=state).exclude(attempt__state__in=ASIDE)

    def of_same_money(self, refund: Refund, state: DisputeState) -> Self:
        """Of a second payment those about that one, of the others those about what was delivered."""
        if refund.origin == RefundOrigin.SURPLUS:
            return self.filter(attempt=refund.attempt_id, state=state)
        return self.of_what_was_delivered(refund.payment, state)


class Dispute(models.Model):
    """A buyer's bank wants the money back. While it is open, what was granted is frozen and nothing is refunded."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="disputes", verbose_name=_("payment"))
    attempt = models.ForeignKey(Attempt, models.PROTECT, related_name="disputes", verbose_name=_("attempt"))
    gateway_id = models.CharField(_("id at the gateway"), max_length=255)
    gateway = models.CharField(_("gateway"), max_length=20)
    state = models.CharField(_("state"), max_length=4, choices=DisputeState, default=DisputeState.OPEN)
    amount_minor = models.BigIntegerField(_("amount in minor units"))
    currency = models.CharField(_("currency"), max_length=3)
    reason = models.CharField(_("reason"), max_length=100, blank=True)
    due_at = models.DateTimeField(_("evidence due at"), null=True, blank=True)
    evidence = models.TextField(_("evidence"), blank=True)
    evidence_sent_at = models.DateTimeField(_("evidence sent at"), null=True, blank=True)
    opened_at = models.DateTimeField(_("opened at"), auto_now_add=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    objects = DisputeQuerySet.as_manager()

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        default_permissions = ("view",)
        permissions = [("answer_dispute", "Can answer disputes")]
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(name="dispute_once_at_its_gateway", fields=["gateway", "gateway_id"]),
            models.CheckConstraint(name="dispute_state_known", condition=Q(state__in=DisputeState.values)),
            models.CheckConstraint(
                name="dispute_amount_positive", condition=Q(amount_minor__gt=0, amount_minor__lte=CEILING)
            ),
            models.CheckConstraint(name="dispute_currency_is_iso", condition=Q(currency__regex=CURRENCY)),
            models.CheckConstraint(
                name="dispute_closed_has_its_time",
                condition=Q(state="open", closed_at__isnull=True) | (~Q(state="open") & Q(closed_at__isnull=False)),
            ),
        ]
        indexes = [models.Index(name="dispute_open", fields=["payment"], condition=Q(state="open"))]

    def __str__(self) -> str:
        return f"{self.gateway} {self.gateway_id}"

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def key(self) -> str:
        """What it takes is held and booked under it."""
        return f"dispute:{self.pk}"

    def open_key(self, event: str) -> str:
        """The same, of what it freezes later than at its beginning."""
        return f"{self.key}:open:{event}"

    def late_key(self, refund: Refund, times_back: int | None = None) -> str:
        """The same, of what came free when that refund had ended badly after the dispute was lost, each time anew."""
        times = refund.times_back if times_back is None else times_back
        return f"{self.key}:late:{refund.pk}" + (f":{times}" if times else "")

    def all_keys(self) -> list[str]:
        """All that it may have taken something under."""
        refunds = Refund.objects.filter(payment=self.payment_id)
        return [self.key, *(self.late_key(each, times) for each in refunds for times in range(each.times_back + 1))]
