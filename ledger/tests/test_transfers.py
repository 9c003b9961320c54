import uuid

import pytest
from django.db import transaction

from ledger import accounts, transfers
from ledger.errors import (
    AboveEntry,
    InsufficientFunds,
    InvalidAmount,
    InvalidKey,
    KeyReused,
    NotReversible,
    UnitMismatch,
    UnknownAccount,
)
from ledger.models import Account, Entry, EntryKey, Transfer
from ledger.money import Money
from ledger.tests.books import balance, credits_, guarded, house, move
from ledger.transfers import Move, Reserve

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_in_order_afterwards")]


def nothing_was_booked() -> bool:
    return not (Entry.objects.exists() or EntryKey.objects.exists() or Transfer.objects.exists())


def test_post_moves_and_remembers_why() -> None:
    issued, grant, bonus = house("credits:issued"), guarded("grant:1"), guarded("grant:2")
    entry = transfers.post(
        key="payment:7:grant",
        kind="grant",
        moves=[Move(issued, grant, credits_(100)), Move(issued, bonus, credits_(25))],
        metadata={"pack": "medium"},
    )
    entry.refresh_from_db()
    assert (entry.kind, entry.metadata, entry.entry_key.key) == ("grant", {"pack": "medium"}, "payment:7:grant")
    assert not entry.is_replay
    assert [(each.number, each.target, each.amount) for each in entry.transfers.order_by("number")] == [
        (0, grant, 100),
        (1, bonus, 25),
    ]
    assert [balance(each) for each in (issued, grant, bonus)] == [-125, 100, 25]


def test_what_only_passes_through_need_not_have_been_there() -> None:
    issued, pending, available = house("credits:issued"), guarded("wallet:a:pending"), guarded("wallet:a:available")
    moves = [Move(pending, available, credits_(10)), Move(issued, pending, credits_(10))]
    transfers.post(key="sale:1", kind="sale", moves=moves)
    assert (balance(pending), balance(available)) == (0, 10)


def test_too_little_is_refused_and_says_what_is_missing() -> None:
    grant, spent = guarded("grant:1", having=10), house("credits:spent")
    with pytest.raises(InsufficientFunds) as refused:
        move(grant, spent, 12, key="spend:1")
    assert (refused.value.account, refused.value.missing) == (grant, credits_(2))
    assert balance(grant) == 10
    assert move(grant, spent, 10, key="spend:1").is_replay is False, "a refused act leaves its key free"


def test_a_refusal_inside_a_larger_transaction_takes_only_itself_back() -> None:
    grant, spent = guarded("grant:1", having=10), house("credits:spent")
    with transaction.atomic():
        move(grant, spent, 4)
        with pytest.raises(InsufficientFunds):
            move(grant, spent, 7)
        move(grant, spent, 6)
    assert balance(grant) == 0


def test_the_same_key_and_moves_return_the_same_entry() -> None:
    grant, spent = guarded("grant:1", having=10), house("credits:spent")
    first = move(grant, spent, 4, key="spend:1")
    again = move(grant, spent, 4, key="spend:1")
    assert (again, again.is_replay) == (first, True)
    assert balance(grant) == 6


def test_the_same_key_with_other_moves_is_refused() -> None:
    grant, spent = guarded("grant:1", having=10), house("credits:spent")
    move(grant, spent, 4, key="spend:1")
    with pytest.raises(KeyReused):
        move(grant, spent, 5, key="spend:1")
    with pytest.raises(KeyReused):
        transfers.post(key="spend:1", kind="other", moves=[Move(grant, spent, credits_(4))])
    assert balance(grant) == 6


def test_a_callers_fingerprint_says_what_the_same_act_is() -> None:
    first, second, spent = guarded("grant:1", having=4), guarded("grant:2", having=4), house("credits:spent")
    asked = transfers.fingerprint_of("spend", ["amina", 4])
    assert transfers.booked(key="spend:1", fingerprint=asked) is None
    entry = transfers.post(key="spend:1", kind="spend", moves=[Move(first, spent, credits_(4))], fingerprint=asked)
    other_moves = [Move(second, spent, credits_(4))]
    assert transfers.post(key="spend:1", kind="spend", moves=other_moves, fingerprint=asked) == entry
    assert transfers.booked(key="spend:1", fingerprint=asked) == entry
    with pytest.raises(KeyReused):
        transfers.booked(key="spend:1", fingerprint=transfers.fingerprint_of("spend", ["amina", 5]))
    assert (balance(first), balance(second)) == (0, 4)


def test_stored_fingerprints_are_known_again() -> None:
    """They are in the books for good: computed in another way, every key would stand for another act."""
    asked = transfers.fingerprint_of("spend", ["amina é", 4])
    assert asked == uuid.UUID("35798f47-ef85-3a20-79c0-93e14caa6a44")


@pytest.mark.parametrize("minor", [0, -1, 10**15 + 1])
def test_amounts_that_cannot_move_are_refused(minor: int) -> None:
    with pytest.raises(InvalidAmount):
        move(house("a:1"), house("a:2"), minor)
    assert nothing_was_booked()


@pytest.mark.parametrize("minor", [1, 10**15])
def test_the_smallest_and_the_largest_amount_move(minor: int) -> None:
    move(house("a:1"), house("a:2"), minor)
    assert balance(house("a:2")) == minor


def test_an_entry_moves_something_somewhere() -> None:
    with pytest.raises(InvalidAmount):
        transfers.post(key="k", kind="test", moves=[])
    with pytest.raises(InvalidAmount):
        move(house("a:1"), house("a:1"), 5)
    assert nothing_was_booked()


