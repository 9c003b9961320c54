"""The inbox and the cases: what stands here needs somebody."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from billing import cases, inbox
from billing.admin import facts
from billing.admin.acts import BillingActsAdmin
from billing.admin.finding import IDS, of_gateway
from billing.gateways.base import Trust
from billing.gateways.subjects import Subject
from billing.models import Case, GatewayLetter
from billing.models.inbox import LetterState
from credits.admin.acts import ActForm, operator
from ledger import columns
from rest.lists import Choices, among, called, named, number

LABELS = {
    LetterState.PENDING: "info",
    LetterState.DONE: "success",
    LetterState.IGNORED: "info",
    LetterState.UNKNOWN: "warning",
    LetterState.DEAD: "danger",
}
_REPLAY = pgettext_lazy("notification", "Replay")


class ResolutionForm(ActForm):
    resolution = forms.CharField(label=_("resolution"), max_length=500, widget=UnfoldAdminTextInputWidget)


def _subjects() -> Choices:
    return named(Subject)


def _trusts() -> Choices:
    return named(Trust)


class OpenFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("open")), ("no", _("closed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Case]) -> QuerySet[Case]:
        return queryset.filter(closed_at__isnull=self.value() == "yes") if self.value() else queryset


@admin.register(GatewayLetter)
class GatewayLetterAdmin(BillingActsAdmin):
    list_display = ("received_at", "gateway", "kind", "subject", "state_shown", "tries", "error")
    list_filter = ("state", ("gateway", of_gateway), ("subject", among(_subjects)), ("trust", among(_trusts)))
    found_by_ids = ("pk",)
    found_at_gateways = "event_id"
    search_help_text = _("The id of an event; of the latest ones also our reference or an id at the gateway.")
    ordering = ("-id",)
    actions_detail = ("replay",)  # type: ignore[assignment]
    fields = (
        "gateway", "event_id", "kind", "subject", "trust", "reference", "ids", "facts", "amount", "occurred_at",
        "received_at", "state", "tries", "next_try_at", "error", "handled_at", "mirror_at", "mirror_tries",
        "mirror_error",
    )  # fmt: skip
    readonly_fields = fields
    amount = columns.amount("amount_minor", _("amount"))

    def lately(self, term: str) -> Q:
        """No index: letters come in fast, and each would wait for it."""
        its_number = number(term)
        return Q(reference=its_number.hex if its_number else term) | called("ids", IDS, term)

    @display(description=_("state"), label=LABELS)  # type: ignore[arg-type]
    def state_shown(self, letter: GatewayLetter) -> tuple[str, str]:
        return letter.state, str(letter.get_state_display())

    @action(description=_REPLAY, url_path="replay", permissions=["replay_gatewayletter"], icon="replay")  # type: ignore[arg-type, operator]
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        letter = self.found(request, object_id)

        def do(form: ActForm) -> str:
            again = inbox.replay(letter)
            return gettext("It will be read again.") if again else gettext("It waits to be read already.")

        return self.act(
            request,
            letter,
            form=ActForm,
            title=str(_REPLAY),
            says=gettext("It is read once more, as if it had just come. What it brought already comes only once."),
            do=do,
        )


@admin.register(Case)
class CaseAdmin(BillingActsAdmin):
    list_display = ("opened_at", "kind", "payment", "payout", "subscription", "closed_at", "resolution")
    list_filter = (OpenFilter, "kind")
    found_by_ids = ("pk", "payment", "attempt", "payout", "subscription")
    found_by_people = ("payment__user", "subscription__user", "payout__withdrawal__wallet__seller__user")
    search_help_text = _("An id of the case or of what it is about, or a customer.")
    list_select_related = ("payment", "payout", "subscription__price__plan")
    ordering = (F("closed_at").desc(nulls_first=True), "-id")
    actions_detail = ("close",)  # type: ignore[assignment]
    shown_for = {"close": lambda case: case.closed_at is None}
    fields = (
        "kind", "payment", "attempt", "payout", "subscription", "told", "opened_at", "closed_at", "closed_by",
        "resolution",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("facts"))
    def told(self, case: Case) -> SafeString:
        return facts.listed(facts.of_case(case.facts))

    @action(description=_("Close"), url_path="close", permissions=["close_case"], icon="task_alt")  # type: ignore[arg-type, operator]
    def close(self, request: HttpRequest, object_id: str) -> HttpResponse:
        case = self.found(request, object_id)

        def do(form: ActForm) -> str:
            cases.close(case=case, resolution=form.facts["resolution"], by=operator(request))
            return gettext("Closed: %(resolution)s") % {"resolution": form.facts["resolution"]}

        return self.act(
            request,
            case,
            form=ResolutionForm,
            title=gettext("Close the case"),
            says=gettext("Say how it ended. This cannot be changed afterwards."),
            do=do,
        )
