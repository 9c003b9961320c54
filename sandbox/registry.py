"""Which gateways stand in the box."""

from typing import Any

from sandbox.clock import Clock
from sandbox.dials import Panel
from sandbox.gateway import Gateway

KINDS: tuple[type[Gateway], ...] = ()


def gateways(clock: Clock, dials: dict[str, Any], settings: dict[str, Any]) -> dict[str, Gateway]:
    """All of them, by name, with the dials and settings that the environment gives."""
    return {kind.name: kind(clock, Panel(dials.get(kind.name)), settings.get(kind.name, {})) for kind in KINDS}
