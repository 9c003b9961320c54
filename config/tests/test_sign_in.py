import re
import time

import pytest
from allauth.mfa.models import Authenticator
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from config.tests import authenticator

PASSWORD = "correct-horse-battery-7"


@pytest.fixture
def operator(db) -> User:
    return User.objects.create_superuser("olive", "olive@shop.example", PASSWORD)


@pytest.fixture
def required(settings) -> None:
    settings.ADMIN_SECOND_FACTOR_REQUIRED = True


@pytest.fixture
def secret(operator: User) -> str:
    """The secret of an operator who has set up an authenticator, in a browser that is closed since then."""
    browser = Client()
    authenticator.sign_in(browser, "olive", PASSWORD)
    return authenticator.set_up(browser)


def where(answer) -> str:
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return str(answer["Location"])


def test_stranger_is_led_to_the_one_sign_in_page(db, client: Client) -> None:
    assert where(client.get("/admin/auth/user/")) == "/admin/login/?next=/admin/auth/user/"
    assert where(client.get("/admin/login/?next=/admin/auth/user/")) == "/accounts/login/?next=/admin/auth/user/"
    page = client.get("/accounts/login/?next=/admin/auth/user/")
    assert page.status_code == 200
    assert b'name="password"' in page.content


def test_admin_without_a_slash_leads_to_the_admin(db, client: Client) -> None:
    assert where(client.get("/admin")) == "/admin/"


def test_sign_in_does_not_lead_to_other_sites(operator: User, client: Client) -> None:
    assert where(client.get("/admin/login/?next=//evil.example/")) == "/accounts/login/?next=/admin/"
    assert where(authenticator.sign_in(client, "olive", PASSWORD, "//evil.example/")) == "/admin/"


def test_password_is_enough_where_no_second_factor_is_required(operator: User, client: Client) -> None:
    assert where(authenticator.sign_in(client, "olive", PASSWORD)) == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_wrong_password_opens_nothing(operator: User, client: Client) -> None:
    assert authenticator.sign_in(client, "olive", "wrong").status_code == 200
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"


def test_operator_sets_up_a_second_factor_and_then_enters(required, operator: User, client: Client) -> None:
    authenticator.sign_in(client, "olive", PASSWORD)
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"
    assert where(client.get("/admin/login/?next=/admin/")) == "/accounts/2fa/totp/activate/"

    secret = authenticator.set_up(client)

    codes = client.get("/accounts/2fa/recovery-codes/").content.decode()
    assert len(re.findall(r"^\d{8}$|>(\d{8})$", codes, re.MULTILINE)) >= 9
    assert client.get("/admin/").status_code == 200
    stored = Authenticator.objects.get(user=operator, type="totp").data["secret"]
    assert secret not in stored
    assert stored.startswith("gAAAA")  # encrypted by Fernet


def test_wrong_first_code_sets_up_nothing(required, operator: User, client: Client) -> None:
    authenticator.sign_in(client, "olive", PASSWORD)
    client.get("/accounts/2fa/totp/activate/")
    assert client.post("/accounts/2fa/totp/activate/", {"code": "000000x"}).status_code == 200
    assert not Authenticator.objects.exists()
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"


def test_operator_with_a_second_factor_must_enter_the_code(operator: User, secret: str, client: Client) -> None:
    assert where(authenticator.sign_in(client, "olive", PASSWORD)) == "/accounts/2fa/authenticate/"
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"

    refused = client.post("/accounts/2fa/authenticate/", {"code": "abcdef"})
    assert refused.status_code == 200
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"

    assert where(client.post("/accounts/2fa/authenticate/", {"code": authenticator.code(secret)})) == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_code_works_once(operator: User, secret: str) -> None:
    answers = []
    code = authenticator.code(secret)
    for _ in range(2):
        browser = Client()
        authenticator.sign_in(browser, "olive", PASSWORD)
        answers.append(browser.post("/accounts/2fa/authenticate/", {"code": code}).status_code)
    assert answers == [302, 200]


def test_recovery_code_works_once(operator: User, secret: str) -> None:
    code = Authenticator.objects.get(user=operator, type="recovery_codes").wrap().get_unused_codes()[0]
    answers = []
    for _ in range(2):
        browser = Client()
        authenticator.sign_in(browser, "olive", PASSWORD)
        answers.append(browser.post("/accounts/2fa/authenticate/", {"code": code}).status_code)
        if answers == [302]:
            assert browser.get("/admin/").status_code == 200
    assert answers == [302, 200]


