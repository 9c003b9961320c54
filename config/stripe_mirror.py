"""Stripe's objects as dj-stripe mirrors them: to look at, never to change, and without their secrets."""

import json
import re
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from djstripe import admin as _upstream  # noqa: F401  It registers its classes, which are replaced below.
from unfold.admin import ModelAdmin

APP_LABEL = "djstripe"
SECRET_NAME = re.compile(r"secret|signature|password|api_?key", re.IGNORECASE)
# Text that holds a document of Stripe's as it came in.
DOCUMENTS = {"body"}


class MirrorAdmin(ModelAdmin):
    list_per_page = 50
    show_full_result_count = False
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


def replace_upstream_admins() -> None:
    """dj-stripe's own classes can change and call Stripe, show API keys, and search in fields that do not exist."""
    site = admin.site
    for model, upstream in list(site._registry.items()):
        if model._meta.app_label == APP_LABEL:
            site.unregister(model)
            site.register(model, _mirror_of(model, upstream))


def mirrored_models() -> list[type[models.Model]]:
    return [model for model in admin.site._registry if model._meta.app_label == APP_LABEL]


def redacted(value: Any) -> Any:
    """The same document with every secret in it masked, however deep."""
    match value:
        case dict():
            return {
                name: "••••" if SECRET_NAME.search(name) and inner else redacted(inner) for name, inner in value.items()
            }
        case list():
            return [redacted(inner) for inner in value]
        case _:
            return value


def _mirror_of(model: type[models.Model], upstream: admin.ModelAdmin[Any]) -> type[MirrorAdmin]:
    fields = {field.name: field for field in model._meta.concrete_fields}
    name_of_object = "id" if "id" in fields else model._meta.pk.name
    wanted = [name_of_object, *map(str, upstream.list_display), "created", "livemode"]
    columns = [name for name in dict.fromkeys(wanted) if name in fields]
    shown: list[str] = []
    documents: dict[str, Callable[..., str]] = {}
    for name, field in fields.items():
        if SECRET_NAME.search(name):
            continue
        if isinstance(field, models.JSONField) or name in DOCUMENTS:
            documents[f"shown_{name}"] = _document(name, str(field.verbose_name))
        shown.append(f"shown_{name}" if f"shown_{name}" in documents else name)
    facts = {
        "list_display": columns,
        "list_select_related": [name for name in columns if fields[name].is_relation] or False,
        "list_filter": [name for name in ("livemode", "created") if name in fields],
        "search_fields": [f"{name_of_object}__startswith"],
        "ordering": ["-created"],
        "fields": shown,
        "readonly_fields": shown,
    }
    return type(f"{model.__name__}Mirror", (MirrorAdmin,), {**facts, **documents})


def _document(name: str, title: str) -> Callable[..., str]:
    @admin.display(description=title)
    def show(self: MirrorAdmin, row: models.Model) -> str:
        value = getattr(row, name)
        try:
            document = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            return "••••"  # not what Stripe sends, so nobody knows what is inside
        return format_html(
            '<pre class="document">{}</pre>', json.dumps(redacted(document), indent=2, ensure_ascii=False, default=str)
        )

    return show
