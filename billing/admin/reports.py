"""Pages of figures: a period of months is chosen, its tables are shown, and each is a CSV too. Nothing is changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.admin.acts import BillingActsAdmin
from ledger.money import Money, exponent, for_reader
from rest import spreadsheets

Text = str | Promise
MOST_MONTHS = 24  # so that a page is a bounded range of what grows for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The cells are for the reader, the records for a spreadsheet: plain figures under plain names."""

    name: str
    title: Text
    heads: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    records: Sequence[Sequence[Any]]
    note: Text = ""


def first_of_month(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)


def next_month(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


class MonthField(forms.CharField):
    """A month as browsers send it, 2026-11: the instant at which it begins, UTC."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**{"widget": UnfoldAdminTextInputWidget(attrs={"type": "month"}), **changes})

    def clean(self, value: Any) -> Any:
        said = super().clean(value)
        try:
            begin = first_of_month(said)
            next_month(begin)  # the calendar ends with the year 9999
        except ValueError:
            raise forms.ValidationError(gettext("Say a month like 2026-11.")) from None
        return begin


class PeriodForm(forms.Form):
    since = MonthField(label=_("from the month"))
    until = MonthField(label=_("to the month"))

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or self.cleaned_data
        if "since" in said and "until" in said:
            months = (said["until"].year - said["since"].year) * 12 + said["until"].month - said["since"].month + 1
            if months < 1:
                raise forms.ValidationError(gettext("The period ends before it begins."))
            if months > MOST_MONTHS:
                raise forms.ValidationError(gettext("At most %(months)s months.") % {"months": MOST_MONTHS})
        return said


class ReportAdmin(BillingActsAdmin):
    """Stands where the list of a model would; the model is there for its permission and its place in the sidebar."""

    says: Text = ""

    def tables(self, since: datetime, until: datetime) -> list[Table]:
        raise NotImplementedError

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:  # type: ignore[override]
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = PeriodForm(request.GET if "since" in request.GET else _this_month())
        tables: list[Table] = []
        if form.is_valid():
            tables = self.tables(form.cleaned_data["since"], next_month(form.cleaned_data["until"]))
        if "csv" in request.GET:
            return self._spreadsheet(tables, request.GET["csv"])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(self.opts.verbose_name_plural).capitalize(),
            "says": self.says,
            "form": form,
            "tables": tables,
            "query": urlencode({name: form.data.get(name, "") for name in ("since", "until")}),
        }
        return TemplateResponse(request, "admin/billing/report.html", context)

    def change_view(self, *arguments: Any, **named: Any) -> HttpResponse:
        raise Http404

    def _spreadsheet(self, tables: list[Table], name: str) -> StreamingHttpResponse:
        table = next((each for each in tables if each.name == name), None)
        if table is None:
            raise Http404
        return spreadsheets.answer([table.records], table.name)


def _this_month() -> dict[str, str]:
    month = timezone.now().astimezone(UTC).strftime("%Y-%m")
    return {"since": month, "until": month}


# ---------------------------------------------------------------- figures as they are written


def plain(*figures: Fraction | None) -> list[str | None]:
    return [None if each is None else f"{float(each):.4f}" for each in figures]


def written(figure: Fraction | None, currency: str) -> str:
    """To the currency's own minor unit: what is less shows in the rates and in the CSV."""
    if figure is None or not currency:
        return "\N{EN DASH}"
    return for_reader(Money(round(figure * 10 ** exponent(currency)), currency))
