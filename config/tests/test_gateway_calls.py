"""A gateway is asked by `calling.call` and by nothing else: what goes round it meets no breaker, is measured by nobody
and is tried once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing.gateways import base, subscribing

BASE_DIR = Path(__file__).resolve().parents[2]
PACKAGES = ("billing", "config", "storefront")  # who may know of gateways at all
# What asks nobody, or cannot wait: whether it is set up, a probe of its health, a letter at our door and its words.
MAY_BE_CALLED = {"missing_settings", "check_health", "read_letter", "dispute_told"}


def methods() -> set[str]:
    """What adapters can be asked to do, of all their roles."""
    roles = [each for module in (base, subscribing) for each in vars(module).values() if is_role(each)]
    return {name for role in roles for name, act in vars(role).items() if callable(act) and not name.startswith("_")}


def is_role(found: object) -> bool:
    return isinstance(found, type) and getattr(found, "_is_protocol", False)


def round_about(text: str) -> list[str]:
    """The calls of adapters that are made where they stand, instead of being handed to whoever makes them."""
    return list(_bare_calls(ast.parse(text)))


def _bare_calls(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Lambda):
            continue  # made by whoever it is given to
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in ASKED:
            yield f"{child.func.attr}, line {child.lineno}"
        yield from _bare_calls(child)


ASKED = methods() - MAY_BE_CALLED


def test_every_call_of_a_gateway_goes_through_one_door() -> None:
    found = {}
    for path in sorted(path for package in PACKAGES for path in (BASE_DIR / package).rglob("*.py")):
        place = path.relative_to(BASE_DIR).as_posix()
        is_adapter = place.startswith("billing/gateways/")
        if "tests" not in path.parts and not is_adapter and (calls := round_about(path.read_text("utf-8"))):
            found[place] = calls
    assert found == {}


def test_all_roles_are_known() -> None:
    assert {"fetch_payment", "send_refund", "movements", "paid_invoices", "undelivered", "put_price"} <= ASKED


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("adapter.fetch_payment(ref)", ["fetch_payment, line 1"]),
        ("\nfor each in adapter_of(name).paid_invoices(subscription=x):\n    hear(each)", ["paid_invoices, line 2"]),
        ("calling.call(name, 'fetch', adapter.fetch_payment(ref))", ["fetch_payment, line 1"]),
        ("calling.call(name, 'fetch', lambda: adapter.fetch_payment(ref))", []),
        ("adapter.missing_settings()", []),
    ],
)
def test_planted_call_is_found(text: str, found: list[str]) -> None:
    assert round_about(text) == found
