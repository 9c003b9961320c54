"""What an operator's session has proven, and what is still wanted of it before the admin opens."""

from collections.abc import Callable
from enum import Enum
from urllib.parse import urlencode

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

SECOND_FACTORS = {Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN}
OPEN_PAGES = {
    "account_login",
    "account_logout",
    "account_inactive",
    "account_reauthenticate",
    "mfa_authenticate",
    "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn",
}


class Standing(Enum):
    """How far somebody has come towards the admin."""

    STRANGER = "not signed in"
    OUTSIDER = "signed in, but not an operator"
    UNPROVEN = "has a second factor and has not shown it in this session"
    UNPROTECTED = "must set up a second factor first"
    TRUSTED = "may enter"


class FactorCannotBeOpened(ValidationError):
    """Neither SECRET_KEY nor a fallback has sealed this factor: the form that asks for a code refuses any."""

    silent_variable_failure = True  # the page of one's factors counts no recovery codes then


def standing(request: HttpRequest) -> Standing:
    user = request.user
    if not user.is_authenticated:
        return Standing.STRANGER
    if not (user.is_active and user.is_staff):
        return Standing.OUTSIDER
    owned = dict(Authenticator.objects.filter(user=user).values_list("pk", "type"))
    if SECOND_FACTORS.isdisjoint(owned.values()):
        return Standing.UNPROTECTED if settings.ADMIN_SECOND_FACTOR_REQUIRED else Standing.TRUSTED
    # A record names the authenticator that was shown: one that was removed since then proves nothing any more.
    shown = {record.get("id") for record in get_authentication_records(request, user) if record["method"] == "mfa"}
    return Standing.TRUSTED if shown & set(owned) else Standing.UNPROVEN


def challenge(next_url: str) -> HttpResponse:
    """Ask a session that has only a password for the second factor of its user."""
    return HttpResponseRedirect(f"{reverse('mfa_reauthenticate')}?{urlencode({'next': next_url})}")


class SecondFactorMiddleware:
    """Keep a session that has not shown its second factor away from the pages that manage passwords and factors.

    Such a session is one that was opened before the factor was set up: whoever holds it knows the password only, and
    must not be able to remove the factor, add another one, or read the recovery codes.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: object, kwargs: object
    ) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or not match.route.startswith("accounts/") or match.url_name in OPEN_PAGES:
            return None
        return challenge(request.get_full_path()) if standing(request) is Standing.UNPROVEN else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The pages of recovery codes, of an operator who came in with a passkey: no key seals that."""
        if not isinstance(error, FactorCannotBeOpened):
            return None
        advice = _(
            "Your recovery codes cannot be opened any more, since the secret key of the server was changed. Remove your"
            " second factors here and set them up again: new codes come with them."
        )
        messages.error(request, advice)
        return HttpResponseRedirect(reverse("mfa_index"))
