"""What an e-mail says. One template for each kind, in a small form of its own, makes its text and its HTML.

The first line is the subject. Paragraphs are divided by blank lines; a paragraph of lines `- name: value` is a table,
a paragraph `=> words | address` is a button. A team that wants another look puts `events/email/<kind>.html` into its
own templates, or another frame `events/email/letter.html`.
"""

import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string, select_template
from django.utils import timezone, translation

from events import preferences
from events.models import Kind, Message
from events.people import Contact

BUTTON, LINE = "=> ", "- "
NOBODY = Contact(email="", locale="en")
# These tell of money that moved or did not; they say where to turn them off, and no mail program does it in one click.
OFFICIAL = frozenset({Kind.RECEIPT, Kind.REFUND, Kind.PAYMENT_FAILED, Kind.PAST_DUE, Kind.WITHDRAWAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A paragraph, a table or a button."""

    text: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    subject: str
    text: str
    html: str
    preferences_url: str = ""


def compose(message: Message, contact: Contact | None) -> Letter:
    about = message.event.type if message.event else ""
    data = message.event.data if message.event else message.data
    return render(
        kind=Kind(message.kind),
        about=about,
        data=data,
        contact=contact or NOBODY,
        locale=message.locale,
        customer=message.event.user.get_username() if message.event else "",
        preferences_url=preferences.link(message.user_id) if message.user_id else "",
    )


def render(
    *,
    kind: Kind,
    about: str,
    data: Mapping[str, Any],
    contact: Contact,
    locale: str,
    customer: str = "",
    preferences_url: str = "",
) -> Letter:
    context: dict[str, Any] = {
        "about": about,
        "data": _tame(data),
        "name": _one_line(contact.name),
        "customer": _one_line(customer),
        "shop": settings.MAIL_SHOP_NAME,
        "base_url": settings.BASE_URL,
        "preferences_url": preferences_url,
        "language": locale,
    }
    with translation.override(locale), timezone.override(zoneinfo.ZoneInfo(contact.time_zone)):
        written = render_to_string(f"events/email/{kind}.txt", context)
        subject, _, body = written.strip().partition("\n")
        parts = list(_parts(body))
        context |= {"subject": _one_line(subject), "parts": parts}
        text = render_to_string("events/email/letter.txt", context)
        html = select_template([f"events/email/{kind}.html", "events/email/letter.html"]).render(context)
    return Letter(subject=context["subject"], text=text, html=html, preferences_url=preferences_url)


def as_mail(message: Message, letter: Letter) -> EmailMultiAlternatives:
    host = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    headers = {"Message-ID": f"<{message.pk}@{host}>", "Auto-Submitted": "auto-generated"}
    if letter.preferences_url:
        headers["List-Unsubscribe"] = f"<{letter.preferences_url}?kind={message.kind}>"
        if message.kind not in OFFICIAL:
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail = EmailMultiAlternatives(letter.subject, letter.text, settings.DEFAULT_FROM_EMAIL, [message.address])
    mail.extra_headers = headers
    mail.reply_to = [settings.SUPPORT_EMAIL] if settings.SUPPORT_EMAIL else []
    mail.attach_alternative(letter.html, "text/html")
    return mail


def _tame(value: Any) -> Any:
    """A line break in somebody's words would begin a paragraph, or a button, of their own."""
    match value:
        case str():
            return _one_line(value)
        case Mapping():
            return {name: _tame(each) for name, each in value.items()}
        case list():
            return [_tame(each) for each in value]
    return value


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _parts(body: str) -> Iterator[Part]:
    for block in "\n".join(line.strip() for line in body.splitlines()).split("\n\n"):
        lines = [line for line in block.splitlines() if line]
        if not lines:
            continue
        if lines[0].startswith(BUTTON):
            words, _, url = lines[0].removeprefix(BUTTON).rpartition(" | ")
            if url.startswith(("https://", "http://")):
                yield Part(text=words, url=url)
        elif all(line.startswith(LINE) for line in lines):
            yield Part(lines=tuple(_pair(line) for line in lines))
        else:
            yield Part(text=" ".join(lines))


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.removeprefix(LINE).partition(": ")
    return name.strip(), value.strip()
