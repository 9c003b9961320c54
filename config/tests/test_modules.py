"""`manage.py list_modules`: a small house with each fault in it, and the table that it brings."""

from pathlib import Path

import pytest

from config import modules

PLACE = f"# A page\n\n{modules.BEGIN}\n{modules.END}\n\nMore of it.\n"


def house(base: Path, **files: str) -> Path:
    """Files by their names, `billing__refunds` for billing/refunds.py."""
    for name, text in files.items():
        file = base / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return base


def faults(base: Path) -> list[str]:
    found = modules.found(base)
    return modules.faults(found, modules.written(PLACE, found))


def test_table_says_the_purpose_and_the_lines_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    found = modules.found(
        house(tmp_path, billing__refunds='"""Giving money\nback | and more.\n\nAt length."""\n', config__no="")
    )
    page = modules.written(PLACE, found)
    assert "| `billing/refunds.py` | Giving money back \\| and more. | 4 |" in page
    assert "### billing: 1 modules, 4 lines" in page
    assert page.startswith("# A page\n")
    assert page.endswith("\n\nMore of it.\n")
    assert modules.written(page, found) == page
    assert "config" not in page.replace(modules.BEGIN, "")


def test_tests_and_migrations_are_left_out(tmp_path: Path) -> None:
    house(tmp_path, billing__tests__test_a='"""A."""', billing__migrations__m='"""B."""', billing__a='"""C."""')
    assert [module.path for module in modules.found(tmp_path)] == ["billing/a.py"]


def test_house_that_keeps_the_rules_has_no_fault(tmp_path: Path) -> None:
    longest = '"""Long."""\n' + "def act():\n" + "    a = 1\n" * (modules.LONGEST_FUNCTION - 1)
    house(tmp_path, billing__a=longest, config__settings='"""All."""\n' + "A = 1\n" * 500)
    assert faults(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("A = 1\n", "billing/a.py has no docstring that says what it is for"),
        ('"""A."""\n' + "A = 1\n" * 400, "billing/a.py has 401 lines, and 400 are the most"),
        (
            '"""A."""\nclass B:\n    async def act(self):\n' + "        a = 1\n" * 70,
            "act in billing/a.py has 71 lines, and 70 are the most",
        ),
    ],
    ids=["no docstring", "long module", "long function"],
)
def test_fault_is_found(tmp_path: Path, text: str, fault: str) -> None:
    assert faults(house(tmp_path, billing__a=text)) == [fault]


def test_excuse_that_is_not_needed_is_a_fault(tmp_path: Path) -> None:
    assert faults(house(tmp_path, config__settings='"""All."""\n')) == [
        "config/settings.py has 1 lines and needs no excuse any more"
    ]


def test_table_that_is_behind_is_found_and_sizes_that_moved_are_not(tmp_path: Path) -> None:
    house(tmp_path, billing__a='"""A."""\n', billing__b='"""B."""\n')
    page = modules.written(PLACE, modules.found(tmp_path))
    (tmp_path / "billing" / "b.py").unlink()
    house(tmp_path, billing__a='"""A."""\nA = 1\n', billing__c='"""C."""\n')
    assert modules.faults(modules.found(tmp_path), page) == [
        "missing in the table: billing/c.py",
        "in the table and not in the house: billing/b.py",
    ]


def test_document_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        modules.written("# A page\n", [])


def test_what_may_be_longer_is_there_and_says_why() -> None:
    assert all((modules.BASE_DIR / path).is_file() and reason for path, reason in modules.MAY_BE_LONGER.items())
