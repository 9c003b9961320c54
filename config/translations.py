"""The French of our own pages: compiled without GNU gettext, and checked to be whole."""

import os
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.apps import apps
from django.conf import settings
from django.utils.translation import template as django_template

Message = str | tuple[str, ...]
KEYWORDS: dict[str, Any] = {
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "_": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}


def compile_stale() -> list[Path]:
    """Compile each catalogue that is newer than its compiled form; returns what was written."""
    written = []
    for source in sorted(_locale_dir().glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        compiled = BytesIO()
        write_mo(compiled, _read(source))
        _replace(target, compiled.getvalue())
        written.append(target)
    return written


def messages_of_our_code() -> dict[tuple[str | None, Message], list[tuple[str, int]]]:
    """Every text written for translation in our apps and templates, with its context and where it stands."""
    found: dict[tuple[str | None, Message], list[tuple[str, int]]] = {}
    for path in _sources():
        for line, message, _comments, context in _extract(path):
            place = (str(path.relative_to(settings.BASE_DIR)), line)
            found.setdefault((context, message), []).append(place)
    return found


def update_catalogue(language: str) -> Path:
    """Add what is new to the catalogue of a language, keep what is translated, drop what no code says any more."""
    path = _locale_dir() / language / "LC_MESSAGES" / "django.po"
    old = _read(path) if path.exists() else Catalog(locale=language)
    new = Catalog(
        locale=language,
        header_comment="# What our own pages and lists say, collected by `manage.py compile_translations --update`.",
        project="Tirelire",
        version="main",
        msgid_bugs_address="none",
        last_translator="Tirelire",
        language_team="Tirelire",
        creation_date=old.creation_date,
        revision_date=old.revision_date,
        fuzzy=False,
    )
    for (context, message), places in sorted(messages_of_our_code().items(), key=lambda item: item[1]):
        known = old.get(message if isinstance(message, str) else message[0], context)
        new.add(
            message, known.string if known else None, locations=[(place, 0) for place, _ in places], context=context
        )
    text = BytesIO()
    write_po(text, new, width=100, include_lineno=False, omit_header=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, text.getvalue())
    return path


def untranslated(language: str) -> list[Message]:
    path = _locale_dir() / language / "LC_MESSAGES" / "django.po"
    catalogue = _read(path)
    missing = []
    for context, message in messages_of_our_code():
        known = catalogue.get(message if isinstance(message, str) else message[0], context)
        strings = () if known is None else (known.string,) if isinstance(known.string, str) else known.string
        if known is None or known.fuzzy or not strings or not all(strings):
            missing.append(message)
    return missing


def _locale_dir() -> Path:
    return Path(settings.LOCALE_PATHS[0])


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def _replace(target: Path, content: bytes) -> None:
    # Two processes may do this at once, and a third may be reading.
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-", delete=False) as new:
        new.write(content)
    Path(new.name).chmod(0o644)
    os.replace(new.name, target)


def _sources() -> Iterator[Path]:
    base = Path(settings.BASE_DIR)
    folders = [Path(app.path) for app in apps.get_app_configs() if Path(app.path).parent == base]
    for folder in [base / "templates", *folders]:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".html", ".txt"} and not {"tests", "migrations"} & set(path.parts):
                yield path


def _extract(path: Path) -> Iterator[tuple[int, Any, list[str], str | None]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        # Django turns a template into something like Python; the brackets make its indentation meaningless.
        text = "(" + django_template.templatize(text, origin=str(path)) + "\n)"
    yield from extract("python", BytesIO(text.encode()), keywords=KEYWORDS)
