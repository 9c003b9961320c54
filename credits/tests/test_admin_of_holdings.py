"""Customers' credits as operators see and mend them."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from credits import balances, grants, holds, usage
from credits.admin.holdings import state_of
from credits.models import Allowance, Grant, Hold, Purse
from credits.tests.people import give, make_user
from ledger.models import Entry
from rest.models import ServiceToken
from rest.tests.operators import submit

ROOT = "/admin/credits"


@pytest.fixture
def ann(db: Any) -> User:
    return make_user()


def purse_of(user: User) -> Purse:
    return Purse.objects.get(user=user)


def page(kind: str, key: Any, act: str = "change") -> str:
    return f"{ROOT}/{kind}/{key}/{act}/"


def test_a_customers_page_tells_how_they_stand(root: User, ann: User, client: Client) -> None:
    give(ann, 1_000)
    give(ann, 20, expires_at=timezone.now() + timedelta(days=3))
    usage.spend(user=ann, key="s", amount=7, reference="picture 9")
    holds.reserve(user=ann, key="h", amount=100, reference="film 3")
    path = page("purse", purse_of(ann).pk)
    told = client.get(path).content.decode()
    assert all(each in told for each in ("913 CREDIT", "picture 9", "film 3", "Explain every credit"))
    explained = client.get(path, {"explain": "yes"}).content.decode()
    assert "Where 1013 credits come from" in explained


def test_a_page_of_a_purse_that_is_not_there_leads_back(root: User, client: Client) -> None:
    assert client.get(page("purse", 404)).status_code == 302


def test_the_button_to_give_knows_whom_and_what(root: User, ann: User, client: Client) -> None:
    give(ann, 5, unit="TOKEN")
    opened = client.get(page("purse", purse_of(ann).pk, "give"), follow=True)
    assert opened.status_code == 200
    assert all(f'value="{word}"' in opened.content.decode() for word in (ann.username, "TOKEN"))


def test_a_list_of_grants_says_what_became_of_each(root: User, ann: User, client: Client) -> None:
    now = timezone.now()
    give(ann, 1, expires_at=now - timedelta(days=1), at=now - timedelta(days=2))
    give(ann, 2, priority=-1)
    usage.spend(user=ann, amount=2, key="s")
    grants.freeze(grant=give(ann, 3), reason="r")
    grants.revoke(grant=give(ann, 4), reason="r")
    give(ann, 5)
    rows = client.get(f"{ROOT}/grant/").context["cl"].result_list
    assert {row.amount: state_of(row) for row in rows} == {
        1: "expired", 2: "used", 3: "frozen", 4: "revoked", 5: "open",
    }  # fmt: skip


def test_a_grant_may_be_extended_for_ever(root: User, ann: User, client: Client) -> None:
    grant = give(ann, 5, expires_at=timezone.now() + timedelta(days=1))
    path, end = page("grant", grant.pk, "extend"), grant.expires_at
    assert f'value="{end:%Y-%m-%d}"' in client.get(path).content.decode()  # what is there stands in the field
    for facts in ({"expires_at": ""}, {"expires_at": f"{end:%Y-%m-%d}", "never": "on"}):
        answer = submit(client, path, reason="r", **facts)
        assert "Say the new end, or that it never expires." in answer.content.decode()
        assert Grant.objects.get(pk=grant.pk).expires_at == end
    submit(client, path, expires_at="", never="on", reason="r")
    assert Grant.objects.get(pk=grant.pk).expires_at is None


def test_a_large_gift_is_for_who_may_adjust(ann: User, client: Client, settings: Any) -> None:
    settings.CREDITS_ISSUE_ALONE = 100
    facts = {"user": ann.username, "unit": "CREDIT", "source": "manual", "expires_at": "", "reason": "sorry"}
    operator = User.objects.create_user("operator", is_staff=True)
    names = ["view_grant", "issue_grant"]
    operator.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(operator)
    answer = submit(client, f"{ROOT}/grant/issue/", amount="101", **facts)
    assert "More than 100 credits a day are given by a colleague" in answer.content.decode()
    submit(client, f"{ROOT}/grant/issue/", amount="60", **facts)
    answer = submit(client, f"{ROOT}/grant/issue/", amount="41", **facts)  # 101 in all
    assert "More than 100 credits a day are given by a colleague" in answer.content.decode()
    submit(client, f"{ROOT}/grant/issue/", amount="40", **facts)
    assert balances.of(ann).available == 100
    operator.user_permissions.add(Permission.objects.get(codename="adjust_credits"))
    submit(client, f"{ROOT}/grant/issue/", amount="101", **facts)
    assert balances.of(ann).available == 201
    kept = [(each.user, each.change_message) for each in LogEntry.objects.all()]
    assert (operator, f"{ann.username} has 101 CREDIT more.") in kept


def test_buttons_are_those_that_can_be_pressed(root: User, ann: User, client: Client) -> None:
    grant = give(ann, 5, expires_at=timezone.now() + timedelta(days=1))

    def shown() -> set[str]:
        text = client.get(page("grant", grant.pk)).content.decode()
        return {name for name in ("extend", "freeze", "unfreeze", "revoke") if f"/{grant.pk}/{name}/" in text}

    assert shown() == {"extend", "freeze", "revoke"}
    grants.freeze(grant=grant, reason="r")
    assert shown() == {"extend", "unfreeze", "revoke"}
    grants.revoke(grant=grant, reason="r")
    assert shown() == set()
    answer = submit(client, page("grant", grant.pk, "freeze"), reason="late")  # by a page that was open before
    assert "The grant cannot be changed any more" in answer.content.decode()


def test_the_limits_of_a_token_are_set_and_kept(root: User, client: Client) -> None:
    token = ServiceToken.objects.create(name="shop", prefix="tl_abcdefgh", digest="a" * 64, created_at=timezone.now())
    path = f"{ROOT}/allowance"
    assert client.get(f"{path}/add/").status_code == 200
    client.post(f"{path}/add/", {"token": token.pk, "unit": "CREDIT", "daily_limit": 10, "monthly_limit": ""})
    made = Allowance.objects.get()
    assert (made.token, made.unit, made.daily_limit, made.monthly_limit) == (token, "CREDIT", 10, None)
    client.post(page("allowance", made.pk), {"daily_limit": "", "monthly_limit": 50})
    made.refresh_from_db()
    assert (made.unit, made.daily_limit, made.monthly_limit) == ("CREDIT", None, 50)
    assert client.post(page("allowance", made.pk, "delete"), {"post": "yes"}).status_code == 403


def test_giving_credits(root: User, ann: User, client: Client) -> None:
    facts = {"user": ann.username, "amount": "50", "unit": "CREDIT", "source": "manual", "reason": "late answer"}
    day = (timezone.now() + timedelta(days=10)).date()
    answer = submit(client, f"{ROOT}/grant/issue/", **facts, expires_at=day.isoformat())
    assert answer.status_code == 302
    grant = Grant.objects.get()
    assert (grant.amount, grant.reason, grant.issued_by, grant.source) == (50, "late answer", root, "manual")
    assert grant.expires_at is not None
    assert (grant.expires_at.date(), balances.of(ann).available) == (day, 50)


def test_a_form_that_is_sent_twice_gives_once(root: User, ann: User, client: Client) -> None:
    facts = {"user": ann.username, "amount": "50", "unit": "CREDIT", "source": "manual", "reason": "late answer"}
    for _ in range(2):
        answer = client.post(f"{ROOT}/grant/issue/", facts | {"key": str(uuid.UUID(int=7))})
        assert answer.status_code == 302
    assert balances.of(ann).available == 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "nobody"},
        {"amount": "0"},
        {"amount": "1.5"},
        {"amount": str(10**15 + 1)},
        {"unit": "EUR"},
        {"source": "pack"},
        {"reason": ""},
        {"expires_at": "2020-01-01"},
    ],
)
def test_grants_that_make_no_sense_are_refused(root: User, ann: User, client: Client, wrong: dict[str, str]) -> None:
    facts = {"user": ann.username, "amount": "50", "unit": "CREDIT", "source": "manual", "reason": "late"}
    answer = submit(client, f"{ROOT}/grant/issue/", **facts | wrong)
    assert (answer.status_code, Grant.objects.count()) == (200, 0)
    assert 'role="alert"' in answer.content.decode()


def test_a_grant_is_extended_frozen_given_free_and_revoked(root: User, ann: User, client: Client) -> None:
    grant = give(ann, 50, expires_at=timezone.now() + timedelta(days=3))
    day = (timezone.now() + timedelta(days=30)).date()
    submit(client, page("grant", grant.pk, "extend"), expires_at=day.isoformat(), reason="holidays")
    extended = Grant.objects.get()
    assert extended.expires_at is not None
    assert extended.expires_at.date() == day
    submit(client, page("grant", grant.pk, "freeze"), reason="disputed")
    assert balances.of(ann).available == 0
    submit(client, page("grant", grant.pk, "unfreeze"), reason="settled")
    assert balances.of(ann).available == 50
    holds.reserve(user=ann, key="h", amount=20)
    assert (
        "30 are taken from the customer now, and 20" in client.get(page("grant", grant.pk, "revoke")).content.decode()
    )
    submit(client, page("grant", grant.pk, "revoke"), reason="fraud")
    assert balances.of(ann).available == 0
    entry = Entry.objects.get(kind="credits.revocation")
    assert entry.metadata == {"reason": "fraud", "by": root.pk}


def test_what_a_grant_cost_is_written_as_money(root: User, ann: User, client: Client) -> None:
    grant = give(ann, 50, paid_minor=1_990, paid_currency="EUR")
    assert "€19.90" in client.get(page("grant", grant.pk)).content.decode()


def test_what_cannot_be_is_told_in_the_form(root: User, ann: User, client: Client) -> None:
    grant = give(ann, 50)
    answer = submit(client, page("grant", grant.pk, "extend"), expires_at="", never="on", reason="for ever")
    assert (answer.status_code, "A grant can only be extended." in answer.content.decode()) == (200, True)
    client.cookies["django_language"] = "fr"
    answer = submit(client, page("grant", grant.pk, "extend"), expires_at="", never="on", reason="for ever")
    assert "Une attribution ne peut être que prolongée." in answer.content.decode()
    client.cookies["django_language"] = "en"
    spend = usage.spend(user=ann, key="s", amount=5)
    answer = submit(client, page("spend", spend.id, "reverse"), amount="6", reason="too much")
    assert "Only 5 of this spend are left" in answer.content.decode()
    assert balances.of(ann).available == 45


def test_spends_go_back_and_holds_end(root: User, ann: User, client: Client) -> None:
    give(ann, 50)
    spend, hold = usage.spend(user=ann, key="s", amount=10), holds.reserve(user=ann, key="h", amount=10)
    submit(client, page("spend", spend.id, "reverse"), amount="4", reason="half done")
    assert balances.of(ann).available == 34
    submit(client, page("spend", spend.id, "reverse"), amount="", reason="all of it")
    submit(client, page("hold", hold.id, "release"), reason="the job is lost")
    assert (balances.of(ann).available, Hold.objects.get().state) == (50, "released")


@pytest.mark.parametrize(("direction", "left"), [("more", 57), ("less", 43)])
def test_a_correction_by_hand(root: User, ann: User, client: Client, direction: str, left: int) -> None:
    give(ann, 50)
    path = page("purse", purse_of(ann).pk, "adjust")
    assert submit(client, path, direction=direction, amount="7", reason="counted wrong").status_code == 302
    assert balances.of(ann).available == left


def test_a_correction_takes_no_more_than_there_is(root: User, ann: User, client: Client) -> None:
    give(ann, 50)
    answer = submit(client, page("purse", purse_of(ann).pk, "adjust"), direction="less", amount="51", reason="x")
    assert "1 missing" in answer.content.decode()
    assert balances.of(ann).available == 50


def test_the_rules_of_a_purse(root: User, ann: User, client: Client) -> None:
    give(ann, 50)
    path = f"{ROOT}/purse/{purse_of(ann).pk}/"
    submit(client, path + "debt/", policy="limited", limit="30", reason="a good customer")
    submit(client, path + "limits/", daily="100", monthly="", low_percent="30", reason="asked for it")
    until = (timezone.now() + timedelta(days=5)).date()
    submit(client, path + "unlimited/", until=until.isoformat(), fair_use_per_month="900", reason="a partner")
    purse = purse_of(ann)
    assert (purse.debt_policy, purse.debt_limit, purse.daily_limit, purse.monthly_limit) == ("limited", 30, 100, None)
    assert purse.low_percent == 30
    assert purse.unlimited_until is not None
    assert (purse.unlimited_until.date(), purse.fair_use_per_month) == (until, 900)
    for facts in ({"policy": "limited"}, {"policy": "forbid", "limit": "5"}, {"policy": "any"}):
        assert submit(client, path + "debt/", reason="r", **facts).status_code == 200
    assert purse_of(ann).debt_limit == 30
    kept = [each.change_message for each in LogEntry.objects.order_by("id")]
    assert [each.split("Reason: ")[1] for each in kept] == ["a good customer", "asked for it", "a partner"]
    assert "Limits: 100 a day, no limit a month. Before: no limit a day, no limit a month." in kept[1]


def test_only_the_fair_use_is_changed_and_the_day_stays(root: User, ann: User, client: Client) -> None:
    """A browser sends back what it was given; what it cannot show in the field for a day it sends empty."""
    give(ann, 50)
    path = f"{ROOT}/purse/{purse_of(ann).pk}/unlimited/"
    until = (timezone.now() + timedelta(days=5)).date()
    submit(client, path, until=until.isoformat(), fair_use_per_month="900", reason="a partner")
    assert f'value="{until.isoformat()}"' in client.get(path).content.decode()
    submit(client, path, until=until.isoformat(), fair_use_per_month="500", reason="less")
    kept = purse_of(ann).unlimited_until
    assert kept is not None
    assert (kept.date(), purse_of(ann).fair_use_per_month) == (until, 500)
    submit(client, path, until="", fair_use_per_month="", reason="over")
    assert purse_of(ann).unlimited_until is None
    assert "Not unlimited any more." in LogEntry.objects.latest("id").change_message


ACTS = [
    ("grant", "extend", "extend_grant"),
    ("grant", "freeze", "freeze_grant"),
    ("grant", "unfreeze", "freeze_grant"),
    ("grant", "revoke", "revoke_grant"),
    ("spend", "reverse", "reverse_spend"),
    ("hold", "release", "release_hold"),
    ("purse", "adjust", "adjust_credits"),
    ("purse", "debt", "change_purse"),
    ("purse", "limits", "change_purse"),
    ("purse", "unlimited", "change_purse"),
]


@pytest.mark.parametrize(("kind", "name", "permission"), ACTS)
def test_each_act_has_its_own_permission(ann: User, client: Client, kind: str, name: str, permission: str) -> None:
    grant = give(ann, 50)
    things = {
        "grant": grant.pk,
        "spend": usage.spend(user=ann, key="s", amount=5).id,
        "hold": holds.reserve(user=ann, key="h", amount=5).id,
        "purse": purse_of(ann).pk,
    }
    others = [codename for _, _, codename in ACTS if codename != permission]
    path = page(kind, things[kind], name)
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{kind}", *others]))
    client.force_login(viewer)
    assert client.get(page(kind, things[kind])).status_code == 200
    assert client.get(path).status_code == client.post(path).status_code == 403
    blind = User.objects.create_user("blind", is_staff=True)
    blind.user_permissions.set(Permission.objects.filter(codename=permission))
    client.force_login(blind)
    # Django lets whoever may change a thing view it as well.
    assert client.get(path).status_code == (200 if permission == "change_purse" else 403)
    doer = User.objects.create_user("doer", is_staff=True)
    doer.user_permissions.set(Permission.objects.filter(codename__in=[f"view_{kind}", permission]))
    client.force_login(doer)
    assert client.get(path).status_code == 200
    assert balances.of(ann).available == 40


@pytest.mark.parametrize("kind", ["grant", "spend", "hold", "purse"])
def test_nothing_is_edited_or_deleted(root: User, ann: User, client: Client, kind: str) -> None:
    grant = give(ann, 50)
    things = {
        "grant": grant.pk,
        "spend": usage.spend(user=ann, key="s", amount=5).id,
        "hold": holds.reserve(user=ann, key="h", amount=5).id,
        "purse": purse_of(ann).pk,
    }
    path = page(kind, things[kind])
    assert client.get(f"{ROOT}/{kind}/add/").status_code == 403
    assert client.post(path, {"amount": "1"}).status_code == 403
    assert client.post(page(kind, things[kind], "delete")).status_code == 403


@pytest.mark.parametrize("kind", ["grant", "spend", "hold", "purse"])
def test_a_list_asks_as_often_for_many_as_for_one(
    root: User, client: Client, kind: str, django_assert_max_num_queries: Any
) -> None:
    def fill() -> None:
        for _ in range(3):
            user = make_user()
            give(user, 50)
            usage.spend(user=user, key="s", amount=5)
            holds.reserve(user=user, key="h", amount=5)

    fill()
    client.get(f"{ROOT}/{kind}/")
    with django_assert_max_num_queries(100) as few:
        client.get(f"{ROOT}/{kind}/")
    fill()
    with django_assert_max_num_queries(len(few)):
        assert client.get(f"{ROOT}/{kind}/").status_code == 200


def test_a_purse_in_the_list_counts_what_can_be_used(root: User, ann: User, client: Client) -> None:
    give(ann, 111)
    grants.freeze(grant=give(ann, 1_000), reason="disputed")
    give(ann, 5_000, at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(days=1))
    holds.reserve(user=ann, key="h", amount=12)
    row = client.get(f"{ROOT}/purse/").content.decode()
    assert balances.of(ann).available == 99
    assert re.search(r">\s*99\s*<", row)
    assert re.search(r">\s*12\s*<", row)
