"""The page of a withdrawal, with what became of it at its gateway: wallets knows nothing of gateways, so it is here."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import StackedInline
from unfold.decorators import action

from billing import errors, payout_sending, payouts
from billing.admin import facts
from billing.admin.acts import proof_field
from billing.admin.finding import IDS, in_the_books, of_gateway
from billing.admin.refusal_words import WORDS
from billing.errors import BillingError
from billing.models import Case, Payout
from ledger.columns import shown
from ledger.models import Hold
from rest import acts
from rest.acts import ActForm, asks_for, operator
from rest.links import ConnectedAdmin, Link, Text, to_each
from rest.lists import called
from wallets.admin.sales import SaleAdmin
from wallets.admin.shared import ActsAdmin
from wallets.admin.withdrawals import WithdrawalAdmin
from wallets.models import Sale, Wallet, Withdrawal, WithdrawalStatus

ENDS = [("paid", _("it was paid")), ("not_paid", _("it was not paid, and never will be"))]


class ResolveForm(ActForm):
    end = acts.choice_field(_("how it ended"), ENDS)
    proof = proof_field(_("The gateway's reference of the transfer, or who there has said so."))


class PayoutInline(StackedInline):
    model = Payout
    fields = (
        "gateway", "state", "sends", "first_sent_at", "sent_at", "asks", "next_try_at", "failure_category",
        "failure_code", "fee_shown", "ids_shown", "choice_shown", "reply_shown",
    )  # fmt: skip
    readonly_fields = fields
    extra = 0
    can_delete = False
    tab = False

    @admin.display(description=_("fee of the gateway"))
    def fee_shown(self, payout: Payout) -> str:
        return "-" if payout.fee_minor is None else shown(payout.fee_minor, payout.withdrawal.wallet.currency)

    @admin.display(description=_("ids at the gateway"))
    def ids_shown(self, payout: Payout) -> str:
        return facts.listed(facts.pairs(payout.gateway_ids))

    @admin.display(description=_("choice of the gateway"))
    def choice_shown(self, payout: Payout) -> str:
        return facts.listed(facts.choice(payout.choice, payout.withdrawal.wallet.currency))

    @admin.display(description=_("last reply"))
    def reply_shown(self, payout: Payout) -> str:
        return facts.listed(facts.pairs(payout.last_reply))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


admin.site.unregister(Withdrawal)


admin.site.unregister(Sale)


@admin.register(Sale)
class PaidSaleAdmin(SaleAdmin):
    list_filter = (*SaleAdmin.list_filter, ("gateway", of_gateway))  # type: ignore[assignment]


@admin.register(Withdrawal)
class PaidWithdrawalAdmin(ConnectedAdmin, WithdrawalAdmin):  # type: ignore[misc]
    refusals = (*ActsAdmin.refusals, BillingError)
    words = WORDS
    inlines = (*WithdrawalAdmin.inlines, PayoutInline)  # type: ignore[assignment]
    actions_detail = ("approve", "reject", "ask", "resolve")  # type: ignore[assignment]
    shown_for = {
        **WithdrawalAdmin.shown_for,
        "ask": lambda withdrawal: Payout.objects.filter(withdrawal=withdrawal, sent_at__isnull=False).exists(),
        "resolve": lambda withdrawal: withdrawal.status == WithdrawalStatus.UNCERTAIN,
    }
    has_ask_payout_permission = asks_for("billing.ask_payout")
    has_resolve_payout_permission = asks_for("billing.resolve_payout")

    def connected(self, request: HttpRequest, withdrawal: Withdrawal) -> Iterator[tuple[Text, list[Link]]]:
        wallets = Wallet.objects.filter(pk=withdrawal.wallet_id).select_related("seller__user")
        yield _("wallet"), to_each(request, wallets)
        yield _("cases"), to_each(request, Case.objects.filter(payout=withdrawal.pk).order_by("pk"))
        yield _("books"), in_the_books(request, f"withdrawal:{withdrawal.pk}")
        yield _("held in the books"), to_each(request, Hold.objects.filter(key=withdrawal.hold_key))

    def lately(self, term: str) -> Q:
        return super().lately(term) | called("sent__gateway_ids", IDS, term)

    @action(description=_("Ask the gateway"), url_path="ask", permissions=["ask_payout"], icon="refresh")  # type: ignore[arg-type, operator]
    def ask(self, request: HttpRequest, object_id: str) -> HttpResponse:
        withdrawal = self.found(request, object_id)

        def do(form: ActForm) -> str:
            told = payout_sending.ask_now(_payout_of(withdrawal))
            status = Withdrawal.objects.get(pk=told.pk).get_status_display()
            return gettext("The withdrawal is now: %(status)s.") % {"status": status}

        return self.act(
            request,
            withdrawal,
            form=ActForm,
            title=gettext("Ask the gateway"),
            says=gettext("The gateway is asked what it knows of this payout, and what it says is done."),
            do=do,
        )

    @action(description=_("Say how it ended"), url_path="resolve", permissions=["resolve_payout"], icon="gavel")  # type: ignore[arg-type, operator]
    def resolve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        withdrawal = self.found(request, object_id)

        def do(form: ActForm) -> str:
            is_paid, proof = form.facts["end"] == "paid", form.facts["proof"]
            done = payouts.resolve(payout=_payout_of(withdrawal), is_paid=is_paid, proof=proof, by=operator(request))
            status = done.withdrawal.get_status_display()
            return gettext("The withdrawal is now: %(status)s.") % {"status": status}

        return self.act(
            request,
            withdrawal,
            form=ResolveForm,
            title=gettext("Say how it ended"),
            says=gettext(
                "Only for a payout that its gateway does not tell us about: look it up there first. What was paid "
                "leaves the wallet; what was not is the seller's again, who may then ask for it once more."
            ),
            do=do,
        )


def _payout_of(withdrawal: Withdrawal) -> Payout:
    found = Payout.objects.whole().filter(pk=withdrawal.pk).first()
    if found is None:
        raise errors.PayoutNotSent
    return found
