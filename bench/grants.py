"""`bench grants`: a hundred thousand grants at once, beside a raw INSERT … SELECT of the same rows."""

import time
import uuid
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from bench import books, databases, machine, measuring
from bench.measuring import Figures, Say, Target, WentWrong
from credits import grants
from credits.grants import NewGrant
from credits.models import GrantSource

IN_PARTS = 10_000
_RAW = (Path(__file__).parent / "sql" / "raw_grants.sql").read_text()
RIVALS = {
    "raw": "a raw INSERT ... SELECT of the same rows",
    "whole": "grants.issue_many, all in one call",
    "parts": f"grants.issue_many, {IN_PARTS} at a time with commits",
    "again": "grants.issue_many, finding all of them given",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--grants", type=int, help="how many, each to a customer of its own (100000)")


def run(options: dict[str, Any], say: Say) -> dict[str, Any]:
    count = options["grants"] or (5_000 if options["quick"] else 100_000)
    rounds = options["rounds"] or (3 if options["quick"] else 5)
    database = f"{options['database']}_grants"
    found = machine.describe()
    for line in found.lines():
        say(line)
    say(f"making {database}: {count} customers")
    try:
        databases.create(database, options["template"])
        with databases.using(database):
            figures = _measure(_open_purses(count), rounds, say)
    finally:
        if not options["keep"]:
            databases.drop(database)
    targets = [
        Target(sentence=f"{RIVALS[name]}: time of the raw INSERT", value=figures.ratio("raw", name), most=3)
        for name in ("whole", "parts")
    ]
    rows = [("grants a second, medians", f"{count} grants")]
    rows += [(title, f"{figures.median(name):.0f}") for name, title in RIVALS.items()]
    for line in ["", *measuring.table(rows), "", *(target.line() for target in targets)]:
        say(line)
    medians = {name: figures.median(name) for name in RIVALS}
    return {"machine": found, "medians": medians, "rounds": figures.rounds, "targets": targets}


def _open_purses(count: int) -> list[int]:
    """Customers who have been given something before, as those of a weekly plan have."""
    ids = [person.pk for person in books.make_people(count)]
    _give(ids, ids, "first", IN_PARTS)
    return ids


def _measure(people: list[int], rounds: int, say: Say) -> Figures:
    last = ""

    def given(part: int) -> float:
        nonlocal last
        last = str(uuid.uuid4())
        return _give(people, people, last, part)

    with connection.cursor() as cursor:
        # A hundred thousand in one statement may last longer than a request's statement should.
        cursor.execute("SET statement_timeout = 0")
    return measuring.in_turns(
        {
            "raw": lambda: _insert(len(people)),
            "whole": lambda: given(len(people)),
            "parts": lambda: given(IN_PARTS),
            "again": lambda: _give(people, [], last or "first", len(people)),
        },
        rounds=rounds,
        say=say,
    )


def _give(people: list[int], new: list[int], key: str, part: int) -> float:
    """Grants a second. `new` are those of whom it is not given yet; what comes out is compared with that."""
    started_at = time.perf_counter()
    made = 0
    for start in range(0, len(people), part):
        made += grants.issue_many(
            [
                NewGrant(user_id=person, amount=500, source=GrantSource.PLAN, key=f"{key}:{person}")
                for person in people[start : start + part]
            ]
        ).made
    seconds = time.perf_counter() - started_at
    if made != len(new):
        raise WentWrong(f"{made} grants were made, and not {len(new)}.")
    return len(people) / seconds


def _insert(count: int) -> float:
    started_at = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_RAW)
        made = cursor.rowcount
    seconds = time.perf_counter() - started_at
    if made != count:
        raise WentWrong(f"{made} rows were inserted, and not {count}.")
    return count / seconds
