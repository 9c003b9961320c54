"""Tokens are fetched once, kept while they live, and renewed once when they are refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

from billing.gateways.errors import FailureCategory, Unavailable
from billing.gateways.http import Reply
from billing.gateways.tokens import Tokens, read_token
from ledger.tests.races import PATIENCE_SECONDS

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


class SlowMint(Mint):
    """Answers once everybody has asked."""

    def __init__(self) -> None:
        super().__init__()
        self.everybody_asks = threading.Barrier(WORKERS + 1)
        self.may_answer = threading.Event()

    def fetch(self) -> tuple[str, float]:
        made = super().fetch()
        assert self.may_answer.wait(PATIENCE_SECONDS)
        return made


def tokens_of_many(tokens: Tokens, mint: SlowMint) -> list[str]:
    def work() -> str:
        mint.everybody_asks.wait(PATIENCE_SECONDS)
        return tokens.get()

    with ThreadPoolExecutor(WORKERS) as threads:
        seen = [threads.submit(work) for _ in range(WORKERS)]
        mint.everybody_asks.wait(PATIENCE_SECONDS)
        mint.may_answer.set()
        return [each.result() for each in seen]


def test_token_is_fetched_once_for_many_threads() -> None:
    mint = SlowMint()
    assert tokens_of_many(Tokens(mint.fetch), mint) == ["token-1"] * WORKERS
    assert mint.made == 1


def test_without_the_lock_each_thread_fetches_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the test above proves nothing."""
    mint, together, fetched = SlowMint(), threading.Barrier(WORKERS), list[str]()

    def fetch() -> tuple[str, float]:
        together.wait(PATIENCE_SECONDS)  # each of them is in here before the first one has a token
        fetched.append("one")
        return mint.fetch()

    tokens = Tokens(fetch)
    monkeypatch.setattr(tokens, "_lock", nullcontext())
    tokens_of_many(tokens, mint)
    assert fetched == ["one"] * WORKERS


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
