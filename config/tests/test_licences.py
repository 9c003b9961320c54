"""`manage.py list_licences`: how a licence is read from metadata, and which are accepted."""

import pytest

from config import licences
from config.licences import Dependency


@pytest.mark.parametrize(
    ("expression", "text", "classifiers", "licence"),
    [
        ("MIT OR Apache-2.0", "ignored", (), "MIT OR Apache-2.0"),
        (None, "BSD", ("License :: OSI Approved :: MIT License",), "BSD-3-Clause"),
        (None, "Copyright (c) 2018\nAll rights", ("License :: OSI Approved :: MIT License",), "MIT"),
        (None, None, ("License :: OSI Approved :: MIT License", "Framework :: Django"), "MIT"),
        (
            None,
            None,
            ("License :: OSI Approved :: MIT License", "License :: OSI Approved :: Apache Software License"),
            "Apache-2.0 OR MIT",
        ),
        (None, None, ("Framework :: Django",), "unknown"),
    ],
)
def test_licence_is_read_from_the_newest_field(
    expression: str | None, text: str | None, classifiers: tuple[str, ...], licence: str
) -> None:
    assert licences.named(expression, text, classifiers) == licence


@pytest.mark.parametrize(
    ("licence", "accepted"),
    [
        ("MIT", True),
        ("LGPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("MIT AND (GPL-3.0-only OR MIT)", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND (GPL-3.0-only OR AGPL-3.0-only)", False),
        ("AGPL-3.0-only", False),
        ("Proprietary", False),
        ("unknown", False),
    ],
)
def test_of_a_choice_one_is_enough_and_of_parts_each(licence: str, accepted: bool) -> None:
    assert licences.accepts(licence) is accepted


def test_pins_are_found_without_their_extras_and_comments() -> None:
    text = "# What we run on\n-r requirements.txt\npsycopg[binary,pool]==3.3.9\nDjango==5.2.19\n"
    assert licences.pinned(text) == ["psycopg", "django"]


def test_package_that_is_not_installed_is_unknown() -> None:
    assert licences.licence_of("no-such-package-of-ours") == "unknown"


def test_bad_licence_and_missing_row_are_faults() -> None:
    good = Dependency(name="a", runs_in="production", licence="MIT")
    bad = Dependency(name="b", runs_in="development", licence="AGPL-3.0-only")
    assert licences.faults([good, bad], licences.document([bad])) == [
        "b: AGPL-3.0-only is not among the licences that we accept",
        "not in docs/licences.md: | a | MIT |",
    ]
    assert licences.faults([good], licences.document([good])) == []
