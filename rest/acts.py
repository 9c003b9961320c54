"""Acts of operators: a button, a page with a form that says what will happen, and the same function as the API's."""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import strip_tags
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.dataclasses import UnfoldAction
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from rest.fields import LARGEST_AMOUNT
from rest.lists import EstimatedPaginator, FindingAdmin

Text = str | Promise
Words = Mapping[type[Exception], Text | Callable[[Any], Text]]


class ActForm(forms.Form):
    """The key makes a form that is sent twice act once."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    @property
    def facts(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name != "key"}

    def fingerprint(self, lines: list[str]) -> str:
        """Of what was filled in, and of what was said about it."""
        return hashlib.sha256(repr((sorted(self.facts.items()), lines)).encode()).hexdigest()

    @property
    def act_key(self) -> str:
        return f"admin:{self.cleaned_data['key']}"


class ReasonForm(ActForm):
    reason = forms.CharField(
        label=_("reason"),
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("It is kept in the books with your name."),
    )


def amount_field(**changes: Any) -> forms.IntegerField:
    known: dict[str, Any] = {
        "label": _("amount"),
        "min_value": 1,
        "max_value": LARGEST_AMOUNT,
        "widget": UnfoldAdminIntegerFieldWidget,
    }
    return forms.IntegerField(**known | changes)


def user_field() -> forms.CharField:
    return forms.CharField(label=_("customer"), max_length=150, widget=UnfoldAdminTextInputWidget)


def choice_field(label: Any, choices: Any, **changes: Any) -> forms.ChoiceField:
    """Nothing is chosen until somebody chooses, unless the form says what is usual."""
    known = choices if "initial" in changes else [("", "---------"), *choices]
    return forms.ChoiceField(label=label, choices=known, widget=UnfoldAdminSelectWidget, **changes)


def words_of(refusal: Exception, words: Words) -> str:
    """A refusal's own sentence is for developers who call the API; these are for people, with its facts in them."""
    said = next((words[kind] for kind in type(refusal).__mro__ if kind in words), None)
    if said is None:
        return str(refusal)
    return str(said(refusal)) if callable(said) else str(said) % vars(refusal)


def operator(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def asks_for(permission: str) -> Callable[..., bool]:
    """The method that unfold asks. Were the permission itself named to it, its check would ask the database for it,
    also while there is no table yet: before the first migration, and in a worker's start."""

    def has_permission(self: ModelAdmin, request: HttpRequest, object_id: str | None = None) -> bool:
        return operator(request).has_perm(permission)

    return has_permission


class ActingAdmin(ModelAdmin):
    """What can be done beside editing is a button with a permission of its own."""

    refusals: tuple[type[Exception], ...] = ()  # what an act may raise, that is shown above its form
    words: Words = {}
    # Of which things a button is shown; without a line, of all. Who comes by the address is refused in words.
    shown_for: Mapping[str, Callable[[Any], bool]] = {}

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        found = super().get_actions_detail(request, object_id)
        thing = self.get_object(request, str(object_id))
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        return [each for each in found if self._is_shown(each.action_name.removeprefix(prefix), thing)]

    def _is_shown(self, name: str, thing: Any) -> bool:
        fits = self.shown_for.get(name)
        return thing is not None and (fits is None or fits(thing))

    def found(self, request: HttpRequest, object_id: str) -> Any:
        thing = self.get_object(request, object_id)
        if thing is None:
            raise Http404
        if not self.has_view_permission(request, thing):
            raise PermissionDenied
        return thing

    def page_of(self, thing: Model | None) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        return reverse(f"{name}_change", args=[thing.pk]) if thing else reverse(f"{name}_changelist")

    def act(
        self,
        request: HttpRequest,
        thing: Model | None,
        *,
        title: Text,
        says: Text,
        do: Callable[[Any], str | HttpResponse],
        form: type[ActForm] = ActForm,
        initial: dict[str, Any] | None = None,
        preview: Callable[[Any], list[str]] | None = None,
    ) -> HttpResponse:
        """Show what will happen, or do it, and say what `do` returns; a safe string may have a link in it. A refusal
        comes back as a sentence above the form.

        Where there is a preview the button that acts comes with it, and acts on nothing but what was previewed: if
        that has changed meanwhile, or was never shown, it is shown first. What changes between that look and the act's
        own lock only the act can see: `do` hands over what it expects. An act that has a page of its own to show, once,
        returns that.
        """
        sent = form(request.POST, request.FILES) if request.method == "POST" else form(initial=initial)
        lines: list[str] = []
        if request.method == "POST" and sent.is_valid():
            try:
                now = preview(sent) if preview is not None else []
                is_as_shown = request.POST.get("previewed") == sent.fingerprint(now) and "preview" not in request.POST
                if preview is None or is_as_shown:
                    return self._done(request, thing, title, do(sent))
                lines = now
            except self.refusals as refusal:
                sent.add_error(None, words_of(refusal, self.words))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "thing": thing,
            "says": says,
            "form": sent,
            "page": self.page_of(thing),
            "lines": lines,
            "previewed": sent.fingerprint(lines) if lines else "",
            "has_preview": preview is not None,
        }
        return TemplateResponse(request, "admin/act.html", context)

    def _done(self, request: HttpRequest, thing: Model | None, title: Text, done: str | HttpResponse) -> HttpResponse:
        if thing is not None:
            self.log_change(request, thing, strip_tags(done) if isinstance(done, str) else str(title))
        if isinstance(done, HttpResponse):
            return done
        messages.success(request, done)
        return HttpResponseRedirect(self.page_of(thing))


class StandingAdmin(ActingAdmin):
    """Above a thing's fields its page shows how it stands, in the template `change_form_before_template`."""

    def standing(self, request: HttpRequest, thing: Any) -> dict[str, Any]:
        raise NotImplementedError

    def changeform_view(  # type: ignore[override]  # unfold says TemplateResponse, and redirects as we do
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        thing = self.get_object(request, object_id) if object_id else None
        known = dict(extra_context or {})
        if thing is not None and self.has_view_permission(request, thing):  # else Django's own view answers
            known |= self.standing(request, thing)
        answer: HttpResponse = super().changeform_view(request, object_id, form_url, known)
        return answer


class ActsAdmin(FindingAdmin, ActingAdmin):  # type: ignore[misc]
    """Nothing is edited here; there are only the buttons."""

    actions = None
    paginator = EstimatedPaginator
    show_full_result_count = False  # these tables grow for ever, and counting them is slow

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
