"""Using credits: spend, spend in batches, give back.

A spend is one call of the SQL function `credits_spend` (credits/sql/spend.sql), one round trip and one transaction. In
the database it runs, in this order:

1. SELECT the service token's allowance FOR NO KEY UPDATE, only when a service token calls;
2. SELECT the purse FOR NO KEY UPDATE: the lock that everything of one customer goes through first. Whoever waits here
   sees what the one before has written, since each statement of the function takes a fresh snapshot;
3. SELECT by key, after the lock, so that of two calls with one key the second finds the first;
4. SELECT the open grants in burn order, from one partial index, with their balances;
5. SELECT the house account `credits:spent`, by its name;
6. INSERT the entry, 7. its key, 8. its transfers; 9. UPDATE the balances of the grants taken from;
10. INSERT the spend; 11. UPDATE the purse: version, state, counters.

Ten statements for the usual spend, and one more for each of: a service token (1), a limit that is set (what is held
counts), grants that it empties (they leave the index of open ones), low or empty crossed (the event).

A batch is one call as well (credits/sql/batch.sql). It locks the allowances of its token and all its purses first, the
latter by primary key. Several spends of one customer are written by one statement, if no limit is set and their grants
pay for all of them; any others go one by one, as above.

NO KEY UPDATE, because a foreign key only looks at what nobody changes, and need not wait; whoever gives, holds or takes
credits does wait, by the same lock. No house account is locked or written. All locks are taken in one order everywhere:
allowance, purse (several: by primary key, whatever their units), then accounts, which nobody reaches but through their
purse. A spend in a caller's own transaction keeps its customer locked until that transaction ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.contrib.auth.models import User

from credits import asked, errors, procedures
from credits.asked import Use
from credits.models import PurseState, Spend
from events import hints
from ledger.errors import LedgerError

_SPEND = """
    SELECT * FROM credits_spend($1::bigint, $2::text, $3::bigint, $4::text, $5::uuid, $6::text, $7::int, $8::bigint,
                                $9::text, $10::jsonb, $11::uuid, $12::int, $13::timestamptz)
"""
_SPEND_BATCH = "SELECT * FROM credits_spend_batch(%s::jsonb, %s::uuid, %s::int, %s::timestamptz)"
_REVERSE = """
    SELECT * FROM credits_reverse($1::bigint, $2::uuid, $3::bigint, $4::text, $5::uuid, $6::jsonb, $7::int, $8::int,
                                  $9::timestamptz)
