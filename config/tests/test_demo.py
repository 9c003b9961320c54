"""The demo people can do at once what the README says, and keep their logins over a restart."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing import gateway_choices
from config import demo

pytestmark = pytest.mark.django_db


@pytest.fixture
def known(tmp_path: Path, settings: Any) -> dict[str, Any]:
    settings.VAR_DIR = tmp_path
    return started(tmp_path)


def started(folder: Path) -> dict[str, Any]:
    demo.seed("http://here", stream_url="http://streams", sandbox_url="http://box")
    found: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    return found


def test_customer_signs_in_with_the_password_that_is_told(client: Client, known: dict[str, Any]) -> None:
    customer = known["customer"]
    answer = client.post("/accounts/login/", {"login": customer["id"], "password": customer["password"]})
    assert answer["Location"] == "/pricing"
    assert client.get("/subscription").status_code == 200


def test_token_and_password_are_of_one_account_without_rights(client: Client, known: dict[str, Any]) -> None:
    token = known["customer"]["token"]
    answer = client.get("/api/v1/me", headers={"authorization": f"Bearer {token}"}).json()
    account = User.objects.get(username=known["customer"]["id"])
    assert (answer["user"], account.is_staff, account.is_superuser) == (account.username, False, False)


def test_logins_stay_over_a_restart(tmp_path: Path, known: dict[str, Any]) -> None:
    assert started(tmp_path) == known


def test_password_that_no_longer_opens_is_replaced(client: Client, tmp_path: Path, known: dict[str, Any]) -> None:
    User.objects.filter(username=known["customer"]["id"]).update(password="!")
    again = started(tmp_path)["customer"]
    assert again["password"] != known["customer"]["password"]
    assert client.login(username=again["id"], password=again["password"])


def test_cards_go_to_stripe_before_paypal(known: dict[str, Any]) -> None:
    priorities = {each.name: each.priority for each in gateway_choices.candidates()}
    assert priorities["stripe"] < priorities["paypal"]
