from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import models
from django.forms import Field
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from djstripe.models import APIKey, Customer, WebhookEndpoint, WebhookEventTrigger

from config import groups, stripe_mirror
from rest.tests.operators import browser, operator, signed_in

EVERY_MODEL = sorted((model._meta.label_lower for model in admin.site._registry), key=str)
# Their label says all that there is to say.
PLAIN = (
    "name_en",
    "description_en",
    "label_en",
    "description",
    "quantity",
    "address",
    "postcode",
    "city",
    "user",
    "pack",
)
STRIPE_MODELS = [label for label in EVERY_MODEL if label.startswith("djstripe.")]


def list_of(label: str) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_changelist")


@pytest.mark.parametrize("label", EVERY_MODEL)
def test_every_list_opens_searches_and_refuses_whoever_may_not_view(label: str, as_root: Client) -> None:
    nobody = signed_in()
    assert as_root.get(list_of(label)).status_code == 200
    assert as_root.get(list_of(label), {"q": "x"}).status_code == 200
    assert nobody.get(list_of(label)).status_code == 403


def fields_of(its_admin: Any, request: HttpRequest) -> Iterator[tuple[str, Field]]:
    yield from its_admin.get_form(request)().fields.items()
    for inline in its_admin.get_inline_instances(request):
        yield from inline.get_formset(request).form.base_fields.items()


@pytest.mark.parametrize("app", ["billing", "credits", "wallets", "events", "rest"])
def test_every_field_that_is_filled_in_says_what_for(app: str, root: User, rf: RequestFactory) -> None:
    request = rf.get("/")
    request.user = root
    ours = [(model, found) for model, found in admin.site._registry.items() if model._meta.app_label == app]
    edited = [(m, a) for m, a in ours if a.has_add_permission(request) or a.has_change_permission(request)]
    mute = [
        f"{model.__name__}.{name}"
        for model, its_admin in edited
        for name, field in fields_of(its_admin, request)
        if not field.help_text and name not in PLAIN
    ]
    assert edited
    assert mute == []


def test_the_mirror_is_whole() -> None:
    assert len(STRIPE_MODELS) >= 40


@pytest.mark.parametrize("label", STRIPE_MODELS)
def test_mirror_of_stripe_changes_nothing(label: str, as_root: Client) -> None:
    assert as_root.get(list_of(label) + "add/").status_code == 403
    page = as_root.get(list_of(label)).content.decode()
    assert "/add/" not in page.split('id="main"')[1]
    assert 'name="action"' not in page


def test_mirror_shows_no_secret(as_root: Client) -> None:
    secret = "sk_test_" + "q" * 30
    endpoint_secret = "whsec_" + "w" * 30
    rows: list[models.Model] = [
        APIKey.objects.create(secret=secret, type="secret", livemode=False, name="main"),
        WebhookEndpoint.objects.create(
            id="we_1",
            secret=endpoint_secret,
            url="https://shop.example/",
            enabled_events=["*"],
            stripe_data={"secret": endpoint_secret},
        ),
        Customer.objects.create(
            id="cus_1", email="c@shop.example", stripe_data={"deep": [{"client_secret": secret, "currency": "xaf"}]}
        ),
        WebhookEventTrigger.objects.create(
            remote_ip="192.0.2.1",
            headers={"Stripe-Signature": secret, "Host": "shop.example"},
            body=f'{{"data": {{"client_secret": "{secret}"}}}}',
        ),
    ]
    for row in rows:
        label = row._meta.label_lower
        page = as_root.get(reverse(f"admin:{label.replace('.', '_')}_change", args=[row.pk]))
        shown = page.content.decode() + as_root.get(list_of(label)).content.decode()
        assert page.status_code == 200
        assert secret not in shown
        assert endpoint_secret not in shown
    customer_page = as_root.get(reverse("admin:djstripe_customer_change", args=[rows[2].pk])).content.decode()
    assert "xaf" in customer_page


def test_mirror_refuses_to_change_and_delete(as_root: Client) -> None:
    customer = Customer.objects.create(id="cus_1", email="c@shop.example", stripe_data={})
    url = reverse("admin:djstripe_customer_change", args=[customer.pk])
    assert as_root.post(url, {"email": "other@shop.example"}).status_code == 403
    assert (
        as_root.post(reverse("admin:djstripe_customer_delete", args=[customer.pk]), {"post": "yes"}).status_code == 403
    )
    assert Customer.objects.get().email == "c@shop.example"


