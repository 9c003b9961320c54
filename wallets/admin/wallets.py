"""Sellers, wallets and corrections by hand."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from ledger.columns import shown
from rest import acts
from rest.acts import ActForm, ReasonForm, StandingAdmin, operator
from rest.labels import display
from rest.lists import person
from wallets import adjustments, balances, sellers, transactions
from wallets.admin.shared import ActsAdmin, DecimalAmountField, OfWallets, of_currency, parse_amount
from wallets.models import Adjustment, AdjustmentStatus, Seller, SellerKind, Wallet, Withdrawal
from wallets.sellers import PARTS
from wallets.transactions import LABELS, MOVED_WITHIN, Transaction, Wanted

SHOWN = 15


def _amounts(line: Transaction, currency: str) -> tuple[str, str]:
    """What it changed in all, unless money only moved on within the wallet, and what of it is available."""
    return shown(line.change, currency) if line.change else MOVED_WITHIN, shown(line.available, currency)


class AdjustForm(ReasonForm):
    direction = acts.choice_field(_("direction"), [("more", _("give")), ("less", _("take away"))])
    amount = DecimalAmountField()
    field_order = ("direction", "amount", "reason")


class KindForm(ActForm):
    kind = forms.ModelChoiceField(SellerKind.objects.filter(is_active=True), label=_("kind of seller"))


class ReserveForm(ActForm):
    basis_points = acts.amount_field(label=_("rolling reserve in basis points"), min_value=0, max_value=10_000)
    days = acts.amount_field(label=_("days in reserve"), min_value=0, max_value=365)


@admin.register(Seller)
class SellerAdmin(ActsAdmin):
    list_display = ("user", "kind", "reserve_basis_points", "reserve_days")
    list_filter = ("kind",)
    list_select_related = ("user", "kind")
    found_by_people = ("user",)
    search_fields = ("user__username",)  # they are few, and rules are made for one of them by a part of the name
    ordering = ("-id",)
    actions_detail = ("set_kind", "set_reserve")  # type: ignore[assignment]
    fields = ("user", "kind", "reserve_basis_points", "reserve_days")
    readonly_fields = fields

    @action(description=_("Kind"), url_path="kind", permissions=["change_seller"], icon="badge")  # type: ignore[arg-type, operator]
    def set_kind(self, request: HttpRequest, object_id: str) -> HttpResponse:
        seller = self.found(request, object_id)

        def do(form: ActForm) -> str:
            sellers.set_kind(user=seller.user, kind=form.facts["kind"].code)
            return gettext("Kind: %(kind)s.") % {"kind": form.facts["kind"].label}

        return self.act(
            request,
            seller,
            form=KindForm,
            title=gettext("Change the kind"),
            says=gettext("It decides which commission rules count for later sales."),
            do=do,
            initial={"kind": seller.kind_id},
        )

    @action(description=_("Reserve"), url_path="reserve", permissions=["change_seller"], icon="savings")  # type: ignore[arg-type, operator]
    def set_reserve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        seller = self.found(request, object_id)

        def do(form: ActForm) -> str:
            sellers.set_reserve(seller=seller, **form.facts)
            return gettext("Reserve: %(basis_points)s basis points for %(days)s days.") % form.facts

        return self.act(
            request,
            seller,
            form=ReserveForm,
            title=gettext("Change the reserve"),
            says=gettext("This part of each sale that clears from now on is kept back for so many days. Zeros: none."),
            do=do,
            initial={"basis_points": seller.reserve_basis_points, "days": seller.reserve_days},
        )


@admin.register(Wallet)
class WalletAdmin(StandingAdmin, ActsAdmin):  # type: ignore[misc]
    list_display = ("seller_shown", "currency", "pending_shown", "available_shown", "held_shown", "owed_shown")
    list_display_links = ("currency",)
    list_filter = (("currency", of_currency), "seller__kind")
    found_by_people = ("seller__user",)
    ordering = ("-id",)
    change_form_before_template = "admin/wallets/wallet/standing.html"  # type: ignore[assignment]
    actions_detail = ("adjust",)  # type: ignore[assignment]
    fields = ("seller_shown", "currency", "pending_shown", "available_shown", "held_shown", "owed_shown")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Wallet]:
        return super().get_queryset(request).select_related("seller__user", *PARTS)

    @admin.display(description=_("seller"), ordering="seller__user__username")
    def seller_shown(self, wallet: Wallet) -> SafeString:
        return person(wallet.seller.user)

    @admin.display(description=_("pending"))
    def pending_shown(self, wallet: Wallet) -> str:
        return shown(wallet.pending.balance - wallet.pending.held, wallet.currency)

    @admin.display(description=_("available"), ordering="available__balance")
    def available_shown(self, wallet: Wallet) -> str:
        return shown(wallet.available.balance - wallet.available.held, wallet.currency)

    @admin.display(description=_("held"))
    def held_shown(self, wallet: Wallet) -> str:
        return shown(wallet.pending.held + wallet.available.held + wallet.reserve.held, wallet.currency)

    @admin.display(description=_("owed"), ordering="debt__balance")
    def owed_shown(self, wallet: Wallet) -> str:
        return shown(-wallet.debt.balance, wallet.currency)

    def standing(self, request: HttpRequest, wallet: Wallet) -> dict[str, Any]:
        found = balances.of_wallet(wallet)
        parts = {
            _("Pending"): found.pending,
            _("Available"): found.available,
            _("On its way out, or held"): found.held,
            _("In reserve"): found.reserved,
            _("Owed"): found.owed,
        }
        lines = transactions.page(Wanted(wallets=[wallet]), SHOWN)
        return {
            "figures": [(name, shown(minor, wallet.currency)) for name, minor in parts.items()],
            "upcoming": [(each["at"], shown(each["amount"], wallet.currency)) for each in found.upcoming],
            "open_withdrawals": [
                (each, shown(each.amount_minor, wallet.currency))
                for each in Withdrawal.objects.open().filter(wallet=wallet).order_by("id")[:SHOWN]
            ],
            "lines": [(line, LABELS.get(line.kind, line.kind), *_amounts(line, wallet.currency)) for line in lines],
            "today": datetime.now(UTC),
        }

    @action(description=_("Adjust"), url_path="adjust", permissions=["adjust_wallet"], icon="tune")  # type: ignore[arg-type, operator]
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        wallet = self.found(request, object_id)

        def do(form: ActForm) -> str:
            facts = form.facts
            amount = parse_amount(facts["amount"], wallet.currency)
            signed = amount if facts["direction"] == "more" else -amount
            made = adjustments.request(
                wallet=wallet, amount=signed, reason=facts["reason"], key=form.act_key, by=operator(request)
            )
            if made.status == AdjustmentStatus.REQUESTED:
                return gettext("A second person has to agree to this adjustment.")
            return gettext("Adjusted by %(amount)s: %(reason)s") % {
                "amount": shown(signed.minor, wallet.currency),
                "reason": facts["reason"],
            }

        return self.act(
            request,
            wallet,
            form=AdjustForm,
            title=gettext("Adjust"),
            says=gettext("A correction of the available money by hand. What is given repays first what is owed."),
            do=do,
        )


@admin.register(Adjustment)
class AdjustmentAdmin(OfWallets):
    list_display = ("seller", "amount_shown", "reason", "status_shown", "requested_by", "decided_by", "created_at")
    list_display_links = ("amount_shown",)
    list_filter = ("status", ("wallet__currency", of_currency))
    list_select_related = ("wallet__seller__user", "requested_by", "decided_by")
    ordering = ("-status", "-id")  # what waits for a second person comes first: its name is the last in the alphabet
    actions_detail = ("approve", "reject")  # type: ignore[assignment]
    shown_for = dict.fromkeys(actions_detail, lambda adjustment: adjustment.status == AdjustmentStatus.REQUESTED)
    fields = ("id", "seller", "amount_shown", "reason", "status_shown", "requested_by", "decided_by", "created_at")
    readonly_fields = fields

    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount_shown(self, adjustment: Adjustment) -> str:
        return shown(adjustment.amount_minor, adjustment.wallet.currency)

    @display(description=_("status"), label={"requested": "warning", "booked": "success", "rejected": "danger"})
    def status_shown(self, adjustment: Adjustment) -> tuple[str, str]:
        return adjustment.status, str(adjustment.get_status_display())

    @action(description=_("Approve"), url_path="approve", permissions=["adjust_wallet"], icon="check")  # type: ignore[arg-type, operator]
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        adjustment = self.found(request, object_id)

        def do(form: ActForm) -> str:
            adjustments.approve(adjustment=adjustment, by=operator(request))
            return gettext("Booked.")

        says = gettext("%(amount)s will be booked: %(reason)s")
        facts = {"amount": self.amount_shown(adjustment), "reason": adjustment.reason}
        return self.act(request, adjustment, form=ActForm, title=gettext("Approve"), says=says % facts, do=do)

    @action(description=_("Reject"), url_path="reject", permissions=["adjust_wallet"], icon="block")  # type: ignore[arg-type, operator]
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        adjustment = self.found(request, object_id)

        def do(form: ActForm) -> str:
            adjustments.reject(adjustment=adjustment, by=operator(request))
            return gettext("Rejected.")

        says = gettext("Nothing will be booked.")
        return self.act(request, adjustment, form=ActForm, title=gettext("Reject"), says=says, do=do)
