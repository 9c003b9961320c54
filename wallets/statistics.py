"""What a seller sold, paid and was paid: sums by day, week or month, and by type of sale. Times are UTC."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, F, Sum
from django.db.models.functions import Trunc

from ledger.ids import first_at
from wallets.models import Sale, TakeBack, TakeBackState, Wallet, Withdrawal, WithdrawalStatus

PERIODS = ("day", "week", "month")


@dataclass(slots=True, kw_only=True)
class Figures:
    """Minor units. Refunds count on the day on which they were made; the net is what is left of the seller's part."""

    sales: int = 0
    gross: int = 0
    commission: int = 0
    refunds: int = 0
    net: int = 0
    withdrawn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    at: datetime
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    currency: str
    total: Figures
    periods: list[Period] = field(default_factory=list)
    types: dict[str, Figures] = field(default_factory=dict)


def of(wallet: Wallet, *, since: datetime, until: datetime, by: str) -> Statistics:
    """The sums over `since <= at < until`, in all, by period and by type of sale."""
    periods: dict[datetime, Figures] = defaultdict(Figures)
    types: dict[str, Figures] = defaultdict(Figures)
    total = Figures()
    sold = Sale.objects.filter(wallet=wallet, pk__gte=first_at(since), pk__lt=first_at(until))
    for at, code, count, gross, commission, net in (
        sold.values_list(Trunc("created_at", by), "type__code")
        .annotate(Count("pk"), Sum("price_minor"), Sum("commission_minor"), Sum("net_minor"))
        .order_by()
    ):
        for figures in (periods[at], types[code], total):
            figures.sales += count
            figures.gross += gross
            figures.commission += commission
            figures.net += net
    taken = TakeBack.objects.filter(sale__wallet=wallet, state=TakeBackState.SETTLED)
    for at, code, price, commission, net in (
        taken.filter(resolved_at__gte=since, resolved_at__lt=until)
        .values_list(Trunc("resolved_at", by), "sale__type__code")
        .annotate(Sum("price_minor"), Sum("commission_minor"), given=Sum(F("net_minor") - F("cost_minor")))
        .order_by()
    ):
        for figures in (periods[at], types[code], total):
            figures.refunds += price
            figures.commission -= commission
            figures.net -= net
    paid = Withdrawal.objects.filter(wallet=wallet, status=WithdrawalStatus.PAID)
    for at, amount in (
        paid.filter(resolved_at__gte=since, resolved_at__lt=until)
        .values_list(Trunc("resolved_at", by))
        .annotate(Sum("amount_minor"))
        .order_by()
    ):
        periods[at].withdrawn += amount
        total.withdrawn += amount
    return Statistics(
        currency=wallet.currency,
        total=total,
        periods=[Period(at=at, figures=periods[at]) for at in sorted(periods)],
        types={code: types[code] for code in sorted(types)},
    )
