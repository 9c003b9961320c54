"""Coupons for tests, checkouts with them, and what must not have moved after a refusal."""

from datetime import date
from typing import Any

from django.contrib.auth.models import User

from billing import checkout, coupon_making, coupons, pricing
from billing.checkout import Wishes
from billing.coupon_making import Wanted
from billing.models import Coupon, Payment, Redemption, TaxRate
from billing.models.coupons import CouponKind
from billing.tests import shop
from credits.models import Pack
from ledger.models import Entry


def make_coupon(**changes: Any) -> Coupon:
    """Ten percent off everything, unless the test says what else."""
    known: dict[str, Any] = {"code": "WELCOME10", "kind": CouponKind.PERCENT}
    if changes.get("kind", CouponKind.PERCENT) == CouponKind.PERCENT:
        known["basis_points"] = 1_000
    if changes.get("kind") == CouponKind.GIFT:
        known |= {"credits": 50, "limit_per_customer": 1}
    return coupon_making.create(wanted=Wanted(**known | changes))


def buy(user: User, code: str = "WELCOME10", currency: str = "EUR", **wishes: Any) -> Payment:
    """A checkout of Pack Medium with a coupon, brought to a gateway."""
    if not Pack.objects.filter(code="medium").exists():
        shop.make_pack()
    purchase = pricing.pack("medium", currency, "en")
    purchase = coupons.applied(user=user, code=code, purchase=purchase)
    return checkout.start(user=user, purchase=purchase, wishes=Wishes(**wishes))


def paid(gateway: Any, user: User, code: str = "WELCOME10", **wishes: Any) -> Payment:
    payment = buy(user, code, gateways=[gateway.name], **wishes)
    gateway.pays(payment.attempts.get().reference)
    return shop.told(payment)


def taxed(settings: Any) -> None:
    """Twenty percent, as in France."""
    settings.TAX_SCHEME, settings.SELLER_COUNTRY = "standard", "FR"
    TaxRate.objects.get_or_create(country="FR", valid_from=date(2026, 1, 1), defaults={"basis_points": 2_000})


def uses(code: str = "WELCOME10") -> int:
    return Coupon.objects.get(code=code).used


def state(code: str = "WELCOME10") -> list[tuple[str, bool]]:
    rows = Redemption.objects.filter(coupon__code=code).order_by("id")
    return list(rows.values_list("status", "counts"))


def moved() -> tuple[int, int, int, int]:
    """What a refusal must leave alone."""
    used = sum(Coupon.objects.values_list("used", flat=True))
    return Payment.objects.count(), Redemption.objects.count(), used, Entry.objects.count()
