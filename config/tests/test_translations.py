from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import translation

from config import translations


def test_every_text_of_our_code_has_its_french() -> None:
    assert translations.untranslated("fr") == []


def test_texts_are_found_in_code_and_in_templates() -> None:
    places = {
        message: {place for place, _line in found}
        for (_context, message), found in translations.messages_of_our_code().items()
    }
    assert "config/home.py" in places["Operators without a second factor"]
    assert "templates/storefront/pricing.html" in places["Nothing is for sale yet"]
    assert "templates/storefront/offer.html" in places["Buy: %(price)s"]
    assert not any("/tests/" in place for found in places.values() for place in found)


@pytest.fixture
def small_catalogue(tmp_path: Path, settings) -> Path:
    settings.LOCALE_PATHS = [tmp_path]
    source = tmp_path / "fr" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text(
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "Home"\nmsgstr "Accueil"\n'
    )
    return source


def test_missing_french_is_named(small_catalogue: Path) -> None:
    missing = translations.untranslated("fr")
    assert "Nothing is for sale yet" in missing
    assert "Home" not in missing


def test_only_stale_catalogues_are_compiled(small_catalogue: Path) -> None:
    import os

    compiled = small_catalogue.with_suffix(".mo")
    assert translations.compile_stale() == [compiled]
    assert translations.compile_stale() == []
    newer = compiled.stat().st_mtime + 5
    os.utime(small_catalogue, (newer, newer))
    assert translations.compile_stale() == [compiled]
    assert sorted(path.name for path in compiled.parent.iterdir()) == ["django.mo", "django.po"]


def test_update_keeps_what_is_translated_and_drops_what_is_gone(small_catalogue: Path, capsys) -> None:
    with small_catalogue.open("a") as file:
        file.write('\nmsgid "Said by nobody"\nmsgstr "Dit par personne"\n')
    call_command("compile_translations", update=True)
    text = small_catalogue.read_text()
    assert 'msgid "Home"\nmsgstr "Accueil"' in text
    assert "Said by nobody" not in text
    assert "not translated: 'Nothing is for sale yet'" in capsys.readouterr().out


def test_compiling_alone_leaves_the_texts_as_they_are(small_catalogue: Path, capsys) -> None:
    before = small_catalogue.read_text()
    for _ in range(2):
        call_command("compile_translations")
    assert capsys.readouterr().out == f"compiled {small_catalogue.with_suffix('.mo')}\n"
    assert small_catalogue.read_text() == before


def test_french_is_in_use() -> None:
    with translation.override("fr"):
        assert translation.gettext("Nothing is for sale yet") == "Rien n’est encore en vente"
