"""What is answered where no view could: problems for machines, plain pages for people."""

import sys
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import render
from django.views.generic import TemplateView
from rest_framework.exceptions import MethodNotAllowed, NotFound

from config import problems
from credits.errors import CreditsError
from rest import paths

PAGES = {400: "400.html", 403: "403.html", 404: "404.html", 500: "500.html", 503: "503.html"}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    # Django gives no exception to this handler, but calls it inside the block that caught it.
    return _answer(request, sys.exc_info()[1] or Exception())


def _answer(request: HttpRequest, error: BaseException, payer: User | None = None) -> HttpResponse:
    problem = problems.answer(error, payer)
    if paths.is_for_machines(request.path):
        return problem
    page = render(None, PAGES.get(problem.status_code, "400.html"), status=problem.status_code)
    if "Retry-After" in problem.headers:
        page["Retry-After"] = problem.headers["Retry-After"]
    return page


def nothing_here(request: HttpRequest) -> HttpResponse:
    """Stands after every address of machines: with DEBUG on, Django would show them its own page of URLs."""
    return problems.answer(NotFound())


class ProblemsMiddleware:
    """Plain Django views under the machines' paths answer problems too, in development as in production."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and paths.is_for_machines(request.path):
            problem = problems.answer(MethodNotAllowed(request.method or ""))
            problem["Allow"] = response["Allow"]
            return problem
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        payer = getattr(request, "credits_payer", None)  # of a view that costs credits
        if paths.is_for_machines(request.path) or isinstance(exception, CreditsError):
            return _answer(request, exception, payer)
        return None


class ProblemsView(TemplateView):
    """What `type` of every problem points at."""

    template_name = "problems.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(problems=problems.kinds(), **kwargs)
