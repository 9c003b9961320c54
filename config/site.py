"""The site of the operators: unfold's admin behind our sign-in and second factor."""

from typing import Any

from allauth.account.utils import get_next_redirect_url
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import LogoutView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from config.second_factor import Standing, challenge, standing


class OperatorsSite(UnfoldAdminSite):
    index_title = gettext_lazy("What needs me?")
    index_template = "admin/home.html"

    def has_permission(self, request: HttpRequest) -> bool:
        # Templates of error pages ask this of requests that never met the authentication middleware.
        return not isinstance(getattr(request, "user", AnonymousUser()), AnonymousUser) and (
            standing(request) is Standing.TRUSTED
        )

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        wanted = get_next_redirect_url(request) or reverse("admin:index")
        match standing(request):
            case Standing.STRANGER:
                return redirect_to_login(wanted, resolve_url(settings.LOGIN_URL))
            case Standing.OUTSIDER:
                raise PermissionDenied
            case Standing.UNPROVEN:
                return challenge(wanted)
            case Standing.UNPROTECTED:
                messages.info(request, gettext("Set up a second factor first; then the admin opens."))
                return HttpResponseRedirect(reverse("mfa_activate_totp"))
            case Standing.TRUSTED:
                return HttpResponseRedirect(wanted)

    def get_urls(self) -> list[Any]:
        # What it asks stands above this site, which is there before any model.
        from config import finding

        return [path("find/", self.admin_view(finding.view), name="find"), *super().get_urls()]

    def logout(  # type: ignore[override]
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        answer: HttpResponse = LogoutView.as_view(next_page=settings.LOGIN_URL)(request)
        return answer
