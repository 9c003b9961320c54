"""Webhook endpoints in the admin: added with a secret shown once, rotated, disabled, enabled, told again."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from events import addresses, endpoints, tasks
from events.admin.acts import ActingAdmin, identity
from events.admin.refusal_words import WORDS
from events.errors import AddressRefused, TooManyEndpoints
from events.models import DisabledReason, Endpoint
from events.types import EventType
from rest.acts import ActForm, asks_for, words_of

STATES = {"live": _("in force"), "failing": _("failing"), "disabled": _("disabled")}


class EndpointForm(forms.ModelForm[Endpoint]):
    types = forms.MultipleChoiceField(
        label=_("event types"),
        choices=[(name, name) for name in EventType.values],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("All of them when none is chosen."),
    )

    class Meta:
        model = Endpoint
        fields = ("url", "description", "types", "contact_email")
        help_texts = {
            "url": _("A public address that takes a POST, by https."),
            "description": _("For people: lists show it in place of the address."),
        }

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            addresses.check(url)
        except AddressRefused as refusal:
            raise ValidationError(words_of(refusal, WORDS)) from refusal
        return url

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance._state.adding and Endpoint.objects.count() >= endpoints.MOST_ENDPOINTS:
            raise ValidationError(words_of(TooManyEndpoints(endpoints.MOST_ENDPOINTS), WORDS))
        return cleaned


def _clock() -> str:
    return str(settings.OPERATORS_TIME_ZONE)


class RangeForm(ActForm):
    since = forms.DateTimeField(
        label=_("from"),
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text=lazy(_clock, str)(),
    )
    until = forms.DateTimeField(
        label=_("to"),
        widget=UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"}),
        help_text=lazy(_clock, str)(),
    )
    also_delivered = forms.BooleanField(
        label=_("also what arrived"),
        required=False,
        widget=UnfoldBooleanWidget,
        help_text=_("For a receiver that lost it."),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "since" in cleaned and "until" in cleaned and cleaned["since"] >= cleaned["until"]:
            self.add_error("until", gettext("The range ends after it begins."))
        return cleaned


@admin.register(Endpoint)
class EndpointAdmin(ActingAdmin):
    form = EndpointForm
    list_display = ("__str__", "url", "state", "failing_since", "created_at")
    list_filter = ("disabled_reason",)
    search_fields = ("url", "description")
    ordering = ("-id",)
    actions = None
    actions_detail = ("rotate", "replay_range", "disable", "enable")  # type: ignore[assignment]  # unfold means any tuple
    shown_for = {
        "disable": lambda endpoint: endpoint.disabled_at is None,
        "enable": lambda endpoint: endpoint.disabled_at is not None,
    }
    shown = ("state", "failing_since", "disabled_at", "disabled_reason", "created_by", "created_at")

    has_rotate_endpoint_permission = asks_for("events.rotate_endpoint")
    has_replay_delivery_permission = asks_for("events.replay_delivery")
    has_change_endpoint_permission = asks_for("events.change_endpoint")

    @display(description=_("state"), label={"live": "success", "failing": "warning", "disabled": "danger"})  # type: ignore[arg-type]
    def state(self, endpoint: Endpoint) -> tuple[str, str]:
        name = "disabled" if endpoint.disabled_at else "failing" if endpoint.failing_since else "live"
        return name, str(STATES[name])

    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> tuple[str, ...]:
        asked = ("url", "description", "types", "contact_email")
        return (*asked, *self.shown) if obj else asked

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> tuple[str, ...]:
        return self.shown

    # ------------------------------------------------------------ add

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, secret = endpoints.add(by=identity(request), **form.cleaned_data)
        obj.pk = made.pk
        obj.refresh_from_db()
        request.endpoint_secret = secret  # type: ignore[attr-defined]  # until the answer below, and no longer

    def response_add(self, request: HttpRequest, obj: Endpoint, post_url_continue: Any = None) -> HttpResponse:
        return self._secret_page(request, obj, request.endpoint_secret)  # type: ignore[attr-defined]

    def _secret_page(self, request: HttpRequest, endpoint: Endpoint, secret: str) -> HttpResponse:
        """The secret stands on the page that answers the form: a message would pass through a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Keep this secret now"),
            "endpoint": endpoint,
            "secret": secret,
        }
        headers = {"Cache-Control": "no-store"}
        return TemplateResponse(request, "admin/events/endpoint/secret.html", context, headers=headers)

    # ------------------------------------------------------------ acts

    @action(description=_("Rotate the secret"), url_path="rotate", permissions=["rotate_endpoint"], icon="key")  # type: ignore[arg-type, operator]
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.found(request, object_id)

        def do(_form: ActForm) -> HttpResponse:
            secret = endpoints.rotate(endpoint=endpoint, by=identity(request))
            return self._secret_page(request, endpoint, secret)

        says = gettext("Both secrets sign for %(hours)s hours; then the one until now ends.") % {
            "hours": settings.WEBHOOKS_SECRET_OVERLAP_HOURS
        }
        return self.act(request, endpoint, title=gettext("Rotate the secret?"), says=says, do=do)

    @action(description=_("Replay a range"), url_path="replay", permissions=["replay_delivery"], icon="replay")  # type: ignore[arg-type, operator]
    def replay_range(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.found(request, object_id)

        def do(form: ActForm) -> str:
            count = endpoints.tell_again(endpoint=endpoint, **form.facts)
            tasks.send_deliveries.delay_on_commit()  # type: ignore[attr-defined]  # unknown to celery-types
            told = ngettext("%(count)s event is queued again.", "%(count)s events are queued again.", count)
            return told % {"count": count}

        return self.act(
            request,
            endpoint,
            form=RangeForm,
            title=gettext("Replay a range"),
            says=gettext("What happened in this time and never arrived is sent once more."),
            do=do,
        )

    @action(description=_("Disable"), url_path="disable", permissions=["change_endpoint"], icon="block")  # type: ignore[arg-type, operator]
    def disable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.found(request, object_id)

        def do(_form: ActForm) -> str:
            endpoints.disable(endpoint=endpoint, reason=DisabledReason.BY_HAND, at=timezone.now())
            return gettext("The endpoint is disabled.")

        return self.act(
            request,
            endpoint,
            title=gettext("Disable this endpoint?"),
            says=gettext("Nothing more is sent to it. What is pending waits."),
            do=do,
        )

    @action(description=_("Enable"), url_path="enable", permissions=["change_endpoint"], icon="play_arrow")  # type: ignore[arg-type, operator]
    def enable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.found(request, object_id)

        def do(_form: ActForm) -> str:
            endpoints.enable(endpoint=endpoint, by=identity(request))
            tasks.send_deliveries.delay_on_commit()  # type: ignore[attr-defined]  # unknown to celery-types
            return gettext("The endpoint is enabled.")

        return self.act(
            request,
            endpoint,
            title=gettext("Enable this endpoint?"),
            says=gettext("What waits is sent. What happened meanwhile is sent by a replay."),
            do=do,
        )
