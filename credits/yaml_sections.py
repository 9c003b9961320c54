"""Reading YAML strictly: every value is text until its reader says what it should be, and every mistake has a line.

PyYAML's own conversions would turn 9.99 into a float and `no` into false, so only its tree of nodes is used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_UP, Decimal, InvalidOperation
from pathlib import Path

import yaml

from credits.errors import CatalogueMistake
from ledger import money
from ledger.errors import LedgerError
from ledger.money import LARGEST_MINOR, Money

WHOLE = re.compile(r"[0-9]{1,16}")


@dataclass(slots=True)
class Report:
    """What was wrong in a file so far, and on which line each path stands."""

    file: str
    mistakes: list[str] = field(default_factory=list)
    blamed: set[str] = field(default_factory=set)
    lines: dict[str, int] = field(default_factory=dict)

    def add(self, line: int, path: str, text: str) -> None:
        """One mistake for each path: what follows from a mistake is not another one."""
        if path not in self.blamed:
            self.blamed.add(path)
            self.mistakes.append(f"{self.file}:{line}: {path}: {text}")

    def raise_if_any(self) -> None:
        if self.mistakes:
            raise CatalogueMistake(self.mistakes)


class Section:
    """A mapping of the file. What is asked of it is known to it; `close` refuses all the rest."""

    def __init__(self, report: Report, node: yaml.Node, path: str = "") -> None:
        self.report = report
        self.path = path
        self.line = node.start_mark.line + 1
        self.known: list[str] = []
        self.nodes: dict[str, yaml.Node] = {}
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._take(key, value)
        elif not (isinstance(node, yaml.ScalarNode) and node.value == ""):
            self._mistake("", "write `key: value` lines here")

    def _take(self, key: yaml.Node, value: yaml.Node) -> None:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        line = key.start_mark.line + 1
        if name in self.nodes:
            self.report.add(line, self._path(name), "stands here twice; remove one")
        self.nodes[name] = value
        self.report.lines[self._path(name)] = line

    def _path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path and key else self.path or key

    def _mistake(self, key: str, text: str) -> None:
        node = self.nodes.get(key)
        self.report.add(node.start_mark.line + 1 if node else self.line, self._path(key), text)

    # ------------------------------------------------------------ values

    def has(self, key: str) -> bool:
        self.known.append(key)
        return key in self.nodes

    def text(
        self, key: str, *, default: str | None = None, pattern: str = "", example: str = "", longest: int = 60
    ) -> str:
        found = self._scalar(key, required=default is None, example=example)
        if found is None:
            return default or ""
        if len(found) > longest:
            self._mistake(key, f"has {len(found)} characters; write at most {longest}")
        elif pattern and not re.fullmatch(pattern, found):
            self._mistake(key, f"{found!r} does not fit; write for example {example}")
        else:
            return found
        return default or ""

    def whole(self, key: str, *, minimum: int = 1, maximum: int = LARGEST_MINOR) -> int | None:
        """A whole number, or nothing."""
        found = self._scalar(key)
        return None if found is None else self._whole(key, found, minimum, maximum)

    def count(self, key: str, *, default: int | None = None, minimum: int = 1) -> int:
        """A whole number that must be there unless it has a default."""
        found = self._scalar(key, required=default is None, example="100")
        return (default or 0) if found is None else self._whole(key, found, minimum)

    def flag(self, key: str) -> bool:
        found = self._scalar(key)
        if found not in (None, "true", "false"):
            self._mistake(key, f"{found!r} is neither true nor false")
        return found == "true"

    def choice(self, key: str, known: list[str], *, default: str | None = None) -> str:
        found = self._scalar(key, required=default is None, example=" or ".join(known))
        if found is None:
            return default or known[0]
        if found not in known:
            self._mistake(key, f"{found!r} is not known; write {' or '.join(known)}")
            return known[0]
        return found

    def words(self, key: str) -> tuple[str, ...]:
        self.known.append(key)
        node = self.nodes.get(key)
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode) or any(not isinstance(each, yaml.ScalarNode) for each in node.value):
            self._mistake(key, "write a list, for example [one, two]")
            return ()
        return tuple(each.value for each in node.value)

    def two_wholes(self, key: str) -> tuple[int, int]:
        words = self.words(key)
        if len(words) != 2:  # noqa: PLR2004 - a minimum and a maximum
            self._mistake(key, "write the minimum and the maximum, for example [10, 50]")
            return (1, 1)
        low, high = (self._whole(key, word, 1) for word in words)
        if low > high:
            self._mistake(key, f"the minimum comes first; write [{high}, {low}]")
        return (low, high)

    def amount(self, key: str, currency: str) -> Money:
        """A decimal amount; one with more decimals than its currency has is refused with its neighbours."""
        found = self._scalar(key, required=True, example="9.99") or ""
        try:
            amount = money.parse(found, currency)
        except LedgerError as error:
            self._mistake(key, f"{error}{_neighbours(found, currency)}")
            return Money(1, currency)
        if not 0 < amount.minor <= LARGEST_MINOR:
            self._mistake(key, f"{found} is out of range; write an amount above zero")
            return Money(1, currency)
        return amount

    def decimal(self, key: str) -> Decimal:
        found = self._scalar(key, required=True, example="655.957") or ""
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", found) or not Decimal(found):
            self._mistake(key, f"{found!r} is not a positive decimal number; write for example 655.957")
            return Decimal(1)
        return Decimal(found)

    # ------------------------------------------------------------ structure

    def section(self, key: str) -> "Section":
        """The mapping under this key; an empty one when it is not there."""
        self.known.append(key)
        missing = yaml.ScalarNode("", "", yaml.Mark("", 0, self.line - 1, 0, None, 0))
        return Section(self.report, self.nodes.get(key, missing), self._path(key))

    def sections(self, key: str, pattern: str = "", example: str = "") -> Iterator[tuple[str, "Section"]]:
        """The named mappings under this key; each is closed after its turn, so that nothing unread stays in it."""
        parent = self.section(key)
        for name in parent.names(pattern, example):
            inner = parent.section(name)
            yield name, inner
            inner.close()

    def names(self, pattern: str = "", example: str = "") -> Iterator[str]:
        for name in list(self.nodes):
            self.known.append(name)
            if pattern and not re.fullmatch(pattern, name):
                self._mistake(name, f"{name!r} is not a good name here; write for example {example}")
            yield name

    def close(self) -> None:
        for name, node in self.nodes.items():
            if name not in self.known:
                known = ", ".join(sorted(set(self.known))) or "nothing"
                self.report.add(node.start_mark.line + 1, self._path(name), f"is not known; known here: {known}")

    def refuse(self, key: str, text: str) -> None:
        self._mistake(key, text)

    def _scalar(self, key: str, *, required: bool = False, example: str = "") -> str | None:
        self.known.append(key)
        node = self.nodes.get(key)
        if node is None:
            if required:
                self._mistake(key, f"is missing; write for example `{key}: {example}`")
            return None
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            self._mistake(key, "write one value here")
            return None
        return str(node.value).strip()

    def _whole(self, key: str, found: str, minimum: int, maximum: int = LARGEST_MINOR) -> int:
        if not WHOLE.fullmatch(found) or not minimum <= int(found) <= maximum:
            self._mistake(key, f"{found!r} does not fit; write a whole number from {minimum} to {maximum}, only digits")
            return max(minimum, 1)
        return int(found)


def _neighbours(found: str, currency: str) -> str:
    try:
        known, step = Decimal(found), Decimal(1).scaleb(-money.exponent(currency))
        below, above = (known.quantize(step, rounding) for rounding in (ROUND_DOWN, ROUND_UP))
    except (InvalidOperation, LedgerError):
        return " Write for example 9.99."
    return f" Write {below} or {above}." if 0 < below < above else f" Write {above}." if above > 0 else ""


def open_file(path: Path, *, wanted: str) -> Section:
    """The whole file as a section; what is no YAML, or no mapping, is refused at once, with what it should say."""
    report = Report(path.name)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueMistake([f"{path}: cannot be read: {error}"]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise CatalogueMistake(
            [f"{path.name}:{line}: is not YAML: {getattr(error, 'problem', None) or error}"]
        ) from error
    if not isinstance(node, yaml.MappingNode):
        raise CatalogueMistake([f"{path.name}:1: write {wanted}."])
    return Section(report, node)
