"""Sales: recorded when a payment succeeds, cleared after their delay, freed from the reserve."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from events import outbox
from events.types import EventType
from ledger import accounts, ids, transfers
from ledger.models import Account, Entry
from ledger.money import LARGEST_MINOR, Money, total
from ledger.transfers import Move
from rest import sweeps
from wallets import commissions, sellers
from wallets.commissions import Choice, Question, Split
from wallets.errors import BelowMinimum, InvalidValue, UnknownSaleType, WrongGateway
from wallets.models import CommissionRule, Sale, SaleType, Wallet
from wallets.transactions import MOST_REFERENCES

LONGEST_KEY = 200
LONGEST_REFERENCE = 200
LONGEST_DESCRIPTION = 300
MOST_LINES = 100
GATEWAY = re.compile(r"[a-z][a-z0-9_]{1,29}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing sold for one seller. All lines of a checkout are in one currency."""

    seller: User
    type: str
    amount: Money
    reference: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    line: Line
    wallet: Wallet
    type: SaleType
    choice: Choice
    split: Split
    volume_minor: int


# ---------------------------------------------------------------- before the buyer pays


def check(lines: Sequence[Line]) -> dict[str, SaleType]:
    """Refuse what could not be recorded once it is paid; returns the types of the lines by their codes."""
    if not 0 < len(lines) <= MOST_LINES:
        raise InvalidValue("lines", f"A checkout has 1 to {MOST_LINES} sales.")
    known = {each.code: each for each in SaleType.objects.filter(is_active=True)}
    for line in lines:
        _check_line(line, lines[0].amount.unit)
        # Operators release sales and approve withdrawals in the admin. Who becomes one later is served.
        if line.seller.is_staff or line.seller.is_superuser:
            raise InvalidValue("seller", "This user is an operator: operators sell nothing.")
        if line.type not in known:
            raise UnknownSaleType(line.type, known)
        least = known[line.type].minimum.get(line.amount.unit)
        if least is not None and line.amount.minor < least:
            raise BelowMinimum(Money(least, line.amount.unit))
    return known


def _check_line(line: Line, currency: str) -> None:
    if line.amount.unit != currency or not re.fullmatch(r"[A-Z]{3}", currency):
        raise InvalidValue("amount", "All sales of a checkout are in one currency.")
    if not 0 < line.amount.minor <= LARGEST_MINOR:
        raise InvalidValue("amount", f"An amount is a whole number from 1 to {LARGEST_MINOR}.")
    texts = (("reference", line.reference, LONGEST_REFERENCE), ("description", line.description, LONGEST_DESCRIPTION))
    for name, text, longest in texts:
        if len(text) > longest or not (text == "" or text.isprintable()):
            raise InvalidValue(name, f"At most {longest} printable characters.")


# ---------------------------------------------------------------- when the payment has succeeded


@transaction.atomic
def record(
    *, key: str, lines: Sequence[Line], gateway: str, fee: Money | None = None, at: datetime | None = None
) -> list[Sale]:
    """Book a paid checkout as one entry: each net to its seller, the commissions to us. The same key and lines return
    the sales that they made.

    Nothing here asks for more than `check` did, and a missing rule means the setting: who has paid is served.
    """
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise InvalidValue("key", f"A key has 1 to {LONGEST_KEY} printable characters.")
    if not GATEWAY.fullmatch(gateway):
        raise WrongGateway(gateway)
    for line in lines:
        _check_line(line, lines[0].amount.unit)
    currency = lines[0].amount.unit
    wallets = sellers.lock_of({line.seller.pk: line.seller for line in lines}, currency)
    moment = at or timezone.now()
    priced = _price(lines, wallets, moment)
    entry = transfers.post(
        key=f"sale:{key}",
        kind="sale",
        moves=_moves(priced, gateway, fee),
        metadata={"payment": key, "gateway": gateway},
        # What was asked and not what comes of it: by now another rule may count.
        fingerprint=transfers.fingerprint_of("sale", _facts(lines)),
    )
    if entry.is_replay:
        return _recorded(key)
    shared = {"payment_key": key, "gateway": gateway, "entry": entry}
    sales = [_sale(each, moment, number=number, **shared) for number, each in enumerate(priced)]
    Sale.objects.bulk_create(sales)
    for sale in sales:
        clears_at = sale.releases_at
        amounts = {"amount": sale.price_minor, "commission": sale.commission_minor, "net": sale.net_minor}
        tell(sale, EventType.SALE_RECORDED, amounts | {"clears_at": clears_at})
    return sales


