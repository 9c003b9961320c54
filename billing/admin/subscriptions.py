"""Subscriptions with their timeline, what was paid and what comes; and the plans with who is on which price."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from billing import cancellations, dunning, plan_changes, subscription_states, subscriptions
from billing.admin import facts, timeline_words
from billing.admin.acts import BillingActsAdmin
from billing.admin.finding import of_catalogue
from billing.cancellations import Ending
from billing.models import GatewayInstruction, PaidPeriod, Plan, PlanPrice, Subscription, SubscriptionEvent
from billing.models.plans import PlanInterval
from billing.models.subscriptions import IN_FORCE, LIVE, SubscriptionStatus
from billing.plan_changes import NOW, PERIOD_END
from credits import calendar
from credits.admin import acts
from credits.admin.acts import ActForm, EndOfDayField, ReasonForm, operator
from ledger import columns
from ledger.money import for_reader
from rest.labels import display
from rest.lists import person

LABELS = {
    "incomplete": "info",
    "trialing": "info",
    "active": "success",
    "past_due": "danger",
    "paused": "warning",
    "cancelled": "warning",
    "expired": "warning",
}
_CANCEL = pgettext_lazy("subscription", "Cancel")


def priced(price: PlanPrice | None) -> str:
    return f"{price.plan.code} · {for_reader(price.money)} / {price.get_interval_display()}" if price else "-"


class ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TimelineInline(ReadOnlyInline):
    model = SubscriptionEvent
    fields = ("created_at", "act_shown", "status", "reason", "by", "facts_shown")
    readonly_fields = fields

    @admin.display(description=_("what happened"))
    def act_shown(self, line: SubscriptionEvent) -> str:
        return str(timeline_words.ACTS.get(line.act, line.act))

    @admin.display(description=_("facts"))
    def facts_shown(self, line: SubscriptionEvent) -> str:
        return facts.listed(timeline_words.facts_of(line))


class PricedInline(ReadOnlyInline):
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request).select_related("price__plan")
        return found

    @admin.display(description=_("price"))
    def price_shown(self, row: Any) -> str:
        return priced(row.price)


class PaidPeriodInline(PricedInline):
    model = PaidPeriod
    fk_name = "subscription"
    fields = ("starts_at", "ends_at", "price_shown", "amount", "payment", "created_at")
    readonly_fields = fields
    amount = columns.amount("amount_minor", _("amount"), unit="price.currency")


class InstructionInline(PricedInline):
    """What its gateway was told to do, and whether it has."""

    model = GatewayInstruction
    fields = ("created_at", "kind", "price_shown", "state", "next_ask_at", "closed_at", "failure_code", "reason", "by")
    readonly_fields = fields


class ChangeForm(ReasonForm):
    plan = acts.choice_field(_("plan"), (), initial="")
    interval = acts.choice_field(_("interval"), PlanInterval.choices, initial="")
    when = acts.choice_field(_("when"), [(NOW, _("now, for the difference")), (PERIOD_END, _("with the next period"))])
    field_order = ("plan", "interval", "when", "reason")
    catalogue = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plans = Plan.objects.on_sale().filter(catalogue=self.catalogue)
        self.fields["plan"].choices = [(plan.code, plan.name) for plan in plans]  # type: ignore[attr-defined]


def change_form(catalogue: str) -> type[ChangeForm]:
    """With the plans that the subscription can have: a plan of another catalogue is another subscription."""
    return type("ChangeFormOfCatalogue", (ChangeForm,), {"catalogue": catalogue})


class CancelForm(ReasonForm):
    when = acts.choice_field(_("when"), [(PERIOD_END, _("with the period")), (NOW, _("at once"))], initial=PERIOD_END)
    field_order = ("when", "reason")


def _day(moment: datetime) -> str:
    """By the operators' clock, as every other time of the page."""
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")


