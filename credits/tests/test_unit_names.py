"""What credits are called: by the file of their catalogue, and where only the unit is known by all files together."""

from pathlib import Path
from typing import Any

import pytest
from django.template import Context, Template
from django.utils.translation import override

from credits import catalogue_files, unit_names
from credits.errors import CatalogueMistake
from events import letters
from events.models import Kind
from ledger.money import CREDIT

TOKENS = "unit_name: {one: {en: token, fr: jeton}, many: {en: tokens, fr: jetons}}\n"
PACK = "packs: {one-%s: {name: {en: One}, credits: 5, prices: {EUR: 1}}}\n"

LETTERS = [
    (Kind.CREDITS_LOW, "credits.low", "en", "Your tokens are running low", "You have 1 token left."),
    (Kind.CREDITS_LOW, "credits.low", "fr", "Solde bientôt épuisé : jetons", "Il vous reste 1 jeton."),
    (Kind.CREDITS_LOW, "credits.empty", "en", "Your tokens are used up", "You have no tokens left."),
    (Kind.CREDITS_LOW, "credits.empty", "fr", "Solde épuisé : jetons", "Votre solde est épuisé (jetons)."),
    (Kind.WEEKLY_GRANT, "credits.granted", "en", "500 new tokens", "Your plan has just given you 500 tokens."),
    (Kind.WEEKLY_GRANT, "credits.granted", "fr", "500 jetons de plus", "vient de vous donner 500 jetons."),
    (Kind.CREDITS_EXPIRING, "credits.expiring", "en", "Some of your tokens expire on", "you can use 500 tokens."),
    (
        Kind.CREDITS_EXPIRING,
        "credits.expiring",
        "fr",
        "Une partie de vos jetons expire",
        "vous pouvez utiliser 500 jetons.",
    ),
]


@pytest.fixture
def shelf(tmp_path: Path, settings: Any) -> Path:
    settings.CATALOGUES_DIR = tmp_path
    return tmp_path


def file(shelf: Path, name: str, text: str = "", *, sells: bool = True) -> None:
    packs = PACK % name if sells else ""
    (shelf / f"{name}.yaml").write_text(f"catalogue: {name}\ntitle: {{en: {name}}}\n{text}{packs}", encoding="utf-8")


def test_catalogue_names_its_credits_in_both_languages(shelf: Path) -> None:
    file(shelf, "dolls", TOKENS)
    assert unit_names.counted(1250, CREDIT, "dolls") == "1,250 tokens"
    assert unit_names.counted(1, CREDIT, "dolls") == "1 token"
    assert unit_names.counted(0, CREDIT, "dolls") == "0 tokens"
    with override("fr"):
        assert unit_names.counted(1250, CREDIT, "dolls") == "1\u202f250 jetons"
        assert unit_names.counted(0, CREDIT, "dolls") == "0 jeton"  # French counts nothing as one


def test_english_stands_in_where_there_is_no_french(shelf: Path) -> None:
    file(shelf, "dolls", "unit_name: {one: {en: token}, many: {en: tokens}}\n")
    with override("fr"):
        assert unit_names.counted(3, CREDIT, "dolls") == "3 tokens"


def test_nameless_credits_are_credits(shelf: Path) -> None:
    file(shelf, "plain")
    assert [unit_names.counted(count, CREDIT, "plain") for count in (1, 2)] == ["1 credit", "2 credits"]
    assert unit_names.counted(2, CREDIT, "made-in-the-admin") == "2 credits"
    with override("fr"):
        assert unit_names.counted(2, CREDIT, "plain") == "2 crédits"


def test_unit_alone_is_named_where_all_who_deal_in_it_agree(shelf: Path) -> None:
    file(shelf, "dolls", TOKENS)
    file(shelf, "market", sells=False)  # it deals in no credits
    assert unit_names.counted(5, CREDIT) == "5 tokens"
    file(shelf, "images", "unit: IMAGE\nunit_name: {one: {en: image}, many: {en: images}}\n")
    assert (unit_names.counted(5, CREDIT), unit_names.counted(5, "IMAGE")) == ("5 tokens", "5 images")
    file(shelf, "plain")
    assert unit_names.counted(5, CREDIT) == "5 credits"


def test_name_is_of_the_unit_of_its_file(shelf: Path) -> None:
    file(shelf, "images", "unit: IMAGE\nunit_name: {one: {en: image}, many: {en: images}}\n")
    assert unit_names.counted(5, CREDIT, "images") == "5 credits"


def test_template_says_the_word(shelf: Path) -> None:
    file(shelf, "dolls", TOKENS)
    said = Template("{% load units %}{{ unit|called }} {{ unit|called:1 }}").render(Context({"unit": CREDIT}))
    assert said == "tokens token"


def test_name_must_be_whole(shelf: Path) -> None:
    file(shelf, "dolls", "unit_name: {one: {en: token}}\n")
    with pytest.raises(CatalogueMistake, match=r"unit_name\.many"):
        catalogue_files.named("dolls")


def test_shipped_catalogue_of_tokens_sells_tokens() -> None:
    assert unit_names.counted(100, CREDIT, "companion-tokens") == "100 tokens"


def test_letters_say_tokens(shelf: Path) -> None:
    file(shelf, "dolls", TOKENS)
    for kind, about, locale, subject, sentence in LETTERS:
        data = {"unit": CREDIT, "available": 1, "amount": 500, "expires_at": "2026-12-01T10:00:00+00:00"}
        letter = letters.render(kind=kind, about=about, data=data, contact=letters.NOBODY, locale=locale)
        assert letter.subject.startswith(subject)
        assert sentence in letter.text.replace("\xa0", " ")
