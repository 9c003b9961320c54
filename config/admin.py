"""The parts of the admin that belong to no app of ours: people, groups, second factors, the audit log."""

from typing import Any

from allauth.account import admin as _account_admin  # noqa: F401  It registers what is taken away below.
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _mfa_admin  # noqa: F401
from allauth.mfa.models import Authenticator
from auditlog import admin as _auditlog_admin  # noqa: F401
from auditlog.mixins import LogEntryAdminMixin
from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from config import stripe_mirror
from config.groups import GROUPS
from rest.lists import EstimatedPaginator, FindingAdmin

for model in (User, Group, LogEntry, Authenticator, EmailAddress):
    admin.site.unregister(model)
stripe_mirror.replace_upstream_admins()


class WhoFilter(admin.SimpleListFilter):
    title = _("who")
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("operators", _("Operators")), ("customers", _("Customers"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        return queryset if self.value() is None else queryset.filter(is_staff=self.value() == "operators")


@admin.register(User)
class PersonAdmin(FindingAdmin, UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Customers, known by the id that the outside gave them, and operators.

    Only superusers may touch an operator: whoever can change one's e-mail address or password can become that one.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_staff", "is_active", "last_login", "date_joined")
    list_filter = (WhoFilter, "is_active", "groups")
    found_by_people = ("pk",)
    paginator = EstimatedPaginator
    ordering = ("-pk",)
    show_full_result_count = False
    list_per_page = 50

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        # The username is the id that other systems know; it may hold any characters, and it never changes.
        fixed = ("last_login", "date_joined") + (("username",) if obj else ())
        if is_superuser(request):
            return fixed
        return (*fixed, "is_staff", "is_superuser", "groups", "user_permissions")

    def get_form(  # type: ignore[override]
        self, request: HttpRequest, obj: Model | None = None, **kwargs: Any
    ) -> Any:
        if obj:
            kwargs["help_texts"] = {"username": _("The id by which other systems know this person; it never changes.")}
        return super().get_form(request, obj, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if isinstance(obj, User) and obj.is_staff and not is_superuser(request):
            return False
        return bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # accounts are owners: of books, of acts, and of tokens that still name them. Deactivate instead


@admin.register(Group)
class OperatorsGroupAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]
    """The groups of config/groups.py are fixed there; superusers make further ones here.

    Nobody else changes a group: one's own group would be the first to get more permissions.
    """

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return is_superuser(request) and not _is_fixed(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return is_superuser(request) and not _is_fixed(obj) and super().has_delete_permission(request, obj)


def is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_superuser


def _is_fixed(group: Group | None) -> bool:
    return group is not None and group.name in GROUPS


@admin.register(Authenticator)
class SecondFactorAdmin(ModelAdmin):
    """Who has which second factor. Deleting one is how a superuser helps somebody who lost the telephone."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__username", "user__email")
    fields = readonly_fields = ("user", "type", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_superuser(request) and bool(super().has_delete_permission(request, obj))


@admin.register(LogEntry)
class AuditLogAdmin(LogEntryAdminMixin, ModelAdmin):  # type: ignore[misc]
    """What operators changed. Entries are only ever added."""

    list_display = ("created", "who", "action", "on", "fields_changed")
    list_filter = ("action",)
    list_select_related = ("content_type", "actor")
    search_fields = ("object_repr", "actor__username")
    date_hierarchy = "timestamp"
    ordering = ("-timestamp",)
    paginator = EstimatedPaginator
    show_full_result_count = False
    actions = None
    fields = readonly_fields = ("created", "who", "remote_addr", "action", "resource_url", "msg", "cid")

    @admin.display(description=_("who"))
    def who(self, entry: LogEntry) -> str:
        return str(entry.actor) if entry.actor else str(_("a command"))

    @admin.display(description=_("on"))
    def on(self, entry: LogEntry) -> str:
        model = entry.content_type.model_class()
        return f"{model._meta.verbose_name if model else entry.content_type.model}: {entry.object_repr}"

    @admin.display(description=_("changes"))
    def fields_changed(self, entry: LogEntry) -> str:
        return ", ".join(entry.changes_dict)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
