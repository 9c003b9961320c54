"""Which gateway pays a withdrawal out, decided without reading anything."""

import pytest

from billing import payout_routing
from billing.gateways.base import AmountRule, Capabilities, DestinationKind, Flow
from billing.routing import Candidate, Health
from ledger.money import Money
from wallets.models import Destination

NUMBER = Destination(kind="mobile_money", value="+237670000001", operator="MTN")
MAIL = Destination(kind="paypal", value="ann@example.com")
ACCOUNT = Destination(kind="stripe", value="acct_1NkV2zLkdIwHu7ix")


def candidate(name: str, *kinds: DestinationKind, **changes: object) -> Candidate:
    able = {"countries", "payout_operators", "payout_currencies"}
    known: dict[str, object] = {"payout_currencies": {"XAF": AmountRule(minimum_minor=500, step_minor=5)}}
    known |= {name: changes.pop(name) for name in able & changes.keys()}
    capabilities = Capabilities(flows=frozenset({Flow.NONE}), currencies={}, payout=frozenset(kinds), **known)  # type: ignore[arg-type]
    return Candidate(name=name, capabilities=capabilities, **changes)  # type: ignore[arg-type]


MTN = candidate(
    "mtn_momo", DestinationKind.PHONE, countries=frozenset({"CM"}), payout_operators=frozenset({"MTN"}), priority=20
)
CINETPAY = candidate("cinetpay", DestinationKind.PHONE, priority=10)
PAYPAL = candidate("paypal", DestinationKind.EMAIL, DestinationKind.ACCOUNT)
STRIPE = candidate("stripe", DestinationKind.ACCOUNT)


def choice(goal: Destination, *among: Candidate, minor: int = 1_000, currency: str = "XAF") -> tuple[object, ...]:
    wish = payout_routing.wanted(Money(minor, currency), goal, "Ann")
    decision = payout_routing.decide(wish, among or (MTN, CINETPAY, PAYPAL, STRIPE))
    return decision.possible, {each.gateway: each.rule.value for each in decision.ruled_out}


def test_number_goes_to_whoever_reaches_telephones_in_the_operators_order() -> None:
    assert choice(NUMBER) == (("cinetpay", "mtn_momo"), {"paypal": "destination", "stripe": "destination"})


def test_mail_address_is_paypals_alone_and_a_connected_account_stripes() -> None:
    assert choice(MAIL)[0] == ("paypal",)
    assert choice(ACCOUNT)[0] == ("stripe",)


@pytest.mark.parametrize(
    ("goal", "rule"),
    [
        (Destination(kind="mobile_money", value="+2250555000000", operator="MTN"), "country"),
        (Destination(kind="mobile_money", value="+237690000001", operator="ORANGE"), "operator"),
    ],
)
def test_number_that_mtn_does_not_reach_goes_elsewhere(goal, rule) -> None:
    assert choice(goal, MTN, CINETPAY) == (("cinetpay",), {"mtn_momo": rule})


@pytest.mark.parametrize(
    ("minor", "currency", "rule"), [(495, "XAF", "minimum"), (1_001, "XAF", "step"), (1_000, "EUR", "currency")]
)
def test_amount_that_a_gateway_cannot_pay_rules_it_out(minor, currency, rule) -> None:
    assert choice(NUMBER, CINETPAY, minor=minor, currency=currency) == ((), {"cinetpay": rule})


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"is_enabled": False}, "disabled"),
        ({"is_configured": False}, "not_configured"),
        ({"health": Health.OPEN}, "breaker_open"),
    ],
)
def test_gateway_that_is_off_or_down_is_ruled_out(changes, rule) -> None:
    assert choice(NUMBER, candidate("cinetpay", DestinationKind.PHONE, **changes)) == ((), {"cinetpay": rule})
