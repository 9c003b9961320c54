"""The page behind the link in an invoice's mail. The signed link is the whole credential; it lasts as the invoice does."""

from django.conf import settings
from django.core import signing

from billing.models import Invoice

SALT = "billing.invoice"


def url(invoice: Invoice) -> str:
    return f"{settings.BASE_URL.rstrip('/')}/invoice/{signing.dumps(invoice.pk.hex, salt=SALT)}"


def invoice_of(token: str) -> Invoice | None:
    """One that was issued to be paid; others have no page."""
    try:
        known = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return Invoice.objects.with_lines().filter(pk=known, due_on__isnull=False).first()
