"""Giving back credits that are taxed when they are used: first what was never taxed, and then the months that were
invoiced, the youngest first.

What went back of the purchase is not taxed later, and what went back of a month's use takes its tax with it: receipts,
months and credit notes add up to what the buyer has paid.
"""

from collections.abc import Sequence

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from billing import fulfilment
from billing.models import Dispute, Payment, Refund, TaxedUse, UseGivenBack
from billing.models.refunds import DisputeState, RefundOrigin, RefundPolicy, RefundStatus
from ledger.models import Account
from ledger.money import Money
from ledger.transfers import Move

_STANDS = Q(given_back__refund__status=RefundStatus.SUCCEEDED)


def given_back_untaxed(payment: Payment, *, without: Refund | None = None) -> int:
    """What refunds that arrived, and disputes that were lost, took of what waits on the account of vouchers: by the
    books, since what was more than that was not taken from there."""
    rows = Refund.objects.filter(payment=payment, status=RefundStatus.SUCCEEDED).exclude(origin=RefundOrigin.SURPLUS)
    if without is not None:
        rows = rows.exclude(pk=without.pk)
    return booked([each.key_now for each in rows], payment.currency) + _lost_untaxed(payment)


def untaxed(payment: Payment, *, without: Refund | None = None) -> int:
    """What of its price was never taxed and has not gone: so much of it waits on the account of vouchers."""
    taxed = TaxedUse.objects.filter(payment=payment).aggregate(total=Sum("gross_minor"))["total"] or 0
    return max(0, payment.amount_minor - taxed - given_back_untaxed(payment, without=without))


def _lost_untaxed(payment: Payment) -> int:
    """What lost disputes took of it, as the books say."""
    lost = Dispute.objects.filter(payment=payment, state=DisputeState.LOST)
    return booked([key for each in lost for key in each.all_keys()], payment.currency)


def taken(refund: Refund) -> Money:
    """What a refund that has arrived took of it: that much its receipt is corrected by."""
    return Money(booked([refund.key_now], refund.currency), refund.currency)


def booked(keys: Sequence[str], unit: str) -> int:
    """What entries of these keys took of what waits on the account of vouchers."""
    return fulfilment.moved(keys, source__name=_vouchers(unit))


def _vouchers(unit: str) -> str:
    return f"vouchers:{unit}"


def write(refund: Refund) -> list[UseGivenBack]:
    """What this refund takes of months that were taxed. The payment is locked, and so no month is taxed meanwhile."""
    payment = refund.payment
    uses = list(
        TaxedUse.objects.filter(payment=payment)
        .annotate(
            gross_back=Coalesce(Sum("given_back__gross_minor", filter=_STANDS), 0),
            tax_back=Coalesce(Sum("given_back__tax_minor", filter=_STANDS), 0),
        )
        .order_by("-month")
    )
    rest, rows = refund.amount_minor - untaxed(payment, without=refund), []
    for use in uses:
        part = min(use.gross_minor - use.gross_back, rest)
        if part <= 0:
            continue
        rest -= part
        # The share of all that has gone back of this month, less what went before: so the last part takes the rest.
        tax = use.tax_minor * (use.gross_back + part) // use.gross_minor - use.tax_back
        rows.append(UseGivenBack(refund=refund, use=use, gross_minor=part, tax_minor=tax))
    return UseGivenBack.objects.bulk_create(rows)


def moves(refund: Refund, uses: list[UseGivenBack], outside: Account) -> list[Move]:
    """What was not taxed comes from what is owed; of the rest the tax comes from the tax, whoever bears the net. What
    is more than was left of the price is as lost as that net."""
    unit = refund.currency
    gross, tax = sum(use.gross_minor for use in uses), sum(use.tax_minor for use in uses)
    net_of = f"loss:{unit}" if refund.policy == RefundPolicy.GOODWILL else f"revenue:packs:{unit}"
    owed = min(refund.amount_minor - gross, untaxed(refund.payment, without=refund))
    parts = {_vouchers(unit): owed, net_of: refund.amount_minor - owed - tax, f"tax:{unit}": tax}
    return [
        Move(fulfilment.house(name, unit), outside, Money(minor, unit)) for name, minor in parts.items() if minor > 0
    ]


def moves_after_loss(refund: Refund, outside: Account) -> list[Move]:
    """A lost dispute has taken what waited on the account of vouchers, or a part of it: only what it has left can still
    come from there, and the rest is lost a second time. What was taxed stays taxed."""
    unit = refund.currency
    owed = min(refund.amount_minor, untaxed(refund.payment, without=refund))
    parts = {_vouchers(unit): owed, f"loss:{unit}": refund.amount_minor - owed}
    return [
        Move(fulfilment.house(name, unit), outside, Money(minor, unit)) for name, minor in parts.items() if minor > 0
    ]
