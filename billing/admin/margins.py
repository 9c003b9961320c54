"""Margins: what was used in a period, and what it earned over its real cost."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.admin.reports import ReportAdmin, Table, Text, plain, written
from billing.models.reports import Margin
from credits import margin_reports, margins
from credits.margin_reports import Line, Total, Worth
from credits.models import GrantSource
from ledger.money import for_reader

SOURCES: dict[str, Text] = {
    **dict(GrantSource.choices),
    margin_reports.DEBT: _("debt"),
    margin_reports.UNLIMITED: _("unlimited use"),
}


@admin.register(Margin)
class MarginAdmin(ReportAdmin):
    says = _(
        "What the uses of these months (UTC) earned over their real cost, by the lots whose credits they took: at the"
        " price that was paid for each lot, tax included, and without what was given back. The real cost is that of the"
        " table of costs."
    )

    def tables(self, since: datetime, until: datetime) -> list[Table]:
        lines = margin_reports.report(since=since, until=until)
        totals = margin_reports.totals(lines, {})
        return [
            Table(
                name="margins-total",
                title=_("In total"),
                heads=[_("unit"), _("credits"), _("revenue"), _("real cost"), _("margin"), _("mark-up")],
                rows=[_total_row(total) for total in totals],
                records=[
                    ["unit", "currency", "credits", "revenue", "real_cost"],
                    *(
                        [each.unit, each.currency, each.credits, *plain(each.margin.revenue, each.margin.real_cost)]
                        for each in totals
                    ),
                ],
                note=_unknown(lines),
            ),
            Table(
                name="margins",
                title=_("By action and lot"),
                heads=[
                    _("action"),
                    _("unit"),
                    _("lot"),
                    _("uses"),
                    _("credits"),
                    _("revenue"),
                    _("real cost"),
                    _("margin"),
                    _("mark-up"),
                ],
                rows=[_line_row(line) for line in lines],
                records=[
                    [
                        "action",
                        "unit",
                        "source",
                        "lot",
                        "price_minor",
                        "currency",
                        "uses",
                        "credits",
                        "revenue",
                        "real_cost",
                        "real_cost_currency",
                    ],
                    *(_line_record(line) for line in lines),
                ],
            ),
        ]


def _unknown(lines: list[Line]) -> str:
    unknown = sum(line.credits for line in lines if line.margin({}) is None)
    if not unknown:
        return ""
    said = gettext(
        "Without %(credits)s credits whose margin is not known: they were a plan’s or unlimited, their action has no"
        " real cost, or it is in another currency (then see “manage.py margins --rate”)."
    )
    return said % {"credits": unknown}


def _total_row(total: Total) -> list[Text]:
    found, unit = total.margin, total.currency
    figures = (written(found.revenue, unit), written(found.real_cost, unit))
    return [total.unit, str(total.credits), *figures, margins.percent(found.rate), margins.percent(found.markup)]


def _line_row(line: Line) -> list[Text]:
    found = line.margin({})
    return [
        line.action or gettext("by amount"),
        line.unit,
        _lot(line),
        str(line.uses),
        str(line.credits),
        written(line.revenue, line.currency),
        written(line.real_cost, line.cost_currency),
        margins.percent(found.rate if found else None),
        margins.percent(found.markup if found else None),
    ]


def _lot(line: Line) -> str:
    source = str(SOURCES.get(line.source, line.source))
    if line.worth is not Worth.PAID or line.price is None:
        return source
    said = gettext("%(source)s: %(credits)s for %(price)s")
    return said % {"source": source, "credits": line.lot, "price": for_reader(line.price)}


def _line_record(line: Line) -> list[Any]:
    price = line.price
    paid = [price.minor, price.unit] if price else [None, None]
    return [
        line.action, line.unit, line.source, line.lot, *paid, line.uses, line.credits,
        *plain(line.revenue, line.real_cost), line.cost_currency or None,
    ]  # fmt: skip
