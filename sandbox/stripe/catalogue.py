"""Products, their prices, and the coupons that make them cheaper."""

from decimal import Decimal

from sandbox.stripe import amounts, errors, lists, shapes
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import Call, Routes, State, Thing, new_id

INTERVALS = "day week month year"
PROMOTION_LETTERS = 8


# ---------------------------------------------------------------- products


def _product_facts(params: Params) -> Thing:
    texts = "name description statement_descriptor tax_code unit_label url default_price"
    facts: Thing = {name: params.text(name) for name in texts.split() if params.has(name)}
    if params.has("active"):
        facts["active"] = params.flag("active")
    if params.has("images"):
        facts["images"] = params.texts("images")
    if params.has("marketing_features"):
        facts["marketing_features"] = [{"name": each.needed("name")} for each in params.each("marketing_features")]
    return facts


def make_product(state: State, params: Params) -> Thing:
    name = params.text("id") or new_id("product")
    if state.find("product", name):
        raise StripeError(f"Product already exists: {name}", code="resource_already_exists", param="id")
    params.needed("name")
    empty = shapes.nothing("default_price description package_dimensions shippable statement_descriptor tax_code")
    product = shapes.base(
        state,
        "product",
        **empty,
        active=True,
        images=[],
        marketing_features=[],
        type="service",
        unit_label=None,
        updated=state.time(),
        url=None,
    )
    product.update(_product_facts(params), id=name, metadata=params.metadata())
    state.add(product)
    state.tell("product.created", product)
    return product


def create_product(call: Call) -> Thing:
    product = make_product(call.state, call.params)
    if call.params.has("default_price_data"):
        price = make_price(call.state, call.params.inside("default_price_data"), product)
        product["default_price"] = price["id"]
    return product


def retrieve_product(call: Call, name: str) -> Thing:
    return call.state.get("product", name)


def update_product(call: Call, name: str) -> Thing:
    product = call.state.get("product", name)
    changes = {**_product_facts(call.params), "metadata": call.params.metadata(product["metadata"])}
    product["updated"] = call.state.time()
    call.state.change(product, "product.updated", **changes)
    return product


def list_products(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("product"), call.params, "active")
    ids = call.params.texts("ids")
    return lists.page(call, [one for one in chosen if not ids or one["id"] in ids], "/v1/products")


def list_features(call: Call, name: str) -> Thing:
    call.state.get("product", name)
    return lists.page(call, [], f"/v1/products/{name}/features")


def delete_product(call: Call, name: str) -> Thing:
    product = call.state.get("product", name)
    if any(price["product"] == name for price in call.state.all("price")):
        raise StripeError("This product cannot be deleted because it has one or more user-created prices.")
    call.state.tell("product.deleted", product)
    del call.state.table("product")[name]
    return {"id": name, "object": "product", "deleted": True}


# ---------------------------------------------------------------- prices


def make_price(state: State, params: Params, product: Thing | None = None) -> Thing:
    """A price of its own, or what `price_data` describes."""
    if product is None:
        product = state.named("product", params, "product")
    if product is None and params.has("product_data"):
        product = make_product(state, params.inside("product_data"))
    if product is None:
        raise errors.parameter_missing(params.name("product"))
    currency = amounts.currency_of(params.needed("currency"), params.name("currency"))
    amount, exact = _unit_amount(params)
    lookup_key = _take_lookup_key(state, params)
    recurring = _recurring(params.inside("recurring")) if params.has("recurring") else None
    price = shapes.base(
        state,
        "price",
        active=params.flag("active", True),
        billing_scheme="per_unit",
        currency=currency,
        custom_unit_amount=None,
        lookup_key=lookup_key,
        metadata=params.metadata(),
        nickname=params.text("nickname"),
        product=product["id"],
        recurring=recurring,
        tax_behavior=params.choice("tax_behavior", "exclusive inclusive unspecified", "unspecified"),
        tiers_mode=None,
        transform_quantity=None,
        type="recurring" if recurring else "one_time",
        unit_amount=amount,
        unit_amount_decimal=exact,
    )
    state.add(price)
    state.tell("price.created", price)
    return price


