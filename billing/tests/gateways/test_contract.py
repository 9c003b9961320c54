"""One suite for every gateway, over HTTP against the sandbox: what an adapter says is what the gateway's books say."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from billing.gateways import letters
from billing.gateways.base import (
    Letter,
    PaymentRef,
    PaymentResult,
    PaymentState,
    PayoutRef,
    PayoutRequest,
    PayoutResult,
    PayoutState,
    RefundRef,
    RefundRequest,
    RefundState,
    Trust,
)
from billing.gateways.errors import (
    AmountRefused,
    Declined,
    FailureCategory,
    GatewayError,
    InvalidLetter,
    Unavailable,
    Uncertain,
)
from billing.tests.gateways import contenders
from billing.tests.gateways.contenders import CONTENDERS, Contender
from billing.tests.gateways.mailbox import Mailbox, open_mailbox
from sandbox.testing import Sandbox

A_MOMENT = 60  # seconds, after which the sandbox has done what it does later

every = pytest.mark.parametrize("contender", CONTENDERS, ids=str)
refunding = pytest.mark.parametrize("contender", [each for each in CONTENDERS if each.refunds], ids=str)
paying_out = pytest.mark.parametrize("contender", [each for each in CONTENDERS if each.payout_to], ids=str)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox() as opened:
        yield opened


def books(sandbox: Sandbox, contender: Contender, kind: str = "payments") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.books(contender.gateway)[kind]
    return found


def paid(sandbox: Sandbox, contender: Contender, adapter: Any, notify_url: str = "") -> PaymentRef:
    """A payment that the buyer has made, as billing would remember it."""
    request = contenders.checkout(contender, notify_url=notify_url)
    opened = adapter.open_checkout(request)
    sandbox.play(contenders.shown(opened.next_action))
    payment = contenders.remembered(request, opened)
    result = settled(adapter, payment)
    assert result.state is PaymentState.SUCCEEDED
    return contenders.learned(payment, result)


def settled(adapter: Any, payment: PaymentRef) -> PaymentResult:
    """Ask, and capture what waits for it."""
    result: PaymentResult = adapter.fetch_payment(payment)
    if result.state is PaymentState.AUTHORIZED:
        result = adapter.capture(payment)
    return result


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
    assert result.amount == (contender.amount if contender.amount_is_told else None)
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
def test_reply_that_comes_too_late_is_uncertain(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.IMPATIENT)
    adapter.open_checkout(contenders.checkout(contender))
    sandbox.turn(contender.gateway, latency_ms=600)
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


# ---------------------------------------------------------------- refunds


def refund_of(payment: PaymentRef, contender: Contender, amount: Any) -> RefundRequest:
    return RefundRequest(reference=contenders.reference(), payment=payment, amount=amount, reason="not delivered")


def refund_ref(request: RefundRequest) -> RefundRef:
    return RefundRef(reference=request.reference, payment=request.payment, amount=request.amount)


@refunding
def test_refund_in_full(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    request = refund_of(payment, contender, contender.amount)
    sent = adapter.send_refund(request)
    sandbox.advance(A_MOMENT)
    result = adapter.fetch_refund(replace(refund_ref(request), ids=sent.ids))
    assert (result.state, result.amount) == (RefundState.SUCCEEDED, contender.amount)
    [line] = books(sandbox, contender, "refunds")
    assert (line["amount_minor"], line["state"]) == (contender.amount.minor, "paid")
    assert line["reference"] == request.reference


@refunding
def test_refund_in_parts(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    for amount in (contender.part, contender.amount - contender.part):
        request = refund_of(payment, contender, amount)
        adapter.send_refund(request)
        sandbox.advance(A_MOMENT)
        result = adapter.fetch_refund(refund_ref(request))
        assert (result.state, result.amount) == (RefundState.SUCCEEDED, amount)
    assert sum(line["amount_minor"] for line in books(sandbox, contender, "refunds")) == contender.amount.minor


@refunding
def test_refund_of_too_much_gives_nothing_back(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    request = refund_of(payment, contender, contender.amount + contender.part)
    if contender.refund_refusal_is_late:
        adapter.send_refund(request)
        sandbox.advance(A_MOMENT)
        assert adapter.fetch_refund(refund_ref(request)).state is RefundState.FAILED
    else:
        with pytest.raises(Declined) as declined:
            adapter.send_refund(request)
        assert declined.value.category is FailureCategory.LIMIT
    assert [line for line in books(sandbox, contender, "refunds") if line["state"] == "paid"] == []


@refunding
def test_repeated_refund_gives_back_once(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    request = refund_of(payment, contender, contender.part)
    adapter.send_refund(request)
    adapter.send_refund(request)
    assert [line["amount_minor"] for line in books(sandbox, contender, "refunds")] == [contender.part.minor]


@refunding
@pytest.mark.parametrize("dial", ["drop_after", "http500_after", "html"])
def test_refund_whose_reply_was_lost_is_found(sandbox: Sandbox, contender: Contender, dial: str) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    adapter.send_refund(refund_of(payment, contender, contender.part))  # every token is known from here
    request = refund_of(payment, contender, contender.part)
    sandbox.turn(contender.gateway, **{dial: 1.0})
    with pytest.raises(Uncertain):
        adapter.send_refund(request)
    sandbox.turn(contender.gateway, **{dial: 0.0})
    sandbox.advance(A_MOMENT)
    assert adapter.fetch_refund(refund_ref(request)).state is RefundState.SUCCEEDED


@refunding
def test_refund_that_never_arrived_is_not_found(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    request = refund_of(payment, contender, contender.part)
    assert adapter.fetch_refund(refund_ref(request)).state is RefundState.NOT_FOUND


# ---------------------------------------------------------------- payouts


def payout_ref(request: PayoutRequest, result: PayoutResult | None = None) -> PayoutRef:
    return PayoutRef(
        reference=request.reference, amount=request.amount, ids=result.ids if result else {}, request=request
    )


@paying_out
def test_payout_is_paid(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.payout(contender)
    sent = adapter.send_payout(request)
    assert sent.state is PayoutState.PENDING
    sandbox.advance(A_MOMENT)
    result = adapter.fetch_payout(payout_ref(request, sent))
    assert (result.state, result.amount) == (PayoutState.PAID, contender.amount)
    [line] = books(sandbox, contender, "payouts")
    assert (line["amount_minor"], line["state"]) == (contender.amount.minor, "paid")
    assert line["reference"] == contender.written(request.reference)


@paying_out
def test_declined_payout_is_not_paid(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.payout(contender, to=contender.payout_declined_to)
    sent = adapter.send_payout(request)
    sandbox.advance(A_MOMENT)
    result = adapter.fetch_payout(payout_ref(request, sent))
    assert result.state is PayoutState.FAILED
    assert result.failure is not None
    assert [line["state"] for line in books(sandbox, contender, "payouts")] == ["failed"]


@paying_out
@pytest.mark.parametrize("dial", ["drop_after", "http500_after", "html"])
def test_payout_whose_reply_was_lost_is_found_and_paid_once(sandbox: Sandbox, contender: Contender, dial: str) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = _payout_with_lost_reply(sandbox, contender, adapter, dial)
    sandbox.advance(A_MOMENT)
    assert adapter.fetch_payout(payout_ref(request)).state is PayoutState.PAID
    ours = [
        line
        for line in books(sandbox, contender, "payouts")
        if line["reference"] == contender.written(request.reference)
    ]
    assert [line["state"] for line in ours] == ["paid"]


def _payout_with_lost_reply(sandbox: Sandbox, contender: Contender, adapter: Any, dial: str) -> PayoutRequest:
    """Of the several calls that a payout may take, lose the reply to the one that moves money."""
    adapter.send_payout(contenders.payout(contender))
    for seed in range(1, 50):
        request = contenders.payout(contender)
        sandbox.turn(contender.gateway, seed=seed, **{dial: 0.5})
        try:
            adapter.send_payout(request)
        except Uncertain:
            sandbox.turn(contender.gateway, **{dial: 0.0})
            return request
        except Unavailable:
            continue  # a call before that one was lost, and nothing was sent
    raise AssertionError("No reply was lost.")


@paying_out
def test_repeated_payout_is_paid_once(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.payout(contender)
    adapter.send_payout(request)
    again = adapter.send_payout(request)
    assert again.state in (PayoutState.PENDING, PayoutState.IN_TRANSIT)
    assert len(books(sandbox, contender, "payouts")) == 1


# ---------------------------------------------------------------- letters


def letters_of(
    sandbox: Sandbox, contender: Contender, adapter: Any, mailbox: Mailbox
) -> tuple[PaymentRef, list[Letter]]:
    token = contenders.reference()
    if contender.webhook_url_setting:
        sandbox.configure(contender.gateway, webhook_url=mailbox.url(token))
    payment = paid(sandbox, contender, adapter, notify_url=mailbox.url(token))
    sandbox.letters(contender.gateway)
    found = mailbox.about(token)
    assert found
    return payment, found


@every
def test_letter_names_its_payment(sandbox: Sandbox, contender: Contender, mailbox: Mailbox) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment, found = letters_of(sandbox, contender, adapter, mailbox)
    for letter in found:
        [hint] = adapter.read_letter(letter)
        assert hint.trust is contender.trust
        assert hint.reference in (payment.reference, "")
        assert hint.reference or letter.token
        assert letters.fits(hint, payment.ids)


@every
def test_letter_that_comes_twice_is_one_event(sandbox: Sandbox, contender: Contender, mailbox: Mailbox) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    _, found = letters_of(sandbox, contender, adapter, mailbox)
    first, again = adapter.read_letter(found[-1]), adapter.read_letter(found[-1])
    assert first == again
    ids = {hint.event_id for letter in found for hint in adapter.read_letter(letter)}
    assert len(ids) == len(found)


def is_refused(adapter: Any, letter: Letter) -> bool:
    try:
        adapter.read_letter(letter)
    except InvalidLetter:
        return True
    return False


@every
def test_forged_letter_moves_nothing(sandbox: Sandbox, contender: Contender, mailbox: Mailbox) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    token = contenders.reference()
    if contender.webhook_url_setting:
        sandbox.configure(contender.gateway, webhook_url=mailbox.url(token))
    sandbox.turn(contender.gateway, notify={"forge": 1.0})
    request = contenders.checkout(contender, notify_url=mailbox.url(token))
    opened = adapter.open_checkout(request)
    sandbox.letters(contender.gateway)
    payment = contenders.remembered(request, opened)
    found = mailbox.about(token)
    letter = found[0]
    match contender.trust:
        case Trust.SIGNED:
            is_forged = [contender.forged_mark in each.body for each in found]
            assert any(is_forged)
            assert [is_refused(adapter, each) for each in found] == is_forged
        case Trust.SHARED_SECRET:
            [hint] = adapter.read_letter(letter)
            assert not letters.fits(hint, payment.ids)
        case Trust.UNSIGNED:
            adapter.read_letter(letter)  # nobody can tell; it says only where to look
    assert adapter.fetch_payment(payment).state in (PaymentState.REQUIRES_ACTION, PaymentState.PENDING)


@pytest.mark.parametrize("contender", [each for each in CONTENDERS if each.trust is Trust.SIGNED], ids=str)
def test_letter_with_one_letter_changed_is_refused(sandbox: Sandbox, contender: Contender, mailbox: Mailbox) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    _, found = letters_of(sandbox, contender, adapter, mailbox)
    body = found[-1].body
    with pytest.raises(InvalidLetter):
        adapter.read_letter(replace(found[-1], body=body.replace(b"0", b"1", 1)))
    with pytest.raises(InvalidLetter):
        adapter.read_letter(replace(found[-1], headers={}))


@every
def test_letter_over_another_amount_does_not_change_what_was_paid(
    sandbox: Sandbox, contender: Contender, mailbox: Mailbox
) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    sandbox.turn(contender.gateway, notify={"wrong_amount": 1.0})
    payment, found = letters_of(sandbox, contender, adapter, mailbox)
    for letter in found:
        try:
            adapter.read_letter(letter)
        except InvalidLetter:
            continue
    result = adapter.fetch_payment(payment)
    assert result.state is PaymentState.SUCCEEDED
    assert result.amount == (contender.amount if contender.amount_is_told else None)


@every
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"{}", b"a=b", b'{"id": 1}'])
def test_nonsense_is_refused(sandbox: Sandbox, contender: Contender, body: bytes) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    with pytest.raises(InvalidLetter):
        adapter.read_letter(Letter(method="POST", headers={}, body=body))


@every
def test_what_is_kept_of_replies_names_nobody(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.checkout(contender)
    opened = adapter.open_checkout(request)
    sandbox.play(contenders.shown(opened.next_action))
    result = settled(adapter, contenders.remembered(request, opened))
    kept = str([opened.raw, result.raw])
    for secret in ("237670000001", "awa@example.org", "buyer@example.com"):
        assert secret not in kept


def test_errors_are_exactly_three() -> None:
    kinds = {Declined, Unavailable, Uncertain}
    assert set(GatewayError.__subclasses__()) == kinds
