"""The benchmarks run from end to end, on the smallest books: what they find is nobody's promise here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from bench import ledger, webhooks
from bench.measuring import Figures, Target


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: Any) -> str:
    """The beginning of the names of this worker's databases."""
    return f"bench_{connection.settings_dict['NAME']}"


def run(name: str, database: str, *words: str) -> "subprocess.CompletedProcess[str]":
    template = connection.settings_dict["TEST"]["TEMPLATE"]
    options = ["--quick", "--rounds", "1", "--database", database, "--template", template]
    return subprocess.run(
        [sys.executable, "manage.py", "bench", name, *options, *words],
        cwd=settings.BASE_DIR,
        env={**os.environ, "APP_ENV": "test", "DATABASE_URL": settings.DATABASE_URL, "REDIS_URL": settings.REDIS_URL},
        capture_output=True,
        text=True,
        check=False,
    )


def databases_called(database: str) -> list[str]:
    address = {key: connection.settings_dict[key.upper()] for key in ("user", "password", "host", "port")}
    with psycopg.connect(**{key: value for key, value in address.items() if value}, dbname="postgres") as server:
        rows = server.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [database + "%"])
        return [name for (name,) in rows]


def test_the_ledger_is_measured_by_every_rival(database: str, tmp_path: Path) -> None:
    sizes = ("--rows", "300", "--customers", "40", "--seconds", "0.3")
    done = run("ledger", database, *sizes, "--json", f"{tmp_path}/out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out").read_text())
    assert set(found["medians"]) == {f"{name} 300" for name in ledger.RIVALS}
    assert min(found["medians"].values()) > 0
    assert len(found["targets"]) == 7
    assert "in order" in done.stdout
    assert databases_called(database) == []


def test_grants_are_measured_beside_a_raw_insert(database: str, tmp_path: Path) -> None:
    done = run("grants", database, "--grants", "200", "--json", f"{tmp_path}/out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out").read_text())
    assert set(found["medians"]) == {"raw", "whole", "parts", "again"}
    assert databases_called(database) == []


def test_sales_are_measured_to_one_and_to_many_commission_accounts(database: str, tmp_path: Path) -> None:
    done = run("wallets", database, "--sellers", "8", "--seconds", "0.3", "--json", f"{tmp_path}/out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out").read_text())
    assert set(found["medians"]) == {"same", "different", "raw"}
    assert min(found["medians"].values()) > 0
    assert databases_called(database) == []


def test_webhooks_are_measured_beside_a_bare_insert_and_the_usual_way(database: str, tmp_path: Path) -> None:
    done = run("webhooks", database, "--letters", "5", "--seconds", "0.3", "--json", f"{tmp_path}/out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out").read_text())
    assert set(found["rounds"]) == {*webhooks.RIVALS, "read"}
    assert min(rounds[0] for rounds in found["rounds"].values()) > 0
    assert len(found["targets"]) == 2
    assert databases_called(database) == []


def test_a_ratio_is_taken_within_each_round() -> None:
    """The second round was twice as slow for both: the ratio of the medians would not know."""
    figures = Figures({"mine": [300.0, 150.0, 320.0], "theirs": [100.0, 50.0, 100.0]})
    assert figures.median("mine") == 300
    assert figures.ratio("mine", "theirs") == 3


@pytest.mark.parametrize(
    ("value", "least", "most", "reached"),
    [(0.7, 0.7, None, True), (0.69, 0.7, None, False), (1.15, None, 1.15, True), (1.16, None, 1.15, False)],
)
def test_a_target_is_reached_at_its_edge(value: float, least: float | None, most: float | None, reached: bool) -> None:
    target = Target(sentence="this", value=value, least=least, most=most)
    assert target.is_reached is reached
    assert target.line().startswith("reached" if reached else "MISSED")


def test_on_large_books_a_spend_may_cost_15_percent_more() -> None:
    figures = Figures({f"{name} {size}": [100.0] for name in ledger.RIVALS for size in (10, 1_000)})
    figures.rounds["http 1000"] = [80.0]
    growth = {each.sentence: each for each in ledger.targets(figures, [10, 1_000]) if each.most == 1.15}
    assert {name: each.value for name, each in growth.items()} == {
        "cost of a spend at 1000 rows of that at 10, pgbench": 1,
        "cost of a spend at 1000 rows of that at 10, python": 1,
        "cost of a spend at 1000 rows of that at 10, http": 1.25,
    }
    assert not growth["cost of a spend at 1000 rows of that at 10, http"].is_reached


def test_streams_are_measured_and_each_event_reaches_its_owner_alone(database: str, tmp_path: Path) -> None:
    done = run("stream", database, "--connections", "5", "--events", "5", "--json", f"{tmp_path}/out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out").read_text())
    assert found["figures"]["event to client, from its commit, p99 ms"] > 0
    assert databases_called(database) == []


def test_due_periods_are_measured_beside_a_raw_insert(database: str, tmp_path: Path) -> None:
    done = run("due", database, "--due", "50", "100", "--json", f"{tmp_path}/out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out").read_text())
    assert set(found["medians"]) == {"raw 50", "due 50", "raw 100", "due 100"}
    assert len(found["targets"]) == 3
    assert databases_called(database) == []


def test_papers_are_drawn_and_a_month_of_them_is_zipped(database: str, tmp_path: Path) -> None:
    done = run("invoices", database, "--papers", "20", "--seconds", "0.3", "--json", f"{tmp_path}/out")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out").read_text())
    assert set(found["medians"]) == {"png", "pdf", "whole"}
    assert found["zip"]["papers"] == 20
    assert databases_called(database) == []
