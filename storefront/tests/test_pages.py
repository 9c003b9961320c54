import re
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client
from django.utils.translation import override

from billing.tests.subscribers import make_plan
from credits.tests.factories import make_pack
from ledger.money import Money, format_money

PAGES = ["/", "/pricing", "/problems", "/accounts/login/", "/accounts/signup/"]


class Page(HTMLParser):
    """What a strict policy and a screen reader would object to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.hosts: list[str] = []
        self.links: list[str] = []
        self.nameless: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or "style" in given or any(name.startswith("on") for name in given):
            self.inline.append(self.get_starttag_text() or tag)
        if tag == "script" and "src" not in given and given.get("type") != "application/json":
            self.inline.append("script")
        for name in ("src", "href", "action"):
            if re.match(r"(https?:)?//", given.get(name) or ""):
                self.hosts.append(given[name] or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag == "img" and "alt" not in given:
            self.nameless.append("img")


@pytest.mark.parametrize("path", PAGES)
def test_page_obeys_the_strict_policy(db, client: Client, path: str) -> None:
    answer = client.get(path)
    page = Page(answer.content.decode())
    assert answer.status_code == 200
    assert (page.inline, page.hosts, page.nameless) == ([], [], [])


def test_home_leads_everywhere(db, client: Client) -> None:
    links = set(Page(client.get("/").content.decode()).links)
    assert {"/admin/", "/api/docs", "/pricing", "/problems", "/health"} <= links


def test_menu_of_customers_leads_to_no_office(db, client: Client) -> None:
    office = {"/admin/", "/api/docs"}
    assert not office & menu(client)
    client.force_login(User.objects.create_user("olive", is_staff=True))
    assert office <= menu(client)


def menu(client: Client) -> set[str]:
    text = client.get("/pricing").content.decode()
    return set(Page(text[text.index("<nav") : text.index("</nav>")]).links)


def test_empty_pricing_says_so_and_how_to_change_it(db, client: Client) -> None:
    page = client.get("/pricing").content.decode()
    assert "Nothing is for sale yet" in page
    assert "Sign in to the admin as an operator" in page


def test_names_on_the_pricing_page_are_text_and_not_markup() -> None:
    offer = {"name": "<b>Plan</b>", "price": "€9.00", "period": "a month", "description": "For one"}
    text = render_to_string("storefront/pricing.html", {"products": [{"title": "<i>Shop</i>", "offers": [offer]}]})
    assert "Nothing is for sale" not in text
    assert "&lt;b&gt;Plan" in text
    assert "&lt;i&gt;Shop" in text
    assert "<button class" not in text


def test_plans_of_one_name_stand_under_their_products(db, client: Client) -> None:
    """A product is called as its catalogue's file says; one without a file by its code."""
    for number, catalogue in enumerate(["dating-premium", "my-shop"]):
        make_plan(f"premium-{number}", {"month": 999}, catalogue=catalogue, name_en="Premium")
    page = client.get("/pricing").content.decode()
    assert re.findall(r'<h2 id="product[^>]*>([^<]+)<', page) == ["Dating premium", "My shop"]
    assert page.count("<h3>Premium</h3>") == 2
    french = client.get("/pricing", headers={"Accept-Language": "fr"}).content.decode()
    assert re.findall(r'<h2 id="product[^>]*>([^<]+)<', french) == ["My shop", "Rencontres premium"]


def test_visitor_is_led_to_sign_in_and_back(db, client: Client) -> None:
    make_pack({"EUR": 999})
    links = Page(client.get("/pricing", {"currency": "EUR"}).content.decode()).links
    assert "/accounts/login/?next=/pricing%3Fcurrency%3DEUR" in links
    assert client.post("/buy", {"pack": "x", "currency": "EUR"})["Location"] == "/accounts/login/?next=/pricing"
    assert client.post("/subscribe")["Location"] == "/accounts/login/?next=/pricing"


def test_pack_that_a_refusal_named_stands_out(db, client: Client) -> None:
    make_pack({"EUR": 999}, code="one")
    make_pack({"EUR": 499}, code="two")
    page = client.get("/pricing", {"pack": "two"}).content.decode()
    assert re.findall(r'<li class="card([^"]*)">', page) == ["", " chosen"]


