"""`bench ledger`: spends a second, by whoever may ask for one, on small books and on large ones."""

import contextlib
import io
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.management import call_command

from bench import books, callers, databases, load, machine, measuring, web
from bench.books import Books
from bench.load import Load
from bench.measuring import Figures, Measure, Say, Target

SPEND, BATCH = "/api/v1/credits/spend", "/api/v1/credits/spend-batch"
PLAIN, BARE, IDIOMATIC, ORM = (f"/api/bench/{name}" for name in ("plain", "bare", "idiomatic", "orm"))
BATCH_SIZE = 100
SPENDS_FOR_EACH_PAGE = 2
A_SHORT_TURN = 2_000  # spends: small books stay small

# What is measured, in the order in which it is shown; each at each size of the books.
RIVALS = {
    "pgbench": "(a) pgbench, the SQL function alone, 8 clients",
    "pgbench hot": "(a) the same, one hot customer",
    "python": "(b) usage.spend, 8 threads of one process",
    "python hot": "(b) the same, one hot customer",
    "http": "(c) POST credits/spend, granian 2 x 4, 16 connections",
    "http hot": "(c) the same, one hot customer",
    "idiomatic": "(d) the act in idiomatic DRF and ORM, same server",
    "orm": "(d) its ORM behind our own parser and credentials",
    "bare": "(e) a bare DRF view: parses, authenticates, answers",
    "plain": "(e) an empty Django view behind the same middleware",
    "batch": f"(f) spend-batch of {BATCH_SIZE}, spends a second",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    sizes: list[int]
    customers: int
    rounds: int
    seconds: float
    warm_seconds: float
    database: str
    template: str | None
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Books of one size, and a server that works on them."""

    database: str
    books: Books
    port: int

    def load(self, path: str, customers: int, seconds: float, batch: int = 0) -> Load:
        return Load(
            host=web.HOST,
            port=self.port,
            path=path,
            token=self.books.service_token,
            customers=customers,
            seconds=seconds,
            batch=batch,
        )


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, nargs="+", help="ledger rows before the run (10000 1000000 10000000)")
    parser.add_argument("--customers", type=int, default=10_000)


def run(options: dict[str, Any], say: Say) -> dict[str, Any]:
    quick = options["quick"]
    plan = Plan(
        sizes=options["rows"] or ([10_000] if quick else [10_000, 1_000_000, 10_000_000]),
        customers=options["customers"],
        rounds=options["rounds"] or (3 if quick else 5),
        seconds=options["seconds"] or (2 if quick else 3),
        warm_seconds=1 if quick else 12,
        database=options["database"],
        template=options["template"],
        keep=options["keep"],
    )
    found = machine.describe()
    for line in found.lines():
        say(line)
    with _stages(plan, say) as stages:
        figures = _measure(plan, stages, say)
        _prove(stages[plan.sizes[0]], say)
    judged = targets(figures, plan.sizes)
    for line in _report(figures, plan.sizes, judged):
        say(line)
    return {"machine": found, "medians": _medians(figures), "rounds": figures.rounds, "targets": judged}


def _prove(stage: Stage, say: Say) -> None:
    """Fast and wrong is no figure: `check_ledger` over what all rivals have booked, the ORM's spends among it."""
    with databases.using(stage.database):
        call_command("check_ledger", json=True, stdout=io.StringIO())
    say(f"check_ledger finds {stage.database} in order")


@contextlib.contextmanager
def _stages(plan: Plan, say: Say) -> Iterator[dict[int, Stage]]:
    """All sizes at once, so that they can be measured in turns; the databases go away afterwards."""
    names = {size: f"{plan.database}_{size}" for size in plan.sizes}
    with contextlib.ExitStack() as stack:
        stages = {}
        template = plan.template
        if template is None:
            template = f"{plan.database}_empty"
            stack.callback(databases.drop, template)
            databases.create(template)
        for size, name in names.items():
            say(f"making {name}: {plan.customers} customers, {size} ledger rows")
            if not plan.keep:
                stack.callback(databases.drop, name)
            databases.create(name, template)
            with databases.using(name):
                opened = books.open_books(plan.customers)
                books.add_history(size)
            port = stack.enter_context(web.serving(name))
            stages[size] = Stage(database=name, books=opened, port=port)
        yield stages


def _measure(plan: Plan, stages: dict[int, Stage], say: Say) -> Figures:
    rivals: dict[str, Measure] = {}
    for size, stage in stages.items():
        _warm(plan, stage)
        for name, measure in _rivals(plan, stage).items():
            rivals[f"{name} {size}"] = measure
    # Neighbours in a round are one rival on books of different sizes: what is compared stands close together.
    order = [f"{name} {size}" for name in RIVALS for size in stages]
    return measuring.in_turns({name: rivals[name] for name in order}, rounds=plan.rounds, say=say)


def _rivals(plan: Plan, stage: Stage) -> dict[str, Measure]:
    def sent(path: str, customers: int, batch: int = 0) -> float:
        return load.run(stage.load(path, customers, plan.seconds, batch)).per_second * (batch or 1)

    def in_sql(customers: int) -> float:
        return callers.pgbench(stage.database, stage.books, customers, plan.seconds)

    def in_python(customers: int) -> float:
        return callers.threads(stage.database, stage.books, customers, plan.seconds)

    everybody = plan.customers
    return {
        "pgbench": lambda: in_sql(everybody),
        "pgbench hot": lambda: in_sql(1),
        "python": lambda: in_python(everybody),
        "python hot": lambda: in_python(1),
        "http": lambda: sent(SPEND, everybody),
        "http hot": lambda: sent(SPEND, 1),
        "idiomatic": lambda: sent(IDIOMATIC, everybody),
        "orm": lambda: sent(ORM, everybody),
        "bare": lambda: sent(BARE, everybody),
        "plain": lambda: sent(PLAIN, everybody),
        "batch": lambda: sent(BATCH, everybody, BATCH_SIZE),
    }


def _warm(plan: Plan, stage: Stage) -> None:
    """Until both workers know the customers: a shop's customers are known after its first minute."""
    for path, seconds in ((BARE, plan.warm_seconds), (SPEND, plan.warm_seconds / 4)):
        load.run(stage.load(path, plan.customers, seconds))
    _touch(plan, stage)


def _touch(plan: Plan, stage: Stage) -> None:
    """Until most pages of the keys' index have been written once since the checkpoint that ended the making of the
    books: the first time, a copy of the page goes to the log. Between two checkpoints that is rare; right after one it
    would be most of what large books cost more than small ones."""
    with databases.using(stage.database):
        left = SPENDS_FOR_EACH_PAGE * books.pages_of_keys()
    while left > 0:
        seconds = 0.1 if left < A_SHORT_TURN else 1
        left -= load.run(stage.load(BATCH, plan.customers, seconds, BATCH_SIZE)).requests * BATCH_SIZE


# ---------------------------------------------------------------- what came out


def targets(figures: Figures, sizes: list[int]) -> list[Target]:
    """As issue 3 states them; where a target is not about size, on the smallest books."""
    small, large = sizes[0], sizes[-1]

    def ratio(mine: str, other: str) -> float:
        return figures.ratio(f"{mine} {small}", f"{other} {small}")

    judged = [
        Target(sentence="(b) Python service call of (a) pgbench", value=ratio("python", "pgbench"), least=0.7),
        Target(sentence="(c) HTTP of (e) a bare DRF view", value=ratio("http", "bare"), least=0.5),
        Target(sentence="(c) HTTP of (d) idiomatic DRF and ORM", value=ratio("http", "idiomatic"), least=7),
        Target(sentence="(f) a spend of a batch of (c) HTTP", value=ratio("batch", "http"), least=6),
        Target(sentence="a hot customer of the spread, pgbench", value=ratio("pgbench hot", "pgbench"), least=0.3),
        Target(sentence="a hot customer of the spread, Python", value=ratio("python hot", "python"), least=0.3),
        Target(sentence="a hot customer of the spread, HTTP", value=ratio("http hot", "http"), least=0.3),
    ]
    if large != small:
        # The cost of a spend is one over its rate.
        for name in ("pgbench", "python", "http"):
            cost = figures.ratio(f"{name} {small}", f"{name} {large}")
            sentence = f"cost of a spend at {large} rows of that at {small}, {name}"
            judged.append(Target(sentence=sentence, value=cost, most=1.15))
    return judged


def _report(figures: Figures, sizes: list[int], judged: list[Target]) -> list[str]:
    rows = [("spends or requests a second, medians", *(f"{size} rows" for size in sizes))]
    for name, title in RIVALS.items():
        rows.append((title, *(f"{figures.median(f'{name} {size}'):.0f}" for size in sizes)))
    return ["", *measuring.table(rows), "", *(target.line() for target in judged)]


def _medians(figures: Figures) -> dict[str, float]:
    return {name: figures.median(name) for name in figures.rounds}
