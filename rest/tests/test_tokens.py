"""Making and ending service tokens, in code and on the command line."""

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from rest import tokens
from rest.callers import CredentialRefused
from rest.models import ServiceToken


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_secret_is_random_and_only_its_digest_is_kept(db) -> None:
    made, secret = tokens.issue(name="shop", permissions=[], expires_at=None, by=None)
    _, other = tokens.issue(name="shop", permissions=[], expires_at=None, by=None)
    assert re.fullmatch(r"tl_[A-Za-z0-9]{43}", secret)
    assert secret != other
    stored = ServiceToken.objects.filter(pk=made.pk).values_list().get()
    assert secret not in map(str, stored)
    assert made.prefix == secret[:11]
    assert tokens.verify(secret).id == made.pk


def test_an_operator_gives_no_more_than_they_have(db) -> None:
    operator = User.objects.create_user("support")
    theirs = Permission.objects.get(codename="view_user")
    operator.user_permissions.add(theirs)
    made, _ = tokens.issue(name="shop", permissions=[theirs], expires_at=None, by=operator)
    assert made.created_by == operator
    more = [theirs, Permission.objects.get(codename="delete_user"), Permission.objects.get(codename="add_user")]
    with pytest.raises(tokens.PermissionNotHeld, match=re.escape("auth.add_user, auth.delete_user.")):
        tokens.issue(name="shop", permissions=more, expires_at=None, by=operator)
    assert ServiceToken.objects.count() == 1


def test_revoking_twice_keeps_the_first_moment_and_the_first_hand(db) -> None:
    first, second = User.objects.create_user("first"), User.objects.create_user("second")
    made, secret = tokens.issue(name="shop", permissions=[], expires_at=None, by=None)
    assert tokens.revoke(token=made, by=first) is True
    revoked_at = made.revoked_at
    assert tokens.revoke(token=made, by=second) is False
    made.refresh_from_db()
    assert (made.revoked_at, made.revoked_by) == (revoked_at, first)
    with pytest.raises(CredentialRefused, match="revoked"):
        tokens.verify(secret)


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("service_token_named", {"name": ""}),
        ("service_token_digest_is_sha256", {"digest": "tl_secret"}),
        ("service_token_expires_after_birth", {"expires_at": timezone.now() - timedelta(days=9)}),
        ("service_token_revoked_after_birth", {"revoked_at": timezone.now() - timedelta(days=9)}),
    ],
)
def test_the_database_keeps_the_rules(db, constraint: str, changes: dict[str, Any]) -> None:
    made, _ = tokens.issue(name="shop", permissions=[], expires_at=None, by=None)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        ServiceToken.objects.filter(pk=made.pk).update(**changes)


def test_the_command_prints_the_secret_alone(db) -> None:
    out, err = run("create_service_token", "shop backend", "--permission", "rest.act_for_customers", "auth.view_user")
    known = tokens.verify(out.strip())
    assert known.name == "shop backend"
    assert known.permissions == {"rest.act_for_customers", "auth.view_user"}
    assert known.expires_at is None
    assert "cannot be shown again" in err
    assert out.strip() not in err


def test_the_command_gives_everything_when_asked(db) -> None:
    out, _ = run("create_service_token", "shop", "--all-permissions", "--expires-in-days", "30")
    known = tokens.verify(out.strip())
    assert len(known.permissions) == Permission.objects.count()
    assert known.expires_at is not None
    assert ServiceToken.objects.get().created_at + timedelta(days=30) == pytest.approx(
        known.expires_at, abs=timedelta(minutes=1)
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["shop"], "Say what the token may do"),
        (["shop", "--all-permissions", "--permission", "auth.view_user"], "Say what the token may do"),
        (["shop", "--permission", "auth.nothing"], "There is no permission auth.nothing"),
        (["shop", "--permission", "view_user"], "There is no permission view_user"),
        (["shop", "--all-permissions", "--expires-in-days", "0"], "--expires-in-days is 1 to"),
        (["shop", "--all-permissions", "--expires-in-days", "99999999999"], "--expires-in-days is 1 to"),
        (["", "--all-permissions"], "A name has 1 to 100 characters"),
        (["x" * 101, "--all-permissions"], "A name has 1 to 100 characters"),
    ],
)
def test_the_command_refuses_in_words_and_makes_nothing(db, arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        run("create_service_token", *arguments)
    assert not ServiceToken.objects.exists()


@pytest.mark.parametrize("named_by", ["name", "prefix", "id", "secret"])
def test_the_command_revokes_by_whatever_names_a_token(db, named_by: str) -> None:
    made, secret = tokens.issue(name="shop", permissions=[], expires_at=None, by=None)
    kept, _ = tokens.issue(name="other", permissions=[], expires_at=None, by=None)
    names = {"name": "shop", "prefix": made.prefix, "id": str(made.pk), "secret": secret}
    out, _ = run("revoke_service_token", names[named_by])
    made.refresh_from_db()
    kept.refresh_from_db()
    assert made.revoked_at is not None
    assert kept.revoked_at is None
    assert "within 10 seconds" in out
    with pytest.raises(CommandError, match="No token in force"):
        run("revoke_service_token", names[named_by])


def test_the_command_revokes_nothing_when_a_name_is_not_enough(db) -> None:
    for _ in range(2):
        tokens.issue(name="shop", permissions=[], expires_at=None, by=None)
    with pytest.raises(CommandError, match="Several tokens are called shop: tl_"):
        run("revoke_service_token", "shop")
    assert not ServiceToken.objects.exclude(revoked_at=None).exists()
