"""The grant calendar as operators see it: schedules with their next dates, periods to give again or revoke."""

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from credits import calendar, corrections
from credits.admin.acts import ActForm, ActsAdmin, ReasonForm, by_the_clock_of, of_unit, operator
from credits.models import GrantPeriod, GrantSchedule, ScheduleRule
from rest.labels import display
from rest.lists import person

SCHEDULE_LABELS = {"open": "success", "paused": "warning", "closed": "info"}
PERIOD_LABELS = {"due": "warning", "granted": "success", "full": "info", "skipped": "info", "revoked": "danger"}


class RulesInline(TabularInline):
    model = ScheduleRule
    extra = 0
    can_delete = False
    fields = ("code", "amount", "unit", "every", "expires_after_days", "expires_at_next", "rollover_cap", "catch_up")
    readonly_fields = fields

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return operator(request).has_perm("credits.view_grantschedule")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(GrantSchedule)
class ScheduleAdmin(ActsAdmin):
    list_display = ("reference", "customer", "state_shown", "time_zone", "paid_until", "is_unlimited")
    list_filter = ("state", "is_unlimited")
    list_select_related = ("user",)
    found_by_ids = ("pk",)
    found_by_words = ("reference",)
    found_by_people = ("user",)
    search_help_text = _("A reference, or a customer.")
    ordering = ("-id",)
    inlines = (RulesInline,)
    fields = (
        "reference", "customer", "state_shown", "time_zone", "anchor_at", "anchor_zone", "paid_until", "next_dates",
        "is_unlimited", "fair_use_per_month", "unit", "created_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, schedule: GrantSchedule) -> SafeString:
        return person(schedule.user)

    @display(description=_("state"), label=SCHEDULE_LABELS)
    def state_shown(self, schedule: GrantSchedule) -> tuple[str, str]:
        return schedule.state, str(schedule.get_state_display())

    @admin.display(description=_("next twelve grants"))
    def next_dates(self, schedule: GrantSchedule) -> str:
        """In the customer's own time, which is the one that the periods follow."""
        dates = calendar.next_dates(reference=schedule.reference)
        zone = ZoneInfo(schedule.time_zone)
        lines = [
            (
                date_format(timezone.localtime(date.at, zone), "DATETIME_FORMAT"),
                f"{date.amount} {date.unit}",
                date.rule,
                gettext("paid for") if date.is_paid else gettext("with the next payment"),
            )
            for date in dates
        ]
        return by_the_clock_of(schedule.time_zone, format_html_join("", "<div>{} · {} · {} · {}</div>", lines))


@admin.register(GrantPeriod)
class PeriodAdmin(ActsAdmin):
    list_display = ("customer", "rule", "number", "starts_at", "ends_at", "amount", "unit", "state_shown", "decided_at")
    list_display_links = ("rule",)
    list_filter = ("state", ("unit", of_unit))
    list_select_related = ("schedule__user",)
    found_by_ids = ("pk",)
    found_by_words = ("schedule__reference",)
    found_by_people = ("schedule__user",)
    search_help_text = _("The reference of a schedule, or a customer.")
    ordering = ("-starts_at", "-id")
    actions_detail = ("again", "revoke")  # type: ignore[assignment]  # unfold means any tuple
    shown_for = {"revoke": lambda period: period.grant is not None and period.grant.account.balance > 0}
    fields = (
        "customer", "schedule", "rule", "number", "starts_at", "ends_at", "amount", "unit", "expires_at",
        "rollover_cap", "catch_up", "state_shown", "grant", "decided_at",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[GrantPeriod]:
        return super().get_queryset(request).select_related("schedule__user", "grant__account")

    @admin.display(description=_("customer"), ordering="schedule__user__username")
    def customer(self, period: GrantPeriod) -> SafeString:
        return person(period.schedule.user)

    @display(description=_("state"), label=PERIOD_LABELS)
    def state_shown(self, period: GrantPeriod) -> tuple[str, str]:
        return period.state, str(period.get_state_display())

    @action(description=_("Grant again"), url_path="again", permissions=["regrant_period"], icon="replay")  # type: ignore[arg-type, operator]
    def again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        period = self.found(request, object_id)

        def do(form: ActForm) -> str:
            made = corrections.grant_again(period=period, key=form.act_key, by=operator(request), **form.facts)
            return gettext("%(user)s has %(amount)s %(unit)s more.") % {
                "user": period.schedule.user, "amount": made.amount, "unit": period.unit,
            }  # fmt: skip

        return self.act(
            request,
            period,
            form=ReasonForm,
            title=gettext("Grant again"),
            says=gettext(
                "The customer gets %(amount)s %(unit)s once more, as a grant of its own. It lives as long from now on "
                "as the period's would have lived."
            )
            % {"amount": period.amount, "unit": period.unit},
            do=do,
        )

    @action(description=_("Revoke"), url_path="revoke", permissions=["revoke_period"], icon="block")  # type: ignore[arg-type, operator]
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        period = self.found(request, object_id)
        left = period.grant.account.balance if period.grant else 0

        def do(form: ActForm) -> str:
            taken = corrections.revoke_period(period=period, by=operator(request), **form.facts)
            return gettext("%(amount)s were taken back.") % {"amount": taken}

        return self.act(
            request,
            period,
            form=ReasonForm,
            title=gettext("Revoke"),
            says=gettext(
                "%(left)s are left of what this period gave; they are taken back. What was bought or given otherwise "
                "stays, and so do later periods."
            )
            % {"left": left},
            do=do,
        )