class TestSessionThatIsOlderThanTheFactor:
    """Somebody who knows only the password signed in before the owner set up an authenticator elsewhere."""

    @pytest.fixture
    def old_session(self, operator: User, client: Client) -> Client:
        authenticator.sign_in(client, "olive", PASSWORD)
        browser = Client()
        authenticator.sign_in(browser, "olive", PASSWORD)
        self.secret = authenticator.set_up(browser)
        return client

    def test_it_no_longer_reaches_the_admin(self, old_session: Client) -> None:
        assert where(old_session.get("/admin/auth/user/")) == "/admin/login/?next=/admin/auth/user/"
        challenge = where(old_session.get("/admin/login/?next=/admin/auth/user/"))
        assert challenge == "/accounts/2fa/reauthenticate/?next=%2Fadmin%2Fauth%2Fuser%2F"

    @pytest.mark.parametrize(
        "path",
        [
            "/accounts/2fa/",
            "/accounts/2fa/totp/deactivate/",
            "/accounts/2fa/recovery-codes/",
            "/accounts/2fa/recovery-codes/generate/",
            "/accounts/2fa/recovery-codes/download/",
            "/accounts/2fa/webauthn/add/",
            "/accounts/password/change/",
        ],
    )
    def test_it_manages_nothing(self, old_session: Client, operator: User, path: str) -> None:
        # Showing the password again is not showing the factor.
        old_session.post("/accounts/reauthenticate/", {"password": PASSWORD})
        before = list(Authenticator.objects.order_by("pk").values())
        for answer in (old_session.get(path), old_session.post(path, {"oldpassword": PASSWORD})):
            assert where(answer).startswith("/accounts/2fa/reauthenticate/?next=")
        assert list(Authenticator.objects.order_by("pk").values()) == before

    def test_it_enters_with_the_code(self, old_session: Client) -> None:
        data = {"code": authenticator.code(self.secret), "next": "/admin/auth/user/"}
        assert where(old_session.post("/accounts/2fa/reauthenticate/", data)) == "/admin/auth/user/"
        assert old_session.get("/admin/auth/user/").status_code == 200


def test_session_made_without_the_sign_in_page_proves_no_factor(operator: User, secret: str, client: Client) -> None:
    client.force_login(operator)
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"


def test_removed_authenticator_proves_nothing_any_more(required, operator: User, client: Client) -> None:
    authenticator.sign_in(client, "olive", PASSWORD)
    authenticator.set_up(client)
    Authenticator.objects.all().delete()
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"
    assert where(client.get("/admin/login/")) == "/accounts/2fa/totp/activate/"


def test_secret_is_opened_by_an_older_key(operator: User, secret: str, client: Client, settings) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-of-the-tests-0123456789"
    authenticator.sign_in(client, "olive", PASSWORD)
    assert where(client.post("/accounts/2fa/authenticate/", {"code": authenticator.code(secret)})) == "/admin/"


@pytest.fixture
def lost_key(operator: User, secret: str, settings) -> str:
    """SECRET_KEY was changed, and the one that sealed the operator's factors is among the fallbacks no more."""
    before: str = settings.SECRET_KEY
    settings.SECRET_KEY = "another-key-of-the-tests-0123456789"
    return before


def test_secret_that_no_key_opens_is_refused_like_a_wrong_code(
    lost_key: str, secret: str, client: Client, caplog
) -> None:
    authenticator.sign_in(client, "olive", PASSWORD)
    refused = client.post("/accounts/2fa/authenticate/", {"code": authenticator.code(secret)})
    assert refused.status_code == 200
    assert b"Incorrect code" in refused.content
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"
    assert "second_factor.cannot_be_opened" in [record.message for record in caplog.records]


class TestPasskeyBesideSealedCodes:
    """Who has a passkey as well comes in with that when no key opens the other factors."""

    @pytest.fixture
    def browser(self, lost_key: str, operator: User, client: Client) -> Client:
        passkey = Authenticator.objects.create(user=operator, type="webauthn", data={"name": "phone", "credential": {}})
        authenticator.sign_in(client, "olive", PASSWORD)
        client.force_login(operator)
        session = client.session
        session["account_authentication_methods"] = [{"method": "mfa", "at": time.time(), "id": passkey.pk}]
        session.save()
        return client

    def test_page_of_factors_opens(self, browser: Client) -> None:
        assert browser.get("/accounts/2fa/").status_code == 200

    @pytest.mark.parametrize("page", ["", "generate/", "download/"])
    def test_pages_of_recovery_codes_say_what_to_do(self, browser: Client, page: str) -> None:
        answer = browser.get(f"/accounts/2fa/recovery-codes/{page}", follow=True)
        assert [path for path, _ in answer.redirect_chain] == ["/accounts/2fa/"]
        assert "Remove your second factors here and set them up again" in answer.content.decode()


def test_resealed_factors_need_no_fallback_any_more(
    lost_key: str, operator: User, secret: str, settings, capsys
) -> None:
    recovery = Authenticator.objects.get(user=operator, type="recovery_codes")
    settings.SECRET_KEY_FALLBACKS = [lost_key]
    code = recovery.wrap().get_unused_codes()[0]
    logged = LogEntry.objects.count()
    call_command("reseal_secrets")
    assert "second factors: 2 sealed anew, 0 that no key opens\n" in capsys.readouterr().out
    assert LogEntry.objects.count() == logged
    settings.SECRET_KEY_FALLBACKS = []
    for shown in (authenticator.code(secret), code):
        browser = Client()
        authenticator.sign_in(browser, "olive", PASSWORD)
        assert where(browser.post("/accounts/2fa/authenticate/", {"code": shown})) == "/admin/"


