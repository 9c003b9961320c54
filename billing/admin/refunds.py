"""Refunds and disputes, with the acts of those that wait for somebody."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from billing import disputes, refunds, refunds_by_hand
from billing.admin.acts import BillingActsAdmin, proof_field
from billing.admin.finding import IDS, in_the_books, of_currency, of_gateway
from billing.gateways.subscribing import EvidenceFile
from billing.models import Case, Customer, Dispute, Invoice, Refund
from billing.models.refunds import DisputeState, RefundStatus
from credits.admin.acts import ActForm, operator
from ledger import columns
from ledger.money import for_reader
from rest import acts
from rest.exports import ExportingAdmin
from rest.links import ConnectedAdmin, Link, Text, to_each

REFUND_LABELS = {
    RefundStatus.REQUESTED: "info",
    RefundStatus.SENDING: "info",
    RefundStatus.PENDING: "info",
    RefundStatus.UNKNOWN: "warning",
    RefundStatus.MANUAL: "warning",
    RefundStatus.SUCCEEDED: "success",
    RefundStatus.FAILED: "danger",
    RefundStatus.CANCELLED: "info",
}
ENDS = [("arrived", _("the buyer has the money")), ("not_arrived", _("it did not arrive, and never will"))]
DISPUTE_LABELS = {DisputeState.OPEN: "warning", DisputeState.WON: "success", DisputeState.LOST: "danger"}


class ProofForm(ActForm):
    proof = proof_field(_("The reference of the transfer by which the money went back."))
    note = forms.CharField(label=_("note"), max_length=500, required=False, widget=UnfoldAdminTextInputWidget)


class EndForm(ProofForm):
    end = acts.choice_field(_("how it ended"), ENDS)
    proof = proof_field(_("The gateway's reference of the refund, or who there has said so."))
    field_order = ("end", "proof", "note")


class EvidenceForm(ActForm):
    evidence = forms.CharField(label=_("evidence"), max_length=20_000, widget=UnfoldAdminTextareaWidget)
    file = forms.FileField(
        label=_("document"),
        required=False,
        max_length=100,
        widget=UnfoldAdminFileFieldWidget,
        help_text=_("A PDF, a PNG or a JPEG. Put several documents into one PDF."),
    )


@admin.register(Refund)
class RefundAdmin(ConnectedAdmin, ExportingAdmin, BillingActsAdmin):  # type: ignore[misc]
    list_display = ("created_at", "payment", "amount", "policy", "status_shown", "origin", "ended_at")
    list_filter = ("status", "origin", "policy", ("currency", of_currency))
    found_by_ids = ("pk", "payment", "attempt")
    found_by_people = ("payment__user",)
    found_by_names = {"gateway_ids": IDS, "attempt__gateway_ids": IDS}
    search_help_text = _("An id of the refund or its payment, a customer, or an id at the gateway.")
    list_select_related = ("payment__user",)
    ordering = ("-id",)
    export_permission = "billing.export_refund"
    export_columns = {
        "id": lambda refund: str(refund.pk),
        "created_at": lambda refund: refund.created_at,
        "payment": lambda refund: str(refund.payment_id),
        "customer": lambda refund: refund.payment.user.get_username(),
        "amount": lambda refund: columns.plain(refund.amount_minor, refund.currency),
        "tax": lambda refund: columns.plain(refund.tax_minor, refund.currency),
        "currency": lambda refund: refund.currency,
        "status": lambda refund: refund.status,
        "origin": lambda refund: refund.origin,
        "policy": lambda refund: refund.policy,
        "reason": lambda refund: refund.reason,
        "proof": lambda refund: refund.proof,
        "ended_at": lambda refund: refund.ended_at,
    }
    actions_detail = ("prove", "resolve", "cancel")  # type: ignore[assignment]
    shown_for = {
        "prove": lambda refund: refund.status == RefundStatus.MANUAL,
        "resolve": lambda refund: refund.status in refunds_by_hand.AT_GATEWAY,
        "cancel": lambda refund: refund.status in (RefundStatus.REQUESTED, RefundStatus.MANUAL),
    }
    fields = (
        "payment", "amount", "tax", "policy", "status", "origin", "credits_due", "credits_owed", "lines",
        "reason", "requested_by", "requested_as", "gateway_ids", "failure_category", "failure_code", "proof",
        "proof_note", "proven_by", "created_at", "sent_at", "ended_at", "next_try_at", "tries",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount(self, refund: Refund) -> str:
        return for_reader(refund.money)

    @admin.display(description=_("tax"))
    def tax(self, refund: Refund) -> str:
        return for_reader(refund.tax)

    @display(description=_("status"), label=REFUND_LABELS)  # type: ignore[arg-type]
    def status_shown(self, refund: Refund) -> tuple[str, str]:
        return refund.status, str(refund.get_status_display())

    def connected(self, request: HttpRequest, refund: Refund) -> Iterator[tuple[Text, list[Link]]]:
        key = refund.key
        yield _("customer"), to_each(request, Customer.objects.filter(pk=refund.payment.user_id))
        yield _("credit notes"), to_each(request, Invoice.objects.filter(refund=refund).order_by("pk"))
        yield _("cases"), to_each(request, Case.objects.filter(payment=refund.payment_id).order_by("pk"))
        yield _("books"), in_the_books(request, key, f"credits:takeback:{key}")

    @action(description=_("Confirm"), url_path="prove", permissions=["prove_refund"], icon="verified")  # type: ignore[arg-type, operator]
    def prove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refund = self.found(request, object_id)

        def do(form: ActForm) -> str:
            facts = form.facts
            refunds_by_hand.prove(refund=refund, proof=facts["proof"], note=facts["note"], by=operator(request))
            return gettext("Confirmed: %(proof)s") % {"proof": facts["proof"]}

        return self.act(
            request,
            refund,
            form=ProofForm,
            title=gettext("Confirm a refund by hand"),
            says=gettext("The money has gone back outside the gateway. The books and the customer's credits follow."),
            do=do,
        )

    @action(description=_("Say how it ended"), url_path="resolve", permissions=["prove_refund"], icon="gavel")  # type: ignore[arg-type, operator]
    def resolve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refund = self.found(request, object_id)

        def do(form: ActForm) -> str:
            facts = form.facts
            done = refunds_by_hand.resolve(
                refund=refund,
                has_arrived=facts["end"] == "arrived",
                proof=facts["proof"],
                note=facts["note"],
                by=operator(request),
            )
            return gettext("The refund is now: %(status)s.") % {"status": done.get_status_display()}

        return self.act(
            request,
            refund,
            form=EndForm,
            title=gettext("Say how it ended"),
            says=gettext(
                "Only for a refund that has been sent and that its gateway does not tell us about: look it up there "
                "first. What has arrived is booked, and takes its credits; what has not is free again."
            ),
            do=do,
        )

    @action(description=_("Take back"), url_path="cancel", permissions=["request_refund"], icon="block")  # type: ignore[arg-type, operator]
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        refund = self.found(request, object_id)

        def do(form: ActForm) -> str:
            refunds.cancel(refund=refund)
            return gettext("The refund is cancelled.")

        return self.act(
            request,
            refund,
            form=ActForm,
            title=gettext("Take the refund back"),
            says=gettext("Only what has not been sent can be taken back. What was held is the customer's again."),
            do=do,
        )


@admin.register(Dispute)
class DisputeAdmin(BillingActsAdmin):
    list_display = ("opened_at", "payment", "gateway", "amount", "state_shown", "reason", "due_at", "closed_at")
    list_filter = ("state", ("gateway", of_gateway))
    found_by_ids = ("pk", "payment", "attempt")
    found_by_people = ("payment__user",)
    found_at_gateways = "gateway_id"
    search_help_text = _("An id of the dispute or its payment, a customer, or its id at the gateway.")
    list_select_related = ("payment",)
    ordering = ("-id",)
    actions_detail = ("answer",)  # type: ignore[assignment]
    shown_for = {"answer": disputes.may_answer}
    fields = (
        "payment", "gateway", "gateway_id", "amount", "state", "reason", "due_at", "evidence", "evidence_sent_at",
        "opened_at", "closed_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("amount"), ordering="amount_minor")
    def amount(self, dispute: Dispute) -> str:
        return for_reader(dispute.money)

    @display(description=_("state"), label=DISPUTE_LABELS)  # type: ignore[arg-type]
    def state_shown(self, dispute: Dispute) -> tuple[str, str]:
        return dispute.state, str(dispute.get_state_display())

    @action(description=_("Send evidence"), url_path="answer", permissions=["answer_dispute"], icon="gavel")  # type: ignore[arg-type, operator]
    def answer(self, request: HttpRequest, object_id: str) -> HttpResponse:
        dispute: Any = self.found(request, object_id)

        def do(form: ActForm) -> str:
            given = form.facts["file"]
            file = EvidenceFile(name=given.name, content=given.read()) if given else None
            disputes.answer(dispute=dispute, evidence=form.facts["evidence"], file=file, by=operator(request))
            return gettext("The evidence is with the bank.")

        return self.act(
            request,
            dispute,
            form=EvidenceForm,
            title=gettext("Send evidence"),
            says=gettext("It goes to the buyer's bank at once, and nothing can be added afterwards."),
            do=do,
        )
