"""Letters: in the customer's language, once for each event, only those that are wanted, and sent until they are."""

import smtplib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail as django_mail
from django.core.cache import cache
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from events import dispatching, letters, mail, preferences, shapes, tasks
from events.errors import MessageUnderWay
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


@pytest.mark.parametrize(("reason", "button"), [
    ("card_declined", "Add another means of payment"), ("card_removed", "Add another means of payment"),
    ("price_rose", "See how it stands"), ("not_sold", "See how it stands"), ("brings_less", "See how it stands"),
    ("disputed", "See how it stands"), ("refunded", "See how it stands"), ("taken_back", "See how it stands"),
])  # fmt: skip
def test_letter_of_a_stopped_top_up_says_why_and_leads_to_what_mends_it(reason: str, button: str) -> None:
    told = partial(rendered, Kind.TOP_UP_SUSPENDED, "top_up.suspended")
    letter = told("en", reason=reason)
    assert ("were refused" in letter.text) is (reason == "card_declined")
    assert ("agree anew" in letter.text) is (button == "See how it stands")
    assert button in letter.html
    assert "https://pay.example.com/methods" in letter.text
    assert told("fr", reason=reason).text != letter.text
    assert button not in told("en", reason=reason, mend_url=None).text


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


def test_why_an_operator_gave_money_back_is_not_written_to_the_customer() -> None:
    letter = rendered(Kind.REFUND, "payment.refunded", "en", reason="looks like a thief")
    assert "Refunded so far: €5.00" in letter.text
    assert "thief" not in letter.text + letter.html


def test_names_are_written_as_people_write_them() -> None:
    text = rendered(Kind.RECEIPT, "payment.succeeded", "en", gateway="orange_money", item="medium").text
    assert "For: Medium" in text
    assert "Paid with: Orange Money" in text


def test_times_are_those_of_the_customers_zone() -> None:
    data = shapes.SHAPES["credits.expiring", 1].example | {"expires_at": "2026-12-01T23:30:00Z"}  # type: ignore[operator]
    paris = Contact(email="a@example.com", locale="en", time_zone="Europe/Paris")
    letter = letters.render(kind=Kind.CREDITS_EXPIRING, about="credits.expiring", data=data, contact=paris, locale="en")
    assert letter.subject == "Some of your credits expire on Dec. 2, 2026"


@pytest.mark.parametrize("name", ["withdrawal.requested", "withdrawal.approved", "withdrawal.paid"])
def test_seller_reads_what_arrives_where_a_fee_is_kept(name: str) -> None:
    text = rendered(Kind.WITHDRAWAL, name, "en", currency="EUR", amount=5_000, fee=250).text
    assert "Amount: €50.00\nFee: €2.50\nWhat you receive: €47.50\n" in text
    assert "What you receive" not in rendered(Kind.WITHDRAWAL, name, "en", fee=0).text


@pytest.mark.parametrize("name", ["withdrawal.rejected", "withdrawal.failed", "withdrawal.cancelled"])
def test_money_that_is_back_in_the_wallet_is_all_of_it(name: str) -> None:
    text = rendered(Kind.WITHDRAWAL, name, "en", currency="EUR", amount=5_000, fee=250).text
    assert "Amount: €50.00\n" in text
    assert "€47.50" not in text


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
    """A mail server as it may be; `fault` says how, `patience` after how many letters that it takes before."""

    fault: Exception = OSError("away")
    at_opening = False
    opened = 0
    patience = 0

    def open(self) -> bool:
        type(self).opened += 1
        if self.at_opening:
            raise self.fault
        return True

    def send_messages(self, email_messages: Any) -> int:
        if self.patience:
            type(self).patience -= 1
            return 1
        raise self.fault


@pytest.fixture(autouse=True)
def floor() -> None:
    cache.delete(mail.FLOOR)


@pytest.fixture
def broken(settings, monkeypatch) -> type[Broken]:
    settings.EMAIL_BACKEND = "events.tests.test_mail.Broken"
    monkeypatch.setattr(Broken, "fault", OSError("away"))
    monkeypatch.setattr(Broken, "at_opening", False)
    monkeypatch.setattr(Broken, "opened", 0)
    monkeypatch.setattr(Broken, "patience", 0)
    return Broken


def some_letters(count: int) -> None:
    for number in range(count):
        Message.objects.create(
            key=str(number), kind=Kind.ENDPOINT_DISABLED, address=f"{number}@example.com", locale="en", data=DISABLED
        )


def states() -> Counter[tuple[str, int]]:
    return Counter(Message.objects.values_list("state", "attempts"))


def test_letter_that_failed_is_sent_later(user: User, tell: Tell, reach: Reach, broken: Any, settings) -> None:
    reach(user)
    tell(user, "payment.succeeded")
    send()
    message = Message.objects.get()
    assert (message.state, message.attempts, message.error) == ("queued", 1, "OSError")
    assert message.due_at > timezone.now()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    cache.delete(mail.FLOOR)
    assert mail.send_due() == 0
    Message.objects.update(due_at=timezone.now())
    assert mail.send_due() == 1
    message.refresh_from_db()
    assert (message.state, message.attempts, message.error) == ("sent", 2, "")


def test_production_without_a_host_keeps_its_letters_until_it_has_one(
    user: User, tell: Tell, reach: Reach, settings
) -> None:
    usual, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "django.core.mail.backends.dummy.EmailBackend"
    reach(user)
    tell(user, "payment.succeeded")
    send()
    assert Message.objects.values_list("state", "attempts").get() == ("queued", 0)
    settings.EMAIL_BACKEND = usual
    assert len(send()) == 1
    assert Message.objects.get().state == "sent"


