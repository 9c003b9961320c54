"""Credits that go back because their money does: held while the money is on its way, taken when it has arrived.

The grants are named by their keys, so that whoever issued them need not know how they are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from credits import grants, purses
from credits.grants import NewGrant
from credits.models import Grant, GrantSource, Purse
from events import outbox
from events.types import EventType
from ledger import accounts, transfers
from ledger.models import Account, Hold, HoldState, Transfer
from ledger.money import Money
from ledger.transfers import Move, Part, Reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A grant and what of it nobody has used or reserved; and what nobody has used and is gone all the same."""

    key: str
    source: str
    given: int
    free: int
    revoked: int  # by hand, or taken away by a correction
    expired: int


def left_of(keys: Sequence[str]) -> list[Left]:
    """What is left of these grants, in the order in which they are named; what has expired is nobody's any more."""
    names = {f"grant:{key}": key for key in keys}
    rows = Grant.objects.filter(account__name__in=names).select_related("account")
    found = {names[row.account.name]: row for row in rows}
    gone = _gone([grant.pk for grant in found.values()])
    return [_left(key, found[key], gone) for key in keys if key in found]


def grants_of(keys: Sequence[str]) -> list[Grant]:
    rows = Grant.objects.filter(account__name__in=[f"grant:{key}" for key in keys])
    return list(rows.select_related("account").order_by("account_id"))


def _left(key: str, grant: Grant, gone: Mapping[tuple[int, str], int]) -> Left:
    """What is over belongs to nobody any more, though no sweep has booked it away yet."""
    rest = grant.account.balance - grant.account.held
    now = _state(grant)
    return Left(
        key=key,
        source=grant.source,
        given=grant.amount,
        free=rest if now == "free" else 0,
        revoked=gone.get((grant.pk, "revoked"), 0) + (rest if now == "revoked" else 0),
        expired=gone.get((grant.pk, "expired"), 0) + (rest if now == "expired" else 0),
    )


def _state(grant: Grant) -> str:
    if grant.revoked_at is not None:
        return "revoked"
    is_over = grant.expires_at is not None and grant.expires_at <= timezone.now() and grant.frozen_at is None
    return "expired" if is_over else "free"