def test_units_do_not_mix() -> None:
    euros, tokens = house("gateway:stripe:EUR", "EUR"), house("credits:issued")
    with pytest.raises(UnitMismatch):
        transfers.post(key="k", kind="test", moves=[Move(euros, tokens, Money(5, "EUR"))])
    with pytest.raises(UnitMismatch):
        transfers.post(key="k", kind="test", moves=[Move(euros, house("b", "EUR"), credits_(5))])
    assert nothing_was_booked()


@pytest.mark.parametrize("key", ["", "k" * 401, "nul\0", "lone\ud800", "line\n", None, 5])
def test_keys_are_printable_sentences(key: str) -> None:
    with pytest.raises(InvalidKey):
        transfers.post(key=key, kind="test", moves=[Move(house("a:1"), house("a:2"), credits_(1))])
    with pytest.raises(InvalidKey):
        transfers.hold(key=key, reserves=[Reserve(guarded("grant:1"), credits_(1))])
    assert nothing_was_booked()


@pytest.mark.parametrize("key", ["k", "é" * 400])
def test_the_shortest_and_the_longest_key_book(key: str) -> None:
    entry = move(house("a:1"), house("a:2"), 1, key=key)
    assert entry.entry_key.key == key


def test_unknown_accounts_are_refused() -> None:
    issued = house("credits:issued")
    for stranger in (
        Account(name="unsaved", unit="CREDIT", guarded=True),
        Account(pk=404, name="nobody", unit="CREDIT", guarded=True),
    ):
        with pytest.raises(UnknownAccount):
            move(issued, stranger, 5)
    assert nothing_was_booked()


class TestReverse:
    def test_all_of_an_entry_goes_back_where_it_came_from(self) -> None:
        first, second, spent = guarded("grant:1", having=3), guarded("grant:2", having=5), house("credits:spent")
        moves = [Move(first, spent, credits_(3)), Move(second, spent, credits_(4))]
        entry = transfers.post(key="spend:1", kind="spend", moves=moves)
        undone = transfers.reverse(key="spend:1:reversal", entry=entry)
        assert (undone.reverses, undone.kind) == (entry, "reversal")
        assert [balance(each) for each in (first, second, spent)] == [3, 5, 0]

    def test_parts_go_back_by_number_and_never_more_than_all(self) -> None:
        first, second, spent = guarded("grant:1", having=3), guarded("grant:2", having=5), house("credits:spent")
        moves = [Move(first, spent, credits_(3)), Move(second, spent, credits_(4))]
        entry = transfers.post(key="spend:1", kind="spend", moves=moves)
        transfers.reverse(key="r:1", entry=entry, amounts={1: credits_(3)})
        with pytest.raises(AboveEntry) as refused:
            transfers.reverse(key="r:2", entry=entry, amounts={1: credits_(2)})
        assert refused.value.left == {0: credits_(3), 1: credits_(1)}
        for beyond in ({2: credits_(1)}, {0: credits_(1), 1: credits_(2)}):
            with pytest.raises(AboveEntry):
                transfers.reverse(key="r:2", entry=entry, amounts=beyond)
        transfers.reverse(key="r:2", entry=entry)
        assert [balance(each) for each in (first, second, spent)] == [3, 5, 0]
        with pytest.raises(AboveEntry):
            transfers.reverse(key="r:3", entry=entry)

    def test_twice_with_one_key_goes_back_once(self) -> None:
        grant, spent = guarded("grant:1", having=10), house("credits:spent")
        entry = move(grant, spent, 10)
        first = transfers.reverse(key="r:1", entry=entry, amounts={0: credits_(4)})
        assert transfers.reverse(key="r:1", entry=entry, amounts={0: credits_(4)}) == first
        with pytest.raises(KeyReused):
            transfers.reverse(key="r:1", entry=entry, amounts={0: credits_(5)})
        assert balance(grant) == 4

    def test_what_has_been_spent_cannot_be_taken_back(self) -> None:
        issued, grant, spent = house("credits:issued"), guarded("grant:1"), house("credits:spent")
        entry = move(issued, grant, 10)
        move(grant, spent, 4)
        with pytest.raises(InsufficientFunds) as refused:
            transfers.reverse(key="r:1", entry=entry)
        assert refused.value.missing == credits_(4)
        assert balance(grant) == 6

    def test_nothing_zero_and_reversals_are_not_reversed(self) -> None:
        entry = move(house("a:1"), house("a:2"), 5)
        with pytest.raises(InvalidAmount):
            transfers.reverse(key="r:1", entry=entry, amounts={})
        with pytest.raises(InvalidAmount):
            transfers.reverse(key="r:1", entry=entry, amounts={0: credits_(0)})
        with pytest.raises(UnitMismatch):
            transfers.reverse(key="r:1", entry=entry, amounts={0: Money(1, "EUR")})
        undone = transfers.reverse(key="r:1", entry=entry)
        with pytest.raises(NotReversible):
            transfers.reverse(key="r:2", entry=undone)
        assert accounts.balance_of(house("a:1")) == credits_(0)


def test_a_post_takes_seven_statements(django_assert_num_queries) -> None:
    """Savepoint, key, lock, entry, transfers, balance, release: an account that was guarded on one side."""
    grant, spent = guarded("grant:1", having=10), house("credits:spent")
    with django_assert_num_queries(7):
        move(grant, spent, 1)
