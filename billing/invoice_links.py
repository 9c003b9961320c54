"""The page behind the link in an invoice's mail. The signed link is the whole credential; it lasts as the invoice does."""

from uuid import UUID

from django.conf import settings
from django.core import signing

from billing.models import Invoice

# Without a time in it, so that an invoice has one address, however often it is told.
_signer = signing.Signer(salt="billing.invoice")


def url(invoice: Invoice) -> str:
    return f"{settings.BASE_URL.rstrip('/')}/invoice/{_signer.sign(invoice.pk.hex)}"


def invoice_of(token: str) -> Invoice | None:
    """One that was issued to be paid; others have no page."""
    try:
        known = UUID(hex=_signer.unsign(token))
    except signing.BadSignature:
        return None
    return Invoice.objects.with_lines().filter(pk=known, due_on__isnull=False).first()
