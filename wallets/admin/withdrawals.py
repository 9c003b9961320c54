"""Withdrawals: those that wait for approval first, with the two buttons that decide."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from ledger import columns
from ledger.columns import shown
from rest.acts import ActForm, ReasonForm, operator
from rest.exports import ExportingAdmin
from rest.labels import display
from wallets import withdrawals
from wallets.admin.shared import OfWallets, of_currency
from wallets.models import Withdrawal, WithdrawalStatus, WithdrawalStep
from wallets.models.withdrawals import urgency

LABELS = {
    "requested": "warning",
    "approved": "info",
    "sending": "info",
    "uncertain": "danger",
    "paid": "success",
    "returned": "danger",
    "failed": "danger",
    "rejected": "danger",
    "cancelled": "info",
}


class StepInline(TabularInline):
    model = WithdrawalStep
    fields = ("created_at", "status", "by", "note_shown")
    readonly_fields = fields
    ordering = ("id",)
    extra = 0
    can_delete = False
    tab = False

    @admin.display(description=_("note"))
    def note_shown(self, step: WithdrawalStep) -> str:
        return gettext("approved by a first person") if step.note == withdrawals.FIRST_OF_TWO else step.note

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Withdrawal)
class WithdrawalAdmin(ExportingAdmin, OfWallets):  # type: ignore[misc]
    list_display = ("seller", "amount_shown", "fee_shown", "destination", "status_shown", "needs_two", "created_at")
    list_display_links = ("amount_shown",)
    list_filter = ("status", "destination__kind", ("wallet__currency", of_currency), "needs_two")
    list_select_related = ("wallet__seller__user", "destination")
    found_lately_by = ("destination__value", "gateway_reference")
    search_help_text = _("An id, a seller; of the latest ones also where it goes, or the reference at the gateway.")
    inlines = (StepInline,)
    export_permission = "wallets.export_withdrawal"
    export_columns = {
        "id": lambda each: str(each.pk),
        "created_at": lambda each: each.created_at,
        "seller": lambda each: each.wallet.seller.user.get_username(),
        "amount": lambda each: columns.plain(each.amount_minor, each.wallet.currency),
        "fee": lambda each: columns.plain(each.fee_minor, each.wallet.currency),
        "currency": lambda each: each.wallet.currency,
        "destination": lambda each: each.destination.kind,
        "sent_to": lambda each: str(each.destination),
        "status": lambda each: each.status,
        "gateway": lambda each: each.gateway,
        "gateway_reference": lambda each: each.gateway_reference,
        "resolved_at": lambda each: each.resolved_at,
    }
    actions_detail = ("approve", "reject")  # type: ignore[assignment]
    shown_for: Mapping[str, Callable[[Any], bool]] = {
        "approve": lambda withdrawal: withdrawal.status == WithdrawalStatus.REQUESTED,
        "reject": lambda withdrawal: withdrawal.status in (WithdrawalStatus.REQUESTED, WithdrawalStatus.APPROVED),
    }
    fields = (
        "id", "seller", "amount_shown", "fee_shown", "payout_shown", "destination", "not_before", "status_shown",
        "needs_two", "first_approved_by", "approved_by", "is_automatic", "reason", "gateway", "gateway_reference",
        "created_at", "resolved_at",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Withdrawal]:
        return super().get_queryset(request).select_related("first_approved_by", "approved_by")

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        return (urgency(), "-id")

    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount_shown(self, withdrawal: Withdrawal) -> str:
        return shown(withdrawal.amount_minor, withdrawal.wallet.currency)

    @admin.display(description=_("fee"))
    def fee_shown(self, withdrawal: Withdrawal) -> str:
        return shown(withdrawal.fee_minor, withdrawal.wallet.currency)

    @admin.display(description=_("paid out"))
    def payout_shown(self, withdrawal: Withdrawal) -> str:
        return shown(withdrawal.payout.minor, withdrawal.wallet.currency)

    @display(description=_("status"), label=LABELS)
    def status_shown(self, withdrawal: Withdrawal) -> tuple[str, str]:
        return withdrawal.status, str(withdrawal.get_status_display())

    @action(description=_("Approve"), url_path="approve", permissions=["approve_withdrawal"], icon="check")  # type: ignore[arg-type, operator]
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        withdrawal = self.found(request, object_id)

        def do(form: ActForm) -> str:
            done = withdrawals.approve(withdrawal=withdrawal, by=operator(request))
            if done.status == WithdrawalStatus.REQUESTED:
                return gettext("Approved by you. A second person is needed.")
            return gettext("Approved.")

        return self.act(
            request,
            withdrawal,
            form=ActForm,
            title=gettext("Approve"),
            says=gettext("%(payout)s will be sent to %(destination)s, not before %(at)s.")
            % {
                "payout": self.payout_shown(withdrawal),
                "destination": withdrawal.destination,
                "at": f"{withdrawal.not_before:%Y-%m-%d %H:%M} UTC",
            },
            do=do,
        )

    @action(description=_("Reject"), url_path="reject", permissions=["approve_withdrawal"], icon="block")  # type: ignore[arg-type, operator]
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        withdrawal = self.found(request, object_id)

        def do(form: ActForm) -> str:
            withdrawals.reject(withdrawal=withdrawal, reason=form.facts["reason"], by=operator(request))
            return gettext("Rejected: %(reason)s") % form.facts

        return self.act(
            request,
            withdrawal,
            form=ReasonForm,
            title=gettext("Reject"),
            says=gettext("The seller has the money again, fee and all, and reads the reason."),
            do=do,
        )
