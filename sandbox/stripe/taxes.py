"""Stripe Tax as far as a shop can see it: a rate by the buyer's country, in the price or on top of it."""

from fractions import Fraction
from typing import Any

from sandbox.stripe import shapes
from sandbox.stripe.state import State, Thing

HERE = "FR"  # where the shop is, and the only country in which its customers with a VAT number pay
# Where the shop is registered; elsewhere nothing is collected.
RATES = {"AT": 20, "BE": 21, "DE": 19, "ES": 21, "FR": 20, "HU": 27, "IT": 22, "LU": 17, "NL": 21, "PT": 23}


def locate(state: State, session: Thing) -> None:
    """The buyer tells the page where they are, and the number of their company if they have one."""
    details = session["customer_details"]
    if not session["automatic_tax"]["enabled"] or not details:
        return
    owner = state.find("customer", session["customer"]) or {}
    known = (owner.get("address") or {}).get("country")
    country = state.settings["buyer_country"] or known or HERE
    details["address"] = {**shapes.NO_ADDRESS, "country": country}
    if state.settings["buyer_vat_number"]:
        details["tax_ids"] = [{"type": "eu_vat", "value": state.settings["buyer_vat_number"]}]
    session["automatic_tax"]["status"] = "complete"


def remember(state: State, session: Thing, customer: Thing) -> None:
    """`customer_update`: what the page was told stays with the customer, for the invoices to come."""
    details = session["customer_details"] or {}
    if session["automatic_tax"]["enabled"] and details.get("address"):
        customer["address"] = dict(details["address"])
        state.private(customer)["tax_ids"] = details.get("tax_ids") or []


def tax_ids(state: State, customer: Thing) -> list[Thing]:
    return list(state.private(customer).get("tax_ids") or [])


def reckon(amount: int, behavior: str, country: str | None, ids: list[Thing]) -> Thing:
    """What an amount bears: how much, at which rate, and why."""
    percentage, reason = RATES.get(country or "", 0), "standard_rated"
    if not percentage:
        reason = "not_collecting"
    elif ids and country != HERE:
        percentage, reason = 0, "reverse_charge"
    share = Fraction(percentage, 100)
    is_inside = behavior == "inclusive"
    exact = amount * share / (1 + share) if is_inside else amount * share
    tax = int(exact + Fraction(1, 2)) if amount >= 0 else -int(-exact + Fraction(1, 2))
    return {
        "amount": tax,
        "country": country,
        "is_inside": is_inside,
        "percentage": percentage,
        "reason": reason,
        "taxable": amount - tax if is_inside else amount,
    }


def in_breakdown(state: State, found: Thing) -> Thing:
    """As the details of a session's totals show it to those who ask."""
    empty = shapes.nothing("description jurisdiction jurisdiction_level state flat_amount")
    rate: dict[str, Any] = {
        **empty,
        "id": f"txr_{found['country']}_{found['percentage']}",
        "object": "tax_rate",
        "active": False,
        "country": found["country"],
        "created": state.time(),
        "display_name": "VAT",
        "effective_percentage": float(found["percentage"]),
        "inclusive": found["is_inside"],
        "livemode": False,
        "metadata": {},
        "percentage": float(found["percentage"]),
        "rate_type": "percentage",
        "tax_type": "vat",
    }
    return {
        "amount": found["amount"],
        "rate": rate,
        "taxability_reason": found["reason"],
        "taxable_amount": found["taxable"],
    }


def in_invoice(found: Thing) -> Thing:
    return {
        "amount": found["amount"],
        "tax_behavior": "inclusive" if found["is_inside"] else "exclusive",
        "tax_rate_details": {"tax_rate": f"txr_{found['country']}_{found['percentage']}"},
        "taxability_reason": found["reason"],
        "taxable_amount": found["taxable"],
        "type": "tax_rate_details",
    }