def _ending(ending: Ending) -> list[str]:
    """What the end would do, line by line."""
    is_now = ending.ends_at <= timezone.now()
    lines = [gettext("Ends: now") if is_now else gettext("Ends: %(day)s") % {"day": _day(ending.ends_at)}]
    if ending.lost_until:
        lines.append(gettext("Paid for until %(day)s, which is lost") % {"day": _day(ending.lost_until)})
    if ending.lost:
        lines.append(gettext("Grants that are paid for and come no more: %(count)s") % {"count": len(ending.lost)})
    if ending.coming:
        lines.append(gettext("Grants that are paid for and still come: %(count)s") % {"count": len(ending.coming)})
    if ending.next_amount:
        lines.append(gettext("Will not be charged: %(amount)s") % {"amount": for_reader(ending.next_amount)})
    return lines


class ExtendForm(ReasonForm):
    until = EndOfDayField(label=_("paid until"), help_text=_("To the end of that day, UTC."))
    field_order = ("until", "reason")

    def clean_until(self) -> datetime:
        until: datetime = self.cleaned_data["until"]
        if until > timezone.now() + timedelta(days=settings.SUBSCRIPTION_GIFT_MOST_DAYS):
            most = settings.SUBSCRIPTION_GIFT_MOST_DAYS
            raise forms.ValidationError(gettext("At most %(days)s days from today.") % {"days": most})
        return until


