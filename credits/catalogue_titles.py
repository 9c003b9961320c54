"""What the product of a catalogue is called, for those who buy: the title in its file."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import get_language

from credits import catalogue_files
from credits.catalogue_files import Words
from credits.errors import CatalogueMistake


def title(catalogue: str) -> str:
    """In the reader's language. A catalogue that was made in the admin has no file, and is called by its code."""
    words = _words(catalogue)
    return words.fr if words.fr and get_language() == "fr" else words.en


def _words(catalogue: str) -> Words:
    path = Path(settings.CATALOGUES_DIR) / f"{catalogue}.yaml"
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, CatalogueMistake):
        return Words(en=catalogue.replace("-", " ").capitalize())


@lru_cache(maxsize=64)
def _read(path: Path, changed_at: int) -> Words:
    """A page of prices is looked at more often than its file is written."""
    return catalogue_files.load(path).title
