"""One suite for every gateway, over HTTP against the sandbox: what an adapter says is what the gateway's books say."""

from typing import Any

import pytest

from billing.gateways.base import (
    PaymentState,
)
from billing.gateways.errors import (
    AmountRefused,
    Declined,
    FailureCategory,
    GatewayError,
    Unavailable,
    Uncertain,
)
from billing.gateways.http import Channel, Reply
from billing.tests.gateways import contenders
from billing.tests.gateways.contenders import Contender
from billing.tests.gateways.contract import books, every, settled
from sandbox.testing import Sandbox

# ---------------------------------------------------------------- money in


@every
def test_payment_succeeds(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.checkout(contender)
    opened = adapter.open_checkout(request)
    assert opened.state is PaymentState.REQUIRES_ACTION
    sandbox.play(contenders.shown(opened.next_action))
    payment = contenders.remembered(request, opened)
    result = settled(adapter, payment)
    assert result.state is PaymentState.SUCCEEDED
    assert result.amount == contender.amount
    assert adapter.fetch_payment(contenders.learned(payment, result)).state is PaymentState.SUCCEEDED
    [line] = books(sandbox, contender)
    assert line["reference"] == contender.written(request.reference)
    assert (line["amount_minor"], line["state"]) == (contender.amount.minor, "paid")


@every
def test_buyer_who_did_nothing_has_not_paid(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.checkout(contender)
    opened = adapter.open_checkout(request)
    result = adapter.fetch_payment(contenders.remembered(request, opened))
    assert result.state in (PaymentState.REQUIRES_ACTION, PaymentState.PENDING)
    assert result.failure is None


@every
def test_declined_payment_is_not_paid(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.checkout(contender)
    opened = adapter.open_checkout(request)
    sandbox.play(contenders.shown(opened.next_action), "decline")
    result = settled(adapter, contenders.remembered(request, opened))
    assert result.state is contender.declined_as
    assert (result.failure is not None) is contender.tells_decline
    if result.failure is not None:
        assert result.failure.category in (FailureCategory.PAYER_DECLINED, FailureCategory.PAYER_CANCELLED)
    assert [line["state"] for line in books(sandbox, contender)] != ["paid"]


@every
def test_buyer_who_walks_away_has_not_paid(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.checkout(contender)
    opened = adapter.open_checkout(request)
    sandbox.play(contenders.shown(opened.next_action), "abandon")
    assert settled(adapter, contenders.remembered(request, opened)).state is contender.abandoned_as


@every
def test_payment_that_nobody_made_expires(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.checkout(contender)
    opened = adapter.open_checkout(request)
    age = contender.lifetime.total_seconds() + 1
    sandbox.advance(age)
    result = adapter.fetch_payment(contenders.remembered(request, opened, age_seconds=age))
    assert result.state is PaymentState.EXPIRED


@every
def test_unknown_payment_is_not_found(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.checkout(contender)
    assert adapter.fetch_payment(contenders.remembered(request)).state is PaymentState.NOT_FOUND


@every
def test_illegal_amount_is_refused_before_any_call(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    for amount in contender.illegal:
        with pytest.raises(AmountRefused) as refused:
            adapter.open_checkout(contenders.checkout(contender, amount=amount))
        assert contender.gateway in refused.value.reason
        for legal in refused.value.nearest:
            adapter.open_checkout(contenders.checkout(contender, amount=legal))
    assert len(books(sandbox, contender)) == len(
        [line for line in sandbox.requests(contender.gateway) if line.get("acted_with_status") in (200, 201, 202)
         and "token" not in line["path"] and "login" not in line["path"]]
    )  # fmt: skip


# ---------------------------------------------------------------- the wire fails


@every
def test_call_that_was_cut_before_acting_made_nothing(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    adapter.check_health()
    adapter.open_checkout(contenders.checkout(contender))  # the token is known from here
    sandbox.turn(contender.gateway, drop_before=1.0)
    request = contenders.checkout(contender)
    with pytest.raises(Uncertain):
        adapter.open_checkout(request)
    sandbox.turn(contender.gateway, drop_before=0.0)
    assert adapter.fetch_payment(contenders.remembered(request)).state is PaymentState.NOT_FOUND
    assert len(books(sandbox, contender)) == 1


@every
@pytest.mark.parametrize("dial", ["drop_after", "http500_after", "html"])
def test_lost_reply_is_uncertain_and_the_question_resolves_it(
    sandbox: Sandbox, contender: Contender, dial: str
) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    adapter.open_checkout(contenders.checkout(contender))
    request = contenders.checkout(contender)
    sandbox.turn(contender.gateway, **{dial: 1.0})
    with pytest.raises(Uncertain):
        adapter.open_checkout(request)
    sandbox.turn(contender.gateway, **{dial: 0.0})
    assert len(books(sandbox, contender)) == 2
    found = adapter.fetch_payment(contenders.remembered(request))
    if contender.resolves_lost_page:
        assert found.state in (PaymentState.REQUIRES_ACTION, PaymentState.PENDING)
    else:  # its page went down with the reply: nobody can pay there
        assert found.state is PaymentState.NOT_FOUND


@every
def test_reply_that_comes_too_late_is_uncertain(
    sandbox: Sandbox, contender: Contender, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    adapter.open_checkout(contenders.checkout(contender))  # has a token now
    sandbox.turn(contender.gateway, latency_ms=600)
    usual = Channel.call

    def call(channel: Channel, *args: Any, **facts: Any) -> Reply:
        channel.limits = contenders.IMPATIENT
        return usual(channel, *args, **facts)

    monkeypatch.setattr(Channel, "call", call)
    with pytest.raises(Uncertain) as late:
        adapter.open_checkout(contenders.checkout(contender))
    assert late.value.code == "read_timeout"


@every
def test_gateway_that_is_away_was_asked_nothing(sandbox: Sandbox, contender: Contender) -> None:
    nowhere = Sandbox("http://127.0.0.1:9")
    adapter = contender.make(nowhere, contenders.LIMITS)
    with pytest.raises(Unavailable):
        adapter.open_checkout(contenders.checkout(contender))
    with pytest.raises(Unavailable):
        adapter.check_health()


@every
def test_repeated_reference_acts_once(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.checkout(contender)
    first = adapter.open_checkout(request)
    if contender.repeat == "refused":
        with pytest.raises(Uncertain) as unsure:
            adapter.open_checkout(request)
        assert unsure.value.category is FailureCategory.DUPLICATE
    else:
        again = adapter.open_checkout(request)
        assert again.state is first.state
        same_page = [contenders.shown(first.next_action)] if contender.repeat == "same page" else [None]
        assert [again.next_action and contenders.shown(again.next_action)] == same_page
    assert len(books(sandbox, contender)) == 1


@every
def test_wrong_credentials_are_a_matter_of_configuration(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    changed = {
        "stripe": "secret_key",
        "paypal": "client_secret",
        "cinetpay": "apikey",
        "mtn_momo": "api_key",
        "orange_money": "client_secret",
    }
    more = {"cinetpay": {"api_key": "another"}}
    sandbox.configure(
        contender.gateway, **{changed[contender.gateway]: "sk_test_another"}, **more.get(contender.gateway, {})
    )
    with pytest.raises(Unavailable) as refused:
        adapter.open_checkout(contenders.checkout(contender))
    assert refused.value.category is FailureCategory.CONFIGURATION
    assert books(sandbox, contender) == []


@every
def test_token_that_ran_out_is_renewed_unnoticed(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    adapter.open_checkout(contenders.checkout(contender))
    sandbox.advance(86_400)  # for the gateway the token is old; our own clock has not moved
    request = contenders.checkout(contender)
    opened = adapter.open_checkout(request)
    assert opened.state is PaymentState.REQUIRES_ACTION


def test_errors_are_exactly_three() -> None:
    kinds = {Declined, Unavailable, Uncertain}
    assert set(GatewayError.__subclasses__()) == kinds
