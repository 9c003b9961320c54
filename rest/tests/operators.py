"""Operators for tests, at browsers and terminals: the house's groups, what they send, and what they are answered."""

from io import StringIO
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse


def operator(*groups: str, name: str = "olive", is_superuser: bool = False) -> User:
    person = User.objects.create_user(name, is_staff=True, is_superuser=is_superuser)
    person.groups.set(Group.objects.filter(name__in=groups))
    return person


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def signed_in(*groups: str, name: str = "olive", is_superuser: bool = False) -> Client:
    return browser(operator(*groups, name=name, is_superuser=is_superuser))


def page(name: str, *arguments: Any) -> str:
    """Of the admin: `credits_pack_change` is the page of a pack."""
    return reverse(f"admin:{name}", args=arguments)


def submit(browser: Client, url: str, **form: Any) -> Any:
    """Open the form of an act, and send it with the key that it came with."""
    opened = browser.get(url)
    assert opened.status_code == 200, opened.content
    return browser.post(url, {"key": str(opened.context["form"]["key"].value())} | form)


def errors(answer: Any) -> dict[str, list[str]]:
    """What is wrong on a page that changes something, by its fields."""
    assert answer.status_code == 200, answer.content.decode()
    found: dict[str, list[str]] = answer.context["adminform"].form.errors
    return {name: list(texts) for name, texts in found.items()}


def text(answer: Any) -> str:
    """A page as one line."""
    return " ".join(answer.content.decode().split())


class Console(StringIO):
    """What a command takes for somebody who looks on."""

    def isatty(self) -> bool:
        return True


def printed(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def said(command: str, *arguments: str, console: StringIO | None = None) -> str:
    """All that a command writes, and last what it refuses."""
    out = console or StringIO()
    try:
        call_command(command, *arguments, stdout=out, stderr=out)
    except CommandError as refusal:
        return f"{out.getvalue()}{refusal}"
    return out.getvalue()
