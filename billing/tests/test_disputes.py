"""Answering a dispute: with words and a document, sent once; refused before the bank sees what it would not read."""

import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from billing import asking, disputes, errors
from billing.gateways import registry
from billing.gateways.errors import Uncertain
from billing.gateways.stripe import Stripe
from billing.gateways.subscribing import DisputeResult, DisputeState, EvidenceFile
from billing.models import Dispute
from billing.tests import shop
from billing.tests.test_payments_in_the_admin import member
from ledger.money import Money
from rest.tests.operators import browser, page
from sandbox.testing import Sandbox

pytestmark = pytest.mark.django_db

PDF = EvidenceFile(name="delivery.pdf", content=b"%PDF-1.7 what was delivered")


@pytest.fixture
def disputed(at_stripe: Stripe, sandbox: Sandbox) -> Dispute:
    """A purchase at Stripe in the sandbox, whose buyer went to their bank."""
    payment = shop.buy(gateways=["stripe"])
    sandbox.play(payment.attempts.get().next_action)
    attempt = shop.told(payment).attempts.select_related("payment").get()
    asking.ask(attempt)
    intent = attempt.gateway_ids["payment_intent"]
    opened = sandbox.control("POST", "/stripe/_stripe/disputes", {"payment_intent": intent})
    return disputes.note(attempt=attempt, result=at_stripe.fetch_dispute(dispute=opened["id"]))


def test_words_and_a_document_reach_the_bank_once(disputed: Dispute, sandbox: Sandbox) -> None:
    operator = shop.make_user()
    disputes.answer(dispute=disputed, evidence="It was delivered.", by=operator, file=PDF)
    told = registry.get("stripe").fetch_dispute(dispute=disputed.gateway_id)  # type: ignore[attr-defined]
    assert told.state is DisputeState.UNDER_REVIEW
    upload, update = [each for each in sandbox.requests("stripe") if each["method"] == "POST"][-2:]
    assert (upload["path"], update["path"]) == ("/v1/files", f"/v1/disputes/{disputed.gateway_id}")
    assert "evidence[uncategorized_file]=file_" in update["body"]
    disputed.refresh_from_db()
    assert disputed.evidence == "It was delivered.\n\n[delivery.pdf, 27 bytes]"
    assert disputed.evidence_sent_at is not None
    with pytest.raises(errors.DisputeOver):
        disputes.answer(dispute=disputed, evidence="And more.", by=operator)


@pytest.mark.parametrize("file", [
    EvidenceFile(name="a.pdf", content=b"<html>"),
    EvidenceFile(name="a.pdf", content=b"%PDF" + b"x" * 4_000_000),
], ids=["no document", "too large"])  # fmt: skip
def test_document_that_no_bank_reads_is_refused(disputed: Dispute, sandbox: Sandbox, file: EvidenceFile) -> None:
    with pytest.raises(errors.EvidenceFileRefused):
        disputes.answer(dispute=disputed, evidence="It was delivered.", by=shop.make_user(), file=file)
    assert not any(each["path"] == "/v1/files" for each in sandbox.requests("stripe"))
    disputed.refresh_from_db()
    assert (disputed.evidence, disputed.evidence_sent_at) == ("", None)


def test_answer_without_words_is_refused(disputed: Dispute) -> None:
    with pytest.raises(errors.ReasonMissing):
        disputes.answer(dispute=disputed, evidence=" ", by=shop.make_user())
    assert Dispute.objects.get().evidence_sent_at is None


# ---------------------------------------------------------------- by the admin's form


def send_form(dispute: Dispute, content: bytes, *permissions: str) -> Any:
    sent = SimpleUploadedFile("delivery.pdf", content, "application/pdf")
    fields = {"key": str(uuid.uuid4()), "evidence": "It was delivered.", "file": sent}
    return browser(member(*permissions)).post(f"/admin/billing/dispute/{dispute.pk}/answer/", fields)


def test_operator_sends_a_document_by_the_form(disputed: Dispute, sandbox: Sandbox) -> None:
    answer = send_form(disputed, PDF.content, "answer_dispute")
    assert answer.status_code == 302, answer.content
    [upload] = [each for each in sandbox.requests("stripe") if each["path"] == "/v1/files"]
    assert "%PDF-1.7 what was delivered" in upload["body"]
    told = registry.get("stripe").fetch_dispute(dispute=disputed.gateway_id)  # type: ignore[attr-defined]
    disputed.refresh_from_db()
    assert (told.state, disputed.evidence) == (
        DisputeState.UNDER_REVIEW,
        "It was delivered.\n\n[delivery.pdf, 27 bytes]",
    )


def test_form_refuses_what_no_bank_reads_and_says_what_it_reads(disputed: Dispute, sandbox: Sandbox) -> None:
    shown = send_form(disputed, b"<html>", "answer_dispute").content.decode()
    assert "The bank reads a PDF, a PNG or a JPEG" in shown
    assert not any(each["path"] == "/v1/files" for each in sandbox.requests("stripe"))
    disputed.refresh_from_db()
    assert disputed.evidence_sent_at is None


def test_who_may_not_answer_sends_nothing(disputed: Dispute, sandbox: Sandbox) -> None:
    assert send_form(disputed, PDF.content).status_code == 403
    assert not any(each["path"] == "/v1/files" for each in sandbox.requests("stripe"))


def test_evidence_whose_answer_was_lost_is_looked_up_by_the_operator(disputed: Dispute, monkeypatch: Any) -> None:
    def lost(_request: Any) -> Any:
        raise Uncertain("lost", gateway="stripe")

    monkeypatch.setattr(registry.get("stripe"), "send_evidence", lost)
    shown = send_form(disputed, PDF.content, "answer_dispute").content.decode()
    assert "Look at the dispute in its dashboard" in shown
    disputed.refresh_from_db()
    assert disputed.evidence_sent_at is None


def offers_to_answer(dispute: Dispute) -> bool:
    shown = browser(member("answer_dispute")).get(page("billing_dispute_change", dispute.pk))
    assert shown.status_code == 200
    return f"/admin/billing/dispute/{dispute.pk}/answer/" in shown.content.decode()


def test_page_offers_to_answer_once_and_only_while_the_dispute_is_open(disputed: Dispute) -> None:
    assert offers_to_answer(disputed)
    Dispute.objects.update(state="won", closed_at=disputed.opened_at)
    assert not offers_to_answer(disputed)
    Dispute.objects.update(state="open", closed_at=None)
    disputes.answer(dispute=Dispute.objects.get(), evidence="It was delivered.", by=shop.make_user())
    assert not offers_to_answer(disputed)


def test_page_offers_no_answer_where_the_gateway_takes_none(stripe) -> None:
    payment, amount = shop.paid(stripe), Money(999, "EUR")
    told = DisputeResult(id="dp_1", state=DisputeState.NEEDS_RESPONSE, amount=amount, reason="fraudulent")
    assert not offers_to_answer(disputes.note(attempt=payment.attempts.get(), result=told))