def _unit_amount(params: Params) -> tuple[int | None, str]:
    if params.is_given("unit_amount"):
        amount = params.needed_integer("unit_amount", least=0)
        return amount, str(amount)
    exact = params.text("unit_amount_decimal")
    if exact is None:
        raise errors.parameter_missing(params.name("unit_amount"))
    value = Decimal(exact)
    return (int(value) if value == int(value) else None), exact


def _recurring(params: Params) -> Thing:
    interval = params.choice("interval", INTERVALS)
    if not interval:
        raise errors.parameter_missing(params.name("interval"))
    return {
        "interval": interval,
        "interval_count": params.integer("interval_count", least=1) or 1,
        "meter": None,
        "trial_period_days": params.integer("trial_period_days", least=1),
        "usage_type": params.choice("usage_type", "licensed metered", "licensed"),
    }


def _take_lookup_key(state: State, params: Params) -> str | None:
    """A key is of one active price; it can be taken over by asking to."""
    key = params.text("lookup_key")
    holder = next((price for price in state.all("price") if key and price["lookup_key"] == key), None)
    if holder is None:
        return key
    if not params.flag("transfer_lookup_key"):
        raise errors.parameter_invalid(
            "lookup_key",
            f"A price (`{holder['id']}`) already uses that lookup key. Set `transfer_lookup_key=true` to transfer it.",
            "resource_already_exists",
        )
    state.change(holder, "price.updated", lookup_key=None)
    return key


def create_price(call: Call) -> Thing:
    return make_price(call.state, call.params)


def retrieve_price(call: Call, name: str) -> Thing:
    return call.state.get("price", name)


def update_price(call: Call, name: str) -> Thing:
    state, params = call.state, call.params
    price = state.get("price", name)
    changes: Thing = {"metadata": params.metadata(price["metadata"])}
    if params.has("active"):
        changes["active"] = params.flag("active")
    if params.has("tax_behavior"):
        if price["tax_behavior"] != "unspecified":
            raise errors.parameter_invalid("tax_behavior", "You cannot change `tax_behavior` once it is specified.")
        changes["tax_behavior"] = params.choice("tax_behavior", "exclusive inclusive unspecified")
    if params.has("nickname"):
        changes["nickname"] = params.text("nickname")
    if params.has("lookup_key"):
        changes["lookup_key"] = _take_lookup_key(state, params)
    state.change(price, "price.updated", **changes)
    return price


def list_prices(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("price"), call.params, "active currency product type")
    keys = call.params.texts("lookup_keys")
    wanted = call.params.inside("recurring").text("interval")
    chosen = [price for price in chosen if not keys or price["lookup_key"] in keys]
    if wanted:
        chosen = [price for price in chosen if (price["recurring"] or {}).get("interval") == wanted]
    return lists.page(call, chosen, "/v1/prices")


# ---------------------------------------------------------------- coupons and the codes that give them


def create_coupon(call: Call) -> Thing:
    state, params = call.state, call.params
    percent, off = params.text("percent_off"), params.integer("amount_off", least=1)
    if (percent is None) == (off is None):
        raise StripeError("You must pass exactly one of `amount_off` and `percent_off`.")
    if off is not None:
        params.needed("currency")
    duration = params.choice("duration", "forever once repeating", "once")
    if duration == "repeating":
        params.needed_integer("duration_in_months", least=1)
    coupon = shapes.base(
        state,
        "coupon",
        amount_off=off,
        currency=params.text("currency"),
        duration=duration,
        duration_in_months=params.integer("duration_in_months"),
        max_redemptions=params.integer("max_redemptions", least=1),
        metadata=params.metadata(),
        name=params.text("name"),
        percent_off=float(percent) if percent else None,
        redeem_by=params.integer("redeem_by"),
        times_redeemed=0,
        valid=True,
    )
    coupon["id"] = params.text("id") or coupon["id"]
    if params.has("applies_to"):
        coupon["applies_to"] = {"products": params.inside("applies_to").texts("products")}
    if state.find("coupon", coupon["id"]):
        raise StripeError("Coupon already exists.", code="resource_already_exists", param="id")
    state.add(coupon)
    state.tell("coupon.created", coupon)
    return coupon


def retrieve_coupon(call: Call, name: str) -> Thing:
    return call.state.get("coupon", name)


