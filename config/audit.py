"""The audit log: which changes by operators it keeps, and who made them."""

from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from auditlog.context import disable_auditlog
from auditlog.middleware import AuditlogMiddleware
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.apps import apps
from django.http import HttpRequest, HttpResponse

OPERATORS_PATHS = ("/admin/", "/accounts/")

# Model -> how it is kept. Masked fields show that they changed, never to what.
AUDITED: dict[str, dict[str, Any]] = {
    "auth.User": {
        "exclude_fields": ["last_login", "djstripe_customers"],
        "mask_fields": ["password"],
        "m2m_fields": {"groups", "user_permissions"},
    },
    "auth.Group": {"m2m_fields": {"permissions"}},
    "billing.Customer": {"exclude_fields": ["updated_at"]},
    "billing.GatewaySetting": {"exclude_fields": ["updated_at"]},
    "billing.GatewayTerms": {},
    "billing.Coupon": {"exclude_fields": ["used"]},
    "billing.CouponAmount": {},
    "rest.ServiceToken": {"exclude_fields": ["digest", "last_used_at"], "m2m_fields": {"permissions"}},
    "credits.Pack": {},
    "credits.PackPrice": {},
    "credits.Cost": {},
    "credits.GrantRule": {},
    "wallets.CommissionRule": {},
    "wallets.CommissionTier": {},
    "wallets.Seller": {},
    "mfa.Authenticator": {"exclude_fields": ["last_used_at"], "mask_fields": ["data"]},
}


def register_models() -> None:
    for label, how in AUDITED.items():
        auditlog.register(apps.get_model(label), **how)  # type: ignore[arg-type]


def hidden(value: str) -> str:
    """What the log shows in place of a secret; no part of it, not even its length."""
    return "••••" if value else ""


def record_sign_in(request: HttpRequest, user: Any) -> None:
    if user.is_staff:
        LogEntry.objects.log_create(
            user,
            force_log=True,
            action=LogEntry.Action.ACCESS,
            actor=user,
            remote_addr=get_adapter().get_client_ip(request),
        )


class AuditMiddleware(AuditlogMiddleware):
    """Names the actor on the operators' pages. Elsewhere nothing is kept: a customer's first call is no operator's act.

    Commands have no request, so what they change is kept without an actor.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        super().__init__(get_response)  # type: ignore[no-untyped-call]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(OPERATORS_PATHS):
            kept: HttpResponse = super().__call__(request)  # type: ignore[no-untyped-call]
            return kept
        with disable_auditlog():
            plain: HttpResponse = self.get_response(request)
            return plain

    @staticmethod
    def _get_remote_addr(request: HttpRequest) -> str:
        # The library's own way trusts the first X-Forwarded-For, which anybody may write.
        address: str = get_adapter().get_client_ip(request)
        return address
