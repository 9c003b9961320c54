"""Who calls, for whom, and what that costs."""

import json
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, connection, connections
from django.test import Client, RequestFactory
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rest import authentication, customers, permissions, tokens
from rest.callers import Caller, Kind
from rest.tests.signing import bearer, token
from rest.views import ApiView

pytestmark = pytest.mark.usefixtures("shared_secret")
KEY = "the key of our own gateway, 32 or more"


def permission(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


def service(*names: str) -> tuple[Any, str]:
    return tokens.issue(name="shop", permissions=map(permission, names), expires_at=None, by=None)


def get(client: Client, credential: str | None = None, **headers: str) -> Any:
    sent = bearer(credential, **headers) if credential else headers
    return client.get("/api/v1/me", headers=sent)


def refusal(response: Any) -> tuple[int, str, str]:
    return response.status_code, response.json()["code"], response.json()["detail"]


# ---------------------------------------------------------------- customers


def test_a_customer_is_who_the_token_says(db, client: Client) -> None:
    with time_machine.travel(1_800_000_000, tick=False):
        response = get(client, token(sub="alice", exp=1_800_000_600))
    assert response.status_code == 200
    assert response.json() == {
        "kind": "customer",
        "user": "alice",
        "name": "alice",
        "permissions": [],
        "expires_at": "2027-01-15T08:10:00Z",
    }
    user = User.objects.get(username="alice")
    assert (user.is_active, user.is_staff, user.is_superuser, user.has_usable_password()) == (True, False, False, False)


def test_names_that_look_alike_are_two_customers(db, client: Client) -> None:
    for sub in ("ﬁona", "fiona", "Fiona"):
        assert get(client, token(sub=sub)).json()["user"] == sub
    assert User.objects.count() == 3


def test_the_second_request_of_a_customer_makes_no_query(db, client: Client, django_assert_num_queries: Any) -> None:
    signed = token()
    assert get(client, signed).status_code == 200
    with django_assert_num_queries(0):
        assert get(client, signed).status_code == 200


def test_another_token_of_a_known_customer_makes_no_query(db, client: Client, django_assert_num_queries: Any) -> None:
    assert get(client, token()).status_code == 200
    with django_assert_num_queries(0):
        assert get(client, token(jti="another")).status_code == 200


def test_a_remembered_token_ends_when_it_says(db, client: Client) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        signed = token(exp=1_800_000_005)
        assert get(client, signed).status_code == 200
        clock.shift(14)  # the leeway is ten seconds
        assert get(client, signed).status_code == 200
        clock.shift(1)
        assert refusal(get(client, signed))[:2] == (401, "token_expired")


def test_a_deactivated_customer_is_refused_when_the_memory_ends(db, client: Client) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        assert get(client, token()).status_code == 200
        User.objects.update(is_active=False)
        clock.shift(59)
        assert get(client, token()).status_code == 200
        clock.shift(1)
        expected = (401, "user_inactive", "This user was deactivated.")
        assert refusal(get(client, token())) == expected


def test_a_clock_set_back_prolongs_no_memory(db, client: Client) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        assert get(client, token(exp=1_900_000_000)).status_code == 200
        User.objects.update(is_active=False)
        clock.shift(-3600)
        assert get(client, token(exp=1_900_000_000)).status_code == 401


@pytest.mark.parametrize("rank", ["is_staff", "is_superuser"])
def test_no_token_can_name_an_operator(db, client: Client, rank: str) -> None:
    User.objects.create_user("root", **{rank: True})  # type: ignore[arg-type]
    expected = (401, "operator_account", "This user is an operator: operators work in the admin.")
    assert refusal(get(client, token(sub="root"))) == expected


def test_each_request_has_a_user_object_of_its_own(db) -> None:
    first, second = customers.account("alice"), customers.account("alice")
    assert first == second
    assert first is not second
    assert first._state is not second._state


@pytest.mark.django_db(transaction=True)
def test_two_first_requests_at_once_make_one_user() -> None:
    assert Counter(see_alice_twice(customers.account)) == {User.objects.get(username="alice").pk: 2}


@pytest.mark.django_db(transaction=True)
def test_the_race_is_real_without_looking_again() -> None:
    """If this fails, the test above proves nothing."""

    def without_looking(user_id: str) -> User:
        return User.objects.create(username=user_id)

    outcomes = see_alice_twice(without_looking)
    assert len([each for each in outcomes if each is None]) == 1


def see_alice_twice(act: Any) -> list[Any]:
    """Both look for the account before either makes it: the barrier stands between the look and the making."""
    both_looked = threading.Barrier(2)
    outcomes: list[Any] = []

    def look_then_wait(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('INSERT INTO "auth_user"'):
            both_looked.wait(timeout=30)
        return execute(sql, params, many, context)

    def rival() -> None:
        try:
            with connection.execute_wrapper(look_then_wait):
                outcomes.append(act("alice").pk)
        except IntegrityError:
            outcomes.append(None)
        finally:
            connections.close_all()

    rivals = [threading.Thread(target=rival) for _ in range(2)]
    for each in rivals:
        each.start()
    for each in rivals:
        each.join()
    return outcomes


def test_a_customer_may_name_themselves_and_nobody_else(db, client: Client) -> None:
    assert get(client, token(sub="älice"), **{"X-User-ID": "älice".encode().decode("latin-1")}).status_code == 200
    expected = (403, "user_mismatch", "The token speaks for another user than X-User-ID.")
    assert refusal(get(client, token(sub="alice"), **{"X-User-ID": "bob"})) == expected
    assert not User.objects.filter(username="bob").exists()


# ---------------------------------------------------------------- services


def test_a_service_is_its_token_and_its_permissions(db, client: Client) -> None:
    _, secret = service("rest.act_for_customers", "auth.view_user")
    assert get(client, secret).json() == {
        "kind": "service",
        "user": None,
        "name": "shop",
        "permissions": ["auth.view_user", "rest.act_for_customers"],
        "expires_at": None,
    }


def test_a_service_acts_for_a_customer_with_the_permission(db, client: Client) -> None:
    _, secret = service("rest.act_for_customers")
    assert get(client, secret, **{"X-User-ID": "bob"}).json()["user"] == "bob"
    assert not User.objects.get(username="bob").has_usable_password()


def test_a_service_acts_for_nobody_without_the_permission(db, client: Client) -> None:
    _, secret = service("auth.view_user")
    expected = (
        403,
        "permission_missing",
        "To act for a customer the service token needs the permission rest.act_for_customers.",
    )
    assert refusal(get(client, secret, **{"X-User-ID": "bob"})) == expected
    assert not User.objects.exists()


@pytest.mark.parametrize("user_id", ["", " bob", "b\tb", "b" * 151, "\xff", "b\u0101b", "\u200b"])
def test_a_user_id_that_is_none_is_refused(db, client: Client, user_id: str) -> None:
    _, secret = service("rest.act_for_customers")
    sentence = "A user id in X-User-ID is 1 to 150 visible characters, without surrounding space and commas."
    assert refusal(get(client, secret, **{"X-User-ID": user_id})) == (400, "invalid_user_id", sentence)
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"is_staff": True}, "operator_account"),
        ({"is_superuser": True}, "operator_account"),
        ({"is_active": False}, "user_inactive"),
    ],
)
def test_a_service_cannot_act_for_an_operator_or_an_inactive_user(
    db, client: Client, fields: dict[str, bool], code: str
) -> None:
    User.objects.create_user("root", **fields)  # type: ignore[arg-type]
    _, secret = service("rest.act_for_customers")
    assert refusal(get(client, secret, **{"X-User-ID": "root"}))[:2] == (403, code)


