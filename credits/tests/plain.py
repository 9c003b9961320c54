"""Credits built a second time, by the plain verbs of the ledger and decisions in Python: what credits/sql must equal.

One customer, one unit, nobody else at the same time; written to be read, not to be fast.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ledger import transfers
from ledger.models import Account, Entry, Hold
from ledger.money import LARGEST_MINOR
from ledger.tests import books
from ledger.tests.books import balance, credits_, guarded, house, new_key
from ledger.transfers import Move, Part, Reserve


class Refused(Exception):
    """What was asked is not possible; nothing has moved."""


@dataclass(eq=False)
class Lot:
    account: Account
    number: int
    priority: int = 0
    is_promotional: bool = False
    expires_at: datetime | None = None
    frozen_at: datetime | None = None
    is_revoked: bool = False

    def is_over(self, now: datetime) -> bool:
        return self.is_revoked or (self.frozen_at is None and self.expires_at is not None and self.expires_at <= now)

    @property
    def free(self) -> int:
        return books.available(self.account).minor


@dataclass(eq=False)
class PlainSpend:
    parts: list[tuple[Account, int]]  # what is left to give back, in the order in which it was taken
    made_at: datetime


@dataclass(eq=False)
class PlainHold:
    amount: int
    holds: list[Hold]
    expires_at: datetime
    state: str = "open"


@dataclass(eq=False)
class PlainCredits:
    least_days: int
    lots: list[Lot] = field(default_factory=list)
    holds: list[PlainHold] = field(default_factory=list)
    debt_limit: int = 0

    def __post_init__(self) -> None:
        self.houses = {name: house(f"plain:{name}") for name in ("issued", "spent", "expired", "revoked")}
        self.debt = guarded("plain:debt", floor=-LARGEST_MINOR)

    # ------------------------------------------------------------ what a customer can pay with

    def usable(self, now: datetime) -> list[Lot]:
        far = now + timedelta(days=10_000)
        found = [lot for lot in self.lots if lot.frozen_at is None and not lot.is_over(now) and balance(lot.account)]
        return sorted(found, key=lambda lot: (lot.priority, lot.expires_at or far, not lot.is_promotional, lot.number))

    def plan(self, amount: int, now: datetime, *, may_owe: bool) -> list[tuple[Account, int]]:
        parts, missing = [], amount
        for lot in self.usable(now):
            if part := min(lot.free, missing):
                parts.append((lot.account, part))
                missing -= part
        if missing and may_owe and books.available(self.debt).minor - LARGEST_MINOR + self.debt_limit >= missing:
            parts.append((self.debt, missing))
            missing = 0
        if missing and may_owe:
            raise Refused
        return parts

    def available(self, now: datetime) -> int:
        return sum(lot.free for lot in self.usable(now))

    # ------------------------------------------------------------ acts

    def give(self, amount: int, now: datetime, **facts: object) -> None:
        self._born(amount, self.houses["issued"], **facts)
        self.repay(now)

    def spend(self, amount: int, now: datetime) -> PlainSpend:
        parts = self.plan(amount, now, may_owe=True)
        self._post([(source, self.houses["spent"], part) for source, part in parts])
        return PlainSpend(parts=parts, made_at=now)

    def reserve(self, amount: int, now: datetime, expires_at: datetime) -> PlainHold:
        parts = self.plan(amount, now, may_owe=True)
        reserves = [Reserve(account, credits_(part)) for account, part in parts]
        made = PlainHold(amount, transfers.hold(key=new_key("hold"), reserves=reserves), expires_at)
        self.holds.append(made)
        return made

    def settle(self, hold: PlainHold, amount: int, now: datetime) -> PlainSpend:
        if hold.state in ("settled", "released") or amount > hold.amount:
            raise Refused
        if hold.state == "expired":
            spent = self.spend(amount, now)
        else:
            used: list[Part] = []
            missing = amount
            for each in hold.holds:
                if part := min(each.amount, missing):
                    used.append(Part(each, self.houses["spent"], credits_(part)))
                    missing -= part
            transfers.settle(key=new_key("settle"), kind="test", parts=used)
            if rest := hold.holds[len(used) :]:
                transfers.void(holds=rest)
            self.repay(now)
            parts = [(part.hold.account, part.amount.minor) for part in used if part.amount]
            spent = PlainSpend(parts=parts, made_at=now)
        hold.state = "settled"
        return spent

    def release(self, hold: PlainHold, now: datetime, state: str = "released") -> None:
        if hold.state != "open":
            raise Refused
        transfers.void(holds=hold.holds)
        hold.state = state
        self.repay(now)

    def expire_holds(self, now: datetime) -> int:
        due = [hold for hold in self.holds if hold.state == "open" and hold.expires_at <= now]
        for hold in due:
            self.release(hold, now, "expired")
        return len(due)

    def reverse(self, spend: PlainSpend, amount: int, now: datetime) -> None:
        if amount > sum(left for _, left in spend.parts):
            raise Refused
        moves: list[tuple[Account, Account, int]] = []
        reborn: list[tuple[Lot | None, int]] = []
        for place in reversed(range(len(spend.parts))):
            account, left = spend.parts[place]
            part = min(left, amount)
            amount -= part
            spend.parts[place] = (account, left - part)
            lot = next((lot for lot in self.lots if lot.account == account), None)
            if part and (account == self.debt or (lot and lot.is_over(now))):
                reborn.append((lot, part))
            elif part:
                moves.append((self.houses["spent"], account, part))
        if moves:
            self._post(moves)
        least = timedelta(days=self.least_days)
        for lot, part in reborn:
            if lot is None:
                self._born(part, self.houses["spent"])
            else:
                life = max(least, lot.expires_at - spend.made_at) if lot.expires_at else None
                self._born(
                    part,
                    self.houses["spent"],
                    priority=lot.priority,
                    is_promotional=lot.is_promotional,
                    expires_at=now + life if life else None,
                )
        self.repay(now)

    def take(self, amount: int, now: datetime) -> None:
        parts = self.plan(amount, now, may_owe=True)
        self._post([(source, self.houses["revoked"], part) for source, part in parts])

    def revoke(self, lot: Lot) -> None:
        lot.is_revoked = True
        self._close(lot, "revoked")

    def expire_grants(self, now: datetime) -> int:
        due = [lot for lot in self.lots if lot.is_over(now) and lot.free]
        for lot in due:
            self._close(lot, "revoked" if lot.is_revoked else "expired")
        return len(due)

    def unfreeze(self, lot: Lot, now: datetime) -> None:
        assert lot.frozen_at
        if lot.expires_at:
            lot.expires_at += now - lot.frozen_at
        lot.frozen_at = None
        self.repay(now)

    def repay(self, now: datetime) -> None:
        owed = -balance(self.debt)
        if owed > 0 and (parts := self.plan(owed, now, may_owe=False)):
            self._post([(source, self.debt, part) for source, part in parts])

    # ------------------------------------------------------------ the books

    def _born(self, amount: int, source: Account, **facts: object) -> None:
        number = len(self.lots)
        lot = Lot(guarded(f"plain:grant:{number}"), number, **facts)  # type: ignore[arg-type]
        self._post([(source, lot.account, amount)])
        self.lots.append(lot)

    def _close(self, lot: Lot, where: str) -> None:
        if lot.free:
            self._post([(lot.account, self.houses[where], lot.free)])

    def _post(self, moves: list[tuple[Account, Account, int]]) -> Entry:
        return transfers.post(
            key=new_key("plain"),
            kind="test",
            moves=[Move(source, target, credits_(part)) for source, target, part in moves],
        )
