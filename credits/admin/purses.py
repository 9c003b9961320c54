"""What one customer has of a unit, and the rules for it; limits of service tokens."""

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from credits import balances, grants, history, purses
from credits.admin import acts
from credits.admin.acts import ActForm, ActsAdmin, ReasonForm, of_unit, operator
from credits.models import Allowance, DebtPolicy, Grant, Hold, HoldState, Purse, Spend
from rest.acts import StandingAdmin
from rest.lists import person

SHOWN = 10


class AdjustForm(ReasonForm):
    direction = acts.choice_field(_("direction"), [("more", _("give")), ("less", _("take away"))])
    amount = acts.amount_field()
    field_order = ("direction", "amount", "reason")


class DebtForm(ReasonForm):
    policy = acts.choice_field(_("debt"), DebtPolicy.choices)
    limit = acts.amount_field(required=False, label=_("debt limit"), help_text=_("Only for a debt with a limit."))
    field_order = ("policy", "limit", "reason")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        limited = cleaned.get("policy") == DebtPolicy.LIMITED
        if "limit" in cleaned and limited != (cleaned["limit"] is not None):
            said = gettext("Say the limit.") if limited else gettext("This kind of debt has no limit.")
            self.add_error("limit", said)
        return cleaned


class LimitsForm(ReasonForm):
    field_order = ("daily", "monthly", "low_percent", "reason")
    daily = acts.amount_field(required=False, min_value=0, label=_("daily limit"), help_text=_("Empty: none."))
    monthly = acts.amount_field(required=False, min_value=0, label=_("monthly limit"), help_text=_("Empty: none."))
    low_percent = acts.amount_field(
        required=False,
        min_value=0,
        max_value=100,
        label=_("low below (percent)"),
        help_text=_("Empty: the setting CREDITS_LOW_PERCENT."),
    )


class UnlimitedForm(ReasonForm):
    field_order = ("until", "fair_use_per_month", "reason")
    until = acts.EndOfDayField(
        label=_("unlimited until"), required=False, help_text=_("To the end of that day, UTC. Empty: not unlimited.")
    )
    fair_use_per_month = acts.amount_field(
        required=False, label=_("fair use per month"), help_text=_("Empty: the setting CREDITS_FAIR_USE_PER_MONTH.")
    )