def test_the_second_request_of_a_service_makes_no_query(db, client: Client, django_assert_num_queries: Any) -> None:
    _, secret = service("rest.act_for_customers")
    assert get(client, secret, **{"X-User-ID": "bob"}).status_code == 200
    with django_assert_num_queries(0):
        assert get(client, secret, **{"X-User-ID": "bob"}).status_code == 200


def test_a_revocation_is_seen_within_ten_seconds(db, client: Client) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        made, secret = service("auth.view_user")
        assert get(client, secret).status_code == 200
        assert tokens.revoke(token=made, by=None) is True
        clock.shift(10)
        assert refusal(get(client, secret))[:2] == (401, "service_token_revoked")
        assert tokens.revoke(token=made, by=None) is False


def test_a_remembered_service_token_ends_when_it_says(db, client: Client) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        made, secret = service("auth.view_user")
        type(made).objects.update(expires_at=made.created_at + timedelta(seconds=5))
        assert get(client, secret).status_code == 200
        clock.shift(5)
        assert refusal(get(client, secret))[:2] == (401, "service_token_expired")


def test_use_is_stamped_once_a_minute(db, client: Client) -> None:
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        made, secret = service("auth.view_user")
        stamps = []
        for seconds in (0, 30, 19, 11):
            clock.shift(seconds)
            assert get(client, secret).status_code == 200
            made.refresh_from_db()
            stamps.append(int(made.last_used_at.timestamp()) - 1_800_000_000)
    assert stamps == [0, 0, 0, 60]


