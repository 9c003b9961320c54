"""Grants, spends and holds: read, and ended by buttons."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldBooleanSwitchWidget

from credits import by_hand, grants, holds, usage
from credits.admin import acts
from credits.admin.acts import ActForm, ActsAdmin, ReasonForm, of_unit, operator
from credits.models import Grant, GrantSource, Hold, HoldState, Spend
from ledger import columns
from rest.exports import ExportingAdmin
from rest.labels import display
from rest.lists import person

GRANT_STATES = {
    "open": pgettext_lazy("grant", "Open"),
    "frozen": pgettext_lazy("grant", "Frozen"),
    "expired": pgettext_lazy("grant", "Expired"),
    "revoked": pgettext_lazy("grant", "Revoked"),
    "used": pgettext_lazy("grant", "Used up"),
}
GRANT_LABELS = {"open": "success", "frozen": "warning", "expired": "info", "revoked": "danger", "used": "info"}
HOLD_LABELS = {"open": "warning", "settled": "success", "released": "info", "expired": "danger"}
BY_HAND = [(source.value, source.label) for source in (GrantSource.MANUAL, GrantSource.PROMOTION, GrantSource.REFERRAL)]


def state_of(grant: Grant) -> str:
    if grant.revoked_at is not None:
        return "revoked"
    if grant.frozen_at is not None and grant.is_open:
        return "frozen"
    if grant.expires_at is not None and grant.expires_at <= timezone.now():
        return "expired"
    return "open" if grant.is_open else "used"


class IssueForm(ReasonForm):
    user = acts.user_field()
    amount = acts.amount_field()
    unit = acts.unit_field()
    source = acts.choice_field(_("source"), BY_HAND, initial=GrantSource.MANUAL)
    expires_at = acts.EndOfDayField(
        label=_("expires on"), required=False, help_text=_("At the end of that day, UTC. Empty: never.")
    )
    field_order = ("user", "amount", "unit", "source", "expires_at", "reason")

    def clean_user(self) -> User:
        found = User.objects.filter(username=self.cleaned_data["user"]).first()
        if found is None:
            raise forms.ValidationError(gettext("Nobody has this id."))
        return found


class ExtendForm(ReasonForm):
    expires_at = acts.EndOfDayField(label=_("new end"), required=False, help_text=_("At the end of that day, UTC."))
    never = forms.BooleanField(label=_("it never expires"), required=False, widget=UnfoldBooleanSwitchWidget)
    field_order = ("expires_at", "never", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and (cleaned["expires_at"] is None) != cleaned["never"]:
            self.add_error("expires_at", gettext("Say the new end, or that it never expires."))
        cleaned.pop("never", None)
        return cleaned


class ReverseForm(ReasonForm):
    amount = acts.amount_field(required=False, help_text=_("Empty: all that is left of it."))
    field_order = ("amount", "reason")


class OfCustomers(ActsAdmin):
    """What hangs on a purse."""

    found_by_people = ("purse__user",)

    @admin.display(description=_("customer"), ordering="purse__user__username")
    def customer(self, thing: Any) -> SafeString:
        return person(thing.purse.user)

    @admin.display(description=_("unit"))
    def unit(self, thing: Any) -> str:
        return str(thing.purse.unit)


@admin.register(Grant)
class GrantAdmin(ExportingAdmin, OfCustomers):  # type: ignore[misc]
    list_display = ("customer", "unit", "source", "amount", "left", "held", "state", "expires_at", "issued_at")
    list_display_links = ("source",)
    list_filter = ("source", "is_open", ("purse__unit", of_unit))
    list_select_related = ("purse__user", "account")
    found_by_ids = ("entry",)
    found_by_words = ("account__name",)
    search_help_text = _("A customer, the entry that gave it, or the name of its account.")
    ordering = ("-entry",)
    export_permission = "credits.export_grant"
    export_columns = {
        "id": lambda grant: str(grant.entry_id),
        "issued_at": lambda grant: grant.issued_at,
        "customer": lambda grant: grant.purse.user.get_username(),
        "unit": lambda grant: grant.purse.unit,
        "source": lambda grant: grant.source,
        "amount": lambda grant: grant.amount,
        "left": lambda grant: grant.account.balance,
        "held": lambda grant: grant.account.held,
        "state": state_of,
        "expires_at": lambda grant: grant.expires_at,
        "paid": lambda grant: columns.plain(grant.paid_minor, grant.paid_currency),
        "paid_currency": lambda grant: grant.paid_currency,
        "issued_by": lambda grant: grant.issued_by,
        "reason": lambda grant: grant.reason,
    }
    actions_list = ("issue",)  # type: ignore[assignment]  # unfold means any tuple
    actions_detail = ("extend", "freeze", "unfreeze", "revoke")  # type: ignore[assignment]
    shown_for = {
        "extend": lambda grant: state_of(grant) in ("open", "frozen") and grant.expires_at is not None,
        "freeze": lambda grant: state_of(grant) == "open",
        "unfreeze": lambda grant: state_of(grant) == "frozen",
        "revoke": lambda grant: state_of(grant) in ("open", "frozen"),
    }
    fields = (
        "customer", "unit", "source", "amount", "left", "held", "state", "priority", "is_promotional", "expires_at",
        "issued_at", "issued_by", "reason", "paid", "frozen_at", "revoked_at",
    )  # fmt: skip
    readonly_fields = fields
    paid = columns.amount("paid_minor", _("paid"), unit="paid_currency")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Grant]:
        return super().get_queryset(request).select_related("purse__user", "account", "issued_by")

    @admin.display(description=_("left"))
    def left(self, grant: Grant) -> int:
        return grant.account.balance

    @admin.display(description=_("held"))
    def held(self, grant: Grant) -> int:
        return grant.account.held

    @display(description=_("state"), label=GRANT_LABELS)
    def state(self, grant: Grant) -> tuple[str, str]:
        return state_of(grant), str(GRANT_STATES[state_of(grant)])

    @action(description=_("Give credits"), url_path="issue", permissions=["issue_grant"], icon="add")  # type: ignore[arg-type, operator]
    def issue(self, request: HttpRequest) -> HttpResponse:
        def do(form: ActForm) -> str:
            made = by_hand.give(**form.facts, key=form.act_key, by=operator(request))
            said = gettext("%(user)s has %(amount)s %(unit)s more.") % {
                "user": form.facts["user"], "amount": made.amount, "unit": made.purse.unit,
            }  # fmt: skip
            self.log_addition(request, made, said)  # there is no thing before the act, so it would be kept nowhere
            return said

        return self.act(
            request,
            None,
            form=IssueForm,
            title=gettext("Give credits"),
            says=gettext("The customer can use them at once. What they owe is repaid first."),
            do=do,
            initial={"user": request.GET.get("user", ""), "unit": request.GET.get("unit", "CREDIT")},
        )

    @action(description=_("Extend"), url_path="extend", permissions=["extend_grant"], icon="update")  # type: ignore[arg-type, operator]
    def extend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        grant = self.found(request, object_id)

        def do(form: ActForm) -> str:
            longer = grants.extend(grant=grant, **form.facts, by=operator(request))
            if longer.expires_at is None:
                return gettext("The grant never expires now.")
            return gettext("The grant expires on %(day)s now.") % {"day": longer.expires_at.date()}

        return self.act(
            request,
            grant,
            form=ExtendForm,
            title=gettext("Extend"),
            says=gettext("The customer can use what is left of the grant for longer. It can never be shortened."),
            do=do,
            initial={"expires_at": grant.expires_at},
        )

    @action(description=_("Freeze"), url_path="freeze", permissions=["freeze_grant"], icon="ac_unit")  # type: ignore[arg-type, operator]
    def freeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        grant = self.found(request, object_id)

        def do(form: ActForm) -> str:
            grants.freeze(grant=grant, **form.facts, by=operator(request))
            return gettext("The grant is frozen.")

        return self.act(
            request,
            grant,
            form=ReasonForm,
            title=gettext("Freeze"),
            says=gettext("The customer cannot use it until it is given free. It does not expire meanwhile."),
            do=do,
        )

    @action(description=_("Unfreeze"), url_path="unfreeze", permissions=["freeze_grant"], icon="sunny")  # type: ignore[arg-type, operator]
    def unfreeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        grant = self.found(request, object_id)

        def do(form: ActForm) -> str:
            grants.unfreeze(grant=grant, **form.facts, by=operator(request))
            return gettext("The grant can be used again.")

        return self.act(
            request,
            grant,
            form=ReasonForm,
            title=gettext("Unfreeze"),
            says=gettext("The customer can use it again. The time it was frozen is added to its life."),
            do=do,
        )

    @action(description=_("Revoke"), url_path="revoke", permissions=["revoke_grant"], icon="block")  # type: ignore[arg-type, operator]
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        grant = self.found(request, object_id)
        free, held = grant.account.balance - grant.account.held, grant.account.held
        says = gettext(
            "%(free)s are taken from the customer now, and %(held)s when their holds end without using them."
        )

        def do(form: ActForm) -> str:
            taken = grants.revoke(grant=grant, **form.facts, by=operator(request))
            return gettext("%(taken)s were taken back.") % {"taken": taken}

        return self.act(
            request,
            grant,
            form=ReasonForm,
            title=gettext("Revoke"),
            says=says % {"free": free, "held": held},
            do=do,
        )


@admin.register(Spend)
class SpendAdmin(ExportingAdmin, OfCustomers):  # type: ignore[misc]
    list_display = (
        "customer", "unit", "action_name", "amount", "metered", "reversed_amount", "reference", "created_at",
    )  # fmt: skip
    list_select_related = ("purse__user",)
    list_display_links = ("action_name",)
    list_filter = (("purse__unit", of_unit),)
    found_by_ids = ("entry",)
    found_lately_by = ("reference",)
    search_help_text = _("A customer, an id of a spend, or the reference of a recent one.")
    ordering = ("-entry",)
    export_permission = "credits.export_spend"
    export_columns = {
        "id": lambda spend: str(spend.pk),
        "created_at": lambda spend: spend.created_at,
        "customer": lambda spend: spend.purse.user.get_username(),
        "unit": lambda spend: spend.purse.unit,
        "action": lambda spend: spend.action,
        "quantity": lambda spend: spend.quantity,
        "amount": lambda spend: spend.amount,
        "metered": lambda spend: spend.metered,
        "given_back": lambda spend: spend.reversed_amount,
        "available_after": lambda spend: spend.available_after,
        "reference": lambda spend: spend.reference,
    }
    actions_detail = ("reverse",)  # type: ignore[assignment]
    shown_for = {"reverse": lambda spend: spend.amount + spend.metered > spend.reversed_amount}
    fields = (
        "entry_id", "customer", "unit", "action_name", "cost_version", "quantity", "amount", "metered",
        "reversed_amount", "available_after", "reference", "metadata", "token_name", "created_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("action"), ordering="action")
    def action_name(self, spend: Spend) -> str:
        return spend.action or "-"

    @admin.display(description=_("service token"))
    def token_name(self, spend: Spend) -> str:
        return str(spend.token or "-")

    @action(description=_("Give back"), url_path="reverse", permissions=["reverse_spend"], icon="undo")  # type: ignore[arg-type, operator]
    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        spend = self.found(request, object_id)
        left = spend.amount + spend.metered - spend.reversed_amount

        def do(form: ActForm) -> str:
            back = usage.reverse(spend=spend.pk, key=form.act_key, **form.facts, by=operator(request))
            return gettext("%(amount)s were given back.") % {"amount": back.amount}

        return self.act(
            request,
            spend,
            form=ReverseForm,
            title=gettext("Give back"),
            says=gettext("%(left)s of this spend are left. They return to the grants that they came from.")
            % {"left": left},
            do=do,
        )


@admin.register(Hold)
class HoldAdmin(OfCustomers):
    list_display = ("customer", "unit", "action_name", "amount", "settled", "state_shown", "expires_at", "created_at")
    list_select_related = ("purse__user",)
    list_display_links = ("action_name",)
    list_filter = ("state", ("purse__unit", of_unit))
    found_by_ids = ("pk",)
    found_lately_by = ("reference",)
    search_help_text = _("A customer, an id of a hold, or the reference of a recent one.")
    ordering = ("-id",)
    actions_detail = ("release",)  # type: ignore[assignment]
    shown_for = {"release": lambda hold: hold.state == HoldState.OPEN}
    fields = (
        "id", "customer", "unit", "action_name", "quantity", "amount", "settled", "state_shown", "expires_at",
        "resolved_at", "reference", "metadata", "created_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("action"), ordering="action")
    def action_name(self, hold: Hold) -> str:
        return hold.action or "-"

    @display(description=_("state"), label=HOLD_LABELS)
    def state_shown(self, hold: Hold) -> tuple[str, str]:
        return hold.state, str(hold.get_state_display())

    @action(description=_("Release"), url_path="release", permissions=["release_hold"], icon="lock_open")  # type: ignore[arg-type, operator]
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        hold = self.found(request, object_id)

        def do(form: ActForm) -> str:
            freed = holds.release(hold=hold.pk)
            reason = form.facts["reason"]
            return gettext("%(amount)s are free again: %(reason)s") % {"amount": freed.amount, "reason": reason}

        return self.act(
            request,
            hold,
            form=ReasonForm,
            title=gettext("Release"),
            says=gettext(
                "The customer gets what is held back. The work that it was held for can no longer be charged."
            ),
            do=do,
        )
