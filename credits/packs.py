"""The packs on sale, their prices valid at an instant, and the pack to offer to somebody who lacks credits."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from credits import errors, payable, versions
from credits.models import Pack, PackPrice
from ledger.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A pack with the prices it is sold at, by currency."""

    pack: Pack
    prices: dict[str, Money]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What somebody could buy to cover what is missing: so many of one pack, for so much in all."""

    pack: Pack
    count: int
    price: Money

    @property
    def credits(self) -> int:
        return self.pack.total * self.count


def on_sale(
    *,
    currency: str | None = None,
    unit: str | None = None,
    catalogue: str | None = None,
    at: datetime | None = None,
) -> list[Offer]:
    """The packs that can be bought, in the order of their catalogue; one without a price is not on sale."""
    packs = Pack.objects.on_sale()
    if unit is not None:
        packs = packs.filter(unit=unit)
    if catalogue is not None:
        packs = packs.filter(catalogue=catalogue)
    prices: dict[int, dict[str, Money]] = {}
    for price in PackPrice.objects.valid_at(at or timezone.now()).filter(pack__in=packs):
        if price.is_active and currency in (None, price.currency):
            prices.setdefault(price.pack_id, {})[price.currency] = Money(price.amount_minor, price.currency)
    return [Offer(pack=pack, prices=prices[pack.pk]) for pack in packs if pack.pk in prices]


def find(code: str) -> Pack:
    pack = Pack.objects.on_sale().filter(code=code).first()
    if pack is None:
        raise errors.UnknownPack(code)
    return pack


def current_price(pack: Pack, currency: str, at: datetime | None = None) -> PackPrice:
    """The version that a buyer pays now, or paid at that instant."""
    valid = {price.currency: price for price in pack.prices.valid_at(at or timezone.now()) if price.is_active}
    if currency not in valid:
        raise errors.PriceMissing(pack.code, currency, valid)
    return valid[currency]


def choose(missing: int, currency: str, offers: Iterable[Offer]) -> Suggestion | None:
    """The cheapest pack that covers what is missing; where no pack does alone, the fewest of one pack.

    Bonus credits count, since they can be spent at once. Of equals the one listed first is taken.
    """
    best: Suggestion | None = None
    for offer in offers:
        if currency not in offer.prices:
            continue
        count = max(1, -(-missing // offer.pack.total))
        cost = Money(offer.prices[currency].minor * count, currency)
        if best is None or (count, cost.minor) < (best.count, best.price.minor):
            best = Suggestion(pack=offer.pack, count=count, price=cost)
    return best


# ---------------------------------------------------------------- new versions


@transaction.atomic
def set_price(*, pack: Pack, price: Money, valid_from: datetime | None = None, by: User | None = None) -> PackPrice:
    """From now or from a later instant the pack costs this in this currency; refused if a gateway could not take it."""
    payable.require(price)
    return _add_version(pack, price, is_active=True, valid_from=valid_from, by=by)


@transaction.atomic
def withdraw_price(*, pack: Pack, currency: str) -> PackPrice:
    """From now on the pack is not sold in this currency; payments made keep their version."""
    last = current_price(pack, currency)
    return _add_version(pack, Money(last.amount_minor, currency), is_active=False, valid_from=None, by=None)


def _add_version(
    pack: Pack, price: Money, *, is_active: bool, valid_from: datetime | None, by: User | None
) -> PackPrice:
    versions.lock(f"price:{pack.code}:{price.unit}")
    return PackPrice.objects.create(
        pack=pack,
        currency=price.unit,
        amount_minor=price.minor,
        is_active=is_active,
        valid_from=versions.begin(valid_from),
        created_by=by,
    )
