from datetime import date

import pytest

from rest.dates import long_date


@pytest.mark.parametrize(
    ("day", "locale", "text"),
    [
        (date(2026, 11, 1), "fr", "1er novembre 2026"),
        (date(2026, 11, 1), "fr_FR", "1er novembre 2026"),
        (date(2026, 11, 11), "fr", "11 novembre 2026"),
        (date(2026, 11, 1), "en", "November 1, 2026"),
        (date(2026, 11, 1), "en_GB", "1 November 2026"),
    ],
)
def test_only_the_french_count_the_first_day_alone(day: date, locale: str, text: str) -> None:
    assert long_date(day, locale) == text
