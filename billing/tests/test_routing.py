"""Which gateway is chosen, and which rule speaks against the others."""

from typing import Any

import pytest

from billing.gateways.base import AmountRule, Capabilities, Flow
from billing.routing import Candidate, Decision, Health, Rule, RuledOut, Terms, Wish, decide
from ledger.money import Money

FRANCS = {"XOF": AmountRule(minimum_minor=100, maximum_minor=1_000_000, step_minor=5)}


def able(**values: Any) -> Capabilities:
    return Capabilities(**{"flows": frozenset({Flow.REDIRECT}), "currencies": FRANCS} | values)


def gateway(name: str = "cinetpay", capabilities: Capabilities | None = None, **values: Any) -> Candidate:
    return Candidate(name=name, capabilities=capabilities or able(), **values)


def wish(minor: int = 5_000, unit: str = "XOF", **values: Any) -> Wish:
    return Wish(amount=Money(minor, unit), **values)


def objection(asked: Wish, candidate: Candidate) -> RuledOut:
    decision = decide(asked, [candidate])
    assert decision.possible == ()
    return decision.ruled_out[-1]


def test_a_gateway_that_fits_is_possible() -> None:
    assert decide(wish(country="CI"), [gateway()]) == Decision(possible=("cinetpay",), ruled_out=())


@pytest.mark.parametrize(
    ("asked", "candidate", "rule", "detail"),
    [
        (wish(), gateway(is_enabled=False), Rule.DISABLED, ""),
        (wish(), gateway(is_configured=False), Rule.NOT_CONFIGURED, ""),
        (wish(preferred=["paypal"]), gateway(), Rule.NOT_ASKED_FOR, ""),
        (wish(unit="EUR"), gateway(), Rule.CURRENCY, "EUR"),
        (wish(), gateway(currencies=frozenset({"XAF"})), Rule.CURRENCY, "XOF"),
        (wish(country="FR"), gateway(capabilities=able(countries=frozenset({"CI"}))), Rule.COUNTRY, "FR"),
        (wish(country="FR"), gateway(countries=frozenset({"CI"})), Rule.COUNTRY, "FR"),
        (
            wish(country="SN"),
            gateway(capabilities=able(countries=frozenset({"CI", "SN"})), countries=frozenset({"CI"})),
            Rule.COUNTRY,
            "SN",
        ),
        (
            wish(saves_method=True),
            gateway(),
            Rule.CAPABILITY,
            "saved_methods",
        ),
        (wish(flow=Flow.CLIENT_SECRET), gateway(), Rule.FLOW, "client_secret"),
        (wish(), gateway(capabilities=able(needs_phone=True)), Rule.PHONE, ""),
        (wish(), gateway(health=Health.OPEN), Rule.BREAKER_OPEN, ""),
    ],
)
def test_each_rule_speaks_for_itself(asked: Wish, candidate: Candidate, rule: Rule, detail: str) -> None:
    assert objection(asked, candidate) == RuledOut(gateway="cinetpay", rule=rule, detail=detail)


@pytest.mark.parametrize(
    ("minor", "rule", "detail", "closest"),
    [
        (99, Rule.MINIMUM, "100 XOF", (100,)),
        (1_000_001, Rule.MAXIMUM, "1000000 XOF", (1_000_000,)),
        (999, Rule.STEP, "5 XOF", (995, 1_000)),
        (100, None, "", ()),
        (1_000_000, None, "", ()),
    ],
)
def test_a_wrong_amount_is_told_with_the_closest_right_ones(
    minor: int, rule: Rule | None, detail: str, closest: tuple[int, ...]
) -> None:
    decision = decide(wish(minor), [gateway()])
    expected = () if rule is None else (RuledOut(gateway="cinetpay", rule=rule, detail=detail, nearest_minor=closest),)
    assert decision.ruled_out == expected


def test_the_shops_own_limits_are_within_the_gateways() -> None:
    terms = {"XOF": Terms(minimum_minor=1_000, maximum_minor=2_000_000)}
    assert objection(wish(500), gateway(terms=terms)).nearest_minor == (1_000,)
    assert objection(wish(1_500_000), gateway(terms=terms)).nearest_minor == (1_000_000,)


def test_an_unknown_country_rules_nobody_out() -> None:
    candidate = gateway(capabilities=able(countries=frozenset({"CI"})))
    assert decide(wish(), [candidate]).best == "cinetpay"


def test_a_telephone_opens_the_gateways_that_need_one() -> None:
    candidate = gateway(capabilities=able(needs_phone=True))
    assert decide(wish(has_phone=True), [candidate]).best == "cinetpay"


def test_the_callers_order_comes_first() -> None:
    candidates = [gateway("a", priority=1), gateway("b", priority=2), gateway("c", priority=0)]
    decision = decide(wish(preferred=["b", "a"]), candidates)
    assert decision.possible == ("b", "a")
    assert decision.ruled_out == (RuledOut(gateway="c", rule=Rule.NOT_ASKED_FOR),)


def test_then_the_operators_priority_then_health_then_cost_then_the_name() -> None:
    candidates = [
        gateway("last", priority=200),
        gateway("sick", health=Health.HALF_OPEN),
        gateway("dear", cost_basis_points=300),
        gateway("fixed", cost_basis_points=100, terms={"XOF": Terms(fixed_cost_minor=49)}),
        gateway("cheap", cost_basis_points=199),
        gateway("also_cheap", cost_basis_points=199),
        gateway("first", priority=1, cost_basis_points=900),
    ]
    assert decide(wish(), [*candidates]).possible == (
        "first",
        "fixed",
        "also_cheap",
        "cheap",
        "dear",
        "sick",
        "last",
    )


def test_a_gateway_that_nobody_knows_is_told() -> None:
    decision = decide(wish(preferred=["paypall"]), [])
    assert decision.ruled_out == (RuledOut(gateway="paypall", rule=Rule.UNKNOWN),)


def test_the_decision_is_kept_as_json() -> None:
    candidates = [gateway("a"), gateway("b", is_enabled=False), gateway("c", currencies=frozenset({"XAF"}))]
    anything = gateway("d", capabilities=able(currencies={"XOF": AmountRule()}))
    assert decide(wish(1_001), [*candidates, anything]).as_json() == {
        "possible": ["d"],
        "ruled_out": [
            {"gateway": "a", "rule": "step", "detail": "5 XOF", "nearest_amounts": [1_000, 1_005]},
            {"gateway": "b", "rule": "disabled"},
            {"gateway": "c", "rule": "currency", "detail": "XOF"},
        ],
    }
