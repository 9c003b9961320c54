"""What a subscription costs: lines of a whole period, and of the part of one that a change in the middle touches."""

import copy
from dataclasses import dataclass, field
from fractions import Fraction

from sandbox import money
from sandbox.stripe import amounts, billing_shapes, calendar, catalogue, errors, lifecycle
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import State, Thing

ITEMS_MAXIMUM = 20


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One item as a call wants it: a new one, a changed one, or one to go."""

    price: Thing
    quantity: int
    item: Thing | None = None
    is_deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a subscription would become, and what that costs at this moment."""

    items: list[Thing]
    lines: list[Thing] = field(default_factory=list)
    starts_anew: bool = False  # the period begins at the moment of the change
    moment: int


def wishes(state: State, params: Params, current: list[Thing] | None = None) -> list[Wish]:
    by_id = {item["id"]: item for item in current or []}
    found = []
    for wish in params.each("items"):
        item = by_id.get(wish.text("id") or "")
        if wish.text("id") and item is None:
            raise errors.missing_inside("subscription_item", wish.needed("id"), wish.name("id"))
        price = _price(state, wish) or (item["price"] if item else None)
        if price is None:
            raise errors.parameter_missing(wish.name("price"))
        quantity = wish.integer("quantity", least=0)
        if quantity is None:
            quantity = item["quantity"] if item else 1
        found.append(Wish(price=price, quantity=quantity, item=item, is_deleted=wish.flag("deleted")))
    check([each.price for each in found if not each.is_deleted])
    return found


def _price(state: State, wish: Params) -> Thing | None:
    if wish.has("price_data"):
        return catalogue.make_price(state, wish.inside("price_data"))
    return state.named("price", wish, "price")


def check(prices: list[Thing]) -> None:
    if len(prices) > ITEMS_MAXIMUM:
        raise StripeError(f"A subscription takes up to {ITEMS_MAXIMUM} items.")
    for price in prices:
        if price["recurring"] is None:
            message = (
                "The price specified is set to `type=one_time` but this field only accepts prices of `type=recurring`."
            )
            raise errors.parameter_invalid("items[0][price]", message)
        if not price["active"]:
            message = f"The price specified is inactive. This field only accepts active prices: {price['id']}"
            raise errors.parameter_invalid("items[0][price]", message)
    if len({price["currency"] for price in prices}) > 1:
        raise StripeError("All prices of a subscription must be of one currency.")
    if len({price["id"] for price in prices}) != len(prices):
        raise StripeError("Cannot add multiple subscription items with the same price.")


def cost(item: Thing) -> int:
    return int((item["price"]["unit_amount"] or 0) * item["quantity"])


def named(state: State, price: Thing) -> str:
    product = state.find("product", price["product"])
    return str(product["name"] if product else price["product"])


def whole_lines(state: State, items: list[Thing], *, is_trial: bool = False) -> list[Thing]:
    """A full period of each item; a trial is billed with nothing."""
    return [
        billing_shapes.line(
            amount=0 if is_trial else cost(item),
            description=_described(state, item, is_trial=is_trial),
            period=(item["current_period_start"], item["current_period_end"]),
            price=item["price"],
            quantity=item["quantity"],
            item=item,
        )
        for item in items
    ]


def _described(state: State, item: Thing, *, is_trial: bool) -> str:
    name = named(state, item["price"])
    if is_trial:
        return f"Trial period for {name}"
    price = item["price"]
    shown = money.shown(amounts.books_minor(price["unit_amount"] or 0, price["currency"]), price["currency"].upper())
    return f"{item['quantity']} × {name} (at {shown} / {price['recurring']['interval']})"  # noqa: RUF001 - as on invoices


def next_period(subscription: Thing, items: list[Thing]) -> list[Thing]:
    """The items as they stand one period later."""
    later = copy.deepcopy(items)
    for item in later:
        start = item["current_period_end"]
        end = calendar.end_of_period(subscription["billing_cycle_anchor"], item["price"]["recurring"], start)
        item.update(current_period_start=start, current_period_end=end)
    return later


