"""What coupons take off: which discounts stand, and how much they are on these lines."""

from collections.abc import Iterable
from fractions import Fraction

from sandbox.stripe import calendar, errors, shapes
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import State, Thing


def coupon_of(state: State, discount: Thing) -> Thing:
    return state.get("coupon", discount["source"]["coupon"])


def asked(state: State, params: Params, customer: Thing | None) -> list[tuple[Thing, Thing | None]]:
    """The coupons that `discounts` names, each with its promotion code if it came by one."""
    found = []
    for wish in params.each("discounts"):
        code = state.named("promotion_code", wish, "promotion_code")
        coupon = state.get("coupon", code["promotion"]["coupon"]) if code else state.named("coupon", wish, "coupon")
        if coupon is None:
            raise errors.parameter_missing(wish.name("coupon"))
        check(state, coupon, code, customer)
        found.append((coupon, code))
    return found


def check(state: State, coupon: Thing, code: Thing | None, customer: Thing | None) -> None:
    """Refuse what has run out."""
    is_late = any(
        limit is not None and limit <= state.time() for limit in (coupon["redeem_by"], (code or {}).get("expires_at"))
    )
    is_used_up = any(
        one["max_redemptions"] is not None and one["times_redeemed"] >= one["max_redemptions"]
        for one in (coupon, code)
        if one is not None
    )
    if not coupon["valid"] or is_late or is_used_up:
        raise StripeError(f"Coupon expired: {coupon['id']}", code="coupon_expired", param="coupon")
    if code is None:
        return
    if not code["active"]:
        raise StripeError("This promotion code is inactive.")
    if code["customer"] and (customer is None or customer["id"] != code["customer"]):
        raise StripeError("This promotion code cannot be redeemed by this customer.")
    if code["restrictions"]["first_time_transaction"] and customer and _has_paid(state, customer):
        raise StripeError(
            "This promotion code cannot be redeemed because the associated customer has prior transactions."
        )


def _has_paid(state: State, customer: Thing) -> bool:
    return any(c["customer"] == customer["id"] and c["status"] == "succeeded" for c in state.all("charge"))


def redeem(state: State, coupon: Thing, code: Thing | None, **owner: str | None) -> Thing:
    """Give a coupon to a subscription or a purchase."""
    coupon["times_redeemed"] += 1
    if code:
        code["times_redeemed"] += 1
    end = (
        calendar.months_after(state.time(), coupon["duration_in_months"]) if coupon["duration"] == "repeating" else None
    )
    facts = {"end": end, "promotion_code": code["id"] if code else None, **owner}
    return state.add(shapes.discount(state, coupon, **facts))


def standing(state: State, names: Iterable[str], moment: int) -> list[Thing]:
    """Those that still count at that time."""
    found = [state.get("discount", name) for name in names]
    return [one for one in found if one["end"] is None or one["end"] > moment]


def shares(coupon: Thing, amounts: list[tuple[str, int]], currency: str) -> list[int]:
    """What a coupon takes off each of these (product, amount): the shares sum to the whole."""
    limited = (coupon.get("applies_to") or {}).get("products")
    eligible = [amount if (not limited or product in limited) and amount > 0 else 0 for product, amount in amounts]
    if coupon["percent_off"] is not None:
        percent = Fraction(str(coupon["percent_off"])) / 100
        return [round(amount * percent) for amount in eligible]
    if coupon["currency"] != currency:
        return [0 for _ in eligible]
    whole = min(coupon["amount_off"], sum(eligible))
    left, still_eligible, taken = whole, sum(eligible), []
    for amount in eligible:
        share = left * amount // still_eligible if still_eligible else 0
        taken.append(share)
        left, still_eligible = left - share, still_eligible - amount
    return taken


def unredeemed(state: State, coupon: Thing) -> Thing:
    """For a preview: as if it were given, without counting it."""
    return shapes.discount(state, coupon)
