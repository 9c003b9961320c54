"""What gateways call themselves, in the order in which we show them."""

TITLES = {
    "stripe": "Stripe",
    "paypal": "PayPal",
    "cinetpay": "CinetPay",
    "mtn_momo": "MTN Mobile Money",
    "orange_money": "Orange Money",
}


def of(name: str) -> str:
    """Also of one that is not built in any more."""
    return TITLES.get(name) or name.replace("_", " ").title()
