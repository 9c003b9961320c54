"""The books as operators see them: everything to read, nothing to change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from ledger import accounts, statements
from ledger.columns import shown
from ledger.models import Account, Entry, Hold
from ledger.money import for_reader

LINES_SHOWN = 50
COUNTED_EXACTLY = 100_000


class EstimatedPaginator(Paginator[Any]):
    """Counting ten million rows takes seconds: an unfiltered long list shows the database's own estimate instead."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet) and not rows.query.where:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [rows.model._meta.db_table]
                )
                estimate: int = cursor.fetchone()[0]
            if estimate > COUNTED_EXACTLY:
                return estimate
        return super().count


class ReadOnlyAdmin(ModelAdmin):
    """The books are written by the ledger's verbs alone."""

    paginator = EstimatedPaginator
    show_full_result_count = False
    list_per_page = 50
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def table(heads: tuple[Any, ...], rows: list[tuple[Any, ...]]) -> SafeString:
    """A small table inside a page of the admin."""
    head = format_html_join("", '<th class="text-left px-3 py-2">{}</th>', ((each,) for each in heads))
    body = format_html_join(
        "",
        '<tr class="border-t border-base-200 dark:border-base-800">{}</tr>',
        ((format_html_join("", '<td class="px-3 py-2">{}</td>', ((cell,) for cell in row)),) for row in rows),
    )
    return format_html('<table class="w-full"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, body)


def account_link(account: Account) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:ledger_account_change", args=[account.pk]), account.name)


class UnitFilter(admin.SimpleListFilter):
    """Of what the house has. To ask the accounts themselves for their units would read every one of them."""

    title = _("unit")
    parameter_name = "unit"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(unit, unit) for unit in sorted(accounts.units_of_the_house())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        return queryset.filter(unit=self.value()) if self.value() else queryset


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("name", "unit", "guarded", "balance_shown", "held_shown", "floor_shown")
    list_filter = ("guarded", UnitFilter)
    list_select_related = ("house_total",)
    # Begins with, in the case it is written in: that is what the index of the names can answer.
    search_fields = ("name__startswith",)
    search_help_text = _("The beginning of a name, such as wallet:amina:")
    ordering = ("-id",)
    fields = ("name", "unit", "guarded", "balance_shown", "held_shown", "floor_shown", "lines")
    readonly_fields = fields

    @admin.display(description=_("balance"))
    def balance_shown(self, account: Account) -> str:
        if account.guarded:
            return shown(account.balance, account.unit)
        total = getattr(account, "house_total", None)
        return shown(int(total.balance) if total else 0, account.unit) + " " + str(_("(at the last roll-up)"))

    @admin.display(description=_("held"))
    def held_shown(self, account: Account) -> str:
        return shown(account.held, account.unit)

    @admin.display(description=_("floor"))
    def floor_shown(self, account: Account) -> str:
        return shown(account.floor, account.unit)

    @admin.display(description=_("latest transfers"))
    def lines(self, account: Account) -> SafeString:
        rows = [
            (
                line.at.isoformat(sep=" ", timespec="seconds"),
                format_html(
                    '<a href="{}">{}</a>', reverse("admin:ledger_entry_change", args=[line.entry_id]), line.key
                ),
                line.other,
                for_reader(line.amount),
                for_reader(line.balance),
            )
            for line in statements.latest(account, count=LINES_SHOWN)
        ]
        return table((_("time"), _("key"), _("other account"), _("amount"), _("balance")), rows)


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "created_at", "kind", "key")
    # By id, which begins with the time: the order of the primary key.
    ordering = ("-id",)
    list_select_related = ("entry_key",)
    search_fields = ("entry_key__key__startswith",)
    search_help_text = _("The beginning of a key, such as payment:")
    fields = ("id", "created_at", "kind", "key", "reverses_link", "reversals_list", "metadata", "transfers_table")
    readonly_fields = fields

    @admin.display(description=_("key"))
    def key(self, entry: Entry) -> str:
        return entry.entry_key.key

    @admin.display(description=_("reverses"))
    def reverses_link(self, entry: Entry) -> SafeString | str:
        return entry_link(entry.reverses) if entry.reverses else "-"

    @admin.display(description=_("reversed by"))
    def reversals_list(self, entry: Entry) -> SafeString | str:
        return format_html_join(", ", "{}", ((entry_link(each),) for each in entry.reversals.order_by("pk"))) or "-"

    @admin.display(description=_("transfers"))
    def transfers_table(self, entry: Entry) -> SafeString:
        rows = [
            (each.number, account_link(each.source), account_link(each.target), shown(each.amount, each.source.unit))
            for each in entry.transfers.select_related("source", "target").order_by("number")
        ]
        return table((_("number"), _("source"), _("target"), _("amount")), rows)


def entry_link(entry: Entry) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("admin:ledger_entry_change", args=[entry.pk]), entry)


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ("key", "account", "amount_shown", "settled_shown", "state", "created_at", "expires_at")
    list_filter = ("state",)
    list_select_related = ("account",)
    search_fields = ("key__startswith",)
    search_help_text = _("The beginning of a key, such as withdrawal:")
    ordering = ("-id",)
    fields = (
        "id",
        "key",
        "number",
        "account_link",
        "amount_shown",
        "settled_shown",
        "state",
        "created_at",
        "expires_at",
        "resolved_at",
        "entry_link",
    )
    readonly_fields = fields

    @admin.display(description=_("account"))
    def account_link(self, hold: Hold) -> SafeString:
        return account_link(hold.account)

    @admin.display(description=_("amount"))
    def amount_shown(self, hold: Hold) -> str:
        return shown(hold.amount, hold.account.unit)

    @admin.display(description=_("settled"))
    def settled_shown(self, hold: Hold) -> str:
        return shown(hold.settled, hold.account.unit)

    @admin.display(description=_("entry"))
    def entry_link(self, hold: Hold) -> SafeString | str:
        return entry_link(hold.entry) if hold.entry else "-"
