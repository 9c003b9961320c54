"""Coupons with what they are worth, how often they were used and what that cost and brought; made and stopped here."""

import re
from collections import defaultdict
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from billing import coupon_making
from billing.admin.acts import BillingActsAdmin
from billing.admin.refusal_words import WORDS
from billing.coupon_making import Wanted
from billing.models import Coupon, Payment, Redemption
from billing.models.coupons import CouponDuration, CouponKind
from billing.models.payments import PaymentStatus
from credits.admin.acts import ActForm, EndOfDayField, amount_field, choice_field, operator, unit_field
from ledger import money
from ledger.errors import LedgerError
from ledger.money import Money, for_reader
from rest.acts import words_of
from rest.labels import display
from rest.lists import person

LABELS = {"valid": "success", "later": "info", "used_up": "warning", "over": "warning", "stopped": "danger"}
USES = {"reserved": "info", "redeemed": "success", "released": "warning", "returned": "warning"}
AMOUNTS = re.compile(r"\s*(?P<number>[0-9]+(?:[.,][0-9]+)?)\s*(?P<currency>[A-Za-z]{3})\s*")


def _text(label: Any, help_text: Any = "", **changes: Any) -> forms.CharField:
    known: dict[str, Any] = {"max_length": 200, "required": False, "widget": UnfoldAdminTextInputWidget}
    return forms.CharField(label=label, help_text=help_text, **known | changes)


def _flag(label: Any) -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, widget=UnfoldBooleanSwitchWidget)