# ---------------------------------------------------------------- the trusted proxy


def test_a_trusted_proxy_vouches_for_a_customer(db, client: Client, settings) -> None:
    settings.TRUST_PROXY_HEADERS, settings.INTERNAL_API_KEY = True, KEY
    response = get(client, **{"X-User-ID": "carol", "X-Internal-Key": KEY})
    assert response.json() == {
        "kind": "proxy",
        "user": "carol",
        "name": "carol",
        "permissions": [],
        "expires_at": None,
    }


def test_the_previous_internal_key_serves_while_it_is_rotated(db, client: Client, settings) -> None:
    settings.TRUST_PROXY_HEADERS, settings.INTERNAL_API_KEY = True, "a new key, which the gateway knows not"
    settings.INTERNAL_PREVIOUS_API_KEY = KEY
    assert get(client, **{"X-User-ID": "carol", "X-Internal-Key": KEY}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"X-Internal-Key": ""}, {"X-Internal-Key": "wrong"}, {"X-Internal-Key": "\xe9"}]
)
@pytest.mark.parametrize("configured", [KEY, ""])
def test_a_wrong_internal_key_is_refused(
    db, client: Client, settings, configured: str, headers: dict[str, str]
) -> None:
    settings.TRUST_PROXY_HEADERS, settings.INTERNAL_API_KEY = True, configured
    response = get(client, **{"X-User-ID": "carol", **headers})
    assert refusal(response) == (401, "invalid_internal_key", "X-Internal-Key is missing or wrong.")
    assert not User.objects.exists()


def test_proxy_headers_mean_nothing_unless_they_are_trusted(db, client: Client, settings) -> None:
    settings.INTERNAL_API_KEY = KEY
    response = get(client, **{"X-User-ID": "carol", "X-Internal-Key": KEY})
    assert refusal(response)[:2] == (401, "not_authenticated")
    assert not User.objects.exists()


def test_two_credentials_at_once_are_refused(db, client: Client, settings) -> None:
    settings.TRUST_PROXY_HEADERS, settings.INTERNAL_API_KEY = True, KEY
    response = get(client, token(), **{"X-User-ID": "alice", "X-Internal-Key": KEY})
    expected = (400, "ambiguous_credentials", "Send either a bearer token or X-Internal-Key, not both.")
    assert refusal(response) == expected


def test_a_proxy_must_say_for_whom(db, client: Client, settings) -> None:
    settings.TRUST_PROXY_HEADERS, settings.INTERNAL_API_KEY = True, KEY
    assert refusal(get(client, **{"X-Internal-Key": KEY}))[:2] == (400, "invalid_user_id")


