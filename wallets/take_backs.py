"""Taking back what a sale brought, at the split that the sale was made by: refunds, and disputes of banks.

Hold first, then ask the gateway, then settle or void. A dispute is the same: held while the bank decides, settled when
it is lost, voided when it is won.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from events.types import EventType
from ledger import accounts, transfers
from ledger.models import Account, Hold
from ledger.money import Money
from ledger.transfers import Move, Part, Reserve
from wallets import commissions, sales, sellers
from wallets.errors import AboveSale, InvalidValue, KeyReused, SellerCannotCover, TakeBackState
from wallets.models import Sale, TakeBack, TakeBackKind, Wallet, WhenWithdrawn
from wallets.models import TakeBackState as State

LONGEST_KEY = 200
# The parts that are held on accounts of the seller, by the name of the account.
HELD_ON = ("pending", "reserve", "available", "debt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What taking back an amount of a sale would take from whom."""

    price: Money
    commission: Money
    pending: Money
    reserve: Money
    available: Money
    debt: Money
    cost: Money

    @property
    def net(self) -> Money:
        return self.price - self.commission


# ---------------------------------------------------------------- acts


@transaction.atomic
def hold(
    *,
    sale: Sale,
    key: str,
    amount: Money | None = None,
    kind: TakeBackKind = TakeBackKind.REFUND,
    policy: WhenWithdrawn | None = None,
    reason: str = "",
    by: User | None = None,
) -> TakeBack:
    """Hold what is to go back: all that is left of the sale, or an amount. The same key returns what it held.

    `policy` is an operator's decision instead of the rule's, for what the seller has withdrawn already.
    """
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise InvalidValue("key", f"A key has 1 to {LONGEST_KEY} printable characters.")
    wallet, locked = sellers.lock_one(sale.wallet)
    if found := TakeBack.objects.select_related("sale").filter(key=key).first():
        return _replay(found, sale, amount, kind)
    fresh = Sale.objects.select_related("type").get(pk=sale.pk)
    fresh.wallet = wallet
    wanted = _plan(fresh, locked, amount or fresh.left, _policy(fresh, kind, policy))
    made = TakeBack.objects.create(
        sale=fresh,
        key=key,
        kind=kind,
        reason=reason,
        by=by,
        price_minor=wanted.price.minor,
        commission_minor=wanted.commission.minor,
        net_minor=wanted.net.minor,
        cost_minor=wanted.cost.minor,
        **{f"{name}_minor": getattr(wanted, name).minor for name in HELD_ON},
    )
    _reserve(made, wallet, locked)
    _count(made, 1)
    return made


@transaction.atomic
def settle(*, take_back: TakeBack) -> TakeBack:
    """It has gone back: what was held leaves the seller, and the commission leaves us. Twice is once."""
    current = _lock(take_back)
    if current.state == State.SETTLED:
        return current
    _resolve(current, State.SETTLED)
    outside = sales.gateway_account(current.sale)
    key = f"take-back:{current.pk}"
    metadata = {"sale": str(current.sale.pk), "payment": current.sale.payment_key, "reason": current.reason}
    if held := _holds(current):
        parts = [Part(each, outside) for each in held]
        entry = transfers.settle(key=key, kind=f"sale.{current.kind}", parts=parts, metadata=metadata)
        TakeBack.objects.filter(pk=current.pk).update(entry=entry)
        current.entry = entry
    ours = (("commission", current.part("commission")), ("loss", current.part("cost")))
    currency = current.sale.wallet.currency
    moves = [Move(sellers.house(name, currency), outside, amount) for name, amount in ours if amount.minor]
    if moves:
        transfers.post(key=f"{key}:ours", kind=f"sale.{current.kind}.ours", moves=moves, metadata=metadata)
    if current.debt_minor:  # what came free while the bank or the gateway decided
        sellers.repay(current.sale.wallet, key=key, metadata=metadata)
    sales.tell(current.sale, EventType.SALE_REFUNDED, {"amount": current.price_minor, "net": current.net_minor})
    return current


