"""What anybody may know of the gateways."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from billing import breaker, gateway_choices
from billing.gateways import registry
from billing.gateways.base import AmountRule, Capabilities, DestinationKind, Flow, Trust
from billing.gateways.errors import FailureCategory, Uncertain
from billing.models import GatewaySetting, GatewayTerms
from billing.routing import Rule, RuledOut, Wish
from ledger.money import Money

pytestmark = pytest.mark.django_db


class Toy:
    """A gateway that can do little, and is asked nothing."""

    def __init__(self, name: str, *missing: str, **able: Any) -> None:
        usual: dict[str, Any] = {
            "flows": frozenset({Flow.REDIRECT}),
            "currencies": {"XOF": AmountRule(minimum_minor=100, maximum_minor=1_000_000, step_minor=5)},
        }
        self.name = name
        self.capabilities = Capabilities(**usual | able)
        self.missing = missing

    def missing_settings(self) -> tuple[str, ...]:
        return self.missing

    def check_health(self) -> None:
        raise AssertionError("Nobody asks it.")


@pytest.fixture(autouse=True)
def toys(made_anew: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "stripe": Toy(
            "stripe",
            currencies={"EUR": AmountRule(minimum_minor=50), "XOF": AmountRule()},
            refund=True,
            payout=frozenset({DestinationKind.ACCOUNT}),
            payout_currencies={"EUR": AmountRule()},
            webhook_trust=Trust.SIGNED,
        ),
        "cinetpay": Toy("cinetpay", countries=frozenset({"CI", "SN"}), pending_lifetime=timedelta(hours=1)),
        "paypal": Toy("paypal", "PAYPAL_CLIENT_ID"),
    }
    monkeypatch.setattr(registry, "BUILDERS", {name: lambda toy=toy: toy for name, toy in made.items()})


def gateways(client: Client, **query: str) -> dict[str, dict[str, Any]]:
    answer = client.get("/api/v1/gateways", query)
    assert answer.status_code == 200, answer.content
    return {each["name"]: each for each in answer.json()["results"]}


def test_strangers_see_what_a_gateway_can_do(client: Client) -> None:
    assert gateways(client)["cinetpay"] == {
        "name": "cinetpay",
        "status": "available",
        "flows": ["redirect"],
        "needs_phone": False,
        "limits": [{"currency": "XOF", "minimum": 100, "maximum": 1_000_000, "step": 5}],
        "countries": ["CI", "SN"],
        "capabilities": {
            "refund": False,
            "partial_refund": False,
            "cancel": False,
            "saved_methods": False,
            "recurring": False,
        },
        "payouts": None,
        "pending_lifetime_seconds": 3_600,
        "webhook_trust": "unsigned",
    }
    assert gateways(client)["stripe"]["payouts"] == {"to": ["account"], "currencies": ["EUR"]}


def test_each_says_how_it_is(client: Client) -> None:
    GatewaySetting.objects.create(name="cinetpay", is_enabled=False)
    for _ in range(5):
        breaker.note("stripe", Uncertain("No reply.", gateway="stripe", category=FailureCategory.PROVIDER_DOWN))
    statuses = {name: each["status"] for name, each in gateways(client).items()}
    assert statuses == {"stripe": "unavailable", "cinetpay": "disabled", "paypal": "not_configured"}


def test_the_operators_limits_narrow_the_gateways(client: Client) -> None:
    row = GatewaySetting.objects.create(name="cinetpay", countries=["CI", "FR"])
    GatewayTerms.objects.create(gateway=row, currency="XOF", minimum_minor=500, maximum_minor=5_000_000)
    found = gateways(client)["cinetpay"]
    assert found["limits"] == [{"currency": "XOF", "minimum": 500, "maximum": 1_000_000, "step": 5}]
    assert found["countries"] == ["CI"]


def test_they_stand_in_the_operators_order(client: Client) -> None:
    GatewaySetting.objects.create(name="cinetpay", priority=1)
    GatewaySetting.objects.create(name="stripe", priority=200)
    assert list(gateways(client)) == ["cinetpay", "paypal", "stripe"]


def test_they_are_found_by_currency_and_country(client: Client) -> None:
    assert set(gateways(client, currency="EUR")) == {"stripe"}
    assert set(gateways(client, country="FR")) == {"stripe", "paypal"}
    assert set(gateways(client, currency="XOF", country="SN")) == {"stripe", "cinetpay", "paypal"}


@pytest.mark.parametrize("query", [{"currency": "XXQ"}, {"country": "ZZ"}, {"colour": "red"}])
def test_a_query_that_makes_no_sense_is_refused(client: Client, query: dict[str, str]) -> None:
    assert client.get("/api/v1/gateways", query).status_code == 400


def test_the_list_takes_two_queries_however_many_they_are(client: Client, django_assert_num_queries: Any) -> None:
    gateway_choices.make_rows()
    with django_assert_num_queries(2):
        gateways(client)


def test_a_choice_goes_by_what_operators_said() -> None:
    GatewaySetting.objects.create(name="stripe", currencies=["EUR"])
    decision = gateway_choices.choose(Wish(amount=Money(5_000, "XOF"), country="CI"))
    assert decision.possible == ("cinetpay",)
    assert set(decision.ruled_out) == {
        RuledOut(gateway="stripe", rule=Rule.CURRENCY, detail="XOF"),
        RuledOut(gateway="paypal", rule=Rule.NOT_CONFIGURED),
    }


def test_credentials_are_shown_by_their_end(settings: Any) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_0123456789abcd"
    settings.STRIPE_PUBLISHABLE_KEY = "short"
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_0123456789", "whsec_9876543210"]
    shown = {each.name: each.shown for each in gateway_choices.credentials("stripe")}
    assert shown == {
        "STRIPE_SECRET_KEY": "••••abcd",
        "STRIPE_PUBLISHABLE_KEY": "••••",
        "STRIPE_WEBHOOK_SECRETS": "••••6789, ••••3210",
    }


def test_every_credential_is_a_setting(settings: Any) -> None:
    assert set(gateway_choices.CREDENTIALS) == set(registry.NAMES)
    for names in gateway_choices.CREDENTIALS.values():
        assert all(hasattr(settings, name) for name in names)
