"""What the machine will not decide alone is told to the operators, once, in the language of the house."""

from datetime import timedelta

import pytest
from django.core import mail as outbox
from django.db import transaction
from django.utils import timezone, translation

from billing import cases, errors, refunds, refunds_by_hand
from billing.models import Case
from billing.models.cases import CaseKind
from billing.tests import shop
from events import letters, mail
from events.models import Kind, Message
from ledger.money import Money

pytestmark = pytest.mark.django_db


def opened(stripe, kind: CaseKind = CaseKind.STILL_UNKNOWN) -> Case:
    payment = shop.paid(stripe)
    return cases.open(kind=kind, payment=payment, attempt=payment.attempts.get(), key="1", amount=payment.money)


def test_every_operator_is_told_of_a_case_once(stripe, settings) -> None:
    settings.OPERATOR_EMAILS = ["one@example.com", "two@example.com"]
    case = opened(stripe)
    cases.open(kind=CaseKind.STILL_UNKNOWN, payment=case.payment, attempt=case.attempt, key="1")
    told = Message.objects.filter(kind=Kind.CASE).order_by("address")
    assert [message.address for message in told] == ["one@example.com", "two@example.com"]
    mail.send_due()
    [first, _] = outbox.outbox
    assert first.subject == "A gateway does not say whether it was paid"
    assert f"/admin/billing/case/{case.pk}/change/" in first.body
    assert "€9.99" in first.body


def test_quarantine_is_told_by_mail(stripe) -> None:
    payment = shop.buy(gateways=["stripe"])
    stripe.pays(amount=Money(1_998, "EUR"))
    shop.told(payment)
    assert Message.objects.get(kind=Kind.CASE).data["kind"] == "mismatch"
    assert shop.credits_of(payment.user) == 0


def test_dispute_has_its_own_letter_and_no_second_one(stripe) -> None:
    opened(stripe, CaseKind.DISPUTE)
    assert not Message.objects.filter(kind=Kind.CASE).exists()


def test_case_that_is_rolled_back_tells_nobody(stripe) -> None:
    payment = shop.paid(stripe)
    with transaction.atomic():
        cases.open(kind=CaseKind.STILL_UNKNOWN, payment=payment, key="1")
        transaction.set_rollback(True)
    assert not Message.objects.filter(kind=Kind.CASE).exists()


@pytest.mark.parametrize("locale", ["en", "fr"])
@pytest.mark.parametrize("kind", [*CaseKind])
def test_letter_of_every_kind_is_whole_in_both_languages(kind: CaseKind, locale: str) -> None:
    data = {"case": "1", "kind": kind, "payment": "2", "amount": 999, "currency": "EUR", "customer": "ada"}
    letter = letters.render(kind=Kind.CASE, about="", data=data, contact=letters.NOBODY, locale=locale)
    other = letters.render(
        kind=Kind.CASE, about="", data=data, contact=letters.NOBODY, locale="fr" if locale == "en" else "en"
    )
    assert 0 < len(letter.subject) < 80
    assert letter.subject != other.subject
    assert "/admin/billing/case/1/change/" in letter.text
    assert "None" not in letter.text


def test_case_is_closed_once_and_only_with_a_word(stripe) -> None:
    case, operator = opened(stripe), shop.make_user()
    with pytest.raises(errors.ResolutionMissing):
        cases.close(case=case, resolution=" ", by=operator)
    assert cases.close(case=case, resolution="asked them", by=operator).resolution == "asked them"
    with pytest.raises(errors.CaseClosed):
        cases.close(case=case, resolution="again", by=operator)


def test_case_of_a_silent_payment_closes_when_its_gateway_says_how_it_ended(stripe) -> None:
    payment = shop.buy()
    attempt = payment.attempts.get()
    payment.attempts.update(next_ask_at=None, created_at=timezone.now() - timedelta(days=2))
    case = cases.open(kind=CaseKind.STILL_UNKNOWN, payment=payment, attempt=attempt, key=str(attempt.pk))
    shop.told(payment)  # its page is still open, so it is asked again
    assert Case.objects.open().get() == case
    stripe.pays()
    shop.told(payment)
    case.refresh_from_db()
    assert (case.closed_at is None, case.closed_by) == (False, None)
    assert case.resolution == "The gateway has said: paid."


@pytest.mark.parametrize(("house", "said"), [("en", "The refund is over: arrived."), ("fr", "Le remboursement est")])
def test_what_is_kept_with_a_case_is_in_the_language_of_the_house(gateways, settings, house, said) -> None:
    settings.LANGUAGE_CODE = house
    refund = refunds.request(payment=shop.paid(gateways["cinetpay"], currency="XOF"), reason="late")
    with translation.override("en" if house == "fr" else "fr"):
        refunds_by_hand.prove(refund=refund, proof="OM-1", by=shop.make_user())
    assert Case.objects.get().resolution.startswith(said)
