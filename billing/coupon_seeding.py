"""The coupons of a catalogue file, in the database: what differs, and making it so.

What a coupon is worth may change in the file: whoever uses it already keeps the terms of that day. What left the file
is stopped, and one that was stopped does not begin again.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from billing import coupon_making
from billing.coupon_making import Wanted
from billing.models import Coupon
from billing.models.coupons import CouponDuration, CouponKind
from credits.catalogue_files import Catalogue
from credits.coupon_files import CouponEntry
from rest.seeding import Change


def owners(catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    """Codes of this file that belong to another catalogue already, or to an operator."""
    taken = Coupon.objects.filter(code__in=catalogue.coupons).exclude(catalogue=catalogue.code)
    for code, owner in taken.values_list("code", "catalogue"):
        yield "coupons", code, owner or "operators"


def differences(catalogue: Catalogue) -> Iterator[Change]:
    rows = Coupon.objects.filter(catalogue=catalogue.code).prefetch_related("amounts")
    stored = {coupon.code: coupon for coupon in rows}
    for code, entry in catalogue.coupons.items():
        wanted = _wanted(catalogue, code, entry)
        if code not in stored:
            yield Change(
                sign="+", text=f"coupon {code}: {_worth(wanted)}", act=partial(coupon_making.create, wanted=wanted)
            )
        elif stored[code].stopped_at is None:
            yield from _changes(stored[code], wanted)
    for code, coupon in stored.items():
        if code not in catalogue.coupons and coupon.stopped_at is None:
            act = partial(coupon_making.stop, coupon=coupon)
            yield Change(sign="-", text=f"coupon {code}: stopped; subscriptions keep it", act=act)


def _changes(coupon: Coupon, wanted: Wanted) -> Iterator[Change]:
    values: dict[str, Any] = {name: value for name, value in wanted.fields.items() if getattr(coupon, name) != value}
    if wanted.limit is not None and wanted.limit < coupon.used:
        values["limit"] = coupon.used  # no use is taken back; it is used up
        if coupon.limit == coupon.used:
            del values["limit"]
    has = {each.currency: each.amount_minor for each in coupon.amounts.all()}
    named = [*values, *(["amounts"] if has != wanted.amounts else [])]
    if named:
        act = partial(_update, coupon, values, wanted.amounts)
        yield Change(sign="~", text=f"coupon {coupon.code}: {', '.join(named)}", act=act)


def _update(coupon: Coupon, values: Mapping[str, Any], amounts: Mapping[str, int]) -> None:
    Coupon.objects.filter(pk=coupon.pk).update(**values)
    coupon_making.set_amounts(coupon, amounts)


def _wanted(catalogue: Catalogue, code: str, entry: CouponEntry) -> Wanted:
    return Wanted(
        code=code,
        kind=_kind(entry),
        catalogue=catalogue.code,
        name_en=entry.name_en,
        name_fr=entry.name_fr,
        basis_points=entry.basis_points,
        amounts={currency: amount.minor for currency, amount in entry.amounts.items()},
        duration=CouponDuration(entry.duration),
        periods=entry.periods,
        credits=entry.credits,
        unit=catalogue.unit,
        credits_expire_after_days=entry.credits_expire_after_days,
        packs=entry.packs,
        plans=entry.plans,
        catalogues=(catalogue.code,) if entry.whole_catalogue else (),
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
        limit=entry.limit,
        limit_per_customer=entry.limit_per_customer,
        is_first_purchase_only=entry.first_purchase_only,
        returns_after_refund=entry.returns_after_refund,
    )


def _kind(entry: CouponEntry) -> CouponKind:
    if entry.is_gift:
        return CouponKind.GIFT
    if entry.basis_points is not None:
        return CouponKind.PERCENT
    return CouponKind.AMOUNT if entry.amounts else CouponKind.CREDITS


def _worth(wanted: Wanted) -> str:
    share = f"{wanted.basis_points / 100:g} %" if wanted.basis_points is not None else ""
    amounts = ", ".join(f"{minor} {currency}" for currency, minor in sorted(wanted.amounts.items()))
    brings = f"{wanted.credits} {wanted.unit}" if wanted.credits else ""
    return " and ".join(part for part in (share, amounts, brings) if part)