def test_secrets_are_masked_however_deep() -> None:
    document = {"a": [{"client_secret": "x", "secret": "", "n": 1}], "api_key": "k", "plain": "p"}
    masked = {"a": [{"client_secret": "••••", "secret": "", "n": 1}], "api_key": "••••", "plain": "p"}
    assert stripe_mirror.redacted(document) == masked


class TestPeople:
    OUTSIDE_ID = "auth0|żółć/Ω+1@x y"

    def test_username_is_fixed_after_birth(self, as_root: Client) -> None:
        person = User.objects.create_user(self.OUTSIDE_ID)
        url = reverse("admin:auth_user_change", args=[person.pk])
        assert 'name="username"' not in as_root.get(url).content.decode()
        answer = as_root.post(url, {"username": "other", "email": "new@shop.example", "is_active": "on"})
        assert answer.status_code == 302, answer.content.decode()
        person.refresh_from_db()
        assert (person.username, person.email) == (self.OUTSIDE_ID, "new@shop.example")

    def test_pages_to_add_and_to_change_open(self, as_root: Client, root: User) -> None:
        assert as_root.get(reverse("admin:auth_user_add")).status_code == 200
        page = as_root.get(reverse("admin:auth_user_change", args=[root.pk]))
        assert "The id by which other systems know this person" in page.content.decode()

    def test_outside_ids_are_found(self, as_root: Client) -> None:
        User.objects.create_user(self.OUTSIDE_ID)
        assert "auth0|żółć" in as_root.get(list_of("auth.user"), {"q": "żółć/Ω"}).content.decode()

    def test_operators_and_customers_are_told_apart(self, as_root: Client) -> None:
        User.objects.create_user("carl")
        assert rows_of(as_root.get(list_of("auth.user"), {"who": "customers"})) == ["carl"]
        assert rows_of(as_root.get(list_of("auth.user"), {"who": "operators"})) == ["root"]

    def test_operator_cannot_promote_anybody(self, root: User) -> None:
        clerk = operator()
        clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "change_user"]))
        carl = User.objects.create_user("carl")
        promoted = {
            "email": "c@shop.example",
            "is_active": "on",
            "is_staff": "on",
            "is_superuser": "on",
            "groups": ["1"],
        }
        answer = browser(clerk).post(reverse("admin:auth_user_change", args=[carl.pk]), promoted)
        assert answer.status_code == 302
        carl.refresh_from_db()
        assert (carl.email, carl.is_staff, carl.is_superuser) == ("c@shop.example", False, False)
        assert not carl.groups.exists()

    @pytest.mark.parametrize("page", ["auth_user_change", "auth_user_password_change"])
    def test_operator_cannot_touch_another_operator(self, root: User, page: str) -> None:
        clerk = operator()
        clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "change_user"]))
        data = {"email": "mine@evil.example", "password1": "correct-horse-1", "password2": "correct-horse-1"}
        assert browser(clerk).post(reverse(f"admin:{page}", args=[root.pk]), data).status_code == 403
        before = root.password
        root.refresh_from_db()
        assert (root.email, root.password) == ("root@shop.example", before)


def rows_of(answer) -> list[str]:
    return [row.username for row in answer.context["cl"].result_list]


