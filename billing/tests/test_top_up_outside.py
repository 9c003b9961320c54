"""Automatic top-up as customers, services and operators see it."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.models import TopUp
from billing.tests.topping import WORDS, agree
from rest.tests.callers import customer, delete, get, put, service

pytestmark = pytest.mark.django_db
TERMS = {"pack": "medium", "currency": "EUR", "threshold": 100, "monthly_cap": 5_000, "consent": WORDS}


def test_top_up_over_http_from_off_to_on_to_off(ann: User) -> None:
    who = customer(ann)
    assert (get("top-up", who).status_code, get("top-up", who).json()["code"]) == (404, "top_up_off")
    told = put("top-up", who, TERMS).json()
    names = ("pack", "price", "credits", "threshold", "monthly_cap", "consent", "suspended")
    shown = {name: told[name] for name in names}
    assert shown == {
        "pack": "medium",
        "price": 999,
        "credits": 275,
        "threshold": 100,
        "monthly_cap": 5_000,
        "consent": WORDS,
        "suspended": None,
    }
    assert told["method"] == {
        "gateway": "stripe",
        "kind": "card",
        "brand": "visa",
        "last4": "4242",
        "expires": "12/2031",
    }
    assert get("top-up", who).json() == told
    assert delete("top-up", who).status_code == 204
    assert delete("top-up", who).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"consent": "yes"}, 400, "validation_error"),
        ({"consent": None}, 400, "validation_error"),
        ({"threshold": 0}, 400, "validation_error"),
        ({"threshold": 276}, 422, "threshold_too_high"),
        ({"monthly_cap": 998}, 422, "cap_too_low"),
        ({"pack": "nothing"}, 400, "unknown_pack"),
        ({"currency": "USD"}, 400, "price_missing"),
        ({"amount": 5}, 400, "validation_error"),
    ],
)
def test_wrong_terms_are_refused_and_nothing_is_agreed(ann: User, changes: Any, status: int, code: str) -> None:
    answer = put("top-up", customer(ann), TERMS | changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not TopUp.objects.exists()


def test_service_needs_the_permission_to_agree_for_a_customer(ann: User) -> None:
    reads = service("view_topup", acts_for=ann)
    assert get("top-up", reads).status_code == 404
    assert put("top-up", reads, TERMS).status_code == 403
    assert not TopUp.objects.exists()
    assert put("top-up", service("change_consent", acts_for=ann), TERMS).status_code == 200
    assert TopUp.objects.get().consent_by.startswith("service")


def test_operator_switches_it_off_with_a_reason(ann: User, root: User, client: Any) -> None:
    agreed = agree(ann)
    path = f"/admin/billing/topup/{agreed.pk}"
    assert WORDS in client.get(f"{path}/change/").content.decode()
    assert client.get("/admin/billing/topup/").status_code == 200
    assert client.post(f"{path}/withdraw/", {"key": agreed.pk, "reason": "asked by letter"}).status_code == 302
    agreed.refresh_from_db()
    assert (agreed.withdrawn_at is not None, agreed.withdrawn_by) == (True, "root: asked by letter")