"""
LARGEST_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A spend that was booked. `cost` is what it took; `metered` what it would have cost somebody not unlimited."""

    id: UUID
    unit: str
    cost: int
    metered: int
    available: int
    state: str
    version: int
    at: datetime
    is_replay: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversed:
    """What came back of a spend; `id` is the entry's."""

    id: UUID
    unit: str
    amount: int
    available: int
    state: str
    version: int
    is_replay: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One spend of a batch."""

    user: User
    use: Use


# What becomes of one spend of a batch.
Outcome = Spent | errors.CreditsError | LedgerError


def spend(
    *,
    user: User,
    key: str,
    action: str | None = None,
    amount: int | None = None,
    quantity: int | None = None,
    unit: str | None = None,
    reference: str = "",
    metadata: dict[str, Any] | None = None,
    token_id: UUID | None = None,
    at: datetime | None = None,
) -> Spent:
    """Take what an action costs, or an amount. The same key and the same wish return the spend that they made.

    `at` is for importing a past: without it the database's clock counts, read once the customer is locked.
    """
    use = Use(
        key=key, action=action, amount=amount, quantity=quantity, unit=unit, reference=reference, metadata=metadata
    )
    stored = asked.check(use)
    priced = asked.price(use, at)
    answer = procedures.call(
        _SPEND,
        (
            user.pk,
            priced.money.unit,
            priced.money.minor,
            key,
            asked.fingerprint_of(use),
            priced.action,
            priced.cost_version,
            quantity or 1,
            reference,
            stored,
            token_id,
            settings.CREDITS_LOW_PERCENT,
            at,
        ),
        key=key,
    )
    # Events are written when low or empty is crossed, so after most spends there is none to look for.
    hints.changed(user.pk, has_news=answer.state != PurseState.OK)
    return spent(answer)


def spend_many(wishes: Sequence[Wish], *, token_id: UUID | None = None, at: datetime | None = None) -> list[Outcome]:
    """Up to 500 spends in one round trip. Each succeeds or is refused by itself, and the results keep their order.

    A wish that cannot even be read (an unknown action, a broken key, a wrong unit) is refused in its place as well.
    """
    if len(wishes) > LARGEST_BATCH:
        raise errors.InvalidUse("spends", f"A batch has at most {LARGEST_BATCH} spends.")
    results: list[Any] = [None] * len(wishes)
    items, places = [], []
    for place, wish in enumerate(wishes):
        try:
            items.append(_item(wish, at))
            places.append(place)
        except (errors.CreditsError, LedgerError) as refused:
            results[place] = refused
    answers = procedures.answers(
        _SPEND_BATCH, (orjson.dumps(items).decode(), token_id, settings.CREDITS_LOW_PERCENT, at)
    )
    for place, item, answer in zip(places, items, answers, strict=True):
        results[place] = procedures.refusal(answer, item["key"]) if answer.refusal else spent(answer)
    for user_id in {wishes[place].user.pk for place in places}:
        hints.changed(user_id)
    return results


def reverse(
    *,
    spend: UUID,
    key: str,
    amount: int | None = None,
    user: User | None = None,
    reason: str = "",
    by: User | None = None,
    at: datetime | None = None,
) -> Reversed:
    """Give a spend back, all that is left of it or a part, to the grants it came from; the last taken comes first.

    What came from a grant that has expired or was revoked since comes back as a fresh grant in its place. It lives as
    long as the old one still had to live at the time of the spend, and at least CREDITS_REVERSAL_LEAST_DAYS: the
    customer had paid for credits that worked, and the work failed. What was owed comes back as a grant without an end.
    Each fresh grant after the first has an entry of its own. With `user`, a spend of somebody else is not found.
    """
    asked.check_key(key)
    if amount is not None:
        asked.check_amount(amount)
    answer = procedures.call(
        _REVERSE,
        (
            user.pk if user else None,
            spend,
            amount,
            key,
            asked.fingerprint(amount),
            orjson.dumps({"reason": reason, "by": by.pk if by else None}).decode(),
            settings.CREDITS_REVERSAL_LEAST_DAYS,
            settings.CREDITS_LOW_PERCENT,
            at,
        ),
        key=key,
    )
    hints.changed(user.pk if user else Spend.objects.values_list("purse__user_id", flat=True).get(pk=spend))
    return returned(answer)


def _item(wish: Wish, at: datetime | None) -> dict[str, Any]:
    use = wish.use
    stored = asked.check(use)
    priced = asked.price(use, at)
    return {
        "user_id": wish.user.pk,
        "unit": priced.money.unit,
        "amount": priced.money.minor,
        "key": use.key,
        "fingerprint": asked.fingerprint_of(use),
        "action": priced.action,
        "cost_version": priced.cost_version,
        "quantity": use.quantity or 1,
        "reference": use.reference,
        "metadata": orjson.Fragment(stored) if stored else None,
    }


def spent(answer: procedures.Answer) -> Spent:
    return Spent(
        id=answer.id,
        unit=answer.unit,
        cost=answer.amount,
        metered=answer.metered,
        available=answer.available,
        state=answer.state,
        version=answer.version,
        at=answer.at,
        is_replay=answer.is_replay,
    )


def returned(answer: procedures.Answer) -> Reversed:
    return Reversed(
        id=answer.id,
        unit=answer.unit,
        amount=answer.amount,
        available=answer.available,
        state=answer.state,
        version=answer.version,
        is_replay=answer.is_replay,
    )
