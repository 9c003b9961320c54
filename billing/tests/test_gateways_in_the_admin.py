"""The gateways' page: what operators may choose there, and what they see."""

import re
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.models import GatewaySetting, GatewayTerms
from billing.tests.test_breaker import fail, pause_ends
from rest.tests.operators import errors, signed_in

pytestmark = pytest.mark.django_db
PAGE = {
    "is_enabled": "on",
    "priority": "100",
    "currencies": "",
    "countries": "",
    "cost_basis_points": "0",
    "terms-TOTAL_FORMS": "0",
    "terms-INITIAL_FORMS": "0",
}


def page() -> str:
    return reverse("admin:billing_gatewaysetting_change", args=["stripe"])


def test_who_may_only_look_sees_terms_as_money() -> None:
    browser = signed_in("auditor")
    browser.get(page())  # it makes the rows of gateways
    GatewayTerms.objects.create(gateway_id="stripe", currency="EUR", minimum_minor=1_900, fixed_cost_minor=25)
    text = browser.get(page()).content.decode()
    for amount in ("€19.00", "€0.25"):
        assert re.search(rf">\s*{amount}\s*<", text)
    assert not re.search(r">\s*1,?900\s*<", text)


@pytest.mark.parametrize("group", ["support", "finance", "auditor"])
def test_all_operators_see_the_gateways(group: str) -> None:
    text = signed_in(group).get(reverse("admin:billing_gatewaysetting_changelist")).content.decode()
    assert "Stripe" in text
    assert "available" in text


@pytest.mark.parametrize(
    ("failures", "is_over", "words"),
    [
        (4, False, "available"),
        (5, False, "stopped: it failed too often"),
        (5, True, "being tried again"),
    ],
)
def test_page_says_whether_a_gateway_is_tried(failures: int, is_over: bool, words: str) -> None:
    fail(failures)
    if is_over:
        pause_ends("redis")
    assert states(signed_in("finance")) == [words]


@pytest.fixture
def keyless(made_anew: None, settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = ""


@pytest.mark.usefixtures("keyless")
def test_gateway_without_its_keys_is_not_configured_whatever_else_it_is() -> None:
    finance = signed_in("finance")
    assert states(finance) == ["not configured"]
    GatewaySetting.objects.filter(name="stripe").update(is_enabled=False)
    assert states(finance) == ["not configured"]


def states(browser: Client) -> list[str]:
    browser.get(reverse("admin:billing_gatewaysetting_changelist"))  # it makes the rows
    known = ("available", "being tried again", "stopped: it failed too often", "not configured", "switched off")
    text = browser.get(page()).content.decode()
    return [words for words in known if re.search(rf">\s*{words}\s*<", text)]


def test_secrets_are_shown_by_their_end_only(settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_0123456789abcd"
    GatewaySetting.objects.create(name="stripe")
    text = signed_in("finance").get(page()).content.decode()
    assert "STRIPE_SECRET_KEY" in text
    assert "••••abcd" in text
    assert "sk_test_0123456789" not in text


def test_finance_chooses_and_the_audit_log_keeps_it() -> None:
    GatewaySetting.objects.create(name="stripe")
    terms = {
        "terms-TOTAL_FORMS": "1",
        "terms-0-currency": "EUR",
        "terms-0-minimum_minor": "1.00",
        "terms-0-maximum_minor": "",
        "terms-0-fixed_cost_minor": "0,25",
    }
    changes = {"currencies": "USD,EUR", "countries": "FR", "priority": "5", "cost_basis_points": "290"}
    chosen: dict[str, Any] = {**PAGE, **terms, **changes}
    del chosen["is_enabled"]
    finance = signed_in("finance")
    answer = finance.post(page(), chosen)
    assert answer.status_code == 302, errors(answer)
    row = GatewaySetting.objects.get(pk="stripe")
    assert (row.is_enabled, row.priority, row.currencies, row.countries) == (False, 5, ["EUR", "USD"], ["FR"])
    found = GatewayTerms.objects.get()
    assert (found.currency, found.minimum_minor, found.maximum_minor, found.fixed_cost_minor) == ("EUR", 100, None, 25)
    opened = finance.get(page()).content.decode()
    assert re.findall(r'name="terms-0-\w+_minor" value="([^"]*)"', opened) == ["1.00", "0.25"]
    entry = LogEntry.objects.filter(object_pk=row.pk, action=LogEntry.Action.UPDATE).first()
    assert entry is not None
    assert entry.changes_dict["is_enabled"] == ["True", "False"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"currencies": "XXQ"}, "currencies"),
        ({"currencies": "ERN"}, "currencies"),
        ({"countries": "ZZ"}, "countries"),
        ({"cost_basis_points": "10001"}, "cost_basis_points"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(changes: dict[str, str], field: str) -> None:
    GatewaySetting.objects.create(name="stripe")
    assert set(errors(signed_in("finance").post(page(), {**PAGE, **changes}))) == {field}
    row = GatewaySetting.objects.get(pk="stripe")
    assert (row.currencies, row.countries, row.cost_basis_points) == ([], [], 0)


def test_terms_in_a_currency_that_the_gateway_does_not_take_are_refused() -> None:
    GatewaySetting.objects.create(name="stripe")
    terms = {"terms-TOTAL_FORMS": "1", "terms-0-currency": "ERN", "terms-0-fixed_cost_minor": "0"}
    answer = signed_in("finance").post(page(), {**PAGE, **terms})
    assert answer.status_code == 200
    assert not GatewayTerms.objects.exists()


@pytest.mark.parametrize("group", ["support", "auditor"])
def test_others_only_look(group: str) -> None:
    GatewaySetting.objects.create(name="stripe")
    assert signed_in(group).post(page(), {**PAGE, "priority": "5"}).status_code == 403
    assert GatewaySetting.objects.get(pk="stripe").priority == 100


def test_a_state_is_written_in_words_on_a_page_as_in_a_list(root: User, client: Client) -> None:
    client.get("/admin/billing/gatewaysetting/")  # makes the rows
    row = GatewaySetting.objects.get(name="cinetpay")
    GatewaySetting.objects.filter(pk=row.pk).update(is_enabled=False)
    listed = client.get("/admin/billing/gatewaysetting/").content.decode()
    page = client.get(f"/admin/billing/gatewaysetting/{row.pk}/change/").content.decode()
    for text in (listed, page):
        assert "switched off" in text
        assert "&#x27;disabled&#x27;" not in text
