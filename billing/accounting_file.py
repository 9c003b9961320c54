"""The French tax office's accounting file (FEC, art. A47 A-1 LPF): the books of a year in 18 columns.

Value that leaves an account is its debit, value that arrives is the other's credit, so each transfer is two lines that
agree. Whatever is not money (credits) is not in it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Prefetch, QuerySet

from billing.errors import AccountingMistake
from billing.models import Invoice
from billing.models.invoices import InvoiceKind
from billing.seller_days import here
from ledger.ids import first_at
from ledger.models import Entry, Transfer
from ledger.money import EXPONENTS, Money, exponent, plain

COLUMNS = (
    "JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum", "CompAuxLib",
    "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet", "ValidDate", "Montantdevise",
    "Idevise",
)  # fmt: skip
NEEDED = set(range(18)) - {6, 7, 13, 14, 16, 17}  # columns that are never empty
JOURNALS = {"payment": ("VE", "Ventes"), "refund": ("VE", "Ventes"), "usage": ("VE", "Ventes")}
OTHER = ("OD", "Opérations diverses")
BATCH = 500
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    entries: int
    lines: int
    debit: Decimal
    credit: Decimal


def file_name(year: int) -> str:
    return f"{settings.SELLER_LEGAL_ID[:9] or 'SIREN'}FEC{year}1231.txt"


def entries(year: int) -> QuerySet[Entry]:
    """Of that year by the seller's clock, money only, in the order in which they were booked."""
    zone = ZoneInfo(settings.SELLER_TIME_ZONE)
    start, end = (first_at(datetime(each, 1, 1, tzinfo=zone)) for each in (year, year + 1))
    moves = Transfer.objects.filter(source__unit__in=EXPONENTS).select_related("source", "target").order_by("number")
    return (
        Entry.objects.filter(pk__gte=start, pk__lt=end)
        .exclude(kind__startswith="credits.")
        .select_related("entry_key")
        .prefetch_related(Prefetch("transfers", queryset=moves, to_attr="moves"))
        .order_by("pk")
    )


def lines(year: int, told: Callable[[int], None] = lambda done: None) -> Iterator[list[str]]:
    number = done = 0
    for batch in _batches(entries(year)):
        papers = _papers(batch)
        for entry in batch:
            if entry.moves:  # type: ignore[attr-defined]
                number += 1
                yield from _of_entry(entry, number, papers)
            done += 1
            told(done)


def _batches(rows: QuerySet[Entry]) -> Iterator[list[Entry]]:
    last = None
    while batch := list((rows.filter(pk__gt=last) if last else rows)[:BATCH]):
        yield batch
        last = batch[-1].pk


def _papers(batch: list[Entry]) -> dict[str, Invoice]:
    """The papers that prove these entries, by what their metadata names."""
    named = {name: [pk for entry in batch if (pk := _id(entry.metadata.get(name)))] for name in ("payment", "refund")}
    used = [UUID(entry.metadata["invoice"]) for entry in batch if entry.kind == "usage"]
    found: dict[str, Invoice] = {}
    for paper in Invoice.objects.of_sales().filter(payment_id__in=named["payment"]):
        found[str(paper.payment_id)] = paper
    for paper in Invoice.objects.filter(refund_id__in=named["refund"], kind=InvoiceKind.CREDIT_NOTE):
        found[str(paper.refund_id)] = paper
    for paper in Invoice.objects.filter(pk__in=used):
        found[str(paper.pk)] = paper
    return found


def _id(named: object) -> UUID | None:
    """Whoever records a sale without our checkout has payments, and names for them, of their own."""
    try:
        return UUID(str(named))
    except ValueError:
        return None


def _of_entry(entry: Entry, number: int, papers: dict[str, Invoice]) -> Iterator[list[str]]:
    named = [entry.metadata.get(name) for name in ("invoice", "refund", "payment")]
    paper = papers.get(next((name for name in named if name), ""))
    day = here(entry.created_at).date()
    code, label = JOURNALS.get(entry.kind.partition(".")[0], OTHER)
    head = [code, label, str(number), _day(day)]
    reference = paper.number if paper else entry.entry_key.key[:100]
    proof = [reference, _day(paper.issued_on if paper else day), f"{entry.kind} {reference}"]
    for move in entry.moves:  # type: ignore[attr-defined]
        amount = Money(move.amount, move.source.unit)
        value, foreign = _valued(amount)
        for account, is_debit in ((move.source.name, True), (move.target.name, False)):
            debit, credit = (value, _said(Decimal(0))) if is_debit else (_said(Decimal(0)), value)
            other = [("" if is_debit else "-") + foreign, amount.unit] if foreign else ["", ""]
            yield [*head, *_account(account), *proof, debit, credit, "", "", _day(day), *other]


def _account(name: str) -> list[str]:
    """Number and label by the longest beginning that fits; a seller's wallet is a third party's account."""
    fitting = [begin for begin in settings.FEC_ACCOUNTS if name.startswith(begin)]
    if not fitting:
        raise AccountingMistake(f"FEC_ACCOUNTS has no account for {name}.")
    number, label = settings.FEC_ACCOUNTS[max(fitting, key=len)]
    third = ":".join(name.split(":")[:2]) if name.startswith("wallet:") else ""
    return [number, label, third, third]


def _valued(amount: Money) -> tuple[str, str]:
    """In the currency of the books; and the foreign amount, where it is one."""
    exact = Decimal(plain(amount))
    if amount.unit == settings.FEC_CURRENCY:
        return _said(exact), ""
    rate = settings.FEC_RATES.get(amount.unit)
    if rate is None:
        raise AccountingMistake(f"FEC_RATES has no rate of {amount.unit}.")
    return _said((exact / Decimal(rate)).quantize(CENT, ROUND_HALF_UP)), _said(exact, max(2, exponent(amount.unit)))


def _said(number: Decimal, decimals: int = 2) -> str:
    return f"{number:.{decimals}f}".replace(".", ",")


def _day(day: date) -> str:
    return f"{day:%Y%m%d}"


# ---------------------------------------------------------------- checked as the tax office would


def check(path: Path) -> Totals:
    """Read a file again: 18 columns, nothing missing, numbers continuous, each entry's debits equal to its credits."""
    totals, number, open_entry = {"debit": Decimal(0), "credit": Decimal(0)}, 0, Decimal(0)
    count = 0
    with path.open(encoding="utf-8", newline="") as file:
        if next(file).rstrip("\r\n").split("\t") != list(COLUMNS):
            raise AccountingMistake("The first line does not name the 18 columns.")
        for count, text in enumerate(file, start=1):
            cells = text.rstrip("\r\n").split("\t")
            if len(cells) != len(COLUMNS) or any(not cells[place] for place in NEEDED):
                raise AccountingMistake(f"Line {count + 1} lacks something.")
            if int(cells[2]) != number:
                if open_entry or int(cells[2]) != number + 1:
                    raise AccountingMistake(f"Line {count + 1}: {number} does not balance, or a number is missing.")
                number += 1
            debit, credit = (Decimal(cells[place].replace(",", ".")) for place in (11, 12))
            open_entry += debit - credit
            totals["debit"] += debit
            totals["credit"] += credit
    if open_entry or totals["debit"] != totals["credit"]:
        raise AccountingMistake(f"Entry {number} does not balance.")
    return Totals(entries=number, lines=count, **totals)
