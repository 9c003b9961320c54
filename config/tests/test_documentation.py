"""The index of the documentation names every page, and every link between pages leads somewhere."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.urls import Resolver404, resolve
from drf_spectacular.generators import SchemaGenerator

from config import problems

BASE_DIR = Path(__file__).resolve().parents[2]
DOCS = BASE_DIR / "docs"
PAGES = [BASE_DIR / "README.md", BASE_DIR / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
FLOORS = {"config", "storefront", "billing", "credits", "wallets", "events", "ledger", "rest"}
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def targets(page: Path) -> list[Path]:
    links = LINK.findall(page.read_text())
    return [(page.parent / link).resolve() for link in links if "://" not in link]


def test_index_names_every_page() -> None:
    assert set(DOCS.rglob("*.md")) - {DOCS / "README.md"} <= set(targets(DOCS / "README.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(BASE_DIR).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert [str(target) for target in targets(page) if not target.exists()] == []


def test_page_about_moving_names_paths_that_are_there() -> None:
    """The right column: what is new must be answered."""
    rows = [line.split(" | ") for line in (DOCS / "moving.md").read_text().splitlines() if line.startswith("| `")]
    named = {path for row in rows for path in re.findall(r"(/api/v1/[a-z/{}-]+|/webhooks/stripe|/ws/events)", row[-1])}
    assert len(named) > 25

    def is_there(path: str) -> bool:
        try:
            resolve(path.replace("{id}", "01890000-0000-7000-8000-000000000000"))
        except Resolver404:
            return False
        return True

    stream = {"/ws/events"}  # a process of its own
    assert {path for path in named - stream if not is_there(path)} == set()


def test_page_about_the_api_names_each_reason_of_some_statuses() -> None:
    rows = dict(re.findall(r"^\| (\d{3}) \| (.*) \|$", (DOCS / "api.md").read_text(), re.MULTILINE))
    for status in ("402", "403", "422"):
        codes = {code for code, problem in problems.kinds() if problem.status == int(status)}
        assert codes <= set(re.findall(r"`([a-z_]+)`", rows[status]))


def test_page_about_the_api_says_what_each_call_needs() -> None:
    """The same as the OpenAPI document, which has it from the views."""
    rows = re.findall(r"^\| (none|`.+) \| (.*) \|$", (DOCS / "api.md").read_text(), re.MULTILINE)
    written = {call: needs for needs, calls in rows for call in re.findall(r"`([A-Z]+ [a-z/{}-]+)`", calls)}
    services = {call for _, calls in rows if calls.startswith("*services*") for call in re.findall(r"`([^`]+)`", calls)}
    needed, for_services = {}, set()
    document = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            call = f"{method.upper()} {re.sub(r'{.+?}', '{id}', path.removeprefix(settings.API_PREFIX))}"
            said = operation.get("description", "").rpartition("\n")[2]
            found = re.fullmatch(r"(A service needs|Services only, with) the permission (.+)\.", said)
            needed[call] = found[2] if found else "none"
            for_services |= {call} if found and found[1].startswith("Services only") else set()
    assert len(needed) > 70
    assert written == needed
    assert services == for_services


def options_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options_of(inner)


OURS = sorted((name, app) for name, app in get_commands().items() if app in FLOORS and name != "migrate")


@pytest.mark.parametrize(("name", "app"), OURS, ids=[name for name, _ in OURS])
def test_every_command_and_option_stands_on_a_page(name: str, app: str) -> None:
    """The list of modules names the files of commands; that helps nobody who looks for what to run."""
    lists = {DOCS / "architecture.md", DOCS / "licences.md"}
    text = "".join(page.read_text() for page in {*PAGES, BASE_DIR / "bench" / "README.md"} - lists)
    usual = set(options_of(BaseCommand().create_parser("manage.py", name)))
    assert re.search(rf"\b{name}\b", text)
    parser = load_command_class(app, name).create_parser("manage.py", name)
    ours = set(options_of(parser)) - usual
    assert {option for option in ours if not re.search(rf"{option}\b", text)} == set()
