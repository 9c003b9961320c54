"""Making and stopping coupons: the same for operators and for catalogue files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import coupons, errors
from billing.models import Coupon, CouponAmount, Plan
from billing.models.coupons import CouponDuration, CouponKind
from credits import payable
from credits.models import Pack
from ledger import money
from ledger.money import BASIS_POINTS, CREDIT, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A coupon as somebody wants it; `amounts` in minor units by currency."""

    code: str
    kind: CouponKind
    catalogue: str = ""
    name_en: str = ""
    name_fr: str = ""
    basis_points: int | None = None
    amounts: Mapping[str, int] = field(default_factory=dict)
    duration: CouponDuration = CouponDuration.ONCE
    periods: int | None = None
    credits: int = 0
    unit: str = CREDIT
    credits_expire_after_days: int | None = None
    packs: Sequence[str] = ()
    plans: Sequence[str] = ()
    catalogues: Sequence[str] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    limit: int | None = None
    limit_per_customer: int | None = None
    is_first_purchase_only: bool = False
    returns_after_refund: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """Of the row, the code and the amounts apart."""
        listed = ("packs", "plans", "catalogues")
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("code", "amounts", *listed)}
        return plain | {name: list(getattr(self, name)) for name in listed}


@transaction.atomic
def create(*, wanted: Wanted, by: User | None = None) -> Coupon:
    """Make it, or say what contradicts what."""
    check(wanted)
    code = coupons.normal(wanted.code)
    if Coupon.objects.filter(code=code).exists():
        raise errors.CouponInvalid(_("There is a coupon %(code)s already.") % {"code": code})
    coupon = Coupon.objects.create(code=code, created_by=by, **wanted.fields)
    set_amounts(coupon, wanted.amounts)
    return coupon


def set_amounts(coupon: Coupon, amounts: Mapping[str, int]) -> None:
    """These and no others. Who uses it already keeps what it was worth."""
    coupon.amounts.exclude(currency__in=amounts).delete()
    for currency, minor in amounts.items():
        CouponAmount.objects.update_or_create(coupon=coupon, currency=currency, defaults={"amount_minor": minor})


@transaction.atomic
def stop(*, coupon: Coupon, by: User | None = None) -> Coupon:
    """Nobody can use it from now on; who has it in a subscription keeps it. Stopped, it does not begin again."""
    won = Coupon.objects.filter(pk=coupon.pk, stopped_at=None).update(stopped_at=timezone.now(), stopped_by=by)
    coupon.refresh_from_db()
    if not won:
        raise errors.CouponOver(coupon.code)
    return coupon


def check(wanted: Wanted) -> None:
    """What the database would refuse with a constraint's name, and what it cannot see, in sentences."""
    for is_wrong, sentence in (*_of_worth(wanted), *_of_use(wanted)):
        if is_wrong:
            raise errors.CouponInvalid(sentence)
    for currency, minor in wanted.amounts.items():
        _check_amount(currency, minor)


def _of_worth(wanted: Wanted) -> list[tuple[bool, str]]:
    kind, points, brings = wanted.kind, wanted.basis_points, wanted.credits > 0
    return [
        (not coupons.normal(wanted.code), _("A code has 3 to 40 letters, digits, - and _, as in WELCOME10.")),
        ((kind == CouponKind.PERCENT) != (points is not None), _("A share off has a share, and nothing else has one.")),
        (points is not None and not 0 < points <= BASIS_POINTS, _("The share lies above 0 and is at most 100 %.")),
        ((kind == CouponKind.AMOUNT) != bool(wanted.amounts), _("An amount off has amounts, and nothing else has.")),
        (kind in (CouponKind.CREDITS, CouponKind.GIFT) and not brings, _("It brings nothing: say how many credits.")),
        (wanted.credits < 0, _("Credits are not below zero.")),
        (wanted.credits_expire_after_days is not None and not brings, _("No credits are there that could expire.")),
    ]


def _of_use(wanted: Wanted) -> list[tuple[bool, str]]:
    repeats, dated = wanted.duration == CouponDuration.REPEATING, wanted.starts_at is not None
    ends_early = dated and wanted.ends_at is not None and wanted.ends_at <= wanted.starts_at  # type: ignore[operator]
    gift = wanted.kind == CouponKind.GIFT
    unknown = sorted(set(wanted.packs) - set(Pack.objects.values_list("code", flat=True)))
    unknown += sorted(set(wanted.plans) - set(Plan.objects.values_list("code", flat=True)))
    takes_off = wanted.kind in (CouponKind.PERCENT, CouponKind.AMOUNT)
    return [
        (repeats != bool(wanted.periods), _("So many payments go with a coupon for the first payments, and only so.")),
        (wanted.duration != CouponDuration.ONCE and not takes_off, _("Credits come once.")),
        (ends_early, _("It ends before it begins.")),
        (gift and not wanted.limit_per_customer, _("Credits for nothing need a limit for each customer.")),
        (
            gift and bool(wanted.packs or wanted.plans or wanted.catalogues),
            _("Credits for nothing go with no purchase, so that nothing is to be named."),
        ),
        (0 in (wanted.limit, wanted.limit_per_customer), _("A limit is at least 1.")),
        (bool(unknown), _("There is no pack or plan %(code)s.") % {"code": ", ".join(unknown)}),
    ]


def _check_amount(currency: str, minor: int) -> None:
    if not money.is_currency(currency) or minor <= 0:
        raise errors.CouponInvalid(_("%(currency)s: write an amount above zero.") % {"currency": currency})
    step = payable.step(currency)
    if minor % step:
        below, above = Money(minor // step * step, currency), Money(-(-minor // step) * step, currency)
        raise errors.CouponInvalid(
            _("What %(amount)s leaves could not be paid everywhere; write %(below)s or %(above)s.")
            % {"amount": Money(minor, currency), "below": below, "above": above}
        )
