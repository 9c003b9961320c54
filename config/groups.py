"""The operators' groups and what each may do: one table, applied by `manage.py migrate`, and by `sync_groups` alone."""

from django.contrib.auth.models import Group, Permission
from django.db import transaction

# A line is `app.codename`; a star stands for any app, or ends a codename.
GROUPS: dict[str, tuple[str, ...]] = {
    "support": (
        "auth.view_user",
        "billing.view_customer",
        "billing.change_customer",
        "billing.view_gatewaysetting",
        "billing.view_gatewayterms",
        "billing.view_payment",
        "billing.view_attempt",
        "billing.view_refund",
        "billing.view_invoice",
        "billing.view_invoiceline",
        "billing.view_invoicemailing",
        "billing.view_invoicedraft",
        "billing.mail_invoice",
        "billing.view_vatcheck",
        "billing.view_dispute",
        "billing.view_payout",
        "billing.ask_payout",
        "billing.view_case",
        "billing.view_plan",
        "billing.view_planprice",
        "billing.view_coupon",
        "billing.view_couponamount",
        "billing.view_redemption",
        "billing.view_subscription",
        "billing.view_paidperiod",
        "billing.view_subscriptionevent",
        "billing.view_gatewayinstruction",
        "billing.manage_subscription",
        "billing.view_savedmethod",
        "billing.view_methodsetup",
        "billing.manage_method",
        "billing.view_topup",
        "billing.view_topupcharge",
        "billing.change_consent",
        "billing.refresh_payment",
        "billing.cancel_payment",
        "billing.request_refund",
        "credits.view_*",
        "credits.issue_grant",
        "credits.extend_grant",
        "credits.reverse_spend",
        "credits.release_hold",
        "credits.regrant_period",
        "wallets.view_*",
        "events.view_*",
        "events.replay_delivery",
        "events.resend_message",
    ),
    "finance": (
        "auth.view_user",
        "billing.view_customer",
        "billing.change_gatewaysetting",
        "billing.view_gatewaysetting",
        "billing.add_gatewayterms",
        "billing.change_gatewayterms",
        "billing.delete_gatewayterms",
        "billing.view_gatewayterms",
        "billing.view_*",
        "billing.change_consent",
        "billing.manage_method",
        "billing.refresh_payment",
        "billing.cancel_payment",
        "billing.request_refund",
        "billing.prove_refund",
        "billing.add_invoicedraft",
        "billing.change_invoicedraft",
        "billing.delete_invoicedraft",
        "billing.issue_invoice",
        "billing.cancel_invoice",
        "billing.mail_invoice",
        "billing.export_invoice",
        "billing.export_payment",
        "billing.export_refund",
        "billing.add_taxrate",
        "billing.close_case",
        "billing.resolve_discrepancy",
        "billing.manage_subscription",
        "billing.create_coupon",
        "billing.stop_coupon",
        "billing.answer_dispute",
        "billing.ask_payout",
        "billing.resolve_payout",
        "billing.replay_gatewayletter",
        "credits.view_*",
        "credits.add_pack",
        "credits.change_pack",
        "credits.add_packprice",
        "credits.add_cost",
        "credits.change_grantrule",
        "credits.issue_grant",
        "credits.extend_grant",
        "credits.freeze_grant",
        "credits.revoke_grant",
        "credits.adjust_credits",
        "credits.change_purse",
        "credits.reverse_spend",
        "credits.release_hold",
        "credits.regrant_period",
        "credits.revoke_period",
        "credits.export_grant",
        "credits.export_spend",
        "wallets.view_*",
        "wallets.add_commissionrule",
        "wallets.change_commissionrule",
        "wallets.add_commissiontier",
        "wallets.change_commissiontier",
        "wallets.delete_commissiontier",
        "wallets.change_seller",
        "wallets.approve_withdrawal",
        "wallets.adjust_wallet",
        "wallets.export_withdrawal",
        "events.view_*",
        "ledger.view_*",
        "djstripe.view_*",
    ),
    "auditor": ("*.view_*",),
}


class UnknownPermission(Exception):
    """The table names a permission that no installed app has."""

    def __init__(self, group: str, name: str) -> None:
        super().__init__(f"Group {group!r} is to have {name!r}, which no installed app defines. Has it been migrated?")
        self.group = group
        self.name = name


@transaction.atomic
def synchronise(table: dict[str, tuple[str, ...]] = GROUPS) -> dict[str, tuple[int, int]]:
    """Give every group exactly what the table says; returns per group how many were added and removed."""
    known = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    changes = {}
    for name, lines in table.items():
        group, _ = Group.objects.get_or_create(name=name)
        wanted = {permission.pk for line in lines for permission in _matching(name, line, known)}
        present = set(group.permissions.values_list("pk", flat=True))
        group.permissions.add(*(wanted - present))
        group.permissions.remove(*(present - wanted))
        changes[name] = (len(wanted - present), len(present - wanted))
    return changes


def _matching(group: str, line: str, known: dict[str, Permission]) -> list[Permission]:
    app, _, codename = line.partition(".")
    found = [permission for name, permission in known.items() if _fits(name, app, codename)]
    if not found:
        raise UnknownPermission(group, line)
    return found


def _fits(name: str, app: str, codename: str) -> bool:
    name_app, _, name_codename = name.partition(".")
    if app not in ("*", name_app):
        return False
    return name_codename.startswith(codename[:-1]) if codename.endswith("*") else name_codename == codename
