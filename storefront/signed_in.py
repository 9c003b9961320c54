"""Pages of a customer who is signed in."""

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import View


@method_decorator(never_cache, name="dispatch")
class SignedIn(LoginRequiredMixin, View):
    came_from = "subscription-page"  # a form that was sent cannot be sent again: after signing in its page comes

    def handle_no_permission(self) -> HttpResponseRedirect:
        sent = self.request.method == "POST"
        return redirect_to_login(reverse(self.came_from) if sent else self.request.get_full_path())

    @property
    def customer(self) -> User:
        assert isinstance(self.request.user, User)  # noqa: S101 - signed in
        return self.request.user