def plan(state: State, subscription: Thing, wanted: list[Wish], *, moment: int, prorates: bool, resets: bool) -> Change:
    """Work out a change without making it."""
    old = lifecycle.items(subscription)
    touched = {wish.item["id"]: wish for wish in wanted if wish.item}
    starts_anew = resets or _changes_interval(wanted, old)
    items: list[Thing] = []
    for item in old:
        wish = touched.get(item["id"])
        if wish is None or not wish.is_deleted:
            items.append(_changed(state, item, wish, moment=moment, starts_anew=starts_anew))
    fresh = [wish for wish in wanted if wish.item is None]
    items += [_added(state, subscription, wish, moment=moment, starts_anew=starts_anew) for wish in fresh]
    if not items:
        raise StripeError("A subscription must have at least one active item.")
    check([item["price"] for item in items])
    counts = prorates and subscription["status"] in ("active", "past_due", "unpaid")
    lines = _prorations(state, old, items, moment=moment, starts_anew=starts_anew) if counts else []
    return Change(items=items, lines=lines, starts_anew=starts_anew, moment=moment)


def _changes_interval(wanted: list[Wish], old: list[Thing]) -> bool:
    def interval(price: Thing) -> tuple[str, int]:
        return price["recurring"]["interval"], price["recurring"]["interval_count"]

    before = {interval(item["price"]) for item in old}
    return any(interval(wish.price) not in before for wish in wanted if not wish.is_deleted)


def _changed(state: State, item: Thing, wish: Wish | None, *, moment: int, starts_anew: bool) -> Thing:
    changed = copy.deepcopy(item)
    if wish:
        face = billing_shapes.subscription_item(state, wish.price, wish.quantity, start=0, end=0, owner="")
        changed.update(plan=face["plan"], price=wish.price, quantity=wish.quantity)
    if starts_anew:
        end = calendar.after(moment, changed["price"]["recurring"], 1)
        changed.update(current_period_start=moment, current_period_end=end)
    return changed


def _added(state: State, subscription: Thing, wish: Wish, *, moment: int, starts_anew: bool) -> Thing:
    first = lifecycle.items(subscription)[0]
    end = calendar.after(moment, wish.price["recurring"], 1) if starts_anew else first["current_period_end"]
    start = moment if starts_anew else first["current_period_start"]
    return billing_shapes.subscription_item(
        state, wish.price, wish.quantity, start=start, end=end, owner=subscription["id"]
    )


def _prorations(state: State, old: list[Thing], new: list[Thing], *, moment: int, starts_anew: bool) -> list[Thing]:
    """Unused time of what was given back, remaining time of what is had from now on; to the second, as Stripe does."""
    before = {item["id"]: item for item in old}
    after = {item["id"]: item for item in new}
    lines = []
    for name, item in before.items():
        kept = after.get(name)
        if starts_anew or kept is None or cost(kept) != cost(item) or kept["price"]["id"] != item["price"]["id"]:
            lines.append(_part(state, item, moment=moment, is_credit=True))
    if not starts_anew:
        for name, item in after.items():
            was = before.get(name)
            if was is None or cost(was) != cost(item) or was["price"]["id"] != item["price"]["id"]:
                lines.append(_part(state, item, moment=moment, is_credit=False))
    return lines


def _part(state: State, item: Thing, *, moment: int, is_credit: bool) -> Thing:
    start, end = item["current_period_start"], item["current_period_end"]
    share = Fraction(max(0, end - max(moment, start)), end - start)
    amount = round(cost(item) * share)
    name = named(state, item["price"])
    return billing_shapes.line(
        amount=-amount if is_credit else amount,
        description=f"{'Unused' if is_credit else 'Remaining'} time on {name}",
        period=(moment, end),
        price=item["price"],
        quantity=item["quantity"],
        item=item,
        is_proration=True,
    )


def unused_lines(state: State, items: list[Thing], *, moment: int) -> list[Thing]:
    return [_part(state, item, moment=moment, is_credit=True) for item in items]