@transaction.atomic
def record_fee(*, key: str, gateway: str, fee: Money) -> Entry:
    """Book the gateway's fee of a sale when it is heard of later. It is ours: the seller's net stays as it was."""
    if not Sale.objects.filter(payment_key=key).exists():
        raise InvalidValue("key", "No sale has this payment.")
    moves = [Move(sellers.house(f"fees:{gateway}", fee.unit), sellers.house(f"gateway:{gateway}", fee.unit), fee)]
    return transfers.post(key=f"sale:{key}:fee", kind="sale.fee", moves=moves, metadata={"payment": key})


def _facts(lines: Sequence[Line]) -> list[Any]:
    return [
        [line.seller.pk, line.type, line.amount.minor, line.amount.unit, line.reference, line.description]
        for line in lines
    ]


def _recorded(key: str) -> list[Sale]:
    found = list(Sale.objects.select_related("wallet__seller__user", "type").filter(payment_key=key).order_by("number"))
    for sale in found:
        sale.is_replay = True
    return found


def _price(lines: Sequence[Line], wallets: dict[int, Wallet], moment: datetime) -> list[_Priced]:
    types = SaleType.objects.in_bulk({line.type for line in lines}, field_name="code")
    rules = commissions.candidates(moment)
    before: dict[int, int] = {}  # what each wallet had sold this month, where a rule asks for it
    sold: dict[int, int] = defaultdict(int)  # by the lines before, whatever their own rules ask for
    priced = []
    for line in lines:
        if line.type not in types:
            raise UnknownSaleType(line.type, SaleType.objects.values_list("code", flat=True))
        wallet = wallets[line.seller.pk]
        choice = _choose(line, wallet, rules, moment)
        volume = 0
        if choice.needs_volume:
            if wallet.pk not in before:
                before[wallet.pk] = monthly_volume(wallet, moment)
            volume = before[wallet.pk] + sold[wallet.pk]
        split = commissions.split(line.amount, choice.terms, volume_minor=volume)
        sold[wallet.pk] += line.amount.minor
        priced.append(
            _Priced(line=line, wallet=wallet, type=types[line.type], choice=choice, split=split, volume_minor=volume)
        )
    return priced


def _choose(line: Line, wallet: Wallet, rules: list[CommissionRule], moment: datetime) -> Choice:
    question = Question(sale_type=line.type, currency=wallet.currency, at=moment, seller=wallet.seller)
    return commissions.choose(question, rules)


def monthly_volume(wallet: Wallet, moment: datetime) -> int:
    """What a seller has sold in the month (UTC) up to now, less what was taken back of it. Read behind the wallet's
    lock, so that two sales at once do not both believe to be the first."""
    month = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    sold = Sale.objects.filter(wallet=wallet, pk__gte=ids.first_at(month))
    return int(sold.aggregate(sum=Sum(F("price_minor") - F("taken_price_minor")))["sum"] or 0)


def _moves(priced: Sequence[_Priced], gateway: str, fee: Money | None) -> list[Move]:
    currency = priced[0].wallet.currency
    outside, ours, cost = f"gateway:{gateway}", "commission", f"fees:{gateway}"
    house = sellers.houses([outside, ours] + ([cost] if fee is not None and fee.minor else []), currency)
    moves = [Move(house[outside], each.wallet.pending, each.split.net) for each in priced if each.split.net.minor]
    kept = total((each.split.commission for each in priced), currency)
    if kept.minor:
        moves.append(Move(house[outside], house[ours], kept))
    if fee is not None and fee.minor:
        moves.append(Move(house[cost], house[outside], fee))
    return moves


def _sale(each: _Priced, moment: datetime, **facts: Any) -> Sale:
    terms = each.choice.terms
    return Sale(
        wallet=each.wallet,
        type=each.type,
        reference=each.line.reference,
        description=each.line.description,
        price_minor=each.split.price.minor,
        commission_minor=each.split.commission.minor,
        net_minor=each.split.net.minor,
        rule=each.choice.rule,
        terms=terms.as_facts(),
        choice=each.choice.as_facts(volume_minor=each.volume_minor, basis_points=each.split.basis_points),
        when_withdrawn=terms.when_withdrawn,
        debt_limit_minor=terms.debt_limit_minor,
        releases_at=moment + timedelta(days=terms.clearing_days),
        **facts,
    )


# ---------------------------------------------------------------- when it has cleared


def release_due(at: datetime | None = None, *, told: Callable[[int], object] | None = None) -> int:
    """Let every sale whose delay is over become available; returns how many. `told` hears how many so far."""
    moment = at or timezone.now()
    released, last = 0, 0
    while wallets := _wallets_of(Sale.objects.to_release(moment), last):
        for pk in wallets:
            with sweeps.alone("sales.not_released", wallet=str(pk)):
                released += _release_of_wallet(pk, moment)
            if told is not None:
                told(released)
        last = wallets[-1]
    return released


