"""What a seller has: by currency, what has cleared and what has not, and what becomes available when."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F, Sum
from django.db.models.functions import Trunc

from ledger.models import Account
from wallets.errors import later
from wallets.models import Sale, Wallet
from wallets.sellers import PARTS

MOST_UPCOMING = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Minor units of one currency. `available` can be withdrawn; `held` is on its way out, or disputed."""

    currency: str
    pending: int
    available: int
    held: int
    reserved: int
    owed: int
    upcoming: tuple[dict[str, Any], ...] = ()


def of(user: User) -> list[Balance]:
    """Every wallet of a seller, by currency."""
    wallets = Wallet.objects.filter(seller__user=user).select_related(*PARTS).order_by("currency")
    return [of_wallet(wallet) for wallet in wallets]


def of_wallet(wallet: Wallet) -> Balance:
    rows = {row.pk: row for row in Account.objects.filter(pk__in=[getattr(wallet, f"{name}_id") for name in PARTS])}
    pending, available, reserve, debt = (rows[getattr(wallet, f"{name}_id")] for name in PARTS)
    return Balance(
        currency=wallet.currency,
        pending=pending.balance - pending.held,
        available=available.balance - available.held,
        held=pending.held + available.held + reserve.held,
        reserved=reserve.balance - reserve.held,
        owed=-debt.balance,
        upcoming=tuple(upcoming(wallet)),
    )


def upcoming(wallet: Wallet) -> list[dict[str, Any]]:
    """What becomes available on which day (UTC), from sales that clear and reserves that end. What is owed then, or
    kept in reserve then, is not taken off: it can change until that day."""
    days: dict[datetime, int] = defaultdict(int)
    clearing = (
        Sale.objects.filter(wallet=wallet, released_at__isnull=True)
        .values_list(Trunc("releases_at", "day"))
        .annotate(sum=Sum(F("net_minor") - F("taken_net_minor")))
    )
    ending = (
        Sale.objects.filter(wallet=wallet, reserved_minor__gt=0)
        .values_list(Trunc("reserved_until", "day"))
        .annotate(sum=Sum("reserved_minor"))
    )
    for day, amount in [*clearing.order_by(), *ending.order_by()]:
        days[day] += int(amount)
    return [later(day, days[day]) for day in sorted(days) if days[day]][:MOST_UPCOMING]
