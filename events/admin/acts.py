"""What the pages of this app share: an act is a button with a page that says what will happen."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from events.errors import EventsError


class NoFacts(forms.Form):
    """An act that needs nothing but a yes."""


def operator(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def identity(request: HttpRequest) -> str:
    return f"operator:{operator(request).pk}"


def asks_for(permission: str) -> Callable[..., bool]:
    """The method that unfold asks; see credits/admin/acts.py for why it is not the permission's name."""

    def has_permission(self: ModelAdmin, request: HttpRequest, object_id: str | None = None) -> bool:
        return operator(request).has_perm(permission)

    return has_permission


class ActingAdmin(ModelAdmin):
    def found(self, request: HttpRequest, object_id: str) -> Any:
        thing = self.get_object(request, object_id)
        if thing is None:
            raise Http404
        if not self.has_view_permission(request, thing):
            raise PermissionDenied
        return thing

    def page_of(self, thing: Model) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[thing.pk])

    def act(
        self,
        request: HttpRequest,
        thing: Model,
        *,
        title: str,
        says: str,
        do: Callable[[Any], str | HttpResponse],
        form: type[forms.Form] = NoFacts,
    ) -> HttpResponse:
        """Show what will happen, or do it. A refusal comes back as a sentence above the form."""
        sent = form(request.POST) if request.method == "POST" else form()
        if request.method == "POST" and sent.is_valid():
            try:
                done = do(sent)
            except EventsError as refusal:
                sent.add_error(None, str(refusal))
            else:
                self.log_change(request, thing, done if isinstance(done, str) else title)
                if isinstance(done, HttpResponse):
                    return done
                messages.success(request, done)
                return HttpResponseRedirect(self.page_of(thing))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "thing": thing,
            "says": says,
            "form": sent,
            "page": self.page_of(thing),
        }
        return TemplateResponse(request, "admin/events/act.html", context)


class ReadingAdmin(ActingAdmin):
    """Nothing is edited; what can be done is a button."""

    actions = None
    show_full_result_count = False  # these tables grow for ever, and counting them is slow

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
