"""What a buyer asks for, as it is on sale at this moment. Prices come from the catalogue, never from a buyer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.utils.translation import override

from billing import sale_payments, taxing
from billing.discounts import Terms
from billing.models import Coupon, Customer, PlanPrice, Redemption
from billing.models.payments import PaymentKind
from credits import packs
from ledger.money import Money, total
from wallets import sales
from wallets.sales import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """What a coupon does to a price. It is reserved with the payment, unless a subscription has it already."""

    coupon: Coupon
    terms: Terms
    discount: Money
    redemption: Redemption | None = None

    @property
    def credits(self) -> int:
        """They come once, with the first payment."""
        is_used = self.redemption is not None and self.redemption.redeemed_at is not None
        return 0 if is_used else self.terms.credits

    def as_json(self) -> dict[str, Any]:
        """As it is frozen with the payment, for what delivers it and for those who look."""
        return {
            "code": self.terms.code,
            "credits": self.credits,
            "unit": self.terms.unit,
            "expires_after_days": self.terms.credits_expire_after_days,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One thing and its price. The details are all that fulfilment will need, whatever the catalogue says by then."""

    kind: PaymentKind
    amount: Money
    description: str
    item: str = ""
    catalogue: str = ""  # which says how its prices are taxed
    unit: str = ""  # of the credits that it brings
    details: dict[str, Any] = field(default_factory=dict)
    reduction: Reduction | None = None

    @property
    def price(self) -> Money:
        """Before the discount."""
        return self.amount if self.reduction is None else self.amount + self.reduction.discount


def reduced(purchase: Purchase, reduction: Reduction) -> Purchase:
    """The same for less."""
    return replace(
        purchase,
        amount=purchase.amount - reduction.discount,
        reduction=reduction,
        details=purchase.details | {"coupon": reduction.as_json()},
    )


def pack(code: str, currency: str, locale: str) -> Purchase:
    found = packs.find(code)
    price = packs.current_price(found, currency)
    with override(locale):
        name = found.name
    return Purchase(
        kind=PaymentKind.PACK,
        item=found.code,
        catalogue=found.catalogue,
        unit=found.unit,
        description=name,
        amount=Money(price.amount_minor, price.currency),
        details={
            "price": price.pk,
            "name_en": found.name_en,
            "name_fr": found.name_fr,
            "catalogue": found.catalogue,
            "unit": found.unit,
            "credits": found.credits,
            "bonus": found.bonus,
            "expires_after_days": found.expires_after_days,
            "bonus_expires_after_days": found.bonus_expires_after_days,
        },
    )


def plan(price: PlanPrice, locale: str, *, subscription: UUID, purpose: str, **more: Any) -> Purchase:
    """A period of a plan. What it is for stands in the details, by which it is delivered."""
    with override(locale):
        name = price.plan.name
    return Purchase(
        kind=PaymentKind.PLAN,
        item=price.plan.code,
        catalogue=price.plan.catalogue,
        unit=price.plan.unit,
        description=name,
        amount=more.pop("amount", None) or price.money,
        details={"subscription": str(subscription), "price": price.pk, "purpose": purpose, **more},
    )


def taxed(purchase: Purchase, customer: Customer, country: str) -> Purchase:
    """The purchase at what is to be paid for it, with the tax that it bears frozen in its details. Of what a seller of
    a marketplace sells, the tax is theirs."""
    if purchase.kind == PaymentKind.SALE:
        none = {"tax": taxing.untaxed().as_json() | {"minor": 0}}
        return replace(purchase, details=purchase.details | none)
    due = taxing.frozen(
        customer,
        purchase.amount,
        country,
        catalogue=purchase.catalogue,
        is_credits=purchase.kind == PaymentKind.PACK,
    )
    return replace(purchase, amount=due.amount, details=purchase.details | due.details)


def free_amount(amount: Money, description: str) -> Purchase:
    """An amount that a service names, which also delivers what it is for."""
    return Purchase(kind=PaymentKind.AMOUNT, amount=amount, description=description)


def sale(lines: Sequence[Line], locale: str) -> Purchase:
    """What sellers sell, at the prices that a service names; refused here if it could not be booked once it is paid."""
    known = sales.check(lines)
    with override(locale):
        names = [line.description or str(known[line.type].label) for line in lines]
    return Purchase(
        kind=PaymentKind.SALE,
        item=lines[0].type,
        description=names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}",
        amount=total((line.amount for line in lines), lines[0].amount.unit),
        details={"lines": sale_payments.details_of(lines)},
    )
