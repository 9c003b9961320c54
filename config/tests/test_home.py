import datetime
from html import unescape

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.models import Case, Payment
from config import home
from credits.models import Purse
from credits.tests.people import give, make_user
from rest.models import ServiceToken
from wallets.tests.people import ask, make_rule, sell_cleared
from wallets.tests.people import make_user as make_seller


@pytest.fixture
def as_root(db, client: Client) -> Client:
    root = User.objects.create_superuser("root", "root@shop.example")
    client.force_login(root)
    return client


def token(name: str, *, days: float, revoked: bool = False) -> ServiceToken:
    now = timezone.now()
    return ServiceToken.objects.create(
        name=name,
        prefix=f"tl_{name:0<8}"[:11],
        digest=name.encode().hex().ljust(64, "0"),
        created_at=now - datetime.timedelta(days=100),
        expires_at=now + datetime.timedelta(days=days),
        revoked_at=now if revoked else None,
    )


def test_tokens_that_expire_soon_are_named(as_root: Client, settings) -> None:
    settings.SERVICE_TOKEN_WARNING_DAYS = 14
    token("late", days=15)
    token("gone", days=-1)
    token("dead", days=3, revoked=True)
    token("shop", days=13)
    token("soon", days=1)
    found = home.expiring_tokens()
    assert [need.label.split()[0] for need in found.first] == ["soon", "shop"]
    assert found.total == 2
    page = as_root.get("/admin/").content.decode()
    assert "soon (tl_soon" in page
    assert "Service tokens that expire soon" in page


def test_operators_without_a_second_factor_are_named(as_root: Client) -> None:
    safe = User.objects.create_user("safe", is_staff=True)
    Authenticator.objects.create(user=safe, type="totp", data={})
    codes_only = User.objects.create_user("codes", is_staff=True)
    Authenticator.objects.create(user=codes_only, type="recovery_codes", data={})
    User.objects.create_user("left", is_staff=True, is_active=False)
    User.objects.create_user("customer")
    assert [need.label for need in home.unprotected_operators().first] == ["codes", "root"]


def test_long_list_shows_its_first_and_a_way_to_the_rest(as_root: Client) -> None:
    for number in range(home.ROWS_SHOWN + 2):
        User.objects.create_user(f"operator-{number}", is_staff=True)
    page = as_root.get("/admin/").content.decode()
    found = home.unprotected_operators()
    assert (found.total, len(found.first)) == (home.ROWS_SHOWN + 3, home.ROWS_SHOWN)
    assert f'href="{found.more_url}"' in page


def of_a_payment() -> dict[str, Payment]:
    buyer = User.objects.create(username="ann")
    made = Payment.objects.create(user=buyer, kind="amount", amount_minor=5, currency="EUR", expires_at=timezone.now())
    return {"payment": made}


def test_open_cases_stand_first_with_a_way_to_them(as_root: Client) -> None:
    about = of_a_payment()
    case = Case.objects.create(kind="payout", key="one", facts={"why": "paypal has not said"}, **about)
    Case.objects.create(kind="surplus", key="two", **about, closed_at=timezone.now(), resolution="given back")
    found = home.open_cases()
    assert (found.total, found.first[0].detail) == (1, "paypal has not said")
    page = as_root.get("/admin/").content.decode()
    assert f"/admin/billing/case/{case.pk}/change/" in page
    assert as_root.get(found.more_url).context["cl"].result_count == 1


def test_amounts_are_written_in_the_language_of_the_page(as_root: Client) -> None:
    make_rule(basis_points=0)
    seller = make_seller()
    sell_cleared(seller, 10_000)
    withdrawal = ask(seller, 4_000)
    Case.objects.create(kind="payout", key="one", facts={"amount": "19.00 EUR"}, **of_a_payment())
    page = unescape(as_root.get("/admin/", headers={"Accept-Language": "fr"}).content.decode())
    assert "40,00\xa0€" in page
    assert "19,00\xa0€" in page
    form = as_root.get(f"/admin/wallets/withdrawal/{withdrawal.pk}/approve/").content.decode()
    assert "€40.00</p>" in form


def test_calm_home_says_so(db, client: Client) -> None:
    person = User.objects.create_user("olive", is_staff=True)
    client.force_login(person)
    page = client.get("/admin/").content.decode()
    assert "Nothing needs attention" in page
    assert "Operators without a second factor" not in page
    assert "What operators did lately" not in page


def test_acts_stand_with_their_operator(as_root: Client) -> None:
    assert "Nothing yet." in as_root.get("/admin/").content.decode()  # a command made root
    as_root.post("/admin/auth/group/add/", {"name": "night shift"})
    acts = as_root.get("/admin/").context["acts"]
    assert (str(acts[0].user), acts[0].object_repr) == ("root", "night shift")


def test_what_a_button_did_stands_there_in_its_words(as_root: Client) -> None:
    user = make_user()
    give(user, 10)
    purse = Purse.objects.get(user=user)
    path = reverse("admin:credits_purse_adjust", args=[purse.pk])
    key = as_root.get(path).context["form"]["key"].value()
    as_root.post(path, {"direction": "more", "amount": "5", "reason": "lost in an outage", "key": key})
    home_page = as_root.get("/admin/")
    assert [(act.user.username, act.object_repr) for act in home_page.context["acts"]] == [
        ("root", f"{user.username} CREDIT")
    ]
    assert home_page.context["acts"][0].get_change_message() in unescape(home_page.content.decode())
    assert f"/admin/credits/purse/{purse.pk}/change/" in home_page.content.decode()


def test_home_speaks_french(as_root: Client) -> None:
    page = as_root.get("/admin/", headers={"Accept-Language": "fr"}).content.decode()
    assert "Opérateurs sans second facteur" in page
    assert "Miroir Stripe" in page