def test_reseal_says_whose_factors_no_key_opens(lost_key: str, operator: User, capsys) -> None:
    before = list(Authenticator.objects.order_by("pk").values_list("data", flat=True))
    with pytest.raises(CommandError, match="SECRET_KEY_FALLBACKS"):
        call_command("reseal_secrets")
    told = capsys.readouterr().out
    assert "second factors: 0 sealed anew, 2 that no key opens: olive (totp), olive (recovery_codes)\n" in told
    assert list(Authenticator.objects.order_by("pk").values_list("data", flat=True)) == before


def test_customer_may_not_enter(db, client: Client) -> None:
    User.objects.create_user("carl", password=PASSWORD)
    authenticator.sign_in(client, "carl", PASSWORD)
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"
    assert client.get("/admin/login/").status_code == 403


def test_deactivated_operator_may_not_enter(operator: User, client: Client) -> None:
    authenticator.sign_in(client, "olive", PASSWORD)
    User.objects.update(is_active=False)
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"
    assert where(authenticator.sign_in(Client(), "olive", PASSWORD)) == "/accounts/inactive/"


def test_nobody_signs_up(db, client: Client) -> None:
    assert client.get("/accounts/signup/").status_code == 200
    client.post("/accounts/signup/", {"username": "mallory", "password1": PASSWORD, "password2": PASSWORD})
    assert not User.objects.exists()


@pytest.mark.parametrize("path", ["password/reset/", "email/", "login/code/", "3rdparty/", "social/signup/"])
def test_other_doors_of_the_library_are_walled_up(db, client: Client, path: str) -> None:
    assert client.get(f"/accounts/{path}").status_code == 404


def test_sign_out_ends_the_session(operator: User, client: Client) -> None:
    authenticator.sign_in(client, "olive", PASSWORD)
    assert where(client.post("/admin/logout/")) == "/accounts/login/"
    assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"


class TestGuessing:
    def test_passwords_are_limited_for_an_account(self, operator: User, client: Client) -> None:
        for _ in range(5):
            authenticator.sign_in(client, "olive", "wrong")
        answer = authenticator.sign_in(client, "olive", PASSWORD)
        assert answer.status_code == 200
        assert b"Too many failed login attempts" in answer.content

    def test_another_host_does_not_start_the_count_again(self, operator: User, client: Client, settings) -> None:
        settings.ALLOWED_HOSTS = ["testserver", "other.example"]
        for port in range(1, 6):
            client.post("/accounts/login/", {"login": "olive", "password": "x"}, headers={"Host": f"testserver:{port}"})
        data = {"login": "Olive", "password": PASSWORD}
        answer = client.post("/accounts/login/", data, headers={"Host": "other.example:443"})
        assert b"Too many failed login attempts" in answer.content

    def test_sign_ins_are_limited_for_an_address(self, operator: User, client: Client, settings) -> None:
        settings.ACCOUNT_RATE_LIMITS = {"login": "3/m/ip"}
        statuses = [authenticator.sign_in(client, "olive", PASSWORD + "x").status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        elsewhere = client.post("/accounts/login/", {"login": "olive", "password": PASSWORD}, REMOTE_ADDR="203.0.113.9")
        assert where(elsewhere) == "/admin/"

    def test_written_forwarding_headers_are_not_believed(self, operator: User, client: Client, settings) -> None:
        settings.ACCOUNT_RATE_LIMITS = {"login": "3/m/ip"}
        statuses = [
            client.post(
                "/accounts/login/", {"login": "olive", "password": "x"}, headers={"X-Forwarded-For": f"203.0.113.{n}"}
            ).status_code
            for n in range(4)
        ]
        assert statuses == [200, 200, 200, 429]

    def test_codes_are_limited(self, operator: User, secret: str, client: Client) -> None:
        authenticator.sign_in(client, "olive", PASSWORD)
        for _ in range(5):
            client.post("/accounts/2fa/authenticate/", {"code": "000000"})
        answer = client.post("/accounts/2fa/authenticate/", {"code": authenticator.code(secret)})
        assert answer.status_code == 200
        assert where(client.get("/admin/")) == "/admin/login/?next=/admin/"


class TestLostTelephone:
    def test_command_lets_the_operator_set_up_another(self, required, operator: User, secret: str, capsys) -> None:
        call_command("reset_second_factor", "olive")
        assert capsys.readouterr().out == "olive: 2 removed\n"
        browser = Client()
        assert where(authenticator.sign_in(browser, "olive", PASSWORD)) == "/admin/"
        assert where(browser.get("/admin/login/")) == "/accounts/2fa/totp/activate/"
        kept = LogEntry.objects.filter(content_type__model="authenticator", action=LogEntry.Action.DELETE)
        assert kept.count() == 2

    @pytest.mark.parametrize("username", ["carl", "nobody"])
    def test_command_knows_operators_only(self, db, username: str) -> None:
        User.objects.create_user("carl")
        with pytest.raises(CommandError, match=f"There is no operator '{username}'"):
            call_command("reset_second_factor", username)
