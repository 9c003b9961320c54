"""Service tokens in the admin: made here, shown once, revoked by a button; nothing else about them changes."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from rest import tokens
from rest.models import ServiceToken

STATES = {"live": gettext_noop("In force"), "expired": gettext_noop("Expired"), "revoked": gettext_noop("Revoked")}


def state_of(token: ServiceToken) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return "expired"
    return "live"


class ServiceTokenForm(forms.ModelForm[ServiceToken]):
    """Refuses in words what the database and `tokens.issue` would refuse."""

    class Meta:
        help_texts = {"expires_at": _("Empty: it works until it is revoked.")}

    operator: User

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError(gettext("This moment is over."))
        return expires_at

    def clean_permissions(self) -> QuerySet[Permission]:
        chosen: QuerySet[Permission] = self.cleaned_data["permissions"].select_related("content_type")
        missing = sorted(name for name in map(tokens.permission_name, chosen) if not self.operator.has_perm(name))
        if missing:
            raise forms.ValidationError(
                gettext("You cannot give what you may not do yourself: %(names)s.") % {"names": ", ".join(missing)}
            )
        return chosen


@admin.register(ServiceToken)
class ServiceTokenAdmin(ModelAdmin):
    list_display = ("name", "prefix", "state", "last_used_at", "expires_at", "created_by", "created_at")
    list_select_related = ("created_by",)
    search_fields = ("name", "prefix")
    filter_horizontal = ("permissions",)
    actions = None
    actions_detail = ("revoke",)  # type: ignore[assignment]  # unfold means any tuple
    made_of = ("name", "permissions", "expires_at")
    shown = (
        "name", "prefix", "state", "permissions", "created_by", "created_at", "expires_at",
        "last_used_at", "revoked_by", "revoked_at",
    )  # fmt: skip

    @display(description=_("state"), label={"live": "success", "expired": "warning", "revoked": "danger"})  # type: ignore[arg-type]
    def state(self, token: ServiceToken) -> tuple[str, str]:
        return state_of(token), gettext(STATES[state_of(token)])

    def get_fields(self, request: HttpRequest, obj: ServiceToken | None = None) -> tuple[str, ...]:
        return self.shown if obj else self.made_of

    def get_readonly_fields(self, request: HttpRequest, obj: ServiceToken | None = None) -> tuple[str, ...]:
        return self.shown[1:] if obj else ()

    def get_form(
        self, request: HttpRequest, obj: ServiceToken | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        if obj is None:
            kwargs["form"] = type("OperatorsTokenForm", (ServiceTokenForm,), {"operator": request.user})
        form: type[forms.ModelForm[Any]] = super().get_form(request, obj, change, **kwargs)
        return form

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = Permission.objects.select_related("content_type")
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("rest.revoke_servicetoken")

    # ------------------------------------------------------------ make

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, secret = tokens.issue(
            name=obj.name,
            permissions=form.cleaned_data["permissions"],
            expires_at=obj.expires_at,
            by=_operator(request),
        )
        obj.pk = made.pk
        obj.refresh_from_db()
        request.issued_secret = secret  # type: ignore[attr-defined]  # until the answer below, and no longer

    def response_add(self, request: HttpRequest, obj: ServiceToken, post_url_continue: Any = None) -> HttpResponse:
        """The secret stands on the page that answers the form: a message would pass through a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Keep this token now"),
            "token": obj,
            "secret": request.issued_secret,  # type: ignore[attr-defined]
            "is_popup": IS_POPUP_VAR in request.POST,
        }
        return TemplateResponse(
            request, "admin/rest/servicetoken/issued.html", context, headers={"Cache-Control": "no-store"}
        )

    # ------------------------------------------------------------ revoke

    @action(description=_("Revoke"), url_path="revoke", permissions=["revoke"], icon="block")  # type: ignore[arg-type, operator]
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        token = self.get_object(request, object_id)
        if token is None:
            raise Http404
        if not self.has_view_permission(request, token):
            raise PermissionDenied
        page = reverse("admin:rest_servicetoken_change", args=[token.pk])
        if request.method == "POST":
            self._revoke(request, token)
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Revoke this token?"),
            "token": token,
            "page": page,
            "seconds": settings.SERVICE_TOKEN_CACHE_SECONDS,
        }
        return TemplateResponse(request, "admin/rest/servicetoken/revoke.html", context)

    def _revoke(self, request: HttpRequest, token: ServiceToken) -> None:
        if tokens.revoke(token=token, by=_operator(request)):
            self.log_change(request, token, gettext("Revoked."))
            messages.success(request, gettext("%(token)s is revoked.") % {"token": token})
        else:
            messages.warning(request, gettext("%(token)s was revoked before.") % {"token": token})


def _operator(request: HttpRequest) -> User:
    user = request.user
    if not isinstance(user, User):
        raise PermissionDenied
    return user
