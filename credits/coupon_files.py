"""The coupons of a catalogue file: read here with the rest of the file, seeded by billing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from credits import payable
from credits.yaml_sections import Section
from ledger import money
from ledger.money import BASIS_POINTS, Money

CODE = r"[A-Z0-9][A-Z0-9_-]{2,39}"
DURATIONS = ["once", "repeating", "forever"]
DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponEntry:
    """A gift is redeemed alone. The days are UTC's; the last one is part of it."""

    name_en: str
    name_fr: str
    basis_points: int | None
    amounts: Mapping[str, Money]
    duration: str
    periods: int | None
    credits: int
    credits_expire_after_days: int | None
    is_gift: bool
    packs: tuple[str, ...]
    plans: tuple[str, ...]
    whole_catalogue: bool
    starts_at: datetime | None
    ends_at: datetime | None
    limit: int | None
    limit_per_customer: int | None
    first_purchase_only: bool
    returns_after_refund: bool


def read(section: Section, packs: list[str], plans: list[str]) -> CouponEntry:
    """One coupon. What it is for stands in the same file; with nothing named it is for all of the file."""
    name = section.section("name")
    points, amounts = section.whole("basis_points", maximum=BASIS_POINTS), _amounts(section)
    brings, gift = section.count("credits", default=0, minimum=0), section.flag("gift")
    if (points is not None) + bool(amounts) > 1:
        section.refuse("amounts", "contradicts basis_points; remove one")
    if points is None and not amounts and not brings:
        section.refuse("", "is worth nothing; write `basis_points: 1000`, `amounts: {EUR: 5}` or `credits: 50`")
    if gift and (not brings or points is not None or amounts):
        section.refuse("gift", "is redeemed alone and brings credits only; write `credits:` and no discount")
    duration, periods = section.choice("duration", DURATIONS, default="once"), section.whole("periods")
    if (duration == "repeating") != (periods is not None):
        section.refuse("periods", "goes with `duration: repeating`, and that with it; write both or neither")
    if duration != "once" and points is None and not amounts:
        section.refuse("duration", "is about a discount, and there is none; remove it")
    for_packs, for_plans = _known(section, "packs", packs), _known(section, "plans", plans)
    if gift and (for_packs or for_plans):
        section.refuse("gift", "goes with no purchase; remove packs and plans")
    per_customer = section.whole("limit_per_customer")
    if gift and per_customer is None:
        section.refuse("limit_per_customer", "is missing; credits for nothing need it, for example `1`")
    starts, ends = _day(section, "starts_on"), _day(section, "ends_on")
    if starts is not None and ends is not None and ends < starts:
        section.refuse("ends_on", f"is before starts_on; write {starts} or later")
    found = CouponEntry(
        name_en=name.text("en", default="", longest=100),
        name_fr=name.text("fr", default="", longest=100),
        basis_points=points,
        amounts=amounts,
        duration=duration,
        periods=periods,
        credits=brings,
        credits_expire_after_days=section.whole("credits_expire_after_days", maximum=DAYS),
        is_gift=gift,
        packs=for_packs,
        plans=for_plans,
        whole_catalogue=not (gift or for_packs or for_plans),
        starts_at=datetime.combine(starts, time.min, UTC) if starts else None,
        ends_at=datetime.combine(ends + timedelta(days=1), time.min, UTC) if ends else None,
        limit=section.whole("limit"),
        limit_per_customer=per_customer,
        first_purchase_only=section.flag("first_purchase_only"),
        returns_after_refund=section.flag("returns_after_refund"),
    )
    name.close()
    return found


def _amounts(section: Section) -> dict[str, Money]:
    inner, found = section.section("amounts"), {}
    for currency in inner.names():
        if money.is_currency(currency):
            found[currency] = amount = inner.amount(currency, currency)
            if amount.minor % (step := payable.step(currency)):
                above = money.plain(Money(-(-amount.minor // step) * step, currency))
                inner.refuse(currency, f"what {amount} leaves could not be paid everywhere; write for example {above}")
        else:
            inner.refuse(currency, "is no currency of ISO 4217; write for example EUR")
    return found


def _known(section: Section, key: str, known: list[str]) -> tuple[str, ...]:
    words = section.words(key)
    if unknown := sorted(set(words) - set(known)):
        section.refuse(key, f"{unknown[0]!r} does not stand in this file; there are: {', '.join(known) or 'none'}")
    return tuple(sorted(set(words)))


def _day(section: Section, key: str) -> date | None:
    found = section.text(key, default="", example="2026-12-31", longest=10)
    if not found:
        return None
    try:
        return date.fromisoformat(found)
    except ValueError:
        section.refuse(key, f"{found!r} is no day; write for example 2026-12-31")
        return None
