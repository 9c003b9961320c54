"""`bench invoices`: documents a second on one core, and the memory that a month's ZIP of ten thousand takes."""

import time
import tracemalloc
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import date
from typing import Any

from django.contrib.auth.models import User
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
    target = Target(sentence="megabytes of memory that the ZIP takes at its peak", value=zipped["peak_mb"], most=32)
    for line in ["", *measuring.table(rows), "", zipped["line"], target.line()]:
        say(line)
    medians = {name: figures.median(name) for name in TITLES}
    return {"machine": found, "medians": medians, "rounds": figures.rounds, "zip": zipped, "targets": [target]}


def _drawn(name: str, seconds: int) -> float:
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
    """The time of the whole month, then its memory and that of a tenth of it: flat means that they are alike."""
    month = _make(count)
    started_at = time.perf_counter()
    size = sum(len(piece) for piece in invoice_archive.stream(month))
    seconds = time.perf_counter() - started_at
    whole, tenth = _peak_mb(month, count), _peak_mb(month, max(count // 10, 1))
    return {
        "papers": count,
        "bytes": size,
        "seconds": seconds,
        "peak_mb": whole,
        "peak_of_a_tenth_mb": tenth,
        "line": f"a ZIP of {count} papers, {size / MEGABYTE:.0f} MB: {seconds:.1f} s, {whole:.1f} MB at its peak; "
        f"of a tenth of them {tenth:.1f} MB",
    }


def _make(count: int) -> date:
    """One issued and rendered for real, and so many like it."""
    user, now = User.objects.create(username="buyer"), timezone.now()
    paid = {"status": "succeeded", "ended_at": now, "delivered_at": now, "expires_at": now}
    rows = [
        Payment(user=user, kind="amount", description="Ticket", amount_minor=999, currency="EUR", **paid)
        for _ in range(count)
    ]
    Payment.objects.bulk_create(rows, batch_size=1_000)
    first = invoices.issue(payment=rows[0])
    pdf, xml = invoice_files.documents(first, list(first.lines.all()))
    if not invoice_xml.can_write(first):
        raise WentWrong("The paper has no XML.")
    facts = {
        field.name: getattr(first, field.name)
        for field in Invoice._meta.concrete_fields
        if field.name not in ("id", "payment", "sequence", "number")
    }
    for part in range(0, count, 500):
        papers = [
            Invoice(payment=row, sequence=place, number=f"bench-{place:06}", **facts)
            for place, row in enumerate(rows[part : part + 500], start=part + 1)
            if row is not rows[0]
        ]
        Invoice.objects.bulk_create(papers)
        papers += [first] * (part == 0)
        InvoiceFile.objects.bulk_create(
            InvoiceFile(invoice=each, pdf=pdf, xml=xml, pdf_sha256="0" * 64, xml_sha256="0" * 64) for each in papers
        )
    return first.issued_on.replace(day=1)


def _peak_mb(month: date, papers: int) -> float:
    tracemalloc.start()
    try:
        for done, _piece in enumerate(invoice_archive.stream(month), start=1):
            if done == papers:
                break
        return tracemalloc.get_traced_memory()[1] / MEGABYTE
    finally:
        tracemalloc.stop()
