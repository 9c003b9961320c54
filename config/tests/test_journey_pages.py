"""The pages of the journeys name what exists: functions, SQL functions, events, sweeps and tests."""

import ast
import functools
import re
from pathlib import Path

import pytest

from config.celery import SWEEPS
from events.types import EventType

BASE_DIR = Path(__file__).resolve().parents[2]
PAGES = sorted((BASE_DIR / "docs" / "journeys").glob("*.md"))
CODE = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"[a-z_]+(\.\w+)+")
SWEEP = re.compile(r"(?<!\*)\*([^*\n]+)\*(?!\*)")


def wrong_names(text: str) -> list[str]:
    """What a page names in code letters or in italics, and what is not there."""
    wrong = [name for name in SWEEP.findall(text) if name not in SWEEPS]
    for name in CODE.findall(text):
        file, is_test, test = name.partition("::")
        if name.endswith((".py", ".sql")):
            known = (BASE_DIR / name).is_file()
        elif is_test:
            known = test in names_of(BASE_DIR / file)
        elif name.endswith("()"):
            known = name.removesuffix("()") in sql_functions()
        elif DOTTED.fullmatch(name):
            known = name in EventType.values or is_there(name)
        else:
            continue
        if not known:
            wrong.append(name)
    return wrong


def is_there(name: str) -> bool:
    *parts, last = name.split(".")
    folder = BASE_DIR.joinpath(*parts)
    if (folder / f"{last}.py").is_file():
        return True
    for depth in range(len(parts), 0, -1):
        path = BASE_DIR.joinpath(*parts[:depth])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.is_file():
            return ".".join([*parts[depth:], last]) in names_of(file)
    return False


@functools.cache
def names_of(file: Path) -> set[str]:
    """All that a module defines: functions, classes with their methods, and names that it binds."""
    names: set[str] = set()
    if not file.is_file():
        return names
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        if isinstance(node, ast.Assign):
            names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
    return names


@functools.cache
def sql_functions() -> frozenset[str]:
    text = "".join(file.read_text() for file in (BASE_DIR / "credits" / "sql").glob("*.sql"))
    return frozenset(re.findall(r"CREATE OR REPLACE FUNCTION (\w+)", text))


def test_there_is_a_page_for_each_journey() -> None:
    assert [page.name[:2] for page in PAGES] == ["1-", "2-", "3-", "4-", "5-"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_all_that_a_journey_names_is_there(page: Path) -> None:
    assert wrong_names(page.read_text()) == []


def test_what_is_not_there_is_found() -> None:
    text = (
        "`billing.refunds.gone`, `billing.nowhere.send`, `credits_vanish()`, `payment.vanished`, *no such sweep*, "
        "`billing/tests/test_refunds.py::test_gone`, `billing/gone.py`; "
        "but `billing.refunds.request`, `credits_spend()`, `rest.acts.ActingAdmin.act`, "
        "`payment.succeeded`, *expired holds* and `FOR UPDATE` are."
    )
    assert wrong_names(text) == [
        "no such sweep",
        "billing.refunds.gone",
        "billing.nowhere.send",
        "credits_vanish()",
        "payment.vanished",
        "billing/tests/test_refunds.py::test_gone",
        "billing/gone.py",
    ]
