"""Every wrong credential that we could think of: each is a 401 that says what is wrong, and none is a fault."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from rest import tokens
from rest.memory import forget_everything
from rest.tests.signing import (
    ABSENT,
    EC_KEY,
    OTHER_EC_KEY,
    OTHER_RSA_KEY,
    OTHER_SECRET,
    RSA_KEY,
    SECRET,
    claims,
    encoded,
    jwk_of,
    pem_of,
    raw_token,
    token,
)

NOW = int(time.time())
HS = {"alg": "HS256", "typ": "JWT"}
SHAPE = "The token is not three base64url parts with dots between them."
HEADER = "The header of the token is not a JSON object."
PAYLOAD = "The payload of the token is not a JSON object."
ALGORITHMS = "The token must be signed with HS256 or RS256 or ES256."
SIGNATURE = "The signature of the token is wrong."
EXTENSION = "The token demands an extension of JWS that is not understood here."
KIND = "This is not an access token."
SUBJECT = "The claim sub is not a string of 1 to 150 visible characters without surrounding space."
AUTHORIZATION = "The Authorization header must be the word Bearer, one space and the token."
SCHEME = "The Authorization header must start with the word Bearer."
CUT = "This is not a service token: it is cut or mistyped."


def time_claim(name: str) -> str:
    return f"The claim {name} is not a time in seconds since 1970."


def good(**changes: Any) -> str:
    return token(aud="tirelire", iss="auth", **changes)


def raw(payload: bytes) -> str:
    return raw_token(HS, payload)


# What the caller sends after "Bearer ", the code and the sentence of the answer.
BAD_TOKENS: dict[str, tuple[Callable[[], str], str, str]] = {
    "expired": (lambda: good(exp=NOW - 3600), "token_expired", "The token has expired."),
    "expired just beyond the leeway": (lambda: good(exp=NOW - 10), "token_expired", "The token has expired."),
    "expires in 1970": (lambda: good(exp=0), "token_expired", "The token has expired."),
    "other audience": (
        lambda: token(aud="shop", iss="auth"),
        "wrong_audience",
        "The token is meant for another audience.",
    ),
    "no audience": (lambda: token(iss="auth"), "wrong_audience", "The token is meant for another audience."),
    "audience of odd types": (
        lambda: token(aud=[1, None, {"tirelire": 1}], iss="auth"),
        "wrong_audience",
        "The token is meant for another audience.",
    ),
    "other issuer": (
        lambda: token(aud="tirelire", iss="mallory"),
        "wrong_issuer",
        "The token comes from another issuer.",
    ),
    "issuer is a list": (
        lambda: raw_token(HS, claims(aud="tirelire", iss=["auth"])),
        "wrong_issuer",
        "The token comes from another issuer.",
    ),
    "alg none": (lambda: token(None, "none").rstrip(".") + ".AA", "algorithm_refused", ALGORITHMS),
    "alg none without signature": (lambda: token(None, "none"), "malformed_token", SHAPE),
    "alg None in capitals": (lambda: raw_token({"alg": "NONE"}, claims()), "algorithm_refused", ALGORITHMS),
    "alg missing": (lambda: raw_token({"typ": "JWT"}, claims()), "algorithm_refused", ALGORITHMS),
    "alg is a list": (lambda: raw_token({"alg": ["HS256"]}, claims()), "algorithm_refused", ALGORITHMS),
    "alg not on the list": (lambda: good_with("HS512"), "algorithm_refused", ALGORITHMS),
    "HS256 signed with the public key": (
        lambda: raw_token(HS, claims(), pem_of(RSA_KEY)),
        "invalid_signature",
        SIGNATURE,
    ),
    "HS256 signed with the public key without its last line break": (
        lambda: raw_token(HS, claims(), pem_of(RSA_KEY).strip()),
        "invalid_signature",
        SIGNATURE,
    ),
    "another secret": (lambda: token(OTHER_SECRET), "invalid_signature", SIGNATURE),
    "RS256 by another key": (lambda: token(OTHER_RSA_KEY, "RS256"), "invalid_signature", SIGNATURE),
    "ES256 by another key": (lambda: token(OTHER_EC_KEY, "ES256"), "invalid_signature", SIGNATURE),
    "ES256 named as RS256": (lambda: renamed(token(EC_KEY, "ES256"), "RS256"), "invalid_signature", SIGNATURE),
    "own key embedded as jwk": (
        lambda: token(OTHER_RSA_KEY, "RS256", {"jwk": jwk_of(OTHER_RSA_KEY)}),
        "invalid_signature",
        SIGNATURE,
    ),
    "own key by x5u and jku": (
        lambda: token(OTHER_RSA_KEY, "RS256", {"x5u": "http://127.0.0.1:9/", "jku": "http://127.0.0.1:9/"}),
        "invalid_signature",
        SIGNATURE,
    ),
    "payload changed": (lambda: tampered(good()), "invalid_signature", SIGNATURE),
    "signature cut": (lambda: good()[:-2], "invalid_signature", SIGNATURE),
    "refresh token": (lambda: good(token_type="refresh"), "wrong_token_kind", KIND),
    "refresh token of another house": (lambda: good(typ="Refresh"), "wrong_token_kind", KIND),
    "ID token by its use": (lambda: good(token_use="id"), "wrong_token_kind", KIND),
    "ID token by its hash": (
        lambda: good(at_hash="x"),
        "wrong_token_kind",
        "This is an ID token, not an access token.",
    ),
    "token type is a number": (lambda: good(token_type=1), "wrong_token_kind", KIND),
    "logout token": (lambda: token(headers={"typ": "logout+jwt"}), "wrong_token_kind", KIND),
    "header typ is a number": (lambda: raw_token({"alg": "HS256", "typ": 7}, claims()), "wrong_token_kind", KIND),
    "exp missing": (lambda: good(exp=ABSENT), "missing_claim", "The token has no exp: it must say when it ends."),
    "exp null": (
        lambda: raw(b'{"sub":"alice","exp":null}'),
        "missing_claim",
        "The token has no exp: it must say when it ends.",
    ),
    "exp as a string": (lambda: raw_token(HS, claims(exp=str(NOW + 600))), "invalid_claim", time_claim("exp")),
    "exp true": (lambda: raw_token(HS, claims(exp=True)), "invalid_claim", time_claim("exp")),
    "exp a list": (lambda: raw_token(HS, claims(exp=[NOW + 600])), "invalid_claim", time_claim("exp")),
    "exp negative": (lambda: raw_token(HS, claims(exp=-1)), "invalid_claim", time_claim("exp")),
    "exp in milliseconds": (lambda: raw_token(HS, claims(exp=10**15)), "invalid_claim", time_claim("exp")),
    "exp beyond 64 bits": (lambda: raw_token(HS, claims(exp=10**30)), "invalid_claim", time_claim("exp")),
    "exp of five thousand digits": (
        lambda: raw(b'{"sub":"alice","exp":' + b"9" * 5000 + b"}"),
        "malformed_token",
        PAYLOAD,
    ),
    "exp not a number": (lambda: raw(b'{"sub":"alice","exp":NaN}'), "malformed_token", PAYLOAD),
    "exp infinite": (lambda: raw(b'{"sub":"alice","exp":Infinity}'), "malformed_token", PAYLOAD),
    "nbf in the future": (lambda: good(nbf=NOW + 3600), "token_not_yet_valid", "The token is not valid yet."),
    "nbf as a string": (lambda: raw_token(HS, claims(nbf="soon")), "invalid_claim", time_claim("nbf")),
    "iat in the future": (
        lambda: good(iat=NOW + 3600),
        "token_from_the_future",
        "The token says that it was issued in the future.",
    ),
    "iat as a list": (lambda: raw_token(HS, claims(iat=[])), "invalid_claim", time_claim("iat")),
    "sub missing": (lambda: good(sub=ABSENT), "missing_claim", "The token has no sub: it must say who its user is."),
    "sub empty": (lambda: good(sub=""), "invalid_subject", SUBJECT),
    "sub a number": (lambda: good_raw(sub=42), "invalid_subject", SUBJECT),
    "sub false": (lambda: good_raw(sub=False), "invalid_subject", SUBJECT),
    "sub a list": (lambda: good_raw(sub=["alice"]), "invalid_subject", SUBJECT),
    "sub an object": (lambda: good_raw(sub={"id": "alice"}), "invalid_subject", SUBJECT),
    "sub too long": (lambda: good(sub="a" * 151), "invalid_subject", SUBJECT),
    "sub with NUL": (lambda: good(sub="ali\0ce"), "invalid_subject", SUBJECT),
    "sub with a line break": (lambda: good(sub="alice\nbob"), "invalid_subject", SUBJECT),
    "sub with an invisible space": (lambda: good(sub="alice\u200b"), "invalid_subject", SUBJECT),
    "sub with a space before": (lambda: good(sub=" alice"), "invalid_subject", SUBJECT),
    "sub with half a surrogate": (lambda: raw(b'{"sub":"\\ud800","exp":9999999999}'), "malformed_token", PAYLOAD),
    "sub not in UTF-8": (lambda: raw(b'{"sub":"\xff","exp":9999999999}'), "malformed_token", PAYLOAD),
    "one part": (lambda: "alice", "malformed_token", SHAPE),
    "truncated": (lambda: good().rsplit(".", 1)[0], "malformed_token", SHAPE),
    "two dots only": (lambda: "..", "malformed_token", SHAPE),
    "four parts": (lambda: good() + ".AAAA", "malformed_token", SHAPE),
    "not base64url": (lambda: "a+b/.c!d.e=f", "malformed_token", SHAPE),
    "base64 that cannot be": (lambda: "aaaaa.aaaaa.aaaaa", "malformed_token", HEADER),
    "header not JSON": (lambda: f"{encoded(b'alice')}.{encoded(b'{}')}.AAAA", "malformed_token", HEADER),
    "header a list": (lambda: raw_token(b"[]", claims()), "malformed_token", HEADER),
    "header nested a thousand deep": (
        lambda: raw_token(b'{"alg":' + b"[" * 2000 + b"]" * 2000 + b"}", claims()),
        "malformed_token",
        HEADER,
    ),
    "claims a list": (lambda: raw(b'["alice"]'), "malformed_token", PAYLOAD),
    "claims not JSON": (lambda: raw(b"alice"), "malformed_token", PAYLOAD),
    "kid a number": (
        lambda: raw_token(HS | {"kid": 1}, claims()),
        "malformed_token",
        "The kid in the header of the token is not a string.",
    ),
    "crit": (lambda: raw_token(HS | {"crit": ["exp"]}, claims()), "unknown_extension", EXTENSION),
    "crit empty": (lambda: raw_token(HS | {"crit": []}, claims()), "unknown_extension", EXTENSION),
    "b64 false": (lambda: raw_token(HS | {"b64": False}, claims()), "unknown_extension", EXTENSION),
    "100 KB": (lambda: good(more="x" * 100_000), "token_too_long", "The token is longer than 8192 characters."),
    "nothing after Bearer": (lambda: "", "malformed_authorization", AUTHORIZATION),
    "two spaces": (lambda: " " + good(), "malformed_authorization", AUTHORIZATION),
    "two tokens": (lambda: f"{good()} {good()}", "malformed_authorization", AUTHORIZATION),
    "two headers in one": (lambda: f"{good()},Bearer", "malformed_token", SHAPE),
    "bytes that are no text": (lambda: "\xff\xfe\x00", "malformed_authorization", AUTHORIZATION),
    "a tab": (lambda: good() + "\t", "malformed_authorization", AUTHORIZATION),
    "service token unknown": (
        lambda: "tl_" + "a" * 43,
        "unknown_service_token",
        "This service token is not known.",
    ),
    "service token cut": (lambda: "tl_" + "a" * 42, "malformed_service_token", CUT),
    "service token with NUL": (lambda: "tl_" + "a" * 42 + "%00", "malformed_service_token", CUT),
    "service token with its prefix in capitals": (lambda: "TL_" + "a" * 43, "malformed_token", SHAPE),
}


def good_with(algorithm: str) -> str:
    return token("x" * 64, algorithm, aud="tirelire", iss="auth")


def good_raw(**changes: Any) -> str:
    return raw_token(HS, claims(aud="tirelire", iss="auth", **changes))


def renamed(signed: str, algorithm: str) -> str:
    return ".".join([encoded(b'{"alg":"%s"}' % algorithm.encode()), *signed.split(".")[1:]])


def tampered(signed: str) -> str:
    head, _, signature = signed.split(".")
    return ".".join([head, encoded(b'{"sub":"bob","exp":9999999999,"aud":"tirelire","iss":"auth"}'), signature])


@pytest.fixture(autouse=True)
def _stopped_clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(autouse=True)
def _auth_service(settings) -> None:
    settings.JWT_SECRET = SECRET
    settings.JWT_PUBLIC_KEY = pem_of(RSA_KEY) + pem_of(EC_KEY)
    settings.JWT_AUDIENCE = ["tirelire"]
    settings.JWT_ISSUER = ["auth"]


def assert_refused(client: Client, authorization: str, code: str, sentence: str, users: int = 0) -> None:
    answer = client.get("/api/v1/me", headers={"Authorization": authorization})
    problem = answer.json()
    problem.pop("request_id", None)
    assert problem == {
        "type": "/problems#authentication_failed",
        "title": "Credentials refused",
        "status": 401,
        "detail": sentence,
        "code": code,
    }
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == f'Bearer error="invalid_token", error_description="{sentence}"'
    assert re.fullmatch(r"[a-z_]+", code)
    assert User.objects.count() == users


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_bad_tokens_are_refused_in_words(db, client: Client, name: str) -> None:
    make, code, sentence = BAD_TOKENS[name]
    assert_refused(client, f"Bearer {make()}", code, sentence)


@pytest.mark.parametrize("header", ["", "Basic YWxpY2U6cGFzcw==", "Token abc", "Bearerabc", "\xff"])
def test_other_schemes_are_refused(db, client: Client, header: str) -> None:
    assert_refused(client, header, "unsupported_scheme", SCHEME)


def test_bearer_alone_is_refused(db, client: Client) -> None:
    assert_refused(client, "Bearer", "malformed_authorization", AUTHORIZATION)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": ["shop", "tirelire"]},
        {"exp": NOW + 600.5},
        {"exp": NOW - 9},
        {"nbf": NOW + 10, "iat": NOW + 10},
        {"token_type": "access"},
        {"typ": "Bearer"},
        {"sub": "a" * 150},
        {"sub": "Ünïcode 用户 🙂"},
    ],
)
def test_the_table_would_pass_if_its_tokens_were_good(db, client: Client, changes: dict[str, Any]) -> None:
    """If this fails, the tables above prove nothing."""
    signed = token(**{"aud": "tirelire", "iss": "auth", **changes})
    answer = client.get("/api/v1/me", headers={"Authorization": f"bEARER {signed}"})
    assert answer.status_code == 200
    assert answer.json()["user"] == changes.get("sub", "alice")


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256")])
def test_public_keys_verify_whatever_kid_a_token_names(db, client: Client, key: object, algorithm: str) -> None:
    signed = token(key, algorithm, {"kid": "2026", "typ": "at+jwt"}, aud="tirelire", iss="auth")
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {signed}"}).status_code == 200


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("service_token_revoked", "This service token was revoked."),
        ("service_token_expired", "This service token has expired."),
    ],
)
def test_ended_service_tokens_are_refused(db, client: Client, code: str, sentence: str) -> None:
    made, secret = tokens.issue(name="shop", permissions=[], expires_at=None, by=None)
    if code == "service_token_revoked":
        tokens.revoke(token=made, by=None)
    else:
        made.created_at = timezone.now() - timedelta(days=2)
        made.expires_at = timezone.now() - timedelta(days=1)
        made.save()
    assert_refused(client, f"Bearer {secret}", code, sentence)
    made.refresh_from_db()
    assert made.last_used_at is None


def test_strangers_are_asked_for_a_token(db, client: Client) -> None:
    answer = client.get("/api/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("secret", "public"), [("", True), (SECRET, False)])
def test_a_kind_of_algorithm_without_its_kind_of_key_is_refused(
    db, client: Client, settings, secret: str, public: bool
) -> None:
    settings.JWT_SECRET = secret
    settings.JWT_PUBLIC_KEY = pem_of(RSA_KEY) if public else ""
    forged = raw_token(HS, claims(), pem_of(RSA_KEY)) if public else token(RSA_KEY, "RS256")
    accepted = "RS256 or ES256" if public else "HS256"
    assert_refused(client, f"Bearer {forged}", "algorithm_refused", f"The token must be signed with {accepted}.")


def test_without_any_key_no_customer_is_believed(db, client: Client, settings) -> None:
    settings.JWT_SECRET = settings.JWT_PUBLIC_KEY = ""
    sentence = "No key for the tokens of customers is configured here."
    assert_refused(client, f"Bearer {token('x' * 32)}", "no_customer_keys", sentence)


def test_the_previous_secret_serves_while_it_is_rotated(db, client: Client, settings) -> None:
    settings.JWT_PREVIOUS_SECRET = OTHER_SECRET
    for secret in (SECRET, OTHER_SECRET):
        signed = token(secret, aud="tirelire", iss="auth")
        assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {signed}"}).status_code == 200
    settings.JWT_PREVIOUS_SECRET = ""
    forget_everything()
    assert_refused(client, f"Bearer {signed}", "invalid_signature", SIGNATURE, users=1)
