"""`bench invoices`: documents a second on one core, and the memory that a month's ZIP of ten thousand takes."""

import time
import tracemalloc
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import date
from typing import Any

from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone

from bench import databases, machine, measuring
from bench.measuring import Say, Target, WentWrong
from billing import invoice_archive, invoice_files, invoice_samples, invoice_xml, invoices
from billing.models import Invoice, InvoiceFile, Payment
from ledger.money import Money

PAPERS = 10_000
TITLES = {
    "png": "typst alone: the page as a picture",
    "pdf": "the PDF/A-3b by typst",
    "whole": "PDF/A-3b, XML of EN 16931 checked by XSD, one in the other",
}
MEGABYTE = 1_048_576


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--papers", type=int, help=f"how many are in the month's ZIP ({PAPERS})")


def run(options: dict[str, Any], say: Say) -> dict[str, Any]:
    quick = options["quick"]
    seconds = options["seconds"] or (1 if quick else 5)
    rounds = options["rounds"] or (1 if quick else 5)
    count = options["papers"] or (200 if quick else PAPERS)
    database = f"{options['database']}_invoices"
    found = machine.describe()
    for line in found.lines():
        say(line)
    figures = measuring.in_turns(
        {name: lambda name=name: _drawn(name, seconds) for name in TITLES},  # type: ignore[misc]
        rounds=rounds,
        say=say,
    )
    say(f"making {database}: {count} papers")
    try:
        databases.create(database, options["template"])
        with databases.using(database):
            zipped = _zipped(count)
    finally:
        if not options["keep"]:
            databases.drop(database)
    rows = [("on one core, medians", "a second")]
    rows += [(title, f"{figures.median(name):.1f}") for name, title in TITLES.items()]
    growth = zipped["peak_mb"] / zipped["peak_of_a_tenth_mb"]
    targets = [
        Target(sentence="megabytes of memory that the ZIP takes at its peak", value=zipped["peak_mb"], most=8),
        Target(sentence="the peak of all papers, of that of a tenth of them", value=growth, most=1.25),
    ]
    for line in ["", *measuring.table(rows), "", zipped["line"], *(target.line() for target in targets)]:
        say(line)
    medians = {name: figures.median(name) for name in TITLES}
    return {"machine": found, "medians": medians, "rounds": figures.rounds, "zip": zipped, "targets": targets}


def _drawn(name: str, seconds: float) -> float:
    """Documents a second. typst and lxml keep to one thread here, so that this is the figure of one core."""
    sample = invoice_samples.paper([("Medium: 275 credits", Money(999, "EUR"))], locale="fr")
    invoice, lines = sample.invoice, sample.lines
    invoice.seller = {**invoice.seller, "vat_number": "FR44732829320", "legal_id": "732829320"}
    acts: dict[str, Callable[[], object]] = {
        "png": lambda: invoice_files.pictures(invoice, lines),
        "pdf": lambda: invoice_files.draw(invoice, lines),
        "whole": lambda: invoice_files.documents(invoice, lines),
    }
    acts[name]()  # what is loaded once is not measured
    done, started_at, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started_at < seconds:
        acts[name]()
        done += 1
    return done / (time.process_time() - used)


def _zipped(count: int) -> dict[str, Any]:
    """The memory of a month of a tenth of them, then that of the whole one and its time: flat means that they are
    alike."""
    first, few = _first(), max(count // 10, 1)
    month = first.issued_on.replace(day=1)
    _make(first, 2, few)
    tenth = _peak_mb(month)
    _make(first, few + 1, count)
    started_at = time.perf_counter()
    size = sum(len(piece) for piece in invoice_archive.stream(month))
    seconds = time.perf_counter() - started_at
    whole = _peak_mb(month)
    return {
        "papers": count,
        "bytes": size,
        "seconds": seconds,
        "peak_mb": whole,
        "peak_of_a_tenth_mb": tenth,
        "line": f"a ZIP of {count} papers, {size / MEGABYTE:.0f} MB: {seconds:.1f} s, {whole:.2f} MB at its peak; "
        f"one of {few} {tenth:.2f} MB",
    }


def _payments(count: int, user: User) -> list[Payment]:
    now = timezone.now()
    paid = {"status": "succeeded", "ended_at": now, "delivered_at": now, "expires_at": now}
    rows = [
        Payment(user=user, kind="amount", description="Ticket", amount_minor=999, currency="EUR", **paid)
        for _ in range(count)
    ]
    return Payment.objects.bulk_create(rows)


def _first() -> Invoice:
    """One that is issued and rendered for real."""
    [payment] = _payments(1, User.objects.create(username="buyer"))
    first = invoices.issue(payment=payment)
    if not invoice_xml.can_write(first):
        raise WentWrong("The paper has no XML.")
    pdf, xml = invoice_files.documents(first, list(first.lines.all()))
    _keep([first], pdf, xml)
    return first


def _make(first: Invoice, begin: int, end: int) -> None:
    """So many like it, by their numbers."""
    facts = {
        field.name: getattr(first, field.name)
        for field in Invoice._meta.concrete_fields
        if field.name not in ("id", "payment", "sequence", "number")
    }
    for part in range(begin, end + 1, 500):
        places = range(part, min(part + 500, end + 1))
        papers = [
            Invoice(payment=payment, sequence=place, number=f"bench-{place:06}", **facts)
            for place, payment in zip(places, _payments(len(places), first.user), strict=True)
        ]
        Invoice.objects.bulk_create(papers)
        _keep(papers, bytes(first.file.pdf), bytes(first.file.xml))


def _keep(papers: list[Invoice], pdf: bytes, xml: bytes) -> None:
    digest = "0" * 64
    InvoiceFile.objects.bulk_create(
        InvoiceFile(invoice=each, pdf=pdf, xml=xml, pdf_sha256=digest, xml_sha256=digest) for each in papers
    )


def _peak_mb(month: date) -> float:
    tracemalloc.start()
    try:
        with override_settings(DEBUG=False):  # in development Django remembers every query, and that does grow
            for _piece in invoice_archive.stream(month):
                pass
        return tracemalloc.get_traced_memory()[1] / MEGABYTE
    finally:
        tracemalloc.stop()
