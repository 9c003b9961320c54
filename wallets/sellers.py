"""Sellers and their wallets: opened on first sight, and locked by every act that moves what is in them."""

from collections.abc import Collection, Iterable, Mapping

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from ledger import accounts, money, transfers
from ledger.errors import UnknownUnit
from ledger.models import Account
from ledger.money import BASIS_POINTS, Money
from ledger.transfers import Move
from wallets.errors import InvalidValue, UnknownSellerKind
from wallets.models import Seller, SellerKind, Wallet

LONGEST_RESERVE_DAYS = 365
PARTS = ("pending", "available", "reserve", "debt")


def of(user: User) -> Seller:
    """The seller that this user is, made if there is none."""
    seller, _ = Seller.objects.select_related("kind", "user").get_or_create(user=user)
    return seller


def open(user: User, currency: str) -> Wallet:  # noqa: A001 - read as sellers.open(...)
    """The user's wallet in a currency, made if there is none."""
    return open_all({user.pk: user}, currency)[user.pk]


def open_all(users: Mapping[int, User], currency: str) -> dict[int, Wallet]:
    """The users' wallets in a currency by the users' ids, those that are missing made."""
    if not money.is_currency(currency):
        raise UnknownUnit(f"{currency!r} is no currency.")
    found = _wallets_of(users, currency)
    if missing := sorted(users.keys() - found.keys()):
        known = {seller.user_id: seller for seller in Seller.objects.filter(user__in=missing)}
        sellers = {pk: known.get(pk) or of(users[pk]) for pk in missing}
        names = {pk: {part: f"wallet:{pk}:{currency}:{part}" for part in PARTS} for pk in missing}
        wanted = [name for each in names.values() for name in each.values()]
        opened = accounts.open_all(names=wanted, unit=currency, guarded=True)
        parts = {pk: {part: opened[name] for part, name in names[pk].items()} for pk in missing}
        new = [Wallet(seller=sellers[pk], currency=currency, **parts[pk]) for pk in missing]
        # A rival may open one in this moment: then the insert does nothing.
        Wallet.objects.bulk_create(new, ignore_conflicts=True)
        found |= _wallets_of(missing, currency)
    return found


def _wallets_of(users: Collection[int], currency: str) -> dict[int, Wallet]:
    rows = Wallet.objects.filter(seller__user__in=users, currency=currency).select_related("seller")
    return {row.seller.user_id: row for row in rows}


def find(user: User, currency: str) -> Wallet | None:
    return Wallet.objects.filter(seller__user=user, currency=currency).select_related("seller", *PARTS).first()


def lock(wallets: Iterable[int]) -> dict[int, Wallet]:
    """The wallets with their accounts, locked in one order until the transaction ends. Balances are read after this,
    by `ledger.accounts.lock`: what a join brings along may be older than the lock."""
    rows = locked(Wallet.objects.filter(pk__in=set(wallets)))
    return {row.pk: row for row in rows.select_related("seller__user", "seller__kind", *PARTS)}


def lock_of(users: Mapping[int, User], currency: str) -> dict[int, Wallet]:
    """The users' wallets in a currency by the users' ids, made if there are none, and locked like by `lock`.

    Of the accounts only the one that a sale goes to comes along: the planner thinks longer about each more table than
    it takes to read it.
    """
    wanted = Wallet.objects.filter(seller__user__in=users, currency=currency)
    rows = wanted.select_related("seller__kind", "pending")
    if len(users) > 1:
        # None is opened behind the lock of another: whoever opens the same one may wait for that lock.
        open_all(users, currency)
    found = list(locked(rows))
    if len(found) < len(users):
        open_all(users, currency)
        found = list(locked(rows))
    for wallet in found:
        wallet.seller.user = users[wallet.seller.user_id]
    return {wallet.seller.user_id: wallet for wallet in found}


def locked(rows: QuerySet[Wallet]) -> QuerySet[Wallet]:
    """What whoever locks wallets asks by, whatever comes along with them."""
    return rows.select_for_update(of=("self",), no_key=True).order_by("pk")


def lock_one(wallet: Wallet) -> tuple[Wallet, dict[int, Account]]:
    """One wallet, and its accounts as they are now."""
    locked = lock([wallet.pk])[wallet.pk]
    return locked, accounts.lock(locked.accounts)


def moves_to_available(wallet: Wallet, locked: dict[int, Account], source: Account, amount: Money) -> list[Move]:
    """How an amount becomes available: what the seller owes is repaid first."""
    debt = locked[wallet.debt_id]
    # What is held of a debt is not owed yet: a bank or a gateway still decides.
    repaid = min(amount.minor, max(-debt.balance, 0))
    parts = [(wallet.debt, repaid), (wallet.available, amount.minor - repaid)]
    return [Move(source, target, Money(minor, amount.unit)) for target, minor in parts if minor]


def repay(wallet: Wallet, *, key: str, metadata: Mapping[str, str]) -> None:
    """What has come free repays what is owed, as what clears does. The caller holds the wallet's lock."""
    locked = accounts.lock([wallet.available, wallet.debt])
    available, debt = locked[wallet.available_id], locked[wallet.debt_id]
    repaid = min(available.balance - available.held, -debt.balance)
    if repaid > 0:
        moves = [Move(wallet.available, wallet.debt, Money(repaid, wallet.currency))]
        transfers.post(key=f"{key}:repaid", kind="debt.repaid", moves=moves, metadata=metadata)


@transaction.atomic
def set_kind(*, user: User, kind: str) -> Seller:
    """Say what a seller is: it decides which rules count by default."""
    known = {each.code: each for each in SellerKind.objects.filter(is_active=True)}
    if kind not in known:
        raise UnknownSellerKind(kind, known)
    seller = of(user)
    seller.kind = known[kind]
    seller.save(update_fields=["kind"])
    return seller


@transaction.atomic
def set_reserve(*, seller: Seller, basis_points: int, days: int) -> Seller:
    """Keep a part of each later release back for some days; zero and zero for none."""
    if not (0 <= basis_points <= BASIS_POINTS and 0 <= days <= LONGEST_RESERVE_DAYS):
        raise InvalidValue("basis_points", gettext_noop("A reserve is 0 to 10000 basis points, for 0 to 365 days."))
    if (basis_points == 0) != (days == 0):
        raise InvalidValue(
            "days", gettext_noop("A reserve is a part of each sale for some days: say both, or neither.")
        )
    seller.reserve_basis_points, seller.reserve_days = basis_points, days
    seller.save(update_fields=["reserve_basis_points", "reserve_days"])
    return seller


def house(name: str, currency: str) -> Account:
    """An account of ours, or of a gateway."""
    return houses([name], currency)[name]


def houses(names: Collection[str], currency: str) -> dict[str, Account]:
    """Several of them at once, by their names without the currency."""
    full = {name: f"{name}:{currency}" for name in names}
    found = accounts.open_all(names=list(full.values()), unit=currency, guarded=False)
    return {name: found[known] for name, known in full.items()}
