"""The closed list of what can be told. What each type carries stands in events/shapes.py, and in docs/events.md."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class EventType(models.TextChoices):
    """A new one needs its shape, a migration for the constraint, and a line in docs/events.md; tests ask for each."""

    PAYMENT_SUCCEEDED = "payment.succeeded", _("payment succeeded")
    PAYMENT_FAILED = "payment.failed", _("payment failed")
    PAYMENT_REFUNDED = "payment.refunded", _("payment refunded")
    PAYMENT_DISPUTED = "payment.disputed", _("payment disputed")
    REFUND_FAILED = "refund.failed", _("refund failed")
    DISPUTE_WON = "dispute.won", _("dispute won")
    DISPUTE_LOST = "dispute.lost", _("dispute lost")
    SUBSCRIPTION_ACTIVATED = "subscription.activated", _("subscription activated")
    SUBSCRIPTION_UPDATED = "subscription.updated", _("subscription updated")
    SUBSCRIPTION_PAST_DUE = "subscription.past_due", _("subscription past due")
    SUBSCRIPTION_CANCELLED = "subscription.cancelled", _("subscription cancelled")
    RENEWAL_REMINDER = "renewal.reminder", _("renewal reminder")
    TOP_UP_SUSPENDED = "top_up.suspended", _("automatic top-up suspended")
    CREDITS_GRANTED = "credits.granted", _("credits granted")
    CREDITS_LOW = "credits.low", _("credits low")
    CREDITS_EMPTY = "credits.empty", _("credits used up")
    CREDITS_EXPIRING = "credits.expiring", _("credits about to expire")
    CREDITS_EXPIRED = "credits.expired", _("credits expired")
    CREDITS_ADJUSTED = "credits.adjusted", _("credits adjusted")
    HOLD_EXPIRED = "hold.expired", _("hold expired")
    SALE_RECORDED = "sale.recorded", _("sale recorded")
    SALE_RELEASED = "sale.released", _("sale released")
    SALE_REFUNDED = "sale.refunded", _("sale refunded")
    WITHDRAWAL_REQUESTED = "withdrawal.requested", _("withdrawal requested")
    WITHDRAWAL_APPROVED = "withdrawal.approved", _("withdrawal approved")
    WITHDRAWAL_REJECTED = "withdrawal.rejected", _("withdrawal rejected")
    WITHDRAWAL_PAID = "withdrawal.paid", _("withdrawal paid")
    WITHDRAWAL_FAILED = "withdrawal.failed", _("withdrawal failed")
    WITHDRAWAL_CANCELLED = "withdrawal.cancelled", _("withdrawal cancelled")
    INVOICE_ISSUED = "invoice.issued", _("invoice issued")
    CREDIT_NOTE_ISSUED = "credit_note.issued", _("credit note issued")
