"""The house's own modules: what each is for, how long it is, and whether the house rules let it be so."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
# From the top of the house downwards, then what stands beside it.
PACKAGES = (
    "config", "storefront", "billing", "credits", "wallets", "events", "ledger", "rest", "sandbox", "embedded", "bench",
)  # fmt: skip
ALONE = ("manage.py", "conftest.py")
LEFT_OUT = {"tests", "migrations", "__pycache__"}  # tests are read beside their module; migrations are never edited
LONGEST_MODULE = 400
LONGEST_FUNCTION = 70
# Longer than the rule, and why that reads better than two files.
MAY_BE_LONGER = {
    "config/settings.py": "one file of settings under headings, so that there is one place to look",
}
BEGIN, END = "<!-- modules: written by manage.py list_modules --write -->", "<!-- end of modules -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One file of ours. `long_functions` are those above the rule, with their lines."""

    path: str
    purpose: str
    lines: int
    long_functions: tuple[tuple[str, int], ...] = ()

    @property
    def package(self) -> str:
        return self.path.partition("/")[0] if "/" in self.path else "beside the packages"


def found(base: Path = BASE_DIR) -> list[Module]:
    """Every module that has something in it, in the order of the table."""
    return [module for path in _paths(base) if (module := _read(base, path)) is not None]


def _paths(base: Path) -> Iterator[Path]:
    for package in PACKAGES:
        inside = (path.relative_to(base) for path in (base / package).rglob("*.py"))
        yield from sorted(path for path in inside if not LEFT_OUT.intersection(path.parts))
    yield from (Path(name) for name in ALONE if (base / name).is_file())


def _read(base: Path, path: Path) -> Module | None:
    text = (base / path).read_text(encoding="utf-8")
    if not text.strip():
        return None
    tree = ast.parse(text)
    said = (ast.get_docstring(tree) or "").partition("\n\n")[0]
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    sizes = ((node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions)
    return Module(
        path=path.as_posix(),
        purpose=" ".join(said.split()),
        lines=len(text.splitlines()),
        long_functions=tuple(each for each in sizes if each[1] > LONGEST_FUNCTION),
    )


def faults(modules: Sequence[Module], document: str) -> list[str]:
    """What breaks a house rule, and what the table does not say. A size that has moved since is no fault: otherwise two
    branches that touch one module could not both be right."""
    listed = set(_listed(document))
    wrong = []
    for module in modules:
        if not module.purpose:
            wrong.append(f"{module.path} has no docstring that says what it is for")
        if module.lines > LONGEST_MODULE and module.path not in MAY_BE_LONGER:
            wrong.append(f"{module.path} has {module.lines} lines, and {LONGEST_MODULE} are the most")
        if module.lines <= LONGEST_MODULE and module.path in MAY_BE_LONGER:
            wrong.append(f"{module.path} has {module.lines} lines and needs no excuse any more")
        for name, lines in module.long_functions:
            wrong.append(f"{name} in {module.path} has {lines} lines, and {LONGEST_FUNCTION} are the most")
    known = {module.path for module in modules}
    if missing := sorted(known - listed):
        wrong.append(f"missing in the table: {', '.join(missing)}")
    if gone := sorted(listed - known):
        wrong.append(f"in the table and not in the house: {', '.join(gone)}")
    return wrong


def _listed(document: str) -> Iterator[str]:
    inside = document.partition(BEGIN)[2].partition(END)[0]
    for line in inside.splitlines():
        if line.startswith("| `"):
            yield line.split("`")[1]


def table(modules: Iterable[Module]) -> str:
    """One table for each package, with its modules and their lines."""
    parts = []
    for package, some in groupby(modules, key=lambda module: module.package):
        rows = list(some)
        total = sum(module.lines for module in rows)
        parts.append(f"### {package}: {len(rows)} modules, {total:,} lines\n")
        parts.append("| module | what it is for | lines |\n|---|---|---:|")
        parts += [f"| `{each.path}` | {each.purpose.replace('|', chr(92) + '|')} | {each.lines} |" for each in rows]
        parts.append("")
    return "\n".join(parts)


def written(document: str, modules: Iterable[Module]) -> str:
    """The document with the table as it is now between its two markers."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"The document has no place for the table: {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{table(modules)}\n{END}{after}"
