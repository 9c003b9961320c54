"""Stripe's way of sending nested things in a form: metadata[order]=1, items[0][price]=price_1."""

import re
from collections.abc import Iterable
from typing import Any

from sandbox.stripe import errors

PARTS = re.compile(r"\[([^\]]*)\]")
METADATA_KEYS_MAXIMUM = 50
METADATA_KEY_LENGTH_MAXIMUM = 40
METADATA_VALUE_LENGTH_MAXIMUM = 500


def parse(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for key, value in pairs:
        name, bracket, rest = key.partition("[")
        here, parts = root, [name, *PARTS.findall(bracket + rest)]
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            step = part or str(len(here))
            if following is None:
                here[step] = value
                break
            inner = here.setdefault(step, {})
            if not isinstance(inner, dict):
                raise errors.parameter_invalid(name, f"Invalid {name}: it is both a text and a hash.")
            here = inner
    return {name: _listed(value) for name, value in root.items()}


def _listed(value: Any) -> Any:
    """Hashes whose keys are 0, 1, 2 … are arrays."""
    if not isinstance(value, dict):
        return value
    listed = {name: _listed(inner) for name, inner in value.items()}
    if listed and all(name.isdigit() for name in listed):
        return [listed[name] for name in sorted(listed, key=int)]
    return listed


class Params:
    """The parameters of one call, read as what they should be, or refused as Stripe refuses."""

    def __init__(self, values: dict[str, Any], path: str = "") -> None:
        self.values = values
        self.path = path

    def name(self, name: str) -> str:
        return f"{self.path}[{name}]" if self.path else name

    def has(self, name: str) -> bool:
        return name in self.values

    def is_given(self, name: str) -> bool:
        return bool(self.values.get(name, "") != "")

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if isinstance(value, dict | list):
            raise errors.parameter_invalid(self.name(name), f"Invalid string: {value}")
        return value or None

    def needed(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise errors.parameter_missing(self.name(name))
        return value

    def integer(self, name: str, least: int | None = None) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise errors.parameter_invalid(self.name(name), f"Invalid integer: {value}", "parameter_invalid_integer")
        if least is not None and int(value) < least:
            wanted = f"This value must be greater than or equal to {least}."
            raise errors.parameter_invalid(self.name(name), wanted, "parameter_invalid_integer")
        return int(value)

    def integer_or_none(self, name: str) -> int | None:
        """For parameters that may be a word instead, such as trial_end=now."""
        value = self.text(name)
        return int(value) if value and value.isdigit() else None

    def needed_integer(self, name: str, least: int | None = None) -> int:
        value = self.integer(name, least)
        if value is None:
            raise errors.parameter_missing(self.name(name))
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name)
        if value not in {None, "true", "false"}:
            raise errors.parameter_invalid(self.name(name), f"Invalid boolean: {value}")
        return default if value is None else value == "true"

    def choice(self, name: str, allowed: str, default: str = "") -> str:
        value = self.text(name)
        if value is not None and value not in allowed.split():
            names = ", ".join(allowed.split())
            raise errors.parameter_invalid(self.name(name), f"Invalid {self.name(name)}: must be one of {names}")
        return value or default

    def inside(self, name: str) -> "Params":
        value = self.values.get(name) or {}
        if not isinstance(value, dict):
            raise errors.parameter_invalid(self.name(name), f"Invalid hash: {value}")
        return Params(value, self.name(name))

    def each(self, name: str) -> "list[Params]":
        value = self.values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise errors.parameter_invalid(self.name(name), f"Invalid array: {value}")
        return [Params(one, f"{self.name(name)}[{place}]") for place, one in enumerate(value)]

    def texts(self, name: str) -> list[str]:
        value = self.values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise errors.parameter_invalid(self.name(name), f"Invalid array: {value}")
        return list(value)

    def metadata(self, before: dict[str, str] | None = None) -> dict[str, str]:
        """What metadata becomes: named keys are set, empty ones vanish, and an empty text clears it all."""
        if self.values.get("metadata") == "":
            return {}
        given = self.inside("metadata").values
        merged = {**(before or {}), **given}
        merged = {key: value for key, value in merged.items() if value != ""}
        too_long = any(
            not isinstance(value, str)
            or len(key) > METADATA_KEY_LENGTH_MAXIMUM
            or len(value) > METADATA_VALUE_LENGTH_MAXIMUM
            for key, value in merged.items()
        )
        if too_long or len(merged) > METADATA_KEYS_MAXIMUM:
            raise errors.parameter_invalid(
                self.name("metadata"),
                "Metadata takes 50 keys of 40 characters, with texts of 500 characters.",
            )
        return merged
