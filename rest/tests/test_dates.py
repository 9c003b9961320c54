from datetime import date
from typing import Any

import pytest
from django import forms
from rest_framework import serializers as answers

from rest import fields
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


@pytest.mark.parametrize(
    ("field", "last", "late"),
    [
        (fields.DateField(), "2200-12-31", "2201-01-01"),
        (fields.DateTimeField(), "2200-12-31T23:59:59.999999Z", "2201-01-01T00:00:00Z"),
        (fields.DateTimeField(), "2201-01-01T00:30:00+01:00", "2200-12-31T23:30:00-01:00"),
        (fields.DateTimeField(), "2200-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_the_api_knows_no_year_at_the_calendars_end(field: Any, last: str, late: str) -> None:
    assert field.run_validation(last).year == 2200
    with pytest.raises(answers.ValidationError) as refusal:
        field.run_validation(late)
    assert refusal.value.get_codes() == ["too_late"]


class DatedForm(forms.Form):
    day = forms.DateField()
    at = forms.DateTimeField()
    split = forms.SplitDateTimeField()


@pytest.mark.parametrize(
    ("year", "wrong"), [(2200, []), (2201, ["at", "day", "split"]), (9999, ["at", "day", "split"])]
)
def test_no_form_knows_one_either(year: int, wrong: list[str]) -> None:
    day = f"{year}-12-31"
    form = DatedForm({"day": day, "at": f"{day} 23:59", "split_0": day, "split_1": "23:59"})
    assert sorted(form.errors) == wrong
