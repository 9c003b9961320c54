import socket
from collections.abc import Iterator

import pytest
import redis
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from config.tests import authenticator

PASSWORD = "correct-horse-battery-7"


@pytest.fixture
def redis_away(settings) -> Iterator[None]:
    """A port that is taken and never answered: connections to it are refused."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": address}}
        yield


def test_cache_is_shared_while_redis_is_there(db, settings) -> None:
    cache.set("colour", "teal", 60)
    with redis.Redis.from_url(settings.REDIS_URL) as server:
        assert server.exists(f"{settings.REDIS_PREFIX}:1:colour") == 1
    assert cache.get("colour") == "teal"


def test_cache_keeps_counting_without_redis(redis_away) -> None:
    assert cache.add("code", "used", 60) is True
    assert cache.add("code", "used", 60) is False
    cache.set("tries", 1)
    assert cache.incr("tries") == 2
    assert cache.get_many(["tries", "code"]) == {"tries": 2, "code": "used"}
    cache.delete_many(["tries"])
    assert not cache.has_key("tries")
    assert cache.delete("code") is True


@pytest.mark.parametrize(("pause_seconds", "times_asked"), [(600, 1), (0, 5)])
def test_redis_is_left_alone_for_the_pause(redis_away, settings, caplog, pause_seconds: int, times_asked: int) -> None:
    settings.CACHE_PAUSE_SECONDS = pause_seconds
    for number in range(5):
        cache.set("number", number)
    assert [record.message for record in caplog.records].count("cache.away") == times_asked


def test_cache_never_flushes_the_shared_database() -> None:
    with pytest.raises(NotImplementedError):
        cache.clear()


def test_operator_signs_in_without_redis(db, redis_away, client: Client) -> None:
    User.objects.create_superuser("olive", "", PASSWORD)
    assert authenticator.sign_in(client, "olive", PASSWORD).status_code == 302
    secret = authenticator.set_up(client)
    assert client.get("/admin/").status_code == 200

    code, answers = authenticator.code(secret), []
    for _ in range(2):  # a used code stays used
        browser = Client()
        authenticator.sign_in(browser, "olive", PASSWORD)
        answers.append(browser.post("/accounts/2fa/authenticate/", {"code": code}).status_code)
    assert answers == [302, 200]


def test_guessing_is_limited_without_redis(db, redis_away, client: Client) -> None:
    User.objects.create_superuser("olive", "", PASSWORD)
    for _ in range(5):
        authenticator.sign_in(client, "olive", "wrong")
    assert authenticator.sign_in(client, "olive", PASSWORD).status_code == 200