@transaction.atomic
def void(*, take_back: TakeBack) -> TakeBack:
    """It does not go back after all: the seller has everything again, and repays what they owe. Twice is once."""
    if (current := _lock(take_back)).state == State.VOIDED:
        return current
    current = lift(take_back=current)
    repay(take_back=current)
    return current


@transaction.atomic
def lift(*, take_back: TakeBack) -> TakeBack:
    """What was held is free, to be held anew in the same transaction: nothing is repaid of it. Twice is once."""
    current = _lock(take_back)
    if current.state == State.VOIDED:
        return current
    _resolve(current, State.VOIDED)
    if held := _holds(current):
        transfers.void(holds=held)
    _count(current, -1)
    return current


@transaction.atomic
def repay(*, take_back: TakeBack) -> None:
    """What is left of what was lifted or undone repays what the seller owes."""
    current = _lock(take_back)
    metadata = {"sale": str(current.sale.pk), "payment": current.sale.payment_key, "reason": current.reason}
    key = f"take-back:{current.pk}:again" if current.entry_id else f"take-back:{current.pk}"  # settling may have repaid
    sellers.repay(current.sale.wallet, key=key, metadata=metadata)


@transaction.atomic
def give_again(*, take_back: TakeBack) -> TakeBack:
    """It had gone back to the buyer, and their bank sent it to us again: the sale stands as if it had never been taken
    back, and the seller repays what they owe. Twice is once."""
    if (current := _lock(take_back)).state == State.VOIDED:
        return current
    current = undo(take_back=current)
    repay(take_back=current)
    return current


@transaction.atomic
def undo(*, take_back: TakeBack) -> TakeBack:
    """The same, to be held anew in the same transaction: nothing is repaid of it. What has cleared meanwhile is the
    seller's to use, whatever part it was taken from."""
    current = _lock(take_back)
    if current.state == State.VOIDED:
        return current
    if current.state != State.SETTLED:
        raise TakeBackState(current.state)
    sale, wallet = current.sale, current.sale.wallet
    outside, currency = sales.gateway_account(current.sale), wallet.currency
    theirs = current.part("net") - current.part("cost")
    target = wallet.pending if sale.released_at is None else wallet.available
    moves = [Move(outside, target, theirs)] if theirs.minor else []
    ours = (("commission", current.part("commission")), ("loss", current.part("cost")))
    moves += [Move(outside, sellers.house(name, currency), amount) for name, amount in ours if amount.minor]
    metadata = {"sale": str(sale.pk), "payment": sale.payment_key}
    transfers.post(key=f"take-back:{current.pk}:again", kind="sale.returned", moves=moves, metadata=metadata)
    TakeBack.objects.filter(pk=current.pk).update(state=State.VOIDED)
    Sale.objects.filter(pk=sale.pk).update(
        taken_price_minor=F("taken_price_minor") - current.price_minor,
        taken_commission_minor=F("taken_commission_minor") - current.commission_minor,
        taken_net_minor=F("taken_net_minor") - current.net_minor,
    )
    current.state = State.VOIDED
    return current


def freeze(*, sale: Sale, key: str, amount: Money | None = None, reason: str = "") -> TakeBack:
    """A bank asks for the money of a sale: hold what there is of it. It never refuses, since the bank does not ask."""
    return hold(sale=sale, key=key, amount=amount, kind=TakeBackKind.DISPUTE, reason=reason)


@transaction.atomic
def preview(*, sale: Sale, amount: Money | None = None, policy: WhenWithdrawn | None = None) -> Plan:
    """What `hold` would take from whom, or its refusal; nothing is changed."""
    wallet, locked = sellers.lock_one(sale.wallet)
    fresh = Sale.objects.get(pk=sale.pk)
    fresh.wallet = wallet
    return _plan(fresh, locked, amount or fresh.left, _policy(fresh, TakeBackKind.REFUND, policy))


# ---------------------------------------------------------------- what would be taken from whom


