"""Our catalogue as Stripe keeps it: products by our id, prices by key, coupons and the codes that people type."""

from collections.abc import Sequence
from typing import Any

from billing.gateways.errors import Declined, FailureCategory
from billing.gateways.stripe.client import NAME, Connected, Fields, checked, id_of, part
from billing.gateways.stripe.currencies import from_wire, to_wire
from billing.gateways.stripe.payments import MISSING
from billing.gateways.subscribing import CouponRequest, PriceRequest, PriceResult, ProductRequest


class Catalogue(Connected):
    """Every `put_…` may be called again: what is there as wanted stays as it is."""

    def put_product(self, request: ProductRequest) -> None:
        changes: Any = self.differences_of_product(request)
        if changes is None:
            params: Any = {"id": request.id, **_product(request, self.configuration.tax_code)}
            self.move(lambda: self.api.products.create(params))
        elif changes:
            self.move(lambda: self.api.products.update(request.id, changes))

    def differences_of_product(self, request: ProductRequest) -> Fields | None:
        """What would be changed; None where there is no such product yet."""
        known = self._product(request.id)
        if known is None:
            return None
        return {
            name: value
            for name, value in _product(request, self.configuration.tax_code).items()
            if _plain(known.get(name)) != value
        }

    def active_products(self) -> Sequence[ProductRequest]:
        return [
            ProductRequest(id=str(each["id"]), name=str(each.get("name")), metadata=part(each.get("metadata")))
            for each in self.every(self.api.products.list, active=True)
        ]

    def archive_product(self, *, product: str) -> None:
        self.move(lambda: self.api.products.update(product, {"active": False}))

    def _product(self, found_id: str) -> Fields | None:
        try:
            return checked(self.ask(lambda: self.api.products.retrieve(found_id)), "product")
        except Declined as error:
            if error.code != MISSING:
                raise
            return None

    def put_price(self, request: PriceRequest) -> PriceResult:
        known = self._price(request.lookup_key)
        if known is not None and _is_as_wanted(known, request):
            return _price_result(self._with_tax_behavior(known, request))
        params: Any = {
            "product": request.product,
            "currency": request.amount.unit.lower(),
            "unit_amount": to_wire(request.amount),
            "tax_behavior": request.tax_behavior,
            "lookup_key": request.lookup_key,
            "transfer_lookup_key": True,
        }
        if request.interval is not None:
            params["recurring"] = {"interval": request.interval.value, "interval_count": 1}
        made = checked(self.move(lambda: self.api.prices.create(params)), "price")
        if known is None:
            return _price_result(made)
        # Running subscriptions keep the old one; nobody new gets it.
        self.archive_price(price=str(known["id"]))
        return _price_result(made)

    def _with_tax_behavior(self, known: Fields, request: PriceRequest) -> Fields:
        """What was never said of a price may be said later, once: its id stays, and so do those who pay it."""
        if request.tax_behavior == "unspecified" or _behavior(known) == request.tax_behavior:
            return known
        params: Any = {"tax_behavior": request.tax_behavior}
        return checked(self.move(lambda: self.api.prices.update(str(known["id"]), params)), "price")

    def find_price(self, lookup_key: str) -> PriceResult | None:
        known = self._price(lookup_key)
        return None if known is None else _price_result(known)

    def has_price(self, request: PriceRequest) -> bool:
        known = self._price(request.lookup_key)
        if known is None or not _is_as_wanted(known, request):
            return False
        return request.tax_behavior in ("unspecified", _behavior(known))

    def active_prices(self, *, product: str) -> Sequence[tuple[str, str]]:
        """The id of each, and its lookup key if it has one."""
        found = self.every(self.api.prices.list, active=True, product=product)
        return [(str(each["id"]), str(each.get("lookup_key") or "")) for each in found]

    def _price(self, lookup_key: str) -> Fields | None:
        found = self.ask(lambda: self.api.prices.list({"lookup_keys": [lookup_key], "limit": 1}))
        data: list[Fields] = found["data"]
        return checked(data[0], "price") if data else None

    def archive_price(self, *, price: str) -> None:
        self.move(lambda: self.api.prices.update(price, {"active": False}))

    def put_coupon(self, request: CouponRequest) -> None:
        """A coupon is never changed at Stripe: another discount under the same id is refused."""
        known = self._coupon(request.id)
        params: Any = _coupon(request)
        if known is None:
            try:
                self.move(lambda: self.api.coupons.create(params))
            except Declined as error:
                if error.code != "resource_already_exists":
                    raise
                known = self._coupon(request.id)  # a rival was faster
            if known is None:
                return
        compared = ("percent_off", "amount_off", "currency", "duration", "duration_in_months")
        if any(params.get(name) != known.get(name) for name in compared):
            raise Declined(
                "Stripe has another coupon under this id.",
                gateway=NAME,
                category=FailureCategory.DUPLICATE,
                code="coupon_differs",
            )

    def _coupon(self, found_id: str) -> Fields | None:
        try:
            return checked(self.ask(lambda: self.api.coupons.retrieve(found_id)), "coupon")
        except Declined as error:
            if error.code != MISSING:
                raise
            return None


def _product(request: ProductRequest, tax_code: str) -> Fields:
    wanted: Fields = {"name": request.name, "active": True, "metadata": dict(request.metadata)}
    wanted |= {"description": request.description} if request.description else {}
    wanted |= {"tax_code": tax_code} if tax_code else {}
    return wanted


def _coupon(request: CouponRequest) -> Fields:
    if (request.percent_off is None) == (request.amount_off is None):
        raise Declined(
            "A coupon takes off either a share or an amount.",
            gateway=NAME,
            category=FailureCategory.INVALID_REQUEST,
            code="coupon_invalid",
        )
    duration = "forever" if request.is_forever else "repeating" if request.months else "once"
    params: Fields = {"id": request.id, "duration": duration}
    if request.name:
        params["name"] = request.name
    if request.percent_off is not None:
        params["percent_off"] = float(request.percent_off)
    if request.amount_off is not None:
        params |= {"amount_off": to_wire(request.amount_off), "currency": request.amount_off.unit.lower()}
    if duration == "repeating":
        params["duration_in_months"] = request.months
    return params


def _plain(value: Any) -> Any:
    return id_of(value) if isinstance(value, dict) and "object" in value else value


def _is_as_wanted(known: Fields, request: PriceRequest) -> bool:
    recurring = part(known.get("recurring"))
    return (
        known.get("active") is True
        and id_of(known.get("product")) == request.product
        and from_wire(known.get("unit_amount"), known.get("currency")) == request.amount
        and recurring.get("interval") == (request.interval.value if request.interval else None)
        and (not recurring or recurring.get("interval_count") == 1)
        and (_behavior(known) == request.tax_behavior or "unspecified" in (_behavior(known), request.tax_behavior))
    )


def _behavior(known: Fields) -> str:
    return str(known.get("tax_behavior") or "unspecified")


def _price_result(found: Fields) -> PriceResult:
    return PriceResult(id=str(found["id"]), amount=from_wire(found.get("unit_amount"), found.get("currency")))
