"""The page of an invoice that is to be paid, and the buyer's own details, as a browser uses them."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing import bills, invoice_files, invoice_links
from billing.models import Attempt, Customer, Invoice, Payment
from billing.tests import shop
from billing.tests.papers import known
from billing.tests.test_bills import fresh, issued
from storefront import details

pytestmark = pytest.mark.django_db


def path_of(invoice: Invoice, more: str = "") -> str:
    return "/" + invoice_links.url(invoice).split("/", 3)[3] + more


def test_page_shows_the_invoice_and_leads_to_the_gateway(gateways, client: Client) -> None:
    invoice = issued(user=known(email="awa@example.org", locale="fr"))
    page = client.get(path_of(invoice))
    said = page.content.decode().replace("\xa0", " ").replace("\u202f", " ")
    assert page["Referrer-Policy"] == "no-referrer"
    assert "Consulting" in said
    assert "Payer 224,93 €" in said
    assert re.findall(r'name="gateway" value="([^"]+)"', said) == ["stripe", "paypal", "cinetpay"]
    answer = client.post(path_of(invoice), {"gateway": "stripe"})
    assert "https://stripe.example/pay/" in answer.content.decode()
    assert "data-waits" in client.get(path_of(invoice)).content.decode()
    gateways["stripe"].pays(Attempt.objects.get().reference)
    shop.told(Payment.objects.get())
    part = client.get(path_of(invoice), {"part": "1"}).content.decode()
    assert "Merci : votre paiement est arrivé." in part
    assert "<form" not in part


def test_buyer_chooses_another_way(gateways, client: Client) -> None:
    invoice = issued()
    client.post(path_of(invoice), {"gateway": "stripe"})
    assert client.post(path_of(invoice), {"gateway": "paypal"}).status_code == 409
    assert client.post(path_of(invoice, "/other-way")).status_code == 302
    client.post(path_of(invoice), {"gateway": "paypal"})
    assert list(Attempt.objects.order_by("id").values_list("gateway", "state")) == [
        ("stripe", "cancelled"),
        ("paypal", "requires_action"),
    ]


def test_reader_chooses_a_language_and_the_paper_keeps_its_own(gateways, client: Client) -> None:
    invoice = issued(user=known(email="awa@example.org", locale="fr"))
    client.post("/language", {"language": "en", "next": path_of(invoice)})
    page = client.get(path_of(invoice)).content.decode()
    assert '<html lang="en">' in page
    assert "Pay 224,93" in page  # the paper keeps its own figures and words
    assert "Montant HT" in page


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("fr", "Elle est déjà réglée ou annulée."), ("en", "It is paid or cancelled by now.")],
)
def test_refusal_is_in_the_language_of_the_reader_and_its_page_keeps_the_link(
    gateways, client: Client, language: str, sentence: str
) -> None:
    invoice = issued(user=known(email="awa@example.org", locale="fr"))
    client.post(path_of(invoice), {"gateway": "stripe"})
    gateways["stripe"].pays(Attempt.objects.get().reference)
    client.cookies["django_language"] = language
    refused = client.post(path_of(invoice, "/other-way"))
    page = refused.content.decode()
    assert refused.status_code == 409
    assert f'name="next" value="{path_of(invoice)}"' in page
    assert sentence in page


def test_link_of_a_cancelled_invoice_says_that_nothing_is_owed(gateways, client: Client) -> None:
    invoice = issued()
    bills.cancel(invoice=invoice, reason="ordered twice")
    page = client.get(path_of(invoice)).content.decode()
    assert "cancelled by a credit note: nothing is owed" in page
    assert 'name="gateway"' not in page
    assert client.post(path_of(invoice), {"gateway": "stripe"}).status_code == 400
    assert not Attempt.objects.exists()


def test_nobody_reads_an_invoice_by_a_link_that_we_did_not_make(gateways, client: Client) -> None:
    invoice = issued()
    for path in (f"/invoice/{invoice.pk}", path_of(invoice)[:-1] + "x", path_of(invoice, "/pdf")[:-5] + "x/pdf"):
        assert client.get(path).status_code == 404
    assert client.get(path_of(invoice, "/pdf")).status_code == 404  # not rendered yet
    invoice_files.render_due()
    assert client.get(path_of(invoice, "/pdf")).content == bytes(fresh(invoice).file.pdf)


# ---------------------------------------------------------------- the buyer's details

DETAILS = {
    "name": "Awa Ndiaye",
    "company": "Atelier Ndiaye",
    "vat_number": "FR 44 732 829 320",
    "address": "12 rue Neuve",
    "postcode": "69002",
    "city": "Lyon",
    "country": "FR",
}


def test_details_by_the_link_of_an_invoice_are_saved_without_the_blanks_of_a_number(db, client: Client) -> None:
    user = User.objects.create(username="awa")
    link = details.link(user)
    assert client.post(link, DETAILS).status_code == 302
    saved = Customer.objects.get()
    assert (saved.vat_number, saved.company, saved.city, saved.country) == (
        "FR44732829320",
        "Atelier Ndiaye",
        "Lyon",
        "FR",
    )
    assert "Still missing" not in client.get(link).content.decode()
    assert 'name="email"' not in client.get(link).content.decode()


@pytest.mark.parametrize(
    ("changes", "field", "sentences"),
    [
        (
            {"vat_number": "FR00732829320"},
            "vat_number",
            {
                "en": "This is no valid VAT number of that country.",
                "fr": "Ce n’est pas un numéro de TVA valable de ce pays.",
            },
        ),
        (
            {"country": "DE"},
            "vat_number",
            {
                "en": "This number is of another country than the address.",
                "fr": "Ce numéro est d’un autre pays que l’adresse.",
            },
        ),
        ({"city": "x" * 101}, "city", {"en": "at most 100 characters", "fr": "plus 100 caractères"}),
    ],
)
def test_mistake_stands_beside_its_field_in_both_languages(
    db, client: Client, changes: dict[str, Any], field: str, sentences: dict[str, str]
) -> None:
    client.force_login(User.objects.create(username="awa"))
    for language, sentence in sentences.items():
        wish = DETAILS | changes | {"email": "awa@example.org"}
        answer = client.post("/details", wish, headers={"Accept-Language": language})
        page = answer.content.decode().replace("&#x27;", "'")
        assert answer.status_code == 400
        found = re.search(rf'name="{field}".*?</div>', page, re.DOTALL)
        assert found is not None
        assert sentence in found[0]
        assert 'aria-invalid="true"' in found[0]
    assert Customer.objects.get().city == ""


def test_customers_find_their_own_invoices_and_nobody_else_s(gateways, client: Client) -> None:
    mine, other = issued(user=known()), issued(user=shop.make_user())
    invoice_files.render_due()
    client.force_login(mine.user)
    links = re.findall(r'href="(/details/[^"]+\.pdf)"', client.get("/details").content.decode())
    assert links == [f"/details/{mine.pk}.pdf"]
    assert client.get(links[0]).content == bytes(fresh(mine).file.pdf)
    assert client.get(f"/details/{other.pk}.pdf").status_code == 404
    assert mine.number not in client.get(details.link(other.user)).content.decode()


def test_details_of_another_are_not_there(db, client: Client) -> None:
    user = User.objects.create(username="awa")
    assert client.get(details.link(user)[:-2]).status_code == 404
    assert client.get("/details")["Location"].startswith("/accounts/login/")
