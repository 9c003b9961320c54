"""The gateways as they stand now: what they can do, what operators chose, how they are; and the choice among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from billing import breaker, routing
from billing.gateways import registry
from billing.models import GatewaySetting
from billing.routing import Candidate, Decision, Terms, Wish

MASK = "••••"
LONG_ENOUGH = 12  # the end of a shorter secret would tell too much of it
# Where each gateway's credentials stand in the environment. The database never holds one.
CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "stripe": ("STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRETS"),
    "paypal": ("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET", "PAYPAL_WEBHOOK_ID"),
    "cinetpay": (
        "CINETPAY_API_KEY",
        "CINETPAY_SITE_ID",
        "CINETPAY_SECRET_KEY",
        "CINETPAY_TRANSFER_PASSWORD",
        "CINETPAY_API_PASSWORD",
    ),
    "mtn_momo": (
        "MTN_MOMO_COLLECTION_KEY",
        "MTN_MOMO_COLLECTION_USER",
        "MTN_MOMO_COLLECTION_SECRET",
        "MTN_MOMO_DISBURSEMENT_KEY",
        "MTN_MOMO_DISBURSEMENT_USER",
        "MTN_MOMO_DISBURSEMENT_SECRET",
    ),
    "orange_money": ("ORANGE_MONEY_CLIENT_ID", "ORANGE_MONEY_CLIENT_SECRET", "ORANGE_MONEY_MERCHANT_KEY"),
}


def choose(wish: Wish) -> Decision:
    return routing.decide(wish, candidates())


def candidates() -> list[Candidate]:
    """In the operators' order. A gateway without a row of theirs is as a new row would be."""
    gateways = registry.all()
    chosen = {row.name: row for row in GatewaySetting.objects.filter(name__in=gateways).prefetch_related("terms")}
    health = breaker.states(gateways)
    found = []
    for name, gateway in gateways.items():
        row = chosen.get(name) or GatewaySetting(name=name)
        found.append(
            Candidate(
                name=name,
                capabilities=gateway.capabilities,
                is_enabled=row.is_enabled,
                is_configured=not gateway.missing_settings(),
                priority=row.priority,
                currencies=frozenset(row.currencies),
                countries=frozenset(row.countries),
                terms=_terms(row) if name in chosen else {},
                cost_basis_points=row.cost_basis_points,
                health=health[name],
            )
        )
    return sorted(found, key=lambda candidate: candidate.priority)


def _terms(row: GatewaySetting) -> dict[str, Terms]:
    return {
        terms.currency: Terms(
            minimum_minor=terms.minimum_minor,
            maximum_minor=terms.maximum_minor,
            fixed_cost_minor=terms.fixed_cost_minor,
        )
        for terms in row.terms.all()
    }


def make_rows() -> None:
    """A row of choices for each gateway that has none yet; two at once make one."""
    rows = [GatewaySetting(name=name) for name in registry.all()]
    GatewaySetting.objects.bulk_create(rows, ignore_conflicts=True)


# ---------------------------------------------------------------- credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A reference to the environment, and as much of what stands there as lets people tell two apart."""

    name: str
    shown: str  # empty: not set


def credentials(gateway: str) -> Sequence[Credential]:
    return [Credential(name=name, shown=_shown(name)) for name in CREDENTIALS.get(gateway, ())]


def _shown(name: str) -> str:
    value = getattr(settings, name, "")
    values = [value] if isinstance(value, str) else list(value)
    return ", ".join(MASK + (each[-4:] if len(each) >= LONG_ENOUGH else "") for each in values if each)
