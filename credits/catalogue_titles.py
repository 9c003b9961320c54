"""What the product of a catalogue is called, for those who buy: the title in its file."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import get_language

from credits import catalogue_files
from credits.catalogue_files import Catalogue, Words
from credits.errors import CatalogueMistake


def title(catalogue: str) -> str:
    """In the reader's language. A catalogue that was made in the admin has no file, and is called by its code."""
    found = file_of(catalogue)
    return in_our_language(found.title if found else Words(en=catalogue.replace("-", " ").capitalize()))


def file_of(catalogue: str) -> Catalogue | None:
    """What its file says now; nothing where there is no file, or one with mistakes."""
    path = Path(settings.CATALOGUES_DIR) / f"{catalogue}.yaml"
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, CatalogueMistake):
        return None


def in_our_language(words: Words) -> str:
    return words.fr if words.fr and (get_language() or "").startswith("fr") else words.en


@lru_cache(maxsize=64)
def _read(path: Path, changed_at: int) -> Catalogue:
    """A page of prices is looked at more often than its file is written."""
    return catalogue_files.load(path)