class OwingFilter(admin.SimpleListFilter):
    title = _("debt")
    parameter_name = "owes"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("owes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Purse]) -> QuerySet[Purse]:
        return queryset.filter(pk__in=purses.in_debt().values("pk")) if self.value() == "yes" else queryset


@admin.register(Purse)
class PurseAdmin(StandingAdmin, ActsAdmin):  # type: ignore[misc]
    list_display = ("customer", "unit", "available", "held", "owed", "state_shown", "debt_policy", "unlimited_until")
    list_display_links = ("unit",)
    list_filter = ("state", OwingFilter, "debt_policy", ("unit", of_unit))
    found_by_people = ("user",)
    search_help_text = _("A customer: their user id or its beginning, or their e-mail address.")
    ordering = ("-id",)
    change_form_before_template = "admin/credits/purse/standing.html"  # type: ignore[assignment]
    actions_detail = ("give", "adjust", "set_debt", "set_limits", "set_unlimited")  # type: ignore[assignment]
    fields = (
        "customer", "unit", "debt_policy", "debt_limit", "daily_limit", "monthly_limit", "day_spent", "month_spent",
        "unlimited_until", "fair_use_per_month", "month_metered", "low_percent",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Purse]:
        """With sums of each row that is shown, by the index of its open grants; a join would sum every purse."""
        still = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
        its_grants = Grant.objects.filter(purse=OuterRef("pk"), is_open=True).order_by()
        usable = its_grants.filter(still, frozen_at__isnull=True, revoked_at__isnull=True)
        found: QuerySet[Purse] = super().get_queryset(request).select_related("user", "debt_account")
        return found.annotate(
            its_balance=_sum(usable, "account__balance"),
            its_held=_sum(its_grants, "account__held"),
            usable_held=_sum(usable, "account__held"),
        )

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, purse: Purse) -> SafeString:
        return person(purse.user)

    @admin.display(description=_("available"))
    def available(self, purse: Any) -> int:
        return int(purse.its_balance - purse.usable_held)

    @admin.display(description=_("held"))
    def held(self, purse: Any) -> int:
        return int(purse.its_held + (purse.debt_account.held if purse.debt_account else 0))

    @admin.display(description=_("owed"))
    def owed(self, purse: Purse) -> int:
        return -purse.debt_account.balance if purse.debt_account else 0

    @display(description=_("state"), label={"ok": "success", "low": "warning", "empty": "danger"})  # type: ignore[arg-type]
    def state_shown(self, purse: Purse) -> tuple[str, str]:
        return purse.state, str(purse.get_state_display())

    # ------------------------------------------------------------ the customer's page

    def standing(self, request: HttpRequest, purse: Purse) -> dict[str, Any]:
        return {
            "balance": balances.of(purse.user, purse.unit),
            "transactions": history.transactions(user=purse.user, unit=purse.unit, limit=SHOWN),
            "spends": Spend.objects.filter(purse=purse).order_by("-entry")[:SHOWN],
            "holds": Hold.objects.filter(purse=purse, state=HoldState.OPEN).order_by("expires_at")[:SHOWN],
            "forecast": history.forecast(user=purse.user, unit=purse.unit),
            "grant_ids": dict(purse.grants.filter(is_open=True).values_list("entry_id", "pk")),
            "explanation": (
                history.explain(user=purse.user, unit=purse.unit) if request.GET.get("explain") == "yes" else None
            ),
        }

    # ------------------------------------------------------------ acts

    @action(description=_("Give credits"), url_path="give", permissions=["issue_grant"], icon="add")  # type: ignore[arg-type, operator]
    def give(self, request: HttpRequest, object_id: str) -> HttpResponse:
        purse = self.found(request, object_id)
        query = urlencode({"user": purse.user.get_username(), "unit": purse.unit})
        return HttpResponseRedirect(f"{reverse('admin:credits_grant_issue')}?{query}")

    @action(description=_("Adjust"), url_path="adjust", permissions=["adjust_credits"], icon="tune")  # type: ignore[arg-type, operator]
    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        purse = self.found(request, object_id)

        def do(form: ActForm) -> str:
            facts = form.facts
            signed = facts["amount"] if facts["direction"] == "more" else -facts["amount"]
            grants.adjust(
                user=purse.user,
                unit=purse.unit,
                amount=signed,
                reason=facts["reason"],
                key=form.act_key,
                by=operator(request),
            )
            return gettext("Adjusted by %(amount)+d: %(reason)s") % {"amount": signed, "reason": facts["reason"]}

        return self.act(
            request,
            purse,
            form=AdjustForm,
            title=gettext("Adjust"),
            says=gettext(
                "A correction by hand. What is taken goes in the order of use, and never below what debt allows."
            ),
            do=do,
        )

    @action(description=_("Debt"), url_path="debt", permissions=["change_purse"], icon="credit_score")  # type: ignore[arg-type, operator]
    def set_debt(self, request: HttpRequest, object_id: str) -> HttpResponse:
        purse = self.found(request, object_id)

        def do(form: ActForm) -> str:
            policy, limit = DebtPolicy(form.facts["policy"]), form.facts["limit"] or 0
            purses.set_debt_policy(user=purse.user, unit=purse.unit, policy=policy, limit=limit)
            said = gettext("Debt: %(policy)s, limit %(limit)s.") % {"policy": policy.label, "limit": limit}
            before = gettext("Before: %(policy)s, limit %(limit)s.") % {
                "policy": purse.get_debt_policy_display(), "limit": purse.debt_limit,
            }  # fmt: skip
            return _with_reason(form, said, before)

        return self.act(
            request,
            purse,
            form=DebtForm,
            title=gettext("Change the debt"),
            says=gettext("What is owed already stays owed, and is repaid by the next credits that come."),
            do=do,
            initial={"policy": purse.debt_policy, "limit": purse.debt_limit or None},
        )

    @action(description=_("Limits"), url_path="limits", permissions=["change_purse"], icon="speed")  # type: ignore[arg-type, operator]
    def set_limits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        purse = self.found(request, object_id)

        def do(form: ActForm) -> str:
            daily, monthly = form.facts["daily"], form.facts["monthly"]
            purses.set_limits(user=purse.user, unit=purse.unit, daily=daily, monthly=monthly)
            purses.set_low_percent(user=purse.user, unit=purse.unit, percent=form.facts["low_percent"])
            said = gettext("Limits: %(daily)s a day, %(monthly)s a month.") % _limits(daily, monthly)
            before = gettext("Before: %(daily)s a day, %(monthly)s a month.")
            return _with_reason(form, said, before % _limits(purse.daily_limit, purse.monthly_limit))

        return self.act(
            request,
            purse,
            form=LimitsForm,
            title=gettext("Change the limits"),
            says=gettext("Days and months are those of UTC. What is held counts."),
            do=do,
            initial={"daily": purse.daily_limit, "monthly": purse.monthly_limit, "low_percent": purse.low_percent},
        )

    @action(description=_("Unlimited"), url_path="unlimited", permissions=["change_purse"])  # type: ignore[arg-type, operator]
    def set_unlimited(self, request: HttpRequest, object_id: str) -> HttpResponse:
        purse = self.found(request, object_id)

        def do(form: ActForm) -> str:
            until, fair_use = form.facts["until"], form.facts["fair_use_per_month"]
            purses.allow_unlimited(user=purse.user, unit=purse.unit, until=until, fair_use_per_month=fair_use)
            before = gettext("Before: until %(day)s.") % {"day": day_of(purse.unlimited_until)}
            if until is None:
                return _with_reason(form, gettext("Not unlimited any more."), before)
            return _with_reason(form, gettext("Unlimited until %(day)s.") % {"day": day_of(until)}, before)

        return self.act(
            request,
            purse,
            form=UnlimitedForm,
            title=gettext("Change the unlimited use"),
            says=gettext(
                "Use is counted and costs nothing until then, up to the fair share of a month. A plan that ends before "
                "does not end it."
            ),
            do=do,
            initial={"until": purse.unlimited_until, "fair_use_per_month": purse.fair_use_per_month},
        )