@pytest.mark.django_db
class TestGroups:
    def test_migration_made_them(self) -> None:
        assert set(Group.objects.values_list("name", flat=True)) == {"support", "finance", "auditor"}

    def test_auditor_views_everything_and_changes_nothing(self) -> None:
        held = set(Group.objects.get(name="auditor").permissions.values_list("codename", flat=True))
        views = set(Permission.objects.filter(codename__startswith="view_").values_list("codename", flat=True))
        assert held == views
        browser = signed_in("auditor")
        for label in EVERY_MODEL:
            if Permission.objects.filter(codename=f"view_{label.partition('.')[2]}").exists():
                assert browser.get(list_of(label)).status_code == 200, label
        assert browser.get(list_of("auth.user") + "add/").status_code == 403

    def test_support_sees_people_and_not_stripe(self) -> None:
        browser = signed_in("support")
        assert browser.get(list_of("auth.user")).status_code == 200
        assert browser.get(list_of("djstripe.charge")).status_code == 403
        home = browser.get("/admin/").content.decode()
        assert list_of("auth.user") in home
        assert list_of("djstripe.charge") not in home
        assert list_of("auditlog.logentry") not in home

    def test_support_and_finance_see_every_part_of_the_pages_they_may_open(self, rf: RequestFactory) -> None:
        for group in ("support", "finance"):
            request = rf.get("/")
            request.user = operator(group, name=group)
            hidden = [
                f"{model.__name__}: {inline.model.__name__}"
                for model, its_admin in admin.site._registry.items()
                if its_admin.has_view_permission(request)
                for inline in (each(model, admin.site) for each in its_admin.inlines)
                if not inline.has_view_permission(request)
            ]
            assert hidden == []

    def test_finance_sees_stripe(self) -> None:
        browser = signed_in("finance")
        assert browser.get(list_of("djstripe.charge")).status_code == 200
        assert browser.get(list_of("auditlog.logentry")).status_code == 403

    def test_again_changes_nothing(self) -> None:
        assert groups.synchronise() == dict.fromkeys(groups.GROUPS, (0, 0))

    def test_what_the_table_does_not_say_is_taken_away(self) -> None:
        Group.objects.get(name="support").permissions.add(Permission.objects.get(codename="change_user"))
        assert groups.synchronise()["support"] == (0, 1)
        held = Group.objects.get(name="support").permissions.values_list("codename", flat=True)
        assert "view_user" in held
        assert "change_user" not in held

    @pytest.mark.parametrize("line", ["auth.view_unicorn", "auht.view_user", "djstripe.veiw_*", "view_user"])
    def test_unknown_permission_is_refused_and_nothing_is_changed(self, line: str) -> None:
        with pytest.raises(groups.UnknownPermission, match=line.replace("*", r"\*")):
            groups.synchronise({"finance": ("auth.view_user",), "support": (line,)})
        assert groups.synchronise() == dict.fromkeys(groups.GROUPS, (0, 0))

    def test_command_says_what_it_did(self, capsys) -> None:
        Group.objects.get(name="finance").permissions.clear()
        call_command("sync_groups")
        assert "support: 0 added, 0 removed" in capsys.readouterr().out

    def test_house_groups_are_fixed_in_the_admin(self, as_root: Client) -> None:
        support = Group.objects.get(name="support")
        own = Group.objects.create(name="night shift")
        assert as_root.post(reverse("admin:auth_group_change", args=[support.pk]), {"name": "x"}).status_code == 403
        assert as_root.post(reverse("admin:auth_group_change", args=[own.pk]), {"name": "day shift"}).status_code == 302
        assert set(Group.objects.values_list("name", flat=True)) == {"support", "finance", "auditor", "day shift"}

    def test_group_is_no_way_to_more_permissions(self) -> None:
        clerk = operator("support")
        clerk.user_permissions.set(Permission.objects.filter(content_type__model="group"))
        own = Group.objects.create(name="night shift")
        answer = browser(clerk).post(reverse("admin:auth_group_change", args=[own.pk]), {"name": "x"})
        assert answer.status_code == 403


class TestSecondFactors:
    @pytest.fixture
    def factor(self, db) -> Authenticator:
        person = User.objects.create_user("olive", is_staff=True)
        made: Authenticator = Authenticator.objects.create(
            user=person, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"}
        )
        return made

    def test_secret_is_never_shown(self, factor: Authenticator, as_root: Client) -> None:
        page = as_root.get(reverse("admin:mfa_authenticator_change", args=[factor.pk]))
        assert page.status_code == 200
        assert b"JBSWY3DPEHPK3PXP" not in page.content

    def test_superuser_takes_a_lost_one_away(self, factor: Authenticator, as_root: Client, root: User) -> None:
        as_root.post(reverse("admin:mfa_authenticator_delete", args=[factor.pk]), {"post": "yes"})
        assert not Authenticator.objects.exists()
        entry = LogEntry.objects.get(content_type__model="authenticator", action=LogEntry.Action.DELETE)
        assert entry.actor == root
        assert "JBSWY3DPEHPK3PXP" not in str(entry.changes)

    def test_nobody_else_does(self, factor: Authenticator) -> None:
        clerk = operator(name="clerk")
        clerk.user_permissions.set(Permission.objects.filter(content_type__model="authenticator"))
        url = reverse("admin:mfa_authenticator_delete", args=[factor.pk])
        assert browser(clerk).post(url, {"post": "yes"}).status_code == 403
        assert Authenticator.objects.exists()
