"""The pages under /accounts/: sign-in, sign-out, the password and the second factor of an operator."""

import base64
import hashlib
import logging
import time
from typing import Any

from allauth.account import views as account_views
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.webauthn.views import AddWebAuthnView
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, reverse
from django.utils.encoding import force_bytes

from config import audit
from config.second_factor import FactorCannotBeOpened

logger = logging.getLogger(__name__)
SEALED = ("secret", "seed", "migrated_codes")  # of a factor's data; what else is in it is no secret


class AccountAdapter(DefaultAccountAdapter):
    """Operators are made by other operators: nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Who came from no page in particular: operators go to the admin, customers to what they can buy."""
        return reverse("admin:index" if request.user.is_staff else "pricing")

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Of the account alone. The library counts by host too, and every port in a Host header was another host."""
        return str(credentials.get("username", "")).lower()

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """A sign-in of a moment ago counts, so that setting up a second factor does not ask the password twice."""
        request = context.request
        records = get_authentication_records(request, request.user)
        fresh = bool(records) and time.time() - records[-1]["at"] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        return not fresh and bool(super().is_reauthentication_required(app=app, **kwargs))

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        audit.record_sign_in(request, user)
        response: HttpResponse = super().post_login(request, user, **kwargs)
        return response


class SecondFactorAdapter(DefaultMFAAdapter):
    """Secrets of authenticators are encrypted at rest; SECRET_KEY_FALLBACKS still opens those of an older key."""

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return _cipher().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            logger.error("second_factor.cannot_be_opened", extra={"reason": "SECRET_KEY changed without its fallback"})
            raise FactorCannotBeOpened(self.error_messages["incorrect_code"], code="incorrect_code") from None


@transaction.atomic
def reseal_factors() -> tuple[int, list[str]]:
    """Seal with today's SECRET_KEY what it or a fallback opens: how many, and whose factor nothing opens."""
    cipher, done, lost = _cipher(), 0, []
    for factor in (
        Authenticator.objects.select_for_update(of=("self",), no_key=True).select_related("user").order_by("pk")
    ):
        sealed = {name: value for name, value in factor.data.items() if name in SEALED}
        try:
            anew = {name: _resealed(value, cipher) for name, value in sealed.items()}
        except InvalidToken:
            lost.append(f"{factor.user.get_username()} ({factor.type})")
            continue
        if anew:  # past the audit log: nobody has changed the factor
            done += Authenticator.objects.filter(pk=factor.pk).update(data=factor.data | anew)
    return done, lost


def _resealed(value: Any, cipher: MultiFernet) -> Any:
    return [_resealed(each, cipher) for each in value] if isinstance(value, list) else cipher.rotate(value).decode()


def _cipher() -> MultiFernet:
    keys = [force_bytes(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    digests = [hashlib.sha256(b"tirelire second factors:" + key).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


class ProvesFactor:
    """Whoever has just set up a factor has shown it: the session need not ask for it again."""

    factor: Authenticator.Type
    request: HttpRequest

    def form_valid(self, form: Form) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
        made = Authenticator.objects.filter(user=self.request.user, type=self.factor).latest("pk")
        record_authentication(self.request, made.user, method="mfa", id=made.pk, type=made.type)
        return response


class ActivateTOTP(ProvesFactor, ActivateTOTPView):
    factor = Authenticator.Type.TOTP


class AddWebAuthn(ProvesFactor, AddWebAuthnView):
    factor = Authenticator.Type.WEBAUTHN


urlpatterns = [
    path("login/", account_views.login, name="account_login"),
    path("logout/", account_views.logout, name="account_logout"),
    path("inactive/", account_views.account_inactive, name="account_inactive"),
    path("signup/", account_views.signup, name="account_signup"),
    path("reauthenticate/", account_views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account_views.password_change, name="account_change_password"),
    path("2fa/totp/activate/", ActivateTOTP.as_view(), name="mfa_activate_totp"),
    path("2fa/webauthn/add/", AddWebAuthn.as_view(), name="mfa_add_webauthn"),
    path("2fa/", include("allauth.mfa.urls")),
]
