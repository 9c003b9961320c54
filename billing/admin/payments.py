"""Payments with their attempts; asking the gateway, cancelling, and giving money back with a preview of every line."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action, display

from billing import asking, refunds, refunds_by_hand
from billing.admin import facts
from billing.admin.acts import BillingActsAdmin
from billing.admin.finding import IDS, in_the_books, of_currency
from billing.models import Attempt, Case, Dispute, Invoice, Payment, Redemption, Refund, Subscription
from billing.models.payments import SETTLED, PaymentStatus
from billing.models.refunds import RefundPolicy
from billing.refund_plans import Plan
from billing.sale_payments import Share
from credits.admin import acts
from credits.admin.acts import ActForm, ReasonForm, operator
from credits.models import Grant
from ledger import columns, money
from ledger.money import Money, for_reader
from rest.exports import ExportingAdmin
from rest.links import ConnectedAdmin, Link, Text, to_each
from rest.lists import person
from wallets.models import Sale

LABELS = {
    PaymentStatus.PENDING: "info",
    PaymentStatus.SUCCEEDED: "success",
    PaymentStatus.FAILED: "danger",
    PaymentStatus.CANCELLED: "warning",
    PaymentStatus.EXPIRED: "warning",
    PaymentStatus.QUARANTINED: "danger",
}


class RefundForm(ReasonForm):
    amount = acts.money_field(
        required=False, help_text=_("As in 4.99, in the payment's currency. Empty: all that is left.")
    )
    policy = acts.choice_field(_("spent credits"), RefundPolicy.choices)
    field_order = ("amount", "policy", "reason")


class AttemptInline(TabularInline):
    model = Attempt
    fields = (
        "gateway", "state", "failure_shown", "ids_shown", "fee", "created_at", "paid_at", "asked",
    )  # fmt: skip
    readonly_fields = fields
    extra = 0
    can_delete = False
    fee = columns.amount("fee_minor", _("fee of the gateway"), unit="fee_currency")

    @admin.display(description=_("why it failed"))
    def failure_shown(self, attempt: Attempt) -> str:
        return facts.listed(facts.failure(attempt))

    @admin.display(description=_("times asked"))
    def asked(self, attempt: Attempt) -> str:
        coming = attempt.next_ask_at and date_format(timezone.localtime(attempt.next_ask_at), "SHORT_DATETIME_FORMAT")
        return facts.listed([attempt.asks, *([facts.named(gettext("asked next at"), coming)] if coming else [])])

    @admin.display(description=_("ids at the gateway"))
    def ids_shown(self, attempt: Attempt) -> str:
        return facts.listed(facts.ids(attempt))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RefundInline(TabularInline):
    model = Refund
    fields = ("amount_shown", "policy", "status", "origin", "reason", "created_at")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True

    @admin.display(description=_("amount"))
    def amount_shown(self, refund: Refund) -> str:
        return for_reader(refund.money)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Payment)
class PaymentAdmin(ConnectedAdmin, ExportingAdmin, BillingActsAdmin):  # type: ignore[misc]
    list_display = ("created_at", "customer", "description", "amount", "status_shown", "ended_at")
    list_filter = ("status", "kind", ("currency", of_currency))
    found_by_ids = ("pk", "attempts")
    found_by_people = ("user",)
    found_by_words = ("reference",)
    found_by_names = {"attempts__gateway_ids": IDS}
    search_help_text = _("The payment's id, its reference, a customer, or an id at the gateway.")
    list_select_related = ("user", "redemption__coupon")
    ordering = ("-id",)
    inlines = (AttemptInline, RefundInline)
    export_permission = "billing.export_payment"
    export_columns = {
        "id": lambda payment: str(payment.pk),
        "created_at": lambda payment: payment.created_at,
        "customer": lambda payment: payment.user.get_username(),
        "kind": lambda payment: payment.kind,
        "item": lambda payment: payment.item,
        "description": lambda payment: payment.description,
        "reference": lambda payment: payment.reference,
        "amount": lambda payment: columns.plain(payment.amount_minor, payment.currency),
        "tax": lambda payment: columns.plain(payment.tax_minor, payment.currency),
        "discount": lambda payment: columns.plain(payment.discount_minor, payment.currency),
        "currency": lambda payment: payment.currency,
        "status": lambda payment: payment.status,
        "country": lambda payment: payment.country,
        "ended_at": lambda payment: payment.ended_at,
        "delivered_at": lambda payment: payment.delivered_at,
    }
    actions_detail = ("refund", "refresh", "cancel")  # type: ignore[assignment]
    shown_for = {
        "refund": lambda payment: payment.status == PaymentStatus.SUCCEEDED and payment.amount_minor > 0,
        "refresh": lambda payment: payment.attempts.exclude(state__in=SETTLED).exists(),
        "cancel": lambda payment: payment.status == PaymentStatus.PENDING,
    }
    fields = (
        "customer", "kind", "item", "description", "reference", "notes", "amount", "tax", "discount", "coupon",
        "status", "details_shown", "choice_shown", "country", "phone", "created_at", "expires_at", "ended_at",
        "delivered_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, payment: Payment) -> SafeString:
        return person(payment.user)

    @admin.display(description=_("notes of the caller"))
    def notes(self, payment: Payment) -> str:
        return facts.listed(facts.named(name, value) for name, value in payment.metadata.items())

    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount(self, payment: Payment) -> str:
        return for_reader(payment.money)

    @admin.display(description=_("tax"))
    def tax(self, payment: Payment) -> str:
        return for_reader(payment.tax)

    @admin.display(description=_("discount"))
    def discount(self, payment: Payment) -> str:
        return for_reader(payment.discount)

    @admin.display(description=_("coupon"))
    def coupon(self, payment: Payment) -> str:
        return payment.redemption.coupon.code if payment.redemption else "-"

    @admin.display(description=_("details"))
    def details_shown(self, payment: Payment) -> str:
        return facts.listed(facts.details(payment))

    @admin.display(description=_("choice of the gateway"))
    def choice_shown(self, payment: Payment) -> str:
        return facts.listed(facts.choice(payment.routing, payment.currency))

    @display(description=_("status"), label=LABELS)  # type: ignore[arg-type]
    def status_shown(self, payment: Payment) -> tuple[str, str]:
        return payment.status, str(payment.get_status_display())

    def connected(self, request: HttpRequest, payment: Payment) -> Iterator[tuple[Text, list[Link]]]:
        grants = Grant.objects.filter(account__name__startswith=f"grant:payment:{payment.pk}").order_by("pk")
        subscription = Subscription.objects.filter(pk=payment.details.get("subscription"))
        yield _("invoices and credit notes"), to_each(request, Invoice.objects.filter(payment=payment).order_by("pk"))
        yield _("disputes"), to_each(request, Dispute.objects.filter(payment=payment).order_by("pk"))
        yield _("cases"), to_each(request, Case.objects.filter(payment=payment).order_by("pk"))
        yield _("subscription"), to_each(request, subscription.select_related("price__plan", "user"))
        yield _("use of a coupon"), to_each(request, Redemption.objects.filter(payments=payment))
        yield _("grants"), to_each(request, grants)
        yield _("sales"), to_each(request, Sale.objects.filter(payment_key=str(payment.pk)).order_by("pk"))
        yield _("books"), in_the_books(request, f"payment:{payment.pk}", f"sale:{payment.pk}")

    # ------------------------------------------------------------ acts

    @action(description=_("Refund"), url_path="refund", permissions=["request_refund"], icon="undo")  # type: ignore[arg-type, operator]
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payment = self.found(request, object_id)

        # Once a request: what is compared with what was shown is what is done.
        @cache
        def planned(form: ActForm) -> Plan:
            return refunds.preview(payment=payment, **_wish(payment, form))

        def preview(form: ActForm) -> list[str]:
            plan = planned(form)
            refunds_by_hand.may_ask_for(payment=payment, amount=plan.amount, by=operator(request))
            return list(_lines(plan))

        def do(form: ActForm) -> str:
            made = refunds_by_hand.request(
                payment=payment,
                reason=form.facts["reason"],
                by=operator(request),
                key=form.act_key,
                expected=planned(form),
                **_wish(payment, form),
            )
            said = gettext("Refund of %(amount)s: %(status)s.")
            said = said % {"amount": for_reader(made.money), "status": made.get_status_display()}
            url = reverse("admin:billing_refund_change", args=[made.pk])
            return format_html('{} <a class="underline" href="{}">{}</a>', said, url, gettext("See the refund"))

        return self.act(
            request,
            payment,
            form=RefundForm,
            title=gettext("Refund"),
            says=gettext("Money goes back to the buyer. What they must give back for it is held until it has arrived."),
            do=do,
            preview=preview,
            initial={"policy": refunds.usual_policy()},
        )

    @action(description=_("Ask the gateway"), url_path="refresh", permissions=["refresh_payment"], icon="refresh")  # type: ignore[arg-type, operator]
    def refresh(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payment = self.found(request, object_id)

        def do(form: ActForm) -> str:
            told = asking.refresh(payment)
            return gettext("The payment is now: %(status)s.") % {"status": told.get_status_display()}

        return self.act(
            request,
            payment,
            form=ActForm,
            title=gettext("Ask the gateway"),
            says=gettext("The gateway is asked what it knows of the last attempt, and what it says is done."),
            do=do,
        )

    @action(description=_("Cancel"), url_path="cancel", permissions=["cancel_payment"], icon="block")  # type: ignore[arg-type, operator]
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        payment = self.found(request, object_id)

        def do(form: ActForm) -> str:
            told = asking.cancel(payment)
            return gettext("The payment is now: %(status)s.") % {"status": told.get_status_display()}

        return self.act(
            request,
            payment,
            form=ActForm,
            title=gettext("Cancel the payment"),
            says=gettext("The gateway is asked to forget it; nobody can pay it any more."),
            do=do,
        )


def _wish(payment: Payment, form: ActForm) -> dict[str, Any]:
    written = form.facts["amount"]
    return {
        "amount": money.as_written(written, payment.currency) if written else None,
        "policy": RefundPolicy(form.facts["policy"]),
    }


def _lines(plan: Plan) -> list[str]:
    lines = [
        gettext("Can be refunded at most: %(amount)s")
        % {"amount": for_reader(Money(plan.refundable, plan.amount.unit))},
        gettext("Goes back to the buyer: %(amount)s") % {"amount": for_reader(plan.amount)},
    ]
    if plan.tax.minor:
        lines.append(gettext("Of that tax: %(amount)s") % {"amount": for_reader(plan.tax)})
    for key, amount in plan.lines.items():
        source = gettext("bonus credits") if key.endswith((":bonus", ":coupon")) else gettext("paid credits")
        lines.append(gettext("Taken back: %(amount)s %(source)s") % {"amount": amount, "source": source})
    for share in plan.shares:
        lines += _of_seller(share)
    if plan.gone:
        lines.append(gettext("Revoked or expired already, nothing is owed: %(amount)s credits") % {"amount": plan.gone})
    if plan.owed:
        lines.append(gettext("Spent already, becomes a debt: %(amount)s credits") % {"amount": plan.owed})
    if plan.stops_top_up:
        lines.append(gettext("The automatic top-up stops, until the customer agrees to it anew."))
    if plan.kept:
        lines.append(gettext("Left to the customer at our cost: %(amount)s credits") % {"amount": plan.kept})
    return lines


def _of_seller(share: Share) -> list[str]:
    """Whom the money of one sale is taken from."""
    plan, lines = share.plan, []
    named = {"seller": share.sale.wallet.seller, "reference": share.sale.reference or share.sale.type.label}
    said = (
        (plan.pending, gettext("From what %(seller)s has pending (%(reference)s): %(amount)s")),
        (plan.reserve, gettext("From the reserve of %(seller)s (%(reference)s): %(amount)s")),
        (plan.available, gettext("From what %(seller)s has available (%(reference)s): %(amount)s")),
        (plan.debt, gettext("Owed by %(seller)s from then on (%(reference)s): %(amount)s")),
        (plan.commission, gettext("From our commission on %(seller)s (%(reference)s): %(amount)s")),
        (plan.cost, gettext("Withdrawn by %(seller)s already, borne by us (%(reference)s): %(amount)s")),
    )
    for amount, sentence in said:
        if amount.minor:
            lines.append(sentence % (named | {"amount": for_reader(amount)}))
    return lines