def _gone(grant_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """What was booked away of grants, by grant and by how. What was taken for money that went back is none of it."""
    rows = (
        Transfer.objects.filter(source__in=grant_ids)
        .filter(Q(target__name__startswith="credits:revoked:") | Q(target__name__startswith="credits:expired:"))
        .exclude(entry__entry_key__key__startswith=booked_as(""))
        .values_list("source_id", "target__name")
        .annotate(sum=Sum("amount"))
    )
    return {(source, name.split(":")[1]): amount for source, name, amount in rows}


def lock(*, user: User, unit: str) -> None:
    """Until the transaction ends nobody else uses or gives credits of this customer."""
    purses.lock(user, unit)


@transaction.atomic
def hold(*, user: User, unit: str, key: str, amounts: Mapping[str, int]) -> None:
    """Reserve so much of each grant; `ledger.errors.InsufficientFunds` if some is gone, and then nothing is."""
    wanted = {name: amount for name, amount in amounts.items() if amount}
    purse = purses.lock(user, unit)
    if not wanted:
        return
    lots = _accounts(wanted)
    reserves = [Reserve(lots[name], Money(amount, unit)) for name, amount in wanted.items()]
    transfers.hold(key=booked_as(key), reserves=reserves)
    purses.refresh(purse.pk)


@transaction.atomic
def take(*, user: User, unit: str, key: str, owed: int = 0, metadata: Mapping[str, Any] | None = None) -> int:
    """Take what was held, and note what is owed on top: other credits pay that at once, or the next that come.

    Returns what was taken of the grants.
    """
    purse = purses.lock(user, unit)
    holds = _open_holds(key)
    revoked = accounts.open(name=f"credits:revoked:{unit}", unit=unit, guarded=False)
    if holds:
        parts = [Part(each, revoked) for each in holds]
        transfers.settle(key=booked_as(key), kind="credits.revocation", parts=parts, metadata=metadata)
        _close_emptied([each.account_id for each in holds])
        _tell(user, unit, holds)
    if owed:
        account = _account_for_debt(purse, owed)
        transfers.post(
            key=booked_as(f"{key}:owed"),
            kind="credits.adjustment",
            moves=[Move(account, revoked, Money(owed, unit))],
            metadata=metadata,
        )
        outbox.record(user=user, type=EventType.CREDITS_ADJUSTED, data={"unit": unit, "amount": -owed})
        purses.repay(purse.pk)
    purses.refresh(purse.pk)
    return sum(each.amount for each in holds)


def taken(*, keys: Sequence[str]) -> int:
    """How much has been taken of grants under these keys."""
    rows = Hold.objects.filter(key__in=[booked_as(key) for key in keys], state=HoldState.SETTLED)
    return rows.aggregate(total=Sum("amount"))["total"] or 0


@transaction.atomic
def release(
    *, user: User, unit: str, key: str, instead: Mapping[str, Mapping[str, int]] = MappingProxyType({})
) -> None:
    """Give back what was held: the money did not go. Doing it twice gives nothing more. What is taken instead, by other
    keys, is taken before the rest repays what the customer owes."""
    purse = purses.lock(user, unit)
    if holds := _open_holds(key):
        transfers.void(holds=holds)
        for other, amounts in instead.items():
            hold(user=user, unit=unit, key=other, amounts=amounts)
            take(user=user, unit=unit, key=other, metadata={"instead_of": key})
        purses.repay(purse.pk)
        purses.refresh(purse.pk)


@transaction.atomic
def give_back(*, user: User, unit: str, key: str, owed: int = 0) -> None:
    """After money that had gone came back: as many credits as were taken, and what was owed, as grants of their own.
    What was taken repays no other debt of the customer before the caller says `repay`: it may be somebody else's."""
    taken = Hold.objects.filter(key=booked_as(key), state=HoldState.SETTLED).select_related("account__grant")
    rows = [
        _as_new(user, unit, f"{key}:back:{each.number}", each.amount, each.account.grant)
        for each in taken.order_by("number")
    ]
    if owed:
        # By itself and first, so that it repays the debt that it is for, and the others come back whole.
        grants.issue_many([_of_debt(user, unit, key, owed)])
    if rows:
        grants.issue_many(rows, repays=False)


@transaction.atomic
def repay(*, user: User, unit: str) -> None:
    """Of what was given back, whatever is left to the customer pays what they owe."""
    purse = purses.lock(user, unit)
    purses.repay(purse.pk)
    purses.refresh(purse.pk)


def _of_debt(user: User, unit: str, key: str, owed: int) -> NewGrant:
    return NewGrant(user_id=user.pk, amount=owed, source=GrantSource.REVERSAL, key=f"{key}:back", unit=unit)


def given_back(*, key: str) -> dict[str, str]:
    """The key of each grant of which something was taken, and of the one that `give_back` made of that."""
    taken = Hold.objects.filter(key=booked_as(key), state=HoldState.SETTLED).order_by("number")
    rows = taken.values_list("account__name", "number")
    return {name.removeprefix("grant:"): f"{key}:back:{number}" for name, number in rows}


def _as_new(user: User, unit: str, key: str, amount: int, origin: Grant) -> NewGrant:
    least = timezone.now() + timedelta(days=settings.CREDITS_REVERSAL_LEAST_DAYS)
    return NewGrant(
        user_id=user.pk,
        amount=amount,
        source=GrantSource.REVERSAL,
        key=key,
        unit=unit,
        is_promotional=origin.is_promotional,
        priority=origin.priority,
        expires_at=max(origin.expires_at, least) if origin.expires_at else None,
    )


# ---------------------------------------------------------------- the books


def booked_as(key: str) -> str:
    """The name of a take-back in the books; that of all of them begins with the name of none."""
    return f"credits:takeback:{key}"


def _open_holds(key: str) -> list[Hold]:
    rows = Hold.objects.filter(key=booked_as(key), state=HoldState.OPEN)
    return list(rows.select_related("account").order_by("number"))


def _accounts(keys: Mapping[str, int]) -> dict[str, Account]:
    found = Account.objects.filter(name__in=[f"grant:{key}" for key in keys])
    return {account.name.removeprefix("grant:"): account for account in found}


def _close_emptied(account_ids: Sequence[int]) -> None:
    Grant.objects.filter(account_id__in=account_ids, account__balance=0).update(is_open=False)


def _account_for_debt(purse: Purse, owed: int) -> Account:
    if purse.debt_account is None:
        name = f"debt:{purse.user_id}:{purse.unit}"
        purse.debt_account = accounts.open(name=name, unit=purse.unit, guarded=True)
        purse.save(update_fields=["debt_account"])
    account = Account.objects.get(pk=purse.debt_account.pk)
    # The policy of the purse lets nobody spend what they do not have; this debt is not a spend.
    accounts.limit(account, floor=min(account.floor, account.balance - account.held - owed))
    return account


def _tell(user: User, unit: str, holds: Sequence[Hold]) -> None:
    born = dict(Grant.objects.filter(pk__in=[each.account_id for each in holds]).values_list("pk", "entry_id"))
    for each in holds:
        data = {"grant": str(born[each.account_id]), "unit": unit, "amount": -each.amount}
        outbox.record(user=user, type=EventType.CREDITS_ADJUSTED, data=data)