def test_a_session_of_the_admin_opens_nothing(root: User, client: Client) -> None:
    assert refusal(get(client))[:2] == (401, "not_authenticated")


# ---------------------------------------------------------------- what endpoints ask


class Probe(APIView):
    """An endpoint that says 204 to whom it lets in."""

    asked: list[Any] = []

    def get_permissions(self) -> list[Any]:
        return [each() for each in self.asked]

    def get(self, request: Request) -> Any:
        return Response(status=204)


def ask(asked: Any, credential: str | None, **headers: str) -> tuple[int, str]:
    sent = bearer(credential, **headers) if credential else headers
    view: Any = type("ProbeOfOneTest", (Probe,), {"asked": [asked]})
    response = view.as_view()(RequestFactory().get("/", headers=sent))
    if response.status_code == 204:
        return 204, ""
    return response.status_code, json.loads(response.content)["code"]


def test_permissions_let_in_whom_they_name(db) -> None:
    _, secret = service("rest.act_for_customers")
    for_bob = {"X-User-ID": "bob"}
    table = {
        "caller": permissions.IsCaller,
        "owner": permissions.OwnerOrService("rest.act_for_customers"),
        "held": permissions.HasPermission("rest.act_for_customers"),
        "missing": permissions.HasPermission("auth.add_user"),
        "either": permissions.HasPermission("auth.add_user") | permissions.IsCaller,
    }
    said = {
        name: (ask(each, None), ask(each, token()), ask(each, secret), ask(each, secret, **for_bob))
        for name, each in table.items()
    }
    stranger, in_, out = (401, "not_authenticated"), (204, ""), (403, "permission_missing")
    assert said == {
        "caller": (stranger, in_, in_, in_),
        "owner": (stranger, in_, (400, "customer_required"), in_),
        "held": (stranger, out, in_, in_),
        "missing": (stranger, out, out, out),
        "either": (stranger, in_, in_, in_),
    }


class ReadAndWritten(ApiView):
    permission_classes = (permissions.HasPermission("auth.view_user"),)
    permissions_to_write = (permissions.HasPermission("auth.change_user"),)

    def get(self, request: Request) -> Any:
        return Response(status=204)

    post = put = patch = delete = get


def test_whoever_may_read_may_not_write(db) -> None:
    def met(method: str, secret: str) -> int:
        sent = RequestFactory().generic(method, "/", headers=bearer(secret), content_type="application/json")
        status: int = ReadAndWritten.as_view()(sent).status_code
        return status

    reader, writer = (service(name)[1] for name in ("auth.view_user", "auth.change_user"))
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    assert [met(method, reader) for method in methods] == [204, 204, 403, 403, 403, 403]
    assert [met(method, writer) for method in methods] == [403, 403, 204, 204, 204, 204]


def test_the_rights_of_a_user_count_for_nothing_in_the_api(db) -> None:
    alice = User.objects.create_user("alice")
    alice.user_permissions.set(Permission.objects.all())
    assert ask(permissions.HasPermission("auth.add_user"), token(sub="alice")) == (403, "permission_missing")


def test_a_caller_is_fixed_once_known(db) -> None:
    caller = Caller(kind=Kind.SERVICE, identity="service:1", user=None, name="shop")
    with pytest.raises(AttributeError):
        caller.permissions = frozenset({"auth.add_user"})  # type: ignore[misc]


def test_the_schema_tells_the_ways_to_call(db, client: Client, settings) -> None:
    settings.TRUST_PROXY_HEADERS = True
    schema = client.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"}).json()
    assert schema["paths"]["/api/v1/me"]["get"]["security"] == [
        {"customerToken": []},
        {"serviceToken": []},
        {"proxyKey": [], "proxyUser": []},
    ]
    assert set(schema["components"]["securitySchemes"]) == set(authentication.CallerScheme.name)
