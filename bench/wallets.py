"""`bench wallets`: sales recorded a second, all to one commission account, each to another, and as raw SQL."""

import itertools
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, connections

from bench import books, databases, machine, measuring
from bench.measuring import Figures, Measure, Say, Target, WentWrong
from ledger import accounts, checks
from ledger.money import Money
from wallets import sales, sellers
from wallets.models import CommissionRule, Sale, SaleType
from wallets.sales import Line

THREADS = 8
# One currency for each thread: its house accounts (commission, gateway) are then used by nobody else.
CURRENCIES = ("EUR", "USD", "XOF", "XAF", "GBP", "CHF", "GNF", "UGX")
_RAW = (Path(__file__).parent / "sql" / "raw_sale.sql").read_text()
RIVALS = {
    "same": "sales.record, every sale to the same commission account",
    "different": "sales.record, each thread to a commission account of its own",
    "raw": "one raw SQL statement of the same entry",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--sellers", type=int, help="how many sell, by turns (800)")


def run(options: dict[str, Any], say: Say) -> dict[str, Any]:
    count = options["sellers"] or (80 if options["quick"] else 800)
    rounds = options["rounds"] or (3 if options["quick"] else 7)
    seconds = options["seconds"] or (2 if options["quick"] else 10)
    database = f"{options['database']}_wallets"
    found = machine.describe()
    for line in found.lines():
        say(line)
    say(f"making {database}: {count} sellers")
    try:
        databases.create(database, options["template"])
        with databases.using(database):
            figures = _measure(books.make_people(max(count, THREADS)), rounds, seconds, say)
            if faults := checks.faults():
                raise WentWrong(f"The books are not in order: {faults}")
            say(f"{Sale.objects.count()} sales, and the books are in order")
    finally:
        if not options["keep"]:
            databases.drop(database)
    targets = [
        Target(
            sentence="sales a second to one commission account, of those to different ones",
            value=figures.ratio("same", "different"),
            least=0.9,
        )
    ]
    rows = [("sales a second, medians", f"{THREADS} threads")]
    rows += [(title, f"{figures.median(name):.0f}") for name, title in RIVALS.items()]
    rows.append(("sales.record of the raw statement", f"{figures.ratio('same', 'raw'):.2f}"))
    for line in ["", *measuring.table(rows), "", *(target.line() for target in targets)]:
        say(line)
    medians = {name: figures.median(name) for name in RIVALS}
    return {"machine": found, "medians": medians, "rounds": figures.rounds, "targets": targets}


def _measure(people: list[User], rounds: int, seconds: float, say: Say) -> Figures:
    SaleType.objects.create(code="bench", catalogue="bench", label_en="Bench")
    CommissionRule.objects.create(code="bench", basis_points=1_000)  # as the raw statement has it
    for currency in CURRENCIES:
        sellers.open_all({person.pk: person for person in people}, currency)
        sellers.houses(["commission", "gateway:bench"], currency)
    accounts.open_all(names=[f"bench-seller:{person.pk}" for person in people], unit="EUR", guarded=True)
    rivals: dict[str, Callable[[int, User], None]] = {
        "same": lambda _, person: _record(person, CURRENCIES[0]),
        "different": lambda thread, person: _record(person, CURRENCIES[thread]),
        "raw": lambda _, person: _insert(person),
    }
    turns: dict[str, Measure] = {name: partial(_together, people, seconds, act) for name, act in rivals.items()}
    return measuring.in_turns(turns, rounds=rounds, say=say)


def _record(person: User, currency: str) -> None:
    line = Line(seller=person, type="bench", amount=Money(1_000, currency), reference="bench")
    sales.record(key=f"bench:{uuid.uuid4()}", lines=[line], gateway="bench")


def _insert(person: User) -> None:
    """To an account of its own and not to a wallet, which the checks compare with the sales there are."""
    with connection.cursor() as cursor:
        cursor.execute(_RAW, {"key": f"raw:{uuid.uuid4()}", "wallet": f"bench-seller:{person.pk}"})


def _together(people: list[User], seconds: float, act: Callable[[int, User], None]) -> float:
    """Sales a second by all threads together; no two of them ever sell for the same person."""

    def work(thread: int) -> int:
        mine = itertools.cycle(people[thread::THREADS])
        try:
            made = 0
            while time.perf_counter() < ends_at:
                act(thread, next(mine))
                made += 1
            return made
        finally:
            connections.close_all()

    started_at = time.perf_counter()
    ends_at = started_at + seconds
    with ThreadPoolExecutor(THREADS) as pool:
        made = sum(pool.map(work, range(THREADS)))
    return made / (time.perf_counter() - started_at)
