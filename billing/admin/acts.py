"""What the pages of billing have in common: read, and acted on by buttons with a permission of their own."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.admin.refusal_words import WORDS
from billing.errors import BillingError
from billing.gateways import registry
from billing.gateways.errors import GatewayError
from credits.admin.acts import ActsAdmin, asks_for
from credits.errors import CreditsError
from ledger.errors import LedgerError
from wallets.errors import WalletsError


def proof_field(help_text: Any) -> forms.CharField:
    """By what somebody else can see that it is so."""
    return forms.CharField(label=_("proof"), max_length=200, widget=UnfoldAdminTextInputWidget, help_text=help_text)


class BillingActsAdmin(ActsAdmin):
    found_at_gateways = ""  # a column of what is there once at each gateway

    refusals = (BillingError, CreditsError, WalletsError, LedgerError, GatewayError)
    words = WORDS

    has_cancel_payment_permission = asks_for("billing.cancel_payment")
    has_refresh_payment_permission = asks_for("billing.refresh_payment")
    has_request_refund_permission = asks_for("billing.request_refund")
    has_prove_refund_permission = asks_for("billing.prove_refund")
    has_replay_gatewayletter_permission = asks_for("billing.replay_gatewayletter")
    has_close_case_permission = asks_for("billing.close_case")
    has_change_consent_permission = asks_for("billing.change_consent")
    has_manage_method_permission = asks_for("billing.manage_method")
    has_answer_dispute_permission = asks_for("billing.answer_dispute")
    has_issue_invoice_permission = asks_for("billing.issue_invoice")
    has_cancel_invoice_permission = asks_for("billing.cancel_invoice")
    has_mail_invoice_permission = asks_for("billing.mail_invoice")
    has_export_invoice_permission = asks_for("billing.export_invoice")
    has_resolve_discrepancy_permission = asks_for("billing.resolve_discrepancy")
    has_create_coupon_permission = asks_for("billing.create_coupon")
    has_stop_coupon_permission = asks_for("billing.stop_coupon")
    has_manage_subscription_permission = asks_for("billing.manage_subscription")

    def answers(self, rows: QuerySet[Any], term: str) -> Iterator[QuerySet[Any]]:
        if self.found_at_gateways:
            yield rows.filter(gateway__in=registry.NAMES, **{self.found_at_gateways: term})
        yield from super().answers(rows, term)
