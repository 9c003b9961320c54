"""import-linter keeps the floors of DESIGN.md; each contract is proven by planting a violation."""

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


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("rest/planted.py", "import config.problems", "Imports only go down the floors"),
        ("ledger/planted.py", "import rest.models", "Imports only go down the floors"),
        ("rest/planted.py", "import credits.usage", "Imports only go down the floors"),
        ("billing/gateways/planted.py", "import billing.models", "Gateways know no models"),
        ("billing/gateways/planted.py", "import ledger.models", "Gateways know no models"),
        ("ledger/planted.py", "import celery", "The books know neither HTTP nor Celery"),
        ("ledger/planted.py", "import rest_framework", "The books know neither HTTP nor Celery"),
        ("storefront/planted.py", "import config.settings", "Imports only go down the floors"),
        ("credits/planted.py", "import storefront.views", "Imports only go down the floors"),
        ("sandbox/planted.py", "import ledger.money", "The sandbox stands alone"),
        ("sandbox/planted.py", "import django", "The sandbox stands alone"),
        ("billing/planted.py", "import sandbox.money", "Nobody leans on the sandbox"),
        ("config/planted.py", "import sandbox.testing", "Nobody leans on the sandbox"),
    ],
)
def test_planted_violation_is_found(tmp_path: Path, module: str, line: str, contract: str) -> None:
    house = copy_of_the_house(tmp_path)
    (house / module).write_text(line + "\n")
    done = lint(house)
    assert done.returncode == 1, done.stdout
    assert f"{contract} BROKEN" in done.stdout
