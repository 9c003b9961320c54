"""import-linter keeps the layers of docs/architecture.md; each contract is proven by planting a violation."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).resolve().parents[2]
LINTER = Path(sys.executable).parent / "lint-imports"


def copy_of_the_house(target: Path) -> Path:
    skip = shutil.ignore_patterns(".git", ".venv", "var", "static", "node_modules", "docs", "__pycache__")
    return shutil.copytree(BASE_DIR, target / "house", ignore=skip)


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LINTER, "--no-cache"], cwd=house, capture_output=True, text=True, check=False)


def test_the_house_keeps_its_floors(tmp_path: Path) -> None:
    done = lint(copy_of_the_house(tmp_path))
    assert done.returncode == 0, done.stdout


# Each in a module of its own; one look of the linter finds them all.
PLANTED = [
    ("rest", "config.problems", "Imports only go down the layers"),
    ("ledger", "rest.models", "Imports only go down the layers"),
    ("rest", "credits.usage", "Imports only go down the layers"),
    ("billing.gateways", "billing.models", "Gateways know no models"),
    ("billing.gateways", "ledger.models", "Gateways know no models"),
    ("ledger", "celery", "The books know neither HTTP nor Celery"),
    ("ledger", "rest_framework", "The books know neither HTTP nor Celery"),
    ("storefront", "config.settings", "Imports only go down the layers"),
    ("credits", "storefront.views", "Imports only go down the layers"),
    ("sandbox", "ledger.money", "The sandbox stands alone"),
    ("sandbox", "django", "The sandbox stands alone"),
    ("billing", "sandbox.money", "Nobody leans on the sandbox"),
    ("config", "sandbox.testing", "Nobody leans on the sandbox"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the linter says of a house with all violations, by contract."""
    house = copy_of_the_house(tmp_path_factory.mktemp("planted"))
    for number, (package, imported, _) in enumerate(PLANTED):
        (house / package.replace(".", "/") / f"planted_{number}.py").write_text(f"import {imported}\n")
    done = lint(house)
    assert done.returncode == 1, done.stdout
    _, _, told = done.stdout.partition("Broken contracts")
    parts = re.split(r"^(.+)\n-{3,}$", told, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("number", range(len(PLANTED)))
def test_planted_violation_is_found(found: dict[str, str], number: int) -> None:
    package, imported, contract = PLANTED[number]
    assert f"{package}.planted_{number} -> {imported}" in found[contract]
