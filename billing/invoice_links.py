"""The page behind the link in an invoice's mail. The signed link is the whole credential, and lasts as the invoice."""

from uuid import UUID

from django.conf import settings
from django.core import signing

from billing.models import Invoice


def url(invoice: Invoice) -> str:
    return f"{settings.BASE_URL}/invoice/{_signer().sign(invoice.pk.hex)}"


def invoice_of(token: str) -> Invoice | None:
    """One that was issued to be paid; others have no page."""
    try:
        known = UUID(hex=_signer().unsign(token))
    except signing.BadSignature:
        return None
    return Invoice.objects.with_lines().filter(pk=known, due_on__isnull=False).first()


def _signer() -> signing.Signer:
    """Without a time in it: an invoice has one address, however often it is told."""
    return signing.Signer(salt="billing.invoice")
