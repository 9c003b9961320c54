"""NUL, which no text of the database holds: whoever writes it to a page is told so, and it is no mistake of ours."""

from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.request import UnreadablePostError
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.http import urlencode

from rest.middleware import PeoplesText
from wallets import pages

pytestmark = pytest.mark.django_db

QUERIES = ["/credits?unit=%00", "/credits?%00=1", "/admin/find/?q=%00", "/admin/auth/user/?q=%00"]
FORMS = [
    ("/buy", {"pack": "\0"}),
    ("/subscribe", {"plan": "\0"}),
    ("/subscribe", {"\0": "x"}),
    ("/details", {"name": "A\0"}),
]


@pytest.fixture
def visitor() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("olive"))
    return client


def is_a_page(answer: Any) -> bool:
    return bool(answer.status_code == 400 and answer["Content-Type"].startswith("text/html"))


@pytest.mark.parametrize("address", [*QUERIES, "/admin/auth/user/?username__startswith=%00", "/mail/x?kind=%00"])
def test_in_a_query_it_is_refused(visitor: Client, address: str) -> None:
    assert is_a_page(visitor.get(address))


def test_in_a_path_it_is_refused(visitor: Client) -> None:
    link = pages.link(User.objects.create(username="sol")).url.removeprefix(settings.BASE_URL)
    assert is_a_page(visitor.get(f"{link}/%00/2026-11.pdf"))
    assert is_a_page(visitor.get("/%00"))


@pytest.mark.parametrize(("address", "form"), FORMS)
def test_in_a_form_it_is_refused(visitor: Client, address: str, form: dict[str, str]) -> None:
    assert is_a_page(visitor.post(address, form))
    assert is_a_page(visitor.post(address, urlencode(form), content_type="application/x-www-form-urlencoded"))


def test_in_a_cookie_it_is_refused() -> None:
    client = Client(raise_request_exception=False)
    assert is_a_page(client.get("/credits", headers={"cookie": r'sessionid="\000aaaaaaaaaaaa"'}))


def test_a_file_may_hold_it(visitor: Client) -> None:
    """Whatever this form thinks of such a file, it gets it."""
    sent = {"catalogue": SimpleUploadedFile("some.yaml", b"\0"), "note": "é %00"}
    assert visitor.post(reverse("admin:index"), sent).status_code != 400


def test_machines_are_told_by_their_own_readers(client: Client) -> None:
    answer = client.get("/api/v1/packs?currency=%00")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def test_upload_that_breaks_off_is_no_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sent it has gone away, so that there is nobody to tell anything."""

    def gone(_: HttpRequest) -> QueryDict:
        raise UnreadablePostError("gone")

    monkeypatch.setattr(WSGIRequest, "POST", property(gone))
    PeoplesText(lambda asked: HttpResponse()).process_view(RequestFactory().post("/buy"))
