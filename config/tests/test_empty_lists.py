"""A list with nothing in it: what it says depends on whether a search made it empty."""

import pytest
from django.test import Client


@pytest.fixture
def page_of(as_root: Client):
    return lambda query: as_root.get(f"/admin/billing/refund/{query}").content.decode()


def test_list_that_is_empty_says_so_and_offers_no_filters_to_reset(page_of) -> None:
    page = page_of("")
    assert "There is nothing here yet." in page
    assert "filter_list_off" not in page


def test_search_that_finds_nothing_offers_to_forget_it(page_of) -> None:
    page = page_of("?q=nobody")
    assert "Nothing matches the search and the filters." in page
    assert "filter_list_off" in page
