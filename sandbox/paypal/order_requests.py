"""What PayPal checks before it makes an order."""

from dataclasses import dataclass
from typing import Any

from sandbox.paypal import amounts, errors
from sandbox.wire import Request

MOST_UNITS = 10
LONGEST = {"reference_id": 256, "custom_id": 127, "invoice_id": 127, "description": 127}
PARTS = ("item_total", "shipping", "handling", "tax_total", "insurance")
REDUCTIONS = ("shipping_discount", "discount")


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    intent: str
    purchase_units: list[dict[str, Any]]
    amount_minor: int
    currency: str
    return_url: str
    cancel_url: str
    brand_name: str
    has_payment_source: bool


def checked(request: Request) -> OrderRequest:
    asked = request.json()
    if asked.get("intent") not in ("CAPTURE", "AUTHORIZE"):
        raise _invalid("INVALID_PARAMETER_VALUE", "/intent", "The value of a field is invalid.")
    if asked["intent"] == "AUTHORIZE":
        raise errors.Refusal(
            errors.unprocessable("UNSUPPORTED_INTENT", "intent=AUTHORIZE is not supported.", field="/intent")
        )
    units = _units(asked.get("purchase_units"))
    totals = [_total(unit, f"/purchase_units/{index}") for index, unit in enumerate(units)]
    if len({currency for _, currency in totals}) > 1:
        raise errors.Refusal(errors.unprocessable("MULTI_CURRENCY_ORDER", "All units must share one currency."))
    source = asked.get("payment_source")
    if source is not None and not request.header("PayPal-Request-Id"):
        raise _invalid("PAYPAL_REQUEST_ID_REQUIRED", "PayPal-Request-Id", "It is required with a payment_source.")
    context = _context(asked)
    return OrderRequest(
        intent=asked["intent"],
        purchase_units=units,
        amount_minor=sum(amount for amount, _ in totals),
        currency=totals[0][1],
        return_url=str(context.get("return_url", "")),
        cancel_url=str(context.get("cancel_url", "")),
        brand_name=str(context.get("brand_name", "")),
        has_payment_source=source is not None,
    )


def _units(units: Any) -> list[dict[str, Any]]:
    if not isinstance(units, list) or not units or not all(isinstance(unit, dict) for unit in units):
        raise _invalid("MISSING_REQUIRED_PARAMETER", "/purchase_units", "A required field is missing.")
    if len(units) > MOST_UNITS:
        raise _invalid("INVALID_ARRAY_MAX_ITEMS", "/purchase_units", "At most ten units.")
    for index, unit in enumerate(units):
        for name, longest in LONGEST.items():
            if name in unit and not (isinstance(unit[name], str) and 1 <= len(unit[name]) <= longest):
                raise _invalid("INVALID_STRING_LENGTH", f"/purchase_units/{index}/{name}", f"1 to {longest} letters.")
    references = [unit.get("reference_id", "default") for unit in units]
    if len(set(references)) < len(references):
        raise errors.Refusal(errors.unprocessable("DUPLICATE_REFERENCE_ID", "Each unit needs its own reference_id."))
    return [{"reference_id": "default", **unit} for unit in units]


def _total(unit: dict[str, Any], field: str) -> tuple[int, str]:
    """The amount of one unit; its parts, when they are given, must add up to it."""
    total, currency = _money(unit.get("amount"), field=f"{field}/amount")
    if total <= 0:
        raise errors.Refusal(errors.unprocessable("CANNOT_BE_ZERO_OR_NEGATIVE", "Must be greater than zero."))
    breakdown = unit["amount"].get("breakdown")
    if breakdown is not None:
        parts = {name: _money(part, field=f"{field}/amount/breakdown/{name}") for name, part in breakdown.items()}
        gross = sum(parts[name][0] for name in PARTS if name in parts)
        if gross - sum(parts[name][0] for name in REDUCTIONS if name in parts) != total:
            raise errors.Refusal(errors.unprocessable("AMOUNT_MISMATCH", "The amount is not the sum of its parts."))
    if items := unit.get("items"):
        listed = sum(_line(item, f"{field}/items/{index}") for index, item in enumerate(items))
        if breakdown is None or _money(breakdown.get("item_total"), field=field)[0] != listed:
            raise errors.Refusal(errors.unprocessable("ITEM_TOTAL_MISMATCH", "Should equal the sum of the items."))
    return total, currency


def _money(amount: Any, *, field: str) -> tuple[int, str]:
    return amounts.minor(amount, field=field, whole_issue="DECIMAL_PRECISION")


def _line(item: dict[str, Any], field: str) -> int:
    quantity = str(item.get("quantity", ""))
    if not quantity.isdecimal() or not item.get("name"):
        raise _invalid("MISSING_REQUIRED_PARAMETER", field, "An item needs name, quantity and unit_amount.")
    return int(quantity) * _money(item.get("unit_amount"), field=f"{field}/unit_amount")[0]


def _context(asked: dict[str, Any]) -> dict[str, Any]:
    """Where the payer comes back to: of the payment source, or the older application_context."""
    source = (asked.get("payment_source") or {}).get("paypal") or {}
    context = source.get("experience_context") or asked.get("application_context") or {}
    if bool(context.get("return_url")) != bool(context.get("cancel_url")):
        missing = "cancel_url" if context.get("return_url") else "return_url"
        raise _invalid(
            "MISSING_REQUIRED_PARAMETER", f"/experience_context/{missing}", f"{missing} is required as well."
        )
    return dict(context)


def _invalid(issue: str, field: str, description: str) -> errors.Refusal:
    return errors.Refusal(errors.invalid_request(issue, field=field, description=description))
