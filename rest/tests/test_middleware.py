"""What every request passes: ids, policies, CORS, gzip; and what machines do not pay for."""

import re

import pytest
from django.conf import settings as project
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.urls("rest.tests.urls")
ORDERS = "/api/v1/orders"


@pytest.mark.parametrize("sent", ["a", "A-1_b.c", "x" * 64])
def test_a_harmless_request_id_comes_back(sent: str) -> None:
    assert Client().get(ORDERS, headers={"x-request-id": sent})["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", [None, "", "x" * 65, "a b", "a\tb", "é", "a;b", '{"a"}'])
def test_any_other_request_id_is_replaced(sent: str | None) -> None:
    answer = Client().get(ORDERS, headers={} if sent is None else {"x-request-id": sent})
    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-ID"])


def test_a_problem_carries_the_id_of_its_request() -> None:
    answer = Client().get("/api/v1/nothing", headers={"x-request-id": "abc"})
    assert (answer.json()["request_id"], answer["X-Request-ID"]) == ("abc", "abc")


def directives(answer) -> dict[str, str]:
    return dict(each.strip().split(" ", 1) for each in answer["Content-Security-Policy"].split(";"))


@pytest.mark.parametrize("path", [ORDERS, "/", "/problems", "/api/schema", "/nothing", "/api/nothing"])
def test_the_policy_is_strict_everywhere(client: Client, path: str) -> None:
    policy = directives(client.get(path))
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
    assert (policy["frame-ancestors"], policy["object-src"], policy["base-uri"]) == ("'none'", "'none'", "'none'")


@pytest.mark.parametrize("path", ["/admin/login/", "/accounts/login/"])
def test_the_policy_is_looser_where_unfold_needs_it(db, client: Client, path: str) -> None:
    policy = directives(client.get(path))
    assert (policy["script-src"], policy["style-src"]) == ("'self' 'unsafe-eval'", "'self' 'unsafe-inline'")
    assert policy["frame-ancestors"] == "'none'"


def test_an_address_that_only_begins_like_the_admin_s_is_strict(client: Client) -> None:
    assert directives(client.get("/administration"))["script-src"] == "'self'"


def test_the_other_headers_of_security(client: Client) -> None:
    answer = client.get("/")
    assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")
    assert (answer["Referrer-Policy"], answer["Cross-Origin-Opener-Policy"]) == ("same-origin", "same-origin")
    assert "Strict-Transport-Security" not in answer


def test_answers_of_the_api_are_not_kept_by_anybody() -> None:
    assert Client().get(ORDERS)["Cache-Control"] == "no-store"
    assert Client().get("/api/v1/nothing")["Cache-Control"] == "no-store"


def test_swagger_runs_under_its_policy_from_local_files(client: Client) -> None:
    page = client.get("/api/docs")
    text = page.content.decode()
    assert page.status_code == 200
    assert re.findall(r"<script>|https?://(?!www.w3.org)", text) == []
    addresses = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(addresses) >= 4
    for address in addresses:
        answer = client.get(address)
        assert (address, answer.status_code) == (address, 200)
        assert answer.getvalue()  # read to its end, which closes the file


# ---------------------------------------------------------------- CORS


@pytest.fixture
def shop_allowed(settings) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]


def test_a_preflight_is_answered_whoever_asks(shop_allowed) -> None:
    answer = Client().options(ORDERS, headers={"access-control-request-method": "POST"})
    assert (answer.status_code, answer["Vary"]) == (200, "origin")


def test_an_allowed_origin_may_call_and_see_our_headers(shop_allowed) -> None:
    answer = Client().get(ORDERS, headers={"origin": "https://shop.example"})
    assert answer["Access-Control-Allow-Origin"] == "https://shop.example"
    assert set(answer["Access-Control-Expose-Headers"].lower().split(", ")) == {
        name.lower() for name in project.CORS_EXPOSE_HEADERS
    }
    assert "Access-Control-Allow-Credentials" not in answer


def test_a_preflight_allows_what_our_clients_send(shop_allowed) -> None:
    asked = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,idempotency-key",
    }
    answer = Client().options(ORDERS, headers=asked)
    assert answer.status_code == 200
    allowed = answer["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "content-type", "idempotency-key"} <= set(allowed)
    assert "POST" in answer["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("origin", "path"),
    [
        ("https://evil.example", ORDERS),
        ("https://shop.example.evil.example", ORDERS),
        ("http://shop.example", ORDERS),
        ("null", ORDERS),
        ("https://shop.example", "/"),
    ],
)
def test_other_origins_and_pages_get_no_permission(client: Client, shop_allowed, origin: str, path: str) -> None:
    assert "Access-Control-Allow-Origin" not in client.get(path, headers={"origin": origin})


def test_by_default_no_origin_is_allowed() -> None:
    assert project.CORS_ALLOWED_ORIGINS == []
    assert "Access-Control-Allow-Origin" not in Client().get(ORDERS, headers={"origin": "https://shop.example"})


# ---------------------------------------------------------------- gzip, sessions


def test_a_long_answer_is_compressed_for_who_can_read_it() -> None:
    sent = '{"text": "' + "x" * 5000 + '"}'
    plain = Client().post("/api/v1/echo", sent, content_type="application/json")
    packed = Client().post("/api/v1/echo", sent, content_type="application/json", headers={"accept-encoding": "gzip"})
    assert "Content-Encoding" not in plain
    assert (packed["Content-Encoding"], "Accept-Encoding" in packed["Vary"]) == ("gzip", True)
    assert len(packed.content) < len(plain.content) / 10


def test_machines_pay_for_no_session_and_no_query(django_assert_num_queries, root, client: Client) -> None:
    with django_assert_num_queries(0):
        answer = client.get(ORDERS)
    assert not hasattr(answer.wsgi_request, "session")
    assert "Cookie" not in answer.get("Vary", "")


def test_machines_are_not_asked_for_a_csrf_token() -> None:
    answer = Client(enforce_csrf_checks=True).post("/api/v1/echo", "{}", content_type="application/json")
    assert answer.status_code == 200


def test_people_are_asked_for_a_csrf_token(db) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/admin/login/", {"username": "x", "password": "y"}).status_code == 403


def test_people_have_a_session_and_messages(admin_client: Client) -> None:
    answer = admin_client.get(reverse("admin:index"))
    assert answer.status_code == 200
    assert answer.wsgi_request.session.session_key


def test_people_are_spoken_to_in_their_language(db, client: Client) -> None:
    assert client.get("/", headers={"accept-language": "fr"})["Content-Language"] == "fr"
    assert "Content-Language" not in client.get(ORDERS, headers={"accept-language": "fr"})


def test_machines_are_spoken_to_in_english_by_a_thread_that_just_spoke_french(db, client: Client) -> None:
    client.get("/", headers={"accept-language": "fr"})
    answer = client.put(ORDERS, headers={"accept-language": "fr"})
    assert answer.json()["detail"] == 'Method "PUT" not allowed.'
