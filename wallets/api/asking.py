"""What the endpoints of this package share."""

import hashlib

from rest_framework.request import Request

from rest import callers, fields, idempotency, serializers
from rest.permissions import OwnerOrService
from wallets.models import Wallet
from wallets.sellers import PARTS

TAGS = ["wallets"]
COMMISSIONS = ["commissions"]
MayRead = OwnerOrService("wallets.view_wallet")


class CurrencyQuery(serializers.QuerySerializer):
    currency = fields.CurrencyField(required=False)


def wallets_of(request: Request, currency: str | None) -> list[Wallet]:
    """The caller's wallets, or the one of a currency; none when nothing was ever sold."""
    found = Wallet.objects.filter(seller__user=callers.customer(request)).select_related("seller__user", *PARTS)
    return list(found.filter(currency=currency) if currency else found.order_by("currency"))


def act_key(request: Request) -> str:
    """The name of an act in the books: the record of an Idempotency-Key ends after a day, this does not."""
    caller, user = callers.of(request), callers.customer(request)
    sent = request.headers[idempotency.HEADER]
    digest = hashlib.sha256("\0".join([caller.identity, str(user.pk), sent]).encode()).hexdigest()
    return f"api:{digest[:40]}"
