"""Any history of grants, spends, holds, reversals, expiries and corrections: the SQL functions and the plain verbs of
the ledger end in the same books, every check holds, and `explain` sums to the balance at every instant."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from credits import balances, errors, grants, history, holds, purses, usage
from credits.asked import Use
from credits.models import DebtPolicy, Grant, GrantSource
from credits.tests import gates
from credits.tests.people import make_user
from credits.tests.plain import PlainCredits, PlainHold, PlainSpend, Refused
from ledger import accounts, checks
from ledger.models import Account

amounts = st.integers(1, 12)  # small, so that grants are often emptied exactly
choices = st.integers(0, 1_000_000)
REFUSALS = (errors.InsufficientCredits, errors.HoldResolved, errors.HoldExceeded, errors.SpendExceeded)


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.count = 0
        # Far enough back that all expiries are past by the real clock as well, by which the checks look.
        self.now = timezone.now() - timedelta(days=400)
        self.balances: list[tuple[datetime, int]] = []
        self.spends: list[tuple[Any, PlainSpend, dict[str, Any]]] = []
        self.holds: list[tuple[Any, PlainHold]] = []

    def teardown(self) -> None:
        try:
            if hasattr(self, "plain"):
                self.look_at_the_whole_history()
        finally:
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    @initialize()
    def begin(self) -> None:
        self.user = make_user()
        purses.open(self.user)
        self.plain = PlainCredits(least_days=django_settings.CREDITS_REVERSAL_LEAST_DAYS)

    def key(self) -> str:
        self.count += 1
        return f"key {self.count}"

    def both(self, ours: Callable[[], Any], plain: Callable[[], Any]) -> tuple[Any, Any] | None:
        """Both do it, or both refuse."""
        self.now += timedelta(seconds=1)  # so that every act has an instant of its own
        try:
            done = ours()
        except REFUSALS:
            with pytest.raises(Refused):
                plain()
            return None
        return done, plain()

    # ------------------------------------------------------------ acts

    @rule(amount=amounts, hours=st.none() | st.integers(1, 72), promotional=st.booleans(), priority=st.integers(0, 1))
    def give(self, amount: int, hours: int | None, promotional: bool, priority: int) -> None:
        self.now += timedelta(seconds=1)
        end = self.now + timedelta(hours=hours) if hours else None
        facts: dict[str, Any] = {"expires_at": end, "is_promotional": promotional, "priority": priority}
        key = self.key()
        given: dict[str, Any] = {
            "user": self.user,
            "amount": amount,
            "source": GrantSource.PACK,
            "key": key,
            "at": self.now,
            **facts,
        }
        grant = grants.issue(**given)
        assert grants.issue(**given) == grant
        self.plain.give(amount, self.now, **facts)

    @rule(amount=amounts)
    def spend(self, amount: int) -> None:
        wish: dict[str, Any] = {"amount": amount, "key": self.key()}
        done = self.both(
            lambda: usage.spend(user=self.user, **wish, at=self.now),
            lambda: self.plain.spend(amount, self.now),
        )
        if done:
            self.spends.append((done[0], done[1], wish))

    def batch(self, uses: list[Use]) -> list[usage.Outcome]:
        return usage.spend_many([usage.Wish(user=self.user, use=use) for use in uses], at=self.now)

    @rule(parts=st.lists(amounts, min_size=1, max_size=4))
    def spend_in_a_batch(self, parts: list[int]) -> None:
        self.now += timedelta(seconds=1)
        uses = [Use(key=self.key(), amount=part) for part in parts]
        for part, use, answer in zip(parts, uses, self.batch(uses), strict=True):
            if isinstance(answer, errors.CreditsError):
                with pytest.raises(Refused):
                    self.plain.spend(part, self.now)
            else:
                self.spends.append((answer, self.plain.spend(part, self.now), {"amount": part, "key": use.key}))

    @precondition(lambda self: self.spends)
    @rule(choice=choices, in_a_batch=st.booleans())
    def spend_again_with_the_same_key(self, choice: int, in_a_batch: bool) -> None:
        spent, _, wish = self.spends[choice % len(self.spends)]
        if wish:
            again: Any
            if in_a_batch:
                again, _reused = self.batch([Use(**wish), Use(key=wish["key"], amount=wish["amount"] + 1)])
            else:
                again = usage.spend(user=self.user, **wish, at=self.now)
            assert (again.id, again.cost, again.available, again.is_replay) == (
                spent.id,
                spent.cost,
                spent.available,
                True,
            )

    @precondition(lambda self: self.spends)
    @rule(choice=choices, amount=amounts)
    def reverse(self, choice: int, amount: int) -> None:
        spent, plain, _ = self.spends[choice % len(self.spends)]
        key = self.key()
        self.both(
            lambda: usage.reverse(spend=spent.id, amount=amount, key=key, at=self.now),
            lambda: self.plain.reverse(plain, amount, self.now),
        )

    @rule(amount=amounts, hours=st.integers(1, 48))
    def reserve(self, amount: int, hours: int) -> None:
        key = self.key()
        done = self.both(
            lambda: holds.reserve(user=self.user, amount=amount, key=key, seconds=hours * 3600, at=self.now),
            lambda: self.plain.reserve(amount, self.now, self.now + timedelta(hours=hours)),
        )
        if done:
            self.holds.append(done)

    @precondition(lambda self: self.holds)
    @rule(choice=choices, amount=amounts)
    def settle(self, choice: int, amount: int) -> None:
        ours, plain = self.holds[choice % len(self.holds)]
        done = self.both(
            lambda: holds.settle(hold=ours.id, amount=amount, at=self.now),
            lambda: self.plain.settle(plain, amount, self.now),
        )
        if done:
            self.spends.append((done[0], done[1], {}))

    @precondition(lambda self: self.holds)
    @rule(choice=choices)
    def release(self, choice: int) -> None:
        ours, plain = self.holds[choice % len(self.holds)]
        self.both(
            lambda: holds.release(hold=ours.id, at=self.now),
            lambda: self.plain.release(plain, self.now),
        )

    @rule(amount=amounts)
    def correct_downwards(self, amount: int) -> None:
        key = self.key()
        self.both(
            lambda: grants.adjust(user=self.user, amount=-amount, reason="test", key=key, at=self.now),
            lambda: self.plain.take(amount, self.now),
        )

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def sweep(self) -> None:
        self.now += timedelta(seconds=1)
        assert holds.expire_due(self.now) == self.plain.expire_holds(self.now)
        self.now += timedelta(seconds=1)
        assert grants.expire_due(self.now) == self.plain.expire_grants(self.now)

    @rule(limit=st.sampled_from([0, 0, 10, 20]))
    def set_debt(self, limit: int) -> None:
        policy = DebtPolicy.LIMITED if limit else DebtPolicy.FORBID
        purses.set_debt_policy(user=self.user, policy=policy, limit=limit)
        self.plain.debt_limit = limit

    @precondition(lambda self: self.plain.lots)
    @rule(choice=choices)
    def freeze_or_unfreeze(self, choice: int) -> None:
        self.now += timedelta(seconds=1)
        lot = self.plain.lots[choice % len(self.plain.lots)]
        grant = self.grants()[lot.number]
        if lot.is_revoked or not grant.is_open:
            return
        if lot.frozen_at is None:
            grants.freeze(grant=grant, reason="test", at=self.now)
            lot.frozen_at = self.now
        else:
            grants.unfreeze(grant=grant, reason="test", at=self.now)
            self.plain.unfreeze(lot, self.now)

    @precondition(lambda self: self.plain.lots)
    @rule(choice=choices)
    def revoke(self, choice: int) -> None:
        self.now += timedelta(seconds=1)
        lot = self.plain.lots[choice % len(self.plain.lots)]
        free = lot.free
        assert grants.revoke(grant=self.grants()[lot.number], reason="test", at=self.now) == free
        self.plain.revoke(lot)

    # ------------------------------------------------------------ what must be true

    def grants(self) -> list[Grant]:
        return list(Grant.objects.of(self.user).select_related("account", "purse").order_by("account_id"))

    @invariant()
    def both_are_at_the_same_place(self) -> None:
        if not hasattr(self, "plain"):
            return
        ours = [(grant.account.balance, grant.account.held) for grant in self.grants()]
        plain = list(
            Account.objects.filter(name__startswith="plain:grant:").order_by("id").values_list("balance", "held")
        )
        assert ours == plain
        standing = balances.of(self.user, at=self.now)
        assert standing.available == self.plain.available(self.now)
        debt = Account.objects.get(name="plain:debt")
        assert standing.owed == -debt.balance
        self.balances.append((self.now, sum(balance for balance, _ in ours) + debt.balance))

    def look_at_the_whole_history(self) -> None:
        assert checks.faults() == {}
        for instant, balance in dict(self.balances).items():
            explained = history.explain(user=self.user, at=instant)
            assert explained.balance == balance
            assert sum(line.change for lot in explained.lots for line in lot.lines) == balance
        pages, before = [], None
        while page := history.transactions(user=self.user, before=before, limit=7):
            pages += page
            before = page[-1].id
        assert sum(each.change for each in pages) == (self.balances[-1][1] if self.balances else 0)
        assert [each.id for each in pages] == sorted({each.id for each in pages}, reverse=True)
        for name, plain in self.plain.houses.items():
            ours = Account.objects.get(name=f"credits:{name}:CREDIT")
            assert accounts.balance_of(ours) == accounts.balance_of(plain), name


@pytest.mark.django_db
def test_any_history_agrees_with_the_plain_verbs() -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def give_back_to_an_emptied_grant(history: Histories) -> None:
    history.give(amount=5, hours=None, promotional=False, priority=0)
    history.spend(amount=5)
    history.reverse(choice=0, amount=5)


def give_back_what_was_owed_and_is_repaid(history: Histories) -> None:
    history.set_debt(limit=10)
    history.spend(amount=1)
    history.give(amount=1, hours=None, promotional=False, priority=0)
    history.reverse(choice=0, amount=1)


def burn_across_priorities(history: Histories) -> None:
    history.give(amount=5, hours=1, promotional=False, priority=1)
    history.give(amount=5, hours=None, promotional=False, priority=0)
    history.spend(amount=5)


def burn_across_priorities_in_a_batch(history: Histories) -> None:
    history.give(amount=5, hours=1, promotional=False, priority=1)
    history.give(amount=5, hours=None, promotional=False, priority=0)
    history.spend_in_a_batch(parts=[2, 3])


def take_of_two_grants_in_a_batch(history: Histories) -> None:
    history.give(amount=5, hours=1, promotional=False, priority=0)
    history.give(amount=5, hours=2, promotional=False, priority=0)
    history.spend_in_a_batch(parts=[3, 4])


def release_while_owing(history: Histories) -> None:
    history.give(amount=5, hours=None, promotional=False, priority=0)
    history.set_debt(limit=10)
    history.reserve(amount=5, hours=1)
    history.spend(amount=3)
    history.release(choice=0)


MISTAKES = [
    (give_back_to_an_emptied_grant, "reverse.sql", "credits_give_back", "SET is_open = true", "SET is_open = is_open"),
    (
        give_back_what_was_owed_and_is_repaid,
        "reverse.sql",
        "credits_give_back",
        "t.source_id IS NOT DISTINCT FROM p_purse.debt_account_id",
        "false",
    ),
    (burn_across_priorities, "book.sql", "credits_burn", "g.priority, g.expires_at,", "g.expires_at, g.priority,"),
    (
        burn_across_priorities_in_a_batch,
        "batch.sql",
        "credits_spend_line",
        "g.priority, g.expires_at,",
        "g.expires_at, g.priority,",
    ),
    (
        take_of_two_grants_in_a_batch,
        "batch.sql",
        "credits_spend_line",
        "lot.stop > spent.start",
        "lot.stop >= spent.stop",
    ),
    (release_while_owing, "hold.sql", "credits_release", "PERFORM credits_repay(purse, moment, p_at);", ""),
]


def live(script: Callable[[Histories], None]) -> None:
    """One history that is written down, looked at as the random ones are."""
    history = Histories()
    try:
        history.begin()
        script(history)
        history.both_are_at_the_same_place()
    finally:
        history.teardown()


@pytest.mark.django_db
@pytest.mark.parametrize(("script", "file", "function", "what", "by_what"), MISTAKES)
def test_a_mistake_in_the_functions_is_found(
    script: Callable[[Histories], None], file: str, function: str, what: str, by_what: str
) -> None:
    """If this fails, the test above proves less than it says. The histories are fixed: a search may miss them."""
    live(script)
    with gates.variant((file, function, what, by_what)), pytest.raises(AssertionError):
        live(script)
