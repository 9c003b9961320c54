"""Which addresses are for machines: they get problems instead of pages, and pay for no session."""

MACHINES = frozenset({"api", "webhooks", "health", "metrics", "ws"})


def is_for_machines(path: str) -> bool:
    return path[1:].partition("/")[0] in MACHINES
