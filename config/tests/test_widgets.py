"""The widgets as a page of another site gets them, and the page on which a laptop shows them."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(client: Client) -> User:
    user = User.objects.create(username="ada")
    client.force_login(user)
    return user


@pytest.mark.parametrize("name", ["tirelire.js", "tirelire.css", "demo.js"])
def test_other_sites_may_load_the_files(client: Client, name: str) -> None:
    answer = client.get(f"/static/widgets/{name}", headers={"Origin": "https://shop.example"})
    answer.close()
    kind = {"js": "text/javascript", "css": "text/css"}[name.rpartition(".")[2]]
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (200, kind)
    assert answer["Access-Control-Allow-Origin"] == "*"  # a browser loads no module of another origin without it


def test_widgets_lean_on_nothing_and_run_nothing_that_they_are_told() -> None:
    """A page's policy need not allow inline scripts or evaluation, and what the API says is text."""
    source = (Path(project.BASE_DIR) / "static/widgets/tirelire.js").read_text()
    for word in ("import ", "innerHTML", "eval(", "new Function", "document.cookie", "localStorage"):
        assert word not in source.replace("import.meta", ""), word


def test_badge_speaks_both_languages_in_full() -> None:
    source = (Path(project.BASE_DIR) / "static/widgets/tirelire.js").read_text()
    texts = source.partition("const TEXTS = {")[2].partition("\n};")[0]
    english, french = (re.findall(r'(\w+): "([^"]+)"', each) for each in texts.split("  fr: {"))
    assert [name for name, _ in english] == [name for name, _ in french]
    assert [set(re.findall(r"{\w+}", text)) for _, text in english] == [
        set(re.findall(r"{\w+}", text)) for _, text in french
    ]


def test_demo_page_shows_a_badge_to_who_is_signed_in(client: Client, ada: User) -> None:
    answer = client.get("/demo/widgets")
    page = answer.content.decode()
    assert "<tirelire-credits" in page
    assert 'type="module" src="/static/widgets/demo.js"' in page
    assert 'data-token="/demo/token"' in page
    assert "Crédits à intégrer" in client.get("/demo/widgets", headers={"Accept-Language": "fr"}).content.decode()


def test_demo_page_may_reach_the_streams_of_a_laptop(client: Client, ada: User, settings: Any) -> None:
    settings.STREAM_URL = "http://127.0.0.1:8001/"
    assert "connect-src 'self' http://127.0.0.1:8001" in client.get("/demo/widgets")["Content-Security-Policy"]


def test_token_of_the_demo_is_good_for_its_own_customer(client: Client, ada: User) -> None:
    answer = client.get("/demo/token")
    assert "no-store" in answer["Cache-Control"]
    bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert Client().get("/api/v1/me", headers=bearer).json()["user"] == "ada"


@pytest.mark.parametrize("path", ["/demo/widgets", "/demo/token"])
def test_visitor_signs_in_first(client: Client, path: str) -> None:
    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"


@pytest.mark.parametrize("path", ["/demo/widgets", "/demo/token"])
def test_production_has_no_demo(client: Client, ada: User, settings: Any, path: str) -> None:
    settings.PRODUCTION = True
    assert client.get(path).status_code == 404
