"""`bench due`: the periods of plans that are due become grants, beside a raw INSERT … SELECT of the same rows."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from bench import books, databases, machine, measuring
from bench.measuring import Figures, Say, Target, WentWrong
from credits import calendar, grants
from credits.grants import NewGrant
from credits.models import GrantSource

SIZES = (10_000, 100_000)
_RAW = (Path(__file__).parent / "sql" / "raw_periods.sql").read_text()
_FIRST_WEEK = "timestamptz '2026-01-05 08:00+00'"
_SCHEDULES = f"""
    INSERT INTO credits_grantschedule
           (id, reference, user_id, state, time_zone, anchor_at, anchor_zone, first_number, paid_until, is_unlimited,
            unit, created_at)
    SELECT uuidv7(), 'bench:' || user_id, user_id, 'open', 'Europe/Paris', {_FIRST_WEEK}, 'Europe/Paris', 0,
           {_FIRST_WEEK} + interval '1000 weeks', false, 'CREDIT', now()
      FROM credits_purse
"""  # noqa: S608 - a constant of ours
_PERIODS = f"""
    INSERT INTO credits_grantperiod (id, schedule_id, rule, number, starts_at, ends_at, amount, unit, catch_up)
    SELECT uuidv7(), s.id, 'weekly', coalesce(last.number, -1) + 1, {_FIRST_WEEK}, {_FIRST_WEEK} + interval '1 week',
           500, 'CREDIT', 'all'
      FROM credits_grantschedule s
      LEFT JOIN (SELECT schedule_id, max(number) AS number FROM credits_grantperiod GROUP BY schedule_id) last
        ON last.schedule_id = s.id
"""  # noqa: S608 - a constant of ours


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--due", type=int, nargs="+", metavar="N", help="how many are due, each size (10000 100000)")


def run(options: dict[str, Any], say: Say) -> dict[str, Any]:
    sizes = sorted(options["due"] or ((500, 2_000) if options["quick"] else SIZES))
    rounds = options["rounds"] or 3
    found = machine.describe()
    for line in found.lines():
        say(line)
    figures = {size: _at_size(size, rounds, options, say) for size in sizes}
    seconds = {size: 1 / each.median("due") for size, each in figures.items()}
    targets = [
        Target(
            sentence=f"{size} due periods: time of the raw INSERT ... SELECT", value=each.ratio("raw", "due"), most=3
        )
        for size, each in figures.items()
    ]
    growth = seconds[sizes[-1]] / seconds[sizes[0]]
    targets.append(Target(sentence=f"time for a row, {sizes[-1]} beside {sizes[0]}", value=growth, most=1.2))
    rows = [("grants a second, medians", *(f"{size} due" for size in sizes))]
    for name, title in (("raw", "a raw INSERT ... SELECT of the same rows"), ("due", "calendar.grant_due, in batches")):
        rows.append((title, *(f"{figures[size].median(name):.0f}" for size in sizes)))
    for line in ["", *measuring.table(rows), "", *(target.line() for target in targets)]:
        say(line)
    medians = {f"{name} {size}": each.median(name) for size, each in figures.items() for name in ("raw", "due")}
    return {"machine": found, "medians": medians, "targets": targets}


def _at_size(size: int, rounds: int, options: dict[str, Any], say: Say) -> Figures:
    database = f"{options['database']}_due"
    say(f"making {database}: {size} customers with a weekly plan")
    try:
        databases.create(database, options["template"])
        with databases.using(database):
            with connection.cursor() as cursor:
                # A hundred thousand in one statement may last longer than a request's statement should.
                cursor.execute("SET statement_timeout = 0")
            _open_schedules(size)
            return measuring.in_turns({"raw": lambda: _raw(size), "due": lambda: _due(size)}, rounds=rounds, say=say)
    finally:
        if not options["keep"]:
            databases.drop(database)


def _open_schedules(size: int) -> None:
    """Customers who have been given something before, as those of a plan have."""
    people = [person.pk for person in books.make_people(size)]
    for start in range(0, size, 10_000):
        part = people[start : start + 10_000]
        grants.issue_many(
            [NewGrant(user_id=each, amount=500, source=GrantSource.PLAN, key=f"first:{each}") for each in part]
        )
    with connection.cursor() as cursor:
        cursor.execute(_SCHEDULES)


def _next_week() -> None:
    """One more period of everybody falls due."""
    with connection.cursor() as cursor:
        cursor.execute(_PERIODS)
        cursor.execute("ANALYZE credits_grantperiod")


def _raw(size: int) -> float:
    _next_week()
    started_at = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_RAW)
        made = cursor.rowcount
    return _rate(made, size, time.perf_counter() - started_at)


def _due(size: int) -> float:
    _next_week()
    started_at = time.perf_counter()
    made = calendar.grant_due().granted
    return _rate(made, size, time.perf_counter() - started_at)


def _rate(made: int, size: int, seconds: float) -> float:
    if made != size:
        raise WentWrong(f"{made} periods were granted, and not {size}.")
    return size / seconds
