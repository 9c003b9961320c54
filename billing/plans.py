"""The plans on sale, the price that is valid at an instant, and new versions of prices."""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from billing import errors
from billing.models import Plan, PlanPrice
from credits import payable, versions
from credits.calendar import Terms, Unlimited, terms_of
from credits.models import GrantRule
from ledger.money import Money

# A year in days, so that prices of different intervals can be compared exactly: no month has a fixed length.
PER_YEAR = {"week": 52, "month": 12, "year": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOffer:
    plan: Plan
    prices: tuple[PlanPrice, ...]


def on_sale(*, catalogue: str = "", currency: str = "") -> list[PlanOffer]:
    """Every plan that can be subscribed to now, with the prices that are valid now."""
    rows = PlanPrice.objects.valid_at(timezone.now()).filter(plan__in=Plan.objects.on_sale())
    if currency:
        rows = rows.filter(currency=currency)
    found: dict[int, list[PlanPrice]] = {}
    for price in rows:
        if price.is_active:
            found.setdefault(price.plan_id, []).append(price)
    plans = Plan.objects.on_sale().filter(pk__in=found)
    if catalogue:
        plans = plans.filter(catalogue=catalogue)
    return [PlanOffer(plan=plan, prices=tuple(sorted(found[plan.pk], key=_order))) for plan in plans]


def _order(price: PlanPrice) -> tuple[int, str]:
    return -PER_YEAR[price.interval], price.currency


def find(code: str) -> Plan:
    plan = Plan.objects.on_sale().filter(code=code).first()
    if plan is None:
        raise errors.UnknownPlan(code)
    return plan


def price_of(plan: Plan, currency: str, interval: str = "") -> PlanPrice:
    """The version that is sold now. Without an interval the plan's only one, or else the month's."""
    valid = [price for price in plan.prices.valid_at(timezone.now()) if price.is_active]
    fitting = {price.interval: price for price in valid if price.currency == currency}
    wanted = interval or (next(iter(fitting)) if len(fitting) == 1 else "month")
    if wanted not in fitting:
        raise errors.PlanPriceMissing(plan.code, sorted({(each.currency, each.interval) for each in valid}))
    return fitting[wanted]


def by_the_year(price: PlanPrice) -> int:
    """What a price comes to in a year, by which a plan is dearer or cheaper than another."""
    return price.amount_minor * PER_YEAR[price.interval]


def terms(plan: Plan) -> list[Terms]:
    """What the plan gives again and again, by the rules as they are now."""
    return [terms_of(rule) for rule in GrantRule.objects.filter(code__in=plan.grant_rules).order_by("code")]


def unlimited(plan: Plan) -> Unlimited | None:
    return Unlimited(unit=plan.unit, fair_use_per_month=plan.fair_use_per_month) if plan.is_unlimited else None


@transaction.atomic
def set_price(*, plan: Plan, interval: str, price: Money) -> PlanPrice:
    """From now on new subscribers pay this; those that have the plan keep the version that they agreed to."""
    payable.require(price)
    return _add_version(plan, interval, price, is_active=True)


@transaction.atomic
def withdraw_price(*, plan: Plan, interval: str, currency: str) -> PlanPrice:
    last = price_of(plan, currency, interval)
    return _add_version(plan, interval, last.money, is_active=False)


def _add_version(plan: Plan, interval: str, price: Money, *, is_active: bool) -> PlanPrice:
    versions.lock(f"plan price:{plan.code}:{interval}:{price.unit}")
    return PlanPrice.objects.create(
        plan=plan,
        interval=interval,
        currency=price.unit,
        amount_minor=price.minor,
        is_active=is_active,
        valid_from=versions.begin(None),
    )