def _with_reason(form: ActForm, *sentences: str) -> str:
    """What the admin's history keeps of it."""
    return " ".join([*sentences, gettext("Reason: %(reason)s") % form.facts])


def _limits(daily: int | None, monthly: int | None) -> dict[str, Any]:
    none = gettext("no limit")
    return {"daily": none if daily is None else daily, "monthly": none if monthly is None else monthly}


def day_of(moment: datetime | None) -> str:
    return date_format(moment.astimezone(UTC), "DATE_FORMAT") if moment else "-"


def _sum(grants: QuerySet[Grant], column: str) -> Coalesce:
    return Coalesce(Subquery(grants.values("purse").annotate(all_of_it=Sum(column)).values("all_of_it")), 0)


class AllowanceForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Allowance
        fields = ("token", "unit", "daily_limit", "monthly_limit")
        help_texts = {
            "token": _("Whose spending is limited, whichever customers it acts for."),
            "unit": _("Which credits are counted: CREDIT, unless a catalogue has units of its own."),
            "daily_limit": _("In a day of UTC, over all customers. Empty: none."),
            "monthly_limit": _("In a month of UTC, over all customers. Empty: none."),
        }


@admin.register(Allowance)
class AllowanceAdmin(ModelAdmin):
    form = AllowanceForm
    list_display = ("token", "unit", "daily_limit", "day_spent", "monthly_limit", "month_spent")
    list_select_related = ("token",)
    search_fields = ("token__name",)
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("token", "unit") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # spends refer to its counters; empty limits are none

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = purses.set_token_limits(token=obj.token, unit=obj.unit, daily=obj.daily_limit, monthly=obj.monthly_limit)
        obj.pk = made.pk
