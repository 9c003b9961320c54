"""The index of the documentation names every page, and every link between pages leads somewhere."""

import re
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).resolve().parents[2]
DOCS = BASE_DIR / "docs"
PAGES = [BASE_DIR / "README.md", BASE_DIR / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def targets(page: Path) -> list[Path]:
    links = LINK.findall(page.read_text())
    return [(page.parent / link).resolve() for link in links if "://" not in link]


def test_index_names_every_page() -> None:
    assert set(DOCS.rglob("*.md")) - {DOCS / "README.md"} <= set(targets(DOCS / "README.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(BASE_DIR).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert [str(target) for target in targets(page) if not target.exists()] == []
