"""All papers of a month as one ZIP, written while it is sent: however many there are, few are in memory at once."""

import csv
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from django.db.models import QuerySet

from billing.models import Invoice, InvoiceFile
from ledger.money import plain

BATCH = 10
INDEX_BYTES = 262_144
INDEX = (
    "number",
    "kind",
    "date",
    "customer",
    "currency",
    "net",
    "tax",
    "gross",
    "corrects",
    "pdf_sha256",
    "xml_sha256",
)


class _Pipe(io.RawIOBase):
    """What the ZIP writes and nobody has taken yet."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.waiting += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self.waiting)
        self.waiting.clear()
        return taken


def of_month(month: date) -> Iterator[tuple[Invoice, InvoiceFile | None]]:
    """In the order of their ids, a few at a time; no file yet where it is not rendered.

    Files are not joined: a paper and its file that know each other stay in memory until the collector comes by.
    """
    rows = papers(month).select_related("user", "corrects").order_by("pk")
    last = None
    while batch := list((rows.filter(pk__gt=last) if last else rows)[:BATCH]):
        files = InvoiceFile.objects.in_bulk([paper.pk for paper in batch])
        while batch:  # what was given away is not kept here
            paper = batch.pop(0)
            last = paper.pk
            yield paper, files.pop(paper.pk, None)


def papers(month: date) -> QuerySet[Invoice]:
    following = (month + timedelta(days=32)).replace(day=1)
    return Invoice.objects.filter(issued_on__gte=month.replace(day=1), issued_on__lt=following)


def stream(month: date, told: Callable[[int], None] = lambda done: None) -> Iterator[bytes]:
    """The ZIP, piece by piece: PDF and XML of every paper, and index.csv, which names those not rendered too."""
    pipe = _Pipe()
    with (
        tempfile.SpooledTemporaryFile(INDEX_BYTES, "w+", encoding="utf-8", newline="") as index,
        zipfile.ZipFile(pipe, "w") as archive,
    ):
        rows = csv.writer(index)
        rows.writerow(INDEX)
        for done, (invoice, file) in enumerate(of_month(month), start=1):
            if file is not None:
                # A PDF is compressed already.
                _add(archive, invoice, ".pdf", bytes(file.pdf), zipfile.ZIP_STORED)
                if file.xml:
                    _add(archive, invoice, ".xml", bytes(file.xml), zipfile.ZIP_DEFLATED)
            rows.writerow(_row(invoice, file))
            told(done)
            yield pipe.take()
        index.seek(0)
        entry = zipfile.ZipInfo("index.csv", (month.year, month.month, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(entry, "w") as target:
            while part := index.read(INDEX_BYTES):
                target.write(part.encode())
                yield pipe.take()
    yield pipe.take()


def _add(archive: zipfile.ZipFile, invoice: Invoice, ending: str, body: bytes, how: int) -> None:
    on = invoice.issued_on
    entry = zipfile.ZipInfo(f"{invoice.kind}/{invoice.number}{ending}", (on.year, on.month, on.day, 0, 0, 0))
    archive.writestr(entry, body, how)


def _row(invoice: Invoice, file: InvoiceFile | None) -> list[str]:
    return [
        invoice.number,
        invoice.kind,
        invoice.issued_on.isoformat(),
        invoice.user.get_username(),
        invoice.currency,
        plain(invoice.net),
        plain(invoice.tax),
        plain(invoice.gross),
        invoice.corrects.number if invoice.corrects else "",
        file.pdf_sha256 if file else "",
        file.xml_sha256 if file else "",
    ]
