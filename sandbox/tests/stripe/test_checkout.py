"""Checkout Sessions: on their pages, and played."""

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
import stripe

from sandbox.testing import Refused, Sandbox


class Staying(urllib.request.HTTPRedirectHandler):
    """Shows redirects instead of following them: the shop's pages do not exist here."""

    def redirect_request(self, *_: Any) -> None:
        return None


def visit(url: str, **form: str) -> tuple[int, str]:
    """What a browser gets: the page, or where it is sent."""
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.build_opener(Staying).open(url, data, timeout=10) as reply:
            page = reply.read().decode()
            return reply.status, page.replace("\u202f", " ").replace("\xa0", " ")
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Location") or error.read().decode()


def page_of(session: stripe.checkout.Session) -> dict[str, str]:
    return {"type": "redirect", "url": str(session.url)}


@pytest.fixture
def session(client: stripe.StripeClient) -> stripe.checkout.Session:
    return client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "client_reference_id": "payment-7",
            "success_url": "http://127.0.0.1/thanks?sid={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1/basket",
            "line_items": [
                {
                    "price_data": {"currency": "xof", "unit_amount": 2_500, "product_data": {"name": "Pack of 100"}},
                    "quantity": 2,
                }
            ],
            "payment_intent_data": {"metadata": {"payment_id": "payment-7"}},
        }
    )


def test_the_page_shows_what_is_on_sale_and_that_it_is_a_game(session):
    status, page = visit(session.url)

    assert status == 200
    assert "Pack of 100" in page
    assert "5 000 XOF" in page
    assert "no money moves here" in page
    assert "<script" not in page


def test_paying_on_the_page_leads_back_and_completes_the_session(client, sandbox, mailbox, session):
    who = {"name": "Ada", "email": "ada@sandbox.example"}
    status, address = visit(session.url, act="card", number="4242 4242 4242 4242", **who)

    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent", "line_items"]})
    sandbox.letters("stripe")
    assert (status, address) == (303, f"http://127.0.0.1/thanks?sid={session.id}")
    assert (paid.status, paid.payment_status, paid.url, paid.amount_total) == ("complete", "paid", None, 5_000)
    assert paid.payment_intent.metadata["payment_id"] == "payment-7"
    assert paid.customer_details.email == "ada@sandbox.example"
    assert [(line.description, line.quantity) for line in paid.line_items.data] == [("Pack of 100", 2)]
    assert mailbox.types()[-1] == "checkout.session.completed"


def test_a_declined_card_is_told_on_the_page_and_the_session_stays_open(client, session):
    status, page = visit(session.url, act="card", number="4000 0000 0000 9995")

    assert (status, "Your card has insufficient funds." in page) == (200, True)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert visit(session.url, act="card", number="4242424242424242")[0] == 303


def test_a_number_that_is_no_test_card_is_refused_on_the_page(client, session):
    status, page = visit(session.url, act="card", number="4111 1111 1111 1111")

    assert (status, "test cards only" in page) == (200, True)
    assert client.v1.payment_intents.list().data == []


def test_a_challenge_stands_between_the_page_and_the_shop(client, session):
    status, address = visit(session.url, act="card", number="4000 0025 0000 3155")
    assert (status, "/pages/challenge/" in address) == (303, True)
    assert "Is it you?" in visit(address)[1]
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"

    status, address = visit(address, act="pay")

    assert (status, address) == (303, f"http://127.0.0.1/thanks?sid={session.id}")
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_a_failed_challenge_leaves_the_page_open(client, session):
    _, address = visit(session.url, act="card", number="4000 0025 0000 3155")

    status, page = visit(address, act="decline")

    assert (status, "could not confirm" in page) == (200, True)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "unpaid"


def test_walking_away_leads_to_the_basket(session):
    assert visit(session.url, act="abandon") == (303, "http://127.0.0.1/basket")


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        ("pay", ("paid", "paid")),
        ("challenge", ("paid", "paid")),
        ("decline", ("declined", "unpaid")),
        ("abandon", ("open", "unpaid")),
    ],
)
def test_the_buyer_can_be_played(client, sandbox, session, act, outcome):
    played = sandbox.play(page_of(session), act)

    assert (played["state"], client.v1.checkout.sessions.retrieve(session.id).payment_status) == outcome


def test_a_completed_session_takes_no_second_payment(client, sandbox, session):
    sandbox.play(page_of(session))

    with pytest.raises(Refused, match="complete"):
        sandbox.play(page_of(session))

    assert len(client.v1.charges.list().data) == 1


def test_a_session_is_expired_by_the_shop_and_cannot_be_paid_then(client, sandbox, session):
    expired = client.v1.checkout.sessions.expire(session.id)

    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(Refused, match="expired"):
        sandbox.play(page_of(session))
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.expire(session.id)


def test_a_session_expires_by_itself_after_a_day(client, sandbox, mailbox, session):
    sandbox.advance(86_401)

    sandbox.letters("stripe")
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert mailbox.types()[-1] == "checkout.session.expired"


