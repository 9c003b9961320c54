"""A call of a gateway: stopped, measured, counted, and tried again where that is safe."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from prometheus_client import REGISTRY

from billing import breaker, calling
from billing.breaker import CircuitOpen
from billing.gateways.errors import Declined, FailureCategory, GatewayError, Unavailable, Uncertain
from billing.routing import Health

DOWN = FailureCategory.PROVIDER_DOWN
pytestmark = pytest.mark.django_db


def unavailable(retry_after_seconds: int | None = None, category: FailureCategory = DOWN) -> Unavailable:
    return Unavailable("Away.", gateway="stripe", category=category, retry_after_seconds=retry_after_seconds)


class Act:
    """Fails as it is told to, then answers."""

    def __init__(self, *failures: GatewayError) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def call(act: Callable[[], str], waits: list[float], *, is_new_attempt: bool = False, chance: float = 1.0) -> str:
    return calling.call(
        "stripe", "open_checkout", act, is_new_attempt=is_new_attempt, wait=waits.append, chance=lambda: chance
    )


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"gateway": "stripe", "operation": "open_checkout", **labels}) or 0.0


def test_an_answer_comes_through() -> None:
    waits: list[float] = []
    assert call(Act(), waits) == "done"
    assert waits == []


def test_no_gateway_is_called_inside_a_transaction() -> None:
    called: list[bool] = []
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        calling.call("stripe", "open", lambda: called.append(True))
    assert called == []


def test_what_surely_did_nothing_is_tried_three_times_at_most() -> None:
    waits: list[float] = []
    act = Act(unavailable(), unavailable(), unavailable())
    with pytest.raises(Unavailable):
        call(act, waits)
    assert act.calls == 3
    assert waits == [0.5, 1.0]


def test_the_second_try_may_do() -> None:
    act = Act(unavailable())
    assert call(act, []) == "done"
    assert act.calls == 2


@pytest.mark.parametrize(("chance", "waits"), [(0.0, [0.25, 0.5]), (0.5, [0.375, 0.75]), (1.0, [0.5, 1.0])])
def test_waits_differ_by_chance(chance: float, waits: list[float]) -> None:
    seen: list[float] = []
    with pytest.raises(Unavailable):
        call(Act(unavailable(), unavailable(), unavailable()), seen, chance=chance)
    assert seen == waits


@pytest.mark.parametrize(
    "error",
    [
        Uncertain("No reply.", gateway="stripe", category=DOWN),
        Declined("No.", gateway="stripe"),
        unavailable(category=FailureCategory.CONFIGURATION),
        unavailable(retry_after_seconds=60),
    ],
)
def test_everything_else_is_asked_once(error: GatewayError) -> None:
    act = Act(error)
    with pytest.raises(type(error)):
        call(act, [])
    assert act.calls == 1


def test_a_gateway_that_says_how_long_is_left_alone_so_long() -> None:
    waits: list[float] = []
    assert call(Act(unavailable(retry_after_seconds=4)), waits) == "done"
    assert waits == [4]


def test_no_setting_allows_a_fourth_try(settings: Any) -> None:
    settings.GATEWAY_TRIES = 9
    act = Act(*[unavailable() for _ in range(9)])
    with pytest.raises(Unavailable):
        call(act, [])
    assert act.calls == 3


def test_an_open_breaker_stops_a_new_attempt_before_any_call() -> None:
    for _ in range(5):
        breaker.note("stripe", unavailable())
    act = Act()
    with pytest.raises(CircuitOpen):
        call(act, [], is_new_attempt=True)
    assert act.calls == 0


def test_an_open_breaker_stops_no_question() -> None:
    for _ in range(5):
        breaker.note("stripe", unavailable())
    assert call(Act(), []) == "done"


def test_calls_that_fail_open_the_breaker() -> None:
    for _ in range(2):
        with pytest.raises(Unavailable):
            call(Act(*[unavailable() for _ in range(3)]), [])
    assert breaker.states(["stripe"]) == {"stripe": Health.OPEN}


def test_calls_that_are_refused_do_not() -> None:
    for _ in range(10):
        with pytest.raises(Declined):
            call(Act(Declined("No.", gateway="stripe", category=FailureCategory.PAYER_DECLINED)), [])
    assert breaker.states(["stripe"]) == {"stripe": Health.CLOSED}


def test_failures_and_times_are_counted() -> None:
    errors = {"error": "Unavailable", "category": "provider_down"}
    failed, tried = figure("payment_errors_total", **errors), figure("payment_gateway_retries_total")
    timed = figure("payment_gateway_response_time_count")
    call(Act(unavailable()), [])
    assert figure("payment_errors_total", **errors) == failed + 1
    assert figure("payment_gateway_retries_total") == tried + 1
    assert figure("payment_gateway_response_time_count") == timed + 2
