"""Which gateways could take a payment, in which order, and why the others cannot. Pure but for what it reads first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from billing.gateways import registry
from billing.gateways.base import Gateway, OpensCheckout
from billing.models import GatewaySetting
from ledger.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    possible: Sequence[str]
    reasons: Sequence[Mapping[str, Any]]
    only_down: bool = False
    retry_after_seconds: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        return {"possible": list(self.possible), "ruled_out": list(self.reasons)}


def decide(*, amount: Money, country: str, phone: str, preferred: Sequence[str]) -> Decision:
    settings = {row.name: row for row in GatewaySetting.objects.all()}
    possible, reasons = [], []
    for name, adapter in registry.all().items():
        why = _why_not(adapter, settings.get(name), amount, country, phone, preferred)
        if why:
            reasons.append({"gateway": name, "reason": why})
        else:
            possible.append(name)
    order = list(preferred)
    possible.sort(key=lambda name: order.index(name) if name in order else len(order))
    return Decision(possible=possible, reasons=reasons)


def _why_not(
    adapter: Gateway,
    chosen: GatewaySetting | None,
    amount: Money,
    country: str,
    phone: str,
    preferred: Sequence[str],
) -> str:
    can = adapter.capabilities
    rule = can.currencies.get(amount.unit)
    if preferred and adapter.name not in preferred:
        return "not_preferred"
    if chosen is not None and not chosen.is_enabled:
        return "disabled"
    if adapter.missing_settings() or not isinstance(adapter, OpensCheckout):
        return "not_configured"
    if rule is None:
        return "currency"
    if can.countries and country and country not in can.countries:
        return "country"
    if amount.minor < rule.minimum_minor or (rule.maximum_minor and amount.minor > rule.maximum_minor):
        return "amount"
    if amount.minor % rule.step_minor:
        return "amount"
    return "phone_missing" if can.needs_phone and not phone else ""