@pytest.mark.parametrize("fault", [OSError("away"), smtplib.SMTPAuthenticationError(535, b"no")])
def test_server_that_is_away_is_asked_once_and_costs_no_letter_an_attempt(
    broken: Any, monkeypatch, settings, fault: Exception
) -> None:
    monkeypatch.setattr(Broken, "at_opening", True)
    monkeypatch.setattr(Broken, "fault", fault)
    settings.MAIL_BATCH = 2
    some_letters(6)
    for _ in range(3):
        mail.send_due()
    assert broken.opened == 1
    assert states() == {("queued", 0): 6}
    assert Message.objects.filter(error=type(fault).__name__).count() == 2


@pytest.mark.parametrize(
    "fault",
    [
        TimeoutError("slow"),
        smtplib.SMTPServerDisconnected("gone"),
        smtplib.SMTPSenderRefused(550, b"who are you", "shop@example.com"),
        smtplib.SMTPDataError(421, b"closing"),
        smtplib.SMTPRecipientsRefused({"a": (421, b"closing")}),
    ],
)
def test_server_that_goes_away_while_sending_gets_nothing_more(broken: Any, monkeypatch, fault: Exception) -> None:
    monkeypatch.setattr(Broken, "fault", fault)
    monkeypatch.setattr(Broken, "patience", 1)
    some_letters(4)
    assert mail.send_due() == 2
    assert states() == {("sent", 1): 1, ("queued", 1): 1, ("queued", 0): 2}
    assert mail.send_due() == 0, "it is left alone for a while"


class Slow(BaseEmailBackend):
    """Half a run passes with each letter."""

    now = 0.0

    def send_messages(self, email_messages: Any) -> int:
        type(self).now += mail.RUN_SECONDS / 2
        return 1


def test_slow_server_keeps_a_worker_no_longer_than_a_run(settings, monkeypatch) -> None:
    settings.EMAIL_BACKEND = "events.tests.test_mail.Slow"
    monkeypatch.setattr(mail, "time", SimpleNamespace(monotonic=lambda: Slow.now))
    some_letters(5)
    assert mail.send_due() == 2
    assert states() == {("sent", 1): 2, ("queued", 0): 3}
    assert not Message.objects.filter(due_at__gt=timezone.now()).exclude(state="sent").exists()
    assert mail.send_due() == 2


def test_second_sender_leaves_the_floor_to_the_first() -> None:
    some_letters(2)
    cache.add(mail.FLOOR, "another sender")
    assert mail.send_due() == 0
    assert states() == {("queued", 0): 2}
    cache.delete(mail.FLOOR)
    assert mail.send_due() == 2
    assert cache.get(mail.FLOOR) is None


def test_letter_that_cannot_be_composed_keeps_no_other_waiting() -> None:
    some_letters(4)
    Message.objects.filter(key="1").update(data={**DISABLED, "disabled_at": "no time"})
    assert mail.send_due() == 4
    assert states() == {("sent", 1): 3, ("queued", 1): 1}
    spoilt = Message.objects.get(state="queued")
    assert (spoilt.key, spoilt.error) == ("1", "ValueError")
    assert spoilt.due_at > timezone.now()
    assert len(django_mail.outbox) == 3


def test_letters_are_tried_for_a_day_and_longer(settings) -> None:
    waits = [settings.MAIL_FIRST_RETRY_SECONDS * 2**attempt for attempt in range(settings.MAIL_ATTEMPTS - 1)]
    assert timedelta(days=1) < timedelta(seconds=sum(waits)) < timedelta(days=2)


def test_letter_is_given_up_in_the_end(user: User, tell: Tell, reach: Reach, broken: Any, settings) -> None:
    reach(user)
    tell(user, "payment.succeeded")
    dispatching.tell_new()
    Message.objects.update(attempts=settings.MAIL_ATTEMPTS - 1)
    mail.send_due()
    assert Message.objects.get().state == "failed"


@pytest.mark.parametrize(
    ("codes", "state"), [([550], "failed"), ([550, 553], "failed"), ([450], "queued"), ([550, 451], "queued")]
)
def test_refused_address_is_tried_again_only_if_the_server_says_later(
    broken: Any, monkeypatch, codes: list[int], state: str
) -> None:
    refusal = smtplib.SMTPRecipientsRefused({f"{code}@example.com": (code, b"no") for code in codes})
    monkeypatch.setattr(Broken, "fault", refusal)
    some_letters(2)
    mail.send_due()
    assert states() == {(state, 1): 2}


def test_letter_that_failed_can_be_sent_again(broken: Any, settings) -> None:
    some_letters(1)
    Message.objects.update(attempts=settings.MAIL_ATTEMPTS - 1)
    mail.send_due()
    letter = Message.objects.get()
    assert letter.state == "failed"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    cache.delete(mail.FLOOR)
    mail.send_again(letter)
    assert mail.send_due() == 1
    letter.refresh_from_db()
    assert (letter.state, letter.attempts, letter.error) == ("sent", 1, "")
    [sent] = django_mail.outbox
    assert sent.extra_headers["Message-ID"] == f"<{letter.pk}@localhost>"


def test_letter_that_is_being_sent_is_not_sent_again() -> None:
    some_letters(1)
    [claimed] = mail._claim(timezone.now())
    with pytest.raises(MessageUnderWay):
        mail.send_again(claimed)
    assert states() == {("sending", 1): 1}


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
