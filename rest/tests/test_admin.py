"""Service tokens as operators see them."""

import re
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from rest import tokens
from rest.models import ServiceToken

LIST = "/admin/rest/servicetoken/"


def operator(client: Client, *codenames: str) -> User:
    user = User.objects.create_user("support", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return user


def form(*permissions: str, **changes: Any) -> dict[str, Any]:
    chosen = Permission.objects.filter(codename__in=permissions).values_list("pk", flat=True)
    usual = {"name": "shop", "permissions": list(chosen), "expires_at_0": "", "expires_at_1": ""}
    return {**usual, **changes}


def made(**changes: Any) -> tuple[ServiceToken, str]:
    return tokens.issue(**{"name": "shop", "permissions": [], "expires_at": None, "by": None, **changes})


def test_a_new_token_is_shown_once_and_works(root: User, client: Client) -> None:
    response = client.post(LIST + "add/", form("act_for_customers", "view_user"))
    page = response.content.decode()
    [secret] = re.findall(r"tl_[A-Za-z0-9]{43}", page)
    assert "no-store" in response["Cache-Control"]
    token = ServiceToken.objects.get()
    assert (token.name, token.created_by) == ("shop", root)
    assert tokens.verify(secret).permissions == {"rest.act_for_customers", "auth.view_user"}
    for address in (LIST, f"{LIST}{token.pk}/change/", f"{LIST}{token.pk}/history/"):
        later = client.get(address).content.decode()
        assert "shop" in later
        assert secret not in later
        assert token.digest not in later
    assert secret not in str(client.cookies)
    assert secret not in str(dict(client.session))


def test_an_operator_cannot_give_what_they_lack(db, client: Client) -> None:
    operator(client, "add_servicetoken", "view_servicetoken", "view_user")
    page = client.post(LIST + "add/", form("view_user", "delete_user")).content.decode()
    assert "You cannot give what you may not do yourself: auth.delete_user." in page
    assert not ServiceToken.objects.exists()
    assert re.search("tl_", client.post(LIST + "add/", form("view_user")).content.decode())


def test_a_moment_that_is_over_is_refused(root: User, client: Client) -> None:
    page = client.post(LIST + "add/", form(expires_at_0="2020-01-01", expires_at_1="00:00:00")).content.decode()
    assert "This moment is over." in page
    assert not ServiceToken.objects.exists()


def test_only_the_name_can_be_changed(root: User, client: Client) -> None:
    token, _ = made()
    before = ServiceToken.objects.filter(pk=token.pk).values().get()
    everything = form("delete_user", name="till", digest="0" * 64, prefix="tl_00000000", expires_at_0="2030-01-01")
    assert client.post(f"{LIST}{token.pk}/change/", everything).status_code == 302
    assert ServiceToken.objects.filter(pk=token.pk).values().get() == {**before, "name": "till"}
    assert token.permissions.count() == 0


def test_tokens_cannot_be_deleted(root: User, client: Client) -> None:
    token, _ = made()
    assert client.post(f"{LIST}{token.pk}/delete/", {"post": "yes"}).status_code == 403
    assert ServiceToken.objects.count() == 1


def test_the_list_says_how_each_token_stands(root: User, client: Client) -> None:
    now = timezone.now()
    made(name="one")
    ended, _ = made(name="two")
    ServiceToken.objects.filter(pk=ended.pk).update(created_at=now - timedelta(2), expires_at=now - timedelta(1))
    revoked, _ = made(name="three")
    tokens.revoke(token=revoked, by=root)
    page = client.get(LIST).content.decode()
    assert [page.count(state) for state in ("In force", "Expired", "Revoked")] == [1, 1, 1]


def test_the_list_costs_the_same_for_many_tokens(root: User, client: Client, django_assert_max_num_queries) -> None:
    for _ in range(20):
        made(by=root)
    with django_assert_max_num_queries(12):
        client.get(LIST)


def test_revoking_asks_first(root: User, client: Client) -> None:
    token, secret = made()
    page = client.get(f"{LIST}{token.pk}/change/").content.decode()
    address = f"{LIST}{token.pk}/revoke/"
    assert address in page
    question = client.get(address, follow=True).content.decode()
    assert "refused within 10 seconds" in question
    assert tokens.verify(secret).revoked_at is None
    done = client.post(address, follow=True)
    assert f"{token} is revoked." in done.content.decode()
    token.refresh_from_db()
    assert (token.revoked_at is not None, token.revoked_by) == (True, root)
    assert f"{token} was revoked before." in client.post(address, follow=True).content.decode()


def test_revoking_needs_its_own_permission(db, client: Client) -> None:
    operator(client, "view_servicetoken", "change_servicetoken", "add_servicetoken")
    token, _ = made()
    address = f"{LIST}{token.pk}/revoke/"
    assert address not in client.get(f"{LIST}{token.pk}/change/").content.decode()
    assert client.post(address).status_code == 403
    token.refresh_from_db()
    assert token.revoked_at is None


def test_revoking_what_is_not_there_is_no_fault(root: User, client: Client) -> None:
    assert client.post(f"{LIST}00000000-0000-0000-0000-000000000000/revoke/").status_code == 404
    assert client.post(f"{LIST}nonsense/revoke/").status_code == 404
