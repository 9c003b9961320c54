"""A reference survives what a gateway makes of it."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.gateways import references


@given(number=st.integers(0, 2**128 - 1))
def test_short_form_comes_back_whole(number: int) -> None:
    reference = f"{number:032x}"
    short = references.short(reference)
    assert len(short) == 25
    assert short.isalnum()
    assert references.from_short(short) == reference


def test_uuid_form_is_the_same_number() -> None:
    reference = uuid.uuid4().hex
    assert references.checked(references.as_uuid(reference)) == reference


@pytest.mark.parametrize("text", ["", "pay01Ja1", "z" * 25, "A" * 25, "é" * 25, None, 5])
def test_what_is_none_of_ours_is_not_taken_for_one(text: object) -> None:
    assert references.from_short(text) == ""
    assert references.checked(text) == ""


def test_fingerprints_tell_parts_apart() -> None:
    assert references.fingerprint("ab", "c") != references.fingerprint("a", "bc")
    assert references.fingerprint("ab", b"c") == references.fingerprint(b"ab", "c")
