"""The customer's own record: made once, changed by its owner or a service that may, always sensible."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.test import Client
from django.urls import reverse

from billing import customers
from billing.models import Customer
from rest import tokens

WAIT_SECONDS = 30
FAR_AWAY = 4_000_000_000  # seconds since 1970: no clock of a test gets there


def customer_header(name: str = "ann") -> dict[str, str]:
    token = jwt.encode({"sub": name, "exp": FAR_AWAY}, settings.JWT_SECRET, "HS256")
    return {"authorization": f"Bearer {token}"}


def service_header(*codenames: str, acts_for: str | None = "ann") -> dict[str, str]:
    permissions = list(Permission.objects.filter(codename__in=["act_for_customers", *codenames]))
    _, secret = tokens.issue(name="shop", permissions=permissions, expires_at=None, by=None)
    return {"authorization": f"Bearer {secret}"} | ({"x-user-id": acts_for} if acts_for else {})


def patch(headers: dict[str, str], **facts: Any) -> Any:
    return Client().patch("/api/v1/customer", facts, content_type="application/json", headers=headers)


def test_a_customer_is_made_on_first_sight(db) -> None:
    answer = Client().get("/api/v1/customer", headers=customer_header())
    told = answer.json()
    assert answer.status_code == 200
    assert told.pop("created_at") <= told.pop("updated_at")
    assert told == {
        "id": "ann",
        "name": "",
        "company": "",
        "email": "",
        "vat_number": "",
        "address": "",
        "postcode": "",
        "city": "",
        "country": None,
        "locale": "en",
        "time_zone": "UTC",
    }
    assert Customer.objects.get().user.get_username() == "ann"


def test_two_first_sights_at_once_make_one_customer(transactional_db) -> None:
    user = User.objects.create(username="ann")
    barrier = threading.Barrier(4)

    def meet(_: int) -> int:
        barrier.wait(WAIT_SECONDS)
        try:
            return int(customers.get(user).pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(meet, range(4))) == [user.pk] * 4
    assert Customer.objects.count() == 1


def test_only_what_is_sent_changes(db) -> None:
    patch(customer_header(), name="Ann Ba", country="CI", locale="fr", time_zone="Africa/Abidjan")
    answer = patch(customer_header(), email="ann@example.org", vat_number="FR40303265045", country=None)
    assert answer.status_code == 200
    told = answer.json()
    assert told["updated_at"] > told["created_at"]
    assert (told["name"], told["email"], told["country"], told["locale"], told["time_zone"], told["vat_number"]) == (
        "Ann Ba",
        "ann@example.org",
        None,
        "fr",
        "Africa/Abidjan",
        "FR40303265045",
    )


def test_nothing_is_written_when_nothing_differs(db) -> None:
    first = patch(customer_header(), name="Ann").json()
    assert patch(customer_header(), name="Ann").json() == first
    assert patch(customer_header()).json() == first


@pytest.mark.parametrize(
    ("facts", "field", "code"),
    [
        ({"user": "ben"}, "user", "unknown"),
        ({"id": "ben"}, "id", "unknown"),
        ({"created_at": "2026-11-20T20:30:00Z"}, "created_at", "unknown"),
        ({"name": None}, "name", "null"),
        ({"name": " Ann"}, "name", "blanks"),
        ({"name": "Ann\nBcc: all"}, "name", "control"),
        ({"name": "x" * 201}, "name", "max_length"),
        ({"email": "ann"}, "email", "invalid"),
        ({"email": "ann@example.org\n"}, "email", "control"),
        ({"country": "fr"}, "country", "invalid"),
        ({"country": "ZZ"}, "country", "invalid"),
        ({"locale": "de"}, "locale", "invalid_choice"),
        ({"time_zone": "Paris"}, "time_zone", "invalid"),
        ({"time_zone": ""}, "time_zone", "invalid"),
        ({"vat_number": "FR 40303265045"}, "vat_number", "invalid"),
        ({"vat_number": "FR00303265045"}, "vat_number", "invalid"),
        ({"vat_number": "DE123"}, "vat_number", "invalid"),
        ({"vat_number": "abcd"}, "vat_number", "invalid"),
        ({"vat_number": "DE136695976", "country": "FR"}, "vat_number", "other_country"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(db, facts: dict[str, Any], field: str, code: str) -> None:
    before = patch(customer_header(), name="Ann").json()
    answer = patch(customer_header(), company="Sent along", **facts)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")
    assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [(field, code)]
    assert Client().get("/api/v1/customer", headers=customer_header()).json() == before


@pytest.mark.parametrize("number", ["FR40303265045", "DE136695976", "XI110305878", "CI1234567X", "GB999973"])
def test_a_vat_number_of_any_country_can_be_kept(db, number: str) -> None:
    assert patch(customer_header(), vat_number=number).json().get("vat_number") == number


@pytest.mark.parametrize(
    ("number", "country"),
    [("EL094259216", "GR"), ("FR40303265045", "MC"), ("FR40303265045", "RE"), ("XI110305878", "GB"), ("CI12345", "US")],
)
def test_a_vat_number_agrees_with_its_country(db, number: str, country: str) -> None:
    assert patch(customer_header(), vat_number=number, country=country).status_code == 200


def test_a_country_that_does_not_agree_with_the_number_is_refused(db) -> None:
    patch(customer_header(), vat_number="FR40303265045", country="FR")
    answer = patch(customer_header(), country="US")
    assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [("vat_number", "other_country")]
    assert Customer.objects.get().country == "FR"


def test_an_old_record_whose_number_is_of_elsewhere_can_still_be_renamed(db) -> None:
    patch(customer_header(), name="Ann")
    Customer.objects.update(vat_number="FR40303265045", country="US")
    assert patch(customer_header(), name="Ann Ba").json()["name"] == "Ann Ba"


def test_each_sees_their_own_record_only(db) -> None:
    patch(customer_header("ann"), name="Ann")
    assert Client().get("/api/v1/customer", headers=customer_header("ben")).json()["name"] == ""


@pytest.mark.parametrize(
    ("codenames", "acts_for", "get_status", "patch_status"),
    [
        (["change_customer"], "ann", 200, 200),
        (["view_customer"], "ann", 200, 403),
        ([], "ann", 403, 403),
        (["change_customer"], None, 400, 400),
    ],
)
def test_a_service_needs_the_permission_and_a_customer(db, codenames, acts_for, get_status, patch_status) -> None:
    headers = service_header(*codenames, acts_for=acts_for)
    assert Client().get("/api/v1/customer", headers=headers).status_code == get_status
    assert patch(headers, name="Ann").status_code == patch_status
    assert Customer.objects.filter(name="Ann").count() == (patch_status == 200)


def test_a_stranger_is_asked_for_credentials(db) -> None:
    answer = Client().get("/api/v1/customer")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("country", "F1"),
        ("locale", "de"),
        ("vat_number", "a b"),
        ("email", "nobody"),
        ("time_zone", ""),
        ("time_zone", "../x"),
    ],
)
def test_the_database_refuses_nonsense_too(db, column: str, value: str) -> None:
    customer = customers.get(User.objects.create(username="ann"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Customer.objects.filter(pk=customer.pk).update(**{column: value})


def test_a_user_with_a_record_cannot_be_deleted(db) -> None:
    user = User.objects.create(username="ann")
    customers.get(user)
    with pytest.raises(DatabaseError), transaction.atomic():
        user.delete()


def test_support_mends_a_record_through_the_same_act(admin_client: Client, caplog) -> None:
    customer = customers.get(User.objects.create(username="ann"))
    page = reverse("admin:billing_customer_change", args=[customer.pk])
    sent = {"name": "Ann Ba", "locale": "fr", "time_zone": "Europe/Paris", "country": "FR"}
    with caplog.at_level("INFO", logger="billing.customers"):
        answer = admin_client.post(page, sent)
    assert answer.status_code == 302
    customer.refresh_from_db()
    assert (customer.name, customer.locale, customer.time_zone, customer.country) == tuple(sent.values())
    assert [record.message for record in caplog.records if record.name == "billing.customers"] == ["customer.changed"]
    assert "Ann Ba" not in str(caplog.records[0].__dict__)


def test_support_sees_the_mistake_beside_the_number(admin_client: Client) -> None:
    customer = customers.get(User.objects.create(username="ann"))
    page = reverse("admin:billing_customer_change", args=[customer.pk])
    sent = {"locale": "fr", "time_zone": "Europe/Paris", "country": "US", "vat_number": "FR40303265045"}
    answer = admin_client.post(page, sent)
    assert (answer.status_code, list(answer.context["adminform"].form.errors)) == (200, ["vat_number"])


def test_support_sees_that_there_is_no_such_time_zone(admin_client: Client) -> None:
    customer = customers.get(User.objects.create(username="ann"))
    page = reverse("admin:billing_customer_change", args=[customer.pk])
    answer = admin_client.post(page, {"locale": "fr", "time_zone": "Europe/Lyon"})
    assert answer.context["adminform"].form.errors == {
        "time_zone": ["Unknown time zone; use an IANA name such as Europe/Paris."]
    }
    customer.refresh_from_db()
    assert customer.time_zone == "UTC"


def test_support_can_neither_make_nor_delete_one(admin_client: Client) -> None:
    customer = customers.get(User.objects.create(username="ann"))
    assert admin_client.get(reverse("admin:billing_customer_changelist")).status_code == 200
    assert admin_client.get(reverse("admin:billing_customer_add")).status_code == 403
    assert admin_client.get(reverse("admin:billing_customer_delete", args=[customer.pk])).status_code == 403


# ---------------------------------------------------------------- what no paper can say


@pytest.mark.parametrize("name", ["A\uffff", "A\ufffe", "A\x01"])
def test_characters_that_no_invoice_can_say_are_refused(db, name) -> None:
    user = User.objects.create(username="ann")
    refused = patch(customer_header(), name=name)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "control")
    with pytest.raises(ValidationError) as told:
        customers.change(customers.get(user), by=user, city=name)
    assert told.value.message_dict == {"city": ["Control characters are not allowed."]}
    assert (customers.get(user).name, customers.get(user).city) == ("", "")


def test_address_with_two_ats_is_refused(db) -> None:
    quoted = '"a@b"@example.com'
    user = User.objects.create(username="ann")
    refused = patch(customer_header(), email=quoted)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "email")
    with pytest.raises(ValidationError) as told:
        customers.change(customers.get(user), by=user, email=quoted)
    assert told.value.message_dict["email"] == ["An e-mail address has one @."]
    assert customers.get(user).email == ""
