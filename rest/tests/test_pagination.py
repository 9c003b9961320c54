"""Pages neither shift nor repeat while rows arrive, and a broken cursor says so."""

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from rest import pagination, serializers
from rest.models import ServiceToken
from rest.tests.urls import OpenView


class TokenResponse(answers.ModelSerializer[ServiceToken]):
    class Meta:
        model = ServiceToken
        fields = ("name",)


def row_id(number: int) -> uuid.UUID:
    """In the order of time, as a UUIDv7 is."""
    return uuid.UUID(int=(0x0190C6A4_0000 + number) << 80 | 7 << 76 | 2 << 62)


def make(*numbers: int) -> None:
    for number in numbers:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO rest_servicetoken (id, name, prefix, digest, created_at) VALUES (%s, %s, %s, %s, now())",
                [row_id(number), str(number), f"tl_{number}", f"{number:064x}"],
            )


class TokensView(OpenView):
    queries = {"GET": pagination.PageQuery}

    def get(self, request: Request) -> Response:
        asked = serializers.query(request, pagination.PageQuery)
        return pagination.answer(request, ServiceToken.objects.all(), asked, TokenResponse)


@pytest.fixture
def tokens_at(settings, monkeypatch) -> None:
    from django.urls import path

    from rest.tests import urls

    monkeypatch.setattr(urls, "urlpatterns", [path("api/v1/tokens", TokensView.as_view()), *urls.urlpatterns])
    settings.ROOT_URLCONF = "rest.tests.urls"


def get(address: str) -> tuple[list[int], str | None, str | None]:
    answer: Any = Client().get(address)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told.keys() == {"next", "previous", "results"}
    return [int(row["name"]) for row in told["results"]], told["next"], told["previous"]


def test_there_and_back(db, tokens_at) -> None:
    make(*range(7))
    first, older, none = get("/api/v1/tokens?limit=3")
    second, oldest, back = get(older or "")
    third, end, back_again = get(oldest or "")
    assert (first, second, third, none, end) == ([6, 5, 4], [3, 2, 1], [0], None, None)
    assert get(back_again or "")[0] == second
    again, _, newest = get(back or "")
    assert (again, newest) == (first, None)


def test_rows_that_arrive_meanwhile_neither_shift_nor_repeat_others(db, tokens_at) -> None:
    make(*range(5))
    first, older, _ = get("/api/v1/tokens?limit=2")
    make(5, 6, 7)
    second, _, back = get(older or "")
    assert (first, second) == ([4, 3], [2, 1])
    newer, _, newest = get(back or "")
    assert newer == first
    assert get(newest or "")[0] == [6, 5]


def test_an_empty_list_has_no_other_pages(db, tokens_at) -> None:
    assert get("/api/v1/tokens") == ([], None, None)


def test_a_page_is_25_rows_unless_asked(db, tokens_at) -> None:
    make(*range(30))
    assert len(get("/api/v1/tokens")[0]) == 25
    assert len(get("/api/v1/tokens?limit=100")[0]) == 30


@pytest.mark.parametrize(
    "cursor", ["x", "é", "%00", "====", "b3", "b" * 40, "eAAAAAAAAAAAAAAAAAAAAAA", "bwAAAAAAAAAAAAAAAAAAAAA%0A"]
)
def test_a_broken_cursor_is_a_problem(db, tokens_at, cursor: str) -> None:
    answer = Client().get(f"/api/v1/tokens?cursor={cursor}")
    assert (answer.status_code, answer.json()["code"] in {"invalid_cursor", "validation_error"}) == (400, True)


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x"])
def test_a_limit_out_of_range_is_a_problem(db, tokens_at, limit: str) -> None:
    answer = Client().get(f"/api/v1/tokens?limit={limit}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "limit")


def test_the_schema_of_a_page_is_named_after_its_rows() -> None:
    page = pagination.page_of(TokenResponse)
    assert page.__name__ == "TokenPage"
    assert page is pagination.page_of(TokenResponse)
    assert list(page().fields) == ["next", "previous", "results"]
