"""Lists of the admin over tables that grow for ever: searched by index, counted roughly, filtered by known values."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from unfold.admin import ModelAdmin

Choices = Iterable[tuple[Any, str | Promise]]
COUNTED_EXACTLY = 100_000
MOST_PEOPLE = 100  # whose user id begins so
SHORTEST_BEGINNING = 3
LATEST = 20_000  # rows in which something is looked for that has no index


class EstimatedPaginator(Paginator[Any]):
    """Counting ten million rows takes seconds: of what is longer than this, the planner's own estimate is shown."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return super().count
        bare = rows.order_by()
        begin = bare.values("pk")[: COUNTED_EXACTLY + 1].count()
        return begin if begin <= COUNTED_EXACTLY else max(begin, _estimate(bare))


def _estimate(rows: QuerySet[Any]) -> int:
    return int(json.loads(rows.explain(format="json"))[0]["Plan"]["Plan Rows"])


def among(choices: Callable[[], Choices]) -> type[admin.ChoicesFieldListFilter]:
    """A filter by values that are known. For a field without choices Django would ask the table itself which values it
    has, and read all of it to say so."""

    class Among(admin.ChoicesFieldListFilter):
        def choices(self, changelist: Any) -> Iterator[Any]:
            yield {
                "selected": self.lookup_val is None,
                "query_string": changelist.get_query_string(remove=[self.lookup_kwarg, self.lookup_kwarg_isnull]),
                "display": gettext("All"),
            }
            for value, title in choices():
                yield {
                    "selected": self.lookup_val is not None and str(value) in self.lookup_val,
                    "query_string": changelist.get_query_string({self.lookup_kwarg: value}, [self.lookup_kwarg_isnull]),
                    "display": title,
                }

    return Among


def named(values: Iterable[str]) -> list[tuple[str, str]]:
    """Values that are their own names."""
    return [(value, value) for value in sorted(values)]


def person(user: Any) -> SafeString:
    """A user id that leads to its person's page. A floor above has that page; settings.ADMIN_PERSON_PAGE names it."""
    url = reverse(settings.ADMIN_PERSON_PAGE, args=[user.pk])
    return format_html('<a class="underline" href="{}">{}</a>', url, user.get_username())


def people(term: str) -> list[int]:
    """Who is meant by a user id or an e-mail address; settings.ADMIN_PEOPLE names the function that knows."""
    ask: Callable[[str], list[int]] = import_string(settings.ADMIN_PEOPLE)
    return ask(term)


def people_beginning(term: str) -> list[int]:
    if len(term) < SHORTEST_BEGINNING:
        return []
    found = User.objects.filter(username__startswith=term).order_by("username")
    return list(found.values_list("pk", flat=True)[:MOST_PEOPLE])


def number(term: str) -> UUID | None:
    """An id, also as gateways have it, without its dashes."""
    try:
        return UUID(term)
    except ValueError:
        return None


class FindingAdmin(ModelAdmin):
    """What is searched for is looked up where an index answers, in one column after the other, until something is
    found. Django would compare every row with it, in capitals and as text, also by an id.

    `search_fields`, if there are any, are looked through last, as Django does: for tables that stay small.
    """

    found_by_ids: tuple[str, ...] = ()  # columns of UUIDs
    found_by_words: tuple[str, ...] = ()  # columns that are searched for a whole word
    found_by_people: tuple[str, ...] = ()  # where the person is
    found_by_names: Mapping[str, Iterable[str]] = {}  # columns of JSON, and the names in them whose value is compared
    found_lately_by: tuple[str, ...] = ()  # columns without an index: only the latest rows are looked through

    def get_search_fields(self, request: HttpRequest) -> Any:
        asked = (self.found_by_ids, self.found_by_words, self.found_by_people, self.found_by_names)
        return self.search_fields or (("pk",) if any(asked) else ())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        for rows in self.answers(queryset, term):
            if rows.exists():
                return rows, False
        if self.search_fields:
            return super().get_search_results(request, queryset, search_term)
        return queryset.none(), False

    def answers(self, rows: QuerySet[Any], term: str) -> Iterator[QuerySet[Any]]:
        if its_number := number(term):
            for column in self.found_by_ids:
                yield rows.filter(**{column: its_number})
        if self.found_by_people and (who := people(term)):
            yield self._of(rows, who)  # before words that callers choose, which may be somebody's user id
        for column in self.found_by_words:
            yield rows.filter(**{column: term})
        for column, names in self.found_by_names.items():
            yield self._whole(rows, called(column, names, term))
        if lately := self.lately(term):
            yield self._lately(rows, lately)
        if self.found_by_people and (who := people_beginning(term)):
            yield self._of(rows, who)

    def lately(self, term: str) -> Q:
        """What is asked of the latest rows only."""
        asked = Q()
        for column in self.found_lately_by:
            asked |= Q(**{column: term})
        return asked

    def _of(self, rows: QuerySet[Any], who: list[int]) -> QuerySet[Any]:
        if len(self.found_by_people) == 1:
            return rows.filter(**{f"{self.found_by_people[0]}__in": who})
        found: set[Any] = set()
        for path in self.found_by_people:  # each by its own index; asked in one breath they would all be read
            mine = rows.filter(**{f"{path}__in": who}).order_by("-pk")
            found.update(mine.values_list("pk", flat=True)[:LATEST])
        return rows.filter(pk__in=found)

    def _whole(self, rows: QuerySet[Any], asked: Q) -> QuerySet[Any]:
        """Each row once, however many attempts of it fit."""
        return rows.filter(pk__in=list(self._all().filter(asked).values_list("pk", flat=True)[:LATEST]))

    def _lately(self, rows: QuerySet[Any], asked: Q) -> QuerySet[Any]:
        newest = self._all().order_by("-pk").values_list("pk", flat=True)
        oldest = newest[LATEST : LATEST + 1].first()
        return rows.filter(asked) if oldest is None else rows.filter(asked, pk__gt=oldest)

    def _all(self) -> QuerySet[Any, Any]:
        model: type[Model] = self.model
        return model._default_manager.all()


def called(column: str, names: Iterable[str], term: str) -> Q:
    """Rows that have the term under one of these names. Name by name, since that is how their index is asked."""
    asked = Q()
    for name in names:
        asked |= Q(**{f"{column}__contains": {name: term}})
    return asked
