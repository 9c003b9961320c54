import pytest
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from config import audit
from config.tests import authenticator
from rest.models import ServiceToken

PASSWORD = "correct-horse-battery-7"


@pytest.fixture
def olive(db) -> User:
    """She may do everything, and signs in with a password."""
    olive = User.objects.create_superuser("olive", "", PASSWORD)
    LogEntry.objects.all().delete()
    return olive


def test_every_model_of_the_table_is_kept() -> None:
    assert {apps.get_model(label) for label in audit.AUDITED} <= set(auditlog.get_models())


def test_change_is_kept_with_its_actor_and_address(as_root: Client, root: User) -> None:
    person = User.objects.create_user("carl", email="old@shop.example")
    LogEntry.objects.all().delete()
    url = reverse("admin:auth_user_change", args=[person.pk])
    as_root.post(
        url,
        {"email": "new@shop.example", "is_active": "on", "groups": [Group.objects.get(name="support").pk]},
        REMOTE_ADDR="192.0.2.7",
        headers={"X-Forwarded-For": "203.0.113.1", "X-Request-ID": "req-1"},
    )
    fields, members = LogEntry.objects.order_by("pk")
    assert fields.changes == {"email": ["old@shop.example", "new@shop.example"]}
    assert members.changes == {"groups": {"type": "m2m", "operation": "add", "objects": ["support"]}}
    for entry in (fields, members):
        assert (entry.actor, entry.object_repr) == (root, "carl")
        assert (entry.remote_addr, entry.cid) == ("192.0.2.7", "req-1")


def test_password_is_kept_as_a_fact_only(as_root: Client) -> None:
    person = User.objects.create_user("carl", password=PASSWORD)
    LogEntry.objects.all().delete()
    data = {"password1": "another-horse-battery-8", "password2": "another-horse-battery-8", "usable_password": "true"}
    as_root.post(reverse("admin:auth_user_password_change", args=[person.pk]), data)
    assert LogEntry.objects.get().changes == {"password": ["••••", "••••"]}


def test_sign_in_of_an_operator_is_kept(olive: User, client: Client) -> None:
    authenticator.sign_in(client, "olive", PASSWORD)
    entry = LogEntry.objects.get()
    assert (entry.action, entry.actor, entry.remote_addr) == (LogEntry.Action.ACCESS, olive, "127.0.0.1")


def test_refused_sign_in_and_that_of_a_customer_are_not(olive: User, client: Client) -> None:
    User.objects.create_user("carl", password=PASSWORD)
    LogEntry.objects.all().delete()
    authenticator.sign_in(client, "carl", PASSWORD)
    authenticator.sign_in(Client(), "olive", "wrong")
    assert not LogEntry.objects.exists()


def test_customer_made_by_a_request_of_the_api_is_no_operators_act(db) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        User.objects.create_user(request.path)
        return HttpResponse()

    middleware = audit.AuditMiddleware(view)
    middleware(RequestFactory().get("/api/v1/me"))
    assert not LogEntry.objects.exists()
    request = RequestFactory().get("/admin/auth/user/")
    middleware(request)
    assert LogEntry.objects.get().object_repr == "/admin/auth/user/"


def test_change_by_a_command_has_no_actor(db) -> None:
    User.objects.create_user("carl")
    assert LogEntry.objects.get().actor is None


def test_entries_are_only_added(as_root: Client) -> None:
    LogEntry.objects.all().delete()
    User.objects.create_user("carl")
    entry = LogEntry.objects.get()
    assert as_root.get(reverse("admin:auditlog_logentry_change", args=[entry.pk])).status_code == 200
    assert as_root.get(reverse("admin:auditlog_logentry_add")).status_code == 403
    assert as_root.post(reverse("admin:auditlog_logentry_change", args=[entry.pk]), {"cid": "x"}).status_code == 403
    assert as_root.post(reverse("admin:auditlog_logentry_delete", args=[entry.pk]), {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
    as_root.post(reverse("admin:auditlog_logentry_changelist"), action)
    assert LogEntry.objects.get() == entry


def test_entry_outlives_its_actor_and_its_object(as_root: Client, root: User) -> None:
    group = Group.objects.create(name="night shift")
    as_root.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
    root.delete()
    assert LogEntry.objects.filter(object_repr="night shift", action=LogEntry.Action.DELETE).exists()


def test_accounts_are_not_deleted(as_root: Client) -> None:
    """They own books and acts, and tokens outside still name them: one that is over is deactivated."""
    person = User.objects.create_user("carl")
    assert as_root.post(reverse("admin:auth_user_delete", args=[person.pk]), {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=person.pk).exists()


def test_service_token_is_kept_without_its_digest(db) -> None:
    token = ServiceToken.objects.create(name="shop", prefix="tl_12345678", digest="d" * 64, created_at=timezone.now())
    token.permissions.add(Permission.objects.get(codename="view_user"))
    made, scope = LogEntry.objects.order_by("pk")
    assert made.object_pk == str(token.pk)
    assert "d" * 64 not in str(made.changes)
    assert scope.changes["permissions"]["operation"] == "add"