def update_coupon(call: Call, name: str) -> Thing:
    coupon = call.state.get("coupon", name)
    changes: Thing = {"metadata": call.params.metadata(coupon["metadata"])}
    if call.params.has("name"):
        changes["name"] = call.params.text("name")
    call.state.change(coupon, "coupon.updated", **changes)
    return coupon


def delete_coupon(call: Call, name: str) -> Thing:
    """Those who have it keep it; nobody else gets it."""
    coupon = call.state.get("coupon", name)
    coupon["valid"] = False
    call.state.tell("coupon.deleted", coupon)
    return {"id": name, "object": "coupon", "deleted": True}


def list_coupons(call: Call) -> Thing:
    return lists.page(call, call.state.all("coupon"), "/v1/coupons")


def create_promotion_code(call: Call) -> Thing:
    state, params = call.state, call.params
    promotion = params.inside("promotion")
    coupon = state.named("coupon", promotion, "coupon")
    if coupon is None:
        raise errors.parameter_missing("promotion[coupon]")
    code = params.text("code") or new_id("coupon").upper()[:PROMOTION_LETTERS]
    if any(each["active"] and each["code"].lower() == code.lower() for each in state.all("promotion_code")):
        raise StripeError("An active promotion code with `code: " + code + "` already exists.")
    rules = params.inside("restrictions")
    restrictions = {
        "first_time_transaction": rules.flag("first_time_transaction"),
        "minimum_amount": rules.integer("minimum_amount"),
        "minimum_amount_currency": rules.text("minimum_amount_currency"),
    }
    made = shapes.base(
        state,
        "promotion_code",
        active=params.flag("active", True),
        code=code,
        customer=params.text("customer"),
        customer_account=None,
        expires_at=params.integer("expires_at"),
        max_redemptions=params.integer("max_redemptions", least=1),
        metadata=params.metadata(),
        promotion={"coupon": coupon["id"], "type": "coupon"},
        restrictions=restrictions,
        times_redeemed=0,
    )
    state.add(made)
    state.tell("promotion_code.created", made)
    return made


def retrieve_promotion_code(call: Call, name: str) -> Thing:
    return call.state.get("promotion_code", name)


def update_promotion_code(call: Call, name: str) -> Thing:
    code = call.state.get("promotion_code", name)
    changes: Thing = {"metadata": call.params.metadata(code["metadata"])}
    if call.params.has("active"):
        changes["active"] = call.params.flag("active")
    call.state.change(code, "promotion_code.updated", **changes)
    return code


def list_promotion_codes(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("promotion_code"), call.params, "active code customer")
    coupon = call.params.text("coupon")
    chosen = [each for each in chosen if coupon in (None, each["promotion"]["coupon"])]
    return lists.page(call, chosen, "/v1/promotion_codes")


lists.INCLUDABLE["coupon", "applies_to"] = lambda state, coupon: coupon.get("applies_to")
lists.INCLUDABLE["price", "currency_options"] = lambda state, price: None
lists.INCLUDABLE["price", "tiers"] = lambda state, price: None

ROUTES: Routes = [
    ("POST", "/v1/products", create_product),
    ("GET", "/v1/products", list_products),
    ("GET", "/v1/products/{name}", retrieve_product),
    ("GET", "/v1/products/{name}/features", list_features),
    ("POST", "/v1/products/{name}", update_product),
    ("DELETE", "/v1/products/{name}", delete_product),
    ("POST", "/v1/prices", create_price),
    ("GET", "/v1/prices", list_prices),
    ("GET", "/v1/prices/{name}", retrieve_price),
    ("POST", "/v1/prices/{name}", update_price),
    ("POST", "/v1/coupons", create_coupon),
    ("GET", "/v1/coupons", list_coupons),
    ("GET", "/v1/coupons/{name}", retrieve_coupon),
    ("POST", "/v1/coupons/{name}", update_coupon),
    ("DELETE", "/v1/coupons/{name}", delete_coupon),
    ("POST", "/v1/promotion_codes", create_promotion_code),
    ("GET", "/v1/promotion_codes", list_promotion_codes),
    ("GET", "/v1/promotion_codes/{name}", retrieve_promotion_code),
    ("POST", "/v1/promotion_codes/{name}", update_promotion_code),
]