def test_visitor_reads_french(db, client: Client) -> None:
    answer = client.get("/pricing", headers={"Accept-Language": "fr-CM,fr;q=0.9,en;q=0.5"})
    assert "Rien n’est encore en vente" in answer.content.decode()
    assert '<html lang="fr">' in answer.content.decode()
    assert answer["Content-Language"] == "fr"


def test_visitor_chooses_a_language(db, client: Client) -> None:
    answer = client.post("/language", {"language": "fr", "next": "/pricing"})
    assert (answer.status_code, answer["Location"]) == (302, "/pricing")
    assert "Rien n’est encore en vente" in client.get("/pricing").content.decode()
    client.post("/language", {"language": "en", "next": "/pricing"})
    assert "Nothing is for sale yet" in client.get("/pricing").content.decode()


def test_language_form_does_not_lead_to_other_sites(db, client: Client) -> None:
    assert client.post("/language", {"language": "fr", "next": "//evil.example/"})["Location"] == "/"


def test_language_button_works_where_no_referrer_is_told(db) -> None:
    """As browsers send the forms of pages behind signed links."""
    browser = Client(enforce_csrf_checks=True, headers={"Origin": "null"})
    answer = browser.post("/language", {"language": "fr", "next": "/invoice/abc:def"})
    assert (answer.status_code, answer["Location"]) == (302, "/invoice/abc:def")
    assert answer.cookies["django_language"].value == "fr"


@pytest.mark.parametrize("path", ["/pricing", "/accounts/login/", "/nowhere"])
def test_foot_of_every_page_says_where_help_is(db, client: Client, settings, path: str) -> None:
    assert "Questions" not in client.get(path).content.decode()
    settings.SUPPORT_EMAIL, settings.SUPPORT_URL = "help@shop.example", "https://shop.example/help"
    page = client.get(path).content.decode()
    assert '<a href="mailto:help@shop.example">help@shop.example</a>' in page
    assert '<a href="https://shop.example/help">Help</a>' in page


def test_page_of_a_fault_says_where_help_is(settings) -> None:
    settings.SUPPORT_EMAIL = "help@shop.example"
    for name in ("500.html", "503.html"):
        assert "mailto:help@shop.example" in render_to_string(name)
        with override("fr"):
            assert '<html lang="fr">' in render_to_string(name)


def prices_on(page: str) -> list[str]:
    return re.findall(r'class="price">([^<]+?)\s*<', page)


def test_pricing_shows_the_packs_on_sale_in_the_visitors_language(db, client: Client) -> None:
    make_pack({"EUR": 999, "XOF": 6550}, name_fr="Crédits x100", expires_after_days=30)
    make_pack({"EUR": 1}, code="off", is_active=False)
    english = client.get("/pricing").content.decode()
    assert prices_on(english) == ["€9.99"]
    assert "Credits x100" in english
    assert "100 credits" in english
    assert "valid for 30 days" in english
    french = client.get("/pricing", headers={"Accept-Language": "fr"}).content.decode()
    assert prices_on(french) == ["9,99\xa0€"]
    assert "Crédits x100" in french
    assert "100 crédits" in french
    assert "valable 30 jours" in french


def test_pack_of_tokens_is_shown_in_tokens(db, client: Client) -> None:
    make_pack({"EUR": 999}, catalogue="companion-tokens")
    assert "100 tokens" in client.get("/pricing").content.decode()
    assert "100 jetons" in client.get("/pricing", headers={"Accept-Language": "fr"}).content.decode()


def test_pricing_takes_the_currency_a_visitor_asks_for(db, client: Client) -> None:
    make_pack({"EUR": 999, "XOF": 6550})
    make_pack({"EUR": 499}, code="euros")
    page = client.get("/pricing", {"currency": "xof"}).content.decode()
    assert prices_on(page) == ["€4.99", format_money(Money(6550, "XOF"), "en")]
    assert "or €9.99" in page
    assert prices_on(client.get("/pricing", {"currency": "<script>"}).content.decode()) == ["€4.99", "€9.99"]
