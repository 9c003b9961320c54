"""VAT numbers at VIES, the EU's own register. It is asked beside the sale: until it has said yes, tax is charged."""

import json
import logging
from datetime import timedelta
from typing import Any

import requests
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from stdnum.eu import vat

from billing.models import Customer, VatCheck
from billing.models.papers import VatOutcome
from rest import sweeps

logger = logging.getLogger(__name__)
PREFIXES = tuple(sorted({"EL" if country == "gr" else country.upper() for country in vat.MEMBER_STATES} | {"XI"}))
# Greece writes EL; Monaco and the overseas departments have French numbers.
WRITTEN_AS = {"GR": "EL", **dict.fromkeys(("MC", "GP", "MQ", "RE", "GF", "YT"), "FR")}
LONGEST_REPLY_BYTES = 100_000


class OutOfReach(Exception):
    """VIES, or the member state behind it, did not say yes or no."""


def prefix_of(country: str) -> str:
    """How the numbers of a country begin."""
    return WRITTEN_AS.get(country, country)


def country_of(vat_number: str) -> str:
    """The country of the EU that a number is of; what others write says nothing of where it is."""
    prefix = vat_number[:2]
    if prefix not in PREFIXES or prefix == "XI":  # goods of Northern Ireland only, whose country is GB
        return ""
    return "GR" if prefix == "EL" else prefix


def fits(vat_number: str, country: str) -> bool:
    return not (country and country_of(vat_number)) or vat_number.startswith(prefix_of(country))


def check_country(vat_number: str, country: str) -> None:
    if not fits(vat_number, country):
        message = _("This number is of another country than the address.")
        raise ValidationError({"vat_number": ValidationError(message, code="other_country")})


def is_confirmed(vat_number: str) -> bool:
    """Whether the last clear word of VIES was yes. It stands until it is asked again, however long VIES is away."""
    clear = VatCheck.objects.filter(vat_number=vat_number).exclude(outcome=VatOutcome.UNREACHABLE)
    return clear.values_list("outcome", flat=True).first() == VatOutcome.VALID


def check_due() -> int:
    """Ask about the numbers of which nothing fresh is known; one that cannot be asked is tried again later."""
    due = [customer for customer in _due() if vat.is_valid(customer.vat_number)]
    for customer in due[: settings.VIES_SWEEP_BATCH]:
        with sweeps.alone("vat_number.not_checked", customer=str(customer.pk)):
            check(customer=customer)
    return len(due)


def _due() -> list[Customer]:
    if settings.TAX_SCHEME != "standard" or not settings.VIES_REQUIRED:
        return []  # no number changes what anybody pays
    now = timezone.now()
    known = VatCheck.objects.filter(vat_number=OuterRef("vat_number"))
    fresh = known.exclude(outcome=VatOutcome.UNREACHABLE).filter(
        asked_at__gt=now - timedelta(days=settings.VIES_FRESH_DAYS)
    )
    tried = known.filter(asked_at__gt=now - timedelta(seconds=settings.VIES_RETRY_SECONDS))
    foreign = Q(vat_number__regex=f"^({'|'.join(PREFIXES)})") & ~Q(country=settings.SELLER_COUNTRY)
    foreign &= ~Q(vat_number__startswith=prefix_of(settings.SELLER_COUNTRY))
    rows = Customer.objects.filter(foreign, ~Exists(fresh), ~Exists(tried)).order_by(F("updated_at").desc())
    return list(rows.select_related("user")[: 10 * settings.VIES_SWEEP_BATCH])


def check(*, customer: Customer) -> VatCheck:
    """Ask VIES now and keep what it said. No transaction is open meanwhile."""
    number = customer.vat_number
    try:
        reply = _ask(number)
    except OutOfReach as error:
        logger.warning("vies.out_of_reach", extra={"customer": customer.pk, "reason": str(error)})
        return VatCheck.objects.create(
            user=customer.user, vat_number=number, outcome=VatOutcome.UNREACHABLE, reply={"error": str(error)[:300]}
        )
    outcome = VatOutcome.VALID if reply["valid"] else VatOutcome.INVALID
    return VatCheck.objects.create(
        user=customer.user,
        vat_number=number,
        outcome=outcome,
        consultation=str(reply.get("requestIdentifier") or "")[:100],
        name=str(reply.get("name") or "")[:300],
        address=str(reply.get("address") or "")[:500],
        reply=reply,
    )


def _ask(number: str) -> dict[str, Any]:
    question = {"countryCode": number[:2], "vatNumber": number[2:]}
    if own := settings.SELLER_VAT_NUMBER:  # who names their own gets a number for the consultation
        question |= {"requesterMemberStateCode": own[:2], "requesterNumber": own[2:]}
    try:
        with requests.post(
            settings.VIES_URL,
            json=question,
            timeout=settings.VIES_TIMEOUT_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as answer:
            body = answer.raw.read(LONGEST_REPLY_BYTES, decode_content=True)
            if answer.status_code != requests.codes.ok:
                raise OutOfReach(f"status {answer.status_code}")
        reply = json.loads(body)
    except (requests.RequestException, OSError, ValueError) as error:
        raise OutOfReach(type(error).__name__) from error
    # A member state that is away is told with status 200 as well.
    if not isinstance(reply, dict) or not isinstance(reply.get("valid"), bool):
        wrong = reply.get("errorWrappers") if isinstance(reply, dict) else None
        raise OutOfReach(f"no answer: {str(wrong)[:200]}")
    return reply
