"""All papers of a month as one ZIP, written while it is sent: however many there are, few are in memory at once."""

import csv
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from tempfile import SpooledTemporaryFile
from typing import Self

from django.db.models import QuerySet

from billing.models import Invoice, InvoiceFile
from billing.zip_writing import PIECE_BYTES, STORED, ZipWriter
from ledger.money import plain

BATCH = 10
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
    with _Index() as index, ZipWriter() as archive:
        index.add(INDEX)
        for done, (invoice, file) in enumerate(of_month(month), start=1):
            if file is not None:
                path = f"{invoice.kind}/{invoice.number}"
                # A PDF is compressed already.
                yield archive.file(f"{path}.pdf", bytes(file.pdf), on=invoice.issued_on)
                if file.xml:
                    yield archive.file(f"{path}.xml", bytes(file.xml), on=invoice.issued_on, compressed=True)
            index.add(_row(invoice, file))
            told(done)
        yield archive.head(
            "index.csv", on=month, method=STORED, checksum=index.checksum, squeezed=index.size, size=index.size
        )
        yield from index.pieces()
        yield from archive.end()


class _Index:
    """The table of a month, on disk once it is long; what a ZIP has to say before it is reckoned as it grows."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(PIECE_BYTES)  # noqa: SIM115 - closed by __exit__
        self.checksum = self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, row: Sequence[str]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerow(row)
        line = text.getvalue().encode()
        self._file.write(line)
        self.checksum = zlib.crc32(line, self.checksum)
        self.size += len(line)

    def pieces(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece


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
