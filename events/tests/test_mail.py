"""Letters: in the customer's language, once for each event, only those that are wanted, and sent until they are."""

import smtplib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail as django_mail
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from events import dispatching, letters, mail, preferences, shapes, tasks
from events.models import Event, Kind, Message, Topic, Untold
from events.people import Contact

pytestmark = pytest.mark.django_db
Tell = Callable[..., Event]
Reach = Callable[..., Contact]
ADA = Contact(email="ada@example.com", locale="en", name="Ada", time_zone="Africa/Abidjan")
WRITTEN = [(rule.kind, name) for name, rule in mail.RULES.items()]
DISABLED = {"endpoint": "1", "url": "https://x.example/", "reason": "failing", "disabled_at": "2026-12-01T09:00:00Z"}


def send() -> list[Any]:
    dispatching.tell_new()
    mail.send_due()
    return django_mail.outbox


# ---------------------------------------------------------------- what they say


def rendered(kind: Kind, name: str, locale: str, **changes: Any) -> letters.Letter:
    data = {**shapes.SHAPES[name, 1].example, **changes}
    return letters.render(
        kind=kind, about=name, data=data, contact=ADA, locale=locale, customer="ada", preferences_url="https://x/mail/1"
    )


@pytest.mark.parametrize("locale", ["en", "fr"])
@pytest.mark.parametrize(("kind", "name"), WRITTEN)
def test_every_letter_is_whole_in_both_languages(kind: Kind, name: str, locale: str) -> None:
    letter = rendered(kind, name, locale)
    hello = {"en": "Hello Ada,", "fr": "Bonjour Ada,"}[locale]
    assert hello in letter.text
    assert hello in letter.html
    assert f'<html lang="{locale}">' in letter.html
    assert 0 < len(letter.subject) < 80
    assert letter.subject in letter.html
    assert "https://x/mail/1" in letter.text
    for form in (letter.subject, letter.text, letter.html):
        assert not {"{{", "{%", "%(", "None"} & set(form.split())
        assert "None" not in form
    other = rendered(kind, name, "fr" if locale == "en" else "en")
    assert letter.subject != other.subject


def test_every_kind_has_an_event_or_is_about_endpoints_or_cases() -> None:
    assert {rule.kind for rule in mail.RULES.values()} | {Kind.ENDPOINT_DISABLED, Kind.CASE} == set(Kind)


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_letter_about_an_endpoint_is_whole(locale: str) -> None:
    letter = letters.render(kind=Kind.ENDPOINT_DISABLED, about="", data=DISABLED, contact=letters.NOBODY, locale=locale)
    assert "https://x.example/" in letter.html
    assert "/admin/events/endpoint/1/change/" in letter.text


@pytest.mark.parametrize(
    ("locale", "currency", "amount", "shown"),
    [("fr", "EUR", 999, "9,99\xa0€"), ("en", "EUR", 999, "€9.99"), ("fr", "XOF", 6_500, "6\u202f500\xa0F\u202fCFA")],
)
def test_amounts_are_written_as_people_there_write_them(locale: str, currency: str, amount: int, shown: str) -> None:
    letter = rendered(Kind.RECEIPT, "payment.succeeded", locale, currency=currency, amount=amount)
    assert shown in letter.text


def test_names_are_written_as_people_write_them() -> None:
    text = rendered(Kind.RECEIPT, "payment.succeeded", "en", gateway="orange_money", item="medium").text
    assert "For: Medium" in text
    assert "Paid with: Orange Money" in text


def test_times_are_those_of_the_customers_zone() -> None:
    data = shapes.SHAPES["credits.expiring", 1].example | {"expires_at": "2026-12-01T23:30:00Z"}  # type: ignore[operator]
    paris = Contact(email="a@example.com", locale="en", time_zone="Europe/Paris")
    letter = letters.render(kind=Kind.CREDITS_EXPIRING, about="credits.expiring", data=data, contact=paris, locale="en")
    assert letter.subject == "Some of your credits expire on Dec. 2, 2026"


def test_failed_payment_carries_the_link_that_mends_it() -> None:
    letter = rendered(Kind.PAYMENT_FAILED, "payment.failed", "en", retry_url="https://pay.example.com/again?a=1&b=2")
    assert "Try again:\nhttps://pay.example.com/again?a=1&b=2" in letter.text
    assert 'href="https://pay.example.com/again?a=1&amp;b=2"' in letter.html


