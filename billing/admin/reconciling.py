"""What was compared with the gateways, and what did not fit: the open ones first."""

from django import forms
from django.contrib import admin
from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from billing import reconcile
from billing.admin.acts import BillingActsAdmin
from billing.admin.finding import IDS, of_gateway
from billing.admin.inbox import OpenFilter
from billing.gateways.base import MovementKind
from billing.models import Discrepancy, Reconciliation
from billing.models.reconciling import Outcome, Resolution
from credits.admin import acts
from credits.admin.acts import ActForm, operator
from ledger.money import Money, for_reader
from rest.lists import Choices, among, called, named, number

LABELS = {Outcome.MISSING_HERE: "danger", Outcome.MISSING_THERE: "danger", Outcome.DIFFERENT: "warning"}
BY_PEOPLE = [(value, label) for value, label in Resolution.choices if value != Resolution.SETTLED]


class ResolveForm(ActForm):
    resolution = acts.choice_field(_("resolution"), BY_PEOPLE)
    note = forms.CharField(label=_("note"), max_length=500, widget=UnfoldAdminTextInputWidget)


def _kinds() -> Choices:
    return named(MovementKind)


@admin.register(Discrepancy)
class DiscrepancyAdmin(BillingActsAdmin):
    list_display = ("day", "gateway", "kind", "outcome_shown", "here", "there", "payment", "resolution")
    list_filter = (OpenFilter, ("gateway", of_gateway), "outcome", ("kind", among(_kinds)))
    found_by_ids = ("pk", "payment")
    found_by_people = ("payment__user",)
    found_lately_by = ("reference",)
    search_help_text = _("An id of the payment, ours or the gateway's, or a customer.")
    list_select_related = ("payment",)
    ordering = (F("closed_at").desc(nulls_first=True), "-id")
    actions_detail = ("resolve",)  # type: ignore[assignment]
    shown_for = {"resolve": lambda found: found.closed_at is None}
    fields = (
        "gateway", "day", "kind", "outcome", "here", "there", "reference", "ids", "payment", "opened_at", "closed_at",
        "closed_by", "resolution", "note",
    )  # fmt: skip
    readonly_fields = fields

    def lately(self, term: str) -> Q:
        its_number = number(term)
        return super().lately(its_number.hex if its_number else term) | called("ids", IDS, term)

    @display(description=_("what does not fit"), label=LABELS)  # type: ignore[arg-type]
    def outcome_shown(self, found: Discrepancy) -> tuple[str, str]:
        return found.outcome, str(found.get_outcome_display())

    @admin.display(description=_("here"))
    def here(self, found: Discrepancy) -> str:
        return "-" if found.ours_minor is None else for_reader(Money(found.ours_minor, found.currency))

    @admin.display(description=_("there"))
    def there(self, found: Discrepancy) -> str:
        return "-" if found.theirs_minor is None else for_reader(Money(found.theirs_minor, found.their_currency))

    @action(description=_("Resolve"), url_path="resolve", permissions=["resolve_discrepancy"], icon="task_alt")  # type: ignore[arg-type, operator]
    def resolve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        found = self.found(request, object_id)

        def do(form: ActForm) -> str:
            facts = form.facts
            done = reconcile.resolve(
                discrepancy=found,
                resolution=Resolution(facts["resolution"]),
                note=facts["note"],
                by=operator(request),
            )
            return gettext("Resolved: %(resolution)s") % {"resolution": done.get_resolution_display()}

        return self.act(
            request,
            found,
            form=ResolveForm,
            title=gettext("Resolve the exception"),
            says=gettext("It only says what was done about it; no money moves. This cannot be changed afterwards."),
            do=do,
        )


@admin.register(Reconciliation)
class ReconciliationAdmin(BillingActsAdmin):
    list_display = ("day", "gateway", "source", "matched", "exceptions", "unanswered", "made_at")
    list_filter = (("gateway", of_gateway), "source", "day")
    ordering = ("-id",)
    fields = list_display
    readonly_fields = fields
