"""Credits that are taxed when they are used: a receipt when they are bought, then an invoice for each month of use.

What expires or is revoked is taxed like what is used, since the seller keeps its price. The parts of a pack's price add
up, and never to more than it; a spend that is taken back after it was taxed is made good in the months that follow, and
what a refund gave back is not taxed at all.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext, override

from billing import customers, fulfilment, invoice_writing, invoices, payments, seller_days, taxing, voucher_refunds
from billing.invoice_writing import NewLine
from billing.models import Invoice, Payment, TaxedUse
from billing.models.invoices import InvoiceKind
from billing.models.payments import PaymentStatus
from credits import takebacks
from ledger import transfers
from ledger.ids import first_at
from ledger.money import Money
from ledger.transfers import Move
from rest import sweeps

_CONSUMED = """
    SELECT coalesce(sum(CASE WHEN t.source_id = a.id THEN t.amount ELSE -t.amount END), 0)::bigint
      FROM ledger_account a
      JOIN ledger_transfer t ON a.id IN (t.source_id, t.target_id) AND t.entry_id < %s
      JOIN ledger_entry e ON e.id = t.entry_id
      JOIN ledger_account other ON other.id = CASE WHEN t.source_id = a.id THEN t.target_id ELSE t.source_id END
     WHERE a.name = ANY(%s)
       AND (other.name LIKE 'credits:spent:%%' OR e.kind = 'credits.repayment'
            OR (t.source_id = a.id AND (other.name LIKE 'credits:expired:%%'
                OR (other.name LIKE 'credits:revoked:%%' AND NOT EXISTS (
                    SELECT 1 FROM ledger_entrykey k WHERE k.entry_id = e.id AND k.key LIKE %s)))))
"""


def issue_due(*, now: datetime | None = None) -> int:
    """Issue what the months that are over lack, the oldest first. A buyer whose month cannot be invoiced keeps no other
    waiting, and their later months wait for it: each is taxed as what it is."""
    first = seller_days.here(now or timezone.now()).date().replace(day=1)
    stuck: set[tuple[int, str]] = set()
    done = 0
    for back in range(settings.INVOICE_USAGE_LOOK_BACK_MONTHS, 0, -1):
        month = _months_before(first, back)
        for rows in _unfinished(month):
            bought = list(rows)
            whose = (bought[0].user_id, bought[0].currency)
            if whose in stuck:
                continue
            with sweeps.alone("month.not_invoiced", user=str(whose[0]), month=f"{month:%Y-%m}") as row:
                done += _issue(bought, month)
            if row.fault is not None:
                stuck.add(whose)
    return done


def _months_before(first: date, count: int) -> date:
    for _ in range(count):
        first = (first - timedelta(days=1)).replace(day=1)
    return first


def _unfinished(month: date) -> Iterable[Iterable[Payment]]:
    """Payments with a receipt of which something is not taxed yet, by customer and currency."""
    rows = (
        Payment.objects.filter(
            invoices__kind=InvoiceKind.RECEIPT, invoices__corrects__isnull=True, status=PaymentStatus.SUCCEEDED
        )
        .exclude(taxed_uses__month__gte=month)
        .annotate(taxed_minor=Coalesce(Sum("taxed_uses__gross_minor"), 0))
        .filter(taxed_minor__lt=F("amount_minor"), created_at__lt=_end(month))
        .select_related("user")
        .order_by("user_id", "currency", "pk")
    )
    return (group for _, group in groupby(rows, key=lambda payment: (payment.user_id, payment.currency)))


def _end(month: date) -> datetime:
    following = (month + timedelta(days=32)).replace(day=1)
    return datetime(following.year, following.month, 1, tzinfo=ZoneInfo(settings.SELLER_TIME_ZONE))


@transaction.atomic
def _issue(found: list[Payment], month: date) -> bool:
    user, currency = found[0].user, found[0].currency
    # No refund arrives meanwhile; and of two sweeps at once the second waits here, and then finds the month done.
    bought = [payments.lock(pk) for pk in sorted(payment.pk for payment in found)]
    if Invoice.objects.filter(user=user, month=month, currency=currency).exists():
        return False
    counted = [(payment, consumed(payment, _end(month))) for payment in bought]
    worth = [(payment, used, _value(payment, used) - _taxed(payment)) for payment, used in counted]
    due = [each for each in worth if each[2] > 0]
    if not due:
        return False
    invoice, lines = _write(user, month, due)
    TaxedUse.objects.bulk_create(
        TaxedUse(
            payment=payment,
            invoice=invoice,
            month=month,
            credits=used,
            gross_minor=minor,
            tax_minor=line.tax.minor,
        )
        for (payment, used, minor), line in zip(due, lines, strict=True)
    )
    _book(invoice)
    invoices.tell(invoice)
    return True


def consumed(payment: Payment, until: datetime) -> int:
    """How many of its paid credits were used, had expired or had been taken away by hand by then: what a refund or a
    dispute took went with its price. The bonus was given for nothing."""
    with connection.cursor() as cursor:
        names = [f"grant:{key}" for key in fulfilment.keys_of_what_was_paid(payment)]
        cursor.execute(_CONSUMED, [first_at(until), names, takebacks.booked_as("") + "%"])
        (used,) = cursor.fetchone()
    return int(used)


def _value(payment: Payment, used: int) -> int:
    """What was paid for what is used: credits that the buyer kept although their price went back cost nothing."""
    worth = int(payment.amount_minor * used // payment.details["credits"])
    return min(worth, payment.amount_minor - voucher_refunds.given_back_untaxed(payment))


def _taxed(payment: Payment) -> int:
    return TaxedUse.objects.filter(payment=payment).aggregate(total=Sum("gross_minor"))["total"] or 0


def _write(user: User, month: date, due: list[tuple[Payment, int, int]]) -> tuple[Invoice, list[NewLine]]:
    customer, currency = customers.get(user), due[0][0].currency
    last_day = _end(month).date() - timedelta(days=1)
    treatment = taxing.decide(customer=customer, country="", on=last_day)
    grosses = [Money(minor, currency) for _, _, minor in due]
    with override(customer.locale):
        lines = [
            NewLine(
                description=gettext("%(name)s: use of credits") % {"name": payment.description},
                net=gross - tax,
                tax=tax,
                treatment=treatment,
            )
            for (payment, _, _), gross, tax in zip(
                due, grosses, taxing.each_in(grosses, treatment.basis_points), strict=True
            )
        ]
    buyer, missing = invoice_writing.buyer(user)
    gross = Money(sum(each.minor for each in grosses), currency)
    invoice = invoice_writing.write(
        InvoiceKind.INVOICE,
        lines=lines,
        user=user,
        month=month,
        seller=invoice_writing.seller(),
        buyer=buyer,
        missing=missing,
        is_simplified=invoice_writing.is_simplified(gross, missing, lines),
        locale=customer.locale,
        mention=treatment.mention,
    )
    return invoice, lines


def _book(invoice: Invoice) -> None:
    """What was owed as credits is earned now, and its tax is due."""
    owed = fulfilment.house(f"vouchers:{invoice.currency}", invoice.currency)
    earned = fulfilment.house(f"revenue:packs:{invoice.currency}", invoice.currency)
    moves = [Move(owed, earned, invoice.net)] if invoice.net_minor else []
    if invoice.tax_minor:
        moves.append(Move(owed, fulfilment.house(f"tax:{invoice.currency}", invoice.currency), invoice.tax))
    transfers.post(key=f"usage:{invoice.pk}", kind="usage", moves=moves, metadata={"invoice": str(invoice.pk)})
