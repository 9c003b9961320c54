"""Links from one page of the admin to the others that belong to it, for those who may open them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode

from rest.acts import StandingAdmin

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Link:
    text: Text
    url: str


def may_view(request: HttpRequest, model: type[Model] | Model) -> bool:
    return bool(request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"))


def page_of(thing: Model) -> str:
    return reverse(f"admin:{thing._meta.app_label}_{thing._meta.model_name}_change", args=[thing.pk])


def list_of(model: type[Model], **query: Any) -> str:
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{path}?{urlencode(query)}" if query else path


def to_each(request: HttpRequest, things: Iterable[Model]) -> list[Link]:
    """By what each calls itself; the things are not read for whoever may not view them."""
    model: Any = getattr(things, "model", None)
    if model is not None and not may_view(request, model):
        return []
    return [Link(str(thing), page_of(thing)) for thing in things if may_view(request, thing)]


def to_list(request: HttpRequest, model: type[Model], text: Text, **query: Any) -> list[Link]:
    return [Link(text, list_of(model, **query))] if may_view(request, model) else []


class ConnectedAdmin(StandingAdmin):
    """Below a thing's fields its page has links to what belongs to it."""

    change_form_after_template = "admin/connected.html"  # type: ignore[assignment]

    def connected(self, request: HttpRequest, thing: Any) -> Iterator[tuple[Text, list[Link]]]:
        raise NotImplementedError

    def standing(self, request: HttpRequest, thing: Any) -> dict[str, Any]:
        return {"connected": [(label, links) for label, links in self.connected(request, thing) if links]}
