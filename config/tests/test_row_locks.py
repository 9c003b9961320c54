"""Rows are locked in one way: by a lock that lets others refer to them meanwhile, and wallets by their own door."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

APPS = ("billing", "config", "credits", "events", "ledger", "rest", "storefront", "wallets")


def locks() -> Iterator[tuple[Path, ast.Call]]:
    for app in APPS:
        for file in sorted((settings.BASE_DIR / app).rglob("*.py")):
            if "tests" not in file.parts and "select_for_update" in (text := file.read_text()):
                calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
                yield from ((file, call) for call in calls if ast.unparse(call.func).endswith(".select_for_update"))


def test_no_lock_keeps_others_from_referring_to_its_row() -> None:
    found = list(locks())
    assert len(found) > 20
    assert [
        f"{file}:{call.lineno}" for file, call in found if "no_key" not in {each.arg for each in call.keywords}
    ] == []


def test_wallets_are_locked_by_their_own_door() -> None:
    others = [f"{file}:{call.lineno}" for file, call in locks() if ast.unparse(call.func).startswith("Wallet.")]
    assert others == []
