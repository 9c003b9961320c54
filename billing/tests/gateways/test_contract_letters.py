"""The contract suite on letters: what they may say, and what no forger gets done."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from billing.gateways import letters
from billing.gateways.base import (
    Letter,
    PaymentRef,
    PaymentState,
    Trust,
)
from billing.gateways.errors import (
    InvalidLetter,
)
from billing.tests.gateways import contenders
from billing.tests.gateways.contenders import CONTENDERS, Contender
from billing.tests.gateways.contract import every, paid, settled
from billing.tests.gateways.mailbox import Mailbox, open_mailbox
from sandbox.testing import Sandbox


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox() as opened:
        yield opened


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
    assert result.amount == contender.amount


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