def test_the_books_show_one_line_for_a_session_from_birth_to_refund(client, sandbox: Sandbox, session):
    born = sandbox.books("stripe")["payments"]
    sandbox.play(page_of(session), "decline")
    sandbox.play(page_of(session))
    intent = client.v1.checkout.sessions.retrieve(session.id).payment_intent
    client.v1.refunds.create({"payment_intent": intent, "amount": 1_000, "metadata": {"refund_id": "refund-1"}})

    books = sandbox.books("stripe")

    assert [(line["id"], line["state"]) for line in born] == [(session.id, "open")]
    [payment], [refund] = books["payments"], books["refunds"]
    assert (payment["reference"], payment["amount_minor"], payment["currency"]) == ("payment-7", 5_000, "XOF")
    assert (payment["id"], payment["state"]) == (session.id, "paid")
    assert (refund["reference"], refund["amount_minor"], refund["parent_id"]) == ("refund-1", 1_000, session.id)


def test_ugandan_shillings_stand_in_the_books_without_the_wires_zeros(client, sandbox):
    client.v1.payment_intents.create({"amount": 500_000, "currency": "ugx"})

    assert sandbox.books("stripe")["payments"][0]["amount_minor"] == 5_000


def test_a_card_is_saved_on_a_setup_session(client, sandbox, customer):
    session = client.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "eur", "customer": customer.id, "success_url": "http://127.0.0.1/saved"}
    )
    _, shown = visit(session.url)
    assert ("Nothing is paid now to" in shown, "0.00" in shown) == (True, False)

    sandbox.play(page_of(session))

    done = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]})
    assert (done.status, done.payment_status) == ("complete", "no_payment_required")
    kept = client.v1.customers.payment_methods.list(customer.id).data
    assert [one.id for one in kept] == [done.setup_intent.payment_method]


def test_a_promotion_code_typed_on_the_page_makes_it_cheaper(client, session):
    coupon = client.v1.coupons.create({"percent_off": 20, "duration": "once"})
    client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "NOEL"})
    price = client.v1.prices.create({"currency": "eur", "unit_amount": 1_000, "product_data": {"name": "Pack"}})
    offered = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "http://127.0.0.1/",
            "line_items": [{"price": price.id, "quantity": 1}],
            "allow_promotion_codes": True,
        }
    )

    page = visit(offered.url, act="promotion", promotion="noel")[1]
    visit(offered.url, act="card", number="4242424242424242")

    paid = client.v1.checkout.sessions.retrieve(offered.id)
    assert "8.00 EUR" in page
    assert (paid.amount_subtotal, paid.amount_total, paid.total_details.amount_discount) == (1_000, 800, 200)
    assert client.v1.coupons.retrieve(coupon.id).times_redeemed == 1


def test_an_unknown_promotion_code_changes_nothing(client):
    price = client.v1.prices.create({"currency": "eur", "unit_amount": 1_000, "product_data": {"name": "Pack"}})
    offered = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "http://127.0.0.1/",
            "line_items": [{"price": price.id, "quantity": 1}],
            "allow_promotion_codes": True,
        }
    )

    assert "This code is invalid." in visit(offered.url, act="promotion", promotion="nothing")[1]
    assert client.v1.checkout.sessions.retrieve(offered.id).amount_total == 1_000


def test_a_purchase_can_write_its_invoice(client, sandbox):
    price = client.v1.prices.create({"currency": "eur", "unit_amount": 1_000, "product_data": {"name": "Pack"}})
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "http://127.0.0.1/",
            "line_items": [{"price": price.id, "quantity": 3}],
            "invoice_creation": {"enabled": True},
        }
    )
    sandbox.play(page_of(session))

    paid = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["invoice.payments"]})

    assert (paid.invoice.status, paid.invoice.total, paid.invoice.amount_paid) == ("paid", 3_000, 3_000)
    assert paid.invoice.payments.data[0].payment.payment_intent == paid.payment_intent


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"line_items": []}, "line_items"),
        ({"expires_at": 1_000_000_000}, "expires_at"),
        ({"subscription_data": {"metadata": {"a": "b"}}}, "subscription_data"),
        ({"allow_promotion_codes": True, "discounts": [{"coupon": "x"}]}, None),
    ],
)
def test_a_session_that_cannot_be_is_refused(client, wrong, param):
    line = {"price_data": {"currency": "eur", "unit_amount": 500, "product_data": {"name": "Pack"}}, "quantity": 1}
    wanted = {"mode": "payment", "success_url": "http://127.0.0.1/", "line_items": [line], **wrong}

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.checkout.sessions.create(wanted)

    assert (refused.value.http_status, refused.value.param) == (400, param)
    assert client.v1.checkout.sessions.list().data == []


def test_an_unknown_page_is_a_404(sandbox):
    assert visit(f"{sandbox.base('stripe')}/pages/checkout/cs_test_none")[0] == 404


@pytest.mark.parametrize(
    ("act", "told", "payment_status", "state"),
    [
        ("debit", "checkout.session.async_payment_succeeded", "paid", "paid"),
        ("bad_debit", "checkout.session.async_payment_failed", "unpaid", "declined"),
    ],
)
def test_a_bank_debit_is_known_a_day_later(  # noqa: PLR0917 - what a table tells
    client, sandbox, mailbox, session, act, told, payment_status, state
):
    visit(session.url, act=act)
    ordered = client.v1.checkout.sessions.retrieve(session.id)
    assert (ordered.status, ordered.payment_status) == ("complete", "unpaid")
    assert sandbox.books("stripe")["payments"][0]["state"] == "pending"

    sandbox.advance(86_401)

    known = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    sandbox.letters("stripe")
    assert (known.payment_status, mailbox.types()[-1]) == (payment_status, told)
    assert sandbox.books("stripe")["payments"][0]["state"] == state