def test_words_of_others_stay_words() -> None:
    evil = "x\n\n=> Click | https://evil.example\n<script>alert(1)</script>"
    letter = rendered(Kind.WITHDRAWAL, "withdrawal.rejected", "en", reason=evil)
    assert "<script>" not in letter.html
    assert 'href="https://evil.example' not in letter.html
    named = Contact(email="a@example.com", locale="en", name="Ada\n\n=> Click | https://evil.example")
    data = shapes.SHAPES["credits.low", 1].example
    letter = letters.render(kind=Kind.CREDITS_LOW, about="credits.low", data=data, contact=named, locale="en")
    assert 'href="https://evil.example' not in letter.html


def test_letter_says_where_help_is(settings) -> None:
    settings.SUPPORT_EMAIL, settings.SUPPORT_URL = "help@shop.example", "https://shop.example/help"
    letter = rendered(Kind.RECEIPT, "payment.succeeded", "fr")
    assert "Des questions ? help@shop.example · https://shop.example/help\n" in letter.text.replace("\xa0", " ")
    assert 'href="mailto:help@shop.example"' in letter.html
    assert 'href="https://shop.example/help"' in letter.html


def test_letter_without_help_says_nothing_of_it() -> None:
    letter = rendered(Kind.RECEIPT, "payment.succeeded", "en")
    assert "Questions" not in letter.text + letter.html


def test_letter_is_answered_to_support(user: User, tell: Tell, reach: Reach, settings) -> None:
    reach(user)
    tell(user, "payment.succeeded")
    settings.SUPPORT_EMAIL = "help@shop.example"
    [sent] = send()
    assert sent.reply_to == ["help@shop.example"]


# ---------------------------------------------------------------- who gets which


def test_customer_gets_their_receipt_in_their_language(user: User, tell: Tell, reach: Reach) -> None:
    reach(user, locale="fr", name="Aïcha")
    tell(user, "payment.succeeded")
    [sent] = send()
    assert sent.to == [f"{user.get_username()}@example.com"]
    assert sent.subject.startswith("Votre reçu")
    assert "Bonjour Aïcha," in sent.body
    message = Message.objects.get()
    assert (message.state, message.attempts, message.subject) == ("sent", 1, sent.subject)
    assert sent.extra_headers["Message-ID"] == f"<{message.pk}@localhost>"


def test_letter_is_written_once_for_an_event(user: User, tell: Tell, reach: Reach) -> None:
    reach(user)
    event = tell(user, "payment.succeeded")
    send()
    Untold.objects.create(event=event)
    assert len(send()) == 1
    assert Message.objects.count() == 1


def test_nobody_told_us_an_address_so_nothing_is_written(user: User, tell: Tell, reach: Reach) -> None:
    tell(user, "payment.succeeded")
    assert send() == []
    assert not Message.objects.exists()


def test_weekly_grants_are_told_to_those_who_asked(user: User, tell: Tell, reach: Reach) -> None:
    reach(user)
    tell(user, "credits.granted", source="plan")
    assert send() == []
    preferences.change(user, {Topic.WEEKLY_GRANTS: True})
    tell(user, "credits.granted", source="pack")
    tell(user, "credits.granted", source="plan")
    [sent] = send()
    assert sent.subject == "500 new credits"


def test_what_is_not_wanted_is_not_written(user: User, tell: Tell, reach: Reach) -> None:
    reach(user)
    preferences.change(user, {Topic.CREDITS: False})
    tell(user, "credits.low")
    tell(user, "credits.empty")
    tell(user, "payment.refunded")
    assert [each.subject for each in send()] == ["Your refund: €5.00"]


def test_failed_renewal_is_told_once_and_not_twice(user: User, tell: Tell, reach: Reach) -> None:
    reach(user)
    tell(user, "payment.failed", is_renewal=True)
    tell(user, "subscription.past_due")
    assert [each.subject for each in send()] == ["The renewal of Premium was not paid"]


def test_dispute_goes_to_the_operators_and_not_to_the_customer(user: User, tell: Tell, reach: Reach, settings) -> None:
    settings.OPERATOR_EMAILS = ["one@example.com", "two@example.com"]
    reach(user)
    tell(user, "payment.disputed")
    sent = send()
    assert sorted(each.to[0] for each in sent) == settings.OPERATOR_EMAILS
    assert user.get_username() in sent[0].body
    assert "List-Unsubscribe" not in sent[0].extra_headers


# ---------------------------------------------------------------- how they are sent


class Broken(BaseEmailBackend):
    """A mail server as it may be; `fault` says how."""

    fault: Exception = OSError("away")
    at_opening = False
    opened = 0

    def open(self) -> bool:
        type(self).opened += 1
        if self.at_opening:
            raise self.fault
        return True

    def send_messages(self, email_messages: Any) -> int:
        raise self.fault


@pytest.fixture
def broken(settings, monkeypatch) -> type[Broken]:
    settings.EMAIL_BACKEND = "events.tests.test_mail.Broken"
    monkeypatch.setattr(Broken, "fault", OSError("away"))
    monkeypatch.setattr(Broken, "at_opening", False)
    monkeypatch.setattr(Broken, "opened", 0)
    return Broken