class CouponForm(ActForm):
    code = _text(_("code"), _("As in WELCOME10; people may type it in small letters."), required=True, max_length=40)
    name_en = _text(_("name in English"), max_length=100)
    name_fr = _text(_("name in French"), max_length=100)
    kind = choice_field(_("kind"), CouponKind.choices)
    percent = forms.DecimalField(
        label=_("share off, in percent"),
        min_value=Decimal("0.01"),
        max_value=100,
        decimal_places=2,
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    amounts = _text(_("amounts off"), _("One for each currency, as in: 5 EUR; 3250 XOF."))
    credits = amount_field(label=_("credits"), required=False)
    unit = unit_field()
    credits_expire_after_days = amount_field(label=_("credits expire after days"), required=False, max_value=36_500)
    duration = choice_field(_("of a subscription"), CouponDuration.choices)
    periods = amount_field(label=_("payments that it covers"), required=False, max_value=1_000)
    packs = _text(_("only for packs"), _("Codes, with commas between them. All empty: everything."))
    plans = _text(_("only for plans"), _("Codes, with commas between them."))
    catalogues = _text(_("only for catalogues"), _("Codes, with commas between them."))
    ends_at = EndOfDayField(label=_("valid until"), required=False)
    limit = amount_field(label=_("uses at most"), required=False, max_value=2_000_000_000)
    limit_per_customer = amount_field(
        label=_("uses at most by one customer"), required=False, initial=1, max_value=1_000_000
    )
    is_first_purchase_only = _flag(_("only for a first purchase"))
    returns_after_refund = _flag(_("can be used again after a full refund"))

    def clean_percent(self) -> int | None:
        found = self.cleaned_data["percent"]
        return None if found is None else int(found * 100)

    def clean_amounts(self) -> dict[str, int]:
        return dict(self._amount(part) for part in self.cleaned_data["amounts"].split(";") if part.strip())

    def _amount(self, part: str) -> tuple[str, int]:
        match = AMOUNTS.fullmatch(part)
        if match is None:
            raise forms.ValidationError(gettext("%(part)s is no amount; write for example 5 EUR.") % {"part": part})
        currency = match["currency"].upper()
        try:
            return currency, money.as_written(match["number"], currency).minor
        except LedgerError as error:
            raise forms.ValidationError(words_of(error, WORDS)) from error

    @property
    def wanted(self) -> Wanted:
        facts: dict[str, Any] = self.facts
        listed: dict[str, Any] = {name: _words(facts.pop(name)) for name in ("packs", "plans", "catalogues")}
        facts["kind"], facts["duration"] = CouponKind(facts["kind"]), CouponDuration(facts["duration"])
        return Wanted(basis_points=facts.pop("percent"), credits=facts.pop("credits") or 0, **facts, **listed)


def _words(text: str) -> list[str]:
    return sorted({word.strip() for word in text.split(",") if word.strip()})


@admin.register(Coupon)
class CouponAdmin(BillingActsAdmin):
    list_display = ("code", "worth", "state", "uses", "ends_at", "catalogue")
    list_filter = ("kind", "catalogue", ("stopped_at", admin.EmptyFieldListFilter))
    search_fields = ("code", "name_en", "name_fr")
    ordering = ("-id",)
    actions_list = ("make",)  # type: ignore[assignment]  # unfold means any tuple
    actions_detail = ("stop",)  # type: ignore[assignment]
    shown_for = {"stop": lambda coupon: coupon.stopped_at is None}
    fields = (
        "code", "name_en", "name_fr", "catalogue", "worth", "state", "duration", "periods", "credits", "unit",
        "credits_expire_after_days", "packs", "plans", "catalogues", "starts_at", "ends_at", "limit",
        "limit_per_customer", "is_first_purchase_only", "returns_after_refund", "uses", "taken_off", "brought",
        "their_uses", "created_at", "created_by", "stopped_at", "stopped_by",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Coupon]:
        return super().get_queryset(request).prefetch_related("amounts")

    @admin.display(description=_("worth"))
    def worth(self, coupon: Coupon) -> str:
        parts = [f"{coupon.basis_points / 100:g} %"] if coupon.basis_points else []
        parts += [for_reader(Money(each.amount_minor, each.currency)) for each in coupon.amounts.all()]
        parts += [f"{coupon.credits} {coupon.unit}"] if coupon.credits else []
        return " + ".join(parts)

    @display(description=_("state"), label=LABELS)
    def state(self, coupon: Coupon) -> tuple[str, str]:
        now = timezone.now()
        if coupon.stopped_at is not None:
            return "stopped", gettext("stopped")
        if coupon.ends_at is not None and coupon.ends_at <= now:
            return "over", gettext("over")
        if coupon.starts_at is not None and coupon.starts_at > now:
            return "later", gettext("begins later")
        if coupon.limit is not None and coupon.used >= coupon.limit:
            return "used_up", gettext("used up")
        return "valid", gettext("valid")

    @admin.display(description=_("uses"), ordering="used")
    def uses(self, coupon: Coupon) -> str:
        return f"{coupon.used} / {coupon.limit}" if coupon.limit is not None else str(coupon.used)

    @admin.display(description=_("taken off"))
    def taken_off(self, coupon: Coupon) -> str:
        return self._sum(coupon, "discount_minor")

    @admin.display(description=_("revenue with it"))
    def brought(self, coupon: Coupon) -> str:
        return self._sum(coupon, "amount_minor")

    def _sum(self, coupon: Coupon, name: str) -> str:
        if not hasattr(coupon, "figures"):  # both columns come from one query
            coupon.figures = _figures(coupon)  # type: ignore[attr-defined]
        figures: dict[str, dict[str, int]] = coupon.figures  # type: ignore[attr-defined]
        return ", ".join(for_reader(Money(minor, currency)) for currency, minor in sorted(figures[name].items())) or "-"

    @admin.display(description=_("who used it"))
    def their_uses(self, coupon: Coupon) -> str:
        link = reverse("admin:billing_redemption_changelist")
        return format_html('<a href="{}?q={}">{}</a>', link, coupon.code, gettext("Show"))

    # ------------------------------------------------------------ acts

    @action(description=_("Create a coupon"), url_path="make", permissions=["create_coupon"], icon="add")  # type: ignore[arg-type, operator]
    def make(self, request: HttpRequest) -> HttpResponse:
        def do(form: CouponForm) -> str:
            made = coupon_making.create(wanted=form.wanted, by=operator(request))
            self.log_addition(request, made, "created")
            return gettext("The coupon %(code)s is valid.") % {"code": made.code}

        return self.act(
            request,
            None,
            form=CouponForm,
            title=gettext("Create a coupon"),
            says=gettext("Whoever has the code can use it from now on. What it is worth is not changed afterwards."),
            do=do,
            initial={"unit": money.CREDIT, "limit_per_customer": 1},
        )

    @action(description=_("Stop"), url_path="stop", permissions=["stop_coupon"], icon="block")  # type: ignore[arg-type, operator]
    def stop(self, request: HttpRequest, object_id: str) -> HttpResponse:
        coupon = self.found(request, object_id)

        def do(form: ActForm) -> str:
            coupon_making.stop(coupon=coupon, by=operator(request))
            return gettext("The coupon %(code)s is stopped.") % {"code": coupon.code}

        return self.act(
            request,
            coupon,
            form=ActForm,
            title=gettext("Stop the coupon"),
            says=gettext(
                "Nobody can use it any more, and it does not begin again. Subscriptions that have it keep it."
            ),
            do=do,
        )


def _figures(coupon: Coupon) -> dict[str, dict[str, int]]:
    """Sums of its paid payments by currency."""
    rows = Payment.objects.filter(redemption__coupon=coupon, status=PaymentStatus.SUCCEEDED).values("currency")
    figures: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows.annotate(amount_minor=Sum("amount_minor"), discount_minor=Sum("discount_minor")).order_by():
        for name in ("amount_minor", "discount_minor"):
            figures[name][row["currency"]] = row[name]
    return figures


@admin.register(Redemption)
class RedemptionAdmin(BillingActsAdmin):
    list_display = ("created_at", "coupon", "customer", "status_shown", "counts", "subscription", "redeemed_at")
    list_filter = ("status", "counts")
    found_by_ids = ("pk", "subscription")
    found_by_words = ("coupon__code",)
    found_by_people = ("user",)
    search_help_text = _("The code of a coupon, or a customer.")
    list_select_related = ("coupon", "user", "subscription")
    ordering = ("-id",)
    fields = (
        "coupon", "customer", "status_shown", "counts", "subscription", "their_payments", "terms", "created_at",
        "redeemed_at", "ended_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, redemption: Redemption) -> SafeString:
        return person(redemption.user)

    @display(description=_("status"), label=USES)
    def status_shown(self, redemption: Redemption) -> tuple[str, str]:
        return redemption.status, str(redemption.get_status_display())

    @admin.display(description=_("payments"))
    def their_payments(self, redemption: Redemption) -> str:
        rows = redemption.payments.order_by("id")
        return ", ".join(
            f"{for_reader(each.money)} (-{for_reader(each.discount)}), {each.get_status_display()}" for each in rows
        )