def free_due(at: datetime | None = None) -> int:
    """Let every reserve whose days are over become available; returns of how many sales."""
    moment = at or timezone.now()
    freed, last = 0, 0
    while wallets := _wallets_of(Sale.objects.to_free(moment), last):
        for pk in wallets:
            with sweeps.alone("reserves.not_freed", wallet=str(pk)):
                freed += _free_of_wallet(pk, moment)
        last = wallets[-1]
    return freed


def _wallets_of(due: Any, after: int) -> list[int]:
    found = due.filter(wallet__gt=after).order_by("wallet").values_list("wallet", flat=True).distinct()
    return list(found[: settings.WALLETS_SWEEP_BATCH])


def _release_of_wallet(wallet_pk: int, moment: datetime) -> int:
    count = 0
    while batch := _release_batch(wallet_pk, moment):
        count += batch
    return count


@transaction.atomic
def _release_batch(wallet_pk: int, moment: datetime) -> int:
    wallet = sellers.lock([wallet_pk])[wallet_pk]
    due = Sale.objects.to_release(moment).filter(wallet=wallet).select_related("type").order_by("releases_at", "id")
    sales = list(due[: settings.WALLETS_SWEEP_BATCH])
    if not sales:
        return 0
    locked = accounts.lock(wallet.accounts)
    seller = wallet.seller
    for sale in sales:
        sale.wallet = wallet
        kept = Money(sale.net_minor - sale.taken_net_minor, wallet.currency).share(seller.reserve_basis_points)
        sale.released_at, sale.reserved_minor = moment, kept.minor
        sale.reserved_until = moment + timedelta(days=seller.reserve_days) if kept.minor else None
    reserved = Money(sum(sale.reserved_minor for sale in sales), wallet.currency)
    cleared = Money(sum(sale.net_minor - sale.taken_net_minor for sale in sales), wallet.currency)
    moves = [Move(wallet.pending, wallet.reserve, reserved)] if reserved.minor else []
    moves += sellers.moves_to_available(wallet, locked, wallet.pending, cleared - reserved)
    if moves:
        entry = transfers.post(key=f"sale:{sales[0].pk}:release", kind="sale.release", moves=moves)
        for sale in sales:
            sale.release_entry = entry
    Sale.objects.bulk_update(sales, ["released_at", "reserved_minor", "reserved_until", "release_entry"])
    for sale in sales:
        tell(sale, EventType.SALE_RELEASED, {"net": sale.net_minor - sale.taken_net_minor})
    return len(sales)


def _free_of_wallet(wallet_pk: int, moment: datetime) -> int:
    count = 0
    while batch := _free_batch(wallet_pk, moment):
        count += batch
    return count


@transaction.atomic
def _free_batch(wallet_pk: int, moment: datetime) -> int:
    wallet = sellers.lock([wallet_pk])[wallet_pk]
    due = Sale.objects.to_free(moment).filter(wallet=wallet).order_by("reserved_until", "id")
    sales = list(due[: settings.WALLETS_SWEEP_BATCH])
    if not sales:
        return 0
    locked = accounts.lock(wallet.accounts)
    amount = Money(sum(sale.reserved_minor for sale in sales), wallet.currency)
    moves = sellers.moves_to_available(wallet, locked, wallet.reserve, amount)
    # One sale can come here again, when a part of its reserve was held and given back meanwhile.
    transfers.post(key=f"sale:{sales[0].pk}:free:{ids.uuid7()}", kind="sale.free", moves=moves, metadata=_named(sales))
    Sale.objects.filter(pk__in=[sale.pk for sale in sales]).update(reserved_minor=0)
    return len(sales)


def _named(sales: list[Sale]) -> dict[str, Any]:
    """What statements call a freeing by: a sale does not know by which entries its reserve came free."""
    named = [sale.reference for sale in sales if sale.reference]
    return {"references": named[:MOST_REFERENCES], "unnamed": max(len(named) - MOST_REFERENCES, 0)}


def tell(sale: Sale, what: EventType, facts: dict[str, Any]) -> None:
    data = {"sale": sale.pk, "type": sale.type.code, "reference": sale.reference, "currency": sale.wallet.currency}
    outbox.record(user=sale.wallet.seller.user, type=what, data=data | facts)


def gateway_account(sale: Sale) -> Account:
    return sellers.house(f"gateway:{sale.gateway}", sale.wallet.currency)