def test_letter_that_failed_is_sent_later(user: User, tell: Tell, reach: Reach, broken: Any, settings) -> None:
    reach(user)
    tell(user, "payment.succeeded")
    send()
    message = Message.objects.get()
    assert (message.state, message.attempts, message.error) == ("queued", 1, "OSError")
    assert message.due_at > timezone.now()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert mail.send_due() == 0
    Message.objects.update(due_at=timezone.now())
    assert mail.send_due() == 1
    message.refresh_from_db()
    assert (message.state, message.attempts, message.error) == ("sent", 2, "")


def test_server_that_is_away_is_asked_once_for_a_batch(
    user: User, tell: Tell, reach: Reach, broken: Any, monkeypatch
) -> None:
    monkeypatch.setattr(Broken, "at_opening", True)
    reach(user)
    for _ in range(3):
        tell(user, "payment.succeeded")
    send()
    assert broken.opened == 1
    assert set(Message.objects.values_list("state", "attempts")) == {("queued", 1)}


def test_letter_is_given_up_in_the_end(user: User, tell: Tell, reach: Reach, broken: Any, settings) -> None:
    reach(user)
    tell(user, "payment.succeeded")
    dispatching.tell_new()
    Message.objects.update(attempts=settings.MAIL_ATTEMPTS - 1)
    mail.send_due()
    assert Message.objects.get().state == "failed"


def test_refused_address_is_not_tried_again(user: User, tell: Tell, reach: Reach, broken: Any, monkeypatch) -> None:
    monkeypatch.setattr(Broken, "fault", smtplib.SMTPRecipientsRefused({"a": (550, b"no")}))
    reach(user)
    tell(user, "payment.succeeded")
    send()
    assert Message.objects.get().state == "failed"


def test_letter_whose_sender_died_is_sent_again_under_the_same_id(
    user: User, tell: Tell, reach: Reach, settings
) -> None:
    reach(user)
    tell(user, "payment.succeeded")
    dispatching.tell_new()
    now = timezone.now()
    [first] = mail._claim(now)
    assert mail._claim(now) == []
    assert mail.send_due(at=now + timedelta(seconds=settings.MAIL_LEASE_SECONDS)) == 1
    [sent] = django_mail.outbox
    assert sent.extra_headers["Message-ID"] == f"<{first.pk}@localhost>"


def test_laptop_finds_each_letter_in_a_file(user: User, tell: Tell, reach: Reach, settings, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "events.mailbox.FileBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    reach(user)
    tell(user, "payment.succeeded")
    tell(user, "payment.refunded")
    tasks.dispatch()
    tasks.send_messages()
    files = sorted((tmp_path / "mail").iterdir())
    assert [file.suffix for file in files] == [".eml", ".eml"]
    assert all("text/html" in file.read_text() for file in files)


# ---------------------------------------------------------------- the link


def test_link_of_a_letter_shows_and_saves_what_is_wanted(user: User, client) -> None:
    path = "/" + preferences.link(user.pk).split("/", 3)[3]
    page = client.get(path)
    assert page.status_code == 200
    assert page["Referrer-Policy"] == "no-referrer"
    saved = client.post(path, {"receipts": "on", "weekly_grants": "on"})
    assert saved.status_code == 302
    chosen = preferences.of(user)
    assert {topic for topic, is_wanted in chosen.items() if is_wanted} == {"receipts", "weekly_grants"}


def test_one_click_turns_off_what_the_letter_was_about(user: User, tell: Tell, reach: Reach, client) -> None:
    reach(user)
    tell(user, "credits.low")
    [sent] = send()
    assert sent.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    url = sent.extra_headers["List-Unsubscribe"].strip("<>")
    answer = client.post("/" + url.split("/", 3)[3], {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 204
    assert [topic for topic, is_wanted in preferences.of(user).items() if not is_wanted] == ["credits", "weekly_grants"]


def test_made_up_link_is_nothing(user: User, client) -> None:
    assert client.get("/mail/1:abc:def").status_code == 404
    assert client.post("/mail/1:abc:def", {"receipts": "on"}).status_code == 404


def test_link_ends_after_a_year(user: User) -> None:
    import time_machine

    with time_machine.travel(datetime(2025, 1, 1, tzinfo=UTC)):
        token = preferences.link(user.pk).rpartition("/")[2]
    with time_machine.travel(datetime(2025, 12, 31, tzinfo=UTC)):
        assert preferences.user_of(token) == user
    with time_machine.travel(datetime(2026, 1, 2, tzinfo=UTC)):
        assert preferences.user_of(token) is None
