"""docs/gateways.md says of each gateway what it declares of itself."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from django.conf import settings

from billing.gateways import registry
from billing.gateways.base import AmountRule, Capabilities
from ledger.money import Money, plain

pytestmark = pytest.mark.usefixtures("made_anew")
START = "<!-- table: what each can do (billing/tests/gateways/test_documentation.py) -->"
END = "<!-- end of table -->"
HEAD = "| Gateway | Flow | Currencies, least to most (step) | Refund, in part | Payout to | Cancel | Waits | Trust |"
A_HANDFUL = 4
MANY = 40


def row(name: str, can: Capabilities) -> str:
    cells = [
        f"`{name}`",
        ", ".join(sorted(can.flows)),
        currencies(can.currencies),
        f"{yes(can.refund)}, {yes(can.partial_refund)}",
        ", ".join(sorted(can.payout)) or "no",
        yes(can.cancel),
        waits(can.pending_lifetime),
        str(can.webhook_trust),
    ]
    return f"| {' | '.join(cells)} |"


def yes(can: bool) -> str:
    return "yes" if can else "no"


def currencies(rules: Mapping[str, AmountRule]) -> str:
    if len(rules) > MANY:
        return f"{len(rules)}, which `GET /api/v1/gateways` lists"
    if len(rules) > A_HANDFUL:
        return ", ".join(sorted(rules))
    return "; ".join(limits(unit, rule) for unit, rule in sorted(rules.items()))


def limits(unit: str, rule: AmountRule) -> str:
    most = "…" if rule.maximum_minor is None else plain(Money(rule.maximum_minor, unit))
    return f"{unit} {plain(Money(rule.minimum_minor, unit))} to {most} ({plain(Money(rule.step_minor, unit))})"


def waits(lifetime: timedelta) -> str:
    minutes = int(lifetime.total_seconds()) // 60
    return f"{minutes} min" if minutes < 60 * 2 else f"{minutes // 60} h"


def test_table_says_what_the_gateways_declare() -> None:
    """To mend this, put the expected table between the two comments of docs/gateways.md."""
    text = (settings.BASE_DIR / "docs" / "gateways.md").read_text()
    written = text.partition(START)[2].partition(END)[0].strip()
    rows = [row(name, gateway.capabilities) for name, gateway in registry.all().items()]
    assert written == "\n".join([HEAD, "|" + "---|" * HEAD.count(" | ") + "---|", *rows])