def _plan(sale: Sale, locked: dict[int, Account], amount: Money, policy: WhenWithdrawn) -> Plan:
    if amount.unit != sale.wallet.currency or amount.minor <= 0:
        raise InvalidValue("amount", f"An amount is a whole, positive number of {sale.wallet.currency}.")
    if amount > sale.left:
        raise AboveSale(left=sale.left)
    commission = commissions.returned(
        price=sale.price_minor,
        commission=sale.commission_minor,
        taken_price=sale.taken_price_minor,
        taken_commission=sale.taken_commission_minor,
        amount=amount.minor,
    )
    parts = _sources(sale, locked, amount.minor - commission, policy)
    unit = amount.unit
    return Plan(
        price=amount,
        commission=Money(commission, unit),
        **{name: Money(parts.get(name, 0), unit) for name in (*HELD_ON, "cost")},
    )


def _sources(sale: Sale, locked: dict[int, Account], net: int, policy: WhenWithdrawn) -> dict[str, int]:
    """Where the seller's share comes from. Before it clears, all of it is there; later some may be withdrawn."""
    if sale.released_at is None:
        return {"pending": net}
    reserve = min(sale.reserved_minor, net)
    account = locked[sale.wallet.available_id]
    available = min(account.balance - account.held, net - reserve)
    found = {"reserve": reserve, "available": available}
    lacking = net - reserve - available
    if lacking == 0:
        return found
    match policy:
        case WhenWithdrawn.OUR_COST:
            return found | {"cost": lacking}
        case WhenWithdrawn.DEBT:
            debt = locked[sale.wallet.debt_id]
            room = sale.debt_limit_minor + debt.balance - debt.held
            if lacking <= room:
                return found | {"debt": lacking}
            raise SellerCannotCover(missing=Money(lacking - max(room, 0), sale.wallet.currency))
        case WhenWithdrawn.REFUSE:
            raise SellerCannotCover(missing=Money(lacking, sale.wallet.currency))


def _policy(sale: Sale, kind: TakeBackKind, asked: WhenWithdrawn | None) -> WhenWithdrawn:
    if kind == TakeBackKind.DISPUTE:
        return WhenWithdrawn.OUR_COST
    return asked or WhenWithdrawn(sale.when_withdrawn)


# ---------------------------------------------------------------- holds and counts


def _reserve(made: TakeBack, wallet: Wallet, locked: dict[int, Account]) -> None:
    parts = [(name, made.part(name)) for name in HELD_ON]
    reserves = [Reserve(getattr(wallet, name), amount) for name, amount in parts if amount.minor]
    if made.debt_minor:
        debt = locked[wallet.debt_id]
        accounts.limit(wallet.debt, floor=debt.balance - debt.held - made.debt_minor)
    if reserves:
        transfers.hold(key=made.hold_key, reserves=reserves)


def _holds(take_back: TakeBack) -> list[Hold]:
    return list(Hold.objects.select_related("account").filter(key=take_back.hold_key).order_by("number"))


def _lock(take_back: TakeBack) -> TakeBack:
    sellers.lock([take_back.sale.wallet_id])
    return TakeBack.objects.select_related("sale__wallet__seller__user", "sale__type").get(pk=take_back.pk)


def _resolve(take_back: TakeBack, state: State) -> None:
    """Compare and set: of all who come to resolve it, one finds it held."""
    now: datetime = timezone.now()
    won = TakeBack.objects.filter(pk=take_back.pk, state=State.HELD).update(state=state, resolved_at=now)
    if not won:
        raise TakeBackState(TakeBack.objects.get(pk=take_back.pk).state)
    take_back.state, take_back.resolved_at = state, now


def _count(take_back: TakeBack, sign: int) -> None:
    Sale.objects.filter(pk=take_back.sale_id).update(
        taken_price_minor=F("taken_price_minor") + sign * take_back.price_minor,
        taken_commission_minor=F("taken_commission_minor") + sign * take_back.commission_minor,
        taken_net_minor=F("taken_net_minor") + sign * take_back.net_minor,
        reserved_minor=F("reserved_minor") - sign * take_back.reserve_minor,
    )


def _replay(found: TakeBack, sale: Sale, amount: Money | None, kind: TakeBackKind) -> TakeBack:
    if found.sale_id != sale.pk or found.kind != kind or (amount and amount.minor != found.price_minor):
        raise KeyReused(found.key)
    found.is_replay = True
    return found
