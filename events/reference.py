"""The table of event types in docs/events.md, made from the shapes so that it cannot say anything else."""

import json

from events.shapes import SHAPES, Field, Shape

BEGIN, END = "<!-- types: begin -->", "<!-- types: end -->"


def table() -> str:
    lines = ["| type | version | when | data |", "|---|---|---|---|"]
    for (name, version), shape in sorted(SHAPES.items(), key=lambda item: (item[1].is_streamed_only, item[0])):
        lines.append(f"| `{name}` | {version} | {shape.says} | {_fields(shape)} |")
    return "\n".join(lines)


def example(name: str, version: int = 1) -> str:
    return json.dumps(SHAPES[name, version].example, indent=2)


def inserted(text: str) -> str:
    """The document with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _fields(shape: Shape) -> str:
    needed = [_word(shape, name, field) for name, field in shape.data.items()]
    more = [f"{_word(shape, name, field)} (may be missing)" for name, field in shape.optional.items()]
    return ", ".join(needed + more)


def _word(shape: Shape, name: str, field: Field) -> str:
    is_null, is_private = isinstance(field["type"], list), name in shape.private
    return f"`{name}`{' (or null)' if is_null else ''}{' (not on streams)' if is_private else ''}"
