"""Tokens are fetched once, kept while they live, and renewed once when they are refused."""

import threading

import pytest

from billing.gateways.errors import FailureCategory, Unavailable
from billing.gateways.http import Reply
from billing.gateways.tokens import Tokens, read_token

WORKERS = 8


def reply(status: int, body: bytes = b"{}") -> Reply:
    return Reply(gateway="toy", status=status, headers={}, body=body)


class Mint:
    def __init__(self, lives_seconds: float = 3_600) -> None:
        self.made = 0
        self.lives_seconds = lives_seconds

    def fetch(self) -> tuple[str, float]:
        self.made += 1
        return f"token-{self.made}", self.lives_seconds


def test_token_is_fetched_once_for_many_threads() -> None:
    mint = Mint()
    tokens = Tokens(mint.fetch)
    barrier = threading.Barrier(WORKERS)
    seen: list[str] = []

    def work() -> None:
        barrier.wait()
        seen.append(tokens.get())

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert seen == ["token-1"] * WORKERS
    assert mint.made == 1


def test_refused_token_is_renewed_once_and_the_call_made_again() -> None:
    mint = Mint()
    tokens = Tokens(mint.fetch)
    said = tokens.call(lambda token: reply(401 if token == "token-1" else 200))
    assert said.status == 200
    assert mint.made == 2


def test_gateway_that_refuses_every_token_is_a_matter_of_configuration() -> None:
    mint = Mint()
    with pytest.raises(Unavailable) as refused:
        Tokens(mint.fetch).call(lambda token: reply(401))
    assert refused.value.category is FailureCategory.CONFIGURATION
    assert mint.made == 2


def test_old_refusal_does_not_throw_a_new_token_away() -> None:
    mint = Mint()
    tokens = Tokens(mint.fetch)
    old = tokens.get()
    tokens.drop(old)
    assert tokens.get() == "token-2"
    tokens.drop(old)
    assert tokens.get() == "token-2"


def test_token_that_is_about_to_run_out_is_not_used() -> None:
    mint = Mint(lives_seconds=-1_000_000)
    tokens = Tokens(mint.fetch, margin_seconds=60)
    assert [tokens.get(), tokens.get()] == ["token-1", "token-1"], "but never asked for at every call"


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"access_token": 5}', b'{"access_token": ""}', b"[]"])
def test_token_that_cannot_be_read_leaves_everything_as_it_was(body: bytes) -> None:
    with pytest.raises(Unavailable):
        read_token(reply(200, body))


@pytest.mark.parametrize(
    ("written", "seconds"), [("3600", 3_600), ('"7776000"', 7_776_000), ('"soon"', 60), ("null", 60)]
)
def test_life_of_a_token_is_read_however_it_is_written(written: str, seconds: float) -> None:
    body = f'{{"access_token": "a", "expires_in": {written}}}'.encode()
    assert read_token(reply(200, body), default_seconds=60) == ("a", seconds)
