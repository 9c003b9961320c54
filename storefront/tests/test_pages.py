import re
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client

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


def test_pricing_shows_the_offers_it_is_given() -> None:
    offers = [
        {"name": "Pack 100", "price": "5 000 FCFA", "features": ["100 credits"], "url": "/buy/pack-100"},
        {"name": "<b>Plan</b>", "price": "€9.00", "period": "a month", "description": "For one"},
    ]
    text = render_to_string("storefront/pricing.html", {"offers": offers})
    assert "Nothing is for sale" not in text
    assert re.findall(r'class="price">([^<]+?)\s*<', text) == ["5 000 FCFA", "€9.00"]
    assert "&lt;b&gt;Plan" in text
    assert Page(text).links.count("/buy/pack-100") == 1
    assert "Choose Pack 100" in text


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


def test_pricing_takes_the_currency_a_visitor_asks_for(db, client: Client) -> None:
    make_pack({"EUR": 999, "XOF": 6550})
    make_pack({"EUR": 499}, code="euros")
    page = client.get("/pricing", {"currency": "xof"}).content.decode()
    assert prices_on(page) == ["€4.99", format_money(Money(6550, "XOF"), "en")]
    assert "or €9.99" in page
    assert prices_on(client.get("/pricing", {"currency": "<script>"}).content.decode()) == ["€4.99", "€9.99"]