@admin.register(Subscription)
class SubscriptionAdmin(BillingActsAdmin):
    list_display = ("created_at", "customer", "plan", "status_shown", "paid_until", "cancel_at_period_end", "gateway")
    list_filter = ("status", ("catalogue", of_catalogue), "price__plan", "price__interval", "cancel_at_period_end")
    found_by_ids = ("pk",)
    found_by_people = ("user",)
    found_at_gateways = "gateway_id"
    search_help_text = _("The subscription's id, a customer, or its id at the gateway.")
    list_select_related = ("user", "price__plan")
    ordering = ("-id",)
    inlines = (TimelineInline, InstructionInline, PaidPeriodInline)
    actions_detail = ("change_plan", "cancel", "resume", "pause", "extend")  # type: ignore[assignment]
    shown_for = {
        "change_plan": lambda subscription: subscription.status in IN_FORCE,
        "cancel": lambda subscription: subscription.status in LIVE,
        "resume": lambda subscription: (
            subscription.status == SubscriptionStatus.PAUSED
            or (subscription.status in IN_FORCE and subscription.cancel_at_period_end)
        ),
        "pause": lambda subscription: subscription.status == SubscriptionStatus.ACTIVE,
        "extend": lambda subscription: subscription.status in IN_FORCE and not subscription.is_renewed_by_gateway,
    }
    fields = (
        "customer", "plan", "amount", "next_price_shown", "status_shown", "gateway", "gateway_id", "time_zone",
        "period_start", "paid_until", "trial_until", "cancel_at_period_end", "lapses_at", "next_look_at", "tries",
        "next_grants", "entitled", "paused_at", "ended_at", "end_reason", "created_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, subscription: Subscription) -> SafeString:
        return person(subscription.user)

    @admin.display(description=_("plan"), ordering="price__plan__code")
    def plan(self, subscription: Subscription) -> str:
        return str(subscription.price.plan.code)

    @admin.display(description=_("price"))
    def amount(self, subscription: Subscription) -> str:
        return f"{for_reader(subscription.price.money)} / {subscription.price.get_interval_display()}"

    @admin.display(description=_("price from the next period"))
    def next_price_shown(self, subscription: Subscription) -> str:
        return priced(subscription.next_price)

    @admin.display(description=_("entitlements"))
    def entitled(self, subscription: Subscription) -> str:
        """Of its plan, such as priority support: whoever helps this customer sees what they were promised."""
        return facts.listed(facts.given(subscription.price.plan.entitlements))

    @display(description=_("status"), label=LABELS)
    def status_shown(self, subscription: Subscription) -> tuple[str, str]:
        return subscription.status, str(subscription.get_status_display())

    @admin.display(description=_("next twelve grants"))
    def next_grants(self, subscription: Subscription) -> str:
        zone = ZoneInfo(subscription.time_zone)
        lines = [
            (date_format(timezone.localtime(date.at, zone), "DATETIME_FORMAT"), f"{date.amount} {date.unit}")
            for date in calendar.next_dates(reference=subscription.reference)
        ]
        return acts.by_the_clock_of(subscription.time_zone, format_html_join("", "<div>{} · {}</div>", lines))

    # ------------------------------------------------------------ acts

    @action(description=_("Change"), url_path="change_plan", permissions=["manage_subscription"], icon="swap_horiz")  # type: ignore[arg-type, operator]
    def change_plan(self, request: HttpRequest, object_id: str) -> HttpResponse:
        subscription, now = (
            self.found(request, object_id),
            timezone.now(),
        )  # what is compared and done is of one instant

        def price(form: ActForm) -> PlanPrice:
            return subscriptions.price_for(subscription, form.facts["plan"], form.facts["interval"])

        def preview(form: ActForm) -> list[str]:
            plan = plan_changes.preview(subscription=subscription, price=price(form), when=form.facts["when"], at=now)
            return [
                gettext("Charged now: %(amount)s") % {"amount": for_reader(plan.due)},
                gettext("For the new plan: %(amount)s") % {"amount": for_reader(plan.charge)},
                gettext("Taken off by the coupon: %(amount)s") % {"amount": for_reader(plan.discount)},
                gettext("Credit for the old one: %(amount)s") % {"amount": for_reader(plan.credit)},
                _begins(plan),
                gettext("Then: %(amount)s") % {"amount": for_reader(plan.next_amount)},
            ]

        def do(form: ActForm) -> str:
            done = plan_changes.change(
                subscription=subscription,
                price=price(form),
                wishes=subscriptions.wishes_of(subscription),
                when=form.facts["when"],
                at=now,
                by=operator(request),
                reason=form.facts["reason"],
            )
            if done.payment is not None:
                return gettext("A payment of %(amount)s was started; the plan changes when it is paid.") % {
                    "amount": for_reader(done.payment.money)
                }
            if done.next_action is not None:
                return gettext("The charge was not paid; the plan changes when the customer pays it.")
            return gettext("The plan changes at %(day)s.") % {"day": _day(done.preview.begins_at)}

        return self.act(
            request,
            subscription,
            form=change_form(subscription.catalogue),
            title=gettext("Change the plan"),
            says=gettext("A dearer plan begins when its difference is paid, a cheaper one with the next period."),
            do=do,
            preview=preview,
            initial={"plan": subscription.price.plan.code, "interval": subscription.price.interval},
        )

    @action(description=_CANCEL, url_path="cancel", permissions=["manage_subscription"], icon="block")  # type: ignore[arg-type, operator]
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        subscription = self.found(request, object_id)

        def do(form: ActForm) -> str:
            verb = subscriptions.cancel_now if form.facts["when"] == NOW else subscriptions.cancel
            told = verb(subscription=subscription, by=operator(request), reason=form.facts["reason"])
            return gettext("The subscription is now: %(status)s.") % {"status": told.get_status_display()}

        return self.act(
            request,
            subscription,
            form=CancelForm,
            preview=lambda form: _ending(
                cancellations.preview(subscription=subscription, immediately=form.facts["when"] == NOW)
            ),
            title=gettext("Cancel the subscription"),
            says=gettext("Credits that were given or bought stay. No money goes back: refund its payment for that."),
            do=do,
        )

    @action(description=_("Resume"), url_path="resume", permissions=["manage_subscription"], icon="play_arrow")  # type: ignore[arg-type, operator]
    def resume(self, request: HttpRequest, object_id: str) -> HttpResponse:
        says = gettext("It goes on: after a pause, or after it was to end with its period.")
        return self._simple(request, object_id, subscriptions.resume, gettext("Resume the subscription"), says)

    @action(description=_("Pause"), url_path="pause", permissions=["manage_subscription"], icon="pause")  # type: ignore[arg-type, operator]
    def pause(self, request: HttpRequest, object_id: str) -> HttpResponse:
        says = gettext("The time that is paid for stands still; nothing is given and nothing is charged.")
        if self.found(request, object_id).is_renewed_by_gateway:
            says = gettext(
                "Nothing is given and nothing is charged. The gateway keeps its days all the same: the time of the "
                "pause is not made up for, and after it the next charge comes on its usual day."
            )
        return self._simple(request, object_id, subscriptions.pause, gettext("Pause the subscription"), says)

    def _simple(self, request: HttpRequest, object_id: str, verb: Any, title: str, says: str) -> HttpResponse:
        subscription = self.found(request, object_id)

        def do(form: ActForm) -> str:
            told = verb(subscription=subscription, by=operator(request), reason=form.facts["reason"])
            return gettext("The subscription is now: %(status)s.") % {"status": told.get_status_display()}

        return self.act(request, subscription, form=ReasonForm, title=title, says=says, do=do)

    @action(description=_("Extend"), url_path="extend", permissions=["manage_subscription"], icon="more_time")  # type: ignore[arg-type, operator]
    def extend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        subscription = self.found(request, object_id)
        says = gettext("A present: the plan and its credits until the end of that day, for nothing.")
        if subscription.anchor_at is None:
            says = gettext(
                "A longer trial: the plan until the end of that day, and its credits with the first payment."
            )
        if subscription.is_renewed_by_gateway:
            says = gettext(
                "Not possible here: its gateway would charge on the old day all the same. Give credits or a refund "
                "instead."
            )

        def do(form: ActForm) -> str:
            told = subscription_states.give_time(subscription_id=subscription.pk, by=operator(request), **form.facts)
            return gettext("Paid until %(day)s.") % {"day": _day(dunning.paid_until(told))}

        return self.act(
            request,
            subscription,
            form=ExtendForm,
            title=gettext("Extend the subscription"),
            says=says,
            do=do,
        )


def _begins(plan: plan_changes.ChangePlan) -> str:
    if plan.when == NOW:
        return gettext("Begins: now")
    return gettext("Begins: %(day)s") % {"day": _day(plan.begins_at)}


class PriceInline(ReadOnlyInline):
    model = PlanPrice
    fields = ("interval", "currency", "amount", "valid_from", "is_active", "subscribers")
    readonly_fields = fields
    amount = columns.amount("amount_minor", _("amount"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[PlanPrice]:
        on_it = Count("subscriptions", filter=Q(subscriptions__status__in=LIVE))
        found: QuerySet[PlanPrice] = super().get_queryset(request).annotate(on_it=on_it)
        return found

    @admin.display(description=_("subscribers on this version"))
    def subscribers(self, price: Any) -> int:
        return int(price.on_it)


@admin.register(Plan)
class PlanAdmin(BillingActsAdmin):
    list_display = ("code", "catalogue", "name_en", "is_active", "subscribers")
    list_filter = ("catalogue", "is_active")
    search_fields = ("code", "name_en", "name_fr")
    inlines = (PriceInline,)
    fields = (
        "code", "catalogue", "name_en", "name_fr", "description_en", "description_fr", "features", "entitlements",
        "grant_rules", "is_unlimited", "fair_use_per_month", "trial_days", "position", "is_active",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Plan]:
        in_force = Count("prices__subscriptions", filter=Q(prices__subscriptions__status__in=IN_FORCE))
        found: QuerySet[Plan] = super().get_queryset(request).annotate(in_force=in_force)
        return found

    @admin.display(description=_("in force"))
    def subscribers(self, plan: Any) -> int:
        return int(plan.in_force)
