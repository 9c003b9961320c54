"""A list of the admin as a file: what its filters and its search leave, for those who may take it; who did is noted."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext

from rest import spreadsheets
from rest.acts import ActingAdmin, operator

logger = logging.getLogger(__name__)
Columns = dict[str, Callable[[Any], Any]]  # by their heads, which programs read too: the same in every language
ROWS_AT_ONCE = 500


class ExportingAdmin(ActingAdmin):
    list_after_template = "admin/download.html"  # type: ignore[assignment]
    export_permission = ""  # as in billing.export_payment
    export_columns: Columns = {}

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.export)
        return [path("csv/", view, name=f"{self.opts.app_label}_{self.opts.model_name}_csv"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        known = dict(extra_context or {})
        if request.user.has_perm(self.export_permission):
            url = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_csv")
            known["download_url"] = f"{url}?{request.GET.urlencode()}" if request.GET else url
        return super().changelist_view(request, known)

    def export(self, request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST":  # it is written down, so a link is not enough
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_view_permission(request) and request.user.has_perm(self.export_permission)):
            raise PermissionDenied
        changelist = self.get_changelist_instance(request)
        note(request, self.model, changelist.result_count, request.GET.urlencode())
        name = f"{self.opts.model_name}s-{timezone.now():%Y-%m-%d}"
        return spreadsheets.answer(_pages(changelist.queryset, self.export_columns), name)


def note(request: HttpRequest, model: type[Model], count: int, filters: str) -> None:
    """Who took what away, beside the other acts of operators."""
    by = operator(request)
    said = gettext("Downloaded: about %(count)s rows, filtered by: %(filters)s")
    LogEntry.objects.create(
        user=by,
        content_type=ContentType.objects.get_for_model(model),
        object_repr=str(model._meta.verbose_name_plural)[:200],
        action_flag=CHANGE,
        change_message=said % {"count": count, "filters": filters or "-"},
    )
    logger.info("admin.exported", extra={"model": model._meta.label_lower, "by": by.pk, "rows": count})


def _pages(rows: QuerySet[Any], columns: Columns) -> Iterator[Sequence[Sequence[Any]]]:
    """The newest first, each page from the last id of the one before: no cursor stays open for a slow reader."""
    yield [list(columns)]
    last = None
    while page := list(_after(rows, last)[:ROWS_AT_ONCE]):
        yield [[column(row) for column in columns.values()] for row in page]
        last = page[-1].pk


def _after(rows: QuerySet[Any], last: Any) -> QuerySet[Any]:
    newest_first = rows.order_by("-pk")
    return newest_first if last is None else newest_first.filter(pk__lt=last)
