"""Figures: what came in, what the books earned, who bought and who stayed, over some months."""

from datetime import datetime
from fractions import Fraction

from django.contrib import admin
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import figures
from billing.admin.reports import ReportAdmin, Table, Text
from billing.figures import BuyerFigures, Earning, GatewayFigures, PlanFigures
from billing.models.reports import Figures
from ledger.money import Money, for_reader

NOTHING = "\N{EN DASH}"
ACCOUNTS: dict[str, Text] = {
    "revenue:packs": _("packs"),
    "revenue:plans": _("plans"),
    "revenue:payments": _("other payments"),
    "commission": _("commissions of sales"),
    "fees": _("fees of gateways"),
    "loss": _("losses"),
}


@admin.register(Figures)
class FiguresAdmin(ReportAdmin):
    says = _("Of these months (UTC). Amounts of different currencies are never added.")

    def tables(self, since: datetime, until: datetime) -> list[Table]:
        found = figures.report(since=since, until=until)
        return [_earnings(found.earnings), _gateways(found.gateways), _buyers(found.buyers), _plans(found.plans)]


def _earnings(lines: list[Earning]) -> Table:
    return Table(
        name="earnings",
        title=_("What the books earned"),
        heads=[_("account"), _("currency"), _("amount")],
        rows=[
            [ACCOUNTS.get(line.account, line.account), line.currency, _money(line.amount, line.currency)]
            for line in lines
        ],
        records=[
            ["account", "currency", "amount_minor"],
            *([line.account, line.currency, line.amount] for line in lines),
        ],
        note=_(
            "Without tax and refunds. What is taxed when it is used is earned with its use, and of sellers’ sales the"
            " commission is ours."
        ),
    )


def _gateways(lines: list[GatewayFigures]) -> Table:
    names = (
        "month", "gateway", "currency", "paid_count", "paid", "tax", "fees", "refunded_count", "refunded", "net",
        "attempts_paid", "attempts_failed",
    )  # fmt: skip
    return Table(
        name="gateways",
        title=_("By month and gateway"),
        heads=[
            _("month"),
            _("gateway"),
            _("payments"),
            _("paid"),
            _("tax"),
            _("fees"),
            _("refunded"),
            _("without tax and refunds"),
            _("failed payments"),
        ],
        rows=[
            [
                f"{line.month:%Y-%m}",
                line.gateway or gettext("none: nothing was to be paid"),
                str(line.paid_count),
                *(
                    _money(amount, line.currency)
                    for amount in (line.paid, line.tax, line.fees, line.refunded, line.net)
                ),
                _percent(line.failed_rate),
            ]
            for line in lines
        ],
        records=[
            names,
            *([f"{line.month:%Y-%m}", *(getattr(line, name) for name in names[1:])] for line in lines),
        ],
        note=_(
            "With what belongs to sellers. Failed is the share of the tries of a month that a gateway or bank refused;"
            " pages that buyers left are not counted."
        ),
    )


def _buyers(lines: list[BuyerFigures]) -> Table:
    names = ("currency", "begun", "converted", "payers", "net", "pack_purchases", "pack_buyers")
    return Table(
        name="buyers",
        title=_("Who bought"),
        heads=[
            _("currency"),
            _("checkouts"),
            _("paid"),
            _("conversion"),
            _("customers who paid"),
            _("without tax and refunds"),
            _("per customer who paid (ARPU)"),
            _("packs bought"),
            _("packs per buyer"),
        ],
        rows=[
            [
                line.currency,
                str(line.begun),
                str(line.converted),
                _percent(line.conversion),
                str(line.payers),
                _money(line.net, line.currency),
                NOTHING if line.net_per_payer is None else _money(round(line.net_per_payer), line.currency),
                str(line.pack_purchases),
                NOTHING if line.purchases_per_buyer is None else number_format(float(line.purchases_per_buyer), 2),
            ]
            for line in lines
        ],
        records=[names, *([getattr(line, name) for name in names] for line in lines)],
        note=_(
            "Without what belongs to sellers. Checkouts are those of the period, without plans and automatic top-ups."
        ),
    )


def _plans(lines: list[PlanFigures]) -> Table:
    names = ("currency", "begun", "converted", "at_start", "lost")
    return Table(
        name="plans",
        title=_("Who stayed"),
        heads=[
            _("currency"),
            _("plans begun"),
            _("paid"),
            _("conversion"),
            _("paid plans before"),
            _("of these lost"),
            _("churn"),
        ],
        rows=[
            [
                line.currency,
                str(line.begun),
                str(line.converted),
                _percent(line.conversion),
                str(line.at_start),
                str(line.lost),
                _percent(line.churn),
            ]
            for line in lines
        ],
        records=[names, *([getattr(line, name) for name in names] for line in lines)],
        note=_("As plans stand today: one that lapsed and was paid late is not lost."),
    )


def _money(minor: int, currency: str) -> str:
    return for_reader(Money(minor, currency))


def _percent(rate: Fraction | None) -> str:
    """To one place: of churn and failures the difference is there."""
    return NOTHING if rate is None else f"{number_format(float(rate * 100), 1)} %"
